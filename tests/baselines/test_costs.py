import jax
import jax.numpy as jnp
import pytest
import tiny
from flax import nnx
from jax import lax

from gridmem.baselines.costs import Costs, costs
from gridmem.baselines.model import Block
from gridmem.baselines.operations import Operation, Value

N = 16
SQUARE = jax.ShapeDtypeStruct((N, N), jnp.float32)
SIZE = 4 * N * N
PRODUCT = 2 * N**3


def product(x, y):
    return jnp.dot(x, y)


def looped(x):
    return lax.scan(lambda carry, _: (product(carry, x), None), x, length=5)[0]


def open_ended(x):
    return lax.while_loop(lambda y: y[0, 0] < 1, lambda y: product(y, x), x)


def branching(x):
    return lax.cond(x[0, 0] > 0, lambda x: x, lambda x: product(product(x, x), x), x)


def called_twice(x):
    inner = jax.jit(lambda x: product(x, x))
    return inner(x), inner(x)


def batched(x):
    return jax.vmap(lambda row: product(x, row))(x)


@pytest.mark.parametrize(
    ("function", "num_products"),
    [
        (lambda x: x + 1, 0),
        (lambda x: product(x, x), 1),
        (lambda x: product(x[:4], x) @ x[:, :4], 5 / 16),
        (jax.jit(lambda x: product(x, x)), 1),
        (called_twice, 2),
        (looped, 5),
        (open_ended, 1),
        (branching, 2),
        (batched, 1),
        (jax.value_and_grad(lambda x: product(x, 2 * x).sum()), 3),
        (jax.checkpoint(lambda x: product(x, x)), 1),
    ],
)
@pytest.mark.parametrize("fused", [False, True])
def test_products_are_counted_wherever_they_are(function, num_products, fused):
    assert costs(function, SQUARE, fused=fused).flops == num_products * PRODUCT


def test_products_move_their_operands_and_their_result():
    assert costs(lambda x: product(x, x), SQUARE, fused=True).bytes == 3 * SIZE
    assert costs(lambda x: product(x[:4], x), SQUARE, fused=True).bytes == 1.5 * SIZE
    assert costs(looped, SQUARE, fused=True).bytes == 5 * 3 * SIZE
    assert costs(lambda x: jnp.tanh(x) + 1, SQUARE, fused=True).bytes == 0


def chain(x):
    y = product(x, x)
    z = product(y, x)
    return product(z, x)


def kept_until_the_end(x):
    y = product(x, x)
    z = product(y, x)
    return product(z, y)


def written_into(x):
    y = product(x, x)
    return lax.dynamic_update_slice(y, x[:1], (0, 0))


def put_into_zeros(x):
    return lax.dynamic_update_slice(jnp.zeros_like(x), x[:1], (0, 0))


@pytest.mark.parametrize(
    ("function", "held", "fused"),
    [
        (lambda x: x + 1, 1, True),
        (lambda x: x[:4].T, 0.25, True),
        (chain, 2, True),
        (chain, 2, False),
        (kept_until_the_end, 3, True),
        (lambda x: (product(x, x), chain(x)), 3, True),
        (lambda x: (x + 1) * x - 2, 1, True),
        (lambda x: (x + 1) * x - 2, 2, False),
        # What a product reads is made first.
        (lambda x: product(x + 1, x), 2, True),
        (lambda x: product((x + 1).T, x), 2, True),
        (lambda x: product(x.T, x), 1, True),
        (written_into, 1, True),
        (put_into_zeros, 1, True),
        # The broadcast, the product and the result.
        (lambda x: jnp.broadcast_to(x[:1], x.shape) * product(x, x), 2, True),
        (lambda x: jnp.broadcast_to(x[:1], x.shape) * product(x, x), 3, False),
    ],
)
def test_what_is_used_again_is_held_until_then(function, held, fused):
    assert costs(function, SQUARE, fused=fused).peak == pytest.approx(held * SIZE, abs=SIZE / N)


def padded(y):
    return lax.dynamic_update_slice(jnp.zeros_like(y), y[:1], (0, 0))


ARITHMETIC = [
    lambda y, x: (y + 1, y * 2),
    lambda y, x: (jnp.where(y > 0, y, 0), -y),
    lambda y, x: (y * x[:1], y + x[:, :1]),
    lambda y, x: (y * x[0, 0], y.astype(jnp.int32).astype(jnp.float32)),
]
VIEWS = [
    lambda y, x: (y.T, y[:, None, :][:, 0]),
    lambda y, x: (y.reshape(4, 4, N).transpose(1, 0, 2).reshape(N, N), y.T),
]
OTHERS = [
    lambda y, x: (jnp.tanh(y), jnp.exp(y)),
    lambda y, x: (jnp.sort(y), jnp.cumsum(y, axis=0)),
    lambda y, x: (padded(y), padded(2 * y)),
]


@pytest.mark.parametrize(
    ("pair", "is_held", "fused"),
    [
        *((pair, False, True) for pair in ARITHMETIC + VIEWS),
        *((pair, True, True) for pair in OTHERS),
        *((pair, True, False) for pair in ARITHMETIC + OTHERS),
        *((pair, False, False) for pair in VIEWS),
    ],
)
def test_arithmetic_and_views_are_had_anew_where_they_are_used(pair, is_held, fused):
    # Either y is held to the end, with the product and the result, or before that the pair, too.
    def function(x):
        y = product(x, x)
        first, second = pair(y, x)
        return product(y, x) + first * second

    peak = costs(function, SQUARE, fused=fused).peak
    assert (peak > 3.9 * SIZE) == is_held
    assert peak >= 2.9 * SIZE


def test_what_a_loop_holds_counts_once():
    inside = costs(lambda x: jnp.exp(product(x, x)) @ x, SQUARE, fused=True).peak
    loop = costs(
        lambda x: lax.scan(lambda c, _: (jnp.exp(product(c, c)) @ c, None), x, length=9)[0],
        SQUARE,
        fused=True,
    )
    assert loop.peak == pytest.approx(SIZE + inside, abs=64)


def test_the_products_of_a_block_are_those_that_xla_counts():
    # XLA counts elementwise work, too; it is little at this width.
    config = tiny.config(model={"width": 128, "ff_width": 256, "head_dim": 32}).model
    graphdef, params = nnx.split(Block(config, nnx.Rngs(0)))
    x = jnp.zeros((2, 128, 128))

    def block(params, x):
        block = nnx.merge(graphdef, params)
        return jnp.sum(block.sequence(x, block.mixer.init_cache(2, 0), None))

    gradient = jax.grad(block, argnums=(0, 1))
    counted = jax.jit(gradient).lower(params, x).compile().cost_analysis()["flops"]
    assert costs(gradient, params, x, fused=False).flops == pytest.approx(counted, rel=0.1)


def test_attention_by_cudnn_does_half_the_products():
    batch, length, heads, head_dim = 2, 64, 4, 32
    query, key = (Value((batch, length, n, head_dim), 1000) for n in (heads, 1))
    full = 2 * batch * heads * length * length * head_dim
    for name, num_products in (("fwd", 2), ("bwd", 5)):
        operation = Operation(f"dot_product_attention_{name}_wrapper", {}, [query, key, key], [])
        assert operation.flops == num_products * full / 2
        assert operation.is_product
        assert not operation.is_cheap


def test_nothing_costs_nothing():
    assert costs(lambda: (), fused=True) == Costs()
