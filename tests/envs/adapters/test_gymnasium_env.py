import copy
import pickle
import warnings

import gymnasium
import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest
from breadth import breadth
from gymnasium import error
from gymnasium.utils.env_checker import check_env
from gymnasium.utils.env_match import check_environments_match
from gymnasium.wrappers import RecordEpisodeStatistics

import gridmem
from gridmem.envs.adapters import simulator
from gridmem.envs.adapters.gymnasium_env import GridMemEnv
from gridmem.envs.batch.seeding import level_key, seed_key

SMALL = "GridMem-9x9-v0"


@pytest.fixture
def env():
    env = GridMemEnv(SMALL)
    env.reset(seed=0)
    return env


@pytest.fixture
def unchecked(monkeypatch):
    """Without the type checks that the tests add, as in a user's process."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


def same_level(a, b):
    return all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


def levels(env, *seeds):
    played = []
    for seed in seeds:
        env.reset(seed=seed)
        played.append(env.unwrapped.level)
    return played


@pytest.mark.parametrize("id", breadth([f"gridmem:{SMALL}", *gridmem.CONFIGS], f"gridmem:{SMALL}"))
def test_the_checker_of_gymnasium_finds_nothing(id):
    check_env(gymnasium.make(id).unwrapped)


def test_the_checker_finds_nothing_when_everything_is_visible():
    check_env(gymnasium.make(SMALL, view_size="full").unwrapped)


def test_two_instances_match_by_the_matcher_of_gymnasium():
    make = gymnasium.make
    check_environments_match(
        make(SMALL), make(SMALL), num_steps=100, seed=1, info_comparison="equivalence"
    )


def test_a_spec_survives_json_and_makes_the_same_env():
    env = gymnasium.make(SMALL, view_size=7, map={"height": 5, "width": 12})
    again = gymnasium.make(gymnasium.envs.registration.EnvSpec.from_json(env.spec.to_json()))
    assert again.observation_space.shape == (7, 7)
    assert same_level(*(levels(e, 5)[0] for e in (env, again)))
    assert env.unwrapped.level.tiles.shape == (7, 14)


def test_steps_equal_the_jax_core():
    env = gymnasium.make("GridMem-Dig-v0", max_steps=300)
    view, info = env.reset(seed=3)
    core = gridmem.make("GridMem-Dig-v0", max_steps=300)
    state, expected = jax.jit(core.start)(jax.tree.map(jnp.asarray, env.unwrapped.level))
    step = jax.jit(core.step)
    env.action_space.seed(0)
    for time in range(301):
        np.testing.assert_array_equal(view, expected.obs.view[0])
        assert info == {
            "last_action": int(expected.obs.last_action[0]),
            "last_reward": float(expected.obs.last_reward[0]),
            "visits": int(state.visits[0]),
            "steps": time,
        }
        if time == 300:
            break
        action = env.action_space.sample()
        view, reward, terminated, truncated, info = env.step(action)
        state, expected = step(state, np.array([action], np.int32))
        assert (reward, terminated, truncated) == (
            expected.reward[0],
            expected.terminated[0],
            expected.truncated[0],
        )
    assert truncated
    assert not terminated


def test_finding_the_goal_pays_one():
    rows = ["#####", "#0G.#", "#..1#", "#####"]
    env = gymnasium.make(SMALL, map={"type": "TextMap", "rows": rows}, max_steps=3)
    view, _ = env.reset(seed=0)
    assert view.tolist()[2] == [1, 1, 4, 3, 0]
    _, reward, terminated, truncated, info = env.step(1)
    assert (reward, terminated, truncated) == (1.0, False, False)
    assert info == {"last_action": 1, "last_reward": 1.0, "visits": 1, "steps": 1}
    _, reward, _, _, info = env.step(0)
    assert (reward, info["visits"], info["last_reward"]) == (0.0, 1, 0.0)
    assert env.step(0)[3] is True


def test_plain_types_and_fresh_writable_arrays(env):
    first, first_info = env.reset(seed=1)
    kept = first.copy()
    view, reward, terminated, truncated, info = env.step(2)
    assert [type(x) for x in (view, reward, terminated, truncated, info)] == [
        np.ndarray,
        float,
        bool,
        bool,
        dict,
    ]
    assert [type(v) for v in info.values()] == [int, float, int, int]
    assert first_info.keys() == info.keys()
    assert view.flags.writeable
    assert view.dtype == np.uint8
    view[:] = 9
    np.testing.assert_array_equal(first, kept)
    assert env.step(0)[0].max() <= 4
    assert view in env.observation_space or view.max() == 9


def test_every_bit_of_a_seed_counts(env):
    played = levels(env, 0, 1, 2**31, 2**32, 2**40, 2**64, 2**200)
    for i, a in enumerate(played):
        assert not any(same_level(a, b) for b in played[:i])
    assert same_level(played[4], levels(env, 2**40)[0])


def test_without_a_seed_the_stream_goes_on(env):
    stream = levels(env, 7, None, None)
    assert not same_level(stream[0], stream[1])
    assert not same_level(stream[1], stream[2])
    assert all(map(same_level, stream, levels(GridMemEnv(SMALL), 7, None, None)))


def test_the_stream_is_that_of_level_key(env):
    core = gridmem.make(SMALL)
    for episode, level in enumerate(levels(env, 7, None)):
        key = level_key(jnp.asarray(seed_key(7)), jnp.uint32(episode))
        assert same_level(level, jax.jit(core.generate)(key))


def test_a_level_does_not_depend_on_the_default_generator(env):
    expected = levels(env, 7)[0]
    with jax.default_prng_impl("rbg"):
        assert same_level(levels(GridMemEnv(SMALL, max_steps=77), 7)[0], expected)


def test_an_unseeded_env_can_be_reproduced_by_its_np_random_seed():
    env, other = GridMemEnv(SMALL), GridMemEnv(SMALL)
    level = levels(env, None)[0]
    assert not same_level(level, levels(other, None)[0])
    assert same_level(level, levels(other, env.np_random_seed)[0])


def test_a_generator_put_there_by_the_user_counts():
    first, second = GridMemEnv(SMALL), GridMemEnv(SMALL)
    first.np_random, second.np_random = np.random.default_rng(5), np.random.default_rng(5)
    assert same_level(levels(first, None)[0], levels(second, None)[0])


@pytest.mark.parametrize("seed", [-1, 1.5, "1", np.int64(3)])
@pytest.mark.usefixtures("unchecked")
def test_a_wrong_seed_is_refused(env, seed):
    with pytest.raises(error.Error, match=r"[Ss]eed"):
        env.reset(seed=seed)


def test_a_level_can_be_played_again(env):
    level = levels(env, 4)[0]
    first = [env.step(action)[0] for action in (0, 1, 2, 3)]
    env.reset()
    env.reset(options={"level": level})
    again = [env.step(action)[0] for action in (0, 1, 2, 3)]
    np.testing.assert_array_equal(first, again)
    assert same_level(env.level, level)


def test_a_level_played_again_does_not_move_the_stream(env):
    stream = levels(env, 4, None)
    env.reset(seed=4)
    env.reset(options={"level": stream[1]})
    env.reset()
    assert same_level(env.level, stream[1])


def test_a_level_of_the_jax_core_can_be_played(env):
    level = jax.jit(gridmem.make(SMALL).generate)(jax.random.key(1))
    env.reset(options={"level": level})
    assert same_level(env.level, level)


def test_an_unknown_reset_option_is_refused(env):
    with pytest.raises(ValueError, match="no reset option 'levle' \\(did you mean 'level'"):
        env.reset(options={"levle": None})


def open_edge(level):
    level.tiles[0, 3] = 0


def agent_in_the_map(level):
    level.tiles[5, 5] = 4


def goal_in_a_wall(level):
    level.goals[0] = 0


def spawn_outside(level):
    level.spawns[3] = -1


def second_goal(level):
    level.tiles[tuple(level.spawns[-1])] = 3
    level.spawns[:] = level.spawns[0]


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (open_edge, "outermost cells must all be wall"),
        (agent_in_the_map, "0 to 3"),
        (goal_in_a_wall, r"a goal at \(0, 0\), which is not a goal cell"),
        (spawn_outside, r"a spawn at \(-1, -1\), which is not a floor cell"),
        (second_goal, "draws 2; this environment's task needs exactly 1"),
    ],
)
def test_a_spoilt_level_is_refused(env, spoil, message):
    level = env.level
    assert not np.array_equal(level.spawns[0], level.spawns[-1])
    spoil(level)
    with pytest.raises(ValueError, match=message):
        env.reset(options={"level": level})


@pytest.mark.usefixtures("unchecked")
def test_what_is_no_level_is_refused(env):
    with pytest.raises(ValueError, match=r"the level is a int; it must be a gridmem\.Level"):
        env.reset(options={"level": 3})
    with pytest.raises(ValueError, match=r"shape \(22, 22\); this environment's have shape \(11"):
        env.reset(options={"level": levels(GridMemEnv("GridMem-20x20-v0"), 0)[0]})
    for spawns in (np.zeros((0, 2), int), np.ones((3, 2)), np.ones(4, int)):
        with pytest.raises(ValueError, match="the level's spawns have shape"):
            env.reset(options={"level": env.level._replace(spawns=spawns)})


@pytest.mark.parametrize(
    "action", [-1, 4, 7, 2**70, 1.0, "up", None, np.array([1]), np.array([[0, 1]]), np.float32(1)]
)
@pytest.mark.usefixtures("unchecked")
def test_a_wrong_action_is_refused(env, action):
    with pytest.raises(ValueError, match=r"is not a move; it must be one of 0 \(up\), 1 \(right\)"):
        env.step(action)
    assert env.step(0)[4]["steps"] == 1


@pytest.mark.usefixtures("unchecked")
def test_any_integer_is_an_action_and_compiles_nothing_new(env):
    env.step(0)
    compiled = simulator._step._cache_size()
    for action in (
        np.int64(1),
        np.int32(2),
        np.uint8(3),
        np.array(0),
        jnp.int32(1),
        gridmem.Action.UP,
    ):
        assert env.step(action)[4]["last_action"] == int(action)
    assert simulator._step._cache_size() == compiled


def test_step_before_reset_and_after_the_end_are_refused():
    env = GridMemEnv(SMALL, max_steps=2)
    with pytest.raises(error.ResetNeeded, match="before the first reset; call reset first"):
        env.step(0)
    env.reset(seed=0)
    env.step(0)
    assert env.step(0)[2:4] == (False, True)
    with pytest.raises(error.ResetNeeded, match="after the episode's end; call reset first"):
        env.step(0)
    env.reset()
    env.step(0)


@pytest.mark.parametrize("look", [lambda env: env.level, lambda env: env.render()])
def test_looking_before_reset_is_refused(look):
    with pytest.raises(error.ResetNeeded, match="there is no episode yet; call reset first"):
        look(GridMemEnv(SMALL))


def test_several_agents_are_sent_to_pettingzoo():
    with pytest.raises(ValueError, match=r"gridmem.parallel_env\('GridMem-v0', num_agents=3\)"):
        gymnasium.make("GridMem-v0", num_agents=3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"view_sise": 7}, "did you mean 'view_size'"),
        ({"view_size": 4}, "view_size is 4; it must be an odd number"),
        ({"render_mode": "jpeg"}, "render_mode is 'jpeg'; it must be None or one of"),
    ],
)
def test_wrong_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        GridMemEnv(SMALL, **options)


@pytest.mark.parametrize(
    ("limit", "length", "ours"), [(10, 10, False), (20, 20, True), (50, 20, True)]
)
def test_max_episode_steps_can_only_cut_short(limit, length, ours):
    env = gymnasium.make(SMALL, max_steps=20, max_episode_steps=limit)
    env = RecordEpisodeStatistics(env)
    for seed in range(2):
        env.reset(seed=seed)
        truncations = []
        while not any(truncations):
            _, _, terminated, truncated, info = env.step(0)
            assert not terminated
            truncations.append(truncated)
        assert len(truncations) == info["episode"]["l"] == info["steps"] == length
        assert (env.unwrapped._running is False) == ours


@pytest.mark.parametrize("clone", [copy.deepcopy, lambda env: pickle.loads(pickle.dumps(env))])
@pytest.mark.parametrize("started", [False, True])
def test_a_clone_goes_on_like_the_original(clone, started):
    env = gymnasium.make("GridMem-Dig-v0", max_steps=100)
    if started:
        env.reset(seed=2)
        for action in (0, 1, 1, 2):
            env.step(action)
    other = clone(env)
    if not started:
        env.reset(seed=2)
        other.reset(seed=2)
    for action in [1, 1, 2, 3] * 5:
        results = env.step(action), other.step(action)
        np.testing.assert_array_equal(*(result[0] for result in results))
        assert results[0][1:] == results[1][1:]
    assert same_level(levels(env, None)[0], levels(other, None)[0])


def test_the_state_is_pinned_to_the_cpu(env):
    for e in (env, copy.deepcopy(env)):
        e.step(0)
        for leaf in jax.tree.leaves(e._state):
            assert leaf.committed
            assert leaf.devices() == {jax.devices("cpu")[0]}


def test_without_a_cpu_platform_the_default_device_serves(monkeypatch):
    gpu = jax.devices()[0]

    def local_devices(backend=None):
        if backend == "cpu":
            raise RuntimeError("Unknown backend cpu")
        return [gpu]

    monkeypatch.setattr(jax, "local_devices", local_devices)
    assert simulator.cpu_device.__wrapped__() is gpu


def test_render_without_a_mode_warns(env):
    with pytest.warns(UserWarning, match="render was called without a render mode"):
        assert env.render() is None


def test_vectorised_by_gymnasium_it_plays_every_seed():
    envs = gymnasium.make_vec(SMALL, num_envs=2, vectorization_mode="sync", max_steps=3)
    views, _ = envs.reset(seed=10)
    for i, view in enumerate(views):
        np.testing.assert_array_equal(view, GridMemEnv(SMALL).reset(seed=10 + i)[0])
    for _ in range(3):
        views, _, _, truncated, infos = envs.step(np.array([0, 1]))
    assert truncated.all()
    assert infos["steps"].tolist() == [3, 3]
    assert envs.step(np.array([0, 1]))[4]["steps"].tolist() == [0, 0]


def test_a_fork_of_a_process_that_played_gets_an_error(env):
    with warnings.catch_warnings(action="ignore"):  # JAX and Gymnasium warn of it, too
        envs = gymnasium.vector.AsyncVectorEnv([lambda: GridMemEnv(SMALL)], context="fork")
        with pytest.raises(RuntimeError, match="start it with 'spawn'"):
            envs.reset(seed=0)
        envs.close(terminate=True)


def test_the_window_of_the_mode_human_closes_with_the_environment(monkeypatch):
    display = pytest.importorskip("pygame").display
    monkeypatch.setattr("gridmem.envs.adapters.simulator.RENDER_FPS", 1000)
    env = GridMemEnv(SMALL, render_mode="human")
    env.reset(seed=0)
    again = pickle.loads(pickle.dumps(env))
    env.step(0)
    assert display.get_init()
    env.close()
    assert not display.get_init()
    again.step(0)  # opens a window of its own
    assert display.get_init()
    again.close()
    assert not display.get_init()
