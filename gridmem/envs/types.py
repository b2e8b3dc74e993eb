"""The data types that all of GridMem shares.

Axes: A agents, H x W cells of the map (its ring of wall included), V side of the view (odd),
G goals, K spawn cells, C length of the compass (2, or 0 without one).
Cells are (row, column), row 0 at the top.
"""

from enum import IntEnum
from typing import Any, NamedTuple

from jaxtyping import Array, Bool, Float32, Int32, UInt8


class Tile(IntEnum):
    """The ids of tiles, in maps and views: 0 floor, 1 wall, 2 rock, 3 goal, 4 agent."""

    FLOOR = 0
    WALL = 1
    ROCK = 2
    GOAL = 3
    AGENT = 4


class Action(IntEnum):
    """The ids of actions: 0 up, 1 right, 2 down, 3 left.

    In observations, id 4 stands for "no action yet".
    """

    UP = 0
    RIGHT = 1
    DOWN = 2
    LEFT = 3


class Level(NamedTuple):
    """All that is random in an episode; independent of the number of agents.

    Attributes:
        tiles: u8[H,W], the ids of `Tile`, goals included.
        goals: i32[G,2], cells (row, column).
        spawns: i32[K,2], cells; agent a starts on `spawns[a]` and is moved to
            `spawns[(a + k * A) % K]` after its k-th find.
    """

    tiles: UInt8[Array, "H W"]
    goals: Int32[Array, "G 2"]
    spawns: Int32[Array, "K 2"]


class World(NamedTuple):
    """The part of the state that the rules of movement read and write."""

    tiles: UInt8[Array, "H W"]
    position: Int32[Array, "A 2"]
    busy: Int32[Array, " A"]  # steps for which the agent's actions are still ignored


class Event(NamedTuple):
    """What each agent's action did."""

    tile: UInt8[Array, " A"]  # the tile it tried to enter, as it was before the step
    entered: Bool[Array, " A"]
    dug: Bool[Array, " A"]


class State(NamedTuple):
    """The whole state of an episode.

    Attributes:
        world: the map `tiles` u8[H,W], the agents' `position` i32[A,2], and `busy` i32[A], the
            steps for which an action is still ignored.
        goals: i32[G,2], where the goals are now.
        spawns: i32[K,2], those of the level.
        task: the state of the task; () for `Return`.
        visits: i32[A], finds so far.
        last_action: i32[A]; 4 before the first one.
        last_reward: f32[A].
        time: i32[], actions taken so far.
    """

    world: World
    goals: Int32[Array, "G 2"]
    spawns: Int32[Array, "K 2"]
    task: Any
    visits: Int32[Array, " A"]
    last_action: Int32[Array, " A"]
    last_reward: Float32[Array, " A"]
    time: Int32[Array, ""]


class Observation(NamedTuple):
    """What each agent observes.

    Attributes:
        view: u8[A,V,V], ids of `Tile` around the agent, which is at the centre.
        last_action: i32[A], as given, also while digging; 4 before the first one.
        last_reward: f32[A].
        compass: f32[A,C], the offset (rows, columns) to the nearest goal, divided by the larger
            side of the map; empty (C = 0) unless configured.
    """

    view: UInt8[Array, "*batch A V V"]
    last_action: Int32[Array, "*batch A"]
    last_reward: Float32[Array, "*batch A"]
    compass: Float32[Array, "*batch A C"]


class TimeStep(NamedTuple):
    """What `reset` and `step` return beside the state; every leaf leads with the agents.

    Attributes:
        obs: an `Observation`; of an environment from outside a NamedTuple of its own.
        reward: f32[A].
        terminated: bool[A], whether the task has ended the episode.
        truncated: bool[A], whether the time limit has.
        time: i32[A], actions taken so far.
        events: what the statistics of episodes need beside rewards, leaves [A, ...]; () for
            GridMem's own.
    """

    obs: Observation
    reward: Float32[Array, "*batch A"]
    terminated: Bool[Array, "*batch A"]
    truncated: Bool[Array, "*batch A"]
    time: Int32[Array, "*batch A"]
    events: Any = ()

    @property
    def done(self) -> Bool[Any, "*batch A"]:
        """Whether the episode has ended, by termination or truncation."""
        return self.terminated | self.truncated
