"""The one loop over environment and policy: training, evaluation and video all use it."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float32, Int32, Key

from gridmem.envs.env import Env
from gridmem.envs.policy import Policy
from gridmem.envs.types import Level, Observation, State, TimeStep


class Rollout(NamedTuple):
    """T steps of B = N * A streams, time-major; stream n * A + a is agent a of environment n."""

    obs: Observation  # what the action was chosen on; leaves [T, B, ...]
    action: Int32[Array, "T B"]
    reward: Float32[Array, "T B"]  # what the action led to, as are the next two
    terminated: Bool[Array, "T B"]
    truncated: Bool[Array, "T B"]
    extras: Any


class Unrolled(NamedTuple):
    """Where an unroll stopped, and what happened on the way."""

    state: State  # leaves [N, ...]
    timestep: TimeStep  # leaves [B, ...]; not yet acted upon
    carry: Any
    rollout: Rollout


def play(
    env: Env, policy: Policy, levels: Level, key: Key[Array, ""], chunk_steps: int = 64
) -> Unrolled:
    """Whole episodes from their start.

    Args:
        env: the environment.
        policy: who acts.
        levels: one level per environment, leaves [N, ...].
        key: source of the policy's randomness.
        chunk_steps: steps between two occasions at which the policy's memory grows.
    """
    state, timestep = jax.vmap(env.start)(levels)
    timestep = flatten(timestep)
    carry = policy.init(timestep.reward.shape[0])
    scan_step = _scan_step(env, policy)
    keys = jax.random.split(key, env.max_steps)
    rollouts = []
    for begin in range(0, env.max_steps, chunk_steps):
        end = min(begin + chunk_steps, env.max_steps)
        carry = policy.grow(carry, end)
        (state, timestep, carry), rollout = lax.scan(
            scan_step, (state, timestep, carry), keys[begin:end]
        )
        rollouts.append(rollout)
    rollout = jax.tree.map(lambda *chunks: jnp.concatenate(chunks), *rollouts)
    return Unrolled(state, timestep, carry, rollout)


def _scan_step(env: Env, policy: Policy) -> Any:
    num_agents = env.num_agents

    def step(carry: tuple[State, TimeStep, Any], key: Key[Array, ""]) -> Any:
        state, timestep, memory = carry
        memory, action, extras = policy.act(memory, timestep, key)
        state, following = jax.vmap(env.step)(state, action.reshape(-1, num_agents))
        following = flatten(following)
        rollout = Rollout(
            obs=timestep.obs,
            action=action,
            reward=following.reward,
            terminated=following.terminated,
            truncated=following.truncated,
            extras=extras,
        )
        return (state, following, memory), rollout

    return step


def flatten(timestep: TimeStep) -> TimeStep:
    """Joins the environment and agent axes: [N, A, ...] -> [B, ...]."""
    return jax.tree.map(lambda x: x.reshape(x.shape[0] * x.shape[1], *x.shape[2:]), timestep)
