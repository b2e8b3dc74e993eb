import json
from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import playing
import pytest

import gridmem
from gridmem import Env, EnvConfig, TextMap
from gridmem.envs.analysis.metrics import (
    EpisodeMetrics,
    EpisodeStats,
    episode_metrics,
    episode_stats,
    measure,
    memory_gain,
    ratios,
    summary,
)
from gridmem.envs.analysis.trace import Trace
from gridmem.envs.batch.policy import random_policy
from gridmem.envs.batch.rollout import play


def stats_of(*rewards):
    """Statistics of one stream per string: a digit is what a step paid."""
    paid = [[float(digit) for digit in stream] for stream in rewards]
    return episode_stats(jnp.array(paid, jnp.float32).T)


@pytest.mark.parametrize(
    ("reward", "total", "visits", "first", "later"),
    [
        ("000000", 0, 0, 6, 0),  # never found: all steps are search
        ("001000", 1, 1, 3, 0),  # the unfinished trip counts for nothing
        ("000001", 1, 1, 6, 0),
        ("100000", 1, 1, 1, 0),
        ("010010", 2, 2, 2, 3),  # found at 2 and 5
        ("101001", 3, 3, 1, 2.5),  # at 1, 3 and 6: trips of 2 and 3
        ("111111", 6, 6, 1, 1),
        ("020000", 2, 1, 2, 0),  # a find that pays two is one find
    ],
)
def test_an_episode_by_hand(reward, total, visits, first, later):
    stats = stats_of(reward, "000000")
    assert [float(leaf[0]) for leaf in stats] == [total, visits, first, later]
    assert [float(leaf[1]) for leaf in stats] == [0, 0, 6, 0]


def test_memory_gain_by_hand():
    # Episodes with one find or none count for nothing. The others: first finds after 2 and 1
    # steps, later trips of 3 and of (2 + 3) / 2 steps.
    stats = stats_of("010010", "101001", "001000", "000000")
    assert float(memory_gain(stats)) == pytest.approx((2 + 1) / (3 + 2.5))
    # 8 steps to find it, then 2 and 2.
    assert float(memory_gain(stats_of("000000010101"))) == 4


def test_memory_gain_of_nothing_found_again_is_zero():
    assert float(memory_gain(stats_of("001000", "000000"))) == 0


def gain_and_error(stats):
    """The gain and the standard error that it has where it is 1."""
    counted = np.asarray(stats.visits) > 1
    first = np.asarray(stats.first_find_steps)[counted]
    later = np.asarray(stats.later_trip_steps)[counted]
    error = (first - later).std() / np.sqrt(counted.sum()) / later.mean()
    return float(memory_gain(stats)), error


def searches(num_caves, num_steps, times_faster=1.0):
    """Finds of a searcher with a constant chance per step, very unequal from cave to cave."""
    rng = np.random.default_rng(0)
    chance = np.exp(rng.uniform(np.log(0.004), np.log(0.4), num_caves))
    found = np.zeros((num_steps, num_caves), bool)
    ever = np.zeros(num_caves, bool)
    for step in range(num_steps):
        found[step] = rng.random(num_caves) < np.where(ever, times_faster, 1) * chance
        ever |= found[step]
    return episode_stats(jnp.asarray(found, jnp.float32))


def test_who_does_not_remember_gains_nothing_however_unequal_the_caves():
    gain, error = gain_and_error(searches(20_000, 256))
    assert error < 0.02
    assert abs(gain - 1) < 4 * error


def test_who_searches_twice_as_fast_the_second_time_gains():
    gain, error = gain_and_error(searches(20_000, 256, times_faster=2.0))
    assert gain > 1 + 10 * error


@pytest.mark.slow
def test_random_actions_gain_nothing():
    env = gridmem.make("GridMem-9x9-v0", view_size=3, max_steps=128)

    @jax.jit
    def reward(key):
        levels = jax.vmap(env.generate)(jax.random.split(key, 6000))
        return play(env, random_policy(4), levels, key).rollout.reward

    stats = episode_stats(reward(jax.random.key(0)))
    assert isinstance(stats, EpisodeStats)
    gain, error = gain_and_error(stats)
    assert error < 0.05
    assert abs(gain - 1) < 4 * error


def measured(rows, actions, **options):
    """The metrics of one episode on the level of a picture, by name."""
    env = Env(EnvConfig(map=TextMap(rows), **options))
    level = jax.tree.map(lambda leaf: leaf[None], playing.generate_one(env, jax.random.key(0)))
    metrics = measure(env, level, np.array(actions, np.int32).reshape(1, len(actions), -1))
    assert [leaf.dtype.kind for leaf in metrics] == list("fiiffffii")
    return {name: leaf[0].tolist() for name, leaf in metrics._asdict().items()}


def test_every_metric_of_an_episode_by_hand():
    # Bump; find after 5; from 1, bump, and there in 7, while 6 suffice and one sees the goal only
    # before the last step. Then a bump, and two actions that are none.
    rows = "#######", "#0...G#", "#.#####", "#1....#", "#######"
    actions = [0, 1, 1, 1, 1, 2, 0, 0, 1, 1, 1, 1, 3, 4, -1]
    assert measured(rows, actions, view_size=3) == {
        "episode_return": [2],
        "visits": [2],
        "first_find_steps": [5],
        "later_trip_steps": [7],
        "later_trip_shortest": [6],
        "path_ratio": [pytest.approx(6 / 7)],
        "unseen_steps": [6],
        "digs": [0],
        "bumps": [3],
    }


def test_an_episode_with_a_tunnel_and_three_trips_by_hand():
    # Dig 1, 2 actions are lost, up is a bump; find after 7. Then 3 steps; then a detour of 2.
    actions = [1, 1, 0, 1, 0, 1, 1, *[1, 1, 1], *[1, 3, 1, 1, 1], 1, 1]
    rows = "#######", "#0%.G.#", "#######"
    by_hand = {
        "episode_return": [3],
        "visits": [3],
        "first_find_steps": [7],
        "later_trip_steps": [4],  # of 3 and 5
        "later_trip_shortest": [3],
        "path_ratio": [0.75],
        "unseen_steps": [3],  # of 2 and 4
        "digs": [1],
        "bumps": [1],
    }
    assert measured(rows, actions, view_size=3, dig_steps=2) == by_hand
    # In a view of seven one lands with the goal in sight.
    wide = {**by_hand, "unseen_steps": [0]}
    assert measured(rows, actions, view_size=7, dig_steps=2) == wide


@pytest.mark.parametrize(("actions", "first"), [([0, 3], 2), ([0, 1, 0], 2)])
def test_an_episode_without_a_later_trip_by_hand(actions, first):
    rows = "####", "#0G#", "####"
    metrics = measured(rows, actions, view_size=3)
    assert metrics["first_find_steps"] == [first]
    names = "later_trip_steps", "later_trip_shortest", "unseen_steps"
    assert [metrics[name] for name in names] == [[0]] * 3
    assert np.isnan(metrics["path_ratio"]).all()


def test_metrics_as_counted_trip_by_trip():
    rng = np.random.default_rng(0)
    shape = 40, 30, 2
    reward = (rng.random(shape) < rng.choice([0, 0.05, 0.3], (40, 1, 2))).astype(np.float32)
    shortest = rng.integers(1, 9, shape, np.int32)
    marks = [rng.random(shape) < 0.5 for _ in range(3)]
    traced = Trace(*(jnp.asarray(leaf) for leaf in (reward, shortest, *marks)))
    metrics = episode_metrics(traced)
    assert set(np.asarray(metrics.visits).ravel()) >= {0, 1, 2, 3}
    for i, agent in np.ndindex(40, 2):
        by_step = [leaf[i, :, agent].tolist() for leaf in (reward, shortest, *marks)]
        actual = [float(leaf[i, agent]) for leaf in metrics]
        assert actual == pytest.approx(counted(*by_step), nan_ok=True)


def counted(reward, shortest, unseen, dug, bumped):
    """The fields of `EpisodeMetrics` from what happened to one agent, step by step."""
    finds = [time for time, paid in enumerate(reward) if paid]
    trips = list(pairwise(finds))
    taken = [end - begin for begin, end in trips]
    best = [shortest[begin] for begin, _ in trips]
    blind = [sum(unseen[begin:end]) for begin, end in trips]
    return [
        sum(reward),
        len(finds),
        finds[0] + 1 if finds else len(reward),
        *(np.mean(x) if trips else 0 for x in (taken, best)),
        sum(best) / sum(taken) if trips else np.nan,
        np.mean(blind) if trips else 0,
        sum(dug),
        sum(bumped),
    ]


def test_a_summary_by_hand():
    rows = {  # two levels of two agents; the third of the four never finds it again
        "episode_return": [[2, 3], [1, 4]],
        "visits": [[2, 3], [1, 4]],
        "first_find_steps": [[6, 4], [9, 5]],
        "later_trip_steps": [[4, 2.5], [0, 1]],
        "later_trip_shortest": [[2, 2], [0, 0.5]],
        "path_ratio": [[0.5, 0.8], [np.nan, 0.5]],
        "unseen_steps": [[3, 0], [0, 0]],
        "digs": [[1, 0], [0, 0]],
        "bumps": [[0, 8], [2, 2]],
    }
    metrics = EpisodeMetrics(**{name: jnp.asarray(rows[name], jnp.float32) for name in rows})
    by_hand = {
        "episode_return": 2.5,
        "visits": 2.5,
        "first_find_steps": 6,
        "later_trip_steps": 2.5,
        "later_trip_shortest": 1.5,
        "path_ratio": 0.6,
        "unseen_steps": 1,
        "digs": 0.25,
        "bumps": 3,
        "return_standard_error": 0,  # both levels have a mean of 2.5
        "memory_gain": 2,  # 6 + 4 + 5 by 4 + 2.5 + 1
    }
    assert summary(metrics) == pytest.approx(by_hand)
    unequal = metrics._replace(episode_return=jnp.array([[1.0, 3.0], [5.0, 7.0]]))
    assert summary(unequal)["return_standard_error"] == pytest.approx(8**0.5 / 2**0.5)


def test_a_summary_says_none_where_there_is_nothing_to_tell():
    names = EpisodeMetrics._fields
    nothing = EpisodeMetrics(**dict.fromkeys(names, jnp.zeros((1, 2))))
    nothing = nothing._replace(path_ratio=jnp.full((1, 2), jnp.nan))
    means = summary(nothing)
    later = {"later_trip_steps", "later_trip_shortest", "path_ratio", "unseen_steps"}
    assert {name for name in means if means[name] is None} == later | {
        "return_standard_error",
        "memory_gain",
    }
    assert json.loads(json.dumps(means, allow_nan=False)) == means


def test_the_gain_is_the_same_from_metrics_as_from_rewards():
    env = gridmem.make("GridMem-9x9-v0")
    levels = jax.tree.map(lambda leaf: leaf[:40], playing.batch("GridMem-9x9-v0", 0)[1])
    actions = np.random.default_rng(0).integers(0, 4, (40, 64, 1), np.int32)
    metrics = measure(env, levels, actions)
    assert (np.asarray(metrics.visits) > 1).any()
    stats = EpisodeStats(*(getattr(metrics, name).ravel() for name in EpisodeStats._fields))
    assert memory_gain(metrics) == memory_gain(stats) > 0
    assert summary(metrics)["memory_gain"] == pytest.approx(float(memory_gain(metrics)))


def test_every_mean_of_a_summary_is_a_ratio_of_sums_over_levels():
    metrics = EpisodeMetrics(*(np.float32([[0, 1], [2, 3]]) for _ in EpisodeMetrics._fields))
    means, terms = summary(metrics), ratios(metrics)
    assert set(means) - set(terms) == {"return_standard_error"}
    for name, (above, below) in terms.items():
        assert above.shape == below.shape == (2,)
        assert means[name] == above.sum() / below.sum()
    # Of all four episodes; of the two with two finds or more, both of the second level.
    assert [side.tolist() for side in terms["bumps"]] == [[1, 5], [2, 2]]
    assert [side.tolist() for side in terms["path_ratio"]] == [[0, 5], [0, 2]]
    assert [side.tolist() for side in terms["memory_gain"]] == [[0, 5], [0, 5]]
