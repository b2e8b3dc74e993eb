from dataclasses import replace

import jax
import numpy as np
import pytest
import recorded_levels
import tiny

import gridmem.baselines.learner as learner_module
from gridmem.baselines.evaluation import HELD_OUT_KEY_DATA, evaluate_model, evaluate_random, summary
from gridmem.baselines.learner import init, update
from gridmem.envs.metrics import EpisodeStats
from gridmem.envs.types import Tile

SEEDS, NUM_EXACT, NUM_LEVELS = range(51), 300, 2000


def test_no_seed_trains_on_the_held_out_levels(monkeypatch):
    config, env = recorded_levels.CONFIG, recorded_levels.ENV
    graphdef, learner = tiny.start(config)
    with recorded_levels.collect() as held_out:
        evaluate_random(env, 64)
    assert len(set(held_out)) == 64
    # Only the keys of the other seeds are wanted, not 51 models.
    model = learner_module.build_model(config, env, jax.random.key(0))
    monkeypatch.setattr(learner_module, "build_model", lambda *args: model)
    with recorded_levels.collect() as trained:
        for seed in SEEDS:
            key = init(replace(config, seed=seed), env)[1].key
            started = tiny.copy(learner._replace(key=key))
            for _ in range(2):
                started, _ = update(config, env, graphdef, started)
    assert len(set(trained)) == 51 * 2 * 4
    assert not set(trained) & set(held_out)


def test_no_seed_is_the_held_out_key():
    for seed in (*SEEDS, 2**31 - 1, 2**31, 2**32 - 1):
        assert jax.random.key_data(jax.random.key(seed)).tolist() == [0, seed]
    assert HELD_OUT_KEY_DATA[0] != 0


def test_the_held_out_levels_are_always_the_same():
    env = recorded_levels.ENV
    with recorded_levels.collect() as levels:
        evaluate_random(env, 64)
        evaluate_random(env, 16)
    assert len(levels) == 64 + 16
    assert len(set(levels[:64])) == 64
    assert set(levels[64:]) <= set(levels[:64])


@pytest.mark.parametrize("greedy", [False, True])
def test_an_evaluation_repeats_itself(greedy):
    env = tiny.CONFIG.make_env()
    graphdef, learner = tiny.start(tiny.CONFIG)
    first, second = (evaluate_model(env, graphdef, learner.params, 32, greedy) for _ in range(2))
    assert first == second
    other = evaluate_model(env, graphdef, learner.params, 32, not greedy)
    assert first != other


def expected_return(level, num_steps):
    """Of uniformly random actions: the whole distribution over (finds so far, cell), in numpy."""
    tiles, spawns = np.asarray(level.tiles), np.asarray(level.spawns)
    chance = np.zeros((num_steps + 1, *tiles.shape))
    chance[0][tuple(spawns[0])] = 1.0
    wall, goal = tiles == Tile.WALL, tiles == Tile.GOAL
    total = 0.0
    for _ in range(num_steps):
        following = np.zeros_like(chance)
        for shift in ((-1, 0), (1, 0), (0, -1), (0, 1)):
            moved = np.roll(chance, shift, axis=(1, 2)) / 4
            stays = np.roll(moved * wall, (-shift[0], -shift[1]), axis=(1, 2))
            found = (moved * goal).sum(axis=(1, 2))
            following += np.where(wall | goal, 0, moved) + stays
            for finds in np.flatnonzero(found):
                following[finds + 1][tuple(spawns[(finds + 1) % len(spawns)])] += found[finds]
                total += found[finds]
        chance = following
    return total


def test_random_scores_what_random_must():
    env = tiny.CONFIG.make_env()
    levels = jax.jit(jax.vmap(env.generate))(jax.random.split(jax.random.key(7), NUM_EXACT))
    levels = jax.tree.map(np.asarray, levels)
    exact = np.array(
        [expected_return(jax.tree.map(lambda x, i=i: x[i], levels), 16) for i in range(NUM_EXACT)]
    )
    result = evaluate_random(env, NUM_LEVELS)
    error = np.hypot(result["return_standard_error"], exact.std() / np.sqrt(NUM_EXACT))
    assert error < 0.12 * exact.mean()
    assert abs(result["mean_return"] - exact.mean()) < 4 * error


def test_a_summary_by_hand():
    stats = EpisodeStats(
        episode_return=np.float32([0, 2, 4]),
        visits=np.int32([0, 2, 4]),
        first_find_steps=np.int32([16, 5, 3]),
        later_trip_steps=np.float32([0, 2, 2]),
    )
    # Deviation of 0, 2, 4 is 2; over the root of 3. Gain: (5 + 3) / (2 + 2).
    by_hand = {
        "mean_return": 2.0,
        "return_standard_error": 2 / 3**0.5,
        "first_find_steps": 8.0,
        "memory_gain": 2.0,
    }
    assert summary(jax.tree.map(jax.numpy.asarray, stats), 3) == pytest.approx(by_hand)
    # As one level with three agents: a single observation, without deviation.
    together = summary(jax.tree.map(jax.numpy.asarray, stats), 1)
    assert together == pytest.approx({**by_hand, "return_standard_error": 0.0})
