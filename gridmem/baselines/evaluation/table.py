"""An evaluation as text: aligned columns, one block for each environment."""

from gridmem.baselines.evaluation.report import Report, Row
from gridmem.baselines.tables import aligned

_METRICS = {
    "first_find_steps": "first find",
    "later_trip_steps": "later trip",
    "later_trip_shortest": "shortest",
    "path_ratio": "path ratio",
    "unseen_steps": "unseen",
    "digs": "digs",
    "bumps": "bumps",
}
"""Those that are shown without an interval, in columns of these names."""
_HEAD = ["", "return", "score", "95 %", "gain", "95 %", "found again", *_METRICS.values()]


def table(report: Report) -> str:
    """The whole report, several lines."""
    lines = []
    for about, rows in report.blocks():
        kinds = dict.fromkeys(row.course.kind for row in rows)
        numbers = f"{len(rows[0].returns):,} {' and '.join(kinds)} levels"
        lines += [f"{about}; {numbers}", *aligned([_HEAD, *map(_cells, rows)]), ""]
    for gap in report.gaps:
        lines.append(
            f"{gap.agent}: return on fresh levels minus that on test levels "
            f"{gap.difference:+.2f} ± {gap.standard_error:.2f}"
        )
    return "\n".join([*lines, *report.notes])


def _cells(row: Row) -> list[str]:
    shown = row.shown
    score = ["", ""]
    if row.score is not None:
        score = [f"{row.score.score:z.3f}", f"{row.score.low:z.3f} to {row.score.high:z.3f}"]
    around = None if shown["memory_gain"] is None else row.intervals["memory_gain"]
    return [
        row.who,
        f"{_number(shown['episode_return'])} ± {_number(shown['return_standard_error'])}",
        *score,
        _number(shown["memory_gain"]),
        f"{around[0]:.2f} to {around[1]:.2f}" if around else "",
        f"{row.found_again:,}",
        *(_number(shown[name]) for name in _METRICS),
    ]


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"
