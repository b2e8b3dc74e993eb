"""Tasks: what pays, what ends an episode, and where an agent goes next. One class each."""

from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float32, Int32

from gridmem.envs.types import Event, Level, State, Tile, World


class Outcome(NamedTuple):
    """What a task answers to a step."""

    world: World
    task: Any
    visits: Int32[Array, " A"]
    reward: Float32[Array, " A"]
    terminated: Bool[Array, ""]


@runtime_checkable
class Task(Protocol):
    """The goal of the game, apart from the rules of movement. To add one, write these two."""

    @property
    def num_goals(self) -> int:
        """Goal cells that a level needs."""
        ...

    def init(self, level: Level, num_agents: int) -> Any:
        """What the task keeps in `State.task` at the start of an episode."""
        ...

    def step(self, state: State, world: World, event: Event) -> Outcome:
        """Answers a step: `state` is that before it, `world` and `event` what the rules made."""
        ...


@dataclass(frozen=True)
class Return:
    """Find the goal, be dropped elsewhere, find it again.

    Goal: enter a goal cell as often as possible.
    Reward: 1 on entering a goal, and only then.
    Then: the agent is moved to its next spawn within the same step; goals never move.
    End: never; only the clock ends an episode.

    Attributes:
        num_goals: goal cells; each pays every time.
    """

    num_goals: int = 1

    def __post_init__(self) -> None:
        goals = self.num_goals
        if isinstance(goals, bool) or not isinstance(goals, int) or goals < 1:
            raise ValueError(f"num_goals is {goals!r}; it must be a whole number above 0")

    def init(self, level: Level, num_agents: int) -> tuple[()]:
        """Nothing to keep."""
        return ()

    def step(self, state: State, world: World, event: Event) -> Outcome:
        """Pays and moves whoever entered a goal."""
        found = event.entered & (event.tile == Tile.GOAL)
        visits = state.visits + found.astype(jnp.int32)
        spawn = next_spawn(state.spawns, visits)
        position = jnp.where(found[:, None], spawn, world.position)
        reward = found.astype(jnp.float32)
        return Outcome(
            world._replace(position=position), state.task, visits, reward, jnp.bool_(False)
        )


def next_spawn(spawns: Int32[Array, "K 2"], visits: Int32[Array, " A"]) -> Int32[Array, "A 2"]:
    """Where each agent lands after its `visits`-th find; A agents share the list by turns."""
    num_agents = visits.shape[0]
    index = (jnp.arange(num_agents) + visits * num_agents) % spawns.shape[0]
    return spawns.at[index].get(mode="promise_in_bounds")
