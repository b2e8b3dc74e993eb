from dataclasses import replace

import jax
import numpy as np
import pytest
import recorded_levels
import tiny

import gridmem.baselines.ppo.learner as learner_module
from gridmem.baselines.evaluation import rollouts
from gridmem.baselines.evaluation.evaluator import evaluate_held_out
from gridmem.baselines.evaluation.rollouts import (
    FRESH_KEY_DATA,
    Player,
    draw_levels,
    play_levels,
)
from gridmem.baselines.ppo.learner import init, update
from gridmem.envs.analysis.trace import trace
from gridmem.envs.environment import EVALUATION_KEY_DATA
from gridmem.envs.types import Tile

SEEDS, NUM_EXACT, NUM_LEVELS = range(51), 300, 2000


def evaluate_random(config, env, num_levels):
    """The row of random actions."""
    (row,) = evaluate_held_out(tiny.ppo(config, env), {}, num_levels).rows
    return row


@pytest.mark.slow
def test_no_seed_trains_on_the_held_out_levels_or_the_fresh_ones(monkeypatch):
    config, env = recorded_levels.CONFIG, recorded_levels.ENV
    graphdef, learner = tiny.start(config)
    with recorded_levels.collect() as held_out:
        evaluate_random(config, env, 64)
        levels, key = draw_levels(env, 64, FRESH_KEY_DATA)
        play_levels(env, Player(), (), levels, key)
    assert len(set(held_out)) == 64 + 64
    # Only the keys of the other seeds are wanted, not 6 models.
    model = learner_module.build_model(config, env, jax.random.key(0))
    monkeypatch.setattr(learner_module, "build_model", lambda *args: model)
    with recorded_levels.collect() as trained:
        for seed in SEEDS[::10]:
            key = init(replace(config, seed=seed), env)[1].key
            started = tiny.copy(learner._replace(key=key))
            for _ in range(2):
                started, _ = update(config, env, graphdef, started)
    assert len(set(trained)) == 6 * 2 * 4
    assert not set(trained) & set(held_out)


@pytest.mark.slow
def test_every_update_has_fresh_levels_and_agents_may_share_a_cave():
    assert recorded_levels.ENV.num_agents == 2
    graphdef, learner = tiny.start(recorded_levels.CONFIG)
    with recorded_levels.collect() as levels:
        for _ in range(3):
            learner, metrics = update(
                recorded_levels.CONFIG, recorded_levels.ENV, graphdef, learner
            )
            assert np.isfinite([float(leaf) for leaf in jax.tree.leaves(metrics)]).all()
    assert len(levels) == len(set(levels)) == 3 * 4
    assert float(metrics.first_ratio_error) <= 1e-5


def test_no_seed_is_the_key_of_evaluation_levels():
    for seed in (*SEEDS, 2**31 - 1, 2**31, 2**32 - 1):
        assert jax.random.key_data(jax.random.key(seed)).tolist() == [0, seed]
    assert 0 not in (EVALUATION_KEY_DATA[0], FRESH_KEY_DATA[0])
    assert EVALUATION_KEY_DATA != FRESH_KEY_DATA


@pytest.mark.slow
def test_the_held_out_levels_are_always_the_same():
    with recorded_levels.collect() as levels:
        evaluate_random(recorded_levels.CONFIG, recorded_levels.ENV, 64)
        evaluate_random(recorded_levels.CONFIG, recorded_levels.ENV, 16)
    assert len(levels) == 64 + 16
    assert len(set(levels[:64])) == 64
    assert set(levels[64:]) <= set(levels[:64])


@pytest.mark.slow
def test_a_final_evaluation_is_deterministic():
    _, learner = tiny.start(tiny.CONFIG)
    method, params = tiny.ppo(tiny.CONFIG), {"a": learner.params}
    first, second = (evaluate_held_out(method, params, 32) for _ in range(2))
    assert first.to_dict() == second.to_dict()
    assert [row.player for row in first.rows] == ["sampled", "greedy", "random"]
    assert [row.agent for row in first.rows] == ["a", "a", ""]
    actions = [row.actions.tobytes() for row in first.rows]
    assert len(set(actions)) == 3


@pytest.fixture(scope="module")
def crowd():
    """An environment of two agents, a tiny agent for it, ten levels and a key."""
    config = tiny.config(env={"num_agents": 2})
    env, (_, learner) = config.make_env(), tiny.start(config)
    levels, key = draw_levels(env, 10, FRESH_KEY_DATA)
    return env, tiny.ppo(config), learner.params, levels, key


def test_rewards_are_those_of_the_actions(crowd):
    env, method, params, levels, key = crowd
    played = play_levels(env, Player(method), params, levels, key)
    assert played.action.shape == (10, 16, 2)
    assert len(np.unique(played.action)) == 4
    assert np.array_equal(played.reward, trace(env, levels, played.action).reward)


def test_chunks_of_levels_are_joined_in_order_and_sample_independently(crowd, monkeypatch):
    env, method, params, levels, key = crowd
    twice = jax.tree.map(lambda leaf: np.concatenate([leaf[:4], leaf[:4], leaf[8:]]), levels)
    monkeypatch.setattr(rollouts, "STREAMS_AT_A_TIME", 8)  # 4 levels of 2 agents
    greedy = play_levels(env, Player(method, greedy=True), params, twice, key)
    sampled = play_levels(env, Player(method), params, twice, key)
    monkeypatch.setattr(rollouts, "STREAMS_AT_A_TIME", 512)
    at_once = play_levels(env, Player(method, greedy=True), params, twice, key)
    assert np.array_equal(greedy.action, at_once.action)
    assert greedy.action.shape == (10, 16, 2)
    assert not np.array_equal(sampled.action[:4], sampled.action[4:8])


def test_a_wiped_memory_changes_nothing_until_the_first_find(crowd):
    env, method, params, _, key = crowd
    levels, _ = draw_levels(env, 64, FRESH_KEY_DATA)
    whole, wiped = (
        play_levels(env, Player(method, forgetful=forgetful), params, levels, key)
        for forgetful in (False, True)
    )
    later = np.cumsum(whole.reward, axis=1) > 0
    # The step after the find is the first that can differ.
    later = np.pad(later[:, :-1], ((0, 0), (1, 0), (0, 0)))
    assert np.array_equal(np.where(later, 0, whole.action), np.where(later, 0, wiped.action))
    assert not np.array_equal(whole.action, wiped.action)


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


@pytest.mark.slow
def test_random_actions_have_their_expected_return():
    env = tiny.CONFIG.make_env()
    levels = jax.jit(jax.vmap(env.generate))(jax.random.split(jax.random.key(7), NUM_EXACT))
    levels = jax.tree.map(np.asarray, levels)
    exact = np.array(
        [expected_return(jax.tree.map(lambda x, i=i: x[i], levels), 16) for i in range(NUM_EXACT)]
    )
    result = evaluate_random(tiny.CONFIG, env, NUM_LEVELS).metrics
    error = np.hypot(result["return_standard_error"], exact.std() / np.sqrt(NUM_EXACT))
    assert error < 0.12 * exact.mean()
    assert abs(result["episode_return"] - exact.mean()) < 4 * error
