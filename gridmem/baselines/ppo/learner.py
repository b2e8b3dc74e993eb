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
from gridmem.baselines.model.policy import model_policy, streaming_policy
from gridmem.baselines.ppo.loss import (
    Batch,
    LossMetrics,
    explained_variance,
    masked_mean,
    normalized,
    ppo_loss,
    td_lambda,
)
from gridmem.baselines.ppo.optimizer import make_optimizer
from gridmem.baselines.ppo.rollout import (
    Episodes,
    Ongoing,
    begin,
    context,
    go_on,
    whole_episodes,
)
from gridmem.baselines.ppo.sharding import divided, everywhere, row_by_row
from gridmem.envs.batch.policy import Policy
from gridmem.envs.batch.rollout import CHUNK_STEPS, Unrolled, play
from gridmem.envs.env import Env
from gridmem.envs.types import Observation


class Learner(NamedTuple):
    """Everything that changes during training."""

    params: Any
    opt_state: Any
    key: Key[Array, ""]
    num_updates: Int32[Array, ""]
    ongoing: Ongoing | None  # the episodes under way; None if every update plays whole ones


class UpdateMetrics(NamedTuple):
    """What one update saw; means over the update unless said otherwise.

    The first three are of the episodes that ended in it, and 0 if none did.
    """

    episode_return: Float32[Array, ""]
    memory_gain: Float32[Array, ""]
    first_find_steps: Float32[Array, ""]
    num_episodes: Float32[Array, ""]
    found_again: Float32[Array, ""]  # episodes with two finds or more, of which the gain is
    explained_variance: Float32[Array, ""]
    target_outside: Float32[Array, ""]  # share of targets beyond what the value head can say
    grad_norm: Float32[Array, ""]  # before clipping
    param_norm: Float32[Array, ""]  # after the update
    first_ratio_error: Float32[Array, ""]  # largest |ratio - 1| before the first gradient step
    loss: LossMetrics


class Data(NamedTuple):
    """What an update learns from; leaves [B, ...], or without axes."""

    obs: Observation  # leaves [B, T, ...]
    batch: Batch
    caches: Caches  # what the model remembered before the first timestep
    segments: Int32[Array, "B T"] | None


def build_model(config: TrainConfig, env: Env, key: Key[Array, ""]) -> ActorCritic:
    """A model with fresh parameters."""
    rngs = nnx.Rngs(params=key)
    return ActorCritic(config.model, env.view_size, env.num_actions, rngs, env.compass_size)


def init(config: TrainConfig, env: Env) -> tuple[Any, Learner]:
    """The model's static part and the learner at the start of a run."""
    model_key, key = jax.random.split(jax.random.key(config.seed, impl="threefry2x32"))
    graphdef, params = nnx.split(build_model(config, env, model_key))
    ongoing = None
    if config.ppo.rollout_steps is not None:
        key, env_key = jax.random.split(key)
        ongoing = begin(config, env, nnx.merge(graphdef, params), env_key)
    params, opt_state = everywhere((params, _optimizer(config).init(params)))
    return graphdef, Learner(params, opt_state, key, jnp.int32(0), ongoing)


@partial(jax.jit, static_argnums=(0, 1, 2), donate_argnums=3)
def update(
    config: TrainConfig, env: Env, graphdef: Any, learner: Learner
) -> tuple[Learner, UpdateMetrics]:
    """Plays in every environment and learns from it."""
    key, level_key, play_key, shuffle_key = jax.random.split(learner.key, 4)
    model = nnx.merge(graphdef, learner.params)
    data, ongoing, episodes = collect(config, env, model, learner.ongoing, level_key, play_key)
    params, opt_state, grad_norm, losses = everywhere(
        learn(config, graphdef, learner, data, shuffle_key)
    )
    batch = data.batch
    metrics = UpdateMetrics(
        **episodes._asdict(),
        explained_variance=explained_variance(batch.value, batch.target, batch.valid),
        target_outside=masked_mean(model.value_head.outside(batch.target), batch.valid),
        grad_norm=jnp.mean(grad_norm),
        param_norm=optax.tree.norm(params),
        first_ratio_error=losses.max_ratio_error[0],
        loss=jax.tree.map(jnp.mean, losses),
    )
    learner = Learner(params, opt_state, key, learner.num_updates + 1, ongoing)
    return learner, everywhere(metrics)


def collect(
    config: TrainConfig,
    env: Env,
    model: ActorCritic,
    ongoing: Ongoing | None,
    level_key: Key[Array, ""],
    play_key: Key[Array, ""],
) -> tuple[Data, Ongoing | None, Episodes]:
    """Plays in every environment: what an update learns from, and where the next one goes on."""
    if ongoing is None:
        policy, seen, after = model_policy(model), 0, None
        generate = row_by_row(jax.vmap(env.generate))
        levels = generate(jax.random.split(level_key, config.ppo.num_envs))
        # A kernel that reads the tokens that are there gains nothing from a cache that grows.
        chunk = env.max_steps if config.model.decode == "triton" else CHUNK_STEPS
        unrolled = play(env, policy, divided(levels), play_key, chunk)
        episodes = whole_episodes(unrolled.rollout)
        caches = model.init_cache(unrolled.timestep.reward.shape[0], 0)
    else:
        policy, seen = streaming_policy(model), context(config, env)
        unrolled, after, episodes = go_on(config, env, model, ongoing, play_key)
        caches = ongoing.streams.carry.caches
    return _data(config, policy, unrolled, seen, caches), after, episodes


def loss(
    config: TrainConfig, graphdef: Any, params: Any, data: Data
) -> tuple[Float32[Array, ""], LossMetrics]:
    """What a gradient step lowers, on some of the streams."""
    model = nnx.merge(graphdef, params)
    logits, outputs = model.sequence(data.obs, data.caches, data.segments)
    losses = model.value_head.loss(outputs, data.batch.target)
    return ppo_loss(logits, losses, data.batch, config.ppo)


def _data(
    config: TrainConfig, policy: Policy, unrolled: Unrolled, seen: int, caches: Caches
) -> Data:
    """The rollout as the loss wants it, batch-major.

    Args:
        config: discounts.
        policy: who played.
        unrolled: the rollout.
        seen: tokens that the memory had room for before it.
        caches: the memory before it.
    """
    rollout, ppo = unrolled.rollout, config.ppo
    # The observation that comes after the last action is real: its value is asked of the true
    # memory, which has grown by that one token.
    memory = policy.grow(unrolled.carry, seen + len(rollout.reward) + 1)
    last = policy.act(memory, unrolled.timestep, jax.random.key(0)).extras.value
    log_prob, value, segments = rollout.extras
    target = td_lambda(
        rollout.reward, value, last, rollout.terminated, rollout.valid, ppo.gamma, ppo.td_lambda
    )
    advantage = target - value
    if ppo.normalize_advantage:
        advantage = normalized(advantage, rollout.valid)
    batch = Batch(rollout.valid, rollout.action, log_prob, value, advantage, target)
    obs, batch, segments = jax.tree.map(
        lambda x: jnp.swapaxes(x, 0, 1), (rollout.obs, batch, segments)
    )
    return Data(obs, batch, caches, segments)


def learn(
    config: TrainConfig, graphdef: Any, learner: Learner, data: Data, key: Key[Array, ""]
) -> tuple[Any, Any, Array, LossMetrics]:
    """Epochs of gradient steps on minibatches of whole streams."""
    optimizer = _optimizer(config)
    num_streams = data.batch.action.shape[0]
    gradient = jax.grad(partial(loss, config, graphdef), has_aux=True)

    def gradient_step(carry: tuple[Any, Any], rows: Array) -> Any:
        params, opt_state = carry
        some = divided(jax.tree.map(lambda x: x[rows] if x.ndim else x, data))
        grads, metrics = gradient(params, some)
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
