import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gridmem.baselines.config import OptimizerConfig
from gridmem.baselines.optimizer import make_optimizer

PARAMS = {"matrix": jnp.ones((2, 2)), "vector": jnp.ones(2)}
DIRECTION = {"matrix": jnp.array([[1.0, -2.0], [0.5, 0.0]]), "vector": jnp.array([3.0, 0.1])}


def gradient(norm):
    scale = norm / optax.tree.norm(DIRECTION)
    return jax.tree.map(lambda leaf: leaf * scale, DIRECTION)


def updates(optimizer, gradients):
    """The updates for a series of gradients, and the state after the last one."""
    out = []
    with jax.numpy_dtype_promotion("standard"):  # optax's own affair, as in the learner
        state = optimizer.init(PARAMS)
        for grads in gradients:
            update, state = optimizer.update(grads, state, PARAMS)
            out.append(update)
    return out, state


def moments(state):
    return [optax.tree.get(state, name) for name in ("mu", "nu")]


def test_an_outlier_is_clipped_before_it_enters_the_moments():
    optimizer = make_optimizer(OptimizerConfig(max_grad_norm=2.0), 10)
    outlier, clipped = (moments(updates(optimizer, [gradient(n)])[1]) for n in (1e6, 2.0))
    for a, b in zip(jax.tree.leaves(outlier), jax.tree.leaves(clipped), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5)
    assert np.abs(clipped[0]["vector"]).max() > 0.01


def test_a_short_gradient_is_left_alone():
    optimizer = make_optimizer(OptimizerConfig(max_grad_norm=2.0, b1=0.9), 10)
    mean = moments(updates(optimizer, [gradient(1.0)])[1])[0]
    np.testing.assert_allclose(mean["matrix"], 0.1 * gradient(1.0)["matrix"], rtol=1e-5)


def test_the_learning_rate_rises_and_falls_in_straight_lines():
    config = OptimizerConfig(learning_rate=0.1, warmup=0.2, weight_decay=0.0, max_grad_norm=1e9)
    # Under a constant gradient Adam's step is the learning rate, against the gradient's sign.
    steps, _ = updates(make_optimizer(config, 20), [gradient(1.0)] * 22)
    rates = [-float(step["vector"][0]) for step in steps]
    rising = [0.0, 0.025, 0.05, 0.075]
    falling = [0.1 * (1 - k / 16) for k in range(17)]
    assert rates == pytest.approx([*rising, *falling, 0.0], abs=1e-5)


def test_without_warm_up_no_step_but_the_first_is_lost():
    config = OptimizerConfig(learning_rate=0.1, warmup=0.0, weight_decay=0.0, max_grad_norm=1e9)
    steps, _ = updates(make_optimizer(config, 4), [gradient(1.0)] * 2)
    assert -float(steps[1]["vector"][0]) == pytest.approx(0.1, abs=1e-4)


def test_only_matrices_decay():
    config = OptimizerConfig(learning_rate=0.1, warmup=0.5, weight_decay=0.3)
    nothing = jax.tree.map(jnp.zeros_like, PARAMS)
    steps, _ = updates(make_optimizer(config, 4), [nothing] * 3)
    np.testing.assert_allclose(steps[2]["matrix"], -0.1 * 0.3 * PARAMS["matrix"], rtol=1e-5)
    assert (steps[2]["vector"] == 0).all()
