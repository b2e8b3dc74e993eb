"""Rollouts that continue each other, compared with the whole episodes that they are parts of."""

from functools import cache, partial
from types import SimpleNamespace
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny
from breadth import breadth
from flax import nnx

from gridmem.baselines.ppo.learner import build_model
from gridmem.baselines.ppo.rollout import (
    context_length,
    continue_rollout,
    draw_starts,
    init_rollout,
)
from gridmem.baselines.registration import MIXERS
from gridmem.envs.analysis.episode_stats import Finds
from gridmem.envs.analysis.metrics import EpisodeStats, episode_stats, memory_gain
from gridmem.envs.batch.policy import batched_index, random_policy
from gridmem.envs.batch.rollout import Rollout, play

# A row more than an episode has actions: its last observation. The parts do not divide it.
STEPS, PART, PARTS = 10, 4, 9
ROWS = STEPS + 1
VARIANTS = {
    **{name: {"mixer": name} for name in MIXERS},
    "reference": {"qk_norm": True, "value_head": "hl_gauss"},
    "window": {"window": 4},
    "kernels": {"attention": "triton", "decode": "triton"},
}
TASKS = {"clock": None, "task": tiny.TwoFinds()}
# One variant for each task is enough for what does not depend on the model.
PLAYED = {"clock": "attention", "task": "window"}


def settings(**model):
    return tiny.config(
        env={"max_steps": STEPS, "num_agents": 2},
        model=model,
        method={"num_envs": 4, "num_minibatches": 1, "rollout_steps": PART},
    )


class Parts(NamedTuple):
    """Rollouts in a row, leaves [PARTS, ...]."""

    caches: list  # before each
    rollout: Rollout
    episodes: NamedTuple


@cache
def built(variant):
    config = settings(**VARIANTS[variant])
    model = build_model(config, config.make_env(), jax.random.key(1))
    model.value_out[...] = 20 * model.value_out[...]
    return config, *nnx.split(model)


@cache
def played(variant, task="clock"):
    config, graphdef, params = built(variant)
    env = tiny.small_room(config, TASKS[task])

    @jax.jit
    def run(params, key):
        model = nnx.merge(graphdef, params)

        def one(state, key):
            unrolled, following, episodes = continue_rollout(
                config, env, model, state, key, draw_starts(config, env, state)
            )
            caches = state.runner.carry.caches
            return following, Parts(caches, unrolled.rollout, episodes)

        state = init_rollout(config, env, model, key)
        return jax.lax.scan(one, state, jax.random.split(key, PARTS))[1]

    return run(params, jax.random.key(5))


def rows(parts):
    """The rollouts as one, leaves [PARTS * PART, B, ...]."""
    return jax.tree.map(lambda x: x.reshape(PARTS * PART, *x.shape[2:]), parts.rollout)


class Cut(NamedTuple):
    """An episode within the rows of a stream; the last may be cut off."""

    stream: int
    start: int
    end: int


def cuts(rollout):
    numbers = np.asarray(rollout.extras.segment)
    out = []
    for stream, column in enumerate(numbers.T):
        for number in np.unique(column):
            (where,) = np.nonzero(column == number)
            out.append(Cut(stream, where[0], where[-1] + 1))
            assert len(where) == where[-1] + 1 - where[0]
    return out


@partial(jax.jit, static_argnums=0)
def whole_pass(graphdef, params, obs, action):
    model = nnx.merge(graphdef, params)
    logits, outputs = model.sequence(obs, model.init_cache(len(action), 0))
    return batched_index(jax.nn.log_softmax(logits), action), model.value_head.value(outputs)


@pytest.mark.parametrize(
    ("variant", "task"),
    breadth(
        [
            *((variant, "clock") for variant in VARIANTS),
            *((variant, "task") for variant in ("attention", "window", "kernels")),
        ],
        *((variant, task) for task, variant in PLAYED.items()),
        ("kernels", "task"),
    ),
)
def test_log_probs_and_values_are_those_of_whole_episode_means(variant, task):
    _, graphdef, params = built(variant)
    rollout = rows(played(variant, task))
    episodes = cuts(rollout)
    # Padded with rows of whatever comes next, which cannot matter.
    index = np.array([[min(e.start + t, e.end - 1) for t in range(ROWS)] for e in episodes])
    stream = np.array([[e.stream] for e in episodes])
    there = np.array([[e.start + t < e.end for t in range(ROWS)] for e in episodes])
    obs, action = jax.tree.map(lambda x: x[index, stream], (rollout.obs, rollout.action))
    log_prob, value = whole_pass(graphdef, params, obs, action)
    assert np.asarray(value)[there].std() > 0.01
    for means, whole in ((rollout.extras.log_prob, log_prob), (rollout.extras.value, value)):
        means = np.asarray(means)[index, stream]
        np.testing.assert_allclose(means[there], np.asarray(whole)[there], atol=2e-5, rtol=0)
    assert there.sum() == PARTS * PART * 8


@pytest.mark.parametrize("task", TASKS)
def test_episodes_follow_each_other(task):
    rollout = rows(played(PLAYED[task], task))
    done = np.asarray(rollout.terminated | rollout.truncated)
    no_action_yet, valid = np.asarray(rollout.obs.last_action) == 4, np.asarray(rollout.valid)
    episodes = cuts(rollout)
    for stream, start, end in episodes:
        num_actions = end - start - 1
        assert no_action_yet[start:end, stream].tolist() == [True] + [False] * num_actions
        if end < PARTS * PART:
            # The last action ends the episode; the row of the last observation is not valid.
            assert valid[start:end, stream].tolist() == [True] * num_actions + [False]
            assert done[start:end, stream].tolist() == [False] * (num_actions - 1) + [True, False]
    lengths = {e.end - e.start for e in episodes}
    assert lengths == {ROWS, PARTS * PART % ROWS} if task == "clock" else len(lengths) > 4


def gradients(variant, part):
    """Of a weighted sum of all outputs of a rollout: from its cache, and by whole episodes.

    By whole episodes they are two, one that stops at the start of the rollout and one that does
    not.
    """
    _, graphdef, params = built(variant)
    parts = played(variant)
    at_first = jax.tree.map(lambda x: x[part], parts)
    first, last = part * PART, (part + 1) * PART
    weight = jax.random.normal(jax.random.key(5), (PART, 8, 1))

    def total(model, obs, caches, segments, weight):
        obs, segments, weight = batch_major((obs, segments, weight))
        logits, outputs = model.sequence(obs, caches, segments)
        return jnp.sum(logits[..., :2] * weight) + jnp.sum(outputs * weight)

    @jax.grad
    def of_rollout(params):
        segments = at_first.rollout.extras.segment
        model = nnx.merge(graphdef, params)
        return total(model, at_first.rollout.obs, at_first.caches, segments, weight)

    @jax.grad
    def of_episodes(params, stopped):
        model = nnx.merge(graphdef, params)
        before = nnx.merge(
            graphdef,
            jax.tree.map(lambda x: jnp.where(stopped, jax.lax.stop_gradient(x), x), params),
        )
        sums = []
        for start in range(0, last, ROWS):
            begins, ends = max(first, start), min(last, start + ROWS)
            if begins < ends:
                caches = remembered(before, obs_of(parts, start, begins))
                now, rest = obs_of(parts, begins, ends), weight[begins - first : ends - first]
                sums.append(total(model, now, caches, None, rest))
        return sum(sums)

    whole = jax.jit(of_episodes)
    trees = jax.jit(of_rollout)(params), whole(params, True), whole(params, False)
    return [jax.tree.leaves(tree) for tree in trees]


def obs_of(parts, start, end):
    return jax.tree.map(lambda x: x[start:end], rows(parts).obs)


def remembered(model, obs):
    """The caches of a model that has seen this much of an episode and nothing before."""
    num_steps, num_streams = obs.last_action.shape
    caches = model.init_cache(num_streams, num_steps)
    if not num_steps:
        return caches
    return jax.lax.scan(lambda caches, obs: (model.step(obs, caches)[2], None), caches, obs)[0]


def batch_major(tree):
    return jax.tree.map(lambda x: jnp.swapaxes(x, 0, 1), tree)


# Rollout 1 is within the first episode; in rollout 2 the first one ends and the second begins.
@pytest.mark.slow
@pytest.mark.parametrize(
    ("variant", "part"),
    breadth([(name, n) for name in ("attention", "window") for n in (1, 2)], ("attention", 2)),
)
def test_gradients_are_those_of_whole_episodes_stopped_at_the_start_of_the_rollout(variant, part):
    mine, stopped, unstopped = gradients(variant, part)
    for one, whole in zip(mine, stopped, strict=True):
        np.testing.assert_allclose(one, whole, atol=1e-5 * float(jnp.abs(whole).max()) + 1e-6)
    # The stop makes a difference.
    assert max(float(jnp.abs(a - b).max()) for a, b in zip(mine, unstopped, strict=True)) > 0.01


def by_hand(rollout, first, last):
    """Statistics of the episodes that ended in rows first to last, one at a time."""
    reward, valid = np.asarray(rollout.reward), np.asarray(rollout.valid)
    ended = valid & np.asarray(rollout.terminated | rollout.truncated)
    stats = []
    for stream, start, end in cuts(rollout):
        if (
            ended[start:end, stream].any()
            and first <= start + np.argmax(ended[start:end, stream]) < last
        ):
            whole = reward[start:end, stream][valid[start:end, stream]]
            stats.append(episode_stats(jnp.asarray(whole)))
    return stats


@pytest.mark.parametrize("task", TASKS)
def test_statistics_are_of_the_episodes_that_ended(task):
    parts = played(PLAYED[task], task)
    rollout, counts = rows(parts), []
    for part in range(PARTS):
        means = {name: float(x[part]) for name, x in parts.episodes.items()}
        means = SimpleNamespace(**means)
        stats = by_hand(rollout, part * PART, (part + 1) * PART)
        counts.append(len(stats))
        assert means.num_episodes == len(stats)
        if not stats:
            assert (means.episode_return, means.memory_gain, means.first_find_steps) == (0, 0, 0)
            continue
        stats = EpisodeStats(*(jnp.stack(leaves) for leaves in zip(*stats, strict=True)))
        assert means.episode_return == pytest.approx(float(stats.episode_return.mean()))
        assert means.first_find_steps == pytest.approx(np.asarray(stats.first_find_steps).mean())
        assert means.memory_gain == pytest.approx(float(memory_gain(stats)), rel=1e-5)
        assert means.memory_gain > 0
    if task == "clock":
        # Episodes end with rows 9, 20 and 31: in the third, the sixth and the eighth rollout.
        assert counts == [0, 0, 8, 0, 0, 8, 0, 8, 0]
    else:
        assert len(set(counts)) > 2


@pytest.mark.slow
@pytest.mark.parametrize("task", breadth(TASKS, "task"))
def test_statistics_of_whole_episode_means(task):
    config = settings()
    env = tiny.small_room(config, TASKS[task])

    @jax.jit
    def run(key):
        levels = jax.vmap(env.generate)(jax.random.split(key, 16))
        return play(env, random_policy(4), levels, key).rollout

    rollout = run(jax.random.key(0))
    means = SimpleNamespace(**Finds().whole(rollout))
    valid = np.asarray(rollout.valid)
    stats = [
        episode_stats(rollout.reward[: valid[:, stream].sum(), stream]) for stream in range(32)
    ]
    assert means.num_episodes == 32
    assert float(means.episode_return) == pytest.approx(np.mean([s.episode_return for s in stats]))
    first = np.mean([s.first_find_steps for s in stats])
    assert float(means.first_find_steps) == pytest.approx(first)
    gain = memory_gain(EpisodeStats(*(jnp.stack(x) for x in zip(*stats, strict=True))))
    assert float(means.memory_gain) == pytest.approx(float(gain), rel=1e-5)
    assert valid.all() == (task == "clock")


@pytest.mark.parametrize(
    ("window", "tokens"), [(None, STEPS), (1, 0), (4, 3), (ROWS, STEPS), (ROWS + 50, STEPS)]
)
def test_caches_are_as_long_as_the_context(window, tokens):
    config = settings(window=window)
    assert context_length(config, config.make_env()) == tokens
    if window is None:
        assert played("attention").caches[0].key.shape[-1] == tokens
