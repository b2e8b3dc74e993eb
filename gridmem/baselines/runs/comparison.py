"""Learning curves and final values of several runs, grouped by settings."""

from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from math import isfinite, nan
from typing import Any, NamedTuple

import numpy as np

from gridmem.baselines.config import TrainConfig
from gridmem.baselines.runs.history import RunRecord
from gridmem.baselines.runs.plots import (
    draw_band,
    draw_line,
    escape,
    limit,
    png,
    series,
    smooth,
    smoothed_steps,
    steps_axis,
)
from gridmem.baselines.tables import aligned
from gridmem.envs.analysis.episode_stats import LENGTH
from gridmem.envs.environment import Column

SCORE = Column("score", "score", 2, "score")
_TOO_MANY = 5  # settings for a label


def draw_comparison(records: Sequence[RunRecord]) -> bytes:
    """A PNG: a row of panels for each metric, a column for steps and one for wall-clock.

    Score and wall-clock are left out if no run has them. Runs that differ only in their seed
    are drawn as their mean and the band from the lowest to the highest.
    """
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    metrics = _columns(records)
    kinds = {record.config.method.step_kind for record in records}
    kind = kinds.pop() if len(kinds) == 1 else ""
    axes = {"steps": steps_axis([record.rows for record in records], kind)}
    if _recorded(records, "seconds"):
        axes["seconds"] = "minutes of training", 60.0
    size = (1.5 + 5 * len(axes), 0.5 + 2.8 * len(metrics))
    figure = Figure(figsize=size, dpi=120, layout="constrained")
    panels = figure.subplots(len(metrics), len(axes), squeeze=False, sharey="row", sharex="col")
    label_of, width = labels(records), smoothed_steps([record.rows for record in records])
    colors = {recipe: f"C{number % 10}" for number, recipe in enumerate(label_of)}
    for metric, line in zip(metrics, panels, strict=True):
        for axis, panel in zip(axes, line, strict=True):
            for recipe, color in colors.items():
                runs = [record for record in records if record.recipe == recipe]
                _draw_runs(panel, runs, metric.name, axis, axes[axis][1], width, color)
            if metric.reference is not None:
                panel.axhline(metric.reference, color="#444444", linewidth=0.8)
            panel.set_xlim(left=0)
            panel.grid(alpha=0.3)
        line[0].set_ylabel(metric.axis)
        levels = [] if metric.reference is None else [metric.reference]
        limit(line[0], [series(record.rows, metric.name)[0] for record in records], levels)
    for axis, panel in zip(axes, panels[-1], strict=True):
        panel.set_xlabel(axes[axis][0])
    # With handles of its own a legend also shows labels that begin with "_".
    handles = [Line2D([], [], color=color) for color in colors.values()]
    texts = [escape(label) for label in label_of.values()]
    figure.legend(handles, texts, loc="outside upper center", ncols=2)
    return png(figure)


class Threshold(NamedTuple):
    """A value that a metric is to reach."""

    column: Column
    value: float


def read_threshold(text: str, records: Sequence[RunRecord]) -> Threshold:
    """Reads METRIC=VALUE.

    Raises:
        ValueError: if the metric is not one that `draw_comparison` draws, or the value no number.
    """
    name, _, value = text.partition("=")
    columns = {column.name: column for column in _columns(records)}
    if name not in columns:
        raise ValueError(
            f"--reach is {text!r}, and these runs have no metric {name!r}; they have "
            f"{', '.join(columns)}: write for example {next(iter(columns))}=1"
        )
    try:
        number = float(value)
    except ValueError:
        number = nan
    if not isfinite(number):
        raise ValueError(f"--reach is {text!r}; write a number, for example {name}=1")
    return Threshold(columns[name], number)


def final_values(records: Sequence[RunRecord], threshold: Threshold | None = None) -> str:
    """A table of the last values of the smoothed curves.

    Args:
        records: the runs.
        threshold: adds the steps and minutes of training after which a curve was first at or
            above it; "-" if never.
    """
    settings, width = labels(records), smoothed_steps([record.rows for record in records])
    columns = _columns(records)
    head = ["", "settings", "steps", "minutes", *(column.heading for column in columns)]
    if threshold is not None:
        head += [f"steps to {threshold.column.heading} {threshold.value:g}", "minutes to it"]

    def cells(record: RunRecord) -> list[str]:
        reached = [] if threshold is None else _reached(record, threshold, width)
        return [record.name, settings[record.recipe], *_last(record, columns, width), *reached]

    lines = aligned([head, *map(cells, records)], left=2)
    untimed = [record.name for record in records if not _recorded([record], "seconds")]
    if untimed:
        lines.append(f"no wall-clock times (older version): {', '.join(untimed)}")
    return "\n".join(lines)


def labels(records: Sequence[RunRecord]) -> dict[TrainConfig, str]:
    """Recipe -> label of its runs: the settings in which recipes differ."""
    recipes = {record.recipe: _settings_of(record.recipe) for record in records}
    first, *others = recipes.values()
    names = dict.fromkeys(name for settings in recipes.values() for name in settings)
    differing = [
        name for name in names if any(other.get(name) != first.get(name) for other in others)
    ]
    label_of = {}
    for recipe, settings in recipes.items():
        runs = [record for record in records if record.recipe == recipe]
        own = "mixer" if "model" in recipe.method.sections else "method"
        shown = [f"{name} {settings.get(name)}" for name in differing or ("env_id", own)]
        label = ", ".join(shown) if len(shown) < _TOO_MANY else runs[0].name
        if (number := len(runs)) > 1:
            seeds = len({run.config.seed for run in runs})
            of_seeds = f"{seeds} {'seed' if seeds == 1 else 'seeds'}"
            label += f" ({of_seeds if seeds == number else f'{number} runs of {of_seeds}'})"
        label_of[recipe] = label
    return label_of


def _draw_runs(
    panel: Any,
    runs: Sequence[RunRecord],
    metric: str,
    axis: str,
    unit: float,
    width: float,
    color: str,
) -> None:
    """Draws the runs of one recipe."""
    of_runs = [_curve(run, metric, axis, width) for run in runs]
    curves = [(where / unit, values, smoothed) for where, values, smoothed in of_runs]
    if len(curves) == 1:
        draw_line(panel, *curves[0], color)
    else:
        draw_band(panel, [(x, smoothed) for x, _, smoothed in curves], color)


def _curve(
    record: RunRecord, metric: str, axis: str, width: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Steps or seconds, values of a metric, and these smoothed over `width` steps: [K] each."""
    where, steps, values = series(record.rows, axis, "steps", metric)
    return where, values, smooth(steps, values, width)


def _recorded(records: Sequence[RunRecord], name: str) -> bool:
    return any(name in row for record in records for row in record.rows)


def _columns(records: Sequence[RunRecord]) -> list[Column]:
    """The metrics with an axis; the score, if a run has one, comes after the first."""
    columns = dict.fromkeys(column for record in records for column in record.config.columns)
    first, *others = (column for column in columns if column.axis)
    if _is_constant(records, LENGTH.name):
        others = [column for column in others if column != LENGTH]
    return [first, *([SCORE] if _recorded(records, SCORE.name) else []), *others]


def _is_constant(records: Sequence[RunRecord], name: str) -> bool:
    """Whether a metric always has one value, such as the length of episodes without an end."""
    values = [row[name] for record in records for row in record.rows if name in row]
    return len(values) > 1 and min(values) == max(values)


def _last(record: RunRecord, columns: Sequence[Column], width: float) -> list[str]:
    row = record.rows[-1]
    minutes = f"{row['seconds'] / 60:.1f}" if "seconds" in row else ""
    cells = [f"{row['steps']:,.0f}", minutes]
    for column in columns:
        values = _curve(record, column.name, "steps", width)[2]
        if column.counted_by and row.get(column.counted_by, column.least) < column.least:
            values = values[:0]  # of too few episodes
        cells.append(f"{values[-1]:.{column.digits}f}" if len(values) else "")
    return cells


def _reached(record: RunRecord, threshold: Threshold, width: float) -> list[str]:
    """The steps and minutes to a threshold, once a whole window is averaged."""
    steps, _, smoothed = _curve(record, threshold.column.name, "steps", width)
    column = threshold.column
    counts = {row["steps"]: row.get(column.counted_by, column.least) for row in record.rows}
    enough = np.array([counts[step] >= column.least for step in steps], bool)
    above = np.flatnonzero((smoothed >= threshold.value) & (steps >= width) & enough)
    if not len(above):
        return ["-", "-"]
    first = steps[above[0]]
    seconds = [row.get("seconds") for row in record.rows if row["steps"] == first]
    return [f"{first:,.0f}", f"{seconds[0] / 60:.2f}" if seconds[0] is not None else ""]


def _settings_of(recipe: TrainConfig) -> Mapping[str, Any]:
    """Setting -> value; settings that were not given have the id's value."""
    env = recipe.make_env()
    sizes = ("view_size", "max_steps", "num_agents")
    sizes = {name: getattr(env, name) for name in sizes if hasattr(env, name)}
    return {
        **recipe.env.to_dict(),
        **_settings(recipe),
        **sizes,
        "method": recipe.method.name,
    }


def _settings(config: Any) -> Mapping[str, Any]:
    flat = {}
    for field in fields(config):
        value = getattr(config, field.name)
        if is_dataclass(value):
            flat.update(_settings(value))
        elif field.name != "options":  # of the environment, whose `to_dict` has them by name
            flat[field.name] = value
    return flat
