"""Policies: functions from a memory and a timestep to an action."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float32, Int, Key, Num

from gridmem.envs.checks import refuse_forks
from gridmem.envs.environment import Box, Discrete
from gridmem.envs.types import TimeStep

Carry = Any


class PolicyOutput(NamedTuple):
    """The result of `Policy.act` for B streams.

    Attributes:
        carry: the memory after this timestep.
        action: i32[B], or f32[B, K] of a `Box`.
        extras: to be recorded in `Rollout.extras`, leaves [B, ...]; () for nothing.
    """

    carry: Carry
    action: Num[Array, "B *K"]
    extras: Any


def _unchanged(carry: Carry, num_steps: int) -> Carry:
    return carry


class Policy(NamedTuple):
    """A policy for B streams (agents of environments), used by training, evaluation and videos.

    Attributes:
        init: B -> the memory before the first timestep.
        act: (memory, timestep with leaves [B, ...], key) -> PolicyOutput.
        grow: (memory, steps) -> the memory with room for so many steps since the episode's start.
            `unroll` calls it between scans, so that a memory can begin small.
        context: timesteps before the present one that an action can depend on; None for all.
        keep: (memory, steps) -> the memory of the last steps, with room for no others; required of
            policies with a `context`.
    """

    init: Callable[[int], Carry]
    act: Callable[[Carry, TimeStep, Key[Array, ""]], PolicyOutput]
    grow: Callable[[Carry, int], Carry] = _unchanged
    context: int | None = None
    keep: Callable[[Carry, int], Carry] = _unchanged


def random_policy(actions: int | Discrete | Box) -> Policy:
    """Uniformly random actions: i32[B], or f32[B, K] of a `Box`.

    Args:
        actions: the action space, or n for the actions 0 to n - 1.
    """

    def act(carry: Carry, timestep: TimeStep, key: Key[Array, ""]) -> PolicyOutput:
        refuse_forks()
        batch = timestep.reward.shape
        if isinstance(actions, Box):
            shape = (*batch, len(actions.low))
            low, high = (jnp.broadcast_to(jnp.array(x), shape) for x in (actions.low, actions.high))
            action = jax.random.uniform(key, shape, jnp.float32, low, high)
        else:
            num_actions = actions if isinstance(actions, int) else actions.n
            action = jax.random.randint(key, batch, 0, num_actions, jnp.int32)
        return PolicyOutput(carry, action, ())

    return Policy(init=lambda batch: (), act=act)


def batched_index(
    values: Float32[Array, "*batch actions"], action: Int[Array, "*batch"]
) -> Float32[Array, "*batch"]:
    """The value of each row's action."""
    return jnp.take_along_axis(values, action[..., None], axis=-1)[..., 0]
