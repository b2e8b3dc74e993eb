"""Episodes of a policy on given levels, and levels that no training run has seen."""

from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float32, Int32, Integer, Key, Num

from gridmem.baselines.method import Method
from gridmem.baselines.model.policy import streaming_policy
from gridmem.baselines.ppo.method import PPO
from gridmem.envs import environment
from gridmem.envs.batch.chunks import map_in_chunks
from gridmem.envs.batch.policy import Policy, random_policy
from gridmem.envs.batch.rollout import play
from gridmem.envs.environment import (
    EVALUATION_KEY_DATA,
    Discrete,
    Environment,
    EnvironmentSpec,
    is_on_host,
    num_levels,
)

FRESH_KEY_DATA = (0x6772_6964, 0x6D65_6D31)
"""As `EVALUATION_KEY_DATA`, of levels that are not those of the evaluation."""

STREAMS_AT_A_TIME = 512  # bounds the memory that their caches take


@dataclass(frozen=True)
class Player:
    """How actions are chosen. Hashable, hence static under jit; parameters are passed separately.

    Attributes:
        method: of the agent; None for uniformly random actions.
        greedy: take the most probable action instead of drawing one.
        forgetful: wipe the memory whenever a goal has been found; a control, for PPO's network.
    """

    method: Method | None = None
    greedy: bool = False
    forgetful: bool = False

    def policy(self, env: EnvironmentSpec, params: Any) -> Policy:
        """Its policy with these parameters; () without a method."""
        if self.method is None:
            return random_policy(env.actions)
        if self.forgetful:
            assert isinstance(self.method, PPO)
            return streaming_policy(self.method.model(params), self.greedy, forget_at_finds=True)
        return self.method.policy(params, self.greedy)


class Played(NamedTuple):
    """Actions and rewards of A agents in the T steps of N episodes; 0 after an early end."""

    action: Num[Array, "N T A *K"]  # u8 if they are few
    reward: Float32[Array, "N T A"]
    length: Int32[Array, "N A"]


def play_levels(env: Any, player: Player, params: Any, levels: Any, key: Key[Array, ""]) -> Played:
    """One whole episode on each level, in chunks.

    Args:
        env: the environment.
        player: chooses the actions.
        params: those of the agent; () without one.
        levels: leaves [N, ...].
        key: source of the policy's randomness.
    """
    if is_on_host(env):
        return _play_on_host(env, player, params, levels, key)
    chunk = partial(_play_chunk, env, player, params, key)
    number = np.arange(num_levels(levels), dtype=np.uint32)
    return map_in_chunks(chunk, max(1, STREAMS_AT_A_TIME // env.num_agents), levels, number)


def _play_on_host(env: Any, player: Player, params: Any, seeds: Any, key: Any) -> Played:
    """One episode for each seed, one after the other."""
    policy = player.policy(env, params)
    act = jax.jit(policy.act)
    episodes = []
    for seed in seeds.tolist():
        timestep, rows = env.reset(seed), []
        memory = policy.grow(policy.init(env.num_agents), env.max_steps)
        while not timestep.done.any():
            now = jax.random.fold_in(jax.random.fold_in(key, seed), len(rows))
            memory, action, _ = act(memory, jax.tree.map(jnp.asarray, timestep), now)
            timestep = env.step(np.asarray(action))
            rows.append((np.asarray(action), np.asarray(timestep.reward, np.float32)))
        action, reward = (
            np.pad(np.stack(each), [(0, env.max_steps - len(rows))] + [(0, 0)] * each[0].ndim)
            for each in zip(*rows, strict=True)
        )
        length = np.full(env.num_agents, len(rows), np.int32)
        episodes.append((action, reward, length))
    return Played(*(jnp.stack(each) for each in zip(*episodes, strict=True)))


@partial(jax.jit, static_argnums=(0, 1, 2))
def draw_levels(
    env: Environment, number: int, key_data: tuple[int, int] = EVALUATION_KEY_DATA
) -> tuple[Any, Key[Array, ""]]:
    """`environment.draw_levels`, compiled."""
    return environment.draw_levels(env.generate, number, key_data)


@partial(jax.jit, static_argnums=(0, 1))
def _play_chunk(
    env: Environment,
    player: Player,
    params: Any,
    key: Key[Array, ""],
    levels: Any,
    number: Integer[Array, " g"],
) -> Played:
    """Levels with these numbers; the first number is folded into the key."""
    policy = player.policy(env, params)
    rollout = play(env, policy, levels, jax.random.fold_in(key, number[0])).rollout

    def by_level(x: Array) -> Array:
        return jnp.moveaxis(x.reshape(env.max_steps, -1, env.num_agents, *x.shape[2:]), 0, 1)

    action = rollout.action
    if isinstance(env.actions, Discrete) and env.actions.n <= 256:
        action = action.astype(jnp.uint8)
    reward = jnp.where(rollout.valid, rollout.reward, 0)
    length = jnp.sum(by_level(rollout.valid), axis=1, dtype=jnp.int32)
    return Played(by_level(action), by_level(reward), length)
