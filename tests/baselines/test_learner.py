import math
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import recorded_levels
import tiny
from flax import nnx

import gridmem.baselines.learner as learner_module
from gridmem import Env, EnvConfig, TextMap
from gridmem.baselines.learner import build_model, update
from gridmem.baselines.loss import Batch
from gridmem.baselines.model_policy import model_policy
from gridmem.envs.types import Observation
from gridmem.envs.unroll import play

ENV = tiny.CONFIG.make_env()
N = tiny.CONFIG.ppo.num_envs


def run(config, env, num_updates=1, learner=None):
    """The learner after some updates, and the metrics of each as numbers."""
    graphdef, start = tiny.start(config)
    learner = start if learner is None else learner
    rows = []
    for _ in range(num_updates):
        learner, metrics = update(config, env, graphdef, learner)
        rows.append([float(leaf) for leaf in jax.tree.leaves(metrics)])
    return learner, metrics, rows


@pytest.fixture(scope="module")
def three_updates():
    return run(tiny.CONFIG, ENV, 3)


@pytest.mark.parametrize(
    ("model", "tolerance"),
    [
        ({}, 1e-5),
        ({"mixer": "none", "num_layers": 1}, 1e-5),
        # Stepping and the full pass round differently: 8 bits of logits of size 0.3.
        ({"dtype": "bfloat16", "num_layers": 1}, 0.01),
    ],
    ids=["attention", "none", "bfloat16"],
)
def test_the_first_ratio_is_one(model, tolerance):
    config = tiny.config(model=model)
    _, metrics, rows = run(config, ENV, 3)
    column = metrics._fields.index("first_ratio_error")
    assert max(row[column] for row in rows) <= tolerance
    # The later minibatches of an update do move the ratio, so the measure can tell.
    assert float(metrics.loss.max_ratio_error) > 10 * float(metrics.first_ratio_error)
    assert np.isfinite(rows).all()


def test_it_compiles_once(three_updates):
    before = update._cache_size()
    run(replace(tiny.CONFIG), tiny.config().make_env(), 2)
    assert update._cache_size() == before


def test_a_seed_decides_everything(three_updates):
    learner, _, rows = three_updates
    again, _, same_rows = run(tiny.CONFIG, ENV, 3)
    assert same_rows == rows
    for a, b in zip(tiny.host(learner), tiny.host(again), strict=True):
        np.testing.assert_array_equal(a, b)
    other = tiny.start(tiny.config(seed=1))[1]
    _, _, other_rows = run(tiny.CONFIG, ENV, 1, other)
    assert other_rows[0] != rows[0]


def test_updates_differ_and_are_counted(three_updates):
    learner, _, rows = three_updates
    assert len({tuple(row) for row in rows}) == 3
    assert int(learner.num_updates) == 3


def test_the_norm_of_the_new_parameters_is_reported(three_updates):
    learner, metrics, _ = three_updates
    squares = sum(float(np.square(np.float64(leaf)).sum()) for leaf in tiny.host(learner.params))
    assert float(metrics.param_norm) == pytest.approx(squares**0.5, rel=1e-5)


def test_the_learner_is_given_away():
    graphdef, learner = tiny.start(tiny.CONFIG)
    big = [leaf for leaf in jax.tree.leaves(learner) if leaf.size > 1]
    update(tiny.CONFIG, ENV, graphdef, learner)
    assert len(big) > 10
    assert all(leaf.is_deleted() for leaf in big)


def test_every_update_has_fresh_levels_and_agents_may_share_a_cave():
    assert recorded_levels.ENV.num_agents == 2
    with recorded_levels.collect() as levels:
        _, metrics, rows = run(recorded_levels.CONFIG, recorded_levels.ENV, 3)
    assert len(levels) == len(set(levels)) == 3 * 4
    assert float(metrics.first_ratio_error) <= 1e-5
    assert np.isfinite(rows).all()


def batch_of(model, graphdef, params):
    """What the learner makes of an episode, and the value at its end by a full pass."""

    @jax.jit
    def both(params):
        model = nnx.merge(graphdef, params)
        levels = jax.vmap(ENV.generate)(jax.random.split(jax.random.key(0), N))
        unrolled = play(ENV, model_policy(model), levels, jax.random.key(1))
        _, batch = learner_module._batch(tiny.CONFIG, model, unrolled)
        seen = jax.tree.map(
            lambda past, last: jnp.swapaxes(jnp.concatenate([past, last[None]]), 0, 1),
            unrolled.rollout.obs,
            unrolled.timestep.obs,
        )
        _, values = model.sequence(seen, model.init_cache(N, 0))
        return batch, jnp.swapaxes(unrolled.rollout.reward, 0, 1), values

    return both(params)


def test_truncation_asks_the_value_of_the_true_last_observation():
    model = build_model(tiny.CONFIG, ENV, jax.random.key(0))
    model.value_out[...] = 50 * model.value_out[...]
    batch, reward, values = batch_of(model, *nnx.split(model))
    # The last target is r + gamma V, whatever lambda is.
    used = (batch.target[:, -1] - reward[:, -1]) / tiny.CONFIG.ppo.gamma
    np.testing.assert_allclose(used, values[:, -1], atol=1e-5)
    for wrong in (values[:, -2], values[:, 0]):
        assert np.abs(used - wrong).max() > 0.01
    np.testing.assert_allclose(batch.value, values[:, :-1], atol=1e-5)


def test_advantages_are_what_the_value_missed_in_units_of_their_spread():
    model = build_model(tiny.CONFIG, ENV, jax.random.key(0))
    batch, _, _ = batch_of(model, *nnx.split(model))
    missed = np.asarray(batch.target - batch.value)
    assert tiny.CONFIG.ppo.normalize_advantage
    np.testing.assert_allclose(batch.advantage, (missed - missed.mean()) / missed.std(), atol=1e-3)


def test_an_epoch_visits_every_stream_once_and_whole(monkeypatch):
    num_streams, num_steps = 8, 5
    config = tiny.config(model={"mixer": "none", "num_layers": 1}, ppo={"num_minibatches": 4})
    graphdef, learner = tiny.start(config)
    number = jnp.arange(num_streams * num_steps, dtype=jnp.float32).reshape(num_streams, -1)
    obs = Observation(
        jnp.zeros((num_streams, num_steps, 5, 5), jnp.uint8),
        jnp.zeros((num_streams, num_steps), jnp.int32),
        number,
        jnp.zeros((num_streams, num_steps, 0), jnp.float32),
    )
    batch = Batch(jnp.zeros(number.shape, jnp.int32), -number, number, number, number)
    minibatches = []
    loss = learner_module.ppo_loss

    def recording_loss(logits, value, batch, config):
        jax.debug.callback(lambda *arrays: minibatches.append(arrays), *batch, ordered=False)
        return loss(logits, value, batch, config)

    monkeypatch.setattr(learner_module, "ppo_loss", recording_loss)
    learn = jax.jit(lambda *args: learner_module._learn(config, graphdef, *args))
    jax.block_until_ready(learn(learner, obs, batch, jax.random.key(0)))
    jax.effects_barrier()
    assert len(minibatches) == 2 * 4
    orders = []
    for epoch in (minibatches[:4], minibatches[4:]):
        rows = np.concatenate([m[2] for m in epoch])
        assert all(m[2].shape == (2, num_steps) for m in epoch)
        order = (rows[:, 0] / num_steps).astype(int)
        np.testing.assert_array_equal(rows, np.asarray(number)[order])
        assert sorted(order) == list(range(num_streams))
        orders.append(order.tolist())
        for _, log_prob, value, advantage, target in epoch:
            np.testing.assert_array_equal(log_prob, -value)
            np.testing.assert_array_equal(advantage, value)
            np.testing.assert_array_equal(target, value)
    assert orders[0] != orders[1]


def learn(config, env, num_updates):
    """Mean return per episode in each update."""
    graphdef, learner = tiny.start(config)
    returns = []
    for _ in range(num_updates):
        learner, metrics = update(config, env, graphdef, learner)
        returns.append(metrics.episode_return)
    return np.array(returns, float)


def test_a_few_dozen_updates_are_enough_for_a_corridor():
    # Three steps to the goal and back to the start: 16 steps hold 5 visits.
    corridor = TextMap(("#######", "#0..G.#", "#######"))
    env = Env(EnvConfig(map=corridor, max_steps=16))
    config = tiny.config(
        model={"num_layers": 1},
        ppo={"num_envs": 32, "num_minibatches": 4, "num_epochs": 2, "entropy_coef": 0.01},
        optimizer={"learning_rate": 5e-3, "warmup": 0.02},
        total_steps=40 * 32 * 16,
    )
    returns = learn(config, env, 40)
    assert returns[0] < 1.5
    assert returns[-5:].mean() > 4


@pytest.mark.slow
def test_it_learns_to_remember_a_cave():
    config = tiny.config(
        env={"max_steps": None},
        model={"width": 64, "ff_width": 128, "num_heads": 4, "head_dim": 16},
        ppo={"num_envs": 128, "num_minibatches": 8, "num_epochs": 1},
        optimizer={"learning_rate": 2e-3},
        total_steps=150 * 128 * 64,
    )
    returns = learn(config, config.make_env(), 150)
    assert math.isfinite(returns.sum())
    assert returns[-10:].mean() > 2.5 * returns[0]
