"""Encoders: each part of an observation has a matrix, and a token is the sum of the products."""

import math
from typing import Any

import jax
from flax import nnx
from jaxtyping import Array, Float

from gridmem.baselines.model.layers import dense, matrix
from gridmem.envs.environment import Counts, Ids, Part


def make_encoder(part: Part, width: int, rngs: nnx.Rngs) -> nnx.Param:
    """The matrix [inputs, width] of a part."""
    num_inputs = math.prod(part.shape)
    if isinstance(part, Ids):
        # Every cell has exactly one id, so that `num_inputs` of the inputs are 1.
        spread = nnx.initializers.normal(1 / math.sqrt(num_inputs))
        return matrix(rngs, num_inputs * part.num_ids, width, spread)
    return matrix(rngs, num_inputs, width)


def encode(part: Part, weight: Array, x: Array, dtype: Any) -> Float[Array, "*batch D"]:
    """The features of a part, whose leaves are [*batch, *shape]."""
    batch = x.shape[: x.ndim - len(part.shape)]
    if isinstance(part, Ids):
        inputs = jax.nn.one_hot(x, part.num_ids, dtype=dtype)
    elif isinstance(part, Counts):
        inputs = x.astype(dtype) / jax.numpy.asarray(part.scale, dtype)
    else:
        inputs = x.astype(dtype)
    return dense(inputs.reshape(*batch, -1), weight.astype(dtype))
