"""Gradient clipping, then AdamW under a schedule."""

import jax
import optax

from gridmem.baselines.config import OptimizerConfig


def make_optimizer(config: OptimizerConfig, num_steps: int) -> optax.GradientTransformation:
    """The transformation of gradients into updates, for a run of `num_steps` gradient steps.

    Gradients are clipped before the optimiser, so that no outlier enters its moments.
    """
    warmup_steps = max(1, round(config.warmup * num_steps))
    schedule = optax.join_schedules(
        [
            optax.linear_schedule(0.0, config.learning_rate, warmup_steps),
            optax.linear_schedule(config.learning_rate, 0.0, max(1, num_steps - warmup_steps)),
        ],
        [warmup_steps],
    )
    return optax.chain(
        optax.clip_by_global_norm(config.max_grad_norm),
        optax.adamw(
            schedule,
            b1=config.b1,
            b2=config.b2,
            eps=config.eps,
            weight_decay=config.weight_decay,
            mask=lambda params: jax.tree.map(lambda leaf: leaf.ndim > 1, params),
        ),
    )
