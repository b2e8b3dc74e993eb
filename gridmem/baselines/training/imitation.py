"""Losses that bring a network near to what another one, or stored play, has done."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float32, Int

from gridmem.envs.batch.policy import batched_index


def cross_entropy(
    logits: Float32[Array, "*batch actions"],
    action: Int[Array, "*batch"],
    valid: Bool[Array, "*batch"],
) -> Float32[Array, ""]:
    """The mean of -log p(action), in nats; 0 if no entry is valid.

    Args:
        logits: of the student.
        action: that it should take, from 0 to actions - 1.
        valid: which entries count.
    """
    return -masked_mean(batched_index(jax.nn.log_softmax(logits), action), valid)


def kl_divergence(
    teacher_log_probs: Float32[Array, "*batch actions"],
    logits: Float32[Array, "*batch actions"],
    valid: Bool[Array, "*batch"],
) -> Float32[Array, ""]:
    """The mean of KL(teacher || student), in nats; 0 if no entry is valid.

    Args:
        teacher_log_probs: finite logarithms of the teacher's probabilities.
        logits: of the student.
        valid: which entries count.
    """
    ratio = teacher_log_probs - jax.nn.log_softmax(logits)
    return masked_mean(jnp.sum(jnp.exp(teacher_log_probs) * ratio, axis=-1), valid)


def mean_squared_error(
    prediction: Float32[Array, "*batch K"],
    target: Float32[Array, "*batch K"],
    valid: Bool[Array, "*batch"],
) -> Float32[Array, ""]:
    """The mean of (prediction - target)^2 over K coordinates and valid entries; 0 without any."""
    return masked_mean(jnp.mean(jnp.square(prediction - target), axis=-1), valid)


def masked_mean(x: Float32[Array, "*batch"], valid: Bool[Array, "*batch"]) -> Float32[Array, ""]:
    """The mean of the valid entries; 0 if there is none."""
    count = jnp.sum(valid, dtype=jnp.float32)
    return jnp.sum(jnp.where(valid, x, 0)) / jnp.maximum(count, 1)
