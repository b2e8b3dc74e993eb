"""Makes quickstart.png: return and memory gain of `quickstart` with and without memory.

Run from the repository's root, after the two trainings of docs/results.md:
uv run python docs/images/make_quickstart.py ATTENTION_RUN CONTROL_RUN
"""

import sys
from pathlib import Path

from matplotlib.figure import Figure

from gridmem.baselines.runs.plots import draw_line, limit, png, series, smooth, smoothed_steps
from gridmem.baselines.runs.run_dir import METRICS, read_metrics

PANELS = {"episode_return": "mean return per episode", "memory_gain": "memory gain"}
RUNS = {"with attention": "#1f78b4", "without memory": "#e66101"}


def main() -> None:
    """Writes the picture beside this file."""
    rows = [read_metrics(Path(run) / METRICS) for run in sys.argv[1:3]]
    figure = Figure(figsize=(10, 4), dpi=120, layout="constrained")
    for panel, (metric, label) in zip(figure.subplots(1, 2), PANELS.items(), strict=True):
        drawn = []
        for (name, color), each in zip(RUNS.items(), rows, strict=True):
            steps, values = series(each, "steps", metric)
            smoothed = smooth(steps, values, smoothed_steps(rows))
            draw_line(panel, steps / 1e6, values, smoothed, color, name)
            drawn.append(values)
        panel.set_xlabel("million agent steps")
        panel.set_ylabel(label)
        limit(panel, drawn)
        panel.grid(alpha=0.3)
    figure.axes[0].legend(frameon=False)
    Path(__file__).with_name("quickstart.png").write_bytes(png(figure))


if __name__ == "__main__":
    main()
