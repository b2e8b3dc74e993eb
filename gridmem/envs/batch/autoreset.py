"""A batch of environments that begin new episodes by themselves."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int32, Integer, Key, UInt32

from gridmem.envs.batch.chunks import update_rows
from gridmem.envs.batch.rollout import flatten
from gridmem.envs.batch.seeding import level_key
from gridmem.envs.env import Env
from gridmem.envs.types import Level, State, TimeStep

# Levels made at a time, at least. On a CPU small groups cost least: 8 by measurement
# (tests/benchmarks/autoreset.py). Elsewhere a group costs its latency, whatever its size.
CPU_GROUP, ACCELERATOR_GROUP = 8, 512


class VectorState(NamedTuple):
    """The state of N environments."""

    envs: State  # leaves [N, ...]
    keys: UInt32[Array, "N 2"]  # seed of each environment's stream of levels
    episode: UInt32[Array, " N"]  # number in the stream of the level that comes next
    done: Bool[Array, " N"]  # whether the episode is over


class Final(NamedTuple):
    """What a step led to before those that ended were reset; B streams."""

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
    or copies a map. Give the state away (`donate_argnums`) when you jit a step by itself.

    Attributes:
        env: what is played.
        num_envs: how many of it, N.

    Raises:
        ValueError: for a value that cannot be.
    """

    env: Env
    num_envs: int

    def __post_init__(self) -> None:
        num = self.num_envs
        if isinstance(num, bool) or not isinstance(num, int) or num < 1:
            raise ValueError(f"num_envs is {num!r}; it must be a whole number, 1 or more")

    def reset(
        self, keys: UInt32[Array, "N 2"], episode: UInt32[Array, " N"] | None = None
    ) -> tuple[VectorState, TimeStep]:
        """Begins an episode in every environment.

        Args:
            keys: the seed of each environment, see `seeding.seed_key`.
            episode: which level of its stream each one begins with; None for level 0.

        Returns:
            The state, and the timestep of every stream, leaves [B, ...].
        """
        if episode is None:
            episode = jnp.zeros_like(keys, shape=self.num_envs)
        levels = jax.vmap(self.env.generate)(jax.vmap(level_key)(keys, episode))
        return self.start(levels, keys, episode + 1)

    def start(
        self, levels: Level, keys: UInt32[Array, "N 2"], episode: UInt32[Array, " N"]
    ) -> tuple[VectorState, TimeStep]:
        """Begins an episode on a given level in every environment, leaves [N, ...].

        The streams come next: environment n goes on to level `episode[n]` of its seed.
        """
        envs, timestep = jax.vmap(self.env.start)(levels)
        done = jnp.zeros_like(episode, bool)
        return VectorState(envs, keys, episode, done), flatten(timestep)

    def restart(
        self, state: VectorState, mask: Bool[Array, " N"], levels: Level | None = None
    ) -> tuple[VectorState, TimeStep]:
        """Begins episodes in the marked environments; what the others see stays as it is.

        Args:
            state: the state.
            mask: which environments.
            levels: what they play, leaves [N, ...]; None for the next levels of their streams.
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

    def step(
        self, state: VectorState, action: Integer[Array, " B"]
    ) -> tuple[VectorState, TimeStep]:
        """Advances every environment; those that were done begin their next level instead.

        For them the action is ignored and the timestep is the first one of the new episode: its
        reward is 0, its `last_action` that of no action.
        """
        envs, timestep = self._stepped(state, action)
        state, timestep = self._with_reset(state, state.done, envs, timestep)
        return state._replace(done=timestep.done[:, 0]), flatten(timestep)

    def step_then_reset(
        self, state: VectorState, action: Integer[Array, " B"]
    ) -> tuple[VectorState, TimeStep, Final]:
        """Advances every environment, and those that are done begin their next level at once.

        Returns:
            The state, the timestep to act upon next, and what the action led to: reward and
            end are to be read there. The two timesteps differ where an episode ended.
        """
        envs, final = self._stepped(state, action)
        visits = envs.visits.reshape(-1)
        state, timestep = self._with_reset(state, final.done[:, 0], envs, final)
        return state, flatten(timestep), Final(flatten(final), visits)

    def step_only(
        self, state: VectorState, action: Integer[Array, " B"]
    ) -> tuple[VectorState, TimeStep]:
        """Advances every environment, also past its end; see `Env.step`."""
        envs, timestep = self._stepped(state, action)
        return state._replace(envs=envs, done=timestep.done[:, 0]), flatten(timestep)

    def _stepped(self, state: VectorState, action: Array) -> tuple[State, TimeStep]:
        return jax.vmap(self.env.step)(state.envs, action.reshape(-1, self.env.num_agents))

    def _with_reset(
        self, state: VectorState, mask: Array, envs: State, timestep: TimeStep
    ) -> tuple[VectorState, TimeStep]:
        def key_of(rows: Array) -> Array:
            return jax.vmap(level_key)(state.keys[rows], state.episode[rows])

        envs, timestep = with_reset(self.env, mask, envs, timestep, key_of)
        episode = state.episode + mask.astype(jnp.uint32)
        return state._replace(envs=envs, episode=episode), timestep


def with_reset(
    env: Env,
    mask: Bool[Array, " N"],
    state: State,
    timestep: TimeStep,
    key_of: Callable[[Int32[Array, " g"]], Key[Array, " g"]],
) -> tuple[State, TimeStep]:
    """States and timesteps, leaves [N, ...], the marked ones replaced by those of `env.reset`.

    The rows, views included, go through the loop together: it depends on all that reads the old
    maps, so the compiler can update them in place.

    Args:
        env: what is played.
        mask: which environments to reset.
        state: their states.
        timestep: their timesteps.
        key_of: from g row numbers to the keys of their new levels.
    """
    num_envs = mask.shape[0]
    least = CPU_GROUP if jax.default_backend() == "cpu" else ACCELERATOR_GROUP
    # So many end in a step on average, when the episodes do not end all at once.
    group = max(least, num_envs // env.max_steps)
    rows = state, timestep
    return update_rows(mask, rows, lambda index: jax.vmap(env.reset)(key_of(index)), group)


def _where(mask: Array, new: Array, old: Array) -> Array:
    return jnp.where(mask.reshape(-1, *[1] * (new.ndim - 1)), new, old)
