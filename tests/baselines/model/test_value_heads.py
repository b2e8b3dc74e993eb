import math
from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gridmem.baselines.config import ModelConfig
from gridmem.baselines.model.value_heads import HLGauss, SquaredError, make_value_head

# Four bins of width 1 from 0 to 4; the Gaussian deviates by half a bin.
HEAD = HLGauss(num_bins=4, low=0.0, high=4.0, sigma=0.5)
WIDE = HLGauss(num_bins=51, low=-10.0, high=10.0, sigma=0.75)


def by_hand(target, low, width, num_bins, deviation):
    """The share of a Gaussian in each bin, of all that is within the histogram."""
    edges = [low + k * width for k in range(num_bins + 1)]
    below = [0.5 * (1 + math.erf((edge - target) / (deviation * math.sqrt(2)))) for edge in edges]
    return [(b - a) / (below[-1] - below[0]) for a, b in pairwise(below)]


def histogram(head, target):
    return np.asarray(head.histogram(jnp.float32(target)), np.float64)


def test_the_histogram_of_a_target_by_hand():
    # At 1.5, the middle of the second bin, edges are -3, -1, 1, 3 and 5 deviations away. Of a
    # Gaussian 0.1573 is between 1 and 3 of them, 0.6827 within 1, 0.0013 beyond either 3.
    np.testing.assert_allclose(histogram(HEAD, 1.5), [0.1575, 0.6836, 0.1575, 0.0014], atol=1e-4)
    # At 2, an edge, both sides are alike: 2 deviations to the next edge, 4 to the end.
    np.testing.assert_allclose(histogram(HEAD, 2.0), [0.0227, 0.4773, 0.4773, 0.0227], atol=1e-4)


@pytest.mark.parametrize("target", [0.0, 0.3, 1.0, 1.5, 2.71, 3.9, 4.0])
def test_the_histogram_is_the_gaussians_share_of_each_bin(target):
    np.testing.assert_allclose(
        histogram(HEAD, target), by_hand(target, 0.0, 1.0, 4, 0.5), atol=1e-6, rtol=0
    )


@pytest.mark.parametrize("target", [-9.99, -3.2, 0.0, 0.17, 5.0, 10.0])
def test_sigma_is_in_bin_widths_and_bins_may_have_any(target):
    width = 20 / 51
    expected = by_hand(target, -10.0, width, 51, 0.75 * width)
    np.testing.assert_allclose(histogram(WIDE, target), expected, atol=1e-6, rtol=0)


def test_every_histogram_sums_to_one():
    targets = jnp.linspace(-12.0, 12.0, 97)
    for head in (HEAD, WIDE):
        shares = head.histogram(targets)
        assert shares.shape == (97, head.num_outputs)
        assert (shares >= 0).all()
        np.testing.assert_allclose(shares.sum(axis=-1), 1, atol=1e-6)


def test_the_value_of_a_targets_histogram_is_the_target():
    # Away from the ends, where the Gaussian is cut off: a few deviations of 0.75 bins.
    targets = jnp.linspace(-8.0, 8.0, 41)
    logits = jnp.log(WIDE.histogram(targets) + 1e-30)
    np.testing.assert_allclose(WIDE.value(logits), targets, atol=0.01)
    # At the ends it is half of a Gaussian, whose mean is within a bin.
    ends = WIDE.value(jnp.log(WIDE.histogram(jnp.array([-10.0, 10.0])) + 1e-30))
    np.testing.assert_allclose(ends, [-10.0, 10.0], atol=20 / 51)


def test_the_value_is_the_mean_of_the_bins_centres():
    # Softmax of these logits is 1/2, 1/4, 1/8, 1/8; centres are 0.5, 1.5, 2.5, 3.5.
    logits = jnp.log(jnp.array([[4.0, 2.0, 1.0, 1.0]]))
    np.testing.assert_allclose(HEAD.value(logits), [0.25 + 0.375 + 0.3125 + 0.4375], rtol=1e-6)
    assert HEAD.value(jnp.zeros((2, 3, 4))).shape == (2, 3)


def test_a_target_beyond_an_end_counts_as_that_end():
    for beyond, end in ((-5.0, 0.0), (4.1, 4.0), (1e6, 4.0)):
        np.testing.assert_array_equal(histogram(HEAD, beyond), histogram(HEAD, end))


def test_targets_beyond_the_ends_are_outside():
    targets = jnp.array([-0.1, 0.0, 2.0, 4.0, 4.1])
    assert HEAD.outside(targets).tolist() == [1, 0, 0, 0, 1]
    assert SquaredError().outside(targets).tolist() == [0] * 5


def test_the_loss_is_cross_entropy():
    logits = jnp.array([0.5, -1.0, 2.0, 0.0])
    log_probs = [x - math.log(sum(math.exp(y) for y in logits.tolist())) for x in logits.tolist()]
    expected = -sum(p * q for p, q in zip(by_hand(1.2, 0.0, 1.0, 4, 0.5), log_probs, strict=True))
    assert float(HEAD.loss(logits, jnp.float32(1.2))) == pytest.approx(expected, abs=1e-5)


def test_the_gradient_is_softmax_minus_histogram():
    logits, target = jnp.array([0.5, -1.0, 2.0, 0.0]), jnp.float32(1.2)
    likely = np.exp(np.asarray(logits)) / np.exp(np.asarray(logits)).sum()
    gradient = jax.grad(HEAD.loss)(logits, target)
    expected = likely - by_hand(1.2, 0.0, 1.0, 4, 0.5)
    np.testing.assert_allclose(gradient, expected, atol=1e-6)


def test_squared_error_by_hand():
    head, outputs, target = SquaredError(), jnp.array([[3.0], [-1.0]]), jnp.array([1.0, -1.5])
    assert head.num_outputs == 1
    assert head.value(outputs).tolist() == [3.0, -1.0]
    assert head.loss(outputs, target).tolist() == [2.0, 0.125]
    gradient = jax.grad(lambda x: head.loss(x, target).sum())(outputs)
    assert gradient.tolist() == [[2.0], [0.5]]


def test_the_config_chooses_the_head():
    config = ModelConfig(
        value_head="hl_gauss", value_bins=7, value_min=-1.0, value_max=2.0, value_sigma=0.5
    )
    assert make_value_head(config) == HLGauss(num_bins=7, low=-1.0, high=2.0, sigma=0.5)
    assert make_value_head(ModelConfig(value_head="mse")) == SquaredError()
