"""Value targets and the PPO loss: pure functions of arrays, no model."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float32, Int

from gridmem.baselines.config import PPOConfig


def td_lambda(
    reward: Float32[Array, "T B"],
    value: Float32[Array, "T B"],
    last_value: Float32[Array, " B"],
    terminated: Bool[Array, "T B"],
    gamma: float,
    lam: float,
) -> Float32[Array, "T B"]:
    """The TD(lambda) target of every value (Sutton & Barto 2018, section 12.1).

    Args:
        reward: paid for the action at t.
        value: of the observation at t.
        last_value: of the observation after the last action; the future beyond a truncation.
        terminated: whether the action at t ended the episode for good: nothing follows.
        gamma: discount.
        lam: weight of longer returns.
    """
    next_value = jnp.concatenate([value[1:], last_value[None]])
    discount = jnp.where(terminated, 0.0, gamma).astype(jnp.float32)

    def backwards(target: Array, step: tuple[Array, Array, Array]) -> tuple[Array, Array]:
        reward, next_value, discount = step
        target = reward + discount * ((1 - lam) * next_value + lam * target)
        return target, target

    return lax.scan(backwards, last_value, (reward, next_value, discount), reverse=True)[1]


class Batch(NamedTuple):
    """What the loss knows of the rollout; leaves [B, T]."""

    action: Int[Array, "B T"]
    log_prob: Float32[Array, "B T"]  # of the action when it was chosen
    value: Float32[Array, "B T"]  # likewise
    advantage: Float32[Array, "B T"]
    target: Float32[Array, "B T"]


class LossMetrics(NamedTuple):
    """What is worth logging about a gradient step."""

    policy_loss: Float32[Array, ""]
    value_loss: Float32[Array, ""]
    entropy: Float32[Array, ""]
    approx_kl: Float32[Array, ""]  # E[ratio - 1 - log ratio], Schulman 2020
    clip_fraction: Float32[Array, ""]
    max_ratio_error: Float32[Array, ""]  # largest |ratio - 1|


def ppo_loss(
    logits: Float32[Array, "B T actions"],
    value: Float32[Array, "B T"],
    batch: Batch,
    config: PPOConfig,
) -> tuple[Float32[Array, ""], LossMetrics]:
    """Clipped surrogate (Schulman et al. 2017), squared value error, entropy bonus."""
    log_probs = jax.nn.log_softmax(logits)
    log_prob = chosen(log_probs, batch.action)
    log_ratio = log_prob - batch.log_prob
    ratio = jnp.exp(log_ratio)
    clipped = jnp.clip(ratio, 1 - config.policy_clip, 1 + config.policy_clip)
    policy_loss = -jnp.mean(jnp.minimum(ratio * batch.advantage, clipped * batch.advantage))
    value_loss = 0.5 * jnp.mean(jnp.square(value - batch.target))
    entropy = -jnp.mean(jnp.sum(jnp.exp(log_probs) * log_probs, axis=-1))
    loss = policy_loss + config.value_coef * value_loss - config.entropy_coef * entropy
    metrics = LossMetrics(
        policy_loss=policy_loss,
        value_loss=value_loss,
        entropy=entropy,
        approx_kl=jnp.mean(ratio - 1 - log_ratio),
        clip_fraction=jnp.mean((ratio != clipped).astype(jnp.float32)),
        max_ratio_error=jnp.max(jnp.abs(ratio - 1)),
    )
    return loss, metrics


def chosen(
    values: Float32[Array, "*batch actions"], action: Int[Array, "*batch"]
) -> Float32[Array, "*batch"]:
    """The entry of each row that belongs to its action."""
    return jnp.take_along_axis(values, action[..., None], axis=-1)[..., 0]


def explained_variance(
    value: Float32[Array, "B T"], target: Float32[Array, "B T"]
) -> Float32[Array, ""]:
    """Share of the targets' variance that the values account for; 1 is perfect."""
    return 1 - jnp.var(target - value) / jnp.maximum(jnp.var(target), 1e-8)
