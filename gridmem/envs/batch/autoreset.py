"""Batches of environments with automatic resets."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Int32, Key, Num, UInt32

from gridmem.envs.batch.chunks import update_in_chunks
from gridmem.envs.batch.rollout import by_environment, flatten
from gridmem.envs.batch.seeding import level_key
from gridmem.envs.checks import check_whole_number, refuse_forks
from gridmem.envs.environment import Environment
from gridmem.envs.types import TimeStep

# Levels generated at a time, at least. On a CPU small chunks are fastest: 8 by measurement
# (tests/benchmarks/autoreset.py). Elsewhere a chunk takes its latency, whatever its size.
CPU_CHUNK_SIZE, ACCELERATOR_CHUNK_SIZE = 8, 512


class VectorState(NamedTuple):
    """The state of N environments."""

    envs: Any  # leaves [N, ...]
    keys: UInt32[Array, "N 2"]  # seed of each environment's stream of levels
    episode: UInt32[Array, " N"]  # number in the stream of the level that comes next
    done: Bool[Array, " N"]  # whether the episode is over


class Starts(NamedTuple):
    """The starts of N episodes; what they are is undefined where none begins."""

    envs: Any  # leaves [N, ...]
    timestep: TimeStep  # leaves [N, A, ...]


class Final(NamedTuple):
    """The result of a step of B streams before the environments that ended were reset."""

    timestep: TimeStep  # leaves [B, ...]
    visits: Int32[Array, " B"]


@dataclass(frozen=True)
class VectorEnv:
    """A batch of environments: pure functions of arrays, for jit and scan.

    Stream n * A + a of the B = N * A streams is agent a of environment n, as in `unroll`.
    Environment n plays level 0, 1, 2, ... of the stream of its seed (see `seeding.level_key`),
    so a batch equals N environments one by one, and no level is played twice.

    There is a step for each of Gymnasium's autoreset modes: `step` (next-step), `step_then_reset`
    (same-step) and `step_only` (disabled). Where no episode ends, none of them generates a level
    or copies a map. Donate the state (`donate_argnums`) when you jit a step by itself.

    Attributes:
        env: an `Environment`. `restart` and `step_then_reset` are for an `Env` only.
        num_envs: number of copies, N.

    Raises:
        ValueError: for an invalid value.
    """

    env: Any
    num_envs: int

    def __post_init__(self) -> None:
        check_whole_number("num_envs", self.num_envs, 1)

    def reset(
        self, keys: UInt32[Array, "N 2"], episode: UInt32[Array, " N"] | None = None
    ) -> tuple[VectorState, TimeStep]:
        """Begins an episode in every environment.

        Args:
            keys: the seed of each environment, see `seeding.seed_key`.
            episode: number of the level in its stream that each begins with; None for level 0.

        Returns:
            The state, and the timestep of every stream, leaves [B, ...].
        """
        refuse_forks()
        if episode is None:
            episode = jnp.zeros_like(keys, shape=self.num_envs)
        levels = jax.vmap(self.env.generate)(jax.vmap(level_key)(keys, episode))
        return self.start(levels, keys, episode + 1)

    def start(
        self, levels: Any, keys: UInt32[Array, "N 2"], episode: UInt32[Array, " N"]
    ) -> tuple[VectorState, TimeStep]:
        """Begins an episode on a given level in every environment, leaves [N, ...].

        After it, environment n plays level `episode[n]` of the stream of its seed.
        """
        envs, timestep = jax.vmap(self.env.start)(levels)
        done = jnp.zeros_like(episode, bool)
        return VectorState(envs, keys, episode, done), flatten(timestep)

    def restart(
        self, state: VectorState, mask: Bool[Array, " N"], levels: Any | None = None
    ) -> tuple[VectorState, TimeStep]:
        """Begins episodes in the marked environments and leaves the others as they are.

        Args:
            state: the state.
            mask: the environments to restart.
            levels: their levels, leaves [N, ...]; None for the next levels of their streams.
        """
        # An observation is a function of the state.
        now = jax.vmap(lambda env: self.env.observe(env, jnp.bool_(False)))(state.envs)
        if levels is None:
            state, timestep = self._with_reset(state, mask, state.envs, now)
        else:
            fresh = jax.vmap(self.env.start)(levels)
            envs, timestep = jax.tree.map(partial(_where, mask), fresh, (state.envs, now))
            state = state._replace(envs=envs)
        return state._replace(done=state.done & ~mask), flatten(timestep)

    def next_starts(
        self, state: VectorState, time: Int32[Array, " B"], num_steps: int
    ) -> Starts | None:
        """The starts of the episodes that begin in the next steps, for `step`.

        A loop of steps then generates no level, and on a GPU has no branch that depends on data.
        The levels are those that `step` would generate, and no others.

        Args:
            state: the state before these steps.
            time: of the timesteps of its streams.
            num_steps: of them.

        Returns:
            None unless `env.has_fixed_length` and there are at most `env.max_steps` steps, so that
            at most one episode begins in each environment.
        """
        fixed = getattr(self.env, "has_fixed_length", False)
        if not fixed or num_steps > self.env.max_steps:
            return None
        time = time.reshape(self.num_envs, -1)[:, 0]
        begins = state.done | (time + num_steps > self.env.max_steps)
        _, timestep = jax.eval_shape(self.env.reset, jax.eval_shape(lambda: jax.random.key(0)))
        timestep = jax.tree.map(lambda x: jnp.zeros((self.num_envs, *x.shape), x.dtype), timestep)
        after, timestep = self._with_reset(state, begins, state.envs, timestep)
        return Starts(after.envs, timestep)

    def step(
        self, state: VectorState, action: Num[Array, "B *K"], starts: Starts | None = None
    ) -> tuple[VectorState, TimeStep]:
        """Advances every environment, except that those that were done begin their next level.

        For these the action is ignored and the timestep is the first one of the new episode, with
        reward 0.

        Args:
            state: the state.
            action: of each stream.
            starts: what `next_starts` gave for steps of which this is one; None to generate levels
                here.
        """
        envs, timestep = self._stepped(state, action)
        if starts is None:
            state, timestep = self._with_reset(state, state.done, envs, timestep)
        else:
            envs, timestep = _replaced(self.env, state.done, Starts(envs, timestep), starts)
            episode = state.episode + state.done.astype(jnp.uint32)
            state = state._replace(envs=envs, episode=episode)
        return state._replace(done=timestep.done[:, 0]), flatten(timestep)

    def step_then_reset(
        self, state: VectorState, action: Num[Array, "B *K"]
    ) -> tuple[VectorState, TimeStep, Final]:
        """Advances every environment, and those that are done begin their next level at once.

        Returns:
            The state, the timestep for the next action, and the result of the step, with its reward
            and ends. The two timesteps differ where an episode ended.
        """
        envs, final = self._stepped(state, action)
        visits = envs.visits.reshape(-1)
        state, timestep = self._with_reset(state, final.done[:, 0], envs, final)
        return state, flatten(timestep), Final(flatten(final), visits)

    def step_only(
        self, state: VectorState, action: Num[Array, "B *K"]
    ) -> tuple[VectorState, TimeStep]:
        """Advances every environment without resets, also past its end; see `Env.step`."""
        envs, timestep = self._stepped(state, action)
        return state._replace(envs=envs, done=timestep.done[:, 0]), flatten(timestep)

    def _stepped(self, state: VectorState, action: Array) -> tuple[Any, TimeStep]:
        return jax.vmap(self.env.step)(state.envs, by_environment(self.env, action))

    def _with_reset(
        self, state: VectorState, mask: Array, envs: Any, timestep: TimeStep
    ) -> tuple[VectorState, TimeStep]:
        def key_of(rows: Array) -> Array:
            return jax.vmap(level_key)(state.keys[rows], state.episode[rows])

        envs, timestep = with_reset(self.env, mask, envs, timestep, key_of)
        episode = state.episode + mask.astype(jnp.uint32)
        return state._replace(envs=envs, episode=episode), timestep


def with_reset(
    env: Environment,
    mask: Bool[Array, " N"],
    state: Any,
    timestep: TimeStep,
    key_of: Callable[[Int32[Array, " c"]], Key[Array, " c"]],
) -> tuple[Any, TimeStep]:
    """Resets the marked environments; states and timesteps have leaves [N, ...].

    States and views are updated in one loop. It thus depends on everything that reads the old
    maps, so that the compiler can update these in place.

    Args:
        env: the environment.
        mask: the environments to reset.
        state: their states.
        timestep: their timesteps.
        key_of: from row numbers [c] to the keys of their new levels.
    """
    # Episodes of one length end together; of others few end at a time, and large chunks are waste.
    small = jax.default_backend() == "cpu" or env.mean_steps < env.max_steps
    least = CPU_CHUNK_SIZE if small else ACCELERATOR_CHUNK_SIZE
    old, size = (state, timestep), _chunk_size(env, mask, least)
    return update_in_chunks(mask, old, lambda rows: jax.vmap(env.reset)(key_of(rows)), size)


def _replaced(env: Environment, mask: Bool[Array, " N"], old: Starts, new: Starts) -> Starts:
    """The new rows where marked: by a loop over these on a CPU, elsewhere without a branch."""

    def in_chunks(mask: Array, old: Starts, new: Starts) -> Starts:
        size = _chunk_size(env, mask, CPU_CHUNK_SIZE)
        return update_in_chunks(mask, old, lambda rows: jax.tree.map(lambda x: x[rows], new), size)

    def everywhere(mask: Array, old: Starts, new: Starts) -> Starts:
        return jax.tree.map(partial(_where, mask), new, old)

    return lax.platform_dependent(mask, old, new, cpu=in_chunks, default=everywhere)


def _chunk_size(env: Environment, mask: Bool[Array, " N"], least: int) -> int:
    """So many episodes end in a step on average, when they do not all end at once; or `least`."""
    return max(least, mask.shape[0] // env.mean_steps)


def _where(mask: Array, new: Array, old: Array) -> Array:
    return jnp.where(mask.reshape(-1, *[1] * (new.ndim - 1)), new, old)
