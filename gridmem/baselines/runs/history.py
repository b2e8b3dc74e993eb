"""What a run folder tells of how the training went."""

from dataclasses import dataclass, replace
from pathlib import Path

from gridmem.baselines.config import TrainConfig, from_file
from gridmem.baselines.runs.run_dir import METRICS, read_metrics
from gridmem.envs.analysis.level_packs import pack
from gridmem.envs.analysis.score import changed_rules, normalized_score


@dataclass(frozen=True)
class RunRecord:
    """A run, whether it has ended or not.

    Attributes:
        name: of its folder.
        config: what was trained.
        rows: the metrics of each update, numbers only. Where returns can be scored they have a
            "score", too; those of older versions have no "seconds".
    """

    name: str
    config: TrainConfig
    rows: list[dict[str, float]]

    @property
    def recipe(self) -> TrainConfig:
        """The config without what does not change how an agent learns, its seed among it."""
        config = self.config
        return replace(
            TrainConfig(),
            env=config.env,
            model=replace(config.model, attention="auto", decode="auto"),
            ppo=config.ppo,
            optimizer=config.optimizer,
            total_steps=config.total_steps,
        )


def read_record(name: str, path: Path) -> RunRecord:
    """The record in a run folder.

    Raises:
        ValueError: if it is none, or nothing has been recorded yet.
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
    """The rows with returns scored by the means of the stored levels, where rules are the id's."""
    id = config.env.env_id
    if changed_rules(id, config.make_env()):
        return rows
    known = pack(id)
    random, best = float(known.random_return.mean()), float(known.best_return.mean())

    def scored(row: dict[str, float]) -> dict[str, float]:
        if "episode_return" not in row:
            return row
        normalized = normalized_score(row["episode_return"], random, best)
        return row if normalized is None else {**row, "score": normalized}

    return [scored(row) for row in rows]
