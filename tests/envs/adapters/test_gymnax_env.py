import sys
from dataclasses import dataclass
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest
from breadth import breadth

from gridmem.envs.adapters.gymnasium_env import GridMemEnv
from gridmem.envs.adapters.gymnax_env import EnvParams, gymnax_env
from gridmem.envs.adapters.observations import flat
from gridmem.envs.maps import TextMap

SMALL, MAX_STEPS, N = "GridMem-9x9-v0", 3, 4
# Goals and spawns are drawn in it, and it compiles in a fraction of the time that noise takes.
HALL = TextMap(("########", "#......#", "#.%%.#.#", "#...%..#", "########"))
ENV = gymnax_env(SMALL, map=HALL, max_steps=MAX_STEPS)
KEYS = jax.random.split(jax.random.key(0), N)
core_reset, core_step = jax.jit(ENV.core.reset), jax.jit(ENV.core.step)
batch_reset, batch_step = jax.jit(jax.vmap(ENV.reset)), jax.jit(jax.vmap(ENV.step))


def assert_equal(ours, theirs):
    jax.tree.map(np.testing.assert_array_equal, ours, theirs)


def core_flat(timestep):
    return flat(ENV.core, jax.tree.map(lambda x: x[0], timestep.obs))


@pytest.mark.parametrize("new_style", [True, False])
def test_steps_equal_the_core_and_reset_at_the_end(new_style):
    keys = jax.random.split(jax.random.key(5), 3 * MAX_STEPS)
    raw = [key if new_style else jax.random.key_data(key) for key in keys]
    obs, state = ENV.reset(raw[0])
    expected, timestep = core_reset(keys[0])
    assert_equal((obs, state), (core_flat(timestep), expected))
    for time in range(1, 3 * MAX_STEPS):
        action = time % 4
        obs, state, reward, terminated, truncated, info = ENV.step(raw[time], state, action)
        expected, timestep = core_step(expected, jnp.array([action]))
        assert truncated == (time % MAX_STEPS == 0) == timestep.truncated[0]
        assert not terminated
        assert reward == timestep.reward[0]
        assert_equal(info["final_observation"], core_flat(timestep))
        assert (info["discount"], info["terminated"], info["truncated"]) == (1, False, truncated)
        if truncated:
            expected, timestep = core_reset(keys[time])
            assert not np.array_equal(obs, info["final_observation"])
        assert_equal((obs, state), (core_flat(timestep), expected))
        assert state.time == time % MAX_STEPS


def test_a_step_of_five_values():
    older = gymnax_env(SMALL, map=HALL, max_steps=MAX_STEPS, five_values=True)
    _, state = older.reset(KEYS[0])
    for time in range(MAX_STEPS):
        obs, following, reward, done, info = older.step(KEYS[1], state, 1)
        expected = ENV.step(KEYS[1], state, 1)
        assert_equal((obs, following, reward, info), (*expected[:3], expected[5]))
        assert done == (time == MAX_STEPS - 1)
        state = following


def staggered():
    """States whose episodes end on different steps."""
    _, state = batch_reset(KEYS)
    return state._replace(time=jnp.array([0, 1, 2, 2], jnp.int32))


def test_vmapped_equals_looped():
    state = staggered()
    for action in range(3 * MAX_STEPS):
        keys = jax.random.split(jax.random.key(action), N)
        actions = (jnp.arange(N) + action) % 4
        rows = [jax.tree.map(lambda x: x[i], state) for i in range(N)]  # noqa: B023
        looped = [ENV.step(keys[i], rows[i], actions[i]) for i in range(N)]
        answer = batch_step(keys, state, actions)
        assert_equal(answer, jax.tree.map(lambda *x: jnp.stack(x), *looped))
        state = answer[1]


@pytest.mark.slow
def test_nested_vmap_and_scan_equal_vmap():
    def scanned(state):
        def body(state, key):
            actions = jnp.arange(N).reshape(2, 2) % 4
            keys = jax.random.split(key, (2, 2))
            _, state, *rest = jax.vmap(jax.vmap(ENV.step))(keys, state, actions)
            return state, rest

        return jax.lax.scan(body, state, jax.random.split(jax.random.key(1), 5))

    fold = lambda tree: jax.tree.map(lambda x: x.reshape(2, 2, *x.shape[1:]), tree)  # noqa: E731
    state = staggered()
    nested, rest = jax.jit(scanned)(fold(state))
    for i, key in enumerate(jax.random.split(jax.random.key(1), 5)):
        keys = jax.random.split(key, (2, 2)).reshape(N)
        _, state, *expected = batch_step(keys, state, jnp.arange(N) % 4)
        assert_equal(jax.tree.map(lambda x: x[i], rest), fold(expected))  # noqa: B023
    assert_equal(nested, fold(state))


def test_what_is_not_batched_is_shared():
    _, state = batch_reset(KEYS)
    one = jax.tree.map(lambda x: x[0], state)
    limits = EnvParams(jnp.array([1, 2, 1, 9]))
    step = jax.vmap(ENV.step, in_axes=(None, None, 0, EnvParams(0)))
    _, state, _, _, truncated, _ = jax.jit(step)(KEYS[1], one, jnp.arange(4), limits)
    assert truncated.tolist() == [True, False, True, False]
    assert_equal(state.spawns[0], state.spawns[2])
    assert_equal(state.spawns[1], one.spawns)
    assert not np.array_equal(state.spawns[0], one.spawns)


@dataclass(frozen=True)
class Counted(TextMap):
    """Notes every map that is generated."""

    def generate(self, key):
        jax.debug.callback(MADE.append, jax.random.key_data(key))
        return super().generate(key)


MADE = []
MAP = Counted(("######", "#....#", "#....#", "######"))
COUNTED = gymnax_env(SMALL, map=MAP, max_steps=9)
counted_reset, counted_step = (jax.jit(jax.vmap(f)) for f in (COUNTED.reset, COUNTED.step))


@pytest.mark.parametrize(("ended", "made"), [(0, 0), (1, 8), (9, 16)])
def test_a_vmapped_step_makes_levels_for_those_that_ended_only(ended, made):
    keys = jax.random.split(jax.random.key(0), 20)
    _, state = counted_reset(keys)
    state = state._replace(time=jnp.where(jnp.arange(20) < ended, 8, 0))
    jax.effects_barrier()
    MADE.clear()
    jax.block_until_ready(counted_step(keys, state, jnp.zeros(20, jnp.int32)))
    jax.effects_barrier()
    assert len(MADE) == made


def test_every_reset_draws_a_fresh_level():
    _, state = batch_reset(KEYS)
    levels = {drawn.tobytes() for drawn in np.asarray(state.spawns)}
    for i in range(4 * MAX_STEPS):
        keys = jax.random.split(jax.random.key(i), N)
        _, state, *_, truncated, _ = batch_step(keys, state, jnp.full(N, 4))
        if truncated.any():
            levels |= {drawn.tobytes() for drawn in np.asarray(state.spawns)}
    assert len(levels) == 5 * N


@pytest.mark.slow
@pytest.mark.parametrize("observation", breadth(["view", "dict", "flat"], "dict", "flat"))
def test_observations_and_states_are_in_their_spaces(observation):
    options = {"observation": observation, "compass": observation != "view", "map": HALL}
    env = gymnax_env(SMALL, max_steps=MAX_STEPS, dig_steps=2, **options)
    single = GridMemEnv(SMALL, max_steps=MAX_STEPS, **options)
    obs, state = env.reset(KEYS[0])
    assert obs.keys() == single.reset()[0].keys() if observation == "dict" else True
    space = env.observation_space(env.default_params)
    leaves, sampled = jax.tree.leaves(obs), jax.tree.leaves(space.sample(KEYS[1]))
    for _ in range(5):
        assert space.contains(obs)
        assert space.contains(space.sample(KEYS[1]))
        assert env.state_space(env.default_params).contains(state)
        obs, state, *_ = env.step(KEYS[2], state, 2)
    for leaf, sample in zip(leaves, sampled, strict=True):
        assert (leaf.shape, leaf.dtype) == (sample.shape, sample.dtype)
    assert not space.contains(jax.tree.map(lambda x: x + jnp.asarray(9, x.dtype), obs))
    wrong = state._replace(time=jnp.int32(MAX_STEPS + 1))
    assert not env.state_space().contains(wrong)


def test_what_trainers_ask_for():
    assert ENV.name == SMALL
    assert ENV.num_actions == ENV.action_space(ENV.default_params).n == 4
    assert ENV.observation_space(ENV.default_params).shape == ENV.reset(KEYS[0])[0].shape
    assert ENV.default_params.max_steps_in_episode == MAX_STEPS
    assert ENV.default_params.replace(max_steps_in_episode=9).max_steps_in_episode == 9
    space = ENV.action_space()
    drawn = {int(space.sample(key)) for key in jax.random.split(jax.random.key(0), 40)}
    assert drawn == {0, 1, 2, 3}
    assert [bool(space.contains(x)) for x in (-1, 0, 3, 4)] == [False, True, True, False]


@pytest.mark.parametrize("observation", ["view", "dict"])
def test_where_gymnax_is_loaded_spaces_are_of_its_classes(observation, monkeypatch):
    theirs = {name: type(name, (), {}) for name in ("Discrete", "Box", "Dict")}
    monkeypatch.setitem(sys.modules, "gymnax.environments.spaces", SimpleNamespace(**theirs))
    env = gymnax_env(SMALL, map=HALL, observation=observation)
    space, dict_, discrete = env.observation_space(), env.state_space(), env.action_space()
    assert isinstance(space, theirs["Box" if observation == "view" else "Dict"])
    assert isinstance(dict_, theirs["Dict"])
    assert isinstance(dict_.spaces["world"].spaces["busy"], theirs["Box"])
    assert isinstance(discrete, theirs["Discrete"])
    assert discrete.contains(discrete.sample(KEYS[0]))
    assert space.contains(space.sample(KEYS[0]))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_agents": 2}, "num_agents is 2, and an environment of gymnax has one agent"),
        ({"observation": "flt"}, "did you mean 'flat'"),
        ({"max_step": 2}, "did you mean 'max_steps'"),
    ],
)
def test_wrong_options_are_refused(options, message, monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    with pytest.raises(ValueError, match=message):
        gymnax_env(SMALL, **options)
