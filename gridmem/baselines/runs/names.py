"""What runs are called in tables and pictures."""

from collections.abc import Sequence
from pathlib import Path

from gridmem.baselines.runs.run_dir import WEIGHTS, seed_folders


def named(runs: Sequence[str]) -> dict[str, str]:
    """Name -> run: the name of its folder or file or, if those clash, the run as it was given.

    A run of several seeds stands for its seeds.

    Raises:
        ValueError: if a run is given twice, by whatever paths, or a seed beside its run.
    """
    each: list[str] = []
    given: dict[str | Path, str] = {}  # the word for each of them, by what identifies a run
    for word in runs:
        for run in map(str, seed_folders(Path(word)) or [word]):
            other = given.setdefault(_identity(run), word)
            if run in each or other != word:
                ways = "" if other == word else f", by {other} and by {word}"
                raise ValueError(f"{run} is named twice{ways}; name each run once")
            each.append(run)
    names = [_short(run) for run in each]
    return dict(zip(names if len(set(names)) == len(each) else each, each, strict=True))


def _identity(run: str) -> str | Path:
    """The same for all paths to a run or its weights; a released name is its own."""
    path = Path(run)
    if not path.exists():
        return run
    return path.resolve().parent if path.resolve().name == WEIGHTS else path.resolve()


def _short(run: str) -> str:
    path = Path(run).resolve()
    if path in seed_folders(path.parent):
        return f"{path.parent.name}/{path.name}"
    return path.parent.name if path.name == WEIGHTS else path.name.removesuffix(".safetensors")
