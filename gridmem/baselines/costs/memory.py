"""The memory that a run takes up on its device."""

from functools import partial
from typing import NamedTuple

import jax

from gridmem.baselines.costs.abstract_run import Outline
from gridmem.baselines.costs.jaxpr_costs import Costs, costs, num_bytes
from gridmem.baselines.ppo.seeds import at_once

WORKING_COPIES = {"adamw": 2, "muon": 5}
"""Copies of the parameters beside the optimiser's state in a gradient step: gradients and updates;
with Muon also the iterates of all matrices, on which XLA works at once instead of one by one
(3 to 6 copies by its own account, GPU and CPU)."""


class Footprint(NamedTuple):
    """Bytes on each device, by what they are for."""

    parameters: int
    optimizer: int  # its state
    ongoing: int  # episodes under way between two updates, with their caches; 0 for whole ones
    levels: int  # while they are drawn
    environments: int
    caches: int  # at the end of a rollout, when they are largest
    rollout: int  # what is learnt from, ongoing caches apart
    activations: int  # of a minibatch, with its data, at the worst moment of its gradient
    gradients: int  # and what the optimiser makes of them

    @property
    def playing(self) -> int:
        """In all during a rollout, whose steps are there once more when it is put together."""
        return self._lasting + max(self.levels, self.environments + self.caches + 2 * self.rollout)

    @property
    def learning(self) -> int:
        """In all during a gradient step, with ongoing episodes as they were and as they are."""
        return self._lasting + self.ongoing + self.rollout + max(self.activations, self.gradients)

    @property
    def peak(self) -> int:
        """At the worst moment."""
        return max(self.playing, self.learning)

    @property
    def _lasting(self) -> int:
        return self.parameters + self.optimizer + self.ongoing


def footprint(run: Outline, gradient: Costs, fused: bool, num_devices: int = 1) -> Footprint:
    """The memory of a run.

    Args:
        run: its shapes.
        gradient: what the gradient of a minibatch costs.
        fused: see `costs`.
        num_devices: among which the streams are divided.
    """
    learner, minibatch, env = run.learner, run.minibatch, run.env
    keys = jax.eval_shape(partial(jax.random.split, num=run.config.ppo.num_envs), learner.key)
    state, _ = jax.eval_shape(jax.vmap(env.reset), keys)
    caches = run.caches(run.room + run.num_steps + 1)
    # XLA copies one of the arrays at a time: to make it longer, or to lay it out for a product.
    largest = max((num_bytes(leaf) for leaf in jax.tree.leaves(caches)), default=0)
    parameters = num_bytes(learner.params)
    seeds, working = run.config.num_seeds, at_once(run.config)

    def share(size: int) -> int:
        return working * size // num_devices

    return Footprint(
        parameters=seeds * parameters,
        optimizer=seeds * num_bytes(learner.opt_state),
        ongoing=seeds * num_bytes(learner.ongoing) // num_devices,
        levels=share(costs(jax.vmap(env.reset), keys, fused=fused).peak),
        environments=share(num_bytes(state)),
        caches=share(num_bytes(caches) + largest),
        rollout=share(num_bytes((run.data.obs, run.data.batch, run.data.segments))),
        activations=share(num_bytes(minibatch) + gradient.peak),
        gradients=working * WORKING_COPIES[run.config.optimizer.optimizer] * parameters,
    )
