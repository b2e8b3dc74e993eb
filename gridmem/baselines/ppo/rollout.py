"""Episodes that go on from one update to the next, and what is told of those that ended."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float32, Int32, Key

from gridmem.baselines.config import TrainConfig
from gridmem.baselines.model.actor_critic import ActorCritic
from gridmem.baselines.model.policy import Memory, streaming_policy
from gridmem.baselines.ppo.sharding import divided, num_devices, row_by_row
from gridmem.envs.analysis.metrics import EpisodeStats, episode_stats, memory_gain
from gridmem.envs.batch.autoreset import VectorEnv
from gridmem.envs.batch.rollout import Rollout, Streams, Unrolled, advance
from gridmem.envs.env import Env


class Tally(NamedTuple):
    """The finds so far in the episode of each stream."""

    episode_return: Float32[Array, " B"]
    visits: Int32[Array, " B"]
    first: Int32[Array, " B"]  # step of the first find; the number of steps so far if there is none
    last: Int32[Array, " B"]  # of the last find; 0 if there is none
    time: Int32[Array, " B"]


class Ongoing(NamedTuple):
    """What an update takes over from the one before."""

    streams: Streams  # state: VectorState; carry: Memory of the last `context` tokens
    tally: Tally


class Episodes(NamedTuple):
    """Means over the episodes that ended; 0 if there is none."""

    episode_return: Float32[Array, ""]
    memory_gain: Float32[Array, ""]
    first_find_steps: Float32[Array, ""]
    num_episodes: Float32[Array, ""]
    found_again: Float32[Array, ""]  # episodes with two finds or more, of which the gain is


def context(config: TrainConfig, env: Env) -> int:
    """Tokens before its own that a token can see at most."""
    episode = env.max_steps + 1  # the observation at the truncation is one, too
    return min(config.model.window or episode, episode) - 1


def begin(config: TrainConfig, env: Env, model: ActorCritic, key: Key[Array, ""]) -> Ongoing:
    """A first episode in every environment, of which nothing has been seen."""
    num_envs, seen = config.ppo.num_envs, context(config, env)

    @jax.jit  # whatever is equal gets a buffer of its own, so that all can be donated
    def start(key: Array) -> Ongoing:
        seeds = jax.random.bits(key, (num_envs, 2), jnp.uint32)
        reset = row_by_row(VectorEnv(env, num_envs // num_devices()).reset)
        state, timestep = reset(seeds)
        num_streams = timestep.reward.shape[0]
        memory = streaming_policy(model).init(num_streams)
        memory = memory._replace(caches=model.keep(memory.caches, seen))
        return divided(Ongoing(Streams(state, timestep, memory), _empty(num_streams)))

    return start(key)


def go_on(
    config: TrainConfig, env: Env, model: ActorCritic, ongoing: Ongoing, key: Key[Array, ""]
) -> tuple[Unrolled, Ongoing, Episodes]:
    """Plays `rollout_steps` more, new episodes following upon those that end."""
    seen, num_steps = context(config, env), config.ppo.rollout_steps
    assert num_steps is not None
    vector = VectorEnv(env, config.ppo.num_envs // num_devices())
    step, policy = row_by_row(vector.step), streaming_policy(model)
    unrolled = advance(step, policy, divided(ongoing.streams), key, num_steps, seen)
    carry: Memory = unrolled.carry
    carry = carry._replace(caches=model.keep(carry.caches, seen))
    tally, episodes = _count(ongoing.tally, unrolled.rollout)
    return unrolled, Ongoing(unrolled.streams._replace(carry=carry), tally), episodes


def whole_episodes(rollout: Rollout) -> Episodes:
    """What is told of a rollout that is one whole episode in each stream."""
    stats = episode_stats(jnp.where(rollout.valid, rollout.reward, 0))
    length = jnp.sum(rollout.valid, axis=0, dtype=jnp.int32)
    # An episode that the task ended may be shorter than the rollout.
    stats = stats._replace(first_find_steps=jnp.minimum(stats.first_find_steps, length))
    return _means(stats, jnp.ones(stats.visits.shape, bool))


def _count(tally: Tally, rollout: Rollout) -> tuple[Tally, Episodes]:
    def step(tally: Tally, row: tuple[Array, ...]) -> tuple[Tally, tuple[EpisodeStats, Array]]:
        reward, valid, done = row
        # The row of a reset is no step: it only empties the tally.
        tally = jax.tree.map(lambda x, zero: jnp.where(valid, x, zero), tally, _empty(len(reward)))
        found = valid & (reward > 0)
        time = tally.time + valid.astype(jnp.int32)
        visits = tally.visits + found.astype(jnp.int32)
        last = jnp.where(found, time, tally.last)
        first = jnp.where(tally.visits > 0, tally.first, time)
        later = (last - first).astype(jnp.float32) / jnp.maximum(visits - 1, 1).astype(jnp.float32)
        total = tally.episode_return + jnp.where(valid, reward, 0)
        stats = EpisodeStats(total, visits, first, jnp.where(visits > 1, later, 0.0))
        return Tally(total, visits, first, last, time), (stats, valid & done)

    done = rollout.terminated | rollout.truncated
    tally, (stats, ended) = lax.scan(step, tally, (rollout.reward, rollout.valid, done))
    return tally, _means(stats, ended)


def _means(stats: EpisodeStats, ended: Bool[Array, "*B"]) -> Episodes:
    num_episodes = jnp.sum(ended, dtype=jnp.float32)

    def mean(x: Array) -> Array:
        return jnp.sum(jnp.where(ended, x.astype(jnp.float32), 0)) / jnp.maximum(num_episodes, 1)

    # An episode that is still going on counts as one without a find.
    counted = stats._replace(visits=jnp.where(ended, stats.visits, 0))
    episode_return, first_find_steps = mean(stats.episode_return), mean(stats.first_find_steps)
    found_again = jnp.sum(counted.visits > 1, dtype=jnp.float32)
    gain = memory_gain(counted)
    return Episodes(episode_return, gain, first_find_steps, num_episodes, found_again)


def _empty(num_streams: int) -> Tally:
    zero = jnp.zeros(num_streams, jnp.int32)
    return Tally(jnp.zeros(num_streams, jnp.float32), zero, zero, zero, zero)
