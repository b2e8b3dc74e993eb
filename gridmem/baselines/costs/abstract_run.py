"""The shapes of a run's arrays, by abstract evaluation of the training code."""

from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jax import ShapeDtypeStruct
from jaxtyping import Array, Key

from gridmem.baselines.config import TrainConfig
from gridmem.baselines.model.actor_critic import Caches
from gridmem.baselines.ppo.curriculum import in_growth
from gridmem.baselines.ppo.learner import Learner, TrainBatch, build_model, init, make_batches
from gridmem.baselines.ppo.rollout import collect, context_length
from gridmem.baselines.ppo.teacher import Teacher, load_teacher


class AbstractRun(NamedTuple):
    """A run with a `ShapeDtypeStruct` for every array; B streams, rollouts of T steps."""

    config: TrainConfig
    env: Any
    graphdef: Any  # static part of the model
    learner: Learner
    batches: list[TrainBatch]  # of an update, leaves [B, T, ...]; one for each environment
    teacher: Teacher | None  # with its arrays

    @property
    def num_streams(self) -> int:
        """B, the agents of all environments."""
        return sum(batch.transitions.valid.shape[0] for batch in self.batches)

    @property
    def num_steps(self) -> int:
        """T."""
        return self.batches[0].transitions.valid.shape[1]

    @property
    def context_length(self) -> int:
        """Tokens that the caches have room for before a rollout."""
        if self.learner.rollout_state is None:
            return 0
        return context_length(self.config, self.env)

    @property
    def minibatch(self) -> list[TrainBatch]:
        """The data of one gradient step."""

        def some(x: ShapeDtypeStruct) -> ShapeDtypeStruct:
            size = x.shape[:1] and x.shape[0] // self.config.ppo.num_minibatches
            return ShapeDtypeStruct((size, *x.shape[1:]), x.dtype) if x.ndim else x

        return jax.tree.map(some, self.batches)

    def caches(self, length: int) -> Caches:
        """The caches of all streams, with room for `length` tokens."""
        segmented = self.batches[0].segments is not None
        model = partial(nnx.merge, self.graphdef)
        return jax.eval_shape(
            lambda params: model(params).init_cache(self.num_streams, length, segmented),
            self.learner.params,
        )

    @property
    def teacher_room(self) -> int:
        """Tokens that the teacher's caches have room for before a rollout."""
        if self.learner.rollout_state is None or not self.teacher or not self.teacher.config:
            return 0
        return context_length(self.teacher.config, self.env)

    def teacher_caches(self, length: int) -> Caches:
        """The teacher's caches of all streams, likewise; empty without its network."""
        if self.teacher is None or self.teacher.model is None:
            return []
        model, segmented = self.teacher.model, self.batches[0].segments is not None
        return jax.eval_shape(lambda: model.init_cache(self.num_streams, length, segmented))


def abstract_run(config: TrainConfig) -> AbstractRun:
    """The shapes of a run; allocates nothing, but for a teacher.

    Raises:
        ValueError: if the teacher cannot be used.
    """
    env = config.make_env()
    teacher = load_teacher(config, env)

    def model() -> Any:
        return build_model(config, env, jax.random.key(0))

    graphdef, _ = nnx.split(nnx.eval_shape(model))
    learner = jax.eval_shape(lambda: init(config, env, teacher)[1])
    batches = _batches(config, env, graphdef, learner, teacher)
    return AbstractRun(config, env, graphdef, learner, batches, teacher)


def _batches(
    config: TrainConfig, env: Any, graphdef: Any, learner: Learner, teacher: Teacher | None
) -> list[TrainBatch]:
    """The data of an update; only one step is traced, since all steps have the same shapes."""
    num_steps = config.ppo.rollout_steps or env.max_steps
    if config.ppo.rollout_steps is not None:
        config = replace(config, method=replace(config.ppo, rollout_steps=1))

    played = in_growth(config, env)

    def one_step(params: Any, state: Any, key: Key[Array, ""]) -> list[TrainBatch]:
        model = nnx.merge(graphdef, params)
        experience = collect(config, played, model, state, key, key, 1, teacher)
        weight = None if teacher is None else jnp.float32(0)
        return make_batches(config, env, experience, weight)

    def all_steps(x: ShapeDtypeStruct) -> ShapeDtypeStruct:
        if not x.ndim:
            return x
        return ShapeDtypeStruct((x.shape[0], num_steps, *x.shape[2:]), x.dtype)

    batches = jax.eval_shape(one_step, learner.params, learner.rollout_state, learner.key)
    return [
        jax.tree.map(all_steps, batch._replace(caches=()))._replace(caches=batch.caches)
        for batch in batches
    ]
