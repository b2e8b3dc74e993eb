"""Policies: a memory to begin with, and a rule that turns a timestep into an action."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float32, Int, Int32, Key

from gridmem.envs.types import TimeStep

Carry = Any


class Acted(NamedTuple):
    """What a policy answers for a batch of B streams."""

    carry: Carry
    action: Int32[Array, " B"]
    extras: Any  # whatever the caller wants recorded, leaves leading with B; () for nothing


def _same(carry: Carry, num_steps: int) -> Carry:
    return carry


class Policy(NamedTuple):
    """The protocol that training, evaluation and video drive; B streams at a time.

    Attributes:
        init: the memory before the first timestep, for a number of streams.
        act: (memory, timestep of B streams, key) -> Acted.
        grow: makes room in a memory for so many steps since the episode's start; unroll calls
            it between scans, so that a memory need not have its final size from the beginning.
    """

    init: Callable[[int], Carry]
    act: Callable[[Carry, TimeStep, Key[Array, ""]], Acted]
    grow: Callable[[Carry, int], Carry] = _same


def random_policy(num_actions: int) -> Policy:
    """Uniformly random actions, i32[B] of 0 to `num_actions` - 1."""

    def act(carry: Carry, timestep: TimeStep, key: Key[Array, ""]) -> Acted:
        action = jax.random.randint(key, timestep.reward.shape, 0, num_actions, jnp.int32)
        return Acted(carry, action, ())

    return Policy(init=lambda batch: (), act=act)


def chosen(
    values: Float32[Array, "*batch actions"], action: Int[Array, "*batch"]
) -> Float32[Array, "*batch"]:
    """The entry of each row that belongs to its action."""
    return jnp.take_along_axis(values, action[..., None], axis=-1)[..., 0]
