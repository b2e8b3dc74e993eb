"""The contract that every registered environment keeps, and golden digests of its episodes.

`uv run python tests/envs/test_env.py` prints the present digests.
"""

import hashlib
import inspect
import os
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import playing
import pytest
from breadth import breadth
from jax.sharding import AxisType, PartitionSpec
from twin import guided_walk

import gridmem
from gridmem import Env, EnvConfig, NoiseMap, Tile
from gridmem.envs.analysis.metrics import measure
from gridmem.envs.analysis.oracle import oracle_actions
from gridmem.envs.batch.autoreset import VectorEnv
from gridmem.envs.batch.policy import random_policy
from gridmem.envs.batch.rollout import play

IDS = list(gridmem.CONFIGS)
SMALL, DIG = "GridMem-9x9-v0", "GridMem-Dig-v0"

GOLDEN = {
    "GridMem-9x9-v0": "178d4d41c1444de4",
    "GridMem-13x13-v0": "4655a1680d60c0a1",
    "GridMem-20x20-v0": "1c66614237f103e3",
    "GridMem-v0": "c3d094cafce969bc",
    "GridMem-Dig-v0": "6afd4ecf4d78c667",
    "GridMem-DigLarge-v0": "7026cd0c0f3fa058",
}


def episode(id, num_agents=1, number=0):
    """A stored level of an id, a fixed list of actions for it, and what they lead to."""
    env = gridmem.make(id, num_agents=num_agents)
    level = playing.level_at(playing.batch(id, 0)[1], number)
    actions = guided_walk(level, num_agents, env.config.dig_steps, env.max_steps)
    return env, level, actions, playing.play(env, level, actions)


def digest(id):
    _, level, _, (_, (_, timesteps)) = episode(id)
    stored = [leaf.astype(np.uint8) for leaf in level]
    seen = [*timesteps.obs, timesteps.reward]
    leaves = [np.asarray(leaf) for leaf in (*stored, *seen)]
    return hashlib.sha256(b"".join(leaf.tobytes() for leaf in leaves)).hexdigest()[:16]


@pytest.mark.parametrize("id", breadth(IDS, SMALL, DIG))
def test_an_ids_levels_and_rules_have_not_changed(id):
    assert digest(id) == GOLDEN[id], (
        f"{id} plays otherwise than when it was released. If that is meant, it is a new id, -v1; "
        "the digests come from: uv run python tests/envs/test_env.py"
    )


def test_every_id_has_a_golden_digest():
    assert set(GOLDEN) == set(IDS)


# ---- shapes, types, ranges


@pytest.mark.parametrize("num_agents", [1, 3])
@pytest.mark.parametrize("id", IDS)
def test_shapes_and_types(id, num_agents):
    env = gridmem.make(id, num_agents=num_agents)
    key = jax.random.key(0)
    state, first = jax.eval_shape(env.reset, key)
    action = jax.ShapeDtypeStruct((num_agents,), jnp.int32)
    after = jax.eval_shape(env.step, state, action)
    assert (state, first) == after  # what a scan needs
    side, size = gridmem.CONFIGS[id]["map"]["height"] + 2, env.view_size
    assert [(leaf.dtype.name, leaf.shape) for leaf in jax.tree.leaves(first)] == [
        ("uint8", (num_agents, size, size)),
        ("int32", (num_agents,)),
        ("float32", (num_agents,)),
        ("float32", (num_agents, 0)),
        ("float32", (num_agents,)),
        ("bool", (num_agents,)),
        ("bool", (num_agents,)),
        ("int32", (num_agents,)),
    ]
    level = jax.eval_shape(env.generate, key)
    assert [(leaf.dtype.name, leaf.shape) for leaf in level] == [
        ("uint8", (side, side)),
        ("int32", (1, 2)),
        ("int32", (256, 2)),
    ]
    assert env.num_actions == 4


@pytest.mark.parametrize("id", breadth(IDS, SMALL, DIG))
def test_ranges_over_an_episode(id):
    env, _, actions, (_, (states, timesteps)) = episode(id)
    view = np.asarray(timesteps.obs.view)
    middle = env.view_size // 2
    assert (view[:, :, middle, middle] == Tile.AGENT).all()
    assert (view == Tile.AGENT).sum() == len(view)  # a lone agent sees no other
    assert view.max() == Tile.AGENT
    assert (Tile.ROCK in view) == ("Dig" in id)
    known = (actions >= 0) & (actions < 4)
    np.testing.assert_array_equal(timesteps.obs.last_action, np.where(known, actions, 4))
    assert set(np.unique(timesteps.reward).tolist()) == {0, 1}
    np.testing.assert_array_equal(timesteps.obs.last_reward, timesteps.reward)
    np.testing.assert_array_equal(states.visits, np.cumsum(timesteps.reward, axis=0))
    assert not timesteps.terminated.any()
    assert np.flatnonzero(timesteps.truncated).tolist() == [env.max_steps - 1]
    assert timesteps.time[:, 0].tolist() == list(range(1, env.max_steps + 1))
    assert (np.asarray(states.world.busy) <= env.config.dig_steps).all()


@pytest.mark.parametrize("id", breadth(IDS, SMALL, DIG))
def test_an_agent_never_stands_in_a_wall_or_on_the_goal(id):
    _, _, _, (_, (states, _)) = episode(id)
    tiles, position = np.asarray(states.world.tiles), np.asarray(states.world.position)[:, 0]
    under = tiles[np.arange(len(tiles)), position[:, 0], position[:, 1]]
    assert (under == Tile.FLOOR).all()


# ---- all randomness is in the level


def test_a_step_takes_no_key_and_a_level_is_all_that_start_needs():
    assert list(inspect.signature(Env.step).parameters) == ["self", "state", "action"]
    assert list(inspect.signature(Env.start).parameters) == ["self", "level"]


@pytest.mark.parametrize("id", breadth(IDS, SMALL, DIG))
def test_levels_are_the_same_bits_single_and_batched_whatever_the_number_of_agents(id):
    keys, levels = playing.batch(id, 0)  # of one agent
    env = gridmem.make(id, num_agents=8)
    for i in range(3):
        one, of_many = playing.generate_one(env, keys[i]), playing.level_at(levels, i)
        playing.assert_same(playing.as_dict(one), playing.as_dict(of_many), f"level {i}")


def test_reset_is_start_of_generate():
    env = gridmem.make(SMALL)
    keys, levels = playing.batch(SMALL, 0)
    by_key = jax.jit(env.reset)(keys[5])
    by_level = playing.start(env, playing.level_at(levels, 5))
    for actual, expected in zip(by_key, by_level, strict=True):
        playing.assert_same(playing.as_dict(actual), playing.as_dict(expected))


@pytest.mark.parametrize("id", breadth(IDS, SMALL, DIG))
def test_other_keys_give_other_levels(id):
    tiles, goals, spawns = playing.batch(id, 0)[1]
    assert len({level.tobytes() for level in tiles}) > 0.95 * len(tiles)
    assert len(np.unique(goals[:, 0], axis=0)) > 30
    assert len({some.tobytes() for some in spawns}) == len(spawns)


def test_an_agent_lands_at_its_own_share_of_the_spawns():
    num_agents = 3
    _, level, _, (_, (states, timesteps)) = episode("GridMem-9x9-v0", num_agents)
    found = np.argwhere(np.asarray(timesteps.reward) == 1)
    assert len(found) > 10
    for time, agent in found:
        index = (agent + states.visits[time, agent] * num_agents) % len(level.spawns)
        expected = level.spawns[index]
        np.testing.assert_array_equal(states.world.position[time, agent], expected)


# ---- one function, however it is called


@pytest.mark.parametrize(("id", "num_agents"), breadth([(SMALL, 1), (DIG, 2)], (DIG, 2)))
def test_eager_jit_vmap_and_scan_agree(id, num_agents):
    env = gridmem.make(id, num_agents=num_agents)
    levels = jax.tree.map(lambda leaf: leaf[:2], playing.batch(id, 0)[1])
    num_steps = 8
    walks = [
        guided_walk(playing.level_at(levels, i), num_agents, env.config.dig_steps, num_steps)
        for i in range(2)
    ]
    state, _ = jax.jit(jax.vmap(env.start))(levels)
    batched = []
    vstep = jax.jit(jax.vmap(env.step))
    for time in range(num_steps):
        state, timestep = vstep(state, np.stack([walk[time] for walk in walks]))
        batched.append((state, timestep))
    for i in range(2):
        level = playing.level_at(levels, i)
        _, scanned = playing.play(env, level, walks[i])
        single, _ = playing.start(env, level)
        eager, _ = env.start(jax.tree.map(jnp.asarray, level))
        for time in range(num_steps):
            single, single_step = playing.step(env, single, walks[i][time])
            eager, eager_step = env.step(eager, jnp.asarray(walks[i][time]))
            expected = jax.tree.map(lambda leaf: leaf[time], scanned)  # noqa: B023
            for other in (
                (single, single_step),
                (eager, eager_step),
                jax.tree.map(lambda leaf: leaf[i], batched[time]),  # noqa: B023
            ):
                for actual, wanted in zip(other, expected, strict=True):
                    playing.assert_same(playing.as_dict(actual), playing.as_dict(wanted))


@pytest.mark.parametrize("name", ["start", "step"])
def test_equal_environments_share_one_compilation(name):
    # A lambda of its own, whose cache nobody else fills.
    jitted = jax.jit(lambda env, *args: getattr(env, name)(*args), static_argnums=0)
    level = playing.level_at(playing.batch(SMALL, 0)[1], 0)
    for i in range(6):
        env = gridmem.make(SMALL) if i % 2 else Env(EnvConfig(map=NoiseMap(9, 9), max_steps=64))
        if name == "start":
            state, _ = jitted(env, level)
        else:
            state = playing.start(env, level)[0] if i == 0 else state
            state, _ = jitted(env, state, np.full(1, i, np.int32))
    assert jitted._cache_size() == 1


def test_generate_compiles_once():
    jitted = jax.jit(lambda env, key: env.generate(key), static_argnums=0)
    for seed in range(4):
        jitted(gridmem.make(SMALL), jax.random.key(seed))
    assert jitted._cache_size() == 1


@pytest.mark.parametrize("id", IDS)
def test_a_step_hands_on_what_it_does_not_need(id):
    # In the traced program these outputs are the inputs themselves: nothing is copied or written.
    env = gridmem.make(id)
    state, _ = jax.eval_shape(env.reset, jax.random.key(0))
    program = jax.make_jaxpr(env.step)(state, jax.ShapeDtypeStruct((1,), jnp.int32)).jaxpr
    names = [jax.tree_util.keystr(path) for path, _ in jax.tree_util.tree_leaves_with_path(state)]
    handed_on = {
        name
        for name, before, after in zip(names, program.invars, program.outvars, strict=False)
        if before is after
    }
    classic = {".goals", ".spawns", ".world.tiles", ".world.busy"}
    assert handed_on == ({".goals", ".spawns"} if "Dig" in id else classic)


# ---- the fully observed twin


def test_the_full_view_shows_the_whole_map_of_the_same_level():
    env = gridmem.make(SMALL, view_size="full")
    assert env.view_size == 17
    level = playing.level_at(playing.batch(SMALL, 0)[1], 0)
    for at, expected in zip(
        playing.generate_one(env, playing.batch(SMALL, 0)[0][0]), level, strict=True
    ):
        np.testing.assert_array_equal(at, expected)
    state, timestep = playing.start(env, level)
    for action in (0, 1, 2, 3, 1, 1, 2):
        state, timestep = playing.step(env, state, np.full(1, action, np.int32))
        row, column = state.world.position[0].tolist()
        view = np.asarray(timestep.obs.view[0])
        interior = view[9 - row : 18 - row, 9 - column : 18 - column]
        expected = np.array(state.world.tiles)
        expected[row, column] = Tile.AGENT
        np.testing.assert_array_equal(interior, expected[1:-1, 1:-1])


def test_actions_of_any_whole_number_type_fit_a_scan():
    env = gridmem.make("GridMem-9x9-v0")
    state, _ = jax.eval_shape(env.reset, jax.random.key(0))
    after, _ = jax.eval_shape(env.step, state, jax.ShapeDtypeStruct((1,), np.uint8))
    assert jax.tree.map(lambda x: (x.shape, x.dtype), after) == jax.tree.map(
        lambda x: (x.shape, x.dtype), state
    )


def test_a_lone_agents_action_may_be_a_number_or_a_list():
    env = gridmem.make(SMALL)
    state, _ = playing.start(env, playing.level_at(playing.batch(SMALL, 0)[1], 0))
    forms = [np.ones(1, np.int32), 1, np.int64(1), [1], np.ones(1, np.uint8), jnp.int32(1)]
    expected, *others = jax.jit(lambda state: [env.step(state, form) for form in forms])(state)
    for other in others:
        for a, b in zip(other, expected, strict=True):
            playing.assert_same(playing.as_dict(a), playing.as_dict(b))


@pytest.mark.parametrize("action", [1.0, True, [0, 1], [[1]]])
def test_what_is_no_action_of_a_lone_agent_is_refused(action):
    env = gridmem.make(SMALL)
    state, _ = jax.eval_shape(env.reset, jax.random.key(0))
    with pytest.raises(ValueError, match="it must be one whole number for each agent"):
        jax.eval_shape(lambda state: env.step(state, action), state)


@pytest.mark.parametrize(("shape", "dtype"), [((1,), np.int32), ((), np.int32), ((2,), bool)])
def test_an_action_that_is_not_one_number_per_agent_is_refused(shape, dtype, monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    env = gridmem.make("GridMem-9x9-v0", num_agents=2)
    state, _ = jax.eval_shape(env.reset, jax.random.key(0))
    sentence = r"it must be one whole number for each agent, int32\[2\]"
    with pytest.raises(ValueError, match=sentence):
        jax.eval_shape(env.step, state, jax.ShapeDtypeStruct(shape, dtype))


# ---- whatever the user's settings of JAX


def seen(id):
    """A digest of the beginning of an episode, values and dtypes."""
    env = gridmem.make(id, num_agents=2)

    @jax.jit
    def run(key):
        begun = env.reset(key)
        return begun, env.step(begun[0], [1, 2])

    leaves = jax.tree.leaves(run(jax.random.key(3)))
    data = b"".join(leaf.dtype.name.encode() + np.asarray(leaf).tobytes() for leaf in leaves)
    return hashlib.sha256(data).hexdigest()


@pytest.mark.slow
@pytest.mark.parametrize("id", breadth(IDS, SMALL))
def test_settings_of_jax_change_no_bit(id):
    here = Path(__file__).parent
    settings = {
        "JAX_ENABLE_X64": "1",
        "JAX_DEBUG_NANS": "1",
        "JAX_NUMPY_DTYPE_PROMOTION": "strict",
        "PYTHONPATH": os.pathsep.join([str(here), str(here.parent)]),
    }
    script = f"import test_env; print(test_env.seen({id!r}))"
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=os.environ | settings,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.strip() == seen(id), done.stderr


# ---- divided among devices


DIVIDED = {
    "return": {},
    "moving": {"goal_moves": True, "compass": True},
    "tour": {"task": {"type": "Tour"}, "num_agents": 2},
    "dig": {"dig_steps": 3, "solid": "rock", "num_agents": 2},
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", breadth(DIVIDED, "return"))
def test_everything_can_be_traced_under_shard_map(kind):
    env = gridmem.make(SMALL, max_steps=4, **DIVIDED[kind])
    num = env.num_agents

    def run(keys):
        def scan(step, state, action):
            return jax.lax.scan(lambda carry, _: (step(carry[0], action), None), state, length=2)

        begun = jax.vmap(env.reset)(keys)
        scan(jax.vmap(env.step), begun, jnp.zeros((2, num), jnp.int32))
        levels = jax.vmap(env.generate)(keys)
        vector = VectorEnv(env, 2)
        batch = vector.reset(jax.vmap(jax.random.key_data)(keys))
        flat = jnp.zeros(2 * num, jnp.int32)
        for step in (vector.step, vector.step_only, lambda *a: vector.step_then_reset(*a)[:2]):
            scan(step, batch, flat)
        vector.restart(batch[0], batch[0].done)
        played = play(env, random_policy(4), levels, jax.random.key(0)).rollout.reward
        metrics = measure(env, levels, oracle_actions(env, levels))
        return begun, metrics, jnp.swapaxes(played, 0, 1)

    mesh = jax.make_mesh((1,), ("x",), axis_types=(AxisType.Auto,))
    spec = PartitionSpec("x")
    sharded = jax.shard_map(run, mesh=mesh, in_specs=spec, out_specs=spec)
    keys = jax.random.split(jax.random.key(0), 2)
    assert jax.eval_shape(sharded, keys) == jax.eval_shape(run, keys)


def divided_among(num_devices):
    """Observations and rewards of seven steps of gymnax's environment and of a batch, divided."""
    env = gridmem.gymnax_env(SMALL, max_steps=3)
    core = gridmem.make(SMALL, max_steps=3)
    still = jnp.zeros(4 // num_devices, jnp.int32)

    def run(keys):
        def gymnax_step(state, _):
            obs, state, reward, *_ = jax.vmap(env.step)(keys, state, still)
            return state, (obs, reward)

        def batch_step(carry, _):
            state, timestep = vector.step(carry[0], still)
            return (state, timestep), (timestep.obs.view, timestep.reward)

        vector = VectorEnv(core, 4 // num_devices)
        begun = vector.reset(jax.vmap(jax.random.key_data)(keys))
        _, gymnax = jax.lax.scan(gymnax_step, jax.vmap(env.reset)(keys)[1], length=7)
        _, batch = jax.lax.scan(batch_step, begun, length=7)
        return gymnax, batch

    mesh = jax.make_mesh((num_devices,), ("x",), axis_types=(AxisType.Auto,))
    sharded = jax.shard_map(
        run, mesh=mesh, in_specs=PartitionSpec("x"), out_specs=PartitionSpec(None, "x")
    )
    outputs = jax.jit(sharded)(jax.random.split(jax.random.key(0), 4))
    data = b"".join(np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(outputs))
    return hashlib.sha256(data).hexdigest()


@pytest.mark.slow
def test_two_devices_play_as_one():
    here = Path(__file__).parent
    flags = os.environ.get("XLA_FLAGS", "")
    settings = {
        "JAX_PLATFORMS": "cpu",
        "XLA_FLAGS": f"{flags} --xla_force_host_platform_device_count=2",
        "PYTHONPATH": os.pathsep.join([str(here), str(here.parent)]),
    }
    done = subprocess.run(
        [sys.executable, "-c", "import test_env; print(test_env.divided_among(2))"],
        env=os.environ | settings,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.strip() == divided_among(1), done.stderr


if __name__ == "__main__":
    print("GOLDEN = {")
    for id in IDS:
        print(f'    "{id}": "{digest(id)}",')
    print("}")
