"""An episode that is being played or looked at, with all that happened in it; no window."""

from collections.abc import Iterable
from functools import partial

import jax
import numpy as np
from jaxtyping import Array, Bool, Int32, Integer

from gridmem.envs.env import Env
from gridmem.envs.levels import checked_level
from gridmem.envs.types import Level, State, Tile, TimeStep
from gridmem.render.player.controllers import Answer, Player

NEVER = np.iinfo(np.int32).max


class Session:
    """One episode: it can be played, and looked at as it was at any time.

    To act at an earlier time than the last is to play on from there: what followed is forgotten.

    Attributes:
        env: what is played.
        level: on which level, as numpy arrays.
        states: the states of the episode so far, from the start.
        timesteps: what the agents were told, likewise, as numpy arrays.
        actions: what they did, i32[A] each, one fewer than states.
        time: what is looked at: a number of actions.
    """

    def __init__(self, env: Env, level: Level, actions: Iterable[np.ndarray] = ()) -> None:
        self.env = env
        self.level = checked_level(env, level)
        state, timestep = _start(env, self.level)
        self.states: list[State] = [state]
        self.timesteps: list[TimeStep] = [jax.device_get(timestep)]
        self.actions: list[Int32[np.ndarray, " A"]] = []
        self.time = 0
        self._players: list[Player] = []
        self._seen_at = np.full((env.num_agents, *self.level.tiles.shape), NEVER, np.int32)
        self._look()
        for action in actions:
            self.act(action)
        self.time = 0

    @property
    def state(self) -> State:
        """The state that is looked at."""
        return self.states[self.time]

    @property
    def timestep(self) -> TimeStep:
        """What the agents are told at that time."""
        return self.timesteps[self.time]

    @property
    def last(self) -> int:
        """How many actions were taken so far."""
        return len(self.actions)

    @property
    def over(self) -> bool:
        """Whether the episode has ended at the time that is looked at."""
        return bool(np.all(self.timestep.terminated | self.timestep.truncated))

    def act(self, actions: Integer[np.ndarray, " A"]) -> None:
        """Plays a step at the time that is looked at, and looks at what follows."""
        assert not self.over, "the episode is over"
        if self.time < self.last:
            self._forget()
        actions = np.asarray(actions, np.int32)
        state, timestep = _step(self.env, self.state, actions)
        self.actions.append(actions)
        self.states.append(state)
        self.timesteps.append(jax.device_get(timestep))
        self.time += 1
        self._look()

    def go(self, time: int) -> None:
        """Looks at another time, the nearest that there is."""
        self.time = min(max(time, 0), self.last)

    def ask(self, player: Player) -> Answer:
        """What a player would do at the time that is looked at."""
        if not any(player is known for known in self._players):
            player.cut(0)  # whatever it remembers is of another episode
            self._players.append(player)
        return player.answer(self.states, self.timesteps, self.time)

    def finds(self, agent: int) -> list[int]:
        """The times up to now at which an agent found a goal."""
        paid = (step.reward[agent] > 0 for step in self.timesteps[: self.time + 1])
        return [time for time, found in enumerate(paid) if found]

    def trips(self, agent: int) -> list[int]:
        """How many steps each of its finished trips took."""
        finds = self.finds(agent)
        return [end - start for start, end in zip([0, *finds], finds, strict=False)]

    def seen(self, agent: int) -> Bool[np.ndarray, "H W"]:
        """The cells that have been in an agent's view up to now."""
        return self._seen_at[agent] <= self.time

    def steps_since_goal(self, agent: int) -> int | None:
        """Steps since a goal was in an agent's view; None if none has been."""
        for steps in range(self.time + 1):
            view = self.timesteps[self.time - steps].obs.view[agent]
            if (view == Tile.GOAL).any():
                return steps
        return None

    def _look(self) -> None:
        """Notes what the views show now that they did not show before."""
        half = self.env.view_size // 2
        for seen_at, (row, column) in zip(
            self._seen_at, np.asarray(self.state.world.position), strict=True
        ):
            top, left = max(row - half, 0), max(column - half, 0)
            view = seen_at[top : row + half + 1, left : column + half + 1]
            np.minimum(view, self.time, out=view)

    def _forget(self) -> None:
        del self.states[self.time + 1 :], self.timesteps[self.time + 1 :], self.actions[self.time :]
        self._seen_at[self._seen_at > self.time] = NEVER
        for player in self._players:
            player.cut(self.time + 1)


@partial(jax.jit, static_argnums=0)
def _start(env: Env, level: Level) -> tuple[State, TimeStep]:
    return env.start(level)


@partial(jax.jit, static_argnums=0)
def _step(env: Env, state: State, action: Array) -> tuple[State, TimeStep]:
    return env.step(state, action)
