"""The lines of a benchmark, one at a time."""

from gridmem.baselines.costs.benchmark import Measurement

_COLUMNS = {
    "mixer": 9,
    "layers": 6,
    "part": 11,
    "agent steps/s": 13,
    "compile, s": 10,
    "GFLOP/s": 9,
    "of matmul": 9,
    "MFLOP a step": 12,
    "KiB, plan": 9,
    "KiB, XLA": 9,
}
_LEFT = ("mixer", "part")


def head() -> str:
    """The names of the columns; the last three are of an agent step."""
    return _line(list(_COLUMNS))


def line(measurement: Measurement) -> str:
    """What was measured."""
    each = measurement
    return _line(
        [
            each.mixer or "",
            str(each.num_layers or ""),
            each.part,
            f"{each.steps_per_second:,.0f}",
            f"{each.compile_seconds:.1f}",
            _scaled(each.speed, 1e9, 1),
            "" if each.share is None else f"{100 * each.share:.0f} %",
            _scaled(each.flops, 1e6, 2),
            _scaled(each.plan_bytes, 1024.0, 0),
            _scaled(each.xla_bytes, 1024.0, 0),
        ]
    )


def _scaled(number: float | None, unit: float, digits: int) -> str:
    return "" if number is None else f"{number / unit:,.{digits}f}"


def _line(cells: list[str]) -> str:
    columns = zip(cells, _COLUMNS.items(), strict=True)
    aligned = (f"{cell:{'<' if name in _LEFT else '>'}{w}}" for cell, (name, w) in columns)
    return "  ".join(aligned).rstrip()
