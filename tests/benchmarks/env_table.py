"""The table of every id: `uv run python tests/benchmarks/env_table.py [pytest options]`.

Runs test_env_benchmarks.py under pytest-benchmark and puts what it recorded into Markdown.
"""

import json
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Any

from machine import machine

BENCHMARKS = Path(__file__).with_name("test_env_benchmarks.py")


def measured(options: list[str]) -> dict[str, dict[str, dict[str, Any]]]:
    """What was recorded, by id and kind ("reset", "step")."""
    found: dict[str, dict[str, dict[str, Any]]] = defaultdict(dict)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "benchmarks.json")
        command = [sys.executable, "-m", "pytest", str(BENCHMARKS), "--benchmark-only", "-n", "0"]
        subprocess.run([*command, f"--benchmark-json={file}", *options], check=True)
        for benchmark in json.loads(file.read_text())["benchmarks"]:
            info = benchmark["extra_info"]
            found[info["env_id"]][info["kind"]] = info
    return found


def main() -> None:
    """Measures and prints."""
    found = measured(sys.argv[1:])
    sizes = {info["num_envs"] for kinds in found.values() for info in kinds.values()}
    print(f"\n{machine('gymnasium')}, batches of {', '.join(map(str, sizes))}\n")
    print(
        "| | reset, levels/s | step, env steps/s | state, bytes per env | compiling reset, s "
        "| compiling 100 steps, s |"
    )
    print("|---|---|---|---|---|---|")
    for env_id, kinds in found.items():
        reset, step = kinds["reset"], kinds["step"]
        print(
            f"| `{env_id}` | {reset['env_per_second']:,} | {step['env_per_second']:,} "
            f"| {reset['state_bytes_per_env']:,} | {reset['compile_seconds']:.1f} "
            f"| {step['compile_seconds']:.1f} |"
        )


if __name__ == "__main__":
    main()
