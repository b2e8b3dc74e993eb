"""Makes the test packs in assets/levels/ and prints their hashes for `analysis/level_packs.py`.

Run from the repository's root: uv run python assets/make_levels.py [ID ...]

A released pack never changes: this is the record of how they were made, for new ids.
"""

import hashlib
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

import gridmem
from gridmem.envs.analysis.level_packs import Pack, write_pack
from gridmem.envs.analysis.metrics import measure
from gridmem.envs.analysis.oracle import ceiling, oracle_actions
from gridmem.envs.batch.policy import random_policy
from gridmem.envs.batch.rollout import play

NUM_LEVELS, RANDOM_EPISODES = 1000, 64


def main(ids: list[str]) -> None:
    """Writes a pack for each id."""
    for id in ids:
        env = gridmem.make(id)
        levels = drawn_levels(env, id)
        if env.config.dig_steps:
            actions = oracle_actions(env, levels)
            best, name = measure(env, levels, actions).episode_return[:, 0], "oracle"
        else:
            best, name = ceiling(env, levels)[:, 0], "ceiling"
        pack = Pack(levels, random_returns(env, levels), np.asarray(best, np.float32), name)
        path = Path(__file__).parent / "levels" / f"{id}-test.npz"
        path.parent.mkdir(exist_ok=True)
        sha256 = write_pack(path, pack)
        print(f'    "{id}": "{sha256}",', flush=True)
        print(
            f"# {path.stat().st_size / 1000:.0f} kB, random {pack.random_return.mean():.3f}, "
            f"{name} {pack.best_return.mean():.3f}",
            file=sys.stderr,
        )


def drawn_levels(env: gridmem.Env, id: str) -> gridmem.Level:
    """Levels from a key of the id's own, which descends from no seed."""
    seed = np.frombuffer(hashlib.sha256(f"GridMem test levels: {id}".encode()).digest()[:8], ">u4")
    key = jax.random.wrap_key_data(jnp.array(seed.astype(np.uint32)), impl="threefry2x32")
    levels = jax.jit(jax.vmap(env.generate))(jax.random.split(key, NUM_LEVELS))
    return jax.tree.map(np.asarray, levels)


def random_returns(env: gridmem.Env, levels: gridmem.Level) -> np.ndarray:
    """The mean return of random actions on each level."""
    policy = random_policy(env.num_actions)

    @jax.jit
    def returns(key):
        return play(env, policy, levels, key).rollout.reward.sum(axis=0)

    keys = jax.random.split(jax.random.key(0), RANDOM_EPISODES)
    return np.mean([returns(key) for key in keys], axis=0, dtype=np.float32)


if __name__ == "__main__":
    main(sys.argv[1:] or list(gridmem.CONFIGS))
