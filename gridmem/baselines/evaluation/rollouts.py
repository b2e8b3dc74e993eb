"""Episodes of a policy on given levels, and levels that no training run has seen."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float32, Int32, Integer, Key, Num, UInt8

from gridmem.baselines.method import Method
from gridmem.envs import environment
from gridmem.envs.batch.chunks import map_in_chunks
from gridmem.envs.batch.policy import Policy, random_policy
from gridmem.envs.batch.rollout import (
    Rollout,
    RunnerState,
    by_environment,
    flatten,
    play,
    recorded,
)
from gridmem.envs.env import Env
from gridmem.envs.environment import (
    EVALUATION_KEY_DATA,
    Environment,
    EnvironmentSpec,
    is_on_host,
    num_levels,
)
from gridmem.envs.types import TimeStep

FRESH_KEY_DATA = (0x6772_6964, 0x6D65_6D31)
"""As `EVALUATION_KEY_DATA`, of levels that are not those of the evaluation."""

STREAMS_AT_A_TIME = 512  # bounds the memory that their caches take
PROGRESS_STEPS = 128  # between two looks at whether all episodes are over


@dataclass(frozen=True)
class Player:
    """How actions are chosen. Hashable, hence static under jit; parameters are passed separately.

    Attributes:
        method: of the agent; None for uniformly random actions.
        greedy: take the most probable action instead of drawing one.
        forgetful: wipe the memory whenever a goal has been found; a control.
    """

    method: Method | None = None
    greedy: bool = False
    forgetful: bool = False

    def policy(self, env: EnvironmentSpec, params: Any) -> Policy:
        """Its policy with these parameters; () without a method."""
        if self.method is None:
            return random_policy(env.actions)
        if self.forgetful:
            return self.method.forgetful_policy(params, self.greedy)
        return self.method.policy(params, self.greedy)


class Played(NamedTuple):
    """A agents in the T steps of N episodes of an `Env`; rewards are 0 after an early end."""

    action: UInt8[Array, "N T A"]
    reward: Float32[Array, "N T A"]
    length: Int32[Array, "N A"]


class _Progress(NamedTuple):
    """B streams in the midst of an evaluation."""

    runner: RunnerState
    over: Bool[Array, " B"]
    episodes: Any  # the accumulator of `env.stats`, which stays when the episode is over


def play_levels(env: Env, player: Player, params: Any, levels: Any, key: Key[Array, ""]) -> Played:
    """One whole episode on each level, in chunks.

    Args:
        env: the environment.
        player: chooses the actions.
        params: those of the agent; () without one.
        levels: leaves [N, ...].
        key: source of the policy's randomness.
    """
    chunk = partial(_play_chunk, env, player, params, key)
    return map_in_chunks(chunk, *_in_chunks(env, levels))


def play_to_end(
    env: Any, player: Player, params: Any, levels: Any, key: Key[Array, ""]
) -> dict[str, Num[Array, "N A"]]:
    """The numbers of `env.stats` about an episode on each level of any environment.

    "unfinished" marks the episodes that were not over after `env.evaluation_steps`, if the
    environment has a limit of that name. Arguments as above.
    """
    if is_on_host(env):
        return _play_on_host(env, player, params, levels, key)
    chunk = partial(_play_chunk_to_end, env, player, params, key)
    return map_in_chunks(chunk, *_in_chunks(env, levels))


def _in_chunks(env: Any, levels: Any) -> tuple[int, Any, np.ndarray]:
    """Levels per chunk, the levels, and their numbers."""
    number = np.arange(num_levels(levels), dtype=np.uint32)
    return max(1, STREAMS_AT_A_TIME // env.num_agents), levels, number


def _play_on_host(
    env: Any, player: Player, params: Any, seeds: Any, key: Any
) -> dict[str, Num[Array, "N A"]]:
    """One episode for each seed, one after the other."""
    policy = player.policy(env, params)
    act = jax.jit(policy.act)
    episodes = []
    for seed in seeds.tolist():
        timestep, rows = env.reset(seed), []
        memory = policy.grow(policy.init(env.num_agents), env.max_steps)
        while not timestep.done.any():
            now = jax.random.fold_in(jax.random.fold_in(key, seed), len(rows))
            seen = jax.tree.map(jnp.asarray, timestep)
            memory, action, _ = act(memory, seen, now)
            timestep = env.step(np.asarray(action))
            rows.append(_row(seen, action, jax.tree.map(jnp.asarray, timestep), ~seen.done))
        rollout = jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *rows)
        accumulator, _ = env.stats.add(env.stats.init(env.num_agents), rollout)
        episodes.append(env.stats.episodes(accumulator))
    return jax.tree.map(lambda *each: jnp.stack(each), *episodes)


def _row(seen: TimeStep, action: Array, following: TimeStep, valid: Array) -> Rollout:
    """One step as a rollout."""
    row = recorded(seen.obs, valid, action, following)
    return jax.tree.map(lambda leaf: leaf[None], row)


def _play_chunk_to_end(
    env: Environment,
    player: Player,
    params: Any,
    key: Key[Array, ""],
    levels: Any,
    number: Integer[np.ndarray, " g"],
) -> dict[str, Num[Array, "g A"]]:
    """Levels with these numbers, until all episodes are over."""
    most = getattr(env, "evaluation_steps", env.max_steps)
    key = jax.random.fold_in(key, number[0])
    progress = _begin(env, player, params, levels)
    for begin in range(0, most, PROGRESS_STEPS):
        steps = min(PROGRESS_STEPS, most - begin)
        progress = _go_on(env, player, steps, progress, params, jax.random.fold_in(key, begin))
        if progress.over.all():
            break
    episodes = dict(env.stats.episodes(progress.episodes))
    if hasattr(env, "evaluation_steps"):
        episodes["unfinished"] = (~progress.over).astype(jnp.float32)
    return {name: leaf.reshape(-1, env.num_agents) for name, leaf in episodes.items()}


@partial(jax.jit, static_argnums=(0, 1))
def _begin(env: Environment, player: Player, params: Any, levels: Any) -> _Progress:
    policy = player.policy(env, params)
    state, timestep = jax.vmap(env.start)(levels)
    timestep = flatten(timestep)
    num_streams = len(timestep.reward)
    memory = policy.init(num_streams)
    if policy.context is None:
        memory = policy.grow(memory, getattr(env, "evaluation_steps", env.max_steps))
    else:
        memory = policy.keep(memory, policy.context)
    runner = RunnerState(state, timestep, memory)
    return _Progress(runner, timestep.done, env.stats.init(num_streams))


@partial(jax.jit, static_argnums=(0, 1, 2), donate_argnums=3)
def _go_on(
    env: Environment,
    player: Player,
    steps: int,
    progress: _Progress,
    params: Any,
    key: Key[Array, ""],
) -> _Progress:
    """So many steps more; nothing changes in an episode that is over."""
    policy = player.policy(env, params)

    def one(progress: _Progress, key: Array) -> tuple[_Progress, None]:
        (state, timestep, memory), over, before = progress
        memory, action, _ = policy.act(memory, timestep, key)
        state, following = jax.vmap(env.step)(state, by_environment(env, action))
        following = flatten(following)
        after, _ = env.stats.add(before, _row(timestep, action, following, ~over))

        def kept(old: Array, new: Array) -> Array:
            return jnp.where(over.reshape(-1, *[1] * (old.ndim - 1)), old, new)

        episodes = jax.tree.map(kept, before, after)
        runner = RunnerState(state, following, memory)
        return _Progress(runner, over | following.done, episodes), None

    memory = progress.runner.carry
    if policy.context is not None:
        memory = policy.grow(memory, policy.context + steps)
    progress = progress._replace(runner=progress.runner._replace(carry=memory))
    progress, _ = lax.scan(one, progress, jax.random.split(key, steps))
    if policy.context is not None:
        memory = policy.keep(progress.runner.carry, policy.context)
        progress = progress._replace(runner=progress.runner._replace(carry=memory))
    return progress


def frames(
    env: Any, player: Player, params: Any, level: Any, key: Key[Array, ""]
) -> Iterator[UInt8[np.ndarray, "h w 3"]]:
    """Pictures of an episode, one for each step, by the renderer of the environment.

    Args:
        env: the environment, with a function `frame`.
        player: chooses the actions.
        params: those of the agent; () without one.
        level: leaves [1, ...].
        key: source of the policy's randomness.
    """
    progress = _begin(env, player, params, level)
    for number in range(getattr(env, "evaluation_steps", env.max_steps) + 1):
        yield np.asarray(env.frame(jax.tree.map(lambda leaf: leaf[0], progress.runner.state)))
        if progress.over.all():
            return
        progress = _go_on(env, player, 1, progress, params, jax.random.fold_in(key, number))


@partial(jax.jit, static_argnums=(0, 1, 2))
def draw_levels(
    env: Environment, number: int, key_data: tuple[int, int] = EVALUATION_KEY_DATA
) -> tuple[Any, Key[Array, ""]]:
    """`environment.draw_levels`, compiled."""
    return environment.draw_levels(env.generate, number, key_data)


@partial(jax.jit, static_argnums=(0, 1))
def _play_chunk(
    env: Env,
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
        return jnp.moveaxis(x.reshape(env.max_steps, -1, env.num_agents), 0, 1)

    reward = jnp.where(rollout.valid, rollout.reward, 0)
    length = jnp.sum(by_level(rollout.valid), axis=1, dtype=jnp.int32)
    return Played(by_level(rollout.action.astype(jnp.uint8)), by_level(reward), length)
