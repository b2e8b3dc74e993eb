"""What random actions and the best player achieve on a level, to compare a player with."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float32

from gridmem.envs.analysis.oracle import ceiling, has_ceiling, oracle_actions
from gridmem.envs.analysis.score import normalized_score
from gridmem.envs.analysis.trace import trace
from gridmem.envs.batch.policy import random_policy
from gridmem.envs.batch.rollout import play
from gridmem.envs.env import Env
from gridmem.envs.types import Level

RANDOM_EPISODES = 64


class ReferenceReturns(NamedTuple):
    """Returns on a level over a whole episode, per agent."""

    random: Float32[np.ndarray, " A"]  # mean of random actions
    best: Float32[np.ndarray, " A"]
    best_name: str  # "ceiling", which cannot be exceeded, or "oracle", the shortest-path player

    def score(self, num_finds: int | float, agent: int = 0) -> float | None:
        """0 for random actions, 1 for the best; None where the two are equal."""
        return normalized_score(num_finds, self.random[agent], self.best[agent])


def reference_returns(env: Env, level: Level) -> ReferenceReturns:
    """The reference returns of a level."""
    batch: Level = jax.tree.map(lambda leaf: np.asarray(leaf)[None], level)
    random = _random_return(env, batch)
    if has_ceiling(env):
        name, best = "ceiling", ceiling(env, batch)
    else:
        name, best = "oracle", jnp.sum(trace(env, batch, oracle_actions(env, batch)).reward, axis=1)
    return ReferenceReturns(np.asarray(random), np.asarray(best[0], np.float32), name)


@partial(jax.jit, static_argnums=0)
def _random_return(env: Env, level: Level) -> Float32[Array, " A"]:
    levels = jax.tree.map(lambda leaf: jnp.repeat(leaf, RANDOM_EPISODES, axis=0), level)
    key = jax.random.key(0)
    # In one chunk: each further one would be another loop to compile.
    result = play(env, random_policy(env.num_actions), levels, key, chunk_steps=env.max_steps)
    return jnp.mean(result.state.visits.astype(jnp.float32), axis=0)
