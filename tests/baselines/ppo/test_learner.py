import itertools
import json
import math
from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny
from breadth import breadth
from flax import nnx

import gridmem.baselines.ppo.learner as learner_module
from gridmem import Env, EnvConfig, TextMap
from gridmem.baselines.config import to_dict
from gridmem.baselines.model.mixers import (
    attention,
    continued_attention,
    decode_kernel,
    quantized,
)
from gridmem.baselines.model.policy import model_policy
from gridmem.baselines.ppo.learner import (
    TrainBatch,
    build_model,
    make_batch,
    minibatch_loss,
    train_epochs,
    update,
)
from gridmem.baselines.ppo.loss import Transitions
from gridmem.baselines.ppo.rollout import collect, init_rollout, new_levels, play_episodes
from gridmem.baselines.train import main
from gridmem.envs.types import Observation

ENV, ROOM = tiny.CONFIG.make_env(), tiny.small_room(tiny.CONFIG)
N = tiny.CONFIG.ppo.num_envs
# An episode of 16 steps and its last observation are 17 rows: rollouts of 6 do not divide it.
SHORT = {"rollout_steps": 6}
EVERY_STREAM = {"num_minibatches": 1}


def run(config, env, num_updates=1, learner=None):
    """The learner after some updates, the last metrics, and those of each as numbers."""
    graphdef, start = tiny.start(config, env)
    learner = start if learner is None else learner
    rows = []
    for _ in range(num_updates):
        learner, metrics = update(config, env, graphdef, learner)
        rows.append([float(leaf) for leaf in jax.tree.leaves(metrics)])
    return learner, metrics, rows


@pytest.fixture(scope="module")
def three_updates():
    return run(tiny.CONFIG, ENV, 3)


OF_REFERENCE = {"qk_norm": True, "window": 5, "value_head": "hl_gauss", "num_layers": 1}


def moving(model, ppo):
    """A config whose parameters change fast."""
    # All streams are in the first minibatch, hence all positions.
    return tiny.config(
        model=model,
        method={**EVERY_STREAM, **ppo},
        optimizer={"warmup": 0.0, "learning_rate": 3e-3},
    )


KERNELS = {"attention": "triton", "decode": "triton", "head_dim": 16}
ROLLOUTS = moving(OF_REFERENCE, SHORT)
RATIOS = {
    "whole": (moving({}, {}), 1e-5),
    "none": (moving({"mixer": "none", "num_layers": 1}, {}), 1e-5),
    "rollouts": (moving({}, SHORT), 1e-5),
    "window rollouts": (ROLLOUTS, 1e-5),
    "rollouts with kernels": (moving({**KERNELS, "window": 9}, SHORT), 1e-5),
    "int8": (moving({"kv_dtype": "int8"}, {}), 1e-5),
    "int8 rollouts": (moving(OF_REFERENCE | {"kv_dtype": "int8", "num_layers": 2}, SHORT), 1e-5),
    # Stepping and the full pass round differently: 8 bits of what logits are made of.
    "window bfloat16": (moving(OF_REFERENCE | {"dtype": "bfloat16"}, {}), 0.01),
    "rollouts bfloat16": (moving({"dtype": "bfloat16"}, SHORT), 0.01),
}


@pytest.mark.parametrize(
    ("config", "tolerance"),
    breadth(RATIOS.values(), RATIOS["window rollouts"]),
    ids=RATIOS,
)
def test_the_first_ratio_is_one(config, tolerance):
    before = tiny.host(tiny.start(config, ROOM)[1].params)
    learner, metrics, rows = run(config, ROOM, 5)
    column = metrics._fields.index("first_ratio_error") + len(metrics.episodes) - 1
    assert max(row[column] for row in rows) <= tolerance
    # Parameters change, and the ratio of the second epoch tells.
    moved = [np.abs(a - b).max() for a, b in zip(before, tiny.host(learner.params), strict=True)]
    assert max(moved) > 3e-3
    assert float(metrics.loss.max_ratio_error) > 10 * float(metrics.first_ratio_error)
    assert np.isfinite([row[3:] for row in rows]).all()


@pytest.mark.parametrize("method", breadth([{}, SHORT], SHORT), ids=["whole episodes", "rollouts"])
def test_the_next_view_is_an_auxiliary_loss(method):
    config = tiny.config(
        model={"predict_view_coef": 3.0, "num_layers": 1}, method={**EVERY_STREAM, **method}
    )
    plain = replace(config, model=replace(config.model, predict_view_coef=0.0))
    (graphdef, learner), (plain_graphdef, plain_learner) = map(tiny.start, (config, plain))
    others = {name: leaf for name, leaf in learner.params.items() if name != "next_view"}
    # They begin as without it.
    assert jax.tree.all(jax.tree.map(jnp.array_equal, others, dict(plain_learner.params.items())))

    @jax.jit
    def evaluated(learner, plain_params, key):
        model = nnx.merge(graphdef, learner.params)
        batch = make_batch(config.ppo, collect(config, ENV, model, learner.rollout_state, key, key))
        loss, (metrics,) = minibatch_loss(config, graphdef, learner.params, [batch])
        without, _ = minibatch_loss(plain, plain_graphdef, plain_params, [batch])
        features = model.all_blocks(model.embed(batch.obs), batch.caches, batch.segments)
        action = batch.transitions.action

        def at(t):
            after = jax.tree.map(lambda x: x[:, [t + 1]], batch.obs)
            return model.next_view.losses(features[:, [t]], action[:, [t]], after)

        of_steps = [at(t) for t in range(action.shape[1] - 1)]
        of_steps = jnp.concatenate(of_steps, axis=1)
        return loss, without, metrics.auxiliary["next_view_loss"], of_steps, batch.transitions.valid

    loss, without, predicted, of_steps, valid = evaluated(
        learner, plain_learner.params, jax.random.key(1)
    )
    assert predicted == pytest.approx(float(of_steps[valid[:, :-1]].mean()), rel=1e-5)
    assert predicted == pytest.approx(math.log(5), rel=0.05)  # of five ids, as likely at first
    assert loss == pytest.approx(float(without + 3 * predicted), rel=1e-5)


@pytest.mark.slow
def test_a_run_with_the_next_view_is_planned_and_begun_from_one_without_and_back(tmp_path, capfd):
    def run_from(name, *words):
        config = tiny.config(method={"rollout_steps": 8}, total_steps=192, eval_levels=0)
        (tmp_path / "settings.json").write_text(json.dumps(to_dict(config)))
        argv = str(tmp_path / "settings.json"), "--run-dir", str(tmp_path / name), *words
        assert main([*argv, "--plan"]) == 0
        programs = update._cache_size()
        assert main([*argv]) == 0
        assert update._cache_size() == programs + 1
        return capfd.readouterr().out

    run_from("without")
    out = run_from("with", "--predict-view-coef", "1", "--init-from", str(tmp_path / "without"))
    assert "fresh: next_view" in out
    run_from("back", "--init-from", str(tmp_path / "with"))


def test_the_next_view_is_learned():
    config = tiny.config(
        model={"predict_view_coef": 1.0, "num_layers": 1},
        optimizer={"warmup": 0.0, "learning_rate": 1e-2},
    )
    learner, losses = None, []
    for _ in range(6):
        learner, metrics, _ = run(config, ENV, 1, learner)
        losses.append(float(metrics.loss.auxiliary["next_view_loss"]))
    assert losses[-1] < 0.5 * losses[0]


@pytest.mark.slow
@pytest.mark.parametrize("kv_dtype", ["model", "int8"])
def test_the_first_ratio_is_one_by_the_kernels(kv_dtype, monkeypatch):
    """They are interpreted, and in float32."""
    by_triton = partial(continued_attention.by_triton, interpret=True)
    monkeypatch.setattr(continued_attention, "by_xla", by_triton)
    decode = partial(decode_kernel.by_triton, interpret=True)
    monkeypatch.setattr(decode_kernel, "decode_by_xla", decode)
    # No other test has this base, so that the update is traced here.
    model = {**KERNELS, "num_layers": 1, "kv_dtype": kv_dtype, "rope_base": 99.0}
    config = moving(model, SHORT)
    _, metrics, rows = run(config, ROOM, 4)
    column = metrics._fields.index("first_ratio_error") + len(metrics.episodes) - 1
    assert max(row[column] for row in rows) <= 1e-5
    assert float(metrics.loss.max_ratio_error) > 10 * float(metrics.first_ratio_error)


def test_with_kernels_a_learner_has_the_arrays_that_it_has_without():
    """So that a run can be resumed with either."""
    shapes = []
    for model in ({"head_dim": 16}, KERNELS):
        config = moving(model, SHORT)
        graphdef, learner = tiny.start(config, ROOM)
        after, _ = jax.eval_shape(partial(update, config, ROOM, graphdef), learner)
        shapes += [jax.tree.map(jnp.shape, each) for each in (learner, after)]
    assert shapes[0].rollout_state is not None
    assert all(each == shapes[0] for each in shapes[1:])


@pytest.mark.slow
@pytest.mark.parametrize("method", [{}, SHORT], ids=["whole episodes", "rollouts"])
def test_training_attends_to_the_numbers_of_the_rollout(method, monkeypatch):
    """Here a rollout rounds to the code below, as it may do in the middle between two."""
    config = tiny.config(model={"kv_dtype": "int8"}, method={**EVERY_STREAM, **method})
    graphdef, learner = tiny.start(config, ROOM)
    rounded = quantized.quantized

    def below(x, axis=-1):
        kept = rounded(x, axis)
        return kept._replace(codes=jnp.maximum(kept.codes - jnp.int8(1), jnp.int8(-127)))

    monkeypatch.setattr(attention, "quantized", below)
    monkeypatch.setattr(quantized, "_REACH", {"float32": 2.0})

    @jax.jit
    def errors(params, state, key):
        model = nnx.merge(graphdef, params)
        batch = make_batch(config.ppo, collect(config, ROOM, model, state, key, key))
        return [
            minibatch_loss(config, graphdef, params, [each])[1][0].max_ratio_error
            for each in (batch, batch._replace(rounded=None))
        ]

    sharper = jax.tree_util.tree_map_with_path(
        lambda path, leaf: 30 * leaf if "action" in str(path) else leaf, learner.params
    )
    told, alone = errors(sharper, learner.rollout_state, jax.random.key(0))
    assert told <= 1e-5
    assert alone > 1e-3


def test_it_compiles_once(three_updates):
    before = update._cache_size()
    run(replace(tiny.CONFIG), tiny.config().make_env(), 2)
    assert update._cache_size() == before


EITHER_WAY = pytest.mark.parametrize(
    ("config", "env"), [(tiny.CONFIG, ENV), (ROLLOUTS, ROOM)], ids=["whole episodes", "rollouts"]
)


@EITHER_WAY
def test_a_seed_decides_everything(config, env):
    (one, _, rows), (again, _, same_rows) = (run(config, env, 4) for _ in range(2))
    np.testing.assert_array_equal(rows, same_rows)
    for a, b in zip(tiny.host(one), tiny.host(again), strict=True):
        np.testing.assert_array_equal(a, b)
    _, _, other_rows = run(config, env, 1, tiny.start(replace(config, seed=1), env)[1])
    assert other_rows[0][-3:] != rows[0][-3:]


def test_updates_differ_and_are_counted(three_updates):
    learner, _, rows = three_updates
    assert len({tuple(row) for row in rows}) == 3
    assert int(learner.num_updates) == 3


def test_the_norm_of_the_new_parameters_is_reported(three_updates):
    learner, metrics, _ = three_updates
    squares = sum(float(np.square(np.float64(leaf)).sum()) for leaf in tiny.host(learner.params))
    assert float(metrics.param_norm) == pytest.approx(squares**0.5, rel=1e-5)


@EITHER_WAY
def test_the_learner_is_donated(config, env):
    graphdef, learner = tiny.start(config, env)
    big = [leaf for leaf in jax.tree.leaves(learner) if leaf.size > 1]
    update(config, env, graphdef, learner)
    assert len(big) > 10
    assert all(leaf.is_deleted() for leaf in big)


def diverse(config):
    """A model whose values differ from one another."""
    model = build_model(config, config.make_env(), jax.random.key(0))
    model.value_out[...] = 50 * model.value_out[...]
    return nnx.split(model)


@partial(jax.jit, static_argnums=(0, 1, 2))
def whole_episode(config, env, graphdef, params):
    """The transitions of one episode, its rewards, and its values by a full pass."""
    model, keys = nnx.merge(graphdef, params), jax.random.split(jax.random.key(0))
    batch = make_batch(config.ppo, collect(config, env, model, None, *keys))
    levels = new_levels(config, env, keys[0])
    result = play_episodes(config, env, model_policy(model), levels, keys[1])
    obs = jax.tree.map(
        lambda past, last: jnp.swapaxes(jnp.concatenate([past, last[None]]), 0, 1),
        result.rollout.obs,
        result.timestep.obs,
    )
    values = model.value_head.value(model.sequence(obs, model.init_cache(N, 0))[1])
    return batch.transitions, result.rollout, values


def test_truncation_asks_the_value_of_the_true_last_observation():
    batch, rollout, values = whole_episode(tiny.CONFIG, ENV, *diverse(tiny.CONFIG))
    # The last target is r + gamma V, whatever lambda is.
    used = (batch.target[:, -1] - rollout.reward[-1]) / tiny.CONFIG.ppo.gamma
    np.testing.assert_allclose(used, values[:, -1], atol=1e-5)
    for wrong in (values[:, -2], values[:, 0]):
        assert np.abs(used - wrong).max() > 0.01
    np.testing.assert_allclose(batch.value, values[:, :-1], atol=1e-5)
    assert batch.valid.all()


def test_advantages_are_what_the_value_missed_in_units_of_their_spread():
    batch, _, _ = whole_episode(tiny.CONFIG, ENV, *diverse(tiny.CONFIG))
    missed = np.asarray(batch.target - batch.value)
    assert tiny.CONFIG.ppo.normalize_advantage
    np.testing.assert_allclose(batch.advantage, (missed - missed.mean()) / missed.std(), atol=1e-3)


@pytest.mark.slow
def test_nothing_counts_after_the_task_has_ended_an_episode():
    config = tiny.config(method={"normalize_advantage": False})
    env = tiny.small_room(config, tiny.TwoFinds())
    batch, rollout, _ = whole_episode(config, env, *diverse(config))
    valid = np.asarray(batch.valid)
    ends = np.asarray(rollout.terminated.T) & valid
    assert (ends.sum(axis=1) == 1).sum() >= N / 2
    for stream in range(N):
        length = np.argmax(ends[stream]) + 1 if ends[stream].any() else 16
        assert valid[stream].tolist() == [True] * length + [False] * (16 - length)
    # Nothing follows an end by the task: the target is the reward alone.
    np.testing.assert_array_equal(batch.target[ends], np.asarray(rollout.reward.T)[ends])
    assert (batch.target[~ends & valid] != np.asarray(rollout.reward.T)[~ends & valid]).any()
    assert (np.asarray(batch.advantage)[~valid] == 0).all()
    np.testing.assert_array_equal(batch.target[~valid], batch.value[~valid])


@partial(jax.jit, static_argnums=(0, 1, 2))
def three_rollouts(config, env, graphdef, params):
    """The transitions of three rollouts that continue each other, and the rewards."""
    model = nnx.merge(graphdef, params)

    def one(state, key):
        experience = collect(config, env, model, state, key, key)
        batch = make_batch(config.ppo, experience)
        return experience.state, (batch.transitions, experience.rollout.reward.T)

    state = init_rollout(config, env, model, jax.random.key(1))
    stacked = jax.lax.scan(one, state, jax.random.split(jax.random.key(2), 3))[1]
    return [jax.tree.map(lambda x, n=n: x[n], stacked) for n in range(3)]


@pytest.mark.slow
def test_the_value_after_a_rollout_is_that_with_which_the_next_one_begins():
    config = tiny.config(method={**SHORT, "gamma": 0.5, "normalize_advantage": False})
    batches = three_rollouts(config, ROOM, *diverse(config))
    for (batch, reward), (following, _) in itertools.pairwise(batches):
        used = (batch.target[:, -1] - reward[:, -1]) / 0.5
        np.testing.assert_allclose(used, following.value[:, 0], atol=1e-5)
    # Rows 12 to 17: the last one begins an episode, the one before is a last observation.
    batch, reward = batches[2]
    np.testing.assert_array_equal(batch.valid, [[True] * 4 + [False, True]] * N)
    used = (batch.target[:, 3] - reward[:, 3]) / 0.5
    np.testing.assert_allclose(used, batch.value[:, 4], atol=1e-5)
    assert np.abs(batch.value[:, 4] - batch.value[:, 5]).max() > 0.01
    np.testing.assert_array_equal(batch.target[:, 4], batch.value[:, 4])
    assert (batch.advantage[:, 4] == 0).all()


def test_metrics_of_rollouts_are_of_the_episodes_that_ended():
    # Actions 0 to 5, 6 to 11; 12 to 15 and the reset; none of the second episode ends in row 23.
    _, _, rows = run(ROLLOUTS, ROOM, 4)
    # The metrics of episodes come first, in the order of their names.
    assert [row[1] == 0 for row in rows] == [True, True, False, True]
    assert [row[4] for row in rows] == [0, 0, N, 0]


@pytest.mark.slow
def test_the_share_of_targets_outside_the_value_head_is_reported():
    # Without a future the targets are the rewards, and 1 is beyond 0.5.
    head = {"value_head": "hl_gauss", "value_min": -0.5, "value_max": 0.5}
    config = tiny.config(model=head | {"mixer": "none", "num_layers": 1}, method={"gamma": 0.0})
    _, metrics, _ = run(config, ROOM)
    assert 0 < float(metrics.target_outside) < 1
    assert float(metrics.target_outside) == pytest.approx(
        float(metrics.episodes["episode_return"]) / 16
    )
    _, metrics, _ = run(tiny.CONFIG, ENV)
    assert float(metrics.target_outside) == 0


@pytest.mark.slow
@pytest.mark.parametrize("ppo", breadth([{}, SHORT], {}), ids=["whole episodes", "rollouts"])
def test_episodes_may_be_terminated(ppo):
    config = tiny.config(method={**EVERY_STREAM, **ppo}, model={"num_layers": 1})
    _, metrics, rows = run(config, tiny.small_room(config, tiny.TwoFinds()), 3)
    assert np.isfinite(rows[-1]).all()
    assert float(metrics.first_ratio_error) <= 1e-5
    assert 0 < float(metrics.episodes["episode_return"]) <= 2
    assert float(metrics.episodes["num_episodes"]) > 0


@pytest.mark.slow
def test_an_epoch_visits_every_stream_once_and_whole(monkeypatch):
    num_streams, num_steps, seen = 8, 5, 3
    config = tiny.config(model={"num_layers": 1}, method={"num_minibatches": 4, **SHORT})
    graphdef, learner = tiny.start(config)
    number = jnp.arange(num_streams * num_steps, dtype=jnp.float32).reshape(num_streams, -1)
    model = nnx.merge(graphdef, learner.params)
    (cache,) = model.keep(model.init_cache(num_streams, 0, segmented=True), seen)
    of_stream = number[:, :1, None, None]
    data = TrainBatch(
        Observation(
            jnp.zeros((num_streams, num_steps, 5, 5), jnp.uint8),
            jnp.zeros((num_streams, num_steps), jnp.int32),
            number,
            jnp.zeros((num_streams, num_steps, 0), jnp.float32),
        ),
        Transitions(
            number >= 0, jnp.zeros(number.shape, jnp.int32), -number, number, number, number
        ),
        [cache._replace(key=cache.key + of_stream, value=cache.value - of_stream)],
        number.astype(jnp.int32),
    )
    minibatches = []

    def recording_loss(config, graphdef, params, batches):
        def note(*arrays):
            minibatches.append([np.asarray(array, np.float32) for array in arrays])

        (batch,) = batches
        (cache,) = batch.caches
        of_steps = batch.transitions
        jax.debug.callback(
            note,
            of_steps.log_prob,
            of_steps.value,
            of_steps.advantage,
            of_steps.target,
            batch.obs.last_reward,
            batch.segments,
            cache.key[:, 0, 0, 0],
            cache.value[:, 0, 0, 0],
            ordered=False,
        )
        return minibatch_loss(config, graphdef, params, batches)

    monkeypatch.setattr(learner_module, "minibatch_loss", recording_loss)
    learn = jax.jit(lambda *args: train_epochs(config, graphdef, *args))
    jax.block_until_ready(learn(learner, [data], jax.random.key(0)))
    jax.effects_barrier()
    assert len(minibatches) == 2 * 4
    orders = []
    for epoch in (minibatches[:4], minibatches[4:]):
        rows = np.concatenate([m[1] for m in epoch])
        assert all(m[1].shape == (2, num_steps) for m in epoch)
        order = (rows[:, 0] / num_steps).astype(int)
        np.testing.assert_array_equal(rows, np.asarray(number)[order])
        assert sorted(order) == list(range(num_streams))
        orders.append(order.tolist())
        for log_prob, value, advantage, target, last_reward, segments, key, cached in epoch:
            np.testing.assert_array_equal(log_prob, -value)
            for same in (advantage, target, last_reward, segments):
                np.testing.assert_array_equal(same, value)
            np.testing.assert_array_equal(key, value[:, 0])
            np.testing.assert_array_equal(cached, -value[:, 0])
    assert orders[0] != orders[1]


def learn(config, env, num_updates):
    """Mean return per episode in each update."""
    graphdef, learner = tiny.start(config)
    returns = []
    for _ in range(num_updates):
        learner, metrics = update(config, env, graphdef, learner)
        returns.append(metrics.episodes["episode_return"])
    return np.array(returns, float)


@pytest.mark.slow
def test_a_few_dozen_updates_are_enough_for_a_corridor():
    # Three steps to the goal and back to the start: 16 steps hold 5 visits.
    corridor = TextMap(("#######", "#0..G.#", "#######"))
    env = Env(EnvConfig(map=corridor, max_steps=16))
    config = tiny.config(
        model={"num_layers": 1},
        method={"num_envs": 32, "num_minibatches": 4, "num_epochs": 2, "entropy_coef": 0.01},
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
        method={"num_envs": 128, "num_minibatches": 8, "num_epochs": 1},
        optimizer={"learning_rate": 2e-3},
        total_steps=150 * 128 * 64,
    )
    returns = learn(config, config.make_env(), 150)
    assert math.isfinite(returns.sum())
    assert returns[-10:].mean() > 2.5 * returns[0]
