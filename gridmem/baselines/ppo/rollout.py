"""Rollouts for training: whole episodes, or a number of steps that continue those of before."""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float32, Key

from gridmem.baselines.config import TrainConfig
from gridmem.baselines.model.actor_critic import ActorCritic, Caches, MixtureActorCritic
from gridmem.baselines.model.policy import model_policy, streaming_policy
from gridmem.baselines.ppo.sharding import num_devices, shard_batch, shard_map_rows
from gridmem.baselines.ppo.teacher import (
    Lesson,
    TaughtExtras,
    TaughtMemory,
    Teacher,
    oracle_lesson,
    resting_policy,
    taught_policy,
)
from gridmem.envs.batch.mixture import Mixture, vector_env
from gridmem.envs.batch.policy import Policy
from gridmem.envs.batch.rollout import (
    CHUNK_STEPS,
    Rollout,
    RolloutResult,
    RunnerState,
    play,
    unroll,
)
from gridmem.envs.env import Env
from gridmem.envs.environment import Environment
from gridmem.envs.types import TimeStep


class RolloutState(NamedTuple):
    """Where a rollout stopped and the next one continues."""

    # state: VectorState; carry: Memory of the last `context_length` tokens, beside a teacher's
    # TaughtMemory
    runner: RunnerState
    episodes: Any  # the accumulator of `env.stats`


class Experience(NamedTuple):
    """A rollout of T steps of B streams, and what training on it needs."""

    rollout: Rollout  # leaves [T, B, ...]; extras: ModelExtras, or TaughtExtras
    last_value: Float32[Array, " B"]  # of the observation after the last action
    caches: Caches  # the model's memory before the first step
    state: RolloutState | None  # None if the next rollout begins with new episodes
    episodes: dict[str, Float32[Array, ""]]  # the metrics of `env.stats`
    lesson: Lesson | None = None  # [T, B, ...]; None without a teacher


def context_length(config: TrainConfig, env: Environment | Mixture) -> int:
    """The most tokens before its own that a token can attend to."""
    episode = env.max_steps + 1  # with the observation at the truncation
    return min(config.model.window or episode, episode) - 1


def init_rollout(
    config: TrainConfig,
    env: Environment | Mixture,
    model: ActorCritic | MixtureActorCritic,
    key: Key[Array, ""],
    teacher: Teacher | None = None,
) -> RolloutState:
    """The start of an episode in every environment."""
    vector = vector_env(env, config.ppo.num_envs // num_devices())
    length = context_length(config, env)

    @jax.jit  # gives equal leaves a buffer of their own, so that all can be donated
    def start(key: Array) -> RolloutState:
        seeds = jax.random.bits(key, (vector.num_envs * num_devices(), 2), jnp.uint32)
        reset = shard_map_rows(vector.reset)
        state, timestep = reset(seeds)
        num_streams = timestep.reward.shape[0]
        policy = _streaming(config, env, model, teacher)
        memory = policy.keep(policy.init(num_streams), length)
        runner = RunnerState(state, timestep, memory)
        return shard_batch(RolloutState(runner, env.stats.init(num_streams)))

    return start(key)


def collect(
    config: TrainConfig,
    env: Environment | Mixture,
    model: ActorCritic | MixtureActorCritic,
    state: RolloutState | None,
    level_key: Key[Array, ""],
    action_key: Key[Array, ""],
    num_steps: int | None = None,
    teacher: Teacher | None = None,
) -> Experience:
    """Rolls out the model in every environment.

    Args:
        config: of the run.
        env: the environment.
        model: the policy.
        state: where the last rollout stopped; None to play whole episodes on new levels.
        level_key: source of the new levels.
        action_key: source of the actions.
        num_steps: of each whole episode, for the shapes alone; all if not given.
        teacher: that is asked what it would do.
    """
    if state is None:
        assert not isinstance(env, Mixture)  # which continues episodes
        assert isinstance(model, ActorCritic)
        policy, length, after, starts = model_policy(model, training=True), 0, None, None
        if teacher is not None and teacher.model is not None:
            policy = taught_policy(policy, teacher.model)
        begin = new_levels(config, env, level_key)
        result = play_episodes(config, env, policy, begin, action_key, num_steps)
        episodes = env.stats.whole(result.rollout)
        caches = model.init_cache(result.timestep.reward.shape[0], 0)
    else:
        length, memory, begin = context_length(config, env), state.runner.carry, state.runner.state
        policy = _streaming(config, env, model, teacher, memory)
        starts = draw_starts(config, env, state)
        result, after, episodes = continue_rollout(
            config, env, model, state, action_key, starts, teacher
        )
        caches = (memory.student if isinstance(memory, TaughtMemory) else memory).caches
    last_value, lesson = _value_after(policy, result, length), None
    if teacher is not None:
        rollout = result.rollout
        if isinstance(rollout.extras, TaughtExtras):
            lesson = rollout.extras.teacher
        else:
            assert isinstance(env, Env)  # as the settings require
            is_whole = state is None
            lesson = oracle_lesson(env, begin, rollout.action, is_whole, starts)
    return Experience(result.rollout, last_value, caches, after, episodes, lesson)


def new_levels(config: TrainConfig, env: Environment, key: Key[Array, ""]) -> Any:
    """A new level for each environment, leaves [N, ...]."""
    generate = shard_map_rows(jax.vmap(env.generate))
    return generate(jax.random.split(key, config.ppo.num_envs))


def play_episodes(
    config: TrainConfig,
    env: Environment,
    policy: Policy,
    levels: Any,
    key: Key[Array, ""],
    num_steps: int | None = None,
) -> RolloutResult:
    """One whole episode in every environment, on its level."""
    chunk = _chunk_steps(config, env.max_steps)
    return play(env, policy, shard_batch(levels), key, chunk, num_steps)


def draw_starts(config: TrainConfig, env: Environment | Mixture, state: RolloutState) -> Any:
    """The starts of episodes that begin in the next rollout; see `VectorEnv.next_starts`."""
    vector: Any = vector_env(env, config.ppo.num_envs // num_devices())
    runner = shard_batch(state.runner)
    draw = shard_map_rows(partial(vector.next_starts, num_steps=config.ppo.rollout_steps))
    return draw(runner.state, runner.timestep.time)


def continue_rollout(
    config: TrainConfig,
    env: Environment | Mixture,
    model: ActorCritic | MixtureActorCritic,
    state: RolloutState,
    key: Key[Array, ""],
    starts: Any,
    teacher: Teacher | None = None,
) -> tuple[RolloutResult, RolloutState, dict[str, Float32[Array, ""]]]:
    """Plays `rollout_steps` more; where an episode ends, that of the `starts` begins.

    These are of `draw_starts`; if it gave none, levels are generated in the steps.
    """
    length, num_steps = context_length(config, env), config.ppo.rollout_steps
    assert num_steps is not None
    vector: Any = vector_env(env, config.ppo.num_envs // num_devices())
    runner = shard_batch(state.runner)
    advance = shard_map_rows(vector.step)

    def step(state: Any, action: Array) -> tuple[Any, TimeStep]:
        return advance(state, action, starts)

    policy = _streaming(config, env, model, teacher, runner.carry)
    chunk = _chunk_steps(config, num_steps)
    result = unroll(step, policy, runner, key, num_steps, length, chunk)
    memory = policy.keep(result.carry, length)
    accumulator, episodes = env.stats.add(state.episodes, result.rollout)
    after = RolloutState(result.runner_state._replace(carry=memory), accumulator)
    return result, after, episodes


def _chunk_steps(config: TrainConfig, num_steps: int) -> int:
    """Steps of one scan of a rollout of so many."""
    # The Triton kernel reads only slots that are seen, so it gains nothing from a growing cache.
    return num_steps if config.model.decode == "triton" else CHUNK_STEPS


def _streaming(
    config: TrainConfig,
    env: Environment | Mixture,
    model: ActorCritic | MixtureActorCritic,
    teacher: Teacher | None,
    memory: Any = None,
) -> Policy:
    """The policy of rollouts that continue, beside its teacher.

    With a teacher's memory and no teacher, which is thus no longer asked, that stays as it was.
    """
    policy = streaming_policy(model, training=True)
    if teacher is not None and teacher.model is not None and teacher.config is not None:
        room = context_length(teacher.config, env) - context_length(config, env)
        return taught_policy(policy, teacher.model, room, segmented=True)
    return resting_policy(policy) if isinstance(memory, TaughtMemory) else policy


def _value_after(policy: Policy, result: RolloutResult, length: int) -> Float32[Array, " B"]:
    """The value of the observation after the last action, given the model's memory until then.

    Args:
        policy: that of the rollout.
        result: of the rollout.
        length: tokens that the memory had room for before it.
    """
    memory: Any = policy.grow(result.carry, length + len(result.rollout.reward) + 1)
    return policy.act(memory, result.timestep, jax.random.key(0)).extras.value
