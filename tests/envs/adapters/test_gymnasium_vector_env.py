import copy
import json
import pickle
from dataclasses import dataclass
from itertools import product

import gymnasium
import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest
from breadth import breadth
from gymnasium import error
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from gymnasium.wrappers.vector import DictInfoToList, RecordEpisodeStatistics

from gridmem.envs.adapters import vector_programs
from gridmem.envs.adapters.gymnasium_env import GridMemEnv
from gridmem.envs.adapters.gymnasium_vector_env import GridMemVectorEnv
from gridmem.envs.adapters.simulator import RENDER_MODES
from gridmem.envs.tasks import Return

SMALL, N, MAX_STEPS = "GridMem-9x9-v0", 3, 5
MODES = [mode.value for mode in AutoresetMode]
# Goals and spawns are drawn in it, and it compiles in a fraction of the time that noise takes.
HALL = {"type": "TextMap", "rows": ["########", "#......#", "#.%%.#.#", "#...%..#", "########"]}
CAVES = {}  # the id's own map


@pytest.fixture
def unchecked(monkeypatch):
    """Without the type checks that the tests add, as in a user's process."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


def make(**options):
    return GridMemVectorEnv(
        SMALL, **{"num_envs": N, "max_steps": MAX_STEPS, "map": HALL, **options}
    )


def some_actions(num_steps):
    return np.random.default_rng(0).integers(0, 4, (num_steps, N))


def assert_same(ours, theirs):
    """Equal in type, shape, dtype and value, all the way down."""
    assert type(ours) is type(theirs)
    if isinstance(ours, dict):
        assert ours.keys() == theirs.keys()
        for key in ours:
            assert_same(ours[key], theirs[key])
    elif isinstance(ours, tuple):
        for pair in zip(ours, theirs, strict=True):
            assert_same(*pair)
    elif isinstance(ours, np.ndarray):
        assert (ours.dtype, ours.shape) == (theirs.dtype, theirs.shape)
        if ours.dtype == object:
            assert_same(tuple(ours), tuple(theirs))
        else:
            np.testing.assert_array_equal(ours, theirs)
    else:
        assert ours == theirs


@dataclass(frozen=True)
class Once(Return):
    """A task that ends an episode: when its goal is found."""

    def step(self, state, world, event):
        outcome = super().step(state, world, event)
        return outcome._replace(terminated=jnp.any(outcome.reward > 0))


ROOM = {"type": "TextMap", "rows": ["#####", "#0G.#", "#..1#", "#####"]}
VARIANTS = {
    "caves": {"map": CAVES},
    "view": {},
    "dict": {"observation": "dict", "compass": True, "task": {"type": "Tour", "num_goals": 2}},
    "flat": {"observation": "flat", "goal_moves": True, "compass": True, "dig_steps": 1},
    "ends": {"observation": "dict", "map": ROOM, "task": Once()},
}
DEFAULT = [*((mode, "ends") for mode in MODES)]


@pytest.mark.parametrize(("mode", "variant"), breadth(product(MODES, VARIANTS), *DEFAULT))
def test_it_equals_the_sync_vector_env_of_single_envs(mode, variant):
    options = {"max_steps": MAX_STEPS, "map": HALL, **VARIANTS[variant]}
    ours = make(autoreset_mode=mode, **options)
    theirs = SyncVectorEnv([lambda: GridMemEnv(SMALL, **options)] * N, autoreset_mode=mode)
    assert ours.observation_space == theirs.observation_space
    assert ours.single_observation_space == theirs.single_observation_space
    assert ours.action_space == theirs.action_space
    assert ours.single_action_space == theirs.single_action_space
    modes = {"render_modes": RENDER_MODES}  # a batch has pictures and text only
    assert ours.metadata | modes == theirs.metadata

    def reset(seed, mask=None):
        results = []
        for envs in (ours, theirs):  # theirs takes the mask out of the dict
            options = None if mask is None else {"reset_mask": np.array(mask)}
            results.append(envs.reset(seed=seed, options=options))
        assert_same(*results)

    reset(7)
    episodes = np.zeros(N, int)
    for time, actions in enumerate(some_actions(6 * MAX_STEPS)):
        results = ours.step(actions), theirs.step(actions)
        assert_same(*results)
        assert results[0][0] in ours.observation_space
        ended = results[0][2] | results[0][3]
        episodes += ended
        if mode == "Disabled" and ended.any():
            reset(None, ended)
        elif time == 2:  # from here on they end on different steps
            reset([None, 2**40, 3], [False, True, False])
        elif time == 9:
            reset(None, [True, False, False])
        elif time > 14 and ended.any():  # before it would be reset by itself
            reset(None, ended)
    assert episodes.min() >= 3
    reset([9, None, 8])
    reset(None)
    assert_same(*(e.step(np.array([3, 2, 1])) for e in (ours, theirs)))


def test_make_vec_makes_it_and_its_spec_survives_json():
    options = {"max_steps": MAX_STEPS, "autoreset_mode": "SameStep", "map": {"height": 9}}
    envs = gymnasium.make_vec("gridmem:GridMem-9x9-v0", num_envs=N, **options)
    assert type(envs) is GridMemVectorEnv
    assert envs.metadata["autoreset_mode"] is AutoresetMode.SAME_STEP
    assert "autoreset_mode" not in GridMemVectorEnv.metadata
    again = gymnasium.make_vec(gymnasium.envs.registration.EnvSpec.from_json(envs.spec.to_json()))
    assert again.metadata == envs.metadata
    assert (again.num_envs, again.core) == (N, envs.core)
    assert_same(*(e.reset(seed=1) for e in (envs, again)))
    assert json.loads(envs.spec.to_json())["kwargs"]["map"] == {"height": 9}


def test_max_episode_steps_is_the_clock():
    envs = gymnasium.make_vec(SMALL, num_envs=N, map=HALL, max_episode_steps=MAX_STEPS)
    envs.reset(seed=0)
    ends = [envs.step(action)[3].all() for action in some_actions(MAX_STEPS)]
    assert ends == [False] * (MAX_STEPS - 1) + [True]


def levels_of(envs, **kwargs):
    envs.reset(**kwargs)
    return envs.levels


@pytest.mark.slow
def test_levels_are_those_of_the_single_envs_and_go_on_by_themselves():
    envs, singles = make(map=CAVES), [GridMemEnv(SMALL) for _ in range(N)]
    envs.reset(seed=4)
    for episode in range(3):
        for i, single in enumerate(singles):
            single.reset(seed=4 + i if episode == 0 else None)
            assert_same(*(tuple(x) for x in (row(envs.levels, i), single.level)))
        for action in some_actions(MAX_STEPS + 1):
            envs.step(action)


def row(levels, index):
    return tuple(leaf[index] for leaf in levels)


def test_given_levels_are_played_once_and_the_streams_stay_where_they_are():
    envs = make()
    stream = [levels_of(envs, seed=2), levels_of(envs)]
    given = levels_of(envs, seed=50)
    first, _ = envs.reset(seed=2, options={"level": given})
    assert_same(first, envs.reset(seed=50)[0])
    envs.reset(seed=2, options={"level": given})
    assert_same(*(tuple(x) for x in (envs.levels, given)))
    envs.reset()
    envs.reset(options={"level": given})
    assert_same(tuple(levels_of(envs, seed=2)), tuple(stream[0]))
    envs.reset(seed=2, options={"level": given})
    mask = np.array([False, True, False])
    envs.reset(options={"reset_mask": mask})
    assert_same(row(envs.levels, 0), row(given, 0))
    assert_same(row(envs.levels, 1), row(stream[0], 1))
    envs.reset(options={"reset_mask": mask, "level": given})
    assert_same(*(tuple(x) for x in (envs.levels, given)))
    for action in some_actions(MAX_STEPS + 1):
        envs.step(action)
    assert_same(row(envs.levels, 0), row(stream[0], 0))
    assert_same(row(envs.levels, 1), row(stream[1], 1))


def test_unseeded_envs_can_be_reproduced():
    envs, others = make(), make()
    levels = levels_of(envs)
    assert not np.array_equal(levels.spawns, levels_of(others).spawns)
    assert not np.array_equal(*levels.spawns[:2])
    assert_same(tuple(levels), tuple(levels_of(others, seed=envs.np_random_seed)))
    first, second = make(), make()
    first.np_random, second.np_random = np.random.default_rng(5), np.random.default_rng(5)
    assert_same(*(tuple(levels_of(e)) for e in (first, second)))


@pytest.mark.parametrize(
    ("mode", "variant"),
    breadth(
        [*product(MODES, ["view", "dict", "flat"]), ("NextStep", "ends")],
        ("NextStep", "view"),
        ("SameStep", "flat"),
        ("Disabled", "view"),
        ("NextStep", "ends"),
    ),
)
def test_numpy_results_are_new_and_writable(mode, variant):
    envs = make(autoreset_mode=mode, **VARIANTS[variant])
    results = [envs.reset(seed=0)]
    for action in some_actions(MAX_STEPS):
        results.append(envs.step(action))
    kept = copy.deepcopy(results)
    leaves = [leaf for result in results for leaf in jax.tree.leaves(result)]
    for leaf in leaves:
        assert leaf.flags.writeable
    for i, leaf in enumerate(leaves):
        assert not any(np.shares_memory(leaf, other) for other in leaves[:i])
    envs.reset()
    for result in zip(results, kept, strict=True):
        assert_same(*result)
    for leaf in leaves:
        leaf[:] = 0
    assert envs.step(np.zeros(N, int))[4]["steps"].tolist() == [1, 1, 1]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("mode", "variant"),
    breadth(
        [("NextStep", "dict"), ("SameStep", "flat"), ("Disabled", "view")], ("SameStep", "flat")
    ),
)
def test_jax_output_says_the_same_as_numpy_output(mode, variant):
    options = {"autoreset_mode": mode, **VARIANTS[variant]}
    host, device = make(**options), make(output="jax", **options)
    pairs = [(host.reset(seed=1), device.reset(seed=1))]
    mask = {}
    for time, action in enumerate(some_actions(2 * MAX_STEPS)):
        with jax.transfer_guard_device_to_host("disallow"):
            pairs.append((host.step(action), device.step(jnp.asarray(action))))
        mask["reset_mask"] = host._simulator.ended & (mode == "Disabled")
        mask["reset_mask"][0] |= time == 2
        if mask["reset_mask"].any():
            pairs.append((host.reset(options=mask), device.reset(options=mask)))
    for ours, theirs in pairs:
        infos = {name: x for name, x in theirs[-1].items() if "final" not in name}
        expected = {name: x for name, x in ours[-1].items() if "final" not in name}
        jax.tree.map(np.testing.assert_array_equal, (*theirs[:-1], infos), (*ours[:-1], expected))
        assert all(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(theirs))
        if mode == "SameStep" and len(ours) == 5:
            done = ours[2] | ours[3]
            np.testing.assert_array_equal(theirs[-1]["_final_obs"], done)
            np.testing.assert_array_equal(theirs[-1]["_final_info"], done)
            for i in np.flatnonzero(done):
                final = jax.tree.map(lambda x: x[i], theirs[-1]["final_obs"])  # noqa: B023
                jax.tree.map(np.testing.assert_array_equal, final, ours[-1]["final_obs"][i])
            if done.any():
                mine = ours[-1]["final_info"]
                jax.tree.map(np.testing.assert_array_equal, theirs[-1]["final_info"], mine)
    assert isinstance(pairs[1][1][1], jax.Array)
    assert pairs[1][1][1].dtype == np.float32


class Foreign:
    """An array of another library: all that is known of it is DLPack."""

    def __init__(self, array):
        self.array = array

    def __dlpack__(self, **options):
        return self.array.__dlpack__(**options)

    def __dlpack_device__(self):
        return self.array.__dlpack_device__()


def test_dlpack_takes_over_without_a_copy_what_nothing_changes_later():
    envs = make(output="jax")
    obs, infos = envs.reset(seed=0)
    shared = np.from_dlpack(obs)
    assert shared.ctypes.data == obs.unsafe_buffer_pointer()
    kept = shared.copy()
    seen = {leaf.unsafe_buffer_pointer() for leaf in jax.tree.leaves((obs, infos))}
    assert len(seen) == len(jax.tree.leaves((obs, infos)))
    for action in some_actions(2 * MAX_STEPS):
        results = jax.tree.leaves(envs.step(action))
        assert len({leaf.unsafe_buffer_pointer() for leaf in results}) == len(results)
    np.testing.assert_array_equal(shared, kept)


@pytest.mark.parametrize("output", ["numpy", "jax"])
@pytest.mark.usefixtures("unchecked")
def test_actions_of_all_kinds_do_the_same_and_compile_nothing_new(output):
    kinds = [np.array, list, jnp.array, np.int32, np.uint8, lambda a: jnp.array(a, jnp.uint8)]
    kinds += [lambda a: Foreign(np.array(a))] if output == "jax" else []
    envs, compiled = make(output=output), None
    expected = None
    for kind in kinds:
        envs.reset(seed=3)
        result = jax.device_get(envs.step(kind([0, 1, 2])))
        expected = result if expected is None else expected
        jax.tree.map(np.testing.assert_array_equal, result, expected)
        compiled = compiled or vector_programs.step_batch._cache_size()
    assert expected[4]["last_action"].tolist() == [0, 1, 2]
    assert vector_programs.step_batch._cache_size() == compiled


@pytest.mark.parametrize(
    "actions", [[0, 1], [[0, 1, 2]], 1, [0.0, 1.0, 2.0], [True, False, True], "012", None]
)
@pytest.mark.parametrize("output", ["numpy", "jax"])
@pytest.mark.usefixtures("unchecked")
def test_actions_of_a_wrong_shape_or_dtype_are_refused(output, actions):
    envs = make(output=output)
    envs.reset(seed=0)
    message = r"actions are .*; they must be whole numbers \[3\], one for each environment"
    with pytest.raises(ValueError, match=message):
        envs.step(actions)
    if not isinstance(actions, str | None):
        with pytest.raises(ValueError, match=message):
            envs.step(jnp.asarray(actions))


@pytest.mark.parametrize("wrong", [-1, 4, 2**40])
@pytest.mark.parametrize("output", ["numpy", "jax"])
@pytest.mark.usefixtures("unchecked")
def test_an_action_that_is_no_move_is_refused(output, wrong):
    envs = make(output=output)
    envs.reset(seed=0)
    with pytest.raises(ValueError, match=f"action {wrong} of environment 1 is not a move; it must"):
        envs.step([0, wrong, 9])
    assert envs.step([0, 1, 2])[4]["steps"].tolist() == [1, 1, 1]


def test_resets_compile_one_program():
    envs = make()
    envs.reset(seed=0)
    compiled = vector_programs.reset_batch._cache_size()
    envs.step([0, 0, 0])
    envs.reset()
    envs.reset(seed=1)
    assert vector_programs.reset_batch._cache_size() == compiled


def test_an_action_on_the_device_that_is_no_move_does_nothing():
    envs = make(output="jax")
    envs.reset(seed=0)
    before = envs._simulator.maps[1]
    infos = envs.step(jnp.array([-1, 4, 77]))[4]
    np.testing.assert_array_equal(envs._simulator.maps[1], before)
    assert infos["last_action"].tolist() == [4, 4, 4]


def test_the_action_of_an_env_that_is_reset_instead_is_ignored():
    envs = make()
    envs.reset(seed=0)
    for action in some_actions(MAX_STEPS):
        envs.step(action)
    assert envs.step([-1, 9, 2**40])[4]["last_action"].tolist() == [4, 4, 4]
    with pytest.raises(ValueError, match="is not a move"):
        envs.step([-1, 9, 0])


def test_stepping_too_early_or_too_late_is_refused():
    envs = make(autoreset_mode="Disabled")
    for look in (lambda: envs.step([0, 0, 0]), lambda: envs.levels, lambda: envs.render()):
        with pytest.raises(error.ResetNeeded, match="call reset first"):
            look()
    mask = {"reset_mask": np.array([True, False, True])}
    with pytest.raises(error.ResetNeeded, match="environments that have never started"):
        envs.reset(options=mask)
    envs.reset(seed=0)
    for action in some_actions(MAX_STEPS):
        envs.step(action)
    envs.reset(options=mask)
    with pytest.raises(error.ResetNeeded, match=r"after the end of .* in environments \[1\]"):
        envs.step([0, 0, 0])
    envs.reset(options={"reset_mask": np.array([False, True, False])})
    envs.step([0, 0, 0])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"levle": None}, r"no reset option 'levle' \(did you mean 'level'\?\)"),
        ({"reset_mask": [True] * 3}, r"it must be a numpy array of bool, shape \(3,\)"),
        ({"reset_mask": np.ones(3)}, "it must be a numpy array of bool"),
        ({"reset_mask": np.ones(2, bool)}, "it must be a numpy array of bool"),
        ({"reset_mask": np.zeros(3, bool)}, "marks no environment"),
        ({"level": 3}, "the level is a int"),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_wrong_reset_options_are_refused(options, message):
    envs = make()
    envs.reset(seed=0)
    with pytest.raises(ValueError, match=message):
        envs.reset(options=options)


def test_levels_that_do_not_fit_are_refused():
    envs = make()
    levels = levels_of(envs, seed=0)
    cut = type(levels)(*(leaf[:2] for leaf in levels))
    with pytest.raises(ValueError, match="there are 2 levels; give 3, one for each"):
        envs.reset(options={"level": cut})
    with pytest.raises(ValueError, match=r"the levels list 7 spawns each; .* must list 256"):
        envs.reset(options={"level": levels._replace(spawns=levels.spawns[:, :7])})
    levels.tiles[2, 0, 0] = 0
    with pytest.raises(ValueError, match="level 2 is open at its edge"):
        envs.reset(options={"level": levels})


@pytest.mark.parametrize(
    ("seed", "kind", "message"),
    [
        (-1, error.Error, "[Ss]eed"),
        ([0, 1, -1], error.Error, "[Ss]eed"),
        ([0, 1, np.int64(2)], error.Error, "[Ss]eed"),
        (np.int64(3), error.Error, "it must be a Python int, 0 or more, or a list of 3"),
        ("12", error.Error, "it must be a Python int, 0 or more, or a list of 3"),
        ([1, 2], ValueError, "there are 2 seeds; give 3, one for each environment"),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_a_wrong_seed_is_refused(seed, kind, message):
    with pytest.raises(kind, match=message):
        make().reset(seed=seed)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_envs": 0}, "num_envs is 0; it must be a whole number, 1 or more"),
        ({"num_envs": 2.0}, "num_envs is 2.0"),
        ({"autoreset_mode": "next_step"}, "did you mean 'NextStep'"),
        ({"output": "torch"}, "output is 'torch'; it must be one of numpy, jax"),
        ({"render_mode": "human"}, "render_mode is 'human'; it must be one of rgb_array, ansi"),
        ({"observation": "veiw"}, "did you mean 'view'"),
        ({"view_sise": 7}, "did you mean 'view_size'"),
        ({"num_agents": 2}, r"gridmem.parallel_env\('GridMem-9x9-v0', num_agents=2\)"),
        ({"compass": True}, "a compass does not fit a view"),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_wrong_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        make(**options)


@pytest.mark.parametrize("clone", [copy.deepcopy, lambda envs: pickle.loads(pickle.dumps(envs))])
@pytest.mark.parametrize("started", [False, True])
def test_a_clone_goes_on_like_the_original(clone, started):
    envs = gymnasium.make_vec(SMALL, num_envs=N, max_steps=MAX_STEPS, map=HALL)
    if started:
        envs.reset(seed=2)
        envs.step([0, 1, 2])
    other = clone(envs)
    if not started:
        assert_same(envs.reset(seed=2), other.reset(seed=2))
    for action in some_actions(2 * MAX_STEPS):
        assert_same(envs.step(action), other.step(action))
    assert_same(tuple(levels_of(envs)), tuple(levels_of(other)))


@pytest.mark.parametrize("mode", ["rgb_array", "ansi"])
def test_render_equals_that_of_the_single_envs(mode):
    envs = make(render_mode=mode)
    singles = SyncVectorEnv([lambda: GridMemEnv(SMALL, map=HALL, render_mode=mode)] * N)
    for e in (envs, singles):
        e.reset(seed=0)
        e.step(np.array([0, 1, 2]))
    assert_same(envs.render(), singles.render())


def test_render_without_a_mode_warns():
    envs = make()
    envs.reset(seed=0)
    with pytest.warns(UserWarning, match="render was called without a render mode"):
        assert envs.render() is None


@pytest.mark.parametrize("mode", MODES)
def test_gymnasium_records_statistics_of_its_episodes(mode):
    options = {"map": ROOM, "max_steps": MAX_STEPS, "autoreset_mode": mode}
    envs = RecordEpisodeStatistics(make(**options))
    envs.reset(seed=0)
    lengths, returns = [], []
    for action in [1] * 15:
        *_, infos = envs.step(np.full(N, action))
        done = infos.get("_episode", np.zeros(N, bool))
        lengths += infos["episode"]["l"][done].tolist() if done.any() else []
        returns += infos["episode"]["r"][done].tolist() if done.any() else []
        if mode == "Disabled" and done.any():
            envs.reset(options={"reset_mask": done})
    assert set(lengths) == {MAX_STEPS}
    assert len(lengths) == N * (2 if mode == "NextStep" else 3)


def test_infos_become_lists():
    envs = DictInfoToList(make())
    infos = envs.reset(seed=0)[1]
    assert [info["steps"] for info in infos] == [0] * N


def test_a_large_batch_is_that_of_its_members():
    """More environments than are reset in one go."""
    many, few = make(num_envs=40), make()
    many.reset(seed=0)
    few.reset(seed=40 - N)
    for action in some_actions(3 * MAX_STEPS):
        results = many.step(np.resize(action, 40)), few.step(np.resize(action, 40)[-N:])
        for ours, theirs in zip(results[0][:4], results[1][:4], strict=True):
            np.testing.assert_array_equal(ours[-N:], theirs)


@pytest.mark.parametrize("mode", ["NextStep", "Disabled"])
def test_after_an_interrupted_step_a_reset_goes_on_in_the_streams(mode, monkeypatch):
    envs, others = (make(autoreset_mode=mode) for _ in range(2))
    for each in (envs, others):
        each.reset(seed=0)

    step_batch = vector_programs.step_batch

    def interrupted(*arguments):
        step_batch(*arguments)  # which has taken the state away
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(vector_programs, "step_batch", interrupted)
        with pytest.raises(KeyboardInterrupt):
            envs.step(np.zeros(N, int))
    some = {"reset_mask": np.arange(N) == 0}
    for too_early in (
        lambda: envs.step(np.zeros(N, int)),
        lambda: envs.reset(options=some),
        lambda: envs.unwrapped.levels,
        lambda: pickle.dumps(envs),
    ):
        with pytest.raises(error.ResetNeeded, match="a step was interrupted"):
            too_early()
    assert_same(envs.reset(), others.reset())
    assert_same(envs.step(np.ones(N, int)), others.step(np.ones(N, int)))
