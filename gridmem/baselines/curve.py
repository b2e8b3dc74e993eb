"""The picture of a run: return and memory gain against steps."""

from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import Any

import numpy as np
from jaxtyping import Float64

Rows = Sequence[Mapping[str, float]]


def draw_curve(title: str, rows: Rows, evaluation: Mapping[str, Mapping[str, float]]) -> bytes:
    """A PNG.

    Args:
        title: what was run.
        rows: the metrics of every update, in order.
        evaluation: name -> result on held-out levels, drawn as level lines; three at most.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4), dpi=120, layout="constrained")
    panels = figure.subplots(1, 2)
    for panel, metric, held_out, label in (
        (panels[0], "episode_return", "mean_return", "mean return per episode"),
        (panels[1], "memory_gain", "memory_gain", "memory gain"),
    ):
        steps, values = series(rows, metric, "steps")
        draw_line(panel, steps / 1e6, values, "#1f78b4", "training levels")
        for (name, result), style in zip(evaluation.items(), ("-", "--", ":"), strict=False):
            panel.axhline(
                result[held_out], color="#444444", linestyle=style, linewidth=1, label=name
            )
        panel.set_xlabel("million agent steps")
        panel.set_ylabel(label)
        panel.set_ylim(bottom=0)
        panel.grid(alpha=0.3)
    panels[0].legend(frameon=False, fontsize=8)
    figure.suptitle(title)
    return png(figure)


def series(
    rows: Rows, metric: str, against: str
) -> tuple[Float64[np.ndarray, " K"], Float64[np.ndarray, " K"]]:
    """Where a metric is drawn, and its values; rows in which no episode ended have none.

    Args:
        rows: the metrics of every update.
        metric: what is drawn.
        against: what it is drawn against.
    """
    both = [(row[against], row[metric]) for row in rows if against in row and metric in row]
    pairs = np.array(both, np.float64).reshape(-1, 2)
    return pairs[:, 0], pairs[:, 1]


def smooth(values: Float64[np.ndarray, " K"]) -> Float64[np.ndarray, " S"]:
    """Running means over a fiftieth of the values; the first is of the first ones."""
    window = max(1, len(values) // 50)
    total = np.concatenate([[0.0], np.cumsum(values)])
    return (total[window:] - total[:-window]) / window


def draw_line(panel: Any, x: np.ndarray, y: np.ndarray, color: str, label: str = "") -> None:
    """A curve as it is, pale, and smoothed above it.

    Args:
        panel: matplotlib's axes.
        x: [K].
        y: [K].
        color: of both.
        label: for the legend; none if empty.
    """
    panel.plot(x, y, color=color, alpha=0.4, linewidth=0.7)
    smoothed = smooth(y)
    panel.plot(x[len(x) - len(smoothed) :], smoothed, color=color, label=label or None)


def png(figure: Any) -> bytes:
    """The bytes of a matplotlib figure as a PNG file."""
    picture = BytesIO()
    figure.savefig(picture, format="png")
    return picture.getvalue()
