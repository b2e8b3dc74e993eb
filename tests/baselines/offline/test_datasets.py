import json
from types import SimpleNamespace

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import recordings
import small
from recordings import SHORT

import gridmem
from gridmem.baselines.offline.datasets import Rows, cut, described, load_play, transitions
from gridmem.baselines.offline.recording import replayed
from gridmem.baselines.offline.sources import watched_run
from gridmem.envs.environment import Discrete

ACTIONS = Discrete(4)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    with recordings.folder(tmp_path_factory.mktemp("datasets")) as path:
        page = recordings.make(recordings.PENDULUM, **SHORT)
        recordings.make(recordings.CAVE, "GridMem-9x9-v0", number=4, max_steps=12)
        yield SimpleNamespace(path=path, page=page)


def rows_of(lengths, seed=0):
    """Rows in which the observation of a row is its number."""
    rng, total = np.random.default_rng(seed), sum(lengths) + len(lengths)
    time = np.concatenate([np.arange(length + 1) for length in lengths]).astype(np.int32)
    last = np.cumsum([length + 1 for length in lengths]) - 1
    reward = rng.normal(size=total).astype(np.float32)
    reward[last] = 0
    to_go = np.zeros(total, np.float32)
    for end, length in zip(last, lengths, strict=True):
        for row in range(end - length, end):
            to_go[row] = sum(float(each) for each in reward[row:end])
    rows = Rows(
        {"observation": np.arange(total, dtype=np.float32)[:, None]},
        rng.integers(0, 4, total).astype(np.int32),
        reward,
        rng.random(total) < 0.5,
        time,
        to_go,
        np.setdiff1d(np.arange(total), last).astype(np.int32),
    )
    return jax.tree.map(jnp.asarray, rows)


@pytest.mark.parametrize("lengths", [[1], [3, 1, 5, 2], [2, 2, 6]])
@pytest.mark.parametrize("context", [1, 4])
def test_windows_are_those_of_a_slow_twin_and_never_cross_episodes(lengths, context):
    rows = rows_of(lengths)

    @jax.jit
    def both(rows):
        return cut(rows, ACTIONS, rows.ends, context), transitions(rows, rows.ends, context)

    windows, batch = jax.device_get(both(rows))
    window, action, reward, terminated, following = batch
    np.testing.assert_array_equal(action, rows.action[rows.ends])
    np.testing.assert_array_equal(reward, rows.reward[rows.ends])
    np.testing.assert_array_equal(terminated, rows.terminated[rows.ends])
    np.testing.assert_array_equal(window.valid, windows.valid)
    np.testing.assert_array_equal(window.obs["observation"], windows.steps.obs["observation"])
    for number, end in enumerate(np.asarray(rows.ends)):
        time = int(rows.time[end])
        expected = [end - back if back <= time else None for back in reversed(range(context))]
        for place, row in enumerate(expected):
            assert bool(windows.valid[number, place]) is (row is not None)
            if row is None:
                continue
            begins = rows.time[row] == 0
            assert windows.steps.obs["observation"][number, place, 0] == float(row)
            assert windows.action[number, place] == rows.action[row]
            assert windows.steps.last_action[number, place] == (
                ACTIONS.n if begins else rows.action[row - 1]
            )
            assert windows.steps.last_reward[number, place] == (
                0 if begins else rows.reward[row - 1]
            )
            assert windows.steps.return_to_go[number, place] == rows.return_to_go[row]
        assert following.obs["observation"][number, -1, 0] == float(end + 1)
        assert following.valid[number].sum() == min(context, time + 2)


def test_what_is_read_is_what_was_played(data):
    import minari

    env = gridmem.make("Pendulum-v1", **SHORT)
    play, dataset = (
        load_play(recordings.PENDULUM, "Pendulum-v1", env),
        minari.load_dataset(recordings.PENDULUM),
    )
    assert len(play.returns) == dataset.total_episodes == 60
    assert len(play.rows.ends) == dataset.total_steps == 60 * 12
    for number, episode in enumerate(dataset.iterate_episodes()):
        begin = number * 13
        np.testing.assert_array_equal(
            play.rows.obs["observation"][begin : begin + 13], episode.observations
        )
        np.testing.assert_allclose(2 * play.rows.action[begin : begin + 12], episode.actions)
        brute = [sum(map(float, episode.rewards[t:])) for t in range(12)]
        np.testing.assert_allclose(play.rows.return_to_go[begin : begin + 12], brute, rtol=1e-6)
    assert play.scores == (-70, -10)
    best = play.best(0.1)
    assert len(best.returns) == 6
    assert best.returns.min() >= np.sort(play.returns)[-6]
    assert {int(row) // 13 for row in best.rows.ends} == set(np.argsort(-play.returns)[:6])
    assert np.asarray(play.whole().rows.time)[play.whole().rows.ends].tolist() == [11] * 60
    assert json.loads(dataset.storage.metadata["gridmem"]) == {"id": "Pendulum-v1", "max_steps": 12}
    page = data.page.read_text()
    for text in ("- policy: random actions", "- episodes: 60", "- steps: 720", "SHA-256", "MB"):
        assert text in page


@pytest.mark.parametrize("number", [0, pytest.param(3, marks=pytest.mark.slow)])
def test_a_cave_replays_bit_for_bit(data, number):
    import minari

    dataset = minari.load_dataset(recordings.CAVE)
    episode = dataset[number]
    (metadata,) = dataset.storage.get_episode_metadata([episode.id])
    recovered = dataset.recover_environment()
    made = gymnasium.make("GridMem-9x9-v0", max_steps=12, observation="dict")
    for env in (recovered, made):
        obs, _ = env.reset(seed=int(metadata["seed"]))
        for time, action in enumerate(episode.actions):
            for name, part in obs.items():
                np.testing.assert_array_equal(episode.observations[name][time], part)
            obs, reward, terminated, truncated, _ = env.step(action)
            assert reward == episode.rewards[time]
            assert terminated == episode.terminations[time]
            assert truncated == episode.truncations[time]
        for name, part in obs.items():
            np.testing.assert_array_equal(episode.observations[name][-1], part)
        env.close()


def test_a_pendulum_replays_bit_for_bit(data):
    import minari

    dataset, env = minari.load_dataset(recordings.PENDULUM), gridmem.make("Pendulum-v1", **SHORT)
    metadata = list(dataset.storage.get_episode_metadata(range(60)))
    levels = np.array([each["options"]["level"] for each in metadata], np.float32)
    actions = np.stack([episode.actions for episode in dataset.iterate_episodes()])

    @jax.jit
    def replay(levels, actions):
        return gridmem.play(env, replayed(actions[:, :, None]), levels, jax.random.key(0))

    result = replay(levels, actions)
    for number, episode in enumerate(dataset.iterate_episodes()):
        rollout = result.rollout
        seen = np.asarray(rollout.obs.observation)[:, number]
        np.testing.assert_array_equal(seen, episode.observations[:-1])
        np.testing.assert_array_equal(rollout.reward[:, number], episode.rewards)
        last = result.timestep.obs.observation[number]
        np.testing.assert_array_equal(last, episode.observations[-1])


@pytest.mark.slow
def test_what_an_agent_saw_while_it_learned_replays():
    config = small.config("sac", update_steps=15, learning_starts=30, buffer=120)
    episodes, agent = watched_run(config, lambda _: None)
    assert [len(episode.actions) for episode in episodes] == [15] * (config.total_steps // 15)
    actions = jnp.stack([episode.actions for episode in episodes])
    levels = np.stack([episode.level for episode in episodes])
    rollout = gridmem.play(
        agent.env, replayed(actions[:, :, None]), levels, jax.random.key(0)
    ).rollout
    for number, episode in enumerate(episodes):
        seen = rollout.obs.observation[:, number]
        np.testing.assert_allclose(seen, episode.observations[:-1], atol=1e-4)
        np.testing.assert_allclose(rollout.reward[:, number], episode.rewards, atol=1e-3)
        assert np.flatnonzero(episode.truncations).tolist() == [14]


def changed(name, **changes):
    """A copy of the small dataset with other contents."""
    import minari
    from minari.data_collector import EpisodeBuffer

    dataset = minari.load_dataset(recordings.PENDULUM)
    episode = dataset[0]
    arrays = {
        "observations": episode.observations,
        "actions": episode.actions,
        "rewards": episode.rewards,
        "terminations": episode.terminations,
        "truncations": episode.truncations,
    }
    space = gymnasium.spaces.Box(-np.inf, np.inf, (3,), np.float32)
    minari.create_dataset_from_buffers(
        name,
        [EpisodeBuffer(**{**arrays, **changes})],
        observation_space=space,
        action_space=gymnasium.spaces.Box(-2, 2, (1,), np.float32),
    )
    return name


@pytest.mark.filterwarnings("ignore:(`.*` is set to None|env_spec is None)")
@pytest.mark.usefixtures("data")
def test_bad_data_is_refused_in_one_sentence():
    env = gridmem.make("Pendulum-v1", **SHORT)
    nan = np.full(12, np.nan, np.float32)
    short = np.zeros((12, 3), np.float32)
    cases = {
        "": "no dataset is named",
        "test/nothing-v0": "there is no dataset 'test/nothing-v0' here",
        changed("test/nan-v0", rewards=nan): "its rewards are not all finite numbers",
        changed("test/short-v0", observations=short): "of observations there must be one more",
        recordings.CAVE: "it is of GridMem-9x9-v0 with max_steps 12, and the run is of Pendulum",
    }
    for name, sentence in cases.items():
        with pytest.raises(ValueError, match=sentence) as caught:
            load_play(name, "Pendulum-v1", env)
        assert "\n" not in str(caught.value)
    hidden = gridmem.make("Pendulum-v1", hide="velocity", **SHORT)
    with pytest.raises(ValueError, match="the run is of Pendulum-v1 with other options"):
        load_play(recordings.PENDULUM, "Pendulum-v1", hidden)
    with pytest.raises(ValueError, match="observations are observation 3, and the environment"):
        load_play(changed("test/unnamed-v0"), "Pendulum-v1", hidden)
    with pytest.raises(ValueError, match="an episode of the environment 1 to 11"):
        load_play("test/unnamed-v0", "Pendulum-v1", gridmem.make("Pendulum-v1", max_steps=11))


def test_few_episodes_and_far_targets_are_warned_of(data):
    env = gridmem.make("Pendulum-v1", **SHORT)
    play = load_play(recordings.PENDULUM, "Pendulum-v1", env)
    assert "warning" not in described(play)
    assert "outside of the data's returns" in described(play, "100")["warning"]
    assert "fewer than 50 episodes" in described(play.best(0.1))["warning"]
    assert described(env) == {}


def test_a_corrupted_file_is_named(data):
    recordings.make("test/broken-v0", number=2, **SHORT)
    (path,) = (data.path / "test" / "broken-v0").rglob("*.hdf5")
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(ValueError, match="the dataset test/broken-v0 cannot be"):
        load_play("test/broken-v0", "Pendulum-v1", gridmem.make("Pendulum-v1", **SHORT))
