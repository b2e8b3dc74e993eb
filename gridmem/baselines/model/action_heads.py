"""Continuous actions, -1 to 1 in each coordinate, of the outputs of a network."""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float32, Key

from gridmem.envs.environment import Box

LOG_STD_MIN, LOG_STD_MAX = -20.0, 2.0


def to_box(box: Box, action: Float32[Array, "*batch K"]) -> Float32[Array, "*batch K"]:
    """Actions from -1 to 1 in the units of a box."""
    low, high = (_row(x, action.ndim) for x in (box.low, box.high))
    return low + (action + 1) * (high - low) / 2


def deterministic(outputs: Float32[Array, "*batch K"]) -> Float32[Array, "*batch K"]:
    """The action of a deterministic policy."""
    return jnp.tanh(outputs)


def squashed_gaussian(
    outputs: Float32[Array, "*batch outputs"], key: Key[Array, ""]
) -> tuple[Float32[Array, "*batch K"], Float32[Array, "*batch"]]:
    """An action drawn from tanh of a normal distribution, and the log of its density.

    Haarnoja et al. 2018 (arXiv 1812.05905), appendix C. The logarithm of the derivative of tanh is
    2 (log 2 - x - softplus(-2 x)), which does not cancel where |x| is large.
    """
    mean, log_std = jnp.split(outputs, 2, axis=-1)
    log_std = jnp.clip(log_std, LOG_STD_MIN, LOG_STD_MAX)
    noise = jax.random.normal(key, mean.shape, jnp.float32)
    x = mean + jnp.exp(log_std) * noise
    log_density = -0.5 * noise**2 - log_std - 0.5 * math.log(2 * math.pi)
    log_slope = 2 * (math.log(2) - x - jax.nn.softplus(-2 * x))
    return jnp.tanh(x), jnp.sum(log_density - log_slope, axis=-1)


def gaussian_mean(outputs: Float32[Array, "*batch outputs"]) -> Float32[Array, "*batch K"]:
    """The action at the mean of the normal distribution."""
    return jnp.tanh(jnp.split(outputs, 2, axis=-1)[0])


def _row(values: tuple[float, ...], ndim: int) -> Array:
    return jnp.array(values, jnp.float32).reshape(*[1] * (ndim - 1), -1)
