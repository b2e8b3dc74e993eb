import math
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gridmem.baselines.ppo.loss import (
    Transitions,
    explained_variance,
    normalized,
    ppo_loss,
    td_lambda,
)
from gridmem.baselines.ppo.settings import PPOConfig
from gridmem.baselines.training.imitation import masked_mean

T, B = 7, 5


def arrays(seed=0):
    rng = np.random.default_rng(seed)
    reward, value = rng.normal(size=(2, T, B)).astype(np.float32)
    last_value = rng.normal(size=B).astype(np.float32)
    terminated = rng.random((T, B)) < 0.3
    terminated[:, 0] = False
    terminated[-1, 1] = True
    return reward, value, last_value, terminated


def targets(reward, value, last_value, terminated, gamma, lam, valid=None):
    valid = np.ones(reward.shape, bool) if valid is None else valid
    as_array = [jnp.asarray(x) for x in (reward, value, last_value, terminated, valid)]
    return np.asarray(td_lambda(*as_array, gamma, lam))


def n_step_return(reward, value, terminated, t, n, gamma):
    """n rewards from t on and the value after them; values are of T + 1 observations."""
    total = 0.0
    for k in range(n):
        total += gamma**k * float(reward[t + k])
        if terminated[t + k]:
            return total
    return total + gamma**n * float(value[t + n])


def weighted_returns(reward, value, last_value, terminated, gamma, lam, valid=None):
    """(1 - lam) sum_n lam^(n-1) G^(n), the last return taking all the weight that is left.

    The longest return ends with the rollout, or with the episode: at the next row not valid.
    """
    out = value.astype(np.float64)
    valid = np.ones(reward.shape, bool) if valid is None else valid
    for b in range(reward.shape[1]):
        values = np.append(value[:, b], last_value[b])
        for t in np.flatnonzero(valid[:, b]):
            out[t, b] = 0
            longest = len(reward[t:]) if valid[t:, b].all() else np.argmin(valid[t:, b])
            for n in range(1, longest + 1):
                weight = lam ** (n - 1) * (1 - lam if n < longest else 1)
                g = n_step_return(reward[:, b], values, terminated[:, b], t, n, gamma)
                out[t, b] += weight * g
    return out


@pytest.mark.parametrize(
    ("gamma", "lam"), [(0.9, 0.8), (1.0, 0.5), (0.97, 0.0), (0.97, 1.0), (0, 0.5)]
)
def test_td_lambda_equals_weighted_n_step_returns(gamma, lam):
    data = arrays()
    np.testing.assert_allclose(
        targets(*data, float(gamma), lam), weighted_returns(*data, gamma, lam), atol=1e-5
    )


@pytest.mark.parametrize(("gamma", "lam"), [(0.9, 0.8), (1.0, 0.0), (0.97, 1.0)])
@pytest.mark.parametrize("seed", range(4))
def test_td_lambda_knows_nothing_of_the_next_episode(gamma, lam, seed):
    *data, valid = episodes_in_a_row(seed)
    expected = weighted_returns(*data, gamma, lam, valid)
    out = targets(*data, gamma, lam, valid)
    np.testing.assert_allclose(out, expected, atol=1e-5)
    # The row of a reset is its own target.
    np.testing.assert_array_equal(out[~valid], data[1][~valid])
    assert 0 < (~valid).sum() < valid.sum()


def episodes_in_a_row(seed):
    """Rows of which those after an end, by the task or by the clock, are of a reset."""
    reward, value, last_value, _ = arrays(seed)
    ended = np.random.default_rng(seed).random((T, B)) < 0.4
    valid = np.ones((T, B), bool)
    for t in range(1, T):
        valid[t] = ~(ended[t - 1] & valid[t - 1])
    by_task = np.random.default_rng(seed + 1).random((T, B)) < 0.5
    return np.where(valid, reward, 0), value, last_value, ended & valid & by_task, valid


def test_td_lambda_across_a_reset_by_hand():
    # gamma = lambda = 1/2. Rows: an action that ends the episode, its last observation, which is
    # worth 8, and the first action of the next episode; 4 is what comes after that.
    column = [np.float32([[1], [0], [3]]), np.float32([[0.5], [8], [7]]), np.float32([4])]
    valid = np.array([[True], [False], [True]])
    # The clock: 1 + 1/2 * 8. The task: 1. The next episode: 3 + 1/2 * 4.
    for by_task, first in ((False, 5.0), (True, 1.0)):
        terminated = np.array([[by_task], [False], [False]])
        out = targets(*column, terminated, 0.5, 0.5, valid)
        assert out[:, 0].tolist() == [first, 8.0, 5.0]


def test_td_lambda_by_hand():
    # gamma = lambda = 1/2, rewards 1 and 0, values 1/2 and 1/4, and 2 of the last observation.
    # t = 1: 0 + 1/2 * 2 = 1
    # t = 0: 1 + 1/2 * (1/2 * 1/4 + 1/2 * 1) = 1.3125
    column = [np.float32([[1], [0]]), np.float32([[0.5], [0.25]]), np.float32([2])]
    going_on = targets(*column, np.array([[False], [False]]), 0.5, 0.5)
    assert going_on[:, 0].tolist() == [1.3125, 1.0]
    # Terminated by the action at t = 1: nothing follows it.
    # t = 1: 0; t = 0: 1 + 1/2 * (1/2 * 1/4 + 1/2 * 0) = 1.0625
    ended = targets(*column, np.array([[False], [True]]), 0.5, 0.5)
    assert ended[:, 0].tolist() == [1.0625, 0.0]
    # Terminated at t = 0: 1, whatever comes after.
    cut = targets(*column, np.array([[True], [False]]), 0.5, 0.5)
    assert cut[:, 0].tolist() == [1.0, 1.0]


def test_lambda_zero_is_one_step():
    reward, value, last_value, terminated = arrays()
    following = np.vstack([value[1:], last_value])
    np.testing.assert_allclose(
        targets(reward, value, last_value, terminated, 0.9, 0.0),
        reward + 0.9 * np.where(terminated, 0, following),
        atol=1e-6,
    )


def test_lambda_one_is_the_discounted_sum_and_knows_no_value_but_the_last():
    reward, value, last_value, _ = arrays()
    never = np.zeros((T, B), bool)
    out = targets(reward, value, last_value, never, 0.9, 1.0)
    powers = 0.9 ** np.arange(T)
    np.testing.assert_allclose(out[0], powers @ reward + 0.9**T * last_value, atol=1e-5)
    np.testing.assert_array_equal(out, targets(reward, value + 5, last_value, never, 0.9, 1.0))


def test_truncation_asks_the_last_value_and_termination_does_not():
    reward, value, last_value, _ = arrays()
    end = np.zeros((T, B), bool)
    end[-1] = True
    for terminated, moved in ((np.zeros((T, B), bool), True), (end, False)):
        before = targets(reward, value, last_value, terminated, 0.9, 0.8)
        after = targets(reward, value, last_value + 1, terminated, 0.9, 0.8)
        assert (before != after).all() == moved
        assert (before != after).any() == moved


PURE = PPOConfig(policy_clip=0.2, value_coef=0.0, entropy_coef=0.0)


def one_choice(probability, old_probability, advantage, value_loss=0.0, valid=True):
    """Logits of a single choice among four, action 2 having the probability, and its batch."""
    rest = (1 - probability) / 3
    logits = jnp.log(jnp.array([[[rest, rest, probability, rest]]], jnp.float32))

    def cell(x):
        return jnp.full((1, 1), x, jnp.float32)

    log_prob = cell(math.log(old_probability))
    of_value = cell(0.0), cell(advantage), cell(0.0)
    batch = Transitions(jnp.full((1, 1), valid), jnp.full((1, 1), 2), log_prob, *of_value)
    return logits, cell(value_loss), batch


@pytest.mark.parametrize(
    ("probability", "advantage", "loss", "moves"),
    [
        (0.75, 1.0, -1.2, False),  # ratio 1.5: -min(1.5 * 1, 1.2 * 1)
        (0.75, -1.0, 1.5, True),  # -min(1.5 * -1, 1.2 * -1)
        (0.25, 1.0, -0.5, True),  # ratio 0.5: -min(0.5 * 1, 0.8 * 1)
        (0.25, -1.0, 0.8, False),  # -min(0.5 * -1, 0.8 * -1)
        (0.55, 2.0, -2.2, True),  # ratio 1.1, inside: -1.1 * 2
        (0.45, -2.0, 1.8, True),  # ratio 0.9, inside: 0.9 * 2
    ],
)
def test_the_clipped_surrogate(probability, advantage, loss, moves):
    logits, value, batch = one_choice(probability, 0.5, advantage)
    total, metrics = ppo_loss(logits, value, batch, PURE)
    assert float(metrics.policy_loss) == pytest.approx(loss, abs=1e-5)
    assert float(total) == pytest.approx(loss, abs=1e-5)
    gradient = jax.grad(lambda x: ppo_loss(x, value, batch, PURE)[0])(logits)
    if moves:
        # d(-ratio * A) / d logit of the action = -A * ratio * (1 - p)
        by_hand = -advantage * probability / 0.5 * (1 - probability)
        assert float(gradient[0, 0, 2]) == pytest.approx(by_hand, abs=1e-5)
    else:
        assert (gradient == 0).all()


def test_what_is_logged_by_hand():
    logits, value, batch = one_choice(0.75, 0.5, 1.0)
    metrics = ppo_loss(logits, value, batch, PURE)[1]
    assert float(metrics.approx_kl) == pytest.approx(1.5 - 1 - math.log(1.5), abs=1e-6)
    assert float(metrics.max_ratio_error) == pytest.approx(0.5, abs=1e-6)
    assert float(metrics.clip_fraction) == 1
    # -(0.75 ln 0.75 + 3 * (1/12) ln (1/12)) = 0.2158 + 0.6212
    assert float(metrics.entropy) == pytest.approx(0.8370, abs=1e-4)
    inside = ppo_loss(*one_choice(0.55, 0.5, 1.0), PURE)[1]
    assert float(inside.clip_fraction) == 0
    uniform = ppo_loss(*one_choice(0.25, 0.25, 1.0), PURE)[1]
    assert float(uniform.entropy) == pytest.approx(math.log(4), abs=1e-6)
    assert float(uniform.approx_kl) == pytest.approx(0, abs=1e-6)


def test_the_parts_are_added_with_their_weights():
    config = replace(PURE, value_coef=0.25, entropy_coef=0.1)
    logits, value_loss, batch = one_choice(0.25, 0.25, 1.0, value_loss=4.5)
    total, metrics = ppo_loss(logits, value_loss, batch, config)
    assert float(metrics.value_loss) == pytest.approx(4.5)
    assert float(total) == pytest.approx(-1 + 0.25 * 4.5 - 0.1 * math.log(4), abs=1e-5)
    gradient = jax.grad(lambda v: ppo_loss(logits, v, batch, config)[0])(value_loss)
    assert float(gradient[0, 0]) == pytest.approx(0.25)


def test_the_loss_is_a_mean_over_streams_and_steps():
    parts = [one_choice(p, 0.5, a) for p, a in ((0.75, 1.0), (0.75, -1.0), (0.25, 1.0))]
    logits, value, batch = jax.tree.map(lambda *x: jnp.concatenate(x, axis=1), *parts)
    total, metrics = ppo_loss(logits, value, batch, PURE)
    assert float(total) == pytest.approx((-1.2 + 1.5 - 0.5) / 3, abs=1e-5)
    assert float(metrics.clip_fraction) == 1
    assert float(metrics.max_ratio_error) == pytest.approx(0.5, abs=1e-6)


def test_rows_that_are_not_valid_count_for_nothing():
    config = replace(PURE, value_coef=0.5, entropy_coef=0.1)
    valid = [one_choice(0.75, 0.5, 1.0, 2.0), one_choice(0.25, 0.5, -1.0, 1.0)]
    reset = [one_choice(0.9, 0.1, 5.0, 7.0, valid=False), one_choice(0.25, 0.9, 3.0, 9.0, False)]

    def loss(parts):
        logits, value_losses, batch = jax.tree.map(lambda *x: jnp.concatenate(x, axis=1), *parts)
        of_batch = jax.value_and_grad(ppo_loss, argnums=(0, 1), has_aux=True)
        return jax.jit(of_batch, static_argnums=3)(logits, value_losses, batch, config)

    (total, metrics), gradients = loss(valid)
    (same_total, same_metrics), others = loss([valid[0], reset[0], valid[1], reset[1]])
    assert float(same_total) == pytest.approx(float(total), abs=1e-6)
    np.testing.assert_allclose(same_metrics, metrics, atol=1e-6)
    for gradient, other in zip(gradients, others, strict=True):
        np.testing.assert_allclose(other[:, ::2], gradient, atol=1e-6)
        assert (other[:, 1::2] == 0).all()


def test_where_nothing_is_valid_the_loss_is_zero():
    total, metrics = ppo_loss(*one_choice(0.9, 0.1, 5.0, 7.0, valid=False), PURE)
    assert float(total) == 0
    assert [float(x) for x in metrics] == [0] * len(metrics)


def test_means_and_advantages_are_of_the_valid_rows():
    x, valid = jnp.array([[1.0, 100.0, 3.0], [5.0, 7.0, -50.0]]), np.ones((2, 3), bool)
    valid[0, 1] = valid[1, 2] = False
    assert float(masked_mean(x, jnp.asarray(valid))) == 4
    # 1, 3, 5, 7: mean 4, deviation sqrt(5).
    scaled = normalized(x, jnp.asarray(valid))
    expected = np.array([[-3, 0, -1], [1, 3, 0]]) / 5**0.5
    np.testing.assert_allclose(scaled, expected, atol=1e-6)


@pytest.mark.parametrize(
    ("value", "share"),
    [
        ([0, 2, 4], 1.0),  # perfect
        ([7, 9, 11], 1.0),  # off by a constant: nothing of the variance is left
        ([3, 3, 3], 0.0),  # constant: all of it is left
        ([4, 2, 0], -3.0),  # differences -4, 0, 4: variance 32/3 against 8/3; 1 - 4
    ],
)
def test_explained_variance(value, share):
    target = jnp.array([[0.0], [2.0], [4.0]])
    value = jnp.array(value, jnp.float32)[:, None]
    out = explained_variance(value, target, jnp.ones((3, 1), bool))
    assert float(out) == pytest.approx(share, abs=1e-6)
    with_reset = jax.tree.map(lambda x: jnp.concatenate([x, jnp.array([[9.0]])]), (value, target))
    valid = jnp.array([[True], [True], [True], [False]])
    out = explained_variance(with_reset[0], with_reset[1] + 5, valid)
    assert float(out) == pytest.approx(share, abs=1e-6)


def test_explained_variance_of_constant_targets_is_a_number():
    constant, valid = jnp.zeros((3, 1)), jnp.ones((3, 1), bool)
    assert float(explained_variance(constant, constant, valid)) == 1
    assert math.isfinite(float(explained_variance(constant + 1, constant, valid)))
