"""How well a policy does on levels that no training run has seen."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Key

from gridmem.baselines.model_policy import model_policy
from gridmem.envs.env import Env
from gridmem.envs.metrics import EpisodeStats, episode_stats, memory_gain
from gridmem.envs.policy import random_policy
from gridmem.envs.types import Level
from gridmem.envs.unroll import play

# Not the root key of any seed: those are below 2**32 and have 0 for their first word. That a key
# which descends from one should equal one that descends from this is a matter of 1 in 2**64.
HELD_OUT_KEY_DATA = (0x6772_6964, 0x6D65_6D30)


def evaluate_model(
    env: Env, graphdef: Any, params: Any, num_levels: int, greedy: bool = False
) -> dict[str, float]:
    """Scores a model on held-out levels; see `summary` for what is returned.

    Args:
        env: the environment.
        graphdef: static part of the model.
        params: its parameters.
        num_levels: levels to play, one episode each.
        greedy: take the most probable action instead of drawing one.
    """
    levels, key = _held_out(env, num_levels)
    return summary(_model_episodes(env, graphdef, greedy, params, levels, key), num_levels)


def evaluate_random(env: Env, num_levels: int) -> dict[str, float]:
    """Scores uniformly random actions on the same levels; see `summary`."""
    return summary(_random_episodes(env, *_held_out(env, num_levels)), num_levels)


def summary(stats: EpisodeStats, num_levels: int) -> dict[str, float]:
    """Mean return, its standard error over levels, mean steps to the first find, memory gain."""
    per_level = np.asarray(stats.episode_return).reshape(num_levels, -1).mean(axis=1)
    deviation = per_level.std(ddof=1) if num_levels > 1 else 0.0
    return {
        "mean_return": float(per_level.mean()),
        "return_standard_error": float(deviation / np.sqrt(num_levels)),
        "first_find_steps": float(np.asarray(stats.first_find_steps).mean()),
        "memory_gain": float(memory_gain(stats)),
    }


@partial(jax.jit, static_argnums=(0, 1))
def _held_out(env: Env, num_levels: int) -> tuple[Level, Key[Array, ""]]:
    """The levels, and the key for playing them."""
    data = jnp.array(HELD_OUT_KEY_DATA, jnp.uint32)
    level_key, play_key = jax.random.split(jax.random.wrap_key_data(data, impl="threefry2x32"))
    return jax.vmap(env.generate)(jax.random.split(level_key, num_levels)), play_key


@partial(jax.jit, static_argnums=(0, 1, 2))
def _model_episodes(
    env: Env, graphdef: Any, greedy: bool, params: Any, levels: Level, key: Key[Array, ""]
) -> EpisodeStats:
    policy = model_policy(nnx.merge(graphdef, params), greedy)
    return episode_stats(play(env, policy, levels, key).rollout.reward)


@partial(jax.jit, static_argnums=0)
def _random_episodes(env: Env, levels: Level, key: Key[Array, ""]) -> EpisodeStats:
    policy = random_policy(env.num_actions)
    return episode_stats(play(env, policy, levels, key).rollout.reward)
