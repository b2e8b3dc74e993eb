"""Shared by the tests of the play application: small environments, and games in them."""

from functools import cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gridmem import Env, EnvConfig, TextMap
from gridmem.envs.batch.policy import Policy, PolicyOutput, random_policy
from gridmem.render.player.controllers import Controllers, OracleController, PolicyController
from gridmem.render.player.game import Game
from gridmem.render.player.level_source import single_level

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
    """Acts by a hash of all its observations in their order."""

    def act(carry, timestep, key):
        seen = timestep.obs.view.astype("int32").sum(axis=(1, 2)) + timestep.obs.last_action
        carry = (carry * 31 + seen + 7) % 9973
        chance = jax.random.randint(key, seen.shape, 0, 2, "int32")
        return PolicyOutput(carry, (carry + chance) % 4, carry)

    return Policy(init=lambda batch: np.zeros(batch, np.int32), act=act)


@cache
def controllers(env):
    return {
        "oracle": OracleController(env),
        "random": PolicyController(env, random_policy(4)),
        "remembering": PolicyController(env, remembering_policy()),
    }


class Outputs(NamedTuple):
    """The extras of a trained agent."""

    value: Any
    logits: Any
    weights: Any


def explaining_policy(num_slots):
    """Always goes up, with constant outputs; agent a attends to a + 1 steps ago."""

    def act(carry, timestep, key):
        batch = len(timestep.reward)
        logits = jnp.tile(jnp.log(jnp.array([0.1, 0.2, 0.3, 0.4])), (batch, 1))
        slots = jnp.maximum(timestep.time - 1 - jnp.arange(batch, dtype=jnp.int32), 0)
        weights = jax.nn.one_hot(slots, num_slots)
        outputs = Outputs(jnp.full(batch, 1.5), logits, weights)
        return PolicyOutput(carry, jnp.zeros(batch, jnp.int32), outputs)

    return Policy(init=lambda batch: (), act=act)


def with_agent(env, player="you"):
    agent = PolicyController(env, explaining_policy(env.max_steps + 1))
    return Controllers({**controllers(env), "agent": agent}, player, "random")


def game_of(env, player="you", crowd="random", controlled_by=None, **options):
    controlled_by = controlled_by or Controllers(controllers(env), player, crowd)
    return Game(env, "Test-v0", single_level("a level", level_of(env)), controlled_by, **options)
