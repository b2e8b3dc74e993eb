"""Minari records datasets; a process of its own reads them, rebuilds the env and replays."""

import runpy
import subprocess
import sys
from pathlib import Path

import gymnasium
import pytest

SCRIPT = Path(__file__).parents[2] / "docs" / "examples" / "record_minari.py"

REPLAY = """
import sys
import minari
import numpy as np

def same(actual, expected):
    if isinstance(expected, dict):
        assert actual.keys() == expected.keys(), (actual.keys(), expected.keys())
        for name in expected:
            same(actual[name], expected[name])
    else:
        np.testing.assert_array_equal(actual, expected)

def at(tree, time):
    return {k: at(v, time) for k, v in tree.items()} if isinstance(tree, dict) else tree[time]

for name in sys.argv[1:]:
    dataset = minari.load_dataset(name)
    env = dataset.recover_environment()
    seeds = []
    for episode in dataset.iterate_episodes():
        (metadata,) = dataset.storage.get_episode_metadata([episode.id])
        seeds.append(int(metadata["seed"]))
        obs, info = env.reset(seed=seeds[-1])
        for time, action in enumerate(episode.actions):
            same(at(episode.observations, time), obs)
            same(at(episode.infos, time), info)
            obs, *outcome, info = env.step(action)
            recorded = episode.rewards, episode.terminations, episode.truncations
            assert outcome == [values[time] for values in recorded], (time, outcome)
        same(at(episode.observations, time + 1), obs)
        same(at(episode.infos, time + 1), info)
        assert outcome[2], "the last step is truncated"
        assert time + 1 == env.unwrapped.spec.kwargs["max_steps"]
    assert seeds == [0, 1], seeds
    assert dataset.total_steps == 2 * (time + 1)
print("replayed", len(sys.argv) - 1)
"""


@pytest.fixture
def datasets_path(tmp_path, monkeypatch):
    path = tmp_path / "datasets"
    path.mkdir()
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(path))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:`.*` is set to None")
@pytest.mark.filterwarnings("ignore:Implicitly cleaning up:ResourceWarning")  # Minari's folder
@pytest.mark.usefixtures("datasets_path")
def test_a_dataset_is_recorded_and_replayed_in_a_fresh_process():
    record = runpy.run_path(str(SCRIPT))["record"]
    names = [f"gridmem/{form}-v0" for form in ("view", "dict", "flat")]
    for name in names:
        observation = name.split("/")[1].removesuffix("-v0")
        env = gymnasium.make("GridMem-9x9-v0", max_steps=20, observation=observation)
        assert record(env, name, 2).total_steps == 40
    replay = subprocess.run(
        [sys.executable, "-c", REPLAY, *names], capture_output=True, text=True, timeout=120
    )
    assert (replay.returncode, replay.stdout) == (0, "replayed 3\n"), replay.stderr
