"""What the tests of the play application share: small environments, and games in them."""

from functools import cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gridmem import Env, EnvConfig, TextMap
from gridmem.envs.batch.policy import Acted, Policy, random_policy
from gridmem.render.player.cast import Cast
from gridmem.render.player.controllers import OraclePlayer, PolicyPlayer
from gridmem.render.player.game import Game
from gridmem.render.player.level_source import one_cave

CORRIDOR = "#########", "#0.....G#", "#########"
ROOM = "#######", "#0....#", "#.##..#", "#....G#", "#1..###", "#######"
UP, RIGHT, DOWN, LEFT = range(4)


@cache
def env_of(rows, **options):
    return Env(EnvConfig(map=TextMap(rows), **{"view_size": 3, "max_steps": 20, **options}))


@cache
def level_of(env):
    return jax.device_get(jax.jit(env.generate)(jax.random.key(0)))


def remembering_policy():
    """Acts by a number in which all that it was told, in its order, has left its mark."""

    def act(carry, timestep, key):
        told = timestep.obs.view.astype("int32").sum(axis=(1, 2)) + timestep.obs.last_action
        carry = (carry * 31 + told + 7) % 9973
        chance = jax.random.randint(key, told.shape, 0, 2, "int32")
        return Acted(carry, (carry + chance) % 4, carry)

    return Policy(init=lambda batch: np.zeros(batch, np.int32), act=act)


@cache
def players(env):
    return {
        "oracle": OraclePlayer(env),
        "random": PolicyPlayer(env, random_policy(4)),
        "remembering": PolicyPlayer(env, remembering_policy()),
    }


class Thoughts(NamedTuple):
    """What a trained agent tells of its choice."""

    value: Any
    logits: Any
    weights: Any


def thinking_policy(num_slots):
    """Always goes up, and thinks the same; agent a remembers what was a + 1 steps ago."""

    def act(carry, timestep, key):
        batch = len(timestep.reward)
        logits = jnp.tile(jnp.log(jnp.array([0.1, 0.2, 0.3, 0.4])), (batch, 1))
        slots = jnp.maximum(timestep.time - 1 - jnp.arange(batch, dtype=jnp.int32), 0)
        weights = jax.nn.one_hot(slots, num_slots)
        thoughts = Thoughts(jnp.full(batch, 1.5), logits, weights)
        return Acted(carry, jnp.zeros(batch, jnp.int32), thoughts)

    return Policy(init=lambda batch: (), act=act)


def with_agent(env, lead="you"):
    agent = PolicyPlayer(env, thinking_policy(env.max_steps + 1))
    return Cast({**players(env), "agent": agent}, lead, "random")


def game_of(env, lead="you", crowd="random", cast=None, **options):
    cast = cast or Cast(players(env), lead, crowd)
    return Game(env, "Test-v0", one_cave("a cave", level_of(env)), cast, **options)
