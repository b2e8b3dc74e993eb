"""How well a policy does on levels that no training run has seen."""

from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float32, Integer, Key, UInt8

from gridmem.baselines.model.policy import model_policy, streaming_policy
from gridmem.envs.analysis.metrics import EpisodeStats, episode_stats, memory_gain
from gridmem.envs.batch.chunks import in_groups
from gridmem.envs.batch.policy import Policy, random_policy
from gridmem.envs.batch.rollout import play
from gridmem.envs.env import Env
from gridmem.envs.types import Level

# Not the root key of any seed: those are below 2**32 and have 0 for their first word. That a key
# which descends from one should equal one that descends from these is a matter of 1 in 2**64.
HELD_OUT_KEY_DATA = (0x6772_6964, 0x6D65_6D30)
FRESH_KEY_DATA = (0x6772_6964, 0x6D65_6D31)

STREAMS_AT_A_TIME = 512  # bounds the memory that their caches take


@dataclass(frozen=True)
class Player:
    """Who acts. Hashable, hence static under jit; the parameters come beside it.

    Attributes:
        graphdef: static part of the model; None for uniformly random actions.
        greedy: take the most probable action instead of drawing one.
        forgetful: the memory is wiped whenever a goal has been found; a control.
    """

    graphdef: Any = None
    greedy: bool = False
    forgetful: bool = False

    def policy(self, env: Env, params: Any) -> Policy:
        """What it does with these parameters."""
        if self.graphdef is None:
            return random_policy(env.num_actions)
        model = nnx.merge(self.graphdef, params)
        if self.forgetful:
            return streaming_policy(model, self.greedy, forget_at_finds=True)
        return model_policy(model, self.greedy)


class Played(NamedTuple):
    """What A agents did in the T steps of N episodes, and what it paid."""

    action: UInt8[Array, "N T A"]
    reward: Float32[Array, "N T A"]


def play_levels(
    env: Env, player: Player, params: Any, levels: Level, key: Key[Array, ""]
) -> Played:
    """One whole episode on each level, group by group.

    Args:
        env: the environment.
        player: who acts.
        params: the model's parameters; () if there is no model.
        levels: leaves [N, ...].
        key: source of the policy's randomness.
    """
    group = partial(_play_group, env, player, params, key)
    number = np.arange(len(levels.tiles), dtype=np.uint32)
    return in_groups(group, max(1, STREAMS_AT_A_TIME // env.num_agents), levels, number)


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
    return _evaluate(env, Player(graphdef, greedy), params, num_levels)


def evaluate_random(env: Env, num_levels: int) -> dict[str, float]:
    """Scores uniformly random actions on the same levels; see `summary`."""
    return _evaluate(env, Player(), (), num_levels)


def summary(stats: EpisodeStats, num_levels: int) -> dict[str, float]:
    """Mean return, its standard error over levels, mean steps to the first find, memory gain.

    And "found_again", the episodes that the memory gain is of: those with two finds or more.
    """
    per_level = np.asarray(stats.episode_return).reshape(num_levels, -1).mean(axis=1)
    deviation = per_level.std(ddof=1) if num_levels > 1 else 0.0
    return {
        "mean_return": float(per_level.mean()),
        "return_standard_error": float(deviation / np.sqrt(num_levels)),
        "first_find_steps": float(np.asarray(stats.first_find_steps).mean()),
        "memory_gain": float(memory_gain(stats)),
        "found_again": float((np.asarray(stats.visits) > 1).sum()),
    }


@partial(jax.jit, static_argnums=(0, 1, 2))
def draw_levels(
    env: Env, num_levels: int, key_data: tuple[int, int]
) -> tuple[Level, Key[Array, ""]]:
    """Levels of an environment's own distribution, leaves [N, ...], and a key for playing them.

    Args:
        env: the environment.
        num_levels: N.
        key_data: of the key that they descend from: `HELD_OUT_KEY_DATA` or `FRESH_KEY_DATA`.
    """
    data = jnp.array(key_data, jnp.uint32)
    level_key, play_key = jax.random.split(jax.random.wrap_key_data(data, impl="threefry2x32"))
    return jax.vmap(env.generate)(jax.random.split(level_key, num_levels)), play_key


def _evaluate(env: Env, player: Player, params: Any, num_levels: int) -> dict[str, float]:
    levels, key = draw_levels(env, num_levels, HELD_OUT_KEY_DATA)
    reward = play_levels(env, player, params, levels, key).reward
    return summary(episode_stats(jnp.swapaxes(reward, 0, 1)), num_levels)


@partial(jax.jit, static_argnums=(0, 1))
def _play_group(
    env: Env,
    player: Player,
    params: Any,
    key: Key[Array, ""],
    levels: Level,
    number: Integer[Array, " g"],
) -> Played:
    """Levels that have these numbers among all; the first of them chooses the randomness."""
    policy = player.policy(env, params)
    rollout = play(env, policy, levels, jax.random.fold_in(key, number[0])).rollout

    def by_level(x: Array) -> Array:
        return jnp.moveaxis(x.reshape(env.max_steps, -1, env.num_agents), 0, 1)

    return Played(by_level(rollout.action.astype(jnp.uint8)), by_level(rollout.reward))
