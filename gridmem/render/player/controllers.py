"""Who can move the agents of an episode: a policy with its memory of it, or the oracle."""

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int32

from gridmem.envs.analysis.oracle import oracle_action
from gridmem.envs.analysis.shortest_paths import distances, paths_are_fixed
from gridmem.envs.batch.policy import Policy
from gridmem.envs.env import Env
from gridmem.envs.types import State, TimeStep

STEPS_BETWEEN_MEMORIES = 16  # kept ones, to go back to: more of them cost room, fewer cost time


class Answer(NamedTuple):
    """What a player would do at a timestep."""

    action: Int32[np.ndarray, " A"]
    extras: Any  # what its policy tells about the choice, numpy leaves leading with A


@runtime_checkable
class Player(Protocol):
    """Asked at any timestep, in any order, whoever acts; answers the same whenever asked."""

    def answer(self, states: Sequence[State], timesteps: Sequence[TimeStep], time: int) -> Answer:
        """What to do at `time`, given all that happened up to then, from the start."""
        ...

    def cut(self, num_timesteps: int) -> None:
        """Forgets all but the first timesteps, because what follows them will be another."""
        ...


class PolicyPlayer:
    """A policy that lives through every timestep of an episode, whoever acts.

    Its choices are random by a key that belongs to the timestep, so that an episode that is
    played again is the same again. The memory is kept every few steps, so that it can be had as
    it was at any time.
    """

    def __init__(self, env: Env, policy: Policy, seed: int = 0) -> None:
        self._act = jax.jit(policy.act)
        # Of its final size from the beginning: another size would be another program to compile.
        self._memories = [policy.grow(policy.init(env.num_agents), env.max_steps + 1)]
        self._memory = self._memories[0]
        self._keys = jax.random.split(jax.random.key(seed), env.max_steps + 1)
        self._answers: list[Answer] = []

    def answer(self, states: Sequence[State], timesteps: Sequence[TimeStep], time: int) -> Answer:
        """See `Player`."""
        while len(self._answers) <= time:
            number = len(self._answers)
            if number % STEPS_BETWEEN_MEMORIES == 0 and number:
                self._memories.append(self._memory)
            self._answers.append(self._live(timesteps[number], number))
        return self._answers[time]

    def cut(self, num_timesteps: int) -> None:
        """See `Player`."""
        if num_timesteps < len(self._answers):
            kept = num_timesteps // STEPS_BETWEEN_MEMORIES
            # What follows the memory that is kept is lived through again.
            del self._memories[kept + 1 :], self._answers[kept * STEPS_BETWEEN_MEMORIES :]
            self._memory = self._memories.pop() if kept else self._memories[0]

    def _live(self, timestep: TimeStep, time: int) -> Answer:
        acted = self._act(self._memory, timestep, self._keys[time])
        self._memory = acted.carry
        return Answer(*jax.device_get((acted.action, acted.extras)))


class OraclePlayer:
    """Shortest paths to a goal on the tiles as they are, from wherever the agents stand."""

    def __init__(self, env: Env) -> None:
        self._env = env
        self._answers: dict[int, Answer] = {}
        self._distance: Array | None = None

    def answer(self, states: Sequence[State], timesteps: Sequence[TimeStep], time: int) -> Answer:
        """See `Player`."""
        if time not in self._answers:
            state = states[time]
            if self._distance is None or not paths_are_fixed(self._env):
                self._distance = _distances(self._env, state)
            action = _oracle_action(self._env, state, self._distance)
            self._answers[time] = Answer(np.asarray(action), ())
        return self._answers[time]

    def cut(self, num_timesteps: int) -> None:
        """See `Player`."""
        self._answers = {t: kept for t, kept in self._answers.items() if t < num_timesteps}
        if not num_timesteps:
            self._distance = None  # of another cave


@partial(jax.jit, static_argnums=0)
def _distances(env: Env, state: State) -> Int32[Array, "H W"]:
    return distances(state.world.tiles, env.config.dig_steps)


@partial(jax.jit, static_argnums=0)
def _oracle_action(env: Env, state: State, distance: Int32[Array, "H W"]) -> Int32[Array, " A"]:
    return jnp.asarray(oracle_action(env, state, distance))
