"""The memory that a run needs on each device."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from gridmem.baselines.costs.abstract_run import AbstractRun
from gridmem.baselines.costs.jaxpr_costs import Costs, estimate_costs, num_bytes
from gridmem.baselines.model.mixers.attention_caches import DecodeCache
from gridmem.baselines.model.mixers.quantized import Quantized
from gridmem.baselines.ppo.curriculum import in_growth
from gridmem.baselines.ppo.rollout import draw_starts
from gridmem.baselines.training.seeds import num_concurrent
from gridmem.envs.batch.mixture import Mixture, MixtureVectorEnv

WORKING_COPIES = {"adamw": 2, "muon": 5}
"""Copies of the parameters in a gradient step, without the optimizer's state: gradients, updates,
and for Muon the iterates of all matrices, which XLA computes at the same time (3 to 6 copies by its
memory analysis, on GPU and CPU)."""


class MemoryEstimate(NamedTuple):
    """Bytes on each device, by purpose."""

    parameters: int  # with those of a teacher
    optimizer: int  # its state
    rollout_state: int  # unfinished episodes between updates, with their caches; 0 for whole ones
    levels: int  # while they are generated
    environments: int  # with the starts of episodes that begin in a rollout
    caches: int  # at the end of a rollout, when they are largest
    rollout: int  # training data, without caches
    activations: int  # peak during the gradient of a minibatch, with its data
    gradients: int  # with the updates

    @property
    def playing(self) -> int:
        """Total during a rollout, which is held twice when its chunks are concatenated.

        What is kept of the caches for the next one is held beside them.
        """
        during = self.environments + self.caches + self.rollout
        return self._permanent + max(self.levels, during + max(self.rollout, self.rollout_state))

    @property
    def learning(self) -> int:
        """Total during a gradient step, with the rollout state before and after the rollout."""
        step = max(self.activations, self.gradients)
        return self._permanent + self.rollout_state + self.rollout + step

    @property
    def peak(self) -> int:
        """The larger of the two."""
        return max(self.playing, self.learning)

    @property
    def _permanent(self) -> int:
        return self.parameters + self.optimizer + self.rollout_state


def estimate_memory(
    run: AbstractRun, gradient: Costs, fused: bool, num_devices: int = 1
) -> MemoryEstimate:
    """Estimates the memory of a run.

    Args:
        run: its shapes.
        gradient: costs of the gradient of a minibatch.
        fused: see `estimate_costs`.
        num_devices: that the streams are sharded over.
    """
    learner, minibatch = run.learner, run.minibatch
    data = [batch._replace(caches=()) for batch in run.batches]
    reset, keys = _reset(run)
    state, _ = jax.eval_shape(reset, keys)
    steps = run.num_steps + 1
    caches = [
        run.caches(run.context_length + steps),
        run.teacher_caches(run.teacher_room + steps),
    ]
    # XLA copies one of the arrays at a time, to grow it or to change its layout; or, in a step, it
    # writes out what a layer has in 8 bits.
    arrays = [num_bytes(leaf) for leaf in jax.tree.leaves(caches)]
    written = [_dequantized_bytes(cache) for each in caches for cache in each]
    largest = max([*arrays, *written], default=0)
    parameters = num_bytes(learner.params)
    seeds, working = run.config.num_seeds, num_concurrent(run.config)

    def share(size: int) -> int:
        return working * size // num_devices

    return MemoryEstimate(
        parameters=seeds * parameters + num_bytes(run.teacher),
        optimizer=seeds * num_bytes(learner.opt_state),
        rollout_state=seeds * num_bytes(learner.rollout_state) // num_devices,
        levels=share(estimate_costs(reset, keys, fused=fused).peak),
        environments=share(num_bytes((state, _starts(run)))),
        caches=share(num_bytes(caches) + largest),
        rollout=share(num_bytes(data)),
        activations=share(num_bytes(minibatch) + gradient.peak),
        gradients=working * WORKING_COPIES[run.config.optimizer.optimizer] * parameters,
    )


def _dequantized_bytes(cache: Any) -> int:
    """Bytes of the numbers that are in 8 bits, in their own dtype; 0 for Triton's, which is not."""
    if isinstance(cache, DecodeCache):
        return 0
    parts = jax.tree.leaves(cache, is_leaf=lambda x: isinstance(x, Quantized))
    return sum(
        part.codes.size * part.peak.dtype.itemsize for part in parts if isinstance(part, Quantized)
    )


def _starts(run: AbstractRun) -> Any:
    """The shapes of the starts of episodes that are drawn before the steps of a rollout, if any."""
    if run.learner.rollout_state is None:
        return None
    draw = partial(draw_starts, run.config, in_growth(run.config, run.env))
    return jax.eval_shape(draw, run.learner.rollout_state)


def _reset(run: AbstractRun) -> tuple[Callable[..., Any], Any]:
    """The function that begins all episodes, and the shapes of its keys."""
    if isinstance(run.env, Mixture):
        vector = MixtureVectorEnv(run.env)
        return vector.reset, jax.ShapeDtypeStruct((vector.num_envs, 2), jnp.uint32)
    split = partial(jax.random.split, num=run.config.ppo.num_envs)
    return jax.vmap(run.env.reset), jax.eval_shape(split, run.learner.key)
