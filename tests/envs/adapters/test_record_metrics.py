"""The wrapper against the metrics themselves, and its manners."""

import gymnasium
import jax
import jaxtyping
import numpy as np
import pytest

import gridmem
from gridmem import RecordMetrics

SMALL = "GridMem-9x9-v0"
ROWS = ["#######", "#0..%G#", "#######"]
LEFT, RIGHT = 3, 1


def play(env, actions, **kwargs):
    env.reset(**kwargs)
    return [env.step(action) for action in actions]


def test_an_episode_by_hand():
    map_ = {"type": "TextMap", "rows": ROWS}
    env = gymnasium.make(SMALL, map=map_, view_size=3, dig_steps=1, max_steps=8)
    env = RecordMetrics(env)
    # Bump, two moves, dig, one action ignored, into the hole, into the goal, a step.
    *before, last = play(env, [LEFT, RIGHT, RIGHT, RIGHT, LEFT, RIGHT, RIGHT, RIGHT], seed=0)
    assert not any("metrics" in step[-1] for step in before)
    metrics = last[-1]["metrics"]
    assert {k: metrics[k] for k in ("episode_return", "visits", "first_find_steps")} == {
        "episode_return": 1,
        "visits": 1,
        "first_find_steps": 7,
    }
    assert (metrics["digs"], metrics["bumps"]) == (1, 1)
    assert all(type(value) in (int, float) for value in metrics.values())


def test_it_says_what_measure_says():
    env = RecordMetrics(gymnasium.make(SMALL))
    levels, actions = [], np.random.default_rng(0).integers(0, 4, (3, 64))
    for row in actions:
        play(env, row)
        levels.append(env.unwrapped.level)
    levels = jax.tree.map(lambda *leaves: np.stack(leaves), *levels)
    expected = gridmem.measure(gridmem.make(SMALL), levels, actions[..., None])
    for i, episode in enumerate(env.episodes):
        for name, leaf in expected._asdict().items():
            np.testing.assert_equal(episode[name], leaf[i, 0].item())
    assert env.summary() == gridmem.summary(expected)


def test_an_episode_that_was_not_finished_is_forgotten():
    env = RecordMetrics(gymnasium.make(SMALL, max_episode_steps=5))
    play(env, [0, 0], seed=0)
    play(env, [0] * 5)
    assert len(env.episodes) == 1
    assert env.episodes[0]["first_find_steps"] == 5


def test_without_an_episode_there_is_no_summary():
    with pytest.raises(ValueError, match="no episode has been played to its end"):
        RecordMetrics(gymnasium.make(SMALL)).summary()


def test_other_environments_are_refused():
    with pytest.raises(ValueError, match="measures GridMem environments, and this is a CartPole"):
        RecordMetrics(gymnasium.make("CartPole-v1"))


class Twice(gymnasium.Wrapper):
    def step(self, action):
        super().step(action)
        return super().step(action)


def test_it_measures_what_arrives_below_other_wrappers():
    turned = gymnasium.wrappers.TransformAction(
        gymnasium.make(SMALL, max_steps=3), lambda a: 0, None
    )
    below, above = RecordMetrics(turned), RecordMetrics(gymnasium.make(SMALL, max_steps=3))
    play(below, [1, 2, 3], seed=0)
    play(above, [0, 0, 0], seed=0)
    np.testing.assert_equal(below.episodes, above.episodes)
    skipping = Twice(RecordMetrics(gymnasium.make(SMALL, max_steps=4)))
    play(skipping, [0, 1], seed=0)
    assert len(skipping.env.episodes) == 1
    skipping = RecordMetrics(Twice(gymnasium.make(SMALL)))
    with pytest.raises(gymnasium.error.ResetNeeded, match="took 2 steps, of which RecordMetrics"):
        play(skipping, [0], seed=0)


def test_episodes_that_begin_by_themselves():
    below = gymnasium.wrappers.Autoreset(RecordMetrics(gymnasium.make(SMALL, max_steps=3)))
    above = RecordMetrics(gymnasium.wrappers.Autoreset(gymnasium.make(SMALL, max_steps=3)))
    for env in (below, above):
        play(env, [0, 1, 2, 3] * 2, seed=0)
    assert len(above.episodes) == 2
    np.testing.assert_equal(above.episodes, below.env.episodes)


def test_batches(monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    with pytest.raises(ValueError, match="measures one environment, and this is a GridMemVectorE"):
        RecordMetrics(gymnasium.make_vec(SMALL, 2))
    options = {"vectorization_mode": "sync", "wrappers": [RecordMetrics], "max_steps": 2}
    envs = gymnasium.make_vec(SMALL, 2, **options)
    envs.reset(seed=0)
    for _ in range(2):
        infos = envs.step(np.zeros(2, int))[4]
    assert infos["metrics"]["visits"].shape == (2,)


def test_the_spec_knows_the_wrapper():
    env = RecordMetrics(gymnasium.make(SMALL))
    again = gymnasium.make(gymnasium.envs.registration.EnvSpec.from_json(env.spec.to_json()))
    assert isinstance(again, RecordMetrics)
