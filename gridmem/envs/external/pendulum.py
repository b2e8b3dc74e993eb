"""Gymnasium's Pendulum-v1 as a JAX environment: swing a rod up and hold it there."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float32, Int32, Key, UInt8

from gridmem.envs.analysis.episode_stats import Returns
from gridmem.envs.checks import check_whole_number
from gridmem.envs.environment import Box, Numbers, draw_levels
from gridmem.envs.external.pendulum_picture import picture
from gridmem.envs.types import TimeStep

MAX_TORQUE, MAX_VELOCITY = 2.0, 8.0  # N m, rad/s
SECONDS = 0.05  # of a step
GRAVITY, MASS, LENGTH = 10.0, 1.0, 1.0  # m/s^2, kg, m
SHOWN = {None: slice(0, 3), "velocity": slice(0, 2), "position": slice(2, 3)}
"""Which of the three numbers are observed, by what is hidden."""


class PendulumObservation(NamedTuple):
    """What the agent observes, in Gymnasium's units.

    Observation f32[1,D]: cosine and sine of the angle, and the velocity in rad/s, -8 to 8, unless
    hidden. Last_action f32[1,1], last_reward f32[1].
    """

    observation: Float32[Array, "*batch 1 D"]
    last_action: Float32[Array, "*batch 1 1"]
    last_reward: Float32[Array, "*batch 1"]


class PendulumState(NamedTuple):
    """The whole state of an episode.

    Angle f32[] in rad, 0 upright, counterclockwise, -pi to pi; velocity f32[] in rad/s; torque
    f32[] of the last step in N m; time i32[].
    """

    angle: Float32[Array, ""]
    velocity: Float32[Array, ""]
    torque: Float32[Array, ""]
    time: Int32[Array, ""]


@dataclass(frozen=True)
class Pendulum:
    """A rod that hangs from a pivot, with a motor too weak to lift it without a swing.

    Each step equals that of `gymnasium.envs.classic_control.PendulumEnv`, in float32.

    Observation: a `PendulumObservation`.
    Action: f32[1,1], the torque; beyond -2 and 2 it is clipped, also in `last_action`.
    Reward: -(angle^2 + 0.1 velocity^2 + 0.001 torque^2), of the state before the step; -16.3 to 0.
    Termination: never.
    Truncation: after `max_steps` steps.

    A level is the first angle and velocity, f32[2], uniform in -pi to pi and -1 to 1.

    Attributes:
        hide: "velocity" or "position" (the cosine and sine), to leave it out of the observation.
        max_steps: steps of an episode.

    Raises:
        ValueError: for an invalid value.
    """

    hide: str | None = None
    max_steps: int = 200
    num_agents = 1
    actions = Box((-MAX_TORQUE,), (MAX_TORQUE,))
    stats = Returns()

    def __post_init__(self) -> None:
        check_whole_number("max_steps", self.max_steps, 1)
        if self.hide not in tuple(SHOWN):
            raise ValueError(f"hide is {self.hide!r}; it must be 'velocity', 'position' or nothing")

    @property
    def mean_steps(self) -> int:
        """All episodes have one length."""
        return self.max_steps

    @property
    def parts(self) -> tuple[Numbers, ...]:
        """One part, of the numbers that are not hidden."""
        shown = SHOWN[self.hide]
        return (Numbers("observation", (shown.stop - shown.start,)),)

    @property
    def about(self) -> str:
        """The environment in a few words."""
        hidden = f", {self.hide} hidden" if self.hide else ""
        return f"Gymnasium's pendulum in JAX{hidden}, {self.max_steps} steps"

    def generate(self, key: Key[Array, ""]) -> Float32[Array, "2"]:
        """Draws a level."""
        unit = jax.random.uniform(key, (2,), jnp.float32, -1, 1)
        return unit * jnp.array([jnp.pi, 1], jnp.float32)

    def evaluation_levels(self, num_levels: int) -> Float32[Array, "N 2"]:
        """Fixed levels, drawn from a key that no training run uses."""
        return draw_levels(self.generate, num_levels)[0]

    def start(self, level: Float32[Array, "2"]) -> tuple[PendulumState, TimeStep]:
        """Begins an episode on a level."""
        level, zero = jnp.asarray(level, jnp.float32), jnp.zeros((), jnp.float32)
        return self._result(PendulumState(level[0], level[1], zero, jnp.zeros((), jnp.int32)), zero)

    def reset(self, key: Key[Array, ""]) -> tuple[PendulumState, TimeStep]:
        """Begins an episode on a level drawn from the key."""
        return self.start(self.generate(key))

    def step(self, state: PendulumState, action: Any) -> tuple[PendulumState, TimeStep]:
        """Advances the agent by one action, f32[1,1]; the clock goes on after the end, too."""
        ((torque,),) = jnp.asarray(action, jnp.float32)
        torque = jnp.clip(torque, -MAX_TORQUE, MAX_TORQUE)
        angle, velocity = state.angle, state.velocity
        cost = _wrapped(angle) ** 2 + 0.1 * velocity**2 + 0.001 * torque**2
        gravity = 3 * GRAVITY / (2 * LENGTH) * jnp.sin(angle)
        acceleration = gravity + 3 / (MASS * LENGTH**2) * torque
        velocity = jnp.clip(velocity + acceleration * SECONDS, -MAX_VELOCITY, MAX_VELOCITY)
        # Gymnasium lets the angle grow, which float32 would make coarse.
        angle = _wrapped(angle + velocity * SECONDS)
        return self._result(PendulumState(angle, velocity, torque, state.time + 1), -cost)

    def frame(self, state: PendulumState) -> UInt8[np.ndarray, "H W 3"]:
        """A picture of a state: the rod, and an arrow for the torque; not for `jax.jit`."""
        return picture(float(state.angle), float(state.torque) / MAX_TORQUE)

    def _result(
        self, state: PendulumState, reward: Float32[Array, ""]
    ) -> tuple[PendulumState, TimeStep]:
        numbers = jnp.stack([jnp.cos(state.angle), jnp.sin(state.angle), state.velocity])
        shown = numbers[None, SHOWN[self.hide]]
        obs: Any = PendulumObservation(shown, state.torque[None, None], reward[None])
        return state, TimeStep(
            obs=obs,
            reward=reward[None],
            terminated=jnp.zeros(1, bool),
            truncated=(state.time >= self.max_steps)[None],
            time=state.time[None],
        )


def _wrapped(angle: Float32[Array, ""]) -> Float32[Array, ""]:
    """The same angle between -pi and pi."""
    return (angle + jnp.pi) % (2 * jnp.pi) - jnp.pi
