"""Metrics that runs have recorded, and names of runs."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gridmem.baselines.config import TrainConfig, from_file
from gridmem.baselines.ppo.settings import GROWTH
from gridmem.baselines.runs.run_dir import METRICS, WEIGHTS, read_metrics, seed_dirs
from gridmem.envs.analysis.level_packs import pack
from gridmem.envs.analysis.score import changed_rules, normalized_score
from gridmem.envs.registry import CONFIGS


@dataclass(frozen=True)
class RunRecord:
    """A run, finished or not.

    Attributes:
        name: of its directory.
        config: of the run.
        rows: the metrics of each update, numbers only. They include a "score" if
            returns have one; rows of older versions have no "seconds".
    """

    name: str
    config: TrainConfig
    rows: list[dict[str, float]]

    @property
    def recipe(self) -> TrainConfig:
        """See `TrainConfig`."""
        return self.config.recipe


def read_record(name: str, path: Path) -> RunRecord:
    """Reads the record of a run directory.

    Raises:
        ValueError: if it is not one, or has no metrics yet.
    """
    if not path.is_dir():
        raise ValueError(f"there is no run folder {path}")
    try:
        config = from_file(path / "config.json")
        rows = read_metrics(path / METRICS)
    except OSError as error:
        missing = Path(error.filename).name
        raise ValueError(f"{path} is no run folder: {missing} ({error.strerror})") from None
    if not rows:
        raise ValueError(f"the run in {path} has recorded no update yet: its {METRICS} is empty")
    return RunRecord(name, config, with_scores(config, rows))


def with_scores(config: TrainConfig, rows: list[dict[str, float]]) -> list[dict[str, float]]:
    """The rows with scores by the means of the stored levels, if the rules are those of the id.

    Rows of caves that have not grown to the size of the id have none.
    """
    id = config.env.env_id
    if id not in CONFIGS or changed_rules(id, config.make_env()):
        return rows
    known = pack(id)
    random, best = float(known.random_return.mean()), float(known.best_return.mean())

    def scored(row: dict[str, float]) -> dict[str, float]:
        if "episode_return" not in row or row.get(GROWTH, 1) < 1:
            return row
        normalized = normalized_score(row["episode_return"], random, best)
        return row if normalized is None else {**row, "score": normalized}

    return [scored(row) for row in rows]


def named(runs: Sequence[str]) -> dict[str, str]:
    """Name -> run: the name of its directory or file or, if names clash, the given path.

    A run of several seeds is replaced by its seeds.

    Raises:
        ValueError: if a run is given twice, by whichever paths, or a seed beside its run.
    """
    each: list[str] = []
    given: dict[str | Path, str] = {}  # identity of a run -> the argument that named it
    for word in runs:
        for run in map(str, seed_dirs(Path(word)) or [word]):
            other = given.setdefault(_identity(run), word)
            if run in each or other != word:
                ways = "" if other == word else f", by {other} and by {word}"
                raise ValueError(f"{run} is named twice{ways}; name each run once")
            each.append(run)
    names = [_short_name(run) for run in each]
    return dict(zip(names if len(set(names)) == len(each) else each, each, strict=True))


def _identity(run: str) -> str | Path:
    """The same for all paths to a run or its weights; a released name is its own."""
    path = Path(run)
    if not path.exists():
        return run
    return path.resolve().parent if path.resolve().name == WEIGHTS else path.resolve()


def _short_name(run: str) -> str:
    path = Path(run).resolve()
    if path in seed_dirs(path.parent):
        return f"{path.parent.name}/{path.name}"
    return path.parent.name if path.name == WEIGHTS else path.name.removesuffix(".safetensors")
