"""The one loop over environment and policy: training, evaluation and video all use it."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float32, Int32, Key

from gridmem.envs.batch.policy import Policy
from gridmem.envs.env import Env
from gridmem.envs.types import Level, Observation, State, TimeStep

CHUNK_STEPS = 64
"""Steps between two occasions at which a policy's memory grows."""


class Rollout(NamedTuple):
    """T steps of B = N * A streams, time-major; stream n * A + a is agent a of environment n."""

    obs: Observation  # what the action was chosen on; leaves [T, B, ...]
    valid: Bool[Array, "T B"]  # whether the episode was still going on then
    action: Int32[Array, "T B"]
    reward: Float32[Array, "T B"]  # what the action led to, as are the next two
    terminated: Bool[Array, "T B"]
    truncated: Bool[Array, "T B"]
    extras: Any


class Streams(NamedTuple):
    """B streams between two steps."""

    state: Any  # of the environments
    timestep: TimeStep  # leaves [B, ...]; not yet acted upon
    carry: Any  # the policy's memory


class Unrolled(NamedTuple):
    """Where an unroll stopped, and what happened on the way."""

    state: Any  # of `play`: a State with leaves [N, ...]
    timestep: TimeStep  # leaves [B, ...]; not yet acted upon
    carry: Any
    rollout: Rollout

    @property
    def streams(self) -> Streams:
        """Where to go on."""
        return Streams(self.state, self.timestep, self.carry)


def play(
    env: Env, policy: Policy, levels: Level, key: Key[Array, ""], chunk_steps: int = CHUNK_STEPS
) -> Unrolled:
    """Whole episodes from their start.

    Args:
        env: the environment.
        policy: who acts.
        levels: one level per environment, leaves [N, ...].
        key: source of the policy's randomness.
        chunk_steps: steps between two occasions at which the policy's memory grows.
    """

    def step(state: State, action: Array) -> tuple[State, TimeStep]:
        state, timestep = jax.vmap(env.step)(state, action.reshape(-1, env.num_agents))
        return state, flatten(timestep)

    state, timestep = jax.vmap(env.start)(levels)
    timestep = flatten(timestep)
    streams = Streams(state, timestep, policy.init(timestep.reward.shape[0]))
    return advance(step, policy, streams, key, env.max_steps, 0, chunk_steps)


def advance(
    step: Callable[[Any, Array], tuple[Any, TimeStep]],
    policy: Policy,
    streams: Streams,
    key: Key[Array, ""],
    num_steps: int,
    room: int,
    chunk_steps: int = CHUNK_STEPS,
) -> Unrolled:
    """A number of steps from wherever the streams are.

    Args:
        step: (state, action i32[B]) -> (state, timestep of B streams); that of a `VectorEnv`
            begins new episodes.
        policy: who acts.
        streams: where to begin.
        key: source of the policy's randomness.
        num_steps: how many.
        room: steps that the policy's memory has room for at the beginning.
        chunk_steps: steps between two occasions at which it grows.
    """

    def one(carry: tuple[Streams, Array], key: Key[Array, ""]) -> Any:
        (state, timestep, memory), over = carry
        memory, action, extras = policy.act(memory, timestep, key)
        state, following = step(state, action)
        rollout = Rollout(
            obs=timestep.obs,
            valid=~over,
            action=action,
            reward=following.reward,
            terminated=following.terminated,
            truncated=following.truncated,
            extras=extras,
        )
        over = following.done | (over & (following.time > 0))
        return (Streams(state, following, memory), over), rollout

    keys = jax.random.split(key, num_steps)
    over, rollouts = streams.timestep.done, []
    for begin in range(0, num_steps, chunk_steps):
        end = min(begin + chunk_steps, num_steps)
        streams = streams._replace(carry=policy.grow(streams.carry, room + end))
        (streams, over), rollout = lax.scan(one, (streams, over), keys[begin:end])
        rollouts.append(rollout)
    rollout = jax.tree.map(lambda *chunks: jnp.concatenate(chunks), *rollouts)
    return Unrolled(*streams, rollout)


def flatten(timestep: TimeStep) -> TimeStep:
    """Joins the environment and agent axes: [N, A, ...] -> [B, ...]."""
    return jax.tree.map(lambda x: x.reshape(x.shape[0] * x.shape[1], *x.shape[2:]), timestep)
