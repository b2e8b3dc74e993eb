"""The arrays of a run as shapes, taken from the functions that will make them."""

from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import jax
from flax import nnx
from jax import ShapeDtypeStruct
from jaxtyping import Array, Key

from gridmem.baselines.config import TrainConfig
from gridmem.baselines.model.actor_critic import ActorCritic, Caches
from gridmem.baselines.ppo.learner import Data, Learner, build_model, collect, init
from gridmem.baselines.ppo.rollout import context
from gridmem.envs.env import Env


class Outline(NamedTuple):
    """A run in which every array is only a shape; B streams, T steps to a rollout."""

    config: TrainConfig
    env: Env
    graphdef: Any  # static part of the model
    learner: Learner
    data: Data  # what an update learns from, leaves [B, T, ...]

    @property
    def num_streams(self) -> int:
        """B, of all environments' agents."""
        return self.data.batch.valid.shape[0]

    @property
    def num_steps(self) -> int:
        """T."""
        return self.data.batch.valid.shape[1]

    @property
    def room(self) -> int:
        """Tokens that the caches have room for before a rollout."""
        return 0 if self.learner.ongoing is None else context(self.config, self.env)

    @property
    def minibatch(self) -> Data:
        """The data of one gradient step."""
        size = self.num_streams // self.config.ppo.num_minibatches
        return jax.tree.map(
            lambda x: ShapeDtypeStruct((size, *x.shape[1:]), x.dtype) if x.ndim else x, self.data
        )

    def caches(self, length: int) -> Caches:
        """The caches of all streams, with room for that many tokens."""
        segmented = self.data.segments is not None
        model = partial(nnx.merge, self.graphdef)
        return jax.eval_shape(
            lambda params: model(params).init_cache(self.num_streams, length, segmented),
            self.learner.params,
        )


def outline(config: TrainConfig) -> Outline:
    """The shapes of a run; takes no memory, however large they are."""
    env = config.make_env()

    def model() -> ActorCritic:
        return build_model(config, env, jax.random.key(0))

    graphdef, _ = nnx.split(nnx.eval_shape(model))
    learner = jax.eval_shape(lambda: init(config, env)[1])
    return Outline(config, env, graphdef, learner, _data(config, env, graphdef, learner))


def _data(config: TrainConfig, env: Env, graphdef: Any, learner: Learner) -> Data:
    """What an update learns from; one step is traced, since all steps are alike."""
    num_steps, episode = config.ppo.rollout_steps, env
    if num_steps is None:
        num_steps, episode = env.max_steps, Env(replace(env.config, max_steps=1))
    else:
        config = replace(config, ppo=replace(config.ppo, rollout_steps=1))

    def one_step(params: Any, ongoing: Any, key: Key[Array, ""]) -> Data:
        return collect(config, episode, nnx.merge(graphdef, params), ongoing, key, key)[0]

    def prolonged(x: ShapeDtypeStruct) -> ShapeDtypeStruct:
        return ShapeDtypeStruct((x.shape[0], num_steps, *x.shape[2:]), x.dtype)

    data = jax.eval_shape(one_step, learner.params, learner.ongoing, learner.key)
    obs, batch, segments = jax.tree.map(prolonged, (data.obs, data.batch, data.segments))
    return Data(obs, batch, data.caches, segments)
