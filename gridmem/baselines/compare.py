"""Draws learning curves of runs: `python -m gridmem.baselines.compare RUN [RUN ...]`."""

import sys
from collections.abc import Sequence

DESCRIPTION = """\
Draws return, score and memory gain of training runs, finished or not, against agent steps and
wall-clock, and prints their final values. Curves are of training levels and sampled actions; for
test levels see `python -m gridmem.baselines.evaluate`.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the program; returns its exit code: see `gridmem.cli_utils.run`."""
    from gridmem.cli_utils import import_modules, run

    return run(lambda: _compare(import_modules(sys.argv[1:] if argv is None else argv)))


def _compare(argv: Sequence[str]) -> int:
    from pathlib import Path

    from gridmem.cli_utils import Parser, require

    parser = Parser("python -m gridmem.baselines.compare", DESCRIPTION)
    parser.add_argument("runs", nargs="+", metavar="RUN", help="a run folder")
    parser.add_argument(
        "--out",
        default="compare.png",
        metavar="FILE.png",
        help="of the picture; default compare.png",
    )
    parser.add_argument(
        "--reach",
        metavar="METRIC=VALUE",
        help="when the smoothed curve of a metric was first at or above a value, as score=0.6",
    )
    options = parser.read(argv, "name all runs before the first option")
    require("a comparison", "flax", "optax", "matplotlib", "safetensors")
    from gridmem.baselines.runs.comparison import (
        draw_comparison,
        final_values,
        read_threshold,
    )
    from gridmem.baselines.runs.history import named, read_record

    records = [read_record(name, Path(run)) for name, run in named(options.runs).items()]
    threshold = read_threshold(options.reach, records) if options.reach else None
    picture = draw_comparison(records)
    try:
        Path(options.out).write_bytes(picture)
    except OSError as error:
        raise ValueError(f"cannot write {options.out} ({error.strerror})") from None
    print(final_values(records, threshold))
    print(f"wrote {options.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
