"""What an agent step costs, in the rollout and in training."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from jax import ShapeDtypeStruct

from gridmem.baselines.costs.abstract_run import Outline
from gridmem.baselines.costs.jaxpr_costs import Costs, costs
from gridmem.baselines.ppo.learner import loss
from gridmem.baselines.ppo.optimizer import make_optimizer
from gridmem.envs.batch.rollout import CHUNK_STEPS


class StepCosts(NamedTuple):
    """Per agent step, of the model alone: environments multiply next to no matrices."""

    flops: float
    bytes: float  # read and written by matrix products


def rollout_costs(run: Outline, fused: bool) -> StepCosts:
    """Of playing one step; for `fused` see `costs`."""
    step, args = rollout_step(run)
    flops, traffic, _ = costs(step, *args, fused=fused)
    return StepCosts(flops / run.num_streams, traffic / run.num_streams)


def rollout_step(run: Outline) -> tuple[Callable[..., Any], tuple[Any, ...]]:
    """A step of all streams, and the shapes of its arguments.

    The caches have the mean of the lengths to which they grow in a rollout.
    """
    params, num_streams = run.learner.params, run.num_streams
    # What a step costs rises in a straight line with their length, if it does at all.
    chunk = 1 if run.config.model.decode == "triton" else CHUNK_STEPS
    caches = run.caches(run.room + round(_mean_length(run.num_steps, chunk)))
    weights = jax.eval_shape(lambda params: nnx.merge(run.graphdef, params).prepare(), params)
    obs = jax.tree.map(
        lambda x: ShapeDtypeStruct((num_streams, *x.shape[2:]), x.dtype), run.data.obs
    )
    segment = None
    if run.data.segments is not None:
        segment = ShapeDtypeStruct((num_streams,), jnp.int32)

    def step(params: Any, *args: Any) -> Any:
        return nnx.merge(run.graphdef, params).step(*args)

    return step, (params, obs, caches, segment, weights)


def gradient_costs(run: Outline, fused: bool) -> Costs:
    """Of the gradient of one minibatch; for `fused` see `costs`."""
    gradient = jax.grad(partial(loss, run.config, run.graphdef), has_aux=True)
    return costs(gradient, run.learner.params, run.minibatch, fused=fused)


def training_costs(run: Outline, gradient: Costs) -> StepCosts:
    """Of learning from one step in every epoch: the gradient and the optimiser's part."""
    params, ppo = run.learner.params, run.config.ppo
    optimizer = make_optimizer(run.config.optimizer, 1)

    def step(grads: Any, opt_state: Any, params: Any) -> Any:
        with jax.numpy_dtype_promotion("standard"):
            updates, opt_state = optimizer.update(grads, opt_state, params)
        return optax.apply_updates(params, updates), opt_state

    update = costs(step, params, run.learner.opt_state, params, fused=True)
    share = ppo.num_epochs * ppo.num_minibatches / (run.num_streams * run.num_steps)
    return StepCosts(
        share * (gradient.flops + update.flops), share * (gradient.bytes + update.bytes)
    )


def _mean_length(num_steps: int, chunk: int) -> float:
    """Of the caches in a rollout, over its steps: what is read of them grows by a chunk."""
    num_chunks, rest = divmod(num_steps, chunk)
    whole = chunk * chunk * num_chunks * (num_chunks + 1) / 2
    return (whole + rest * num_steps) / num_steps
