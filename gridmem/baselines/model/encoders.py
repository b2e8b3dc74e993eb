"""Encoders: each part of an observation has a matrix, and a token is the sum of the products."""

import math
from functools import partial
from itertools import groupby
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from gridmem.baselines.model.layers import dense, matrix
from gridmem.envs.environment import Counts, Ids, PackedIds, Part


def make_encoder(part: Part, width: int, rngs: nnx.Rngs) -> nnx.Param:
    """The matrix [inputs, width] of a part."""
    num_inputs = math.prod(part.shape)
    if isinstance(part, Ids | PackedIds):
        # At most so many of the inputs are 1: one for each cell and kind.
        kinds = part.num_ids if isinstance(part, PackedIds) else (part.num_ids,)
        spread = nnx.initializers.normal(1 / math.sqrt(num_inputs * len(kinds)))
        return matrix(rngs, num_inputs * sum(kinds), width, spread)
    return matrix(rngs, num_inputs, width)


def encode(part: Part, weight: Array, x: Array, dtype: Any) -> Float[Array, "*batch D"]:
    """The features of a part, whose leaves are [*batch, *shape]."""
    batch = x.shape[: x.ndim - len(part.shape)]
    if isinstance(part, PackedIds):
        return _encode_packed(part, weight.astype(dtype), x, batch)
    if isinstance(part, Ids):
        inputs = jax.nn.one_hot(x, part.num_ids, dtype=dtype)
    elif isinstance(part, Counts):
        inputs = x.astype(jnp.float32 if part.root else dtype)
        inputs = jnp.sqrt(inputs).astype(dtype) if part.root else inputs
        inputs = inputs / jnp.asarray(part.scale, dtype)
    else:
        inputs = x.astype(dtype)
    return dense(inputs.reshape(*batch, -1), weight.astype(dtype))


def _encode_packed(
    part: PackedIds, weight: Array, x: Array, batch: tuple[int, ...]
) -> Float[Array, "*batch D"]:
    """The sum of the products of the kinds, those with as many ids together.

    The inputs are many times as large as the integers that they are made of, so they are made again
    for the gradient, and those of all kinds never exist at the same time.
    """
    cells = math.prod(part.shape)
    ids, groups = iter(part.unpacked(x)), groupby(part.num_ids)
    total, begin = jnp.zeros((*batch, weight.shape[1]), weight.dtype), 0

    @partial(jax.checkpoint, static_argnums=2)
    def product(ids: Array, weight: Array, number: int) -> Array:
        inputs = jax.nn.one_hot(ids, number, dtype=weight.dtype)
        return dense(inputs.reshape(*batch, -1), weight)

    for number, kinds in groups:
        together = jnp.stack([next(ids) for _ in kinds], axis=-1)
        end = begin + cells * together.shape[-1] * number
        total += product(together, weight[begin:end], number)
        begin = end
    return total
