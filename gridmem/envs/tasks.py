"""Tasks: rewards, the end of an episode, and where agents are moved. One class each."""

from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float32, Int32, UInt8

from gridmem.envs.checks import check_bool, check_whole_number
from gridmem.envs.types import Event, Level, State, Tile, World


class Outcome(NamedTuple):
    """The result of a task's step."""

    world: World
    goals: Int32[Array, "G 2"]
    task: Any
    visits: Int32[Array, " A"]
    reward: Float32[Array, " A"]
    terminated: Bool[Array, ""]


@runtime_checkable
class Task(Protocol):
    """A task, separate from the rules of movement. A new one is a class with these members."""

    @property
    def num_goals(self) -> int:
        """Goal cells that a level needs."""
        ...

    def init(self, level: Level, num_agents: int) -> Any:
        """The value of `State.task` at the start of an episode."""
        ...

    def step(self, state: State, world: World, event: Event) -> Outcome:
        """One step: `state` is the state before it, `world` and `event` the result of the rules."""
        ...


@dataclass(frozen=True)
class Return:
    """Find the goal, be moved to another cell, find it again.

    - Objective: enter a goal cell as often as possible.
    - Reward: 1 when an agent enters a goal, else 0.
    - Transition: an agent that entered a goal is moved to its next spawn within the same step.
    - Termination: never.

    Attributes:
        num_goals: goal cells; each gives its reward every time.
        goal_moves: the goal moves, too, whenever it is found, to the next free cell of the spawn
            list read from its end: a control, in which remembering the goal is worthless. Needs
            `num_goals` 1.

    Raises:
        ValueError: for an invalid value.
    """

    num_goals: int = 1
    goal_moves: bool = False

    def __post_init__(self) -> None:
        check_whole_number("num_goals", self.num_goals, 1)
        check_bool("goal_moves", self.goal_moves)
        if self.goal_moves and self.num_goals != 1:
            raise ValueError(f"goal_moves needs num_goals 1, not {self.num_goals}")

    @property
    def goals_are_fixed(self) -> bool:
        """Whether `goal_moves` is off."""
        return not self.goal_moves

    def init(self, level: Level, num_agents: int) -> tuple[()]:
        """The task has no state."""
        return ()

    def step(self, state: State, world: World, event: Event) -> Outcome:
        """Rewards and moves the agents that entered a goal; see `Task.step`."""
        found = event.entered & (event.tile == Tile.GOAL)
        visits = state.visits + found.astype(jnp.int32)
        spawn = next_spawn(state.spawns, visits)
        world = world._replace(position=jnp.where(found[:, None], spawn, world.position))
        goals = state.goals
        if self.goal_moves:
            goals = jnp.where(jnp.any(found), _next_goal(state, world, visits), goals)
            tiles = _with_tiles(world.tiles, state.goals, Tile.FLOOR)
            world = world._replace(tiles=_with_tiles(tiles, goals, Tile.GOAL))
        reward = found.astype(jnp.float32)
        return Outcome(world, goals, state.task, visits, reward, jnp.bool_(False))


class TourState(NamedTuple):
    """The state of `Tour`."""

    tours: Int32[Array, " A"]  # tours that the agent completed by taking the last waypoint


@dataclass(frozen=True)
class Tour:
    """Visit every waypoint once, then all of them again, and so on.

    - Objective: enter waypoints that have not been visited in this tour, which all agents share.
    - Reward: 1 for entering such a waypoint, for every agent that enters it in that step.
    - Transition: the waypoint becomes floor, for all agents. When none is left, all of them return,
      and the agents that took the last one are moved to their next spawns within the same step.
    - Termination: never.

    Attributes:
        num_goals: waypoints.

    Raises:
        ValueError: for an invalid value.
    """

    goals_are_fixed = False

    num_goals: int = 4

    def __post_init__(self) -> None:
        check_whole_number("num_goals", self.num_goals, 1)

    def init(self, level: Level, num_agents: int) -> TourState:
        """No tour completed."""
        return TourState(jnp.zeros_like(level.goals, shape=num_agents))

    def step(self, state: State, world: World, event: Event) -> Outcome:
        """Rewards agents on waypoints and removes these from the map; see `Task.step`."""
        found = event.entered & (event.tile == Tile.GOAL)
        taken = _occupied(state.goals, world.position) & found[None]
        left = present_goals(state.world.tiles, state.goals) & ~jnp.any(taken, axis=1)
        over = ~jnp.any(left)
        mark = jnp.where(left | over, jnp.uint8(Tile.GOAL), jnp.uint8(Tile.FLOOR))
        tours = state.task.tours + (found & over).astype(jnp.int32)
        spawn = next_spawn(state.spawns, tours)
        world = world._replace(
            tiles=_with_tiles(world.tiles, state.goals, mark),
            position=jnp.where((found & over)[:, None], spawn, world.position),
        )
        visits = state.visits + found.astype(jnp.int32)
        reward = found.astype(jnp.float32)
        return Outcome(world, state.goals, TourState(tours), visits, reward, jnp.bool_(False))


NEVER_TERMINATE = frozenset([Return, Tour])
"""Tasks that end no episode; a class that is derived from one may."""


def next_spawn(spawns: Int32[Array, "K 2"], num_finds: Int32[Array, " A"]) -> Int32[Array, "A 2"]:
    """Where each agent is moved after that many finds; A agents use the list in turn."""
    num_agents = num_finds.shape[0]
    index = (jnp.arange(num_agents, dtype=jnp.int32) + num_finds * num_agents) % spawns.shape[0]
    return spawns.at[index].get(mode="promise_in_bounds")


def present_goals(tiles: UInt8[Array, "H W"], goals: Int32[Array, "G 2"]) -> Bool[Array, " G"]:
    """Which of the goals are on the map at present."""
    return tiles.at[goals[:, 0], goals[:, 1]].get(mode="promise_in_bounds") == Tile.GOAL


def _next_goal(state: State, world: World, num_finds: Int32[Array, " A"]) -> Int32[Array, "1 2"]:
    """The next cell of the spawn list, from its end, on which no agent stands."""
    num_spawns = state.spawns.shape[0]
    offset = jnp.arange(num_spawns, dtype=jnp.int32)
    index = (-jnp.sum(num_finds, dtype=jnp.int32) - offset) % num_spawns
    cells = state.spawns.at[index].get(mode="promise_in_bounds")
    free = ~jnp.any(_occupied(cells, world.position), axis=1)
    # Where agents stand on every cell of the list, the goal stays.
    return jnp.where(jnp.any(free), cells[jnp.argmax(free)][None], state.goals)


def _occupied(cells: Int32[Array, "N 2"], position: Int32[Array, "A 2"]) -> Bool[Array, "N A"]:
    return jnp.all(cells[:, None] == position[None], axis=-1)


def _with_tiles(
    tiles: UInt8[Array, "H W"], cells: Int32[Array, "G 2"], tile: UInt8[Array, "*G"] | Tile
) -> UInt8[Array, "H W"]:
    tile = jnp.asarray(tile, jnp.uint8)
    return tiles.at[cells[:, 0], cells[:, 1]].set(tile, mode="promise_in_bounds")
