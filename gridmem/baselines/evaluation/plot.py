"""Bar chart of an evaluation: return, score and memory gain, with intervals."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from gridmem.baselines.evaluation.report import Report, Row
from gridmem.baselines.runs.plots import escape, png
from gridmem.envs.analysis.metrics import MIN_FOUND_AGAIN

_COLORS = {
    "random": "#999999",
    "sampled": "#1f78b4",
    "greedy": "#33a02c",
    "memory wiped": "#e66101",
}
_FRESH = "#a6cee3"


class _Bar(NamedTuple):
    """A value and its 95 % interval; without one, both ends equal the value."""

    value: float
    low: float
    high: float


def draw_evaluation(report: Report) -> bytes:
    """A PNG: one panel for each metric, one line for each row, grouped by environment."""
    from matplotlib.figure import Figure

    lines: list[str | Row] = []  # from top to bottom; a text is a heading
    for about, rows in report.blocks():
        lines += [about, *rows]
    measures = {
        "mean return per episode": _metric("episode_return"),
        "score": _score,
        "memory gain": _metric("memory_gain"),
    }
    if not any(row.score for row in report.rows):
        del measures["score"]
    has_finds = any(row.has_finds for row in report.rows)
    if not has_finds:
        del measures["memory gain"]
    figure = Figure(figsize=(12, 1 + 0.3 * len(lines)), dpi=120, layout="constrained")
    panels = figure.subplots(1, len(measures), sharey=True, squeeze=False)[0]
    for panel, (label, measure) in zip(panels, measures.items(), strict=True):
        for place, row in enumerate(lines):
            if isinstance(row, str):
                continue
            about = f"({row.found_again:,})" if label == "memory gain" else ""
            if bar := measure(row):
                _draw_bar(panel, place, bar, _color(row), about)
            elif about:
                _write(panel, 0.0, place, about)
        panel.set_xlabel(label)
        panel.grid(axis="x", alpha=0.3)
        panel.margins(x=0.35 if label == "memory gain" else 0.2)
        panel.axvline(1.0 if label == "memory gain" else 0.0, color="#444444", linewidth=0.8)
        if label == "memory gain":
            panel.set_xlim(left=0.0)  # the brackets of rows without a bar stand there
    _label(panels[0], lines)
    about = "thin lines: 95 % intervals, by the bootstrap over levels"
    if has_finds:
        about += "; in brackets: episodes with two finds or more; memory gain omitted below "
        about += f"{MIN_FOUND_AGAIN} of them"
    figure.supxlabel(about, fontsize=8)
    return png(figure)


def _draw_bar(panel: Any, place: int, bar: _Bar, color: str, about: str) -> None:
    around = [[bar.value - bar.low], [bar.high - bar.value]]
    panel.barh(place, bar.value, xerr=around, color=color, height=0.7, error_kw={"linewidth": 1})
    _write(panel, max(bar.value, bar.high), place, f"{bar.value:z.2f} {about}".rstrip())


def _write(panel: Any, x: float, place: int, text: str) -> None:
    panel.annotate(text, (x, place), (4, 0), textcoords="offset points", va="center", fontsize=8)


def _label(panel: Any, lines: Sequence[str | Row]) -> None:
    texts = [escape(line if isinstance(line, str) else line.label) for line in lines]
    panel.set_yticks(range(len(lines)), texts, fontsize=9)
    panel.set_ylim(len(lines) - 0.5, -0.5)
    for line, text in zip(lines, panel.get_yticklabels(), strict=True):
        text.set_fontweight("bold" if isinstance(line, str) else "normal")


def _color(row: Row) -> str:
    return _FRESH if row.scenario.kind == "fresh" else _COLORS[row.player]


def _metric(name: str) -> Callable[[Row], _Bar | None]:
    def bar(row: Row) -> _Bar | None:
        value = row.shown.get(name)
        return None if value is None else _Bar(value, *(row.intervals[name] or (value, value)))

    return bar


def _score(row: Row) -> _Bar | None:
    return row.score and _Bar(row.score.score, row.score.low, row.score.high)
