"""Policies without memory, written by hand: what can be had from what is told now alone."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float32, Int32, Key, UInt8

from gridmem.envs.analysis.shortest_paths import FAR, distances, steps_by_move
from gridmem.envs.batch.chunks import update_rows
from gridmem.envs.batch.policy import Acted, Carry, Policy
from gridmem.envs.env import Env
from gridmem.envs.types import Observation, Tile, TimeStep

STREAMS_AT_A_TIME = 16

Preference = Callable[[Observation, Bool[Array, "B 4"], Bool[Array, "B 4"]], Float32[Array, "B 4"]]
"""What each move is worth, from (obs, ways that are open, ways that can be dug)."""


def reactive_policy(env: Env) -> Policy:
    """To a goal in view, else straight on, turning at random where the way is blocked.

    It knows the view and its last action, nothing else. To a goal that can be reached within the
    view, digging included, it takes the shortest path, the lowest id first among equals. Else
    the first of these that there is: ahead; left or right, at random; digging ahead; back; any
    move at all. At the first step, and after an action that was none, any open move.
    """
    return _policy(env, _straight_on)


def compass_policy(env: Env) -> Policy:
    """To a goal in view, else along the compass, though not back where it came from.

    Like `reactive_policy`, but for what it does without a goal in view. Of the moves that bring
    the goal nearer, it takes the one along the larger offset (among equals at random) that is
    open, or else can be dug; then any other open move at random; then back.

    Raises:
        ValueError: if the environment has no compass.
    """
    if not env.config.compass:
        raise ValueError("this environment has no compass; make it with compass=True")
    return _policy(env, _along_the_compass)


def _straight_on(
    obs: Observation, open_: Bool[Array, "B 4"], rock: Bool[Array, "B 4"]
) -> Float32[Array, "B 4"]:
    turn, began = _turns(obs)
    worth = jnp.array([4.0, 3.0, 1.0, 3.0], jnp.float32).at[turn].get(mode="promise_in_bounds")
    worth = jnp.where(open_, worth, jnp.where(rock & (turn == 0), 2.0, 0.0))
    return jnp.where(began, open_.astype(jnp.float32), worth)


def _along_the_compass(
    obs: Observation, open_: Bool[Array, "B 4"], rock: Bool[Array, "B 4"]
) -> Float32[Array, "B 4"]:
    turn, began = _turns(obs)
    down, right = obs.compass[:, 0], obs.compass[:, 1]
    nearer = jnp.stack([-down, right, down, -right], axis=1)
    # Offsets differ by 1 / 250 at least: far beyond what chance adds to the worth of a move.
    along = jnp.where(open_, 10_000.0, 5_000.0) + 1_000.0 * nearer
    worth = jnp.where((nearer > 0) & (open_ | rock), along, jnp.where(open_, 2.0, 0.0))
    back = (turn == 2) & ~began
    return jnp.where(back, open_.astype(jnp.float32), worth)


def _turns(obs: Observation) -> tuple[Int32[Array, "B 4"], Bool[Array, "B 1"]]:
    """Each move as turns to the right from the last action; and whether there is no last one."""
    last = obs.last_action[:, None]
    return (jnp.arange(4, dtype=jnp.int32)[None] - last) % 4, last == 4


def _policy(env: Env, preference: Preference) -> Policy:
    centre = env.view_size // 2
    dig_steps = env.config.dig_steps

    def to_goal(view: UInt8[Array, "V V"]) -> Int32[Array, " 4"]:
        here = jnp.full((1, 2), centre, jnp.int32)
        return steps_by_move(view, distances(view, dig_steps), here, dig_steps)[0]

    def act(carry: Carry, timestep: TimeStep, key: Key[Array, ""]) -> Acted:
        obs = timestep.obs
        # Agents, oneself included, stand in nobody's way.
        view = jnp.where(obs.view == Tile.AGENT, jnp.uint8(Tile.FLOOR), obs.view)
        beside = _beside(view, centre)
        open_ = (beside == Tile.FLOOR) | (beside == Tile.GOAL)
        rock = (beside == Tile.ROCK) & (dig_steps > 0)
        worth = preference(obs, open_, rock) + jax.random.uniform(key, open_.shape, jnp.float32)
        action = jnp.argmax(worth, axis=1).astype(jnp.int32)

        def approach(rows: Int32[Array, " g"]) -> Int32[Array, " g"]:
            steps = jax.vmap(to_goal)(view[rows])
            nearest = jnp.argmin(steps, axis=1).astype(jnp.int32)
            return jnp.where(jnp.min(steps, axis=1) < FAR, nearest, action[rows])

        in_view = jnp.any(view == Tile.GOAL, axis=(1, 2))
        return Acted(carry, update_rows(in_view, action, approach, STREAMS_AT_A_TIME), ())

    return Policy(init=lambda batch: (), act=act)


def _beside(view: UInt8[Array, "B V V"], centre: int) -> UInt8[Array, "B 4"]:
    """The tiles above, to the right, below and to the left."""
    near, far = centre - 1, centre + 1
    return jnp.stack(
        [
            view[:, near, centre],
            view[:, centre, far],
            view[:, far, centre],
            view[:, centre, near],
        ],
        axis=1,
    )
