"""Training in caves that grow: each level has a size, steps and a distance to the goal."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float32, Int32, Key

from gridmem.baselines.config import TrainConfig
from gridmem.baselines.ppo.settings import CurriculumConfig
from gridmem.envs.env import Env
from gridmem.envs.environment import Discrete, EpisodeStatistics, Part
from gridmem.envs.types import Level, State, TimeStep


class TimedLevel(NamedTuple):
    """A level and the steps of its episode."""

    level: Level
    max_steps: Int32[Array, ""]


class TimedState(NamedTuple):
    """A state and the steps of its episode."""

    state: State
    max_steps: Int32[Array, ""]


def growth(config: TrainConfig, env: Any, num_updates: Int32[Array, ""]) -> Float32[Array, ""]:
    """How far the caves have grown after so many updates: 0 at first, 1 at the size of the id."""
    share = config.ppo.steps_per_update(env) / config.ppo.curriculum.grow_steps
    return jnp.minimum(num_updates.astype(jnp.float32) * share, 1)


def least_growth(
    config: TrainConfig, env: Any, num_updates: Int32[Array, ""]
) -> Float32[Array, ""]:
    """The least growth of the levels whose episodes end in the update after so many."""
    steps = config.ppo.rollout_steps
    ago = 0 if steps is None else -(-env.max_steps // steps)  # updates, of the longest episode
    return growth(config, env, jnp.maximum(num_updates - ago, 0))


def in_growth(config: TrainConfig, env: Any, num_updates: Int32[Array, ""] | int = 0) -> Any:
    """The environment with the levels of an update after so many, for use within a trace."""
    if not config.ppo.curriculum.grow_steps:
        return env
    share = growth(config, env, jnp.asarray(num_updates, jnp.int32))
    return GrowingEnv(env, config.ppo.curriculum, share)


@dataclass(frozen=True, eq=False)
class GrowingEnv:
    """An `Env` whose levels are as large as `share` says; see `CurriculumConfig`.

    Attributes:
        env: with the largest levels.
        settings: of the growth.
        share: of it that is over, traced or not.
    """

    env: Env
    settings: CurriculumConfig
    share: Float32[Array, ""]

    @property
    def num_agents(self) -> int:
        """See `Environment`."""
        return self.env.num_agents

    @property
    def actions(self) -> Discrete:
        """See `Environment`."""
        return self.env.actions

    @property
    def max_steps(self) -> int:
        """See `Environment`."""
        return self.env.max_steps

    @property
    def mean_steps(self) -> int:
        """See `Environment`."""
        return self.env.mean_steps

    @property
    def has_fixed_length(self) -> bool:
        """See `Environment`; not where the steps of an episode grow, too."""
        return self.env.has_fixed_length and self.settings.start_max_steps is None

    @property
    def parts(self) -> tuple[Part, ...]:
        """See `Environment`."""
        return self.env.parts

    @property
    def stats(self) -> EpisodeStatistics:
        """See `Environment`."""
        return self.env.stats

    @property
    def about(self) -> str:
        """See `Environment`."""
        return self.env.about

    def generate(self, key: Key[Array, ""]) -> TimedLevel:
        """Draws a level of a size that is drawn, too.

        Sizes are uniform between two bounds. In the first half of the growth the upper one rises
        from the smallest size to that of the id, in the second half the lower one.
        """
        # The keys of `Env.generate` may be `fold_in(key, 0)` and `fold_in(key, 1)`.
        low, high = jnp.maximum(2 * self.share - 1, 0), jnp.minimum(2 * self.share, 1)
        size = low + (high - low) * jax.random.uniform(jax.random.fold_in(key, 2), (), jnp.float32)
        settings, map_ = self.settings, self.env.config.map

        def between(first: int | None, last: int) -> Int32[Array, ""]:
            first = last if first is None else first
            drawn = jnp.floor(first + size * (last - first + 1)).astype(jnp.int32)
            return jnp.minimum(drawn, last)

        side = between(settings.start_side, max(map_.height, map_.width))
        distance = None
        if settings.start_distance is not None:
            distance = between(settings.start_distance, map_.height + map_.width)
            distance = jnp.where(size == 1, map_.height * map_.width, distance)  # any
        max_steps = between(settings.start_max_steps, self.env.max_steps)
        return TimedLevel(self.env.generate(key, side, distance), max_steps)

    def start(self, level: TimedLevel) -> tuple[TimedState, TimeStep]:
        """See `Environment`."""
        state, timestep = self.env.start(level.level)
        return TimedState(state, level.max_steps), timestep

    def reset(self, key: Key[Array, ""]) -> tuple[TimedState, TimeStep]:
        """See `Environment`."""
        return self.start(self.generate(key))

    def step(self, state: TimedState, action: Any) -> tuple[TimedState, TimeStep]:
        """See `Environment`."""
        after, timestep = self.env.step(state.state, action)
        truncated = timestep.truncated | (timestep.time >= state.max_steps)
        return state._replace(state=after), timestep._replace(truncated=truncated)
