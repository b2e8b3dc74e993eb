"""How well a policy does on levels that no training run has seen."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from gridmem.baselines.model_policy import model_policy
from gridmem.envs.env import Env
from gridmem.envs.metrics import EpisodeStats, episode_stats, memory_gain
from gridmem.envs.policy import Policy, random_policy
from gridmem.envs.unroll import play

# Training draws its levels from keys that descend from jax.random.key(seed), whose first word is
# 0. This one is not of that kind, so no seed trains on these levels.
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
    return summary(_model_episodes(env, graphdef, num_levels, greedy, params))


def evaluate_random(env: Env, num_levels: int) -> dict[str, float]:
    """Scores uniformly random actions on the same levels; see `summary`."""
    return summary(_random_episodes(env, num_levels))


def summary(stats: EpisodeStats) -> dict[str, float]:
    """Mean return with its standard error, mean steps to the first find, memory gain."""
    returns = np.asarray(stats.episode_return)
    return {
        "mean_return": float(returns.mean()),
        "return_standard_error": float(returns.std(ddof=1) / np.sqrt(max(len(returns), 2)))
        if len(returns) > 1
        else 0.0,
        "first_find_steps": float(np.asarray(stats.first_find_steps).mean()),
        "memory_gain": float(memory_gain(stats)),
    }


def _episodes(env: Env, policy: Policy, num_levels: int) -> EpisodeStats:
    data = jnp.array(HELD_OUT_KEY_DATA, jnp.uint32)
    key = jax.random.wrap_key_data(data, impl="threefry2x32")
    level_key, play_key = jax.random.split(key)
    levels = jax.vmap(env.generate)(jax.random.split(level_key, num_levels))
    return episode_stats(play(env, policy, levels, play_key).rollout.reward)


@partial(jax.jit, static_argnums=(0, 1, 2, 3))
def _model_episodes(
    env: Env, graphdef: Any, num_levels: int, greedy: bool, params: Any
) -> EpisodeStats:
    policy = model_policy(nnx.merge(graphdef, params), greedy)
    return _episodes(env, policy, num_levels)


@partial(jax.jit, static_argnums=(0, 1))
def _random_episodes(env: Env, num_levels: int) -> EpisodeStats:
    return _episodes(env, random_policy(env.num_actions), num_levels)
