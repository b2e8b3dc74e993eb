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
from gridmem.baselines.model.actor_critic import ActorCritic, Caches
from gridmem.baselines.ppo.loss import (
    LossMetrics,
    Transitions,
    explained_variance,
    masked_mean,
    normalized,
    ppo_loss,
    td_lambda,
)
from gridmem.baselines.ppo.optimizer import make_optimizer
from gridmem.baselines.ppo.rollout import Experience, RolloutState, collect, init_rollout
from gridmem.baselines.ppo.sharding import replicate, shard_batch
from gridmem.envs.environment import Discrete, Environment


class Learner(NamedTuple):
    """Everything that changes during training."""

    params: Any
    opt_state: Any
    key: Key[Array, ""]
    num_updates: Int32[Array, ""]
    rollout_state: RolloutState | None  # None if every update plays whole episodes


class UpdateMetrics(NamedTuple):
    """Metrics of one update; means over the update unless said otherwise."""

    episodes: dict[str, Float32[Array, ""]]  # of those that ended in it, by `env.stats`
    explained_variance: Float32[Array, ""]
    target_outside: Float32[Array, ""]  # share of targets outside the range of the value head
    grad_norm: Float32[Array, ""]  # before clipping
    param_norm: Float32[Array, ""]  # after the update
    first_ratio_error: Float32[Array, ""]  # largest |ratio - 1| before the first gradient step
    loss: LossMetrics


class TrainBatch(NamedTuple):
    """The training data of B streams of T steps; leaves [B, ...], or without axes."""

    obs: Any  # leaves [B, T, ...]
    transitions: Transitions  # leaves [B, T]
    caches: Caches  # the model's memory before the first step
    segments: Int32[Array, "B T"] | None


def build_model(config: TrainConfig, env: Environment, key: Key[Array, ""]) -> ActorCritic:
    """A model with new parameters."""
    rngs = nnx.Rngs(params=key)
    assert isinstance(env.actions, Discrete)  # checked by `PPOConfig`
    return ActorCritic(config.model, env.parts, env.actions, rngs)


def init(config: TrainConfig, env: Environment) -> tuple[Any, Learner]:
    """The model's static part and the learner at the start of a run."""
    model_key, key = jax.random.split(jax.random.key(config.seed, impl="threefry2x32"))
    graphdef, params = nnx.split(build_model(config, env, model_key))
    rollout_state = None
    if config.ppo.rollout_steps is not None:
        key, env_key = jax.random.split(key)
        rollout_state = init_rollout(config, env, nnx.merge(graphdef, params), env_key)
    params, opt_state = replicate((params, _optimizer(config).init(params)))
    return graphdef, Learner(params, opt_state, key, jnp.int32(0), rollout_state)


@partial(jax.jit, static_argnums=(0, 1, 2), donate_argnums=3)
def update(
    config: TrainConfig, env: Environment, graphdef: Any, learner: Learner
) -> tuple[Learner, UpdateMetrics]:
    """One update; the arrays of `learner` are donated."""
    key, level_key, action_key, shuffle_key = jax.random.split(learner.key, 4)
    model = nnx.merge(graphdef, learner.params)

    # Roll out.
    experience = collect(config, env, model, learner.rollout_state, level_key, action_key)

    # Value targets and advantages.
    batch = make_batch(config, experience)

    # Epochs of minibatches.
    params, opt_state, grad_norm, losses = replicate(
        train_epochs(config, graphdef, learner, batch, shuffle_key)
    )

    # Metrics.
    data = batch.transitions
    metrics = UpdateMetrics(
        episodes=experience.episodes,
        explained_variance=explained_variance(data.value, data.target, data.valid),
        target_outside=masked_mean(model.value_head.outside(data.target), data.valid),
        grad_norm=jnp.mean(grad_norm),
        param_norm=optax.tree.norm(params),
        first_ratio_error=losses.max_ratio_error[0],
        loss=jax.tree.map(jnp.mean, losses),
    )
    learner = Learner(params, opt_state, key, learner.num_updates + 1, experience.state)
    return learner, replicate(metrics)


def make_batch(config: TrainConfig, experience: Experience) -> TrainBatch:
    """The rollout with value targets and advantages, batch-major."""
    rollout, ppo = experience.rollout, config.ppo
    valid, (log_prob, value, segments) = rollout.valid, rollout.extras
    target = td_lambda(
        rollout.reward,
        value,
        experience.last_value,
        rollout.terminated,
        valid,
        ppo.gamma,
        ppo.td_lambda,
    )
    advantage = target - value
    if ppo.normalize_advantage:
        advantage = normalized(advantage, valid)
    transitions = Transitions(valid, rollout.action, log_prob, value, advantage, target)
    obs, transitions, segments = jax.tree.map(
        lambda x: jnp.swapaxes(x, 0, 1), (rollout.obs, transitions, segments)
    )
    return TrainBatch(obs, transitions, experience.caches, segments)


def train_epochs(
    config: TrainConfig, graphdef: Any, learner: Learner, batch: TrainBatch, key: Key[Array, ""]
) -> tuple[Any, Any, Float32[Array, " steps"], LossMetrics]:
    """Epochs of gradient steps on minibatches of whole streams.

    Returns:
        The new parameters and optimizer state; norms of the gradients, and losses, of each step.
    """
    optimizer, ppo = _optimizer(config), config.ppo
    num_streams = batch.transitions.action.shape[0]
    gradient = jax.grad(partial(minibatch_loss, config, graphdef), has_aux=True)

    def gradient_step(carry: tuple[Any, Any], rows: Array) -> Any:
        params, opt_state = carry
        minibatch = shard_batch(jax.tree.map(lambda x: x[rows] if x.ndim else x, batch))
        grads, metrics = gradient(params, minibatch)
        # Adam's bias correction mixes an int32 count with float32 moments.
        with jax.numpy_dtype_promotion("standard"):
            updates, opt_state = optimizer.update(grads, opt_state, params)
        params = optax.apply_updates(params, updates)
        return (params, opt_state), (optax.tree.norm(grads), metrics)

    epoch_keys = jax.random.split(key, ppo.num_epochs)
    order = jax.vmap(lambda k: jax.random.permutation(k, num_streams))(epoch_keys)
    rows = order.reshape(ppo.num_epochs * ppo.num_minibatches, -1)
    (params, opt_state), (grad_norm, metrics) = lax.scan(
        gradient_step, (learner.params, learner.opt_state), rows
    )
    return params, opt_state, grad_norm, metrics


def minibatch_loss(
    config: TrainConfig, graphdef: Any, params: Any, batch: TrainBatch
) -> tuple[Float32[Array, ""], LossMetrics]:
    """The PPO loss of a minibatch."""
    model = nnx.merge(graphdef, params)
    logits, outputs = model.sequence(batch.obs, batch.caches, batch.segments)
    value_losses = model.value_head.loss(outputs, batch.transitions.target)
    return ppo_loss(logits, value_losses, batch.transitions, config.ppo)


def _optimizer(config: TrainConfig) -> optax.GradientTransformation:
    ppo = config.ppo
    num_steps = config.num_updates * ppo.num_epochs * ppo.num_minibatches
    return make_optimizer(config.optimizer, num_steps)
