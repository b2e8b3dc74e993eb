"""What `import gridmem` costs over `import gymnasium`.

    uv run python tests/benchmarks/import_time.py

Each run is a fresh interpreter that imports Gymnasium first and then gridmem.
"""

import statistics
import subprocess
import sys

from machine import machine

REPEATS = 15
CODE = """
from time import perf_counter
begin = perf_counter()
import gymnasium
between = perf_counter()
import gridmem
print(between - begin, perf_counter() - between)
"""


def seconds() -> tuple[float, float]:
    """Of the import of Gymnasium, and of gridmem after it, once."""
    done = subprocess.run([sys.executable, "-c", CODE], check=True, capture_output=True, text=True)
    gymnasium, gridmem = map(float, done.stdout.split())
    return gymnasium, gridmem


def main() -> None:
    """Measures and prints."""
    seconds()  # compiles to bytecode where that has not been done
    runs = [seconds() for _ in range(REPEATS)]
    print(f"{machine('gymnasium')}, {REPEATS} repeats")
    for name, taken in zip(("gymnasium", "gridmem over it"), zip(*runs, strict=True), strict=True):
        print(f"{name}: median {statistics.median(taken):.4f} s, worst {max(taken):.4f} s")


if __name__ == "__main__":
    main()
