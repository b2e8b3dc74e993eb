"""The learner: its state, how it begins, and one update as one compiled function."""

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from jax import lax
from jaxtyping import Array, Float, Float32, Int32, Key

from gridmem.baselines.config import TrainConfig
from gridmem.baselines.model.actor_critic import ActorCritic, Caches, MixtureActorCritic
from gridmem.baselines.model.policy import member_key
from gridmem.baselines.ppo.curriculum import in_growth, least_growth
from gridmem.baselines.ppo.loss import (
    LossMetrics,
    Transitions,
    explained_variance,
    normalized,
    ppo_loss,
    td_lambda,
)
from gridmem.baselines.ppo.mixture import join, split_experience, weighted_mean
from gridmem.baselines.ppo.rollout import Experience, RolloutState, collect, init_rollout
from gridmem.baselines.ppo.settings import GROWTH, PPOConfig
from gridmem.baselines.ppo.sharding import replicate, shard_batch
from gridmem.baselines.ppo.teacher import Lesson, Teacher, lesson_loss, teacher_weight
from gridmem.baselines.training.imitation import masked_mean
from gridmem.baselines.training.optimizer import make_optimizer, ordered
from gridmem.envs.batch.mixture import Mixture
from gridmem.envs.environment import Environment


class Learner(NamedTuple):
    """Everything that changes during training."""

    params: Any
    opt_state: Any
    key: Key[Array, ""]
    num_updates: Int32[Array, ""]
    rollout_state: RolloutState | None  # None if every update plays whole episodes


class StepMetrics(NamedTuple):
    """Metrics of a gradient step with auxiliary losses.

    These are "teacher_kl", KL(teacher || student), and "next_view_loss"; both in nats.
    """

    ppo: LossMetrics
    auxiliary: dict[str, Float32[Array, ""]]

    @property
    def max_ratio_error(self) -> Float32[Array, "*steps"]:
        """See `LossMetrics`."""
        return self.ppo.max_ratio_error


class UpdateMetrics(NamedTuple):
    """Metrics of one update; means over the update unless said otherwise."""

    episodes: dict[str, Float32[Array, ""]]  # of those that ended in it, by `env.stats`; GROWTH
    explained_variance: Float32[Array, ""]
    target_outside: Float32[Array, ""]  # share of targets outside the range of the value head
    grad_norm: Float32[Array, ""]  # before clipping
    param_norm: Float32[Array, ""]  # after the update
    first_ratio_error: Float32[Array, ""]  # largest |ratio - 1| before the first gradient step
    loss: LossMetrics | StepMetrics | dict[str, Float32[Array, ""]]  # of a mixture by environment


class TrainBatch(NamedTuple):
    """The training data of B streams of T steps; leaves [B, ...], or without axes."""

    obs: Any  # leaves [B, T, ...]
    transitions: Transitions  # leaves [B, T]
    caches: Caches  # the model's memory before the first step
    segments: Int32[Array, "B T"] | None
    lesson: Lesson | None = None  # [B, T, ...]; None without a teacher
    weight: Float32[Array, ""] | None = None  # of the teacher's loss
    rounded: Any = None  # [B, T, ...], see `RoundingMixer`; None if nothing was rounded


def build_model(config: TrainConfig, env: Any, key: Key[Array, ""]) -> Any:
    """A model with new parameters: `ActorCritic`, of a mixture `MixtureActorCritic`."""
    rngs = nnx.Rngs(params=key)
    if isinstance(env, Mixture):
        interfaces = [(each.parts, each.actions) for each in env.envs]
        return MixtureActorCritic(config.model, interfaces, rngs)
    return ActorCritic(config.model, env.parts, env.actions, rngs)


def init(
    config: TrainConfig, env: Environment | Mixture, teacher: Teacher | None = None
) -> tuple[Any, Learner]:
    """The model's static part and the learner at the start of a run."""
    model_key, key = jax.random.split(jax.random.key(config.seed, impl="threefry2x32"))
    graphdef, params = nnx.split(build_model(config, env, model_key))
    rollout_state = None
    if config.ppo.rollout_steps is not None:
        key, env_key = jax.random.split(key)
        model = nnx.merge(graphdef, params)
        played = in_growth(config, env)
        rollout_state = init_rollout(config, played, model, env_key, teacher)
    params, opt_state = replicate((params, _optimizer(config).init(params)))
    return graphdef, Learner(params, opt_state, key, jnp.int32(0), rollout_state)


@partial(jax.jit, static_argnums=(0, 1, 2), donate_argnums=3)
def update(
    config: TrainConfig,
    env: Environment | Mixture,
    graphdef: Any,
    learner: Learner,
    teacher: Teacher | None = None,
) -> tuple[Learner, UpdateMetrics]:
    """One update, in the stage of a teacher with it; the arrays of `learner` are donated."""
    key, level_key, action_key, shuffle_key = jax.random.split(learner.key, 4)
    model = nnx.merge(graphdef, learner.params)

    # Roll out.
    state, teacher = learner.rollout_state, replicate(teacher)
    played = in_growth(config, env, learner.num_updates)
    experience = collect(config, played, model, state, level_key, action_key, teacher=teacher)
    episodes = experience.episodes
    if config.ppo.curriculum.grow_steps:
        episodes = {**episodes, GROWTH: least_growth(config, env, learner.num_updates)}

    # Value targets and advantages.
    weight = None if teacher is None else teacher_weight(config, env, learner.num_updates)
    batch = make_batches(config, env, experience, weight)

    # Epochs of minibatches.
    params, opt_state, grad_norm, losses = replicate(
        train_epochs(config, graphdef, learner, batch, shuffle_key)
    )

    # Metrics.
    data = join([each.transitions for each in batch])
    metrics = UpdateMetrics(
        episodes=episodes,
        explained_variance=explained_variance(data.value, data.target, data.valid),
        target_outside=masked_mean(model.value_head.outside(data.target), data.valid),
        grad_norm=jnp.mean(grad_norm),
        param_norm=optax.tree.norm(ordered(params)),
        first_ratio_error=jnp.max(jnp.stack([each.max_ratio_error[0] for each in losses])),
        loss=_named(env, jax.tree.map(jnp.mean, losses)),
    )
    learner = Learner(params, opt_state, key, learner.num_updates + 1, experience.state)
    return learner, replicate(metrics)


def make_batches(
    config: TrainConfig,
    env: Any,
    experience: Experience,
    weight: Float32[Array, ""] | None = None,
) -> list[TrainBatch]:
    """The training data of each environment; without a mixture there is one.

    Args:
        config: of the run.
        env: the environment.
        experience: in it.
        weight: of the teacher's loss; None without a teacher.
    """
    if not isinstance(env, Mixture):
        return [make_batch(config.ppo, experience)._replace(weight=weight)]
    parts = split_experience(env, experience)
    settings = config.ppo.of_each(len(parts))
    return [make_batch(ppo, part) for ppo, part in zip(settings, parts, strict=True)]


def make_batch(ppo: PPOConfig, experience: Experience) -> TrainBatch:
    """The rollout with value targets and advantages, batch-major."""
    rollout = experience.rollout
    valid, (log_prob, value, segments, *_) = rollout.valid, rollout.extras
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
    of_steps = rollout.obs, transitions, segments, experience.lesson, rollout.extras.rounded
    obs, transitions, segments, lesson, rounded = jax.tree.map(
        lambda x: jnp.swapaxes(x, 0, 1), of_steps
    )
    return TrainBatch(obs, transitions, experience.caches, segments, lesson, rounded=rounded)


def train_epochs(
    config: TrainConfig,
    graphdef: Any,
    learner: Learner,
    batches: Sequence[TrainBatch],
    key: Key[Array, ""],
) -> tuple[Any, Any, Float32[Array, " steps"], list[LossMetrics | StepMetrics]]:
    """Epochs of gradient steps on minibatches of whole streams, some of each environment.

    Returns:
        The new parameters and optimizer state; norms of the gradients, and the losses in each
        environment, of each step.
    """
    optimizer, ppo = _optimizer(config), config.ppo
    gradient = jax.grad(partial(minibatch_loss, config, graphdef), has_aux=True)

    def gradient_step(carry: tuple[Any, Any], rows: Sequence[Array]) -> Any:
        params, opt_state = carry
        minibatch = [
            shard_batch(jax.tree.map(lambda x, r=some: x[r] if x.ndim else x, batch))
            for batch, some in zip(batches, rows, strict=True)
        ]
        grads, metrics = gradient(params, minibatch)
        # Adam's bias correction mixes an int32 count with float32 moments.
        with jax.numpy_dtype_promotion("standard"):
            updates, opt_state = optimizer.update(grads, opt_state, params)
        params = optax.apply_updates(params, updates)
        return (params, opt_state), (optax.tree.norm(ordered(grads)), metrics)

    rows = []
    epoch_keys = jax.random.split(key, ppo.num_epochs)
    for number, batch in enumerate(batches):
        num_streams = batch.transitions.action.shape[0]
        keys = jax.vmap(lambda k, i=number: member_key(k, i))(epoch_keys)
        order = jax.vmap(lambda k, n=num_streams: jax.random.permutation(k, n))(keys)
        rows.append(order.reshape(ppo.num_epochs * ppo.num_minibatches, -1))
    (params, opt_state), (grad_norm, metrics) = lax.scan(
        gradient_step, (learner.params, learner.opt_state), rows
    )
    return params, opt_state, grad_norm, metrics


def minibatch_loss(
    config: TrainConfig, graphdef: Any, params: Any, batches: Sequence[TrainBatch]
) -> tuple[Float32[Array, ""], list[LossMetrics | StepMetrics]]:
    """The PPO loss of a minibatch, which has a part for each environment, and the teacher's.

    Of several environments it is the mean of their losses, weighted by their streams.
    """
    model, settings = nnx.merge(graphdef, params), config.ppo.of_each(len(batches))
    features = None
    if isinstance(model, ActorCritic):
        (batch,) = batches
        caches = model.with_rounded(batch.caches, batch.rounded)
        features = model.all_blocks(model.embed(batch.obs), caches, batch.segments)
        of_each = [model.heads(features)]
    else:
        parts = [(batch.caches, batch.segments, batch.rounded) for batch in batches]
        caches, segments, rounded = join(parts)
        caches = model.with_rounded(caches, rounded)
        of_all = model.sequence([batch.obs for batch in batches], caches, segments)
        of_each = list(zip(*of_all, strict=True))
    losses, metrics = [], []
    for ppo, batch, (logits, outputs) in zip(settings, batches, of_each, strict=True):
        value_losses = model.value_head.loss(outputs, batch.transitions.target)
        loss, of_loss = ppo_loss(logits, value_losses, batch.transitions, ppo)
        auxiliary = {}
        if batch.lesson is not None and batch.weight is not None:
            auxiliary["teacher_kl"] = lesson_loss(batch.lesson, logits, batch.transitions.valid)
            loss += batch.weight * auxiliary["teacher_kl"]
        if features is not None and model.next_view is not None:
            auxiliary["next_view_loss"] = _next_view_loss(model, features, batch)
            loss += config.model.predict_view_coef * auxiliary["next_view_loss"]
        losses.append(loss)
        metrics.append(StepMetrics(of_loss, auxiliary) if auxiliary else of_loss)
    return weighted_mean(losses, [len(batch.transitions.valid) for batch in batches]), metrics


def _next_view_loss(
    model: ActorCritic, features: Float[Array, "B T D"], batch: TrainBatch
) -> Float32[Array, ""]:
    """Of the steps whose next observation is in the batch, too."""
    assert model.next_view is not None
    of_steps = batch.transitions
    following = jax.tree.map(lambda x: x[:, 1:], batch.obs)
    losses = model.next_view.losses(features[:, :-1], of_steps.action[:, :-1], following)
    return masked_mean(losses, of_steps.valid[:, :-1])


def _named(
    env: Any, losses: list[LossMetrics | StepMetrics]
) -> LossMetrics | StepMetrics | dict[str, Float32[Array, ""]]:
    if not isinstance(env, Mixture):
        return losses[0]
    pairs = zip(env.ids, losses, strict=True)
    return {f"{id}/{name}": x for id, each in pairs for name, x in each._asdict().items()}


def _optimizer(config: TrainConfig) -> optax.GradientTransformation:
    ppo = config.ppo
    num_steps = config.num_updates * ppo.num_epochs * ppo.num_minibatches
    return make_optimizer(config.optimizer, num_steps)
