"""The data types that all of GridMem shares.

Axes: A agents, H x W cells of the map (its ring of wall included), V side of the view (odd),
G goals, K spawn cells, C length of the compass (2, or 0 without one).
Cells are (row, column), row 0 at the top.
"""

from enum import IntEnum
from typing import Any, NamedTuple

from jaxtyping import Array, Bool, Float32, Int32, UInt8


class Tile(IntEnum):
    """The ids of tiles, in maps and views."""

    FLOOR = 0
    WALL = 1
    ROCK = 2
    GOAL = 3
    AGENT = 4


class Action(IntEnum):
    """The ids of actions. In observations, id 4 stands for "no action yet"."""

    UP = 0
    RIGHT = 1
    DOWN = 2
    LEFT = 3


class Level(NamedTuple):
    """All that is random in an episode; independent of the number of agents.

    Tiles u8[H,W], goals i32[G,2], spawns i32[K,2].
    """

    tiles: UInt8[Array, "H W"]  # goals are drawn in
    goals: Int32[Array, "G 2"]
    spawns: Int32[Array, "K 2"]  # agent a is moved to spawns[(a + k * A) % K] after its k-th find


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

    World (tiles u8[H,W], position i32[A,2], busy i32[A]), goals i32[G,2], spawns i32[K,2], the
    state of the task, visits i32[A], last_action i32[A], last_reward f32[A], time i32[].
    """

    world: World
    goals: Int32[Array, "G 2"]  # where they are now
    spawns: Int32[Array, "K 2"]
    task: Any  # state of the task; () for Return
    visits: Int32[Array, " A"]  # goals found so far
    last_action: Int32[Array, " A"]
    last_reward: Float32[Array, " A"]
    time: Int32[Array, ""]


class Observation(NamedTuple):
    """What each agent observes.

    View u8[A,V,V], last_action i32[A], last_reward f32[A], compass f32[A,C].
    """

    view: UInt8[Array, "*batch A V V"]  # tile ids around the agent
    last_action: Int32[Array, "*batch A"]  # as given, also while digging; first num_actions
    last_reward: Float32[Array, "*batch A"]
    compass: Float32[Array, "*batch A C"]  # towards the nearest goal; empty unless configured


class TimeStep(NamedTuple):
    """What `reset` and `step` return beside the state; every leaf leads with the agents.

    Obs (an `Observation`), reward f32[A], terminated bool[A], truncated bool[A], time i32[A].
    """

    obs: Observation  # an environment from outside has one of its own, see `Environment`
    reward: Float32[Array, "*batch A"]
    terminated: Bool[Array, "*batch A"]  # the task ended the episode
    truncated: Bool[Array, "*batch A"]  # the time limit ended it
    time: Int32[Array, "*batch A"]  # actions taken so far
    events: Any = ()  # what the statistics of episodes need beside rewards; leaves lead with A

    @property
    def done(self) -> Bool[Any, "*batch A"]:
        """Whether the episode has ended, by termination or truncation."""
        return self.terminated | self.truncated
