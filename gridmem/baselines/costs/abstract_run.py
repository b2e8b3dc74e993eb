"""The shapes of a run's arrays, by abstract evaluation of the training code."""

from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import jax
from flax import nnx
from jax import ShapeDtypeStruct
from jaxtyping import Array, Key

from gridmem.baselines.config import TrainConfig
from gridmem.baselines.model.actor_critic import ActorCritic, Caches
from gridmem.baselines.ppo.learner import Learner, TrainBatch, build_model, init, make_batch
from gridmem.baselines.ppo.rollout import collect, context_length
from gridmem.envs.environment import Environment


class AbstractRun(NamedTuple):
    """A run with a `ShapeDtypeStruct` for every array; B streams, rollouts of T steps."""

    config: TrainConfig
    env: Environment
    graphdef: Any  # static part of the model
    learner: Learner
    batch: TrainBatch  # of an update, leaves [B, T, ...]

    @property
    def num_streams(self) -> int:
        """B, the agents of all environments."""
        return self.batch.transitions.valid.shape[0]

    @property
    def num_steps(self) -> int:
        """T."""
        return self.batch.transitions.valid.shape[1]

    @property
    def context_length(self) -> int:
        """Tokens that the caches have room for before a rollout."""
        if self.learner.rollout_state is None:
            return 0
        return context_length(self.config, self.env)

    @property
    def minibatch(self) -> TrainBatch:
        """The data of one gradient step."""
        size = self.num_streams // self.config.ppo.num_minibatches
        return jax.tree.map(
            lambda x: ShapeDtypeStruct((size, *x.shape[1:]), x.dtype) if x.ndim else x, self.batch
        )

    def caches(self, length: int) -> Caches:
        """The caches of all streams, with room for `length` tokens."""
        segmented = self.batch.segments is not None
        model = partial(nnx.merge, self.graphdef)
        return jax.eval_shape(
            lambda params: model(params).init_cache(self.num_streams, length, segmented),
            self.learner.params,
        )


def abstract_run(config: TrainConfig) -> AbstractRun:
    """The shapes of a run; allocates nothing."""
    env = config.make_env()

    def model() -> ActorCritic:
        return build_model(config, env, jax.random.key(0))

    graphdef, _ = nnx.split(nnx.eval_shape(model))
    learner = jax.eval_shape(lambda: init(config, env)[1])
    return AbstractRun(config, env, graphdef, learner, _batch(config, env, graphdef, learner))


def _batch(config: TrainConfig, env: Environment, graphdef: Any, learner: Learner) -> TrainBatch:
    """The data of an update; only one step is traced, since all steps have the same shapes."""
    num_steps = config.ppo.rollout_steps or env.max_steps
    if config.ppo.rollout_steps is not None:
        config = replace(config, method=replace(config.ppo, rollout_steps=1))

    def one_step(params: Any, state: Any, key: Key[Array, ""]) -> TrainBatch:
        model = nnx.merge(graphdef, params)
        return make_batch(config.ppo, collect(config, env, model, state, key, key, 1))

    def all_steps(x: ShapeDtypeStruct) -> ShapeDtypeStruct:
        return ShapeDtypeStruct((x.shape[0], num_steps, *x.shape[2:]), x.dtype)

    batch = jax.eval_shape(one_step, learner.params, learner.rollout_state, learner.key)
    obs, transitions, segments = jax.tree.map(
        all_steps, (batch.obs, batch.transitions, batch.segments)
    )
    return TrainBatch(obs, transitions, batch.caches, segments)
