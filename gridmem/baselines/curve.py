"""The picture of a run: return and memory gain against steps."""

from collections.abc import Mapping, Sequence
from io import BytesIO

import numpy as np


def draw_curve(
    title: str,
    rows: Sequence[Mapping[str, float]],
    evaluation: Mapping[str, Mapping[str, float]],
) -> bytes:
    """A PNG.

    Args:
        title: what was run.
        rows: the metrics of every update, in order.
        evaluation: name -> result on held-out levels, drawn as level lines.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4), dpi=120, layout="constrained")
    panels = figure.subplots(1, 2)
    steps = np.array([row["steps"] for row in rows]) / 1e6
    window = max(1, len(rows) // 50)
    for panel, metric, held_out, label in (
        (panels[0], "episode_return", "mean_return", "mean return per episode"),
        (panels[1], "memory_gain", "memory_gain", "memory gain"),
    ):
        values = np.array([row[metric] for row in rows])
        panel.plot(steps, values, color="#a6cee3", linewidth=0.7)
        smooth = np.convolve(values, np.ones(window) / window, mode="valid")
        panel.plot(steps[window - 1 :], smooth, color="#1f78b4", label="training levels")
        for (name, result), style in zip(evaluation.items(), ("-", "--", ":"), strict=True):
            panel.axhline(
                result[held_out], color="#444444", linestyle=style, linewidth=1, label=name
            )
        panel.set_xlabel("million agent steps")
        panel.set_ylabel(label)
        panel.set_ylim(bottom=0)
        panel.grid(alpha=0.3)
    panels[0].legend(frameon=False, fontsize=8)
    figure.suptitle(title)
    picture = BytesIO()
    figure.savefig(picture, format="png")
    return picture.getvalue()
