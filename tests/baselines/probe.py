"""A task that only memory solves: a cue, a corridor, a choice.

The agent starts at one end of a corridor. A rock in the wall beside it, above or below, shows in
which arm at the other end the last waypoint is; the rock is not in view there. Waypoints along the
corridor are rewarded, so that the walk itself is easy to learn. The time limit allows the walk and
one arm: an agent that chooses the wrong one, or wastes steps, gets one waypoint less.
"""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

from gridmem import Env, EnvConfig, TextMap, Tour, make_level
from gridmem.envs.types import Action

CORRIDOR = 6  # cells beyond the first one; the last of them is the junction
STEPS = CORRIDOR + 2

_UP = (
    "#########",
    "#######G#",
    "#%#####.#",
    "#0GGGGGG#",
    "#######.#",
    "#######.#",
    "#########",
)
LEVELS = {Action.UP: make_level(_UP), Action.DOWN: make_level(_UP[::-1])}


@dataclass(frozen=True)
class Probe(Env):
    """Either of the two levels, at random."""

    def generate(self, key):
        which = jax.random.bernoulli(key).astype(jnp.int32)
        return jax.tree.map(lambda *both: jnp.asarray(np.stack(both))[which], *LEVELS.values())


ENV = Probe(
    EnvConfig(map=TextMap(_UP), task=Tour(num_goals=CORRIDOR + 1), view_size=3, max_steps=STEPS)
)
