"""The curves of docs/craftax.md: `make_craftax.py FOLDER`, whose runs are named MIXER-SEED."""

import json
import sys
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from gridmem.baselines.runs.plots import png, series, smooth

COLORS = {"attention": "#1f78b4", "gru": "#e66101", "none": "#33a02c"}
PANELS = {"episode_return": "mean return per episode", "crafter_score": "Crafter score in %"}


def main(folder: Path) -> None:
    """Writes craftax.png beside this file: a line for each seed, and the mean of the seeds."""
    figure = Figure(figsize=(9, 3.6), dpi=120, layout="constrained")
    for panel, (metric, label) in zip(figure.subplots(1, 2), PANELS.items(), strict=True):
        for mixer, color in COLORS.items():
            lines = []
            for run in sorted(folder.glob(f"{mixer}-*")):
                rows = [json.loads(row) for row in (run / "metrics.jsonl").read_text().splitlines()]
                steps, values = series(rows, "steps", metric)
                lines.append(smooth(steps, values, 50_000))
                panel.plot(steps / 1e6, lines[-1], color=color, linewidth=0.7, alpha=0.5)
            mean = np.mean(lines, axis=0)
            panel.plot(steps / 1e6, mean, color=color, label=f"{mixer}, {len(lines)} seeds")
        panel.set(xlabel="million agent steps", ylabel=label, ylim=(0, None))
        panel.grid(alpha=0.3)
    figure.axes[0].legend(frameon=False)
    (Path(__file__).parent / "craftax.png").write_bytes(png(figure))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
