"""Gradient clipping, then AdamW or Muon under a schedule."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import optax
from optax.contrib import MuonDimensionNumbers, muon

from gridmem.baselines.config import OptimizerConfig

_STACKED = MuonDimensionNumbers(reduction_axis=1, output_axis=2)


def make_optimizer(config: OptimizerConfig, num_steps: int) -> optax.GradientTransformation:
    """The transformation of gradients into updates, for a run of `num_steps` gradient steps.

    Gradients are clipped before the optimizer, so that no outlier enters its moments.
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
            muon_weight_dimension_numbers=partial(jax.tree.map, lambda _: _STACKED),
        )
        rule = optax.partition({"muon": stacked(orthogonal), "adamw": adamw}, labels)
    return optax.chain(_in_order(optax.clip_by_global_norm(config.max_grad_norm)), rule)


def ordered(params: Any) -> list[Any]:
    """The leaves of a tree like a model's parameters, in an order that sums over them keep.

    It is the tree's; of a mixture with one environment it is that of the `ActorCritic`.
    """
    leaves = jax.tree.leaves(params)
    return [leaves[number] for number in _order(params)]


def _order(params: Any) -> list[int]:
    """Numbers of the leaves of a tree, in the order of `ordered`."""
    places = []
    for path, _ in jax.tree_util.tree_leaves_with_path(params):
        keys = [key for part in path if (key := getattr(part, "key", None)) is not None]
        member = [-1]
        if keys and keys[0] == "members":
            member, keys = keys[1:2], keys[2:]
        places.append([(isinstance(key, str), key) for key in [*keys, *member]])
    return sorted(range(len(places)), key=places.__getitem__)


def _in_order(inner: optax.GradientTransformation) -> optax.GradientTransformation:
    """A transformation without a state that is given the list of `ordered`."""

    def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        changed: Any
        changed, state = inner.update(ordered(updates), state)
        by_number = dict(zip(_order(updates), changed, strict=True))
        leaves = [by_number[number] for number in range(len(by_number))]
        return jax.tree.unflatten(jax.tree.structure(updates), leaves), state

    return optax.GradientTransformation(inner.init, update)


def stacked(inner: optax.GradientTransformation) -> optax.GradientTransformation:
    """A transformation that is given the matrices of each shape as one array [n, rows, columns].

    Muon's products are then few and large, instead of many and small.
    """

    def init(params: Any) -> Any:
        return inner.init(_by_shape(params))

    def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        of_params = None if params is None else _by_shape(params)
        changed: Any
        changed, state = inner.update(_by_shape(updates), state, of_params)
        rows = {shape: iter(matrices) for shape, matrices in changed.items()}
        return jax.tree.map(lambda leaf: next(rows[_name(leaf)]), updates), state

    return optax.GradientTransformation(init, update)


def _by_shape(tree: Any) -> dict[str, Any]:
    """The matrices of a tree, those of one shape as one array, in the tree's order."""
    groups: dict[str, list[Any]] = {}
    for leaf in jax.tree.leaves(tree):
        groups.setdefault(_name(leaf), []).append(leaf)
    return {name: jnp.stack(matrices) for name, matrices in groups.items()}


def _name(matrix: Any) -> str:
    return "x".join(map(str, matrix.shape))


def learning_rate(config: OptimizerConfig, num_steps: int) -> optax.Schedule:
    """A linear rise from 0, then a linear fall to 0 at the end."""
    warmup_steps = round(config.warmup * num_steps)
    fall = optax.linear_schedule(config.learning_rate, 0.0, max(1, num_steps - warmup_steps))
    if not warmup_steps:
        return fall
    rise = optax.linear_schedule(0.0, config.learning_rate, warmup_steps)
    return optax.join_schedules([rise, fall], [warmup_steps])


def labels(params: Any) -> Any:
    """The optimizer of each leaf of a model's parameters: Muon for the matrices in the blocks.

    Muon: Jordan et al. 2024, "Muon: an optimizer for hidden layers in neural networks". It is
    not meant for vectors, nor for embeddings and heads, which are outside of the blocks.
    """

    def label(path: tuple[Any, ...], leaf: Any) -> str:
        names = [getattr(key, "key", None) for key in path]
        return "muon" if "blocks" in names and leaf.ndim == 2 else "adamw"

    return jax.tree_util.tree_map_with_path(label, params)
