"""Rollouts: the loop over environment and policy of training, evaluation and videos."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float32, Key, Num

from gridmem.envs.batch.policy import Policy
from gridmem.envs.environment import Box, Environment
from gridmem.envs.types import TimeStep

CHUNK_STEPS = 64
"""Steps of one scan; a policy's memory grows between scans."""


class Rollout(NamedTuple):
    """T steps of B = N * A streams, time-major; stream n * A + a is agent a of environment n.

    `obs` and `valid` are those before the action; reward and ends are its results.
    """

    obs: Any  # leaves [T, B, ...]
    valid: Bool[Array, "T B"]  # whether the episode had not ended
    action: Num[Array, "T B *K"]  # i32[T, B], or f32[T, B, K] of a Box
    reward: Float32[Array, "T B"]
    terminated: Bool[Array, "T B"]
    truncated: Bool[Array, "T B"]
    extras: Any  # of the policy, leaves [T, B, ...]
    events: Any = ()  # of the timesteps that the actions led to, leaves [T, B, ...]


class RunnerState(NamedTuple):
    """The state of a rollout of B streams between two steps."""

    state: Any  # of the environments
    timestep: TimeStep  # leaves [B, ...]; not yet acted upon
    carry: Any  # the policy's memory


class RolloutResult(NamedTuple):
    """The state after a rollout, and what happened in it."""

    state: Any  # of `play`: leaves [N, ...]
    timestep: TimeStep  # leaves [B, ...]; not yet acted upon
    carry: Any
    rollout: Rollout

    @property
    def runner_state(self) -> RunnerState:
        """Where `unroll` can continue."""
        return RunnerState(self.state, self.timestep, self.carry)


def play(
    env: Environment,
    policy: Policy,
    levels: Any,
    key: Key[Array, ""],
    chunk_steps: int = CHUNK_STEPS,
    num_steps: int | None = None,
) -> RolloutResult:
    """Plays whole episodes from their start.

    Args:
        env: the environment.
        policy: the policy of all agents.
        levels: one level per environment, leaves [N, ...].
        key: for the policy.
        chunk_steps: steps of one scan; the policy's memory grows between scans.
        num_steps: T, to play of each episode; `env.max_steps` if not given.

    Returns:
        The last `state` [N, ...], `timestep` and `carry` [B, ...], and the `rollout`, which has
        `obs`, `valid` bool, `action` i32 or f32, `reward` f32, `terminated` and `truncated` bool,
        `extras` and `events`, all [T, B, ...], where stream n * A + a is agent a of level n.

    Raises:
        RuntimeError: in a process forked from one that had already used JAX.
    """

    def step(state: Any, action: Array) -> tuple[Any, TimeStep]:
        state, timestep = jax.vmap(env.step)(state, by_environment(env, action))
        return state, flatten(timestep)

    state, timestep = jax.vmap(env.start)(levels)
    timestep = flatten(timestep)
    runner_state = RunnerState(state, timestep, policy.init(timestep.reward.shape[0]))
    return unroll(step, policy, runner_state, key, num_steps or env.max_steps, 0, chunk_steps)


def unroll(
    step: Callable[[Any, Array], tuple[Any, TimeStep]],
    policy: Policy,
    runner_state: RunnerState,
    key: Key[Array, ""],
    num_steps: int,
    room: int,
    chunk_steps: int = CHUNK_STEPS,
) -> RolloutResult:
    """Plays `num_steps` steps from a given state.

    Args:
        step: (state, action [B, ...]) -> (state, timestep of B streams); the one of a
            `VectorEnv` begins new episodes.
        policy: the policy of all agents.
        runner_state: where to begin.
        key: for the policy.
        num_steps: T.
        room: steps that the policy's memory has room for in `runner_state`.
        chunk_steps: steps of one scan; the memory grows between scans. All if it does not grow.
    """

    def one(carry: tuple[RunnerState, Array], key: Key[Array, ""]) -> Any:
        (state, timestep, memory), over = carry
        memory, action, extras = policy.act(memory, timestep, key)
        state, following = step(state, action)
        rollout = recorded(timestep.obs, ~over, action, following, extras)
        over = following.done | (over & (following.time > 0))
        return (RunnerState(state, following, memory), over), rollout

    # A memory of one size needs no second scan, which would have to be compiled, too.
    memory = runner_state.carry
    grown = jax.eval_shape(lambda memory: policy.grow(memory, room + num_steps), memory)
    if jax.tree.map(jnp.shape, grown) == jax.tree.map(jnp.shape, memory):
        chunk_steps = num_steps
    keys = jax.random.split(key, num_steps)
    over, rollouts = runner_state.timestep.done, []
    for begin in range(0, num_steps, chunk_steps):
        end = min(begin + chunk_steps, num_steps)
        carry = policy.grow(runner_state.carry, room + end)
        start = runner_state._replace(carry=carry), over
        (runner_state, over), rollout = lax.scan(one, start, keys[begin:end])
        rollouts.append(rollout)
    rollout = jax.tree.map(lambda *chunks: jnp.concatenate(chunks), *rollouts)
    return RolloutResult(*runner_state, rollout)


def recorded(obs: Any, valid: Any, action: Any, following: TimeStep, extras: Any = ()) -> Rollout:
    """A step of B streams as a row of a `Rollout`, leaves [B, ...].

    Args:
        obs: before the action; () if nobody needs it.
        valid: whether it is a step, and no reset.
        action: that was taken.
        following: the timestep after it.
        extras: of the policy.
    """
    return Rollout(
        obs=obs,
        valid=valid,
        action=action,
        reward=following.reward,
        terminated=following.terminated,
        truncated=following.truncated,
        extras=extras,
        events=following.events,
    )


def flatten(timestep: TimeStep) -> TimeStep:
    """Joins the environment and agent axes: [N, A, ...] -> [B, ...]."""
    return jax.tree.map(lambda x: x.reshape(x.shape[0] * x.shape[1], *x.shape[2:]), timestep)


def by_environment(env: Environment, action: Num[Array, "B *K"]) -> Num[Array, "N A *K"]:
    """Actions of B = N * A streams, by environment and agent."""
    coordinates = (len(env.actions.low),) if isinstance(env.actions, Box) else ()
    return action.reshape(-1, env.num_agents, *coordinates)
