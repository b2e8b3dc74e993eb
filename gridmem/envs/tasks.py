"""Tasks: what pays, what ends an episode, and where an agent goes next. One class each."""

from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float32, Int32, UInt8

from gridmem.envs.types import Event, Level, State, Tile, World


class Outcome(NamedTuple):
    """What a task answers to a step."""

    world: World
    goals: Int32[Array, "G 2"]
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
    Then: the agent is moved to its next spawn within the same step.
    End: never; only the clock ends an episode.

    Attributes:
        num_goals: goal cells; each pays every time.
        goal_moves: the goal moves, too, whenever it is found, to the next free cell of the spawn
            list read from its end: a control, in which remembering the goal is worthless. Needs
            `num_goals` 1.

    Raises:
        ValueError: for a value that cannot be.
    """

    num_goals: int = 1
    goal_moves: bool = False

    def __post_init__(self) -> None:
        _check_num_goals(self.num_goals)
        if not isinstance(self.goal_moves, bool):
            raise ValueError(f"goal_moves is {self.goal_moves!r}; it must be true or false")
        if self.goal_moves and self.num_goals != 1:
            raise ValueError(f"goal_moves needs num_goals 1, not {self.num_goals}")

    def init(self, level: Level, num_agents: int) -> tuple[()]:
        """Nothing to keep."""
        return ()

    def step(self, state: State, world: World, event: Event) -> Outcome:
        """Pays and moves whoever entered a goal."""
        found = event.entered & (event.tile == Tile.GOAL)
        visits = state.visits + found.astype(jnp.int32)
        spawn = next_spawn(state.spawns, visits)
        world = world._replace(position=jnp.where(found[:, None], spawn, world.position))
        goals = state.goals
        if self.goal_moves:
            goals = jnp.where(jnp.any(found), _elsewhere(state, world, visits), goals)
            world = world._replace(
                tiles=_drawn(_drawn(world.tiles, state.goals, Tile.FLOOR), goals, Tile.GOAL)
            )
        reward = found.astype(jnp.float32)
        return Outcome(world, goals, state.task, visits, reward, jnp.bool_(False))


class TourState(NamedTuple):
    """What `Tour` keeps."""

    tours: Int32[Array, " A"]  # tours that the agent completed by taking the last waypoint


@dataclass(frozen=True)
class Tour:
    """Visit every waypoint once, then all of them again, and so on.

    Goal: enter waypoints that have not been visited in this tour; all agents share the tour.
    Reward: 1 on entering such a waypoint; agents that enter it in the same step are all paid.
    Then: the waypoint becomes floor, for all agents. When none is left, all come back, and
        whoever took the last one is moved to its next spawn within the same step.
    End: never; only the clock ends an episode.

    Attributes:
        num_goals: waypoints.

    Raises:
        ValueError: for a value that cannot be.
    """

    num_goals: int = 4

    def __post_init__(self) -> None:
        _check_num_goals(self.num_goals)

    def init(self, level: Level, num_agents: int) -> TourState:
        """No tour completed."""
        return TourState(jnp.zeros_like(level.goals, shape=num_agents))

    def step(self, state: State, world: World, event: Event) -> Outcome:
        """Pays whoever entered a waypoint and takes it off the map; begins the next tour."""
        found = event.entered & (event.tile == Tile.GOAL)
        taken = _stand_on(state.goals, world.position) & found[None]
        left = is_there(state.world.tiles, state.goals) & ~jnp.any(taken, axis=1)
        over = ~jnp.any(left)
        mark = jnp.where(left | over, jnp.uint8(Tile.GOAL), jnp.uint8(Tile.FLOOR))
        tours = state.task.tours + (found & over).astype(jnp.int32)
        spawn = next_spawn(state.spawns, tours)
        world = world._replace(
            tiles=_drawn(world.tiles, state.goals, mark),
            position=jnp.where((found & over)[:, None], spawn, world.position),
        )
        visits = state.visits + found.astype(jnp.int32)
        reward = found.astype(jnp.float32)
        return Outcome(world, state.goals, TourState(tours), visits, reward, jnp.bool_(False))


def next_spawn(spawns: Int32[Array, "K 2"], visits: Int32[Array, " A"]) -> Int32[Array, "A 2"]:
    """Where each agent lands after its `visits`-th find; A agents share the list by turns."""
    num_agents = visits.shape[0]
    index = (jnp.arange(num_agents, dtype=jnp.int32) + visits * num_agents) % spawns.shape[0]
    return spawns.at[index].get(mode="promise_in_bounds")


def is_there(tiles: UInt8[Array, "H W"], goals: Int32[Array, "G 2"]) -> Bool[Array, " G"]:
    """Which of the goals are on the map now."""
    return tiles.at[goals[:, 0], goals[:, 1]].get(mode="promise_in_bounds") == Tile.GOAL


def _elsewhere(state: State, world: World, visits: Int32[Array, " A"]) -> Int32[Array, "1 2"]:
    """The next cell of the spawn list, from its end, on which no agent stands."""
    num_spawns = state.spawns.shape[0]
    place = jnp.arange(num_spawns, dtype=jnp.int32)
    index = (-jnp.sum(visits, dtype=jnp.int32) - place) % num_spawns
    cells = state.spawns.at[index].get(mode="promise_in_bounds")
    free = ~jnp.any(_stand_on(cells, world.position), axis=1)
    # Where agents stand on every cell of the list, the goal stays.
    return jnp.where(jnp.any(free), cells[jnp.argmax(free)][None], state.goals)


def _stand_on(cells: Int32[Array, "N 2"], position: Int32[Array, "A 2"]) -> Bool[Array, "N A"]:
    return jnp.all(cells[:, None] == position[None], axis=-1)


def _drawn(
    tiles: UInt8[Array, "H W"], cells: Int32[Array, "G 2"], tile: UInt8[Array, "*G"] | Tile
) -> UInt8[Array, "H W"]:
    tile = jnp.asarray(tile, jnp.uint8)
    return tiles.at[cells[:, 0], cells[:, 1]].set(tile, mode="promise_in_bounds")


def _check_num_goals(value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"num_goals is {value!r}; it must be a whole number above 0")
