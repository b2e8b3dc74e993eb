"""Several seeds of one configuration: as one program if the method can be traced."""

from dataclasses import replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from gridmem.baselines.config import TrainConfig
from gridmem.baselines.method import Method
from gridmem.baselines.ppo.sharding import jit_on_mesh, replicate


def init_seeds(method: Method) -> Any:
    """The state of all seeds; of several that can be traced, the leaves are [S, ...], else a list.

    Args:
        method: with the config of all seeds.
    """
    if not method.traceable:
        states = [_as_arrays(each.init()) for each in method.seeds]
        return states[0] if len(states) == 1 else states

    def stacked() -> Any:
        each = [replace(method, config=one).init() for one in method.config.seed_configs]
        return each[0] if len(each) == 1 else jax.tree.map(lambda *x: jnp.stack(x), *each)

    return jit_on_mesh(stacked)()


def update_seeds(method: Method, state: Any, stage: int) -> tuple[Any, Any]:
    """`Method.update` for all seeds; of several, the metrics have leaves [S]."""
    several = method.config.num_seeds > 1
    inputs = method.inputs(stage)
    if method.traceable:
        if several:
            return _update_each(method, state, stage, inputs)
        return method.update(state, stage, *inputs)
    pairs = zip(method.seeds, state if several else [state], strict=True)
    states, metrics = zip(
        *(_as_arrays(each.update(one, stage, *inputs)) for each, one in pairs), strict=True
    )
    if not several:
        return states[0], metrics[0]
    return list(states), jax.tree.map(lambda *x: jnp.stack(x), *metrics)


def begin_stage(method: Method, state: Any, stage: int) -> Any:
    """`Method.begin_stage` for all seeds."""
    several = method.config.num_seeds > 1
    if method.traceable:
        begin = partial(method.begin_stage, stage=stage)
        return lax.map(begin, state) if several else begin(state)
    pairs = zip(method.seeds, state if several else [state], strict=True)
    states = [_as_arrays(each.begin_stage(one, stage)) for each, one in pairs]
    return states if several else states[0]


def seed_slice(state: Any, config: TrainConfig, number: int) -> Any:
    """The part of a state, or of a tree with leaves [S, ...], that belongs to one seed."""
    if config.num_seeds == 1:
        return state
    if isinstance(state, list):
        return state[number]
    return jax.tree.map(lambda x: x[number], state)


def _as_arrays(tree: Any) -> Any:
    """With JAX arrays for numpy's and for numbers, as checkpoints need them."""
    return jax.tree.map(jnp.asarray, tree)


def num_concurrent(config: TrainConfig) -> int:
    """How many seeds have their rollouts and activations in memory at the same time."""
    return 1 if _sequential() else config.num_seeds


def _sequential() -> bool:
    """Whether seeds are updated one after the other.

    On a CPU, which one seed keeps busy: batched matrix products take twice as long there as single
    ones.
    """
    return jax.default_backend() == "cpu"


@partial(jax.jit, static_argnums=(0, 2), donate_argnums=1)
def _update_each(
    method: Method, states: Any, stage: int, inputs: tuple[Any, ...]
) -> tuple[Any, Any]:
    def step(state: Any) -> tuple[Any, Any]:
        return method.update(state, stage, *inputs)

    states, metrics = lax.map(step, states) if _sequential() else jax.vmap(step)(states)
    # What processes read must be whole in each of them.
    num_updates, metrics = replicate((states.num_updates, metrics))
    return states._replace(num_updates=num_updates), metrics
