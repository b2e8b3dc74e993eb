"""What runs are called in tables and pictures."""

from collections.abc import Sequence
from pathlib import Path

from gridmem.baselines.agent import WEIGHTS
from gridmem.baselines.run_folder import seed_folders


def named(runs: Sequence[str]) -> dict[str, str]:
    """Name -> run: the name of its folder or file or, if those clash, the run as it was given.

    A run of several seeds stands for its seeds.

    Raises:
        ValueError: if a run is given twice.
    """
    for run in runs:
        if runs.count(run) > 1:
            raise ValueError(f"{run} is named twice; name each run once")
    runs = [each for run in runs for each in map(str, seed_folders(Path(run)) or [run])]
    names = [_short(run) for run in runs]
    return dict(zip(names if len(set(names)) == len(runs) else runs, runs, strict=True))


def _short(run: str) -> str:
    path = Path(run).resolve()
    if path in seed_folders(path.parent):
        return f"{path.parent.name}/{path.name}"
    return path.parent.name if path.name == WEIGHTS else path.name.removesuffix(".safetensors")
