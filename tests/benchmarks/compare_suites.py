"""Steps and resets side by side with three other suites: docs/benchmarks.md has the table.

    uv run --group bench python tests/benchmarks/compare_suites.py [--quick]

All that share a batch are measured in one run, by turns, so that whatever else the machine does
slows all of them. A step is one of a `lax.scan` under jit, from the start of an episode, with
random actions drawn before and all outputs returned; nobody resets by itself. A reset draws a
level for every environment; GridMem's has its connectivity guarantee in it. Tracing and
compiling are timed apart. Prints a table for each batch, then the same as JSON.
"""

import argparse
import json
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
from entrant import KINDS, Batch, Entrant
from machine import machine
from peers import Peer, craftax_classic, find_return, grid_mem, x_land

CLASSIC, DIG = "GridMem-v0", "GridMem-Dig-v0"
# Its task of memory that has the largest map, and the environments it is named for.
XLAND = ["MiniGrid-MemoryS128", "XLand-MiniGrid-R4-13x13"]


def ours(num_agents: int, *ids: str) -> dict[str, Callable[[], Peer]]:
    """Makers of GridMem's ids, by id."""
    return {id: partial(grid_mem, id, num_agents) for id in ids}


BATCHES = [
    Batch(
        4096,
        1,
        100,
        ours(1, CLASSIC, DIG, "GridMem-13x13-v0")
        | {"mapox find_return": partial(find_return, 1)}
        | {f"xminigrid {id}": partial(x_land, id) for id in XLAND},
    ),
    Batch(256, 16, 100, ours(16, CLASSIC, DIG) | {"mapox find_return": partial(find_return, 16)}),
    # Fewer, because it is slow and returns 5 kB a step.
    Batch(1024, 1, 20, ours(1, CLASSIC, DIG) | {"craftax Classic-Symbolic": craftax_classic}),
]


def compare(batch: Batch, repeats: int) -> list[dict[str, Any]]:
    """A row per environment and kind of run."""
    entrants = {name: Entrant(make(), batch) for name, make in batch.make.items()}
    for kind in KINDS:
        for _ in range(repeats):
            for entrant in entrants.values():
                entrant.run(kind)
    return [
        {
            "name": name,
            "kind": kind,
            "num_envs": batch.num_envs,
            "num_agents": batch.num_agents,
            "num_steps": batch.num_steps,
            **entrant.work,
            "compile_seconds": round(entrant.compile_seconds[kind], 2),
            "median_per_second": round(entrant.rate(kind)),
            "best_per_second": round(entrant.units[kind] / min(entrant.seconds[kind])),
            "classic_ratio": round(entrants[CLASSIC].rate(kind) / entrant.rate(kind), 2),
            "dig_ratio": round(entrants[DIG].rate(kind) / entrant.rate(kind), 2),
        }
        for kind in KINDS
        for name, entrant in entrants.items()
    ]


def table(batch: Batch, rows: list[dict[str, Any]]) -> str:
    """The rows of a batch in Markdown."""
    lines = [
        f"\n{batch.num_envs:,} environments, agents in each: {batch.num_agents}, "
        f"steps: {batch.num_steps}\n",
        "| | map, cells | state, bytes | a step returns, bytes | compile, s | per second "
        f"| {CLASSIC} / this | {DIG} / this |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        work = "map_cells", "state_bytes_per_env", "output_bytes_per_agent_step"
        told = [f"{row[name]:,}" if row["kind"] == "step" else "" for name in work]
        cells = [
            f"{row['kind']}, {row['name']}",
            *told,
            f"{row['compile_seconds']:.1f}",
            f"{row['median_per_second']:,}",
            f"{row['classic_ratio']:.2f}",
            f"{row['dig_ratio']:.2f}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="an eighth of the size, to try it")
    quick = parser.parse_args().quick
    jax.config.update("jax_enable_compilation_cache", False)
    repeats = 2 if quick else 7
    where = f"{machine('mapox', 'xminigrid', 'craftax')}, {repeats} repeats"
    print(f"{where}\nA step is an agent step; a reset draws one level.", flush=True)
    rows = []
    for batch in BATCHES:
        if quick:
            batch = batch._replace(num_envs=batch.num_envs // 8, num_steps=batch.num_steps // 4)
        rows += (measured := compare(batch, repeats))
        print(table(batch, measured), flush=True)
    print("\n" + json.dumps({"machine": where, "rows": rows}))


if __name__ == "__main__":
    main()
