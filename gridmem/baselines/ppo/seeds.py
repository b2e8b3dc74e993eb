"""Learners that differ in their seed alone, trained side by side as one program."""

from dataclasses import replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax import lax

from gridmem.baselines.config import TrainConfig
from gridmem.baselines.ppo.learner import Learner, UpdateMetrics, build_model, init, update
from gridmem.baselines.ppo.sharding import everywhere, made_in_place
from gridmem.envs.env import Env


def members(config: TrainConfig) -> list[TrainConfig]:
    """The run of each seed by itself."""
    seeds = range(config.seed, config.seed + config.num_seeds)
    return [replace(config, seed=seed, num_seeds=1) for seed in seeds]


def begin(config: TrainConfig, env: Env) -> tuple[Any, Learner]:
    """What `init` gives; of several seeds, the learner's leaves lead with the seed: [S, ...]."""

    def learners() -> Learner:
        each = [init(member, env)[1] for member in members(config)]
        return each[0] if len(each) == 1 else jax.tree.map(lambda *x: jnp.stack(x), *each)

    model = nnx.eval_shape(lambda: build_model(config, env, jax.random.key(0)))
    return nnx.split(model)[0], made_in_place(learners)()


def advance(
    config: TrainConfig, env: Env, graphdef: Any, learner: Learner
) -> tuple[Learner, UpdateMetrics]:
    """One `update` of every seed; the learner is given away, and metrics have leaves [S]."""
    step = update if config.num_seeds == 1 else _update_each
    return step(config, env, graphdef, learner)


def member[Tree](tree: Tree, config: TrainConfig, number: int) -> Tree:
    """What belongs to one of the seeds."""
    return tree if config.num_seeds == 1 else jax.tree.map(lambda x: x[number], tree)


def at_once(config: TrainConfig) -> int:
    """Of how many seeds the rollouts and activations are in memory at the same time."""
    return 1 if _in_turn() else config.num_seeds


def _in_turn() -> bool:
    """Whether the seeds take turns.

    On a CPU, which one seed keeps busy, they do: products of stacked matrices take twice as long
    there as the products one by one.
    """
    return jax.default_backend() == "cpu"


@partial(jax.jit, static_argnums=(0, 1, 2), donate_argnums=3)
def _update_each(
    config: TrainConfig, env: Env, graphdef: Any, learners: Learner
) -> tuple[Learner, UpdateMetrics]:
    step = partial(update, config, env, graphdef)
    learners, metrics = lax.map(step, learners) if _in_turn() else jax.vmap(step)(learners)
    # What the processes look at must be whole in each of them.
    num_updates, metrics = everywhere((learners.num_updates, metrics))
    return learners._replace(num_updates=num_updates), metrics
