"""Scripted policies without memory, as baselines: they use the current observation alone."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float32, Int32, Key, UInt8

from gridmem.envs.analysis.shortest_paths import MOVES, UNREACHABLE, distances, steps_by_move
from gridmem.envs.batch.chunks import update_in_chunks
from gridmem.envs.batch.policy import Carry, Policy, PolicyOutput
from gridmem.envs.checks import refuse_forks
from gridmem.envs.env import Env
from gridmem.envs.types import Observation, Tile, TimeStep

VIEWS_PER_CHUNK = 16

Preference = Callable[[Observation, Array, Array], Array]
"""(obs, moves into open cells bool[B,4], moves into rock that can be dug bool[B,4]) -> the value of
each move f32[B,4]."""


def reactive_policy(env: Env) -> Policy:
    """Moves to a goal in view, else straight ahead, turning at random at obstacles.

    It uses the view and the last action only. To a goal that can be reached within the view,
    including by digging, it takes the shortest path, of equal moves the lowest id. Else it takes
    the first possible of these: ahead; left or right, at random; dig ahead; back; any move. At the
    first step, and after an invalid action, any open move.

    Args:
        env: the environment.

    Returns:
        A policy with actions i32[B], for A agents of N environments, B = N * A.
    """
    return _policy(env, _straight_on)


def compass_policy(env: Env) -> Policy:
    """Moves to a goal in view, else along the compass, but not back where it came from.

    It differs from `reactive_policy` without a goal in view. Of the moves towards the goal it takes
    the one along the larger offset (of equal ones a random one) that is open, or else can be dug;
    then any other open move at random; then back.

    Args:
        env: the environment, with a compass.

    Returns:
        A policy with actions i32[B].

    Raises:
        ValueError: if the environment has no compass.
    """
    if not env.config.compass:
        raise ValueError("this environment has no compass; make it with compass=True")
    return _policy(env, _along_the_compass)


def _straight_on(obs: Observation, open_: Array, rock: Array) -> Float32[Array, "B 4"]:
    turn, began = _turns(obs)
    value = jnp.array([4.0, 3.0, 1.0, 3.0], jnp.float32).at[turn].get(mode="promise_in_bounds")
    value = jnp.where(open_, value, jnp.where(rock & (turn == 0), 2.0, 0.0))
    return jnp.where(began, open_.astype(jnp.float32), value)


def _along_the_compass(obs: Observation, open_: Array, rock: Array) -> Float32[Array, "B 4"]:
    turn, began = _turns(obs)
    down, right = obs.compass[:, 0], obs.compass[:, 1]
    nearer = jnp.stack([-down, right, down, -right], axis=1)
    # Offsets differ by at least 1 / 250, much more than the random number that breaks ties.
    along = jnp.where(open_, 10_000.0, 5_000.0) + 1_000.0 * nearer
    value = jnp.where((nearer > 0) & (open_ | rock), along, jnp.where(open_, 2.0, 0.0))
    back = (turn == 2) & ~began
    return jnp.where(back, open_.astype(jnp.float32), value)


def _turns(obs: Observation) -> tuple[Int32[Array, "B 4"], Bool[Array, "B 1"]]:
    """Each move as turns to the right from the last action; whether there was no last action."""
    last = obs.last_action[:, None]
    return (jnp.arange(4, dtype=jnp.int32)[None] - last) % 4, last == 4


def _policy(env: Env, preference: Preference) -> Policy:
    centre = env.view_size // 2
    dig_steps = env.config.dig_steps

    def to_goal(view: UInt8[Array, "V V"]) -> Int32[Array, " 4"]:
        here = jnp.full((1, 2), centre, jnp.int32)
        return steps_by_move(view, distances(view, dig_steps), here, dig_steps)[0]

    def act(carry: Carry, timestep: TimeStep, key: Key[Array, ""]) -> PolicyOutput:
        refuse_forks()
        obs = timestep.obs
        # Agents, the own one included, do not block.
        view = jnp.where(obs.view == Tile.AGENT, jnp.uint8(Tile.FLOOR), obs.view)
        rows, columns = (MOVES + centre).T
        adjacent = view[:, rows, columns]
        open_ = (adjacent == Tile.FLOOR) | (adjacent == Tile.GOAL)
        rock = (adjacent == Tile.ROCK) & (dig_steps > 0)
        value = preference(obs, open_, rock) + jax.random.uniform(key, open_.shape, jnp.float32)
        action = jnp.argmax(value, axis=1).astype(jnp.int32)

        def approach(rows: Int32[Array, " c"]) -> Int32[Array, " c"]:
            steps = jax.vmap(to_goal)(view[rows])
            nearest = jnp.argmin(steps, axis=1).astype(jnp.int32)
            return jnp.where(jnp.min(steps, axis=1) < UNREACHABLE, nearest, action[rows])

        in_view = jnp.any(view == Tile.GOAL, axis=(1, 2))
        return PolicyOutput(carry, update_in_chunks(in_view, action, approach, VIEWS_PER_CHUNK), ())

    return Policy(init=lambda batch: (), act=act)
