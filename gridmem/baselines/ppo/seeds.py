"""Several seeds of one configuration, trained as one program."""

from dataclasses import replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax import lax

from gridmem.baselines.config import TrainConfig
from gridmem.baselines.ppo.learner import Learner, UpdateMetrics, build_model, init, update
from gridmem.baselines.ppo.sharding import jit_on_mesh, replicate
from gridmem.envs.env import Env


def seed_configs(config: TrainConfig) -> list[TrainConfig]:
    """The configuration of each seed by itself."""
    seeds = range(config.seed, config.seed + config.num_seeds)
    return [replace(config, seed=seed, num_seeds=1) for seed in seeds]


def init_seeds(config: TrainConfig, env: Env) -> tuple[Any, Learner]:
    """`init` for all seeds; with several, the learner's leaves are [S, ...]."""

    def learners() -> Learner:
        each = [init(one, env)[1] for one in seed_configs(config)]
        return each[0] if len(each) == 1 else jax.tree.map(lambda *x: jnp.stack(x), *each)

    model = nnx.eval_shape(lambda: build_model(config, env, jax.random.key(0)))
    return nnx.split(model)[0], jit_on_mesh(learners)()


def update_seeds(
    config: TrainConfig, env: Env, graphdef: Any, learner: Learner
) -> tuple[Learner, UpdateMetrics]:
    """`update` for all seeds; the learner is donated. With several, metrics have leaves [S]."""
    step = update if config.num_seeds == 1 else _update_each
    return step(config, env, graphdef, learner)


def seed_slice[Tree](tree: Tree, config: TrainConfig, number: int) -> Tree:
    """The part of a tree that belongs to one seed."""
    return tree if config.num_seeds == 1 else jax.tree.map(lambda x: x[number], tree)


def num_concurrent(config: TrainConfig) -> int:
    """How many seeds have their rollouts and activations in memory at the same time."""
    return 1 if _sequential() else config.num_seeds


def _sequential() -> bool:
    """Whether seeds are updated one after the other.

    On a CPU, which one seed keeps busy: batched matrix products take twice as long there as single
    ones.
    """
    return jax.default_backend() == "cpu"


@partial(jax.jit, static_argnums=(0, 1, 2), donate_argnums=3)
def _update_each(
    config: TrainConfig, env: Env, graphdef: Any, learners: Learner
) -> tuple[Learner, UpdateMetrics]:
    step = partial(update, config, env, graphdef)
    learners, metrics = lax.map(step, learners) if _sequential() else jax.vmap(step)(learners)
    # What processes read must be whole in each of them.
    num_updates, metrics = replicate((learners.num_updates, metrics))
    return learners._replace(num_updates=num_updates), metrics
