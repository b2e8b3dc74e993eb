"""Learning curves of a run: return and memory gain against steps."""

import warnings
from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import Any

import numpy as np
from jaxtyping import Float64

from gridmem.envs.analysis.episode_stats import ACHIEVEMENT
from gridmem.envs.environment import Column

_SHORT = 200_000  # steps
_MOST_IN_A_ROW = 3  # panels; more, as those of a mixture, stand in rows of two
Rows = Sequence[Mapping[str, float]]


def draw_curve(
    title: str,
    columns: Sequence[Column],
    rows: Rows,
    evaluation: Mapping[str, Mapping[str, float | None]],
    step_kind: str = "agent",
) -> bytes:
    """A PNG: a panel for each metric that has an axis.

    Args:
        title: of the figure.
        columns: the metrics.
        rows: their values in every update, in order.
        evaluation: label -> metrics on held-out levels, drawn as horizontal lines; three at most.
        step_kind: see `MethodConfig`.
    """
    from matplotlib.figure import Figure

    drawn = [column for column in columns if column.axis]
    across = len(drawn) if len(drawn) <= _MOST_IN_A_ROW else 2
    down = -(-len(drawn) // across)
    figure = Figure(figsize=(5 * across, 4 * down), dpi=120, layout="constrained")
    panels, left = np.split(figure.subplots(down, across, squeeze=False).ravel(), [len(drawn)])
    for panel in left:
        panel.remove()
    label, unit = steps_axis([rows], step_kind)
    for panel, column in zip(panels, drawn, strict=True):
        steps, values = series(rows, "steps", column.name)
        smoothed = smooth(steps, values, smoothed_steps([rows]))
        draw_line(panel, steps / unit, values, smoothed, "#1f78b4", "training")
        levels = []
        for (name, result), style in zip(evaluation.items(), ("-", "--", ":"), strict=False):
            if (level := result.get(column.name)) is not None:
                levels.append(level)
                panel.axhline(level, color="#444444", linestyle=style, linewidth=1, label=name)
        panel.set_xlabel(label)
        panel.set_ylabel(column.axis)
        limit(panel, [values], levels)
        panel.grid(alpha=0.3)
    panels[0].legend(frameon=False, fontsize=8)
    figure.suptitle(escape(title))
    return png(figure)


def draw_achievements(title: str, rows: Rows) -> bytes | None:
    """A PNG: the share of the episodes with each achievement, in parts of the training.

    None if the rows have no achievements.

    Args:
        title: of the figure.
        rows: the metrics of every update, in order.
    """
    from matplotlib.colors import PowerNorm
    from matplotlib.figure import Figure

    rows = [row for row in rows if any(name.startswith(ACHIEVEMENT) for name in row)]
    if not rows:
        return None
    names = [name for name in rows[0] if name.startswith(ACHIEVEMENT)]
    steps, number, *shares = series(rows, "steps", "num_episodes", *names)
    bins = min(60, len(steps))
    bounds = np.linspace(0, steps[-1], bins + 1)
    label, unit = steps_axis([rows])
    place = np.clip(np.searchsorted(bounds, steps) - 1, 0, bins - 1)
    episodes = np.bincount(place, number, bins)
    with np.errstate(invalid="ignore"):  # no episode ended: left white
        of_bins = [100 * np.bincount(place, share * number, bins) / episodes for share in shares]
    total = [float(np.sum(share * number)) for share in shares]
    order = sorted(range(len(names)), key=lambda k: -total[k])
    figure = Figure(figsize=(9, 1.2 + 0.19 * len(names)), dpi=120, layout="constrained")
    panel = figure.subplots()
    picture = panel.pcolormesh(
        bounds / unit,
        np.arange(len(names) + 1),
        np.array([of_bins[k] for k in order]),
        norm=PowerNorm(0.5, 0, 100),  # rare ones can be told from none
        cmap="viridis",
    )
    labels = [names[k].removeprefix(ACHIEVEMENT).replace("_", " ") for k in order]
    panel.set_yticks(np.arange(len(names)) + 0.5, labels, fontsize=8)
    panel.invert_yaxis()
    panel.set_xlabel(label)
    figure.colorbar(picture, label="% of finished episodes", ticks=[0, 1, 5, 20, 50, 100])
    figure.suptitle(escape(title))
    return png(figure)


def series(rows: Rows, *names: str) -> list[Float64[np.ndarray, " K"]]:
    """The values of metrics, in the rows that have all of them.

    Args:
        rows: the metrics of every update; those in which no episode ended lack some.
        names: of the metrics.
    """
    values = [[row[name] for name in names] for row in rows if all(name in row for name in names)]
    return list(np.array(values, np.float64).reshape(-1, len(names)).T)


def steps_axis(runs: Sequence[Rows], kind: str = "agent") -> tuple[str, float]:
    """The label of an axis of steps of this kind ("" for several), and its unit in steps."""
    longest = max((row["steps"] for rows in runs for row in rows), default=0.0)
    word, unit = ("thousand", 1e3) if longest < _SHORT else ("million", 1e6)
    return f"{word} {kind} steps".replace("  ", " "), unit


def smoothed_steps(runs: Sequence[Rows]) -> float:
    """The width for `smooth`, in steps: a fiftieth of the longest run, for all runs."""
    return max((row["steps"] for rows in runs for row in rows), default=0.0) / 50


def smooth(
    steps: Float64[np.ndarray, " K"], values: Float64[np.ndarray, " K"], width: float
) -> Float64[np.ndarray, " K"]:
    """Running means over the last `width` steps, over fewer at the start.

    Args:
        steps: at which the values are, ascending.
        values: to be smoothed.
        width: in steps; a mean is over one value at least.
    """
    place = np.arange(len(steps))
    begin = np.minimum(np.searchsorted(steps, steps - width, side="right"), place)
    total = np.concatenate([[0.0], np.cumsum(values)])
    return (total[place + 1] - total[begin]) / (place + 1 - begin)


def draw_line(
    panel: Any, x: np.ndarray, y: np.ndarray, smoothed: np.ndarray, color: str, label: str = ""
) -> None:
    """Draws the raw curve, pale, and the smoothed one over it.

    Args:
        panel: matplotlib's axes.
        x: [K].
        y: [K].
        smoothed: [K], of y.
        color: of both.
        label: for the legend; none if empty.
    """
    panel.plot(x, y, color=color, alpha=0.4, linewidth=0.7)
    panel.plot(x, smoothed, color=color, label=label or None)


def draw_band(panel: Any, curves: Sequence[tuple[np.ndarray, np.ndarray]], color: str) -> None:
    """Draws the mean of curves and, pale, the band from the lowest to the highest.

    Both cover the range that all curves cover; beyond it each is a thin line.

    Args:
        panel: matplotlib's axes.
        curves: x and y of each, [K].
        color: of all.
    """
    curves = [(x, y) for x, y in curves if len(x)]
    if not curves:
        return
    begin, end = max(x[0] for x, _ in curves), min(x[-1] for x, _ in curves)
    places = np.unique(np.concatenate([x for x, _ in curves]))
    places = places[(begin <= places) & (places <= end)]
    values = np.stack([np.interp(places, x, y) for x, y in curves])
    panel.fill_between(places, values.min(axis=0), values.max(axis=0), color=color, alpha=0.2)
    panel.plot(places, values.mean(axis=0), color=color)
    for x, y in curves:
        beyond = x >= end if len(places) else x == x
        panel.plot(x[beyond], y[beyond], color=color, alpha=0.6, linewidth=0.7)


def limit(panel: Any, curves: Sequence[np.ndarray], levels: Sequence[float] = ()) -> None:
    """Sets the vertical axis to show 0, the levels and all but the first tenth of each curve.

    Args:
        panel: matplotlib's axes.
        curves: y of each, [K].
        levels: of horizontal lines.
    """
    values = np.concatenate([*(y[len(y) // 10 :] for y in curves), levels, [0.0]])
    low, high = values.min(), values.max()
    margin = 0.1 * (high - low) or 1.0
    panel.set_ylim(low - margin if low < 0 else 0.0, high + margin)


def escape(text: str) -> str:
    """A text escaped for matplotlib, so that nothing in it is read as a formula."""
    return text.replace("$", r"\$")


def png(figure: Any) -> bytes:
    """The bytes of a matplotlib figure as a PNG file."""
    picture = BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph")  # missing in the font; drawn as a box
        figure.savefig(picture, format="png")
    return picture.getvalue()
