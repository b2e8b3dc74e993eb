"""The costs of an agent step, in the rollout and in training."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from jax import ShapeDtypeStruct

from gridmem.baselines.costs.abstract_run import AbstractRun
from gridmem.baselines.costs.jaxpr_costs import Costs, estimate_costs
from gridmem.baselines.model.actor_critic import Caches
from gridmem.baselines.ppo.learner import minibatch_loss
from gridmem.baselines.ppo.teacher import Teacher
from gridmem.baselines.training.optimizer import make_optimizer
from gridmem.envs.batch.mixture import Mixture
from gridmem.envs.batch.rollout import CHUNK_STEPS


class StepCosts(NamedTuple):
    """Per agent step, of the model alone: environments have next to no matrix products."""

    flops: float
    bytes: float  # read and written by matrix products


def rollout_costs(run: AbstractRun, fused: bool) -> StepCosts:
    """The costs of one rollout step; for `fused` see `estimate_costs`."""
    steps = [rollout_step(run)]
    if run.teacher is not None and run.teacher.model is not None:
        steps.append(_teacher_step(run, run.teacher))
    costs = [estimate_costs(step, *args, fused=fused) for step, args in steps]
    flops, traffic = sum(each.flops for each in costs), sum(each.bytes for each in costs)
    return StepCosts(flops / run.num_streams, traffic / run.num_streams)


def rollout_step(run: AbstractRun) -> tuple[Callable[..., Any], tuple[Any, ...]]:
    """A step of all streams, and the shapes of its arguments, with caches of mean length."""
    # The costs of a step are linear in the length.
    by_kernel, kept = run.config.model.decode == "triton", run.context_length
    if by_kernel and kept:
        length = mean_seen(kept, run.env.max_steps)
    else:
        length = kept + _mean_length(run.num_steps, 1 if by_kernel else CHUNK_STEPS)
    caches = run.caches(round(length))
    return _step(run, run.graphdef, run.learner.params, caches)


def _teacher_step(run: AbstractRun, teacher: Teacher) -> tuple[Callable[..., Any], tuple[Any, ...]]:
    """The same of the teacher's network."""
    chunk = run.num_steps if run.config.model.decode == "triton" else CHUNK_STEPS
    caches = run.teacher_caches(run.teacher_room + round(_mean_length(run.num_steps, chunk)))
    return _step(run, teacher.graphdef, teacher.params, caches)


def _step(
    run: AbstractRun, graphdef: Any, params: Any, caches: Caches
) -> tuple[Callable[..., Any], tuple[Any, ...]]:
    weights = jax.eval_shape(lambda params: nnx.merge(graphdef, params).prepare(), params)
    of_each = jax.tree.map(
        lambda x: ShapeDtypeStruct((x.shape[0], *x.shape[2:]), x.dtype),
        [batch.obs for batch in run.batches],
    )
    obs = of_each if isinstance(run.env, Mixture) else of_each[0]
    segmented = run.batches[0].segments is not None
    segment = ShapeDtypeStruct((run.num_streams,), jnp.int32) if segmented else None

    def step(params: Any, *args: Any) -> Any:
        return nnx.merge(graphdef, params).step(*args)

    return step, (params, obs, caches, segment, weights)


def gradient_costs(run: AbstractRun, fused: bool) -> Costs:
    """The costs of the gradient of a minibatch; for `fused` see `estimate_costs`."""
    gradient, args = gradient_step(run)
    return estimate_costs(gradient, *args, fused=fused)


def gradient_step(run: AbstractRun) -> tuple[Callable[..., Any], tuple[Any, ...]]:
    """The gradient of a minibatch, and the shapes of its arguments."""
    gradient = jax.grad(partial(minibatch_loss, run.config, run.graphdef), has_aux=True)
    return gradient, (run.learner.params, run.minibatch)


def training_costs(run: AbstractRun, gradient: Costs) -> StepCosts:
    """The costs of training on one step in all epochs, optimizer included."""
    params, ppo = run.learner.params, run.config.ppo
    optimizer = make_optimizer(run.config.optimizer, 1)

    def step(grads: Any, opt_state: Any, params: Any) -> Any:
        with jax.numpy_dtype_promotion("standard"):
            updates, opt_state = optimizer.update(grads, opt_state, params)
        return optax.apply_updates(params, updates), opt_state

    update = estimate_costs(step, params, run.learner.opt_state, params, fused=True)
    share = ppo.num_epochs * ppo.num_minibatches / (run.num_streams * run.num_steps)
    return StepCosts(
        share * (gradient.flops + update.flops), share * (gradient.bytes + update.bytes)
    )


def mean_seen(context: int, max_steps: int) -> float:
    """How many tokens before its own a token of an episode can attend to, in the mean.

    Args:
        context: the most.
        max_steps: of an episode, which has a token more.
    """
    return context * (1 - (context + 1) / (2 * (max_steps + 1)))


def _mean_length(num_steps: int, chunk: int) -> float:
    """The mean length of the caches in a rollout, in which they grow by chunks."""
    num_chunks, rest = divmod(num_steps, chunk)
    whole = chunk * chunk * num_chunks * (num_chunks + 1) / 2
    return (whole + rest * num_steps) / num_steps
