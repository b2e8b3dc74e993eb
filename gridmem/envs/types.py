"""The records that every part of GridMem shares. No logic lives here.

Axes: A agents, H x W map (its wall ring included), V view side (odd), G goals, K spawn cells,
C numbers of the compass (2, or 0 without one).
Cells are (row, column) with row 0 on top, so a printed array is the picture.
"""

from enum import IntEnum
from typing import Any, NamedTuple

from jaxtyping import Array, Bool, Float32, Int32, UInt8


class Tile(IntEnum):
    """What a cell of the map, or of a view, shows."""

    FLOOR = 0
    WALL = 1
    ROCK = 2
    GOAL = 3
    AGENT = 4


class Action(IntEnum):
    """The four moves. In observations, id 4 stands for "no action yet"."""

    UP = 0
    RIGHT = 1
    DOWN = 2
    LEFT = 3


class Level(NamedTuple):
    """Everything random about an episode; independent of the number of agents.

    Tiles u8[H,W], goals i32[G,2], spawns i32[K,2].
    """

    tiles: UInt8[Array, "H W"]  # goals are drawn in
    goals: Int32[Array, "G 2"]
    spawns: Int32[Array, "K 2"]  # agent a lands at spawns[(a + k * A) % K] after its k-th find


class World(NamedTuple):
    """What the rules of movement read and write."""

    tiles: UInt8[Array, "H W"]
    position: Int32[Array, "A 2"]
    busy: Int32[Array, " A"]  # steps for which the agent's actions are still ignored


class Event(NamedTuple):
    """What an agent's action did to the world."""

    tile: UInt8[Array, " A"]  # the tile it tried to enter, as it was before the step
    entered: Bool[Array, " A"]
    dug: Bool[Array, " A"]


class State(NamedTuple):
    """The whole state of an episode.

    World (tiles u8[H,W], position i32[A,2], busy i32[A]), goals i32[G,2], spawns i32[K,2], what the
    task keeps, visits i32[A], last_action i32[A], last_reward f32[A], time i32[].
    """

    world: World
    goals: Int32[Array, "G 2"]  # where they are now
    spawns: Int32[Array, "K 2"]
    task: Any  # whatever the task keeps; () for Return
    visits: Int32[Array, " A"]  # goals found so far
    last_action: Int32[Array, " A"]
    last_reward: Float32[Array, " A"]
    time: Int32[Array, ""]


class Observation(NamedTuple):
    """What each agent is told.

    View u8[A,V,V], last_action i32[A], last_reward f32[A], compass f32[A,C].
    """

    view: UInt8[Array, "*batch A V V"]  # tile ids around the agent
    last_action: Int32[Array, "*batch A"]  # as given; num_actions at the first timestep
    last_reward: Float32[Array, "*batch A"]
    compass: Float32[Array, "*batch A C"]  # towards the nearest goal; empty unless configured


class TimeStep(NamedTuple):
    """What `reset` and `step` return beside the state; every leaf leads with the agent axis.

    Obs (an `Observation`), reward f32[A], terminated bool[A], truncated bool[A], time i32[A].
    """

    obs: Observation
    reward: Float32[Array, "*batch A"]
    terminated: Bool[Array, "*batch A"]  # the task ended the episode
    truncated: Bool[Array, "*batch A"]  # the clock ended it
    time: Int32[Array, "*batch A"]  # actions taken so far

    @property
    def done(self) -> Bool[Array, "*batch A"]:
        """Whether the episode is over, for whichever reason."""
        return self.terminated | self.truncated
