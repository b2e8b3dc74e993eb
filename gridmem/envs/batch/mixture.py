"""Several environments side by side, whose streams one network plays and learns from."""

from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int32, UInt32

from gridmem.envs.batch.autoreset import Starts, VectorEnv
from gridmem.envs.batch.rollout import Rollout
from gridmem.envs.environment import Column
from gridmem.envs.types import TimeStep

SEPARATOR = "+"
"""Between the ids of a mixture."""


@dataclass(frozen=True)
class Mixture:
    """Environments by their ids, in the order of their streams.

    Timesteps and rollouts of a mixture have the streams of all its environments one after the
    other; their observations and events are tuples with an entry for each environment.

    Attributes:
        ids: of the environments.
        envs: JAX environments with a finite number of actions.
        num_streams: agents of each environment that are played side by side; a multiple of its
            number of agents.
    """

    ids: tuple[str, ...]
    envs: tuple[Any, ...]
    num_streams: tuple[int, ...] = ()

    @property
    def num_agents(self) -> int:
        """Of a mixture every stream counts as an environment."""
        return 1

    @property
    def max_steps(self) -> int:
        """The most steps of an episode in any environment."""
        return max(env.max_steps for env in self.envs)

    @property
    def stats(self) -> "MixtureStatistics":
        """See `EpisodeStatistics`; the names of metrics begin with the id and a slash."""
        return MixtureStatistics(self)

    @property
    def about(self) -> str:
        """The streams of each environment."""
        total = sum(self.num_streams) or len(self.ids)
        shares = (each / total for each in self.num_streams or [1] * len(self.ids))
        return ", ".join(f"{share:.0%} {id}" for share, id in zip(shares, self.ids, strict=True))

    def split(self, tree: Any, axis: int = 0) -> list[Any]:
        """The streams of each environment, of a tree whose leaves have those of all.

        Leaves without axes are given to all.
        """
        bounds = pairwise([0, *accumulate(self.num_streams)])

        def part(begin: int, end: int) -> Any:
            def cut(x: Array) -> Array:
                return jax.lax.slice_in_dim(x, begin, end, axis=axis) if jnp.ndim(x) else x

            return jax.tree.map(cut, tree)

        return [part(begin, end) for begin, end in bounds]

    def split_rollout(self, rollout: Rollout) -> list[Rollout]:
        """The rollout of each environment."""
        obs, events = rollout.obs, rollout.events
        parts = self.split(rollout._replace(obs=(), events=()), axis=1)
        return [
            part._replace(obs=obs[number], events=events[number])
            for number, part in enumerate(parts)
        ]


@dataclass(frozen=True)
class MixtureStatistics:
    """The statistics of each environment by itself."""

    mixture: Mixture

    @property
    def columns(self) -> tuple[Column, ...]:
        """See `EpisodeStatistics`."""
        columns = []
        for id, env in zip(self.mixture.ids, self.mixture.envs, strict=True):
            for column in env.stats.columns:
                heading = column.heading and f"{column.heading} {id}"
                axis = column.axis and f"{id}: {column.axis}"
                counted = column.counted_by and f"{id}/{column.counted_by}"
                name = f"{id}/{column.name}"
                columns.append(
                    column._replace(name=name, heading=heading, axis=axis, counted_by=counted)
                )
        return tuple(columns)

    def init(self, num_streams: int) -> tuple[Any, ...]:
        """See `EpisodeStatistics`."""
        pairs = zip(self.mixture.envs, self.mixture.num_streams, strict=True)
        return tuple(env.stats.init(number) for env, number in pairs)

    def add(
        self, accumulator: tuple[Any, ...], rollout: Rollout
    ) -> tuple[tuple[Any, ...], dict[str, Array]]:
        """See `EpisodeStatistics`."""
        after, metrics = [], {}
        parts = self.mixture.split_rollout(rollout)
        for number, (id, env) in enumerate(zip(self.mixture.ids, self.mixture.envs, strict=True)):
            each, of_env = env.stats.add(accumulator[number], parts[number])
            after.append(each)
            metrics |= {f"{id}/{name}": value for name, value in of_env.items()}
        return tuple(after), metrics

    def whole(self, rollout: Rollout) -> dict[str, Array]:
        """See `EpisodeStatistics`."""
        return self.add(self.init(0), rollout)[1]


@dataclass(frozen=True)
class MixtureVectorEnv:
    """The batch of each environment; `reset`, `next_starts` and `step` as in `VectorEnv`."""

    mixture: Mixture

    @property
    def num_envs(self) -> int:
        """The environments of all kinds."""
        return sum(batch.num_envs for batch in self._batches)

    def reset(self, keys: UInt32[Array, "N 2"]) -> tuple[tuple[Any, ...], TimeStep]:
        """Begins an episode in every environment."""
        bounds = pairwise([0, *accumulate(batch.num_envs for batch in self._batches)])
        pairs = zip(self._batches, bounds, strict=True)
        return _joined([batch.reset(keys[begin:end]) for batch, (begin, end) in pairs])

    def next_starts(
        self, state: tuple[Any, ...], time: Int32[Array, " B"], num_steps: int
    ) -> tuple[Starts | None, ...]:
        """Of each environment by itself."""
        rows = zip(self._batches, state, self.mixture.split(time), strict=True)
        return tuple(batch.next_starts(own, times, num_steps) for batch, own, times in rows)

    def step(
        self,
        state: tuple[Any, ...],
        action: Int32[Array, " B"],
        starts: tuple[Starts | None, ...] | None = None,
    ) -> tuple[tuple[Any, ...], TimeStep]:
        """Advances every environment, or begins its next level."""
        starts = starts or (None,) * len(state)
        rows = zip(self._batches, state, self.mixture.split(action), starts, strict=True)
        return _joined([batch.step(own, taken, start) for batch, own, taken, start in rows])

    @property
    def _batches(self) -> list[VectorEnv]:
        pairs = zip(self.mixture.envs, self.mixture.num_streams, strict=True)
        return [VectorEnv(env, number // env.num_agents) for env, number in pairs]


def _joined(results: list[tuple[Any, TimeStep]]) -> tuple[tuple[Any, ...], TimeStep]:
    states, timesteps = zip(*results, strict=True)
    bare = [timestep._replace(obs=(), events=()) for timestep in timesteps]
    joined: TimeStep = jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *bare)
    obs: Any = tuple(timestep.obs for timestep in timesteps)
    return states, joined._replace(obs=obs, events=tuple(each.events for each in timesteps))


def compiles_slowly(env: Any) -> bool:
    """Whether an environment, or one of a mixture, says that its programs take minutes."""
    envs = env.envs if isinstance(env, Mixture) else (env,)
    return any(getattr(each, "compiles_slowly", False) for each in envs)


def vector_env(env: Any, num_envs: int) -> VectorEnv | MixtureVectorEnv:
    """The batch of an environment, or of a mixture, which has its own numbers of environments."""
    return MixtureVectorEnv(env) if isinstance(env, Mixture) else VectorEnv(env, num_envs)
