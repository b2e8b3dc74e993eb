"""Golden episodes, and what Python knows of them, for the code of the page."""

import importlib.util
import json
import re
from dataclasses import replace
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

import gridmem
from gridmem.envs.analysis.oracle import oracle_action
from gridmem.envs.analysis.shortest_paths import distances, refresh_distances
from gridmem.envs.env import NUM_ACTIONS
from gridmem.envs.types import Level

FOLDER = Path(__file__).parents[2] / "docs" / "play_online"
DRIVER = Path(__file__).with_name("driver.js")
ORACLES = -1  # instead of an action: what the oracle would do


def load_build():
    """The module docs/play_online/build.py."""
    spec = importlib.util.spec_from_file_location("play_online_build", FOLDER / "build.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def content(path):
    """What a built script assigns."""
    return json.loads(re.fullmatch(r".*?\] = (.*);\n", path.read_text(), re.DOTALL)[1])


def job(id, actions, agent=""):
    """What driver.js is asked: actions [N, T] on the first N levels, and an agent in base 85."""
    return {
        "rules": load_build().rules(id),
        "levels": content(FOLDER / f"data/{id}-levels.js"),
        "agent": agent,
        "episodes": [[number, row] for number, row in enumerate(actions.tolist())],
    }


def check(found, expected, tolerance=0.0):
    """Fails where what driver.js gave differs from what Python knows."""
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        ours = np.asarray(found[name]).reshape(values.shape)
        np.testing.assert_allclose(ours, values, rtol=0, atol=tolerance, err_msg=name)


def first_levels(id, number):
    return Level(*(leaf[:number] for leaf in gridmem.levels(id)))


def wishes(id, number):
    """Actions [N, T]: of the oracle, at random, and of both in turn; some do nothing."""
    random = np.random.default_rng(0)
    shape = number, gridmem.make(id).max_steps
    actions = random.integers(0, NUM_ACTIONS + 2, shape)
    share = np.array([1, 0, 0.8])[np.arange(number) % 3]  # of the oracle
    return np.where(random.random(shape) < share[:, None], ORACLES, actions).astype(np.int32)


def by_rules(id, wishes):
    """The actions of episodes on the first levels, and every field as driver.js gives it."""
    env, levels = gridmem.make(id), first_levels(id, len(wishes))
    fields, actions = _by_rules(env, levels, wishes)
    of_oracle, _ = _by_rules(env, levels, np.full_like(wishes, ORACLES))
    walks = {"you": fields["position"], "oracle": of_oracle["position"]}  # in a `Game`
    return actions, {**fields, **walks}


def trips(fields, number):
    """The steps of each find of an episode."""
    return np.diff(np.flatnonzero(fields["last_reward"][number]), prepend=0).tolist()


def of_page(agent):
    """The agent with the weights that the page has: small ones."""
    return replace(agent, params=jax.tree.map(_of_page, agent.params))


def _of_page(tensor):
    small = load_build().small_tensors({"tensor": np.asarray(tensor)})
    scale = small.get("tensor/scale", np.float16(1)).astype(np.float32)
    return jnp.asarray(small["tensor"].astype(np.float32) * scale)


def _by_rules(env, levels, wishes):
    start, rows, distance = _scanned(env, levels, wishes)
    fields, advice, actions = jax.tree.map(lambda leaf: np.swapaxes(leaf, 0, 1), rows)
    fields = jax.tree.map(lambda a, b: np.concatenate([a[:, None], b], 1), start, fields)
    return {**fields, "advice": advice, "distance": np.asarray(distance)}, actions


@partial(jax.jit, static_argnums=0)
def _scanned(env, levels, wishes):
    def fields(state, timestep):
        side = state.world.tiles.shape[-1]
        row, column = state.world.position[:, 0, 0], state.world.position[:, 0, 1]
        flat = state.world.tiles.reshape(len(row), -1).astype(jnp.uint32)
        weights = jnp.arange(1, flat.shape[1] + 1, dtype=jnp.uint32) * jnp.uint32(2654435761)
        return {
            "position": row * side + column,
            "busy": state.world.busy[:, 0],
            "visits": state.visits[:, 0],
            "last_action": timestep.obs.last_action[:, 0],
            "last_reward": timestep.obs.last_reward[:, 0],
            "time": timestep.time[:, 0],
            "truncated": timestep.truncated[:, 0],
            "tiles": jnp.sum(flat * weights[None], axis=1, dtype=jnp.uint32),
            "view": timestep.obs.view[:, 0],
        }

    def step(carry, wish):
        state, distance = carry
        advice = jax.vmap(partial(oracle_action, env))(state, distance)[:, 0]
        action = jnp.where(wish == ORACLES, advice, wish)
        state, timestep = jax.vmap(env.step)(state, action[:, None])
        found = timestep.reward[:, 0] > 0
        distance = refresh_distances(env, found, distance, state.world.tiles)
        return (state, distance), (fields(state, timestep), advice, action)

    state, timestep = jax.vmap(env.start)(levels)
    distance = jax.vmap(partial(distances, dig_steps=env.config.dig_steps))(levels.tiles)
    _, rows = jax.lax.scan(step, (state, distance), wishes.T)
    return fields(state, timestep), rows, distance


def by_network(env, model, levels):
    """Greedy actions [N, T], and logits, values and attention as driver.js gives them."""
    actions, *rest = (np.swapaxes(leaf, 0, 1) for leaf in _by_network(env, model, levels))
    return actions, dict(zip(("logits", "value", "attention"), rest, strict=True))


def _by_network(env, model, levels):
    num = len(levels.tiles)

    @jax.jit
    def run(levels):
        def step(carry, _):
            state, timestep, caches = carry
            obs = jax.tree.map(lambda leaf: leaf[:, 0], timestep.obs)
            logits, value, caches, weights = model.explain(obs, caches)
            action = jnp.argmax(logits, axis=-1)
            state, timestep = jax.vmap(env.step)(state, action[:, None])
            return (state, timestep, caches), (action, logits, value, jnp.mean(weights, axis=1))

        caches = model.init_cache(num, env.max_steps)
        start = *jax.vmap(env.start)(levels), caches
        return jax.lax.scan(step, start, length=env.max_steps)[1]

    return run(levels)
