"""A model as a policy."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float32, Int32, Key

from gridmem.baselines.model.actor_critic import ActorCritic, Caches, MixtureActorCritic
from gridmem.baselines.model.mixers import Weights
from gridmem.envs.batch.policy import Policy, PolicyOutput, batched_index
from gridmem.envs.types import TimeStep


class ModelExtras(NamedTuple):
    """What the loss needs to know about a choice."""

    log_prob: Float32[Array, " B"]
    value: Float32[Array, " B"]
    segment: Int32[Array, " B"] | None = None  # of the token; None where all are of one episode
    rounded: Any = None  # see `RoundingMixer`; None unless asked for


class ExplainedExtras(NamedTuple):
    """What is to be shown of a choice, too."""

    log_prob: Float32[Array, " B"]
    value: Float32[Array, " B"]
    logits: Float32[Array, "B actions"]
    weights: Float32[Array, "B S"] | None
    """How much each timestep so far counted, the mean over heads and layers: S is the room in the
    memory, slot s timestep s; rows sum to 1. None if the mixer has no weights to show."""


class Memory(NamedTuple):
    """What a model remembers of streams in which episode follows upon episode."""

    caches: Caches
    segment: Int32[Array, " B"]  # that of the last token, 1 or more; 0 before the first


def model_policy(
    model: ActorCritic, greedy: bool = False, explain: bool = False, training: bool = False
) -> Policy:
    """Acts by the model's probabilities, or by the most probable action, for one episode.

    Make it outside of the loop that drives it: the weights are prepared once, here.

    Args:
        model: the network; its caches are the policy's memory.
        greedy: take the most probable action instead of drawing one.
        explain: give `ExplainedExtras` instead of `ModelExtras`. The memory must then have its
            final room from the beginning: call `grow` before the first step, or `play` with a
            `chunk_steps` of `env.max_steps`.
        training: give in `ModelExtras` how the memory was rounded.
    """
    prepared = model.prepare()

    def act(caches: Caches, timestep: TimeStep, key: Key[Array, ""]) -> PolicyOutput:
        if not explain:
            logits, value, caches = model.step(timestep.obs, caches, None, prepared)
            action, log_prob = _choose(logits, greedy, key)
            rounded = model.rounded(caches) if training else None
            return PolicyOutput(caches, action, ModelExtras(log_prob, value, None, rounded))
        logits, value, caches, weights = model.explain(timestep.obs, caches)
        action, log_prob = _choose(logits, greedy, key)
        over_layers = None if weights is None else jnp.mean(weights, axis=1)
        return PolicyOutput(caches, action, ExplainedExtras(log_prob, value, logits, over_layers))

    return Policy(init=lambda batch: model.init_cache(batch, 0), act=act, grow=model.grow)


def streaming_policy(
    model: ActorCritic | MixtureActorCritic,
    greedy: bool = False,
    forget_at_finds: bool = False,
    weights: list[Weights] | None = None,
    context: int | None = None,
    training: bool = False,
) -> Policy:
    """Likewise for any number of episodes in a row: at the first timestep of one, all is forgotten.

    Its memory is a `Memory`.

    Args:
        model: the network.
        greedy: take the most probable action instead of drawing one.
        forget_at_finds: forget whenever the last reward was above 0, too; a control.
        weights: what `model.prepare` gave, where that was done before.
        context: tokens before its own that a token can attend to; None for all.
        training: give in `ModelExtras` how the memory was rounded.
    """
    prepared = model.prepare() if weights is None else weights

    def init(batch: int) -> Memory:
        return Memory(model.init_cache(batch, 0, segmented=True), jnp.zeros(batch, jnp.int32))

    def grow(memory: Memory, length: int) -> Memory:
        return memory._replace(caches=model.grow(memory.caches, length))

    def keep(memory: Memory, length: int) -> Memory:
        return memory._replace(caches=model.keep(memory.caches, length))

    def act(memory: Memory, timestep: TimeStep, key: Key[Array, ""]) -> PolicyOutput:
        begins = timestep.time == 0
        if forget_at_finds:
            begins = begins | (timestep.obs.last_reward > 0)
        segment = memory.segment + begins.astype(jnp.int32)
        logits, value, caches = model.step(timestep.obs, memory.caches, segment, prepared)
        action, log_prob = _choose(logits, greedy, key)
        extras = ModelExtras(log_prob, value, segment, model.rounded(caches) if training else None)
        return PolicyOutput(Memory(caches, segment), action, extras)

    return Policy(init, act, grow, context, keep)


def member_key(key: Key[Array, ""], number: int) -> Key[Array, ""]:
    """The key of an environment of a mixture; that of the first is the key itself."""
    return jax.random.fold_in(key, number) if number else key


def _choose(
    logits: Float32[Array, "B actions"] | tuple[Float32[Array, "_ _"], ...],
    greedy: bool,
    key: Key[Array, ""],
) -> tuple[Int32[Array, " B"], Float32[Array, " B"]]:
    """An action, and the logarithm of its probability; of the streams of all environments."""
    if isinstance(logits, tuple):
        pairs = [_choose(each, greedy, member_key(key, i)) for i, each in enumerate(logits)]
        actions, log_probs = zip(*pairs, strict=True)
        return jnp.concatenate(actions), jnp.concatenate(log_probs)
    if greedy:
        action = jnp.argmax(logits, axis=-1).astype(jnp.int32)
    else:
        action = jax.random.categorical(key, logits).astype(jnp.int32)
    return action, batched_index(jax.nn.log_softmax(logits), action)
