"""What can be had without memory, and with the whole map, on the stored test levels.

uv run python tests/benchmarks/memory_floor.py [--ids ID ...] [--num-levels N]
prints the tables of docs/memory.md.
"""

import argparse
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

import gridmem
from gridmem.envs.analysis.metrics import MIN_FOUND_AGAIN

LEVELS_AT_A_TIME = 100
SHORTEST_PATHS = gridmem.oracle_actions
# What plays, by which options, and what it is called.
ROWS = {
    "random": (lambda env: gridmem.random_policy(env.num_actions), {}),
    "reactive": (gridmem.reactive_policy, {}),
    "oracle": (SHORTEST_PATHS, {}),
    "reactive, the goal moves": (gridmem.reactive_policy, {"goal_moves": True}),
    "oracle, the goal moves": (SHORTEST_PATHS, {"goal_moves": True}),
    "reactive, full view": (gridmem.reactive_policy, {"view_size": "full"}),
    "compass": (gridmem.compass_policy, {"compass": True}),
}
FULL_VIEW_LEVELS = 100  # it looks for a path through the whole map at every step


@partial(jax.jit, static_argnums=(0, 1))
def actions_of(env, player, levels, key):
    """Actions i32[N,T,A] of a policy."""
    actions = gridmem.play(env, player(env), levels, key).rollout.action
    return jnp.moveaxis(actions.reshape(env.max_steps, -1, env.num_agents), 0, 1)


def measured(env, player, levels):
    """The metrics of a player on all levels, in parts that fit into memory."""
    parts = []
    for begin in range(0, len(levels.tiles), LEVELS_AT_A_TIME):
        part = jax.tree.map(lambda leaf: leaf[begin : begin + LEVELS_AT_A_TIME], levels)  # noqa: B023
        if player is SHORTEST_PATHS:
            actions = SHORTEST_PATHS(env, part)
        else:
            actions = actions_of(env, player, part, jax.random.key(begin))
        parts.append(jax.device_get(gridmem.measure(env, part, actions)))
    return jax.tree.map(lambda *leaves: np.concatenate(leaves), *parts)


def row(id, name, num_levels):
    """A line of the table."""
    player, options = ROWS[name]
    if options.get("view_size") == "full":
        num_levels = min(num_levels, FULL_VIEW_LEVELS)
    env = gridmem.make(id, **options)
    levels = jax.tree.map(lambda leaf: leaf[:num_levels], gridmem.levels(id))
    metrics = measured(env, player, levels)
    told = gridmem.summary(metrics)
    if (metrics.visits > 1).sum() < MIN_FOUND_AGAIN:
        told["memory_gain"] = None
    score = "" if "moves" in name else f"{gridmem.score(id, metrics.episode_return).score:.3f}"
    numbers = [
        f"{told['episode_return']:.2f} ± {told['return_standard_error']:.2f}",
        score,
        *(
            "" if told[name] is None else f"{told[name]:.2f}"
            for name in ("memory_gain", "path_ratio", "unseen_steps")
        ),
    ]
    return f"| {name} | " + " | ".join(numbers) + " |"


def main():
    """Prints a table for each id."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ids", nargs="+", default=list(gridmem.CONFIGS), choices=gridmem.CONFIGS)
    parser.add_argument("--num-levels", type=int, default=1000)
    options = parser.parse_args()
    for id in options.ids:
        print(f"\n**`{id}`**\n\n| | return | score | memory gain | path ratio | unseen steps |")
        print("|---|---|---|---|---|---|")
        for name in ROWS:
            print(row(id, name, options.num_levels), flush=True)


if __name__ == "__main__":
    main()
