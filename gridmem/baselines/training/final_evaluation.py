"""The end of a training run: evaluation on held-out levels, and learning curves."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gridmem.baselines.config import TrainConfig
from gridmem.baselines.evaluation.evaluator import evaluate_held_out
from gridmem.baselines.evaluation.report import NO_GAIN, PlayerName, Report, Row
from gridmem.baselines.method import Method
from gridmem.baselines.runs.comparison import draw_comparison
from gridmem.baselines.runs.history import RunRecord, with_scores
from gridmem.baselines.runs.plots import draw_achievements, draw_curve
from gridmem.baselines.runs.run_dir import (
    ACHIEVEMENTS,
    CURVE,
    EVALUATION,
    RunDir,
    achievements_file,
)
from gridmem.baselines.tables import aligned
from gridmem.envs.analysis.metrics import MIN_FOUND_AGAIN
from gridmem.envs.environment import Column

Statistics = dict[str, dict[str, float | None]]
LABELS: dict[PlayerName, str] = {
    "sampled": "agent",
    "greedy": "agent, greedy",
    "random": "random",
}
_HEADINGS = {"episode_return": "mean return"}
_MORE_COLUMNS = Column("found_again", "found again", 0), Column("unfinished", "unfinished", 3)


@dataclass
class Seed:
    """One of the agents of a run.

    Attributes:
        config: that trains this seed alone.
        run_dir: for its results.
        rows: of metrics, one per update so far.
    """

    config: TrainConfig
    run_dir: RunDir
    rows: list[dict[str, float]] = field(default_factory=list)

    @property
    def name(self) -> str:
        """Of the agent in results."""
        return self.run_dir.path.resolve().name


def evaluate_run(
    method: Method, params: Sequence[Any], seeds: Sequence[Seed], run_dir: RunDir
) -> list[str]:
    """Evaluates and draws each seed, and all seeds together if there are several.

    Args:
        method: that was trained.
        params: of each seed.
        seeds: the trained agents.
        run_dir: of the run.

    Returns:
        the lines of a table; none without held-out levels.
    """
    config, reports = seeds[0].config, {}
    if config.eval_levels:
        for id, member in method.members.items():
            named = {
                seed.name: method.member_params(each, id)
                for seed, each in zip(seeds, params, strict=True)
            }
            reports[id] = evaluate_held_out(member.acting, named, config.eval_levels)
    for seed in seeds:
        _finish_seed(seed, reports)
        for id in method.members:
            prefix = f"{id}/" if len(method.members) > 1 else ""
            name = achievements_file(id) if prefix else ACHIEVEMENTS
            title = f"{id}, seed {seed.config.seed}"
            if heat_map := draw_achievements(title, _of_one(seed.rows, prefix)):
                seed.run_dir.write_bytes(name, heat_map)
    means: dict[str, dict[PlayerName, Statistics]] = {
        id: {player: over_seeds(report, player) for player in LABELS}
        for id, report in reports.items()
    }
    if len(seeds) > 1:
        if reports:
            report = Report([row for each in reports.values() for row in each.rows], None)
            of_all = next(iter(means.values())) if len(means) == 1 else means
            run_dir.write_json(EVALUATION, {**report.to_dict(), "over_seeds": of_all})
        records = [
            RunRecord(seed.name, seed.config, with_scores(seed.config, seed.rows)) for seed in seeds
        ]
        run_dir.write_bytes(CURVE, draw_comparison(records))
    lines = []
    for id, report in reports.items():
        lines += [id] if len(reports) > 1 else []
        lines += table(report, means[id], len(seeds))
    return lines


def _finish_seed(seed: Seed, reports: Mapping[str, Report]) -> None:
    """Writes the evaluation and the pictures of a seed.

    Args:
        seed: the trained agent.
        reports: id of the environment -> evaluation; none without held-out levels.
    """
    config = seed.config
    rows = {
        id: [row for row in report.rows if row.agent in (seed.name, "")]
        for id, report in reports.items()
    }
    if reports:
        of_all = [row for of_one in rows.values() for row in of_one]
        seed.run_dir.write_json(EVALUATION, Report(of_all, None).to_dict())
    mixer = f"mixer {config.model.mixer}"
    what = mixer if "model" in config.method.sections else config.method.name
    title = f"{config.env.env_id}, {what}, seed {config.seed}"
    levels: dict[str, dict[str, float | None]] = {}
    for id, of_one in rows.items():
        prefix = f"{id}/" if len(rows) > 1 else ""
        for row in of_one:
            metrics = {f"{prefix}{name}": value for name, value in row.shown.items()}
            levels.setdefault(LABELS[row.player], {}).update(metrics)
    seed.run_dir.write_bytes(
        CURVE, draw_curve(title, config.columns, seed.rows, levels, config.method.step_kind)
    )


def _of_one(rows: Sequence[dict[str, float]], prefix: str) -> list[dict[str, float]]:
    """The metrics of one environment, without the prefix of its names in a mixture."""
    kept = "steps", "seconds"
    return [
        {
            name.removeprefix(prefix): value
            for name, value in row.items()
            if name in kept or name.startswith(prefix)
        }
        for row in rows
    ]


def over_seeds(report: Report, player: PlayerName) -> Statistics:
    """Mean and standard error of each metric over the rows of a player, one per seed.

    Returns:
        "mean" and "standard_error" -> metric -> number, None if a seed lacks the metric.
    """
    of_player = [row for row in report.rows if row.player == player]
    values = [
        {**row.metrics, **({"found_again": float(row.found_again)} if row.has_finds else {})}
        for row in of_player
    ]
    statistics: Statistics = {"mean": {}, "standard_error": {}}
    for name in values[0]:
        if name == "return_standard_error":  # over levels
            continue
        numbers = [value for each in values if (value := each.get(name)) is not None]
        complete = len(numbers) == len(values)
        statistics["mean"][name] = float(np.mean(numbers)) if complete else None
        error = complete and len(values) > 1
        statistics["standard_error"][name] = _standard_error(numbers) if error else None
    return statistics


def table(report: Report, means: Mapping[PlayerName, Statistics], num_seeds: int) -> list[str]:
    """The lines of a table: means over seeds, with standard errors if there are several."""
    known = next(iter(means.values()))["mean"]
    columns = {
        _HEADINGS.get(each.name, each.heading): (each.name, each.digits)
        for each in [*report.rows[0].scenario.env.stats.columns, *_MORE_COLUMNS]
        if each.heading and each.name in known
    }
    lines, notes = [["", *columns]], []
    for player, statistics in means.items():
        few = any(_has_few_finds(row) for row in report.rows if row.player == player)
        cells = []
        for metric, digits in columns.values():
            mean, error = (statistics[name].get(metric) for name in ("mean", "standard_error"))
            if metric == "memory_gain" and (few or mean is None):
                mean, notes = None, [NO_GAIN]
            text = "" if mean is None else f"{mean:.{digits}f}"
            cells.append(f"{text} ± {error:.{digits}f}" if text and error is not None else text)
        lines.append([LABELS[player], *cells])
    lines = [*aligned(lines), *notes]
    if num_seeds > 1:
        lines.append(f"means over {num_seeds} seeds and their standard errors")
    return lines


def _has_few_finds(row: Row) -> bool:
    return row.has_finds and row.found_again < MIN_FOUND_AGAIN


def _standard_error(values: Sequence[float]) -> float:
    return float(np.std(values, ddof=1) / np.sqrt(len(values)))
