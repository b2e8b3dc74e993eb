"""Episodes of a policy on given levels, and levels that no training run has seen."""

from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float32, Integer, Key, UInt8

from gridmem.baselines.model.policy import model_policy, streaming_policy
from gridmem.envs.batch.chunks import map_in_chunks
from gridmem.envs.batch.policy import Policy, random_policy
from gridmem.envs.batch.rollout import play
from gridmem.envs.env import Env
from gridmem.envs.types import Level

# Not the root key of any seed: those have 0 for their first word. A key derived from a seed equals
# one derived from these with a probability of about 2**-64.
HELD_OUT_KEY_DATA = (0x6772_6964, 0x6D65_6D30)
FRESH_KEY_DATA = (0x6772_6964, 0x6D65_6D31)

STREAMS_AT_A_TIME = 512  # bounds the memory that their caches take


@dataclass(frozen=True)
class Player:
    """How actions are chosen. Hashable, hence static under jit; parameters are passed separately.

    Attributes:
        graphdef: static part of the model; None for uniformly random actions.
        greedy: take the most probable action instead of drawing one.
        forgetful: wipe the memory whenever a goal has been found; a control.
    """

    graphdef: Any = None
    greedy: bool = False
    forgetful: bool = False

    def policy(self, env: Env, params: Any) -> Policy:
        """Its policy with these parameters; () without a model."""
        if self.graphdef is None:
            return random_policy(env.num_actions)
        model = nnx.merge(self.graphdef, params)
        if self.forgetful:
            return streaming_policy(model, self.greedy, forget_at_finds=True)
        return model_policy(model, self.greedy)


class Played(NamedTuple):
    """Actions and rewards of A agents in the T steps of N episodes."""

    action: UInt8[Array, "N T A"]
    reward: Float32[Array, "N T A"]


def play_levels(
    env: Env, player: Player, params: Any, levels: Level, key: Key[Array, ""]
) -> Played:
    """One whole episode on each level, in chunks.

    Args:
        env: the environment.
        player: chooses the actions.
        params: the model's parameters; () if there is no model.
        levels: leaves [N, ...].
        key: source of the policy's randomness.
    """
    chunk = partial(_play_chunk, env, player, params, key)
    number = np.arange(len(levels.tiles), dtype=np.uint32)
    return map_in_chunks(chunk, max(1, STREAMS_AT_A_TIME // env.num_agents), levels, number)


@partial(jax.jit, static_argnums=(0, 1, 2))
def draw_levels(
    env: Env, num_levels: int, key_data: tuple[int, int]
) -> tuple[Level, Key[Array, ""]]:
    """Levels of an environment's own distribution, leaves [N, ...], and a key to play them with.

    Args:
        env: the environment.
        num_levels: N.
        key_data: of the key that they are derived from: `HELD_OUT_KEY_DATA` or `FRESH_KEY_DATA`.
    """
    data = jnp.array(key_data, jnp.uint32)
    level_key, play_key = jax.random.split(jax.random.wrap_key_data(data, impl="threefry2x32"))
    return jax.vmap(env.generate)(jax.random.split(level_key, num_levels)), play_key


@partial(jax.jit, static_argnums=(0, 1))
def _play_chunk(
    env: Env,
    player: Player,
    params: Any,
    key: Key[Array, ""],
    levels: Level,
    number: Integer[Array, " g"],
) -> Played:
    """Levels with these numbers; the first number is folded into the key."""
    policy = player.policy(env, params)
    rollout = play(env, policy, levels, jax.random.fold_in(key, number[0])).rollout

    def by_level(x: Array) -> Array:
        return jnp.moveaxis(x.reshape(env.max_steps, -1, env.num_agents), 0, 1)

    return Played(by_level(rollout.action.astype(jnp.uint8)), by_level(rollout.reward))
