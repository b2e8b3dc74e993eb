import copy
import functools
import importlib
import pickle
import warnings
from types import SimpleNamespace

import gymnasium
import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pettingzoo
import pytest
from breadth import breadth
from gymnasium import error

import gridmem
from gridmem.envs.adapters.pettingzoo_env import GridMemParallelEnv

with warnings.catch_warnings(action="ignore"):  # it imports an environment of its own the old way
    from pettingzoo.test import (
        api_test,
        max_cycles_test,
        parallel_api_test,
        parallel_seed_test,
        render_test,
        seed_test,
        state_test,
    )

SMALL = "GridMem-9x9-v0"


@pytest.fixture
def env():
    env = gridmem.parallel_env(SMALL, num_agents=3, max_cycles=20)
    env.reset(seed=0)
    return env


@pytest.fixture
def unchecked(monkeypatch):
    """Without the type checks that the tests add, as in a user's process."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


def all_moving(env, action=0):
    return dict.fromkeys(env.agents, action)


def same_level(a, b):
    return all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


@pytest.mark.parametrize("id", breadth(gridmem.CONFIGS, SMALL, "GridMem-Dig-v0"))
def test_parallel_api(id):
    parallel_api_test(gridmem.parallel_env(id, num_agents=2, max_cycles=30))


@pytest.mark.parametrize("num_agents", [1, 9])
def test_parallel_api_for_any_number_of_agents(num_agents):
    parallel_api_test(gridmem.parallel_env(SMALL, num_agents=num_agents, view_size="full"))


def test_aec_api():
    api_test(gridmem.env("GridMem-Dig-v0", num_agents=3, max_cycles=40), num_cycles=100)


def test_seeds():
    make = {"env_id": SMALL, "num_agents": 2, "max_cycles": 20}
    parallel_seed_test(functools.partial(gridmem.parallel_env, **make))
    seed_test(functools.partial(gridmem.env, **make), num_cycles=50)


@pytest.mark.parametrize("api", ["parallel", "aec"])
def test_the_registry_of_pettingzoo_makes_every_id(api):
    importlib.import_module("gridmem.pettingzoo")
    for id in gridmem.CONFIGS:
        env = pettingzoo.make(api, id, num_agents=2, max_cycles=20)
        assert env.possible_agents == ["agent_0", "agent_1"]
        if id == SMALL:  # what else the ids need to start is not the registry's
            env.reset(seed=0)
            assert env.agents == ["agent_0", "agent_1"]


def test_max_cycles():
    make = {"env_id": SMALL, "num_agents": 2}
    max_cycles_test(
        SimpleNamespace(
            parallel_env=functools.partial(gridmem.parallel_env, **make),
            env=functools.partial(gridmem.env, **make),
        )
    )


def test_render_modes(monkeypatch):
    monkeypatch.setattr("gridmem.envs.adapters.simulator.RENDER_FPS", 1000)
    render_test(functools.partial(gridmem.env, SMALL))


def test_state():
    make = {"env_id": "GridMem-Dig-v0", "num_agents": 4}
    state_test(gridmem.env(**make), gridmem.parallel_env(**make), num_cycles=20)


def test_the_state_is_the_map_with_the_agents(env):
    state = env.state()
    cells = env.level.spawns[:3]
    expected = env.level.tiles
    expected[cells[:, 0], cells[:, 1]] = gridmem.Tile.AGENT
    np.testing.assert_array_equal(state, expected)
    assert state.dtype == np.uint8
    assert state.flags.writeable


def play(env, seed, num_steps):
    """Everything that many steps of an episode give, in one list."""
    rng = np.random.default_rng(seed)
    record = [env.reset(seed=seed)]
    for _ in range(num_steps):
        record.append(env.step({agent: int(rng.integers(4)) for agent in env.agents}))
    return record


def test_whole_episodes_repeat():
    make = functools.partial(gridmem.parallel_env, "GridMem-Dig-v0", num_agents=5, max_cycles=120)
    a, b = make(), make()
    for seed in (0, 2**40):
        first, second = play(a, seed, 120), play(b, seed, 120)
        jax.tree.map(np.testing.assert_array_equal, first, second)
        assert any(sum(step[1].values()) for step in first[1:]) or seed
    other = play(a, 1, 120)
    assert not all(
        np.array_equal(x, y)
        for x, y in zip(jax.tree.leaves(first), jax.tree.leaves(other), strict=True)
    )


def test_steps_equal_the_jax_core(env):
    core = gridmem.make(SMALL, num_agents=3, max_steps=20)
    state, expected = jax.jit(core.start)(jax.tree.map(jnp.asarray, env.level))
    step = jax.jit(core.step)
    rng = np.random.default_rng(0)
    for time in range(1, 21):
        actions = rng.integers(4, size=3).astype(np.int32)
        views, rewards, terminated, truncated, infos = env.step(
            dict(zip(env.agents, actions.tolist(), strict=True))
        )
        state, expected = step(state, actions)
        for i, agent in enumerate(env.possible_agents):
            np.testing.assert_array_equal(views[agent], expected.obs.view[i])
            assert rewards[agent] == expected.reward[i]
            assert terminated[agent] is False
            assert truncated[agent] is (time == 20)
            assert infos[agent] == {
                "last_action": actions[i],
                "last_reward": expected.obs.last_reward[i],
                "visits": state.visits[i],
                "steps": time,
            }
    assert env.agents == []


def test_one_agent_sees_what_the_gymnasium_face_sees():
    parallel, single = gridmem.parallel_env(SMALL), gymnasium.make(SMALL)
    views, infos = parallel.reset(seed=5)
    view, info = single.reset(seed=5)
    for action in [None, 0, 1, 2, 3, 3, 2]:
        if action is not None:
            views, _, _, _, infos = parallel.step({"agent_0": action})
            view, _, _, _, info = single.step(action)
        np.testing.assert_array_equal(views["agent_0"], view)
        assert infos == {"agent_0": info}


def test_each_agent_is_paid_for_itself():
    map_ = {"type": "TextMap", "rows": ["######", "#0G.1#", "#...2#", "######"]}
    env = gridmem.parallel_env(SMALL, map=map_, num_agents=2)
    env.reset(seed=0)
    _, rewards, _, _, infos = env.step({"agent_0": 1, "agent_1": 1})
    assert rewards == {"agent_0": 1.0, "agent_1": 0.0}
    assert [info["visits"] for info in infos.values()] == [1, 0]
    assert [type(reward) for reward in rewards.values()] == [float, float]


def test_views_are_fresh_and_apart(env):
    first, _ = env.reset()
    kept = {agent: view.copy() for agent, view in first.items()}
    second = env.step(all_moving(env))[0]
    for view in second.values():
        assert view.flags.writeable
        assert view.flags.owndata
        view[:] = 9
    assert all(np.array_equal(first[agent], kept[agent]) for agent in first)


def test_without_a_seed_levels_go_on(env):
    def stream(env):
        for seed in (7, None, None):
            env.reset(seed=seed)
            yield env.level

    played = list(stream(env))
    assert not same_level(played[0], played[1])
    assert all(map(same_level, played, stream(gridmem.parallel_env(SMALL))))


def test_two_unseeded_envs_differ():
    levels = []
    for _ in range(2):
        env = gridmem.parallel_env(SMALL)
        env.reset()
        levels.append(env.level)
    assert not same_level(*levels)


def test_a_level_can_be_played_again_by_another_number_of_agents(env):
    other = gridmem.parallel_env(SMALL, num_agents=2)
    views, _ = other.reset(options={"level": env.level})
    assert same_level(other.level, env.level)
    assert views.keys() == {"agent_0", "agent_1"}


def test_a_wrong_level_is_refused(env):
    other = gridmem.parallel_env("GridMem-13x13-v0")
    other.reset()
    with pytest.raises(ValueError, match=r"this environment's have shape \(11, 11\)"):
        env.reset(options={"level": other.level})


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("seed", [-1, 1.5, "1", np.int64(3)])
def test_a_wrong_seed_is_refused(env, seed):
    with pytest.raises(error.Error, match="it must be a Python int, 0 or more"):
        env.reset(seed=seed)


def test_actions_must_be_for_all_agents_and_no_others(env):
    message = "there must be one for each of agent_0, agent_1, agent_2"
    for actions in ({}, {"agent_0": 1}, all_moving(env) | {"agent_3": 0}):
        with pytest.raises(ValueError, match=message):
            env.step(actions)


@pytest.mark.parametrize("action", [-1, 4, 1.0, None])
def test_a_wrong_action_is_refused(env, action):
    with pytest.raises(ValueError, match="is not a move; it must be one of"):
        env.step(all_moving(env) | {"agent_1": action})
    assert env.step(all_moving(env))[4]["agent_0"]["steps"] == 1


def test_taking_turns_each_action_is_checked_when_it_is_given():
    env = gridmem.env(SMALL, num_agents=2, max_steps=1)
    env.reset(seed=0)
    for agent in ("agent_0", "agent_1"):
        for wrong in (9, None, 1.0):
            with pytest.raises(ValueError, match="is not a move; it must be one of"):
                env.step(wrong)
            assert env.agent_selection == agent
        env.step(0)
    with pytest.raises(ValueError, match="its episode is over, and it must be None"):
        env.step(0)
    for _ in range(2):
        env.step(None)
    assert not env.agents


def test_wrappers_find_a_generator_that_the_seed_sets(env):
    def drawn(**seed):
        env.reset(**seed)
        return env.np_random.integers(2**60)

    assert drawn(seed=3) == drawn(seed=3) != drawn()


def test_step_before_reset_and_after_the_end_are_refused():
    env = gridmem.parallel_env(SMALL, max_cycles=1)
    with pytest.raises(error.ResetNeeded, match="before the first reset; call reset first"):
        env.step({"agent_0": 0})
    env.reset()
    env.step({"agent_0": 0})
    for actions in ({}, {"agent_0": 0}):
        with pytest.raises(error.ResetNeeded, match="after the episode's end; call reset first"):
            env.step(actions)
    env.reset()
    assert env.agents == ["agent_0"]


@pytest.mark.parametrize("look", [lambda e: e.state(), lambda e: e.render(), lambda e: e.level])
def test_looking_before_reset_is_refused(look):
    with pytest.raises(error.ResetNeeded, match="there is no episode yet; call reset first"):
        look(gridmem.parallel_env(SMALL))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_agent": 2}, "did you mean 'num_agents'"),
        ({"num_agents": 0}, "num_agents is 0; it must be a whole number, 1 or more"),
        ({"max_cycles": 0}, "max_steps is 0; it must be a whole number, 1 or more"),
        ({"max_cycles": 5, "max_steps": 5}, "give only one of them"),
        ({"render_mode": "jpeg"}, "render_mode is 'jpeg'; it must be None or one of"),
    ],
)
def test_wrong_options_are_refused(options, message):
    for make in (gridmem.parallel_env, gridmem.env):
        with pytest.raises(ValueError, match=message):
            make(SMALL, **options)


def test_an_unknown_id_is_refused():
    with pytest.raises(ValueError, match="did you mean 'GridMem-v0'"):
        gridmem.parallel_env("GridMen-v0")


@pytest.mark.parametrize("clone", [copy.deepcopy, lambda env: pickle.loads(pickle.dumps(env))])
def test_a_clone_goes_on_like_the_original(env, clone):
    env.step(all_moving(env))
    other = clone(env)
    for action in (1, 2, 3):
        results = [e.step(all_moving(e, action)) for e in (env, other)]
        jax.tree.map(np.testing.assert_array_equal, *results)


def test_spaces_are_the_same_objects_each_time(env):
    assert isinstance(env, GridMemParallelEnv)
    for space in (env.observation_space, env.action_space):
        objects = [space(agent) for agent in env.possible_agents]
        assert all(space(a) is o for a, o in zip(env.possible_agents, objects, strict=True))
        assert len(set(map(id, objects))) == 3  # seeding one does not seed another


def test_render_without_a_mode_warns(env):
    with pytest.warns(UserWarning, match="render was called without a render mode"):
        assert env.render() is None


def test_ansi_shows_every_agent():
    env = gridmem.parallel_env(SMALL, num_agents=3, render_mode="ansi")
    env.reset(seed=1)
    assert env.render().count("@") == len(np.unique(env.level.spawns[:3], axis=0))
