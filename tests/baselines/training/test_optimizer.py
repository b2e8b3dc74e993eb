import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import tiny
from breadth import breadth
from flax import nnx

from gridmem.baselines.config import OptimizerConfig
from gridmem.baselines.ppo.learner import build_model
from gridmem.baselines.training.optimizer import labels, make_optimizer

IN_BLOCK = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
DIRECTION = {
    "blocks": {"matrix": jnp.asarray(IN_BLOCK)},
    "matrix": jnp.array([[1.0, -2.0], [0.5, 0.0]]),
    "vector": jnp.array([3.0, 0.1]),
}
PARAMS = jax.tree.map(jnp.ones_like, DIRECTION)


def gradient(norm, change=None):
    """A gradient of that length, in a direction some parts of which may be changed."""
    direction = DIRECTION | (change or {})
    scale = norm / optax.tree.norm(direction)
    return jax.tree.map(lambda leaf: leaf * scale, direction)


def updates(optimizer, gradients):
    """The updates for a series of gradients, and the state after the last one."""
    out, compiled = [], jax.jit(optimizer.update)
    with jax.numpy_dtype_promotion("standard"):  # optax's own affair, as in the learner
        state = optimizer.init(PARAMS)
        for grads in gradients:
            update, state = compiled(grads, state, PARAMS)
            out.append(update)
    return out, state


def moments(state):
    return [optax.tree.get(state, name) for name in ("mu", "nu")]


@pytest.mark.parametrize("name", ["adamw", "muon"])
def test_an_outlier_is_clipped_before_the_optimizer_sees_it(name):
    config = OptimizerConfig(optimizer=name, max_grad_norm=2.0, warmup=0.0)
    following = gradient(1.0, {"matrix": 1 - DIRECTION["matrix"], "vector": -DIRECTION["vector"]})
    following["blocks"] = {"matrix": gradient(0.5)["blocks"]["matrix"][::-1]}
    optimizer = make_optimizer(config, 10)
    outlier, long, short = (
        updates(optimizer, [gradient(n), following])[0] for n in (3e6, 3.0, 0.5)
    )
    for a, b in zip(jax.tree.leaves(outlier), jax.tree.leaves(long), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-8)
    # What came first does matter to what follows.
    assert jnp.abs(long[1]["blocks"]["matrix"] - short[1]["blocks"]["matrix"]).max() > 1e-5


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


def test_without_warm_up_the_learning_rate_falls_from_the_first_step():
    config = OptimizerConfig(learning_rate=0.1, warmup=0.0, weight_decay=0.0, max_grad_norm=1e9)
    steps, _ = updates(make_optimizer(config, 4), [gradient(1.0)] * 4)
    rates = [-float(step["vector"][0]) for step in steps]
    assert rates == pytest.approx([0.1, 0.075, 0.05, 0.025], abs=1e-5)


@pytest.mark.parametrize("name", ["adamw", "muon"])
def test_only_matrices_decay(name):
    config = OptimizerConfig(optimizer=name, learning_rate=0.1, warmup=0.5, weight_decay=0.3)
    nothing = jax.tree.map(jnp.zeros_like, PARAMS)
    steps, _ = updates(make_optimizer(config, 4), [nothing] * 3)
    assert (steps[2]["vector"] == 0).all()
    for matrix in (steps[2]["matrix"], steps[2]["blocks"]["matrix"]):
        np.testing.assert_allclose(matrix, jnp.full_like(matrix, -0.1 * 0.3), rtol=1e-5)


def named(tree):
    """The leaves of a tree of parameters by the names that they have in the model."""
    return {
        ".".join(str(key.key) for key in path if hasattr(key, "key")): leaf
        for path, leaf in jax.tree_util.tree_leaves_with_path(tree)
    }


@pytest.mark.parametrize(
    ("mixer", "matrices"),
    [
        ("attention", ["query", "key", "value", "out"]),
        (
            "gru",
            [
                *(f"{gate}_{of}" for gate in ("keep", "reset", "new") for of in ("input", "state")),
                "out",
            ],
        ),
        (
            "lstm",
            [
                *(f"{gate}_input" for gate in ("keep", "take", "show", "new")),
                *(f"{gate}_state" for gate in ("keep", "take", "show", "new")),
                "out",
            ],
        ),
        ("linear", ["gate", "value", "decay", "input", "out"]),
        ("gla", ["query", "key", "value", "gate", "decay", "out"]),
        ("none", ["gate", "value", "out"]),
    ],
)
def test_muon_has_every_matrix_of_the_blocks_and_nothing_else(mixer, matrices):
    config = tiny.config(model={"mixer": mixer, "qk_norm": True, "value_head": "hl_gauss"})
    env = config.make_env()
    model = nnx.eval_shape(lambda: build_model(config, env, jax.random.key(0)))
    whose = named(labels(nnx.state(model)))
    parts = [f"mixer.{name}" for name in matrices] + ["ff.gate", "ff.up", "ff.down"]
    of_muon = {f"blocks.{block}.{part}" for block in range(2) for part in parts}
    assert {name for name, label in whose.items() if label == "muon"} == of_muon
    others = {name for name, label in whose.items() if label == "adamw"}
    assert others == set(whose) - of_muon
    assert {"view", "action", "reward", "value_in", "value_bias", "value_out"} <= others
    assert {"final_norm.scale", "blocks.0.mixer_norm.scale", "blocks.1.ff_norm.scale"} <= others


@pytest.mark.parametrize(
    ("rms", "shape", "scale"),
    breadth(
        [
            # An orthogonal matrix of m x n has rms 1 / sqrt(max(m, n)).
            (0.2, (6, 24), 0.2 * 24**0.5),
            (0.05, (24, 6), 0.05 * 24**0.5),
            (0.05, (8, 8), 0.05 * 8**0.5),
            # As first published: sqrt(columns / rows), at least 1.
            (None, (6, 24), 2.0),
            (None, (24, 6), 1.0),
        ],
        (0.2, (6, 24), 0.2 * 24**0.5),
        (0.05, (24, 6), 0.05 * 24**0.5),
        (None, (6, 24), 2.0),
        (None, (24, 6), 1.0),
    ),
)
def test_an_update_of_muon_is_the_gradient_made_orthogonal(rms, shape, scale):
    config = OptimizerConfig(
        optimizer="muon", learning_rate=0.5, warmup=0.0, weight_decay=0.0, muon_rms=rms
    )
    grads = {"blocks": [{"matrix": jax.random.normal(jax.random.key(1), shape)}]}
    update = first_update(config, grads)["blocks"][0]["matrix"]
    left, values, right = np.linalg.svd(grads["blocks"][0]["matrix"], full_matrices=False)
    assert values[0] > 1.5 * values[-1]
    turned = -left.T @ np.asarray(update) @ right.T / (0.5 * scale)
    # Muon's five Newton-Schulz steps bring each singular value into 0.7 to 1.2.
    assert np.diag(turned).min() > 0.65
    assert np.diag(turned).max() < 1.25
    np.testing.assert_allclose(turned - np.diag(np.diag(turned)), 0, atol=1e-4)
    if rms is not None:
        assert np.sqrt(np.mean(update**2)) == pytest.approx(0.5 * rms, rel=0.25)


def test_outside_of_the_blocks_muon_is_adamw():
    grads = gradient(1.0)
    adamw, muon = (
        first_update(OptimizerConfig(optimizer=name, warmup=0.0), grads)
        for name in ("adamw", "muon")
    )
    for name in ("matrix", "vector"):
        np.testing.assert_array_equal(adamw[name], muon[name])
    assert (adamw["blocks"]["matrix"] != muon["blocks"]["matrix"]).all()


def first_update(config, grads):
    optimizer, params = make_optimizer(config, 10), jax.tree.map(jnp.ones_like, grads)
    with jax.numpy_dtype_promotion("standard"):
        return optimizer.update(grads, optimizer.init(params), params)[0]


@pytest.mark.slow
def test_matrices_of_a_shape_are_orthogonalised_together_as_one_by_one():
    rng = np.random.default_rng(1)
    shapes = {"a": (3, 4), "b": (4, 3), "c": (3, 4), "d": (3, 4), "e": (4, 4)}
    tree = {
        name: jnp.asarray(rng.normal(size=shape), jnp.float32) for name, shape in shapes.items()
    }
    params = jax.tree.map(lambda leaf: 0.1 * leaf[::-1], tree)
    config = OptimizerConfig(optimizer="muon", warmup=0.0, weight_decay=0.1, max_grad_norm=1e9)
    optimizer = make_optimizer(config, 10)

    def two_steps(params):
        with jax.numpy_dtype_promotion("standard"):
            params = {"blocks": params}
            state, out = optimizer.init(params), []
            for sign in (1.0, -0.5):
                grads = {"blocks": {name: sign * tree[name] for name in params["blocks"]}}
                update, state = optimizer.update(grads, state, params)
                out.append(update["blocks"])
        return out

    together = two_steps(params)
    for name in shapes:
        alone = two_steps({name: params[name]})
        for step, single in zip(together, alone, strict=True):
            np.testing.assert_allclose(step[name], single[name], atol=1e-7)
