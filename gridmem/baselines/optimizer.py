"""Gradient clipping, then AdamW or Muon under a schedule."""

from typing import Any

import jax
import optax
from optax.contrib import muon

from gridmem.baselines.config import OptimizerConfig


def make_optimizer(config: OptimizerConfig, num_steps: int) -> optax.GradientTransformation:
    """The transformation of gradients into updates, for a run of `num_steps` gradient steps.

    Gradients are clipped before the optimiser, so that no outlier enters its moments.
    """
    schedule = learning_rate(config, num_steps)
    adamw = optax.adamw(
        schedule,
        b1=config.b1,
        b2=config.b2,
        eps=config.eps,
        weight_decay=config.weight_decay,
        mask=lambda params: jax.tree.map(lambda leaf: leaf.ndim > 1, params),
    )
    rule = adamw
    if config.optimizer == "muon":
        orthogonal = muon(
            schedule,
            beta=config.b1,
            eps=config.eps,
            weight_decay=config.weight_decay,
            consistent_rms=config.muon_rms,
        )
        rule = optax.partition({"muon": orthogonal, "adamw": adamw}, labels)
    return optax.chain(optax.clip_by_global_norm(config.max_grad_norm), rule)


def learning_rate(config: OptimizerConfig, num_steps: int) -> optax.Schedule:
    """A linear rise from 0, then a linear fall to 0 at the end."""
    warmup_steps = round(config.warmup * num_steps)
    fall = optax.linear_schedule(config.learning_rate, 0.0, max(1, num_steps - warmup_steps))
    if not warmup_steps:
        return fall
    rise = optax.linear_schedule(0.0, config.learning_rate, warmup_steps)
    return optax.join_schedules([rise, fall], [warmup_steps])


def labels(params: Any) -> Any:
    """Whose each leaf of a model's parameters is: Muon has the matrices in the blocks.

    Muon: Jordan et al. 2024, "Muon: an optimizer for hidden layers in neural networks". It is
    not made for vectors, nor for the embeddings and heads, which stand outside of the blocks.
    """

    def label(path: tuple[Any, ...], leaf: Any) -> str:
        names = [getattr(key, "key", None) for key in path]
        return "muon" if "blocks" in names and leaf.ndim == 2 else "adamw"

    return jax.tree_util.tree_map_with_path(label, params)
