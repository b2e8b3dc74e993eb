import sys
from functools import partial

import gymnasium
import jax
import numpy as np
import pytest
from gymnasium import spaces
from playing import start

import gridmem
from gridmem.envs.environment import HostEnvironment, check_environment
from gridmem.envs.external.gymnasium_host import GymnasiumHost

CHEETAH, HOPPER, ANT = "HalfCheetah-v5", "Hopper-v5", "Ant-v5"
PENDULUM = "gymnasium:Pendulum-v1"
HALF = np.array([-1, -0.5], np.float32), np.array([1, 0.5], np.float32)
# Of each id: numbers observed, of which positions and velocities, coordinates of an action.
SIZES = {CHEETAH: (17, 8, 9, 6), HOPPER: (11, 5, 6, 3), ANT: (105, 13, 14, 8)}
mujoco_ids = pytest.mark.parametrize("id", SIZES)


class Walk(gymnasium.Env):
    """A walk along a line: terminates at 3, and returns the same array in each step."""

    action_space = spaces.Box(*HALF)
    observation_space = spaces.Box(-np.inf, np.inf, (2,), np.float64)

    def __init__(self, **changed):
        for name, value in changed.items():
            setattr(self, name, value)
        self.place, self.given = np.zeros(2), []

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.place[:] = self.np_random.uniform(0, 0.1), 0
        return self.place, {}

    def step(self, action):
        assert action in self.action_space
        self.given.append(action)
        self.place += [action.sum(), 1]
        return self.place, self.place[0] / 2, bool(self.place[0] >= 3), False, {}


def make(id, **options):
    pytest.importorskip("mujoco", reason="MuJoCo is in the extra `control`")
    return gridmem.make(id, **options)


def box(*shape, dtype=np.float32, high=np.inf):
    return spaces.Box(-high, high, shape, dtype)


def walked(env, action, seed=0):
    """The timesteps of an episode of one action."""
    timesteps = [env.reset(seed)]
    while not timesteps[-1].done.any():
        timesteps.append(env.step(action))
    return timesteps


# ---- episodes


def test_timesteps_are_those_of_the_environment_in_numpy():
    env = GymnasiumHost(Walk, max_steps=10)
    upstream = Walk()
    assert isinstance(env, HostEnvironment)
    assert check_environment("walk", env) is env
    assert (env.num_agents, env.max_steps, env.mean_steps) == (1, 10, 10)
    assert env.actions == gridmem.Box((-1.0, -0.5), (1.0, 0.5))
    assert env.parts == (gridmem.Numbers("observation", (2,)),)
    first, _ = upstream.reset(seed=7)
    timestep = env.reset(7)
    assert np.array_equal(timestep.obs.observation, np.float32([first]))
    assert timestep.obs.last_action.tolist() == [[0, 0]]
    assert timestep.time.tolist() == [0]
    action = np.array([[0.5, 0.25]], np.float32)
    for time in range(1, 4):
        timestep = env.step(action)
        obs, reward, *_ = upstream.step(action[0])
        assert np.array_equal(timestep.obs.observation, np.float32([obs]))
        assert np.array_equal(timestep.obs.last_action, action)
        assert timestep.reward == timestep.obs.last_reward == np.float32(reward)
        assert timestep.time.tolist() == [time]
        assert not timestep.done.any()
    assert all(leaf.dtype in (np.float32, bool, np.int32) for leaf in jax.tree.leaves(timestep))


def test_a_seed_gives_the_same_episode_and_what_was_returned_does_not_change():
    env = GymnasiumHost(Walk, max_steps=10)
    one, other = (walked(env, np.float32([[1, 0.5]]), seed=2**31 + 3) for _ in range(2))
    assert len(one) == 3
    jax.tree.map(np.testing.assert_array_equal, one, other)
    assert one[0].obs.observation[0, 0] != env.reset(4).obs.observation[0, 0]


def test_the_true_last_observation_is_kept_and_the_end_stays():
    env = GymnasiumHost(lambda: gymnasium.wrappers.Autoreset(Walk()), max_steps=10)
    last = walked(env, np.float32([[1, 0.5]]))[-1]
    assert last.obs.observation[0, 0] >= 3
    assert (last.terminated.tolist(), last.truncated.tolist()) == ([True], [False])
    assert env.step(np.float32([[1, 0.5]])) is last
    assert env.reset(0).time.tolist() == [0]


def test_the_clock_truncates_and_termination_goes_before_it():
    action = np.float32([[1, 0.5]])
    for limit, terminated in ((2, True), (1, False)):
        for env in (
            GymnasiumHost(Walk, max_steps=limit),
            GymnasiumHost(partial(gymnasium.wrappers.TimeLimit, Walk(), limit), max_steps=10),
        ):
            timesteps = walked(env, action)
            assert len(timesteps) == limit + 1
            assert timesteps[-1].terminated.tolist() == [terminated]
            assert timesteps[-1].truncated.tolist() == [not terminated]


def test_actions_are_clipped_and_have_the_shape_and_type_of_the_space():
    space = spaces.Box(-0.4, 0.4, (2, 3), np.float64)
    env = GymnasiumHost(lambda: Walk(action_space=space), max_steps=4)
    assert env.actions == gridmem.Box((-0.4,) * 6, (0.4,) * 6)
    env.reset(0)
    timestep = env.step(np.float32([[9, -9, 0.4, 0.1, 0, 0]]))
    (given,) = env.env.unwrapped.given
    np.testing.assert_allclose(given, [[0.4, -0.4, 0.4], [0.1, 0, 0]], rtol=1e-6)
    assert given.dtype == np.float64
    np.testing.assert_allclose(timestep.obs.last_action, given.reshape(1, -1), rtol=1e-6)


@pytest.mark.parametrize("action", [[[1.0]], [1.0, 0.5], [[np.nan, 0.0]]])
def test_an_action_that_is_none_is_rejected(action):
    env = GymnasiumHost(Walk, max_steps=4)
    env.reset(0)
    with pytest.raises(ValueError, match="it must be finite numbers of the shape"):
        env.step(action)


def test_a_step_before_reset_is_rejected():
    with pytest.raises(RuntimeError, match="step was called before reset"):
        GymnasiumHost(Walk, max_steps=4).step([[0, 0]])


def test_each_box_of_a_dict_is_a_part():
    space = spaces.Dict(goal=box(3), joints=box(2, 2))
    values = {"goal": np.ones(3, np.float32), "joints": np.zeros((2, 2), np.float32)}

    class Reach(Walk):
        def reset(self, **options):
            super().reset(**options)
            return values, {}

    env = GymnasiumHost(lambda: Reach(observation_space=space), max_steps=4)
    assert set(env.parts) == {gridmem.Numbers("goal", (3,)), gridmem.Numbers("joints", (2, 2))}
    assert check_environment("reach", env) is env
    obs = env.reset(0).obs
    assert (obs.goal.tolist(), obs.joints.shape) == ([[1, 1, 1]], (1, 2, 2))
    assert obs._fields == (*(part.name for part in env.parts), "last_action", "last_reward")


# ---- what cannot be one


MISTAKES = [
    ({"action_space": spaces.Discrete(2)}, {}, "its actions are a Discrete; they must be a Box"),
    ({"action_space": box(2)}, {}, r"a Box of float32\[2\] without bounds; they must be a Box"),
    ({"action_space": box(2, dtype=np.int64, high=3)}, {}, r"its actions are a Box of int64\[2\]"),
    (
        {"observation_space": spaces.Box(0, 255, (8, 8, 3), np.uint8)},
        {},
        r"its observations are a Box of uint8\[8, 8, 3\]; observations must be a Box",
    ),
    ({"observation_space": spaces.Tuple([box(2)])}, {}, "its observations are a Tuple"),
    (
        {"observation_space": spaces.Dict(a=box(2), b=spaces.Discrete(3))},
        {},
        "'b' of its observations is a Discrete",
    ),
    ({"observation_space": spaces.Dict({"no name": box(2)})}, {}, "of the name 'no name'"),
    ({"observation_space": spaces.Dict(last_action=box(2))}, {}, "of the name 'last_action'"),
    ({}, {"max_steps": None}, "its episodes have no limit of steps; give max_steps"),
    ({}, {"max_steps": 0}, "max_steps is 0; it must be a whole number, 1 or more"),
    ({}, {"hide": "speed"}, "hide is 'speed'; it must be 'velocity', 'position' or nothing"),
    ({}, {"hide": "velocity"}, "it does not say which of the numbers that it observes"),
    (
        {"observation_structure": {"qpos": 2, "qvel": 2}},
        {"hide": "velocity"},
        "it does not say which of the numbers that it observes",
    ),
    (
        {"observation_structure": {"skipped_qpos": 1, "qpos": 2}},
        {"hide": "velocity"},
        "it observes no velocity that could be hidden",
    ),
    (
        {"observation_structure": {"qpos": 0, "qvel": 2}},
        {"hide": "velocity"},
        "without the velocity nothing is left of its observations",
    ),
]


@pytest.mark.parametrize(("spaces", "options", "sentence"), MISTAKES)
def test_an_environment_that_cannot_be_one_is_named_with_its_reason(spaces, options, sentence):
    with pytest.raises(ValueError, match=sentence):
        GymnasiumHost(lambda: Walk(**spaces), **{"max_steps": 4, **options})


def test_a_vector_environment_is_refused_with_what_to_do():
    def many():
        return gymnasium.vector.SyncVectorEnv([Walk, Walk])

    with pytest.raises(ValueError, match=r"a VectorEnv of 2 environments.*make one environment"):
        GymnasiumHost(many)
    with pytest.raises(ValueError, match=r"it is 3; it must be a gymnasium\.Env"):
        GymnasiumHost(lambda: 3)


UNKNOWN = [
    (
        "gymnasium:Pendulun-v1",
        {},
        r"knows no environment 'Pendulun-v1' \(did you mean 'Pendulum-v1'",
    ),
    ("gymnasium:nosuchmodule:Some-v0", {}, "cannot be made: No module named 'nosuchmodule'"),
    ("gymnasium:CartPole-v1", {}, "cannot be made: its actions are a Discrete"),
    (PENDULUM, {"mass": 2}, "unexpected keyword argument 'mass'"),
    ("Reacher-v5", {}, "one of Gymnasium is written gymnasium:ID"),
]


@pytest.mark.parametrize(("id", "options", "sentence"), UNKNOWN)
def test_an_id_or_an_option_that_gymnasium_does_not_know_is_named(id, options, sentence):
    with pytest.raises(ValueError, match=sentence):
        gridmem.make(id, **options)


@mujoco_ids
def test_a_missing_mujoco_is_named_with_what_to_type(id, monkeypatch):
    monkeypatch.setitem(sys.modules, "mujoco", None)
    with pytest.raises(ValueError, match="it needs the package mujoco") as error:
        gridmem.make(id)
    assert "uv run --extra control" in str(error.value)
    assert 'pip install "gymnasium[mujoco]" "mujoco==4.0.0"' in str(error.value)


# ---- ids


def test_any_id_of_gymnasium_can_be_made_with_its_options():
    env = gridmem.make(PENDULUM, max_steps=300, g=5.0)
    assert env.env.unwrapped.g == 5
    assert env.max_steps == 300
    assert len(walked(env, np.float32([[0]]))) == 301
    assert env.about == "Pendulum-v1 by Gymnasium, 300 steps"


def test_the_pendulum_of_gymnasium_has_the_form_of_that_in_jax():
    host, env = gridmem.make(PENDULUM), gridmem.make("Pendulum-v1")
    for name in ("actions", "parts", "max_steps", "mean_steps", "num_agents", "stats"):
        assert getattr(host, name) == getattr(env, name)
    first = host.reset(0)
    _, same = start(env, host.env.unwrapped.state.astype(np.float32))
    np.testing.assert_allclose(first.obs.observation, same.obs.observation, rtol=1e-5)
    assert {*first.obs._fields} == {*same.obs._fields}


def test_each_environment_is_another_one():
    one, other = (gridmem.make(PENDULUM) for _ in range(2))
    one.reset(0)
    other.reset(1)
    expected = one.env.unwrapped.state.copy()
    other.step([[1]])
    assert np.array_equal(one.env.unwrapped.state, expected)


# ---- MuJoCo


@mujoco_ids
def test_steps_of_mujoco_are_those_of_gymnasium(id):
    env, (observed, _, _, coordinates) = make(id), SIZES[id]
    assert env.parts == (gridmem.Numbers("observation", (observed,)),)
    assert env.actions == gridmem.Box((-1.0,) * coordinates, (1.0,) * coordinates)
    assert (env.max_steps, env.about) == (1000, f"{id} by Gymnasium, 1,000 steps")
    upstream = make(id).env  # as gymnasium.make returns it
    obs, _ = upstream.reset(seed=5)
    timestep, rng = env.reset(5), np.random.default_rng(0)
    for _ in range(8):
        assert np.array_equal(timestep.obs.observation[0], obs.astype(np.float32))
        action = rng.uniform(-1, 1, coordinates).astype(np.float32)
        obs, reward, terminated, truncated, _ = upstream.step(action)
        timestep = env.step(action[None])
        assert timestep.reward == np.float32(reward)
        assert (timestep.terminated, timestep.truncated) == (terminated, truncated)


@mujoco_ids
def test_positions_or_velocities_are_hidden_and_all_else_stays(id):
    observed, positions, velocities, coordinates = SIZES[id]
    full, still, moving = (make(id, hide=hide) for hide in (None, "velocity", "position"))
    assert still.parts == (gridmem.Numbers("observation", (observed - velocities,)),)
    assert moving.parts == (gridmem.Numbers("observation", (observed - positions,)),)
    assert still.about == f"{id} by Gymnasium, velocity hidden, 1,000 steps"
    action = np.full((1, coordinates), 0.5, np.float32)
    for env in (full, still, moving):
        env.reset(1)
    whole, without, only = (env.step(action) for env in (full, still, moving))
    qpos, qvel, rest = np.split(whole.obs.observation, [positions, positions + velocities], axis=1)
    assert np.array_equal(without.obs.observation, np.concatenate([qpos, rest], axis=1))
    assert np.array_equal(only.obs.observation, np.concatenate([qvel, rest], axis=1))
    assert whole.reward == without.reward == only.reward
    data = full.env.unwrapped.data
    np.testing.assert_allclose(qpos[0], data.qpos[-positions:], rtol=1e-6)
    np.testing.assert_allclose(qvel[0], data.qvel, rtol=1e-6)


def test_an_option_of_gymnasium_leaves_out_what_is_neither():
    env = make(ANT, hide="velocity", include_cfrc_ext_in_observation=False)
    assert env.parts == (gridmem.Numbers("observation", (13,)),)


@pytest.mark.slow
def test_all_that_follows_from_positions_or_velocities_is_hidden():
    whole, still, moving = (
        make("gymnasium:Humanoid-v5", hide=hide).parts[0].shape[0]
        for hide in (None, "velocity", "position")
    )
    assert (whole - still, whole - moving) == (23 + 78, 22 + 130)


def test_mujoco_prints_no_notice_and_writes_no_file(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    make(CHEETAH).reset(0)
    assert capfd.readouterr() == ("", "")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_evaluations_play_held_out_seeds_to_the_end():
    from gridmem.baselines.evaluation.rollouts import Player, play_to_end
    from gridmem.baselines.evaluation.scenarios import held_out_scenario

    env = gridmem.make(PENDULUM, max_steps=5)
    scenario = held_out_scenario(PENDULUM, env, 3)
    episodes = play_to_end(env, Player(), (), scenario.levels, jax.random.key(0))
    assert episodes["episode_length"].tolist() == [[5]] * 3
    assert len({*np.asarray(episodes["episode_return"]).ravel().tolist()}) == 3
