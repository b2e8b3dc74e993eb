"""Value targets and the PPO loss: pure functions of arrays, no model."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float32, Int

from gridmem.baselines.ppo.settings import PPOConfig
from gridmem.baselines.training.imitation import masked_mean
from gridmem.envs.batch.policy import batched_index

UNROLL = 16
"""Steps of `td_lambda` in one iteration of its loop, each of which costs launches on a GPU."""


def td_lambda(
    reward: Float32[Array, "T B"],
    value: Float32[Array, "T B"],
    last_value: Float32[Array, " B"],
    terminated: Bool[Array, "T B"],
    valid: Bool[Array, "T B"],
    gamma: float,
    lam: float,
) -> Float32[Array, "T B"]:
    """The TD(lambda) target of every value (Sutton & Barto 2018, section 12.1).

    Args:
        reward: of the action at t.
        value: of the observation at t.
        last_value: of the observation after the last action.
        terminated: whether the task ended the episode with the action at t, so that there is no
            future return.
        valid: whether the step at t counts. Elsewhere the value is its own target: it is the
            bootstrap value of the step before, and the next step begins another episode.
        gamma: discount.
        lam: weight of longer returns.
    """
    next_value = jnp.concatenate([value[1:], last_value[None]])
    discount = jnp.where(terminated, 0.0, gamma).astype(jnp.float32)

    def backwards(target: Array, step: tuple[Array, ...]) -> tuple[Array, Array]:
        reward, value, next_value, discount, valid = step
        target = reward + discount * ((1 - lam) * next_value + lam * target)
        target = jnp.where(valid, target, value)
        return target, target

    steps = reward, value, next_value, discount, valid
    return lax.scan(backwards, last_value, steps, reverse=True, unroll=UNROLL)[1]


class Transitions(NamedTuple):
    """What the loss needs of a rollout; leaves [B, T]."""

    valid: Bool[Array, "B T"]  # whether the step counts
    action: Int[Array, "B T"]
    log_prob: Float32[Array, "B T"]  # of the action, by the policy that chose it
    value: Float32[Array, "B T"]  # predicted then
    advantage: Float32[Array, "B T"]
    target: Float32[Array, "B T"]


class LossMetrics(NamedTuple):
    """Metrics of a gradient step."""

    policy_loss: Float32[Array, ""]
    value_loss: Float32[Array, ""]
    entropy: Float32[Array, ""]
    approx_kl: Float32[Array, ""]  # E[ratio - 1 - log ratio], Schulman 2020
    clip_fraction: Float32[Array, ""]
    max_ratio_error: Float32[Array, ""]  # largest |ratio - 1|


def ppo_loss(
    logits: Float32[Array, "B T actions"],
    value_losses: Float32[Array, "B T"],
    batch: Transitions,
    config: PPOConfig,
) -> tuple[Float32[Array, ""], LossMetrics]:
    """Clipped surrogate (Schulman et al. 2017), value loss and entropy bonus over valid steps.

    Args:
        logits: of the actions.
        value_losses: losses of the value head.
        batch: the transitions of a minibatch.
        config: the weights of the three terms.
    """
    log_probs = jax.nn.log_softmax(logits)
    log_prob = batched_index(log_probs, batch.action)
    log_ratio = log_prob - batch.log_prob
    ratio = jnp.exp(log_ratio)
    clipped = jnp.clip(ratio, 1 - config.policy_clip, 1 + config.policy_clip)
    surrogate = jnp.minimum(ratio * batch.advantage, clipped * batch.advantage)

    def mean(x: Array) -> Array:
        return masked_mean(x, batch.valid)

    policy_loss, value_loss = -mean(surrogate), mean(value_losses)
    entropy = -mean(jnp.sum(jnp.exp(log_probs) * log_probs, axis=-1))
    loss = policy_loss + config.value_coef * value_loss - config.entropy_coef * entropy
    metrics = LossMetrics(
        policy_loss=policy_loss,
        value_loss=value_loss,
        entropy=entropy,
        approx_kl=mean(ratio - 1 - log_ratio),
        clip_fraction=mean((ratio != clipped).astype(jnp.float32)),
        max_ratio_error=jnp.max(jnp.where(batch.valid, jnp.abs(ratio - 1), 0)),
    )
    return loss, metrics


def normalized(x: Float32[Array, "B T"], valid: Bool[Array, "B T"]) -> Float32[Array, "B T"]:
    """Shifted and scaled to mean 0 and deviation 1 over the valid entries; 0 elsewhere."""
    centred = jnp.where(valid, x - masked_mean(x, valid), 0)
    deviation = jnp.sqrt(masked_mean(jnp.square(centred), valid))
    return centred / (deviation + 1e-8)


def explained_variance(
    value: Float32[Array, "B T"], target: Float32[Array, "B T"], valid: Bool[Array, "B T"]
) -> Float32[Array, ""]:
    """Share of the targets' variance that the values account for; 1 is perfect."""

    def variance(x: Array) -> Array:
        return masked_mean(jnp.square(x - masked_mean(x, valid)), valid)

    return 1 - variance(target - value) / jnp.maximum(variance(target), 1e-8)
