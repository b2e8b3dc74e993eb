"""The learner: its state, how it begins, and one update as one compiled function."""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from jax import lax
from jaxtyping import Array, Float32, Int32, Key

from gridmem.baselines.config import TrainConfig
from gridmem.baselines.loss import Batch, LossMetrics, explained_variance, ppo_loss, td_lambda
from gridmem.baselines.model import ActorCritic
from gridmem.baselines.model_policy import model_policy
from gridmem.baselines.optimizer import make_optimizer
from gridmem.envs.env import Env
from gridmem.envs.metrics import episode_stats, memory_gain
from gridmem.envs.types import Observation
from gridmem.envs.unroll import Unrolled, play


class Learner(NamedTuple):
    """Everything that changes during training."""

    params: Any
    opt_state: Any
    key: Key[Array, ""]
    num_updates: Int32[Array, ""]


class UpdateMetrics(NamedTuple):
    """What one update saw; means over the update unless said otherwise."""

    episode_return: Float32[Array, ""]
    memory_gain: Float32[Array, ""]
    first_find_steps: Float32[Array, ""]
    explained_variance: Float32[Array, ""]
    grad_norm: Float32[Array, ""]  # before clipping
    param_norm: Float32[Array, ""]  # after the update
    first_ratio_error: Float32[Array, ""]  # largest |ratio - 1| before the first gradient step
    loss: LossMetrics


def build_model(config: TrainConfig, env: Env, key: Key[Array, ""]) -> ActorCritic:
    """A model with fresh parameters."""
    rngs = nnx.Rngs(params=key)
    return ActorCritic(config.model, env.view_size, env.num_actions, rngs, env.compass_size)


def init(config: TrainConfig, env: Env) -> tuple[Any, Learner]:
    """The model's static part and the learner at the start of a run."""
    model_key, key = jax.random.split(jax.random.key(config.seed, impl="threefry2x32"))
    graphdef, params = nnx.split(build_model(config, env, model_key))
    opt_state = _optimizer(config).init(params)
    return graphdef, Learner(params, opt_state, key, jnp.int32(0))


@partial(jax.jit, static_argnums=(0, 1, 2), donate_argnums=3)
def update(
    config: TrainConfig, env: Env, graphdef: Any, learner: Learner
) -> tuple[Learner, UpdateMetrics]:
    """Plays one episode in every environment, on fresh levels, and learns from it."""
    key, level_key, play_key, shuffle_key = jax.random.split(learner.key, 4)
    model = nnx.merge(graphdef, learner.params)
    levels = jax.vmap(env.generate)(jax.random.split(level_key, config.ppo.num_envs))
    unrolled = play(env, model_policy(model), levels, play_key)
    obs, batch = _batch(config, model, unrolled)
    params, opt_state, grad_norm, losses = _learn(
        config, graphdef, learner, obs, batch, shuffle_key
    )
    stats = episode_stats(unrolled.rollout.reward)
    metrics = UpdateMetrics(
        episode_return=jnp.mean(stats.episode_return),
        memory_gain=memory_gain(stats),
        first_find_steps=jnp.mean(stats.first_find_steps.astype(jnp.float32)),
        explained_variance=explained_variance(batch.value, batch.target),
        grad_norm=jnp.mean(grad_norm),
        param_norm=optax.tree.norm(params),
        first_ratio_error=losses.max_ratio_error[0],
        loss=jax.tree.map(jnp.mean, losses),
    )
    return Learner(params, opt_state, key, learner.num_updates + 1), metrics


def _batch(
    config: TrainConfig, model: ActorCritic, unrolled: Unrolled
) -> tuple[Observation, Batch]:
    """The rollout as the loss wants it, batch-major."""
    rollout, ppo = unrolled.rollout, config.ppo
    # The observation that an episode was truncated at is real: its value is asked of the true
    # memory, which has grown by that one token.
    caches = model.grow(unrolled.carry, len(rollout.reward) + 1)
    _, last_value, _ = model.step(unrolled.timestep.obs, caches)
    value = rollout.extras.value
    target = td_lambda(
        rollout.reward, value, last_value, rollout.terminated, ppo.gamma, ppo.td_lambda
    )
    advantage = target - value
    if ppo.normalize_advantage:
        advantage = (advantage - jnp.mean(advantage)) / (jnp.std(advantage) + 1e-8)
    batch = Batch(rollout.action, rollout.extras.log_prob, value, advantage, target)
    return jax.tree.map(lambda x: jnp.swapaxes(x, 0, 1), (rollout.obs, batch))


def _learn(
    config: TrainConfig,
    graphdef: Any,
    learner: Learner,
    obs: Observation,
    batch: Batch,
    key: Key[Array, ""],
) -> tuple[Any, Any, Array, LossMetrics]:
    """Epochs of gradient steps on minibatches of whole streams."""
    optimizer = _optimizer(config)
    num_streams = batch.action.shape[0]

    def loss_of(params: Any, obs: Observation, batch: Batch) -> tuple[Array, LossMetrics]:
        model = nnx.merge(graphdef, params)
        caches = model.init_cache(batch.action.shape[0], 0)
        logits, value = model.sequence(obs, caches)
        return ppo_loss(logits, value, batch, config.ppo)

    def gradient_step(carry: tuple[Any, Any], rows: Array) -> Any:
        params, opt_state = carry
        chosen = jax.tree.map(lambda x: x[rows], (obs, batch))
        grads, metrics = jax.grad(loss_of, has_aux=True)(params, *chosen)
        # Adam's bias correction mixes an int32 count with float32 moments.
        with jax.numpy_dtype_promotion("standard"):
            updates, opt_state = optimizer.update(grads, opt_state, params)
        params = optax.apply_updates(params, updates)
        return (params, opt_state), (optax.tree.norm(grads), metrics)

    epochs = jax.random.split(key, config.ppo.num_epochs)
    order = jax.vmap(lambda k: jax.random.permutation(k, num_streams))(epochs)
    rows = order.reshape(config.ppo.num_epochs * config.ppo.num_minibatches, -1)
    (params, opt_state), (grad_norm, metrics) = lax.scan(
        gradient_step, (learner.params, learner.opt_state), rows
    )
    return params, opt_state, grad_norm, metrics


def _optimizer(config: TrainConfig) -> optax.GradientTransformation:
    ppo = config.ppo
    num_steps = config.num_updates * ppo.num_epochs * ppo.num_minibatches
    return make_optimizer(config.optimizer, num_steps)
