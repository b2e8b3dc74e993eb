"""An episode that is played or replayed, with its whole history."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax
import numpy as np
from jaxtyping import Bool, Int32, Integer

from gridmem.envs.analysis import trips
from gridmem.envs.env import Env
from gridmem.envs.levels import checked_level
from gridmem.envs.types import Level, State, Tile, TimeStep

_start = jax.jit(Env.start, static_argnums=0)
_step = jax.jit(Env.step, static_argnums=0)


class Decision(NamedTuple):
    """What a controller would do at a timestep."""

    action: Int32[np.ndarray, " A"]
    extras: Any  # further outputs of its policy, numpy leaves leading with A


@runtime_checkable
class Controller(Protocol):
    """Chooses actions at any time of an episode, in any order of calls; deterministic."""

    def decide(self, states: Sequence[State], timesteps: Sequence[TimeStep], time: int) -> Decision:
        """What to do at `time`, given the history from the start up to then."""
        ...

    def truncate(self, num_timesteps: int) -> None:
        """Keeps the memory of the first timesteps only, because the later ones will change."""
        ...


class Episode:
    """An episode that can be played, and viewed at any time.

    A step at an earlier time than the last discards the history after it.

    Attributes:
        env: the environment.
        level: the level, as numpy arrays.
        states: the states so far, from the start, as numpy arrays.
        timesteps: what the agents observed, likewise.
        actions: what they did, i32[A] each, one fewer than states.
        time: the time that is viewed: a number of actions.
    """

    def __init__(self, env: Env, level: Level, actions: Iterable[np.ndarray] = ()) -> None:
        self.env = env
        self.level = checked_level(env, level)
        state, timestep = jax.device_get(_start(env, self.level))
        self.states: list[State] = [state]
        self.timesteps: list[TimeStep] = [timestep]
        self.actions: list[Int32[np.ndarray, " A"]] = []
        self.time = 0
        self._controllers: list[Controller] = []
        for action in actions:
            self.step(action)
        self.time = 0

    @property
    def state(self) -> State:
        """The state at the viewed time."""
        return self.states[self.time]

    @property
    def timestep(self) -> TimeStep:
        """The timestep at the viewed time."""
        return self.timesteps[self.time]

    @property
    def num_steps(self) -> int:
        """How many actions were taken so far."""
        return len(self.actions)

    @property
    def done(self) -> bool:
        """Whether the episode has ended at the viewed time."""
        return bool(np.all(self.timestep.terminated | self.timestep.truncated))

    def step(self, actions: Integer[np.ndarray, " A"]) -> None:
        """Takes a step at the viewed time, and views the time after it."""
        assert not self.done, "the episode is over"
        # What came after the viewed time is discarded.
        del self.states[self.time + 1 :], self.timesteps[self.time + 1 :], self.actions[self.time :]
        for controller in self._controllers:
            controller.truncate(self.time + 1)
        actions = np.asarray(actions, np.int32)
        state, timestep = jax.device_get(_step(self.env, self.state, actions))
        self.actions.append(actions)
        self.states.append(state)
        self.timesteps.append(timestep)
        self.time += 1

    def seek(self, time: int) -> None:
        """Views another time, clipped to those of the history."""
        self.time = min(max(time, 0), self.num_steps)

    def decision(self, controller: Controller) -> Decision:
        """What a controller would do at the viewed time."""
        if not any(controller is known for known in self._controllers):
            controller.truncate(0)  # its memory may be of another episode
            self._controllers.append(controller)
        return controller.decide(self.states, self.timesteps, self.time)

    def find_times(self, agent: int) -> list[int]:
        """The times up to the viewed one at which an agent found a goal."""
        steps = self.timesteps[: self.time + 1]
        return trips.find_times(np.array([step.reward[agent] for step in steps]))

    def trip_steps(self, agent: int) -> list[int]:
        """The steps of each finished trip of an agent."""
        return trips.trip_steps(self.find_times(agent))

    def cells(self, agent: int, start: int = 0) -> Integer[np.ndarray, "n 2"]:
        """The cells of an agent from the time `start` up to the viewed one."""
        states = self.states[start : self.time + 1]
        return np.array([np.asarray(state.world.position)[agent] for state in states])

    def seen(self, agent: int) -> Bool[np.ndarray, "H W"]:
        """The cells that were in an agent's view up to the viewed time."""
        return trips.seen_cells(self.cells(agent), self.env.view_size, *self.level.tiles.shape)

    def steps_since_goal(self, agent: int) -> int | None:
        """Steps since a goal was in an agent's view; None if none was."""
        for steps, timestep in enumerate(reversed(self.timesteps[: self.time + 1])):
            if (timestep.obs.view[agent] == Tile.GOAL).any():
                return steps
        return None
