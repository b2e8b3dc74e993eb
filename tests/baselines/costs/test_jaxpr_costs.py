import jax
import jax.numpy as jnp
import pytest
import tiny
from flax import nnx
from jax import lax

from gridmem.baselines.costs.jaxpr_costs import Costs, estimate_costs
from gridmem.baselines.costs.jaxpr_equations import Equation, Value
from gridmem.baselines.model.actor_critic import Block

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
def test_products_are_counted_in_nested_functions(function, num_products, fused):
    assert estimate_costs(function, SQUARE, fused=fused).flops == num_products * PRODUCT


def test_products_read_inputs_and_write_outputs():
    assert estimate_costs(lambda x: product(x, x), SQUARE, fused=True).bytes == 3 * SIZE
    assert estimate_costs(lambda x: product(x[:4], x), SQUARE, fused=True).bytes == 1.5 * SIZE
    assert estimate_costs(looped, SQUARE, fused=True).bytes == 5 * 3 * SIZE
    assert estimate_costs(lambda x: jnp.tanh(x) + 1, SQUARE, fused=True).bytes == 0


def chain(x):
    y = product(x, x)
    z = product(y, x)
    return product(z, x)


def used_at_the_end(x):
    y = product(x, x)
    z = product(y, x)
    return product(z, y)


def arithmetic(x):
    y = product(x, x)
    return product((y + 1) * y - 2, x)


def expensive(x):
    y = product(x, x)
    z = jnp.tanh(y)
    return product(y, x) + z


def written_into(x):
    y = product(x, x)
    y = lax.dynamic_update_slice(y, x[:1], (0, 0))
    return product(y, x)


def two_rows(x):
    return lax.scan(lambda carry, row: (carry, product(row, x)), x, x)


@pytest.mark.parametrize(
    ("function", "held", "fused"),
    [
        (lambda x: x + 1, 1, True),
        (lambda x: x[:4].T, 0.25, True),
        (chain, 2, True),
        (chain, 2, False),
        (used_at_the_end, 3, True),
        # y; then what the product reads, while y goes; then its result.
        (arithmetic, 2, True),
        # y, y + 1, (y + 1) * y
        (arithmetic, 3, False),
        # y, tanh y, product; or, where y + ... is repeated at the end, the sum.
        (expensive, 3, True),
        (lambda x: product(x, x) * x[:1] + x[:, :1], 2, True),
        (lambda x: product(x, x) * x[:1] + x[:, :1], 2, False),
        (written_into, 2, True),
        (lambda x: jnp.sort(x * 2), 1, True),
        (lambda x: jnp.cumsum(x * 2, axis=0) + x, 2, True),
    ],
)
def test_values_are_held_until_their_last_use(function, held, fused):
    assert estimate_costs(function, SQUARE, fused=fused).peak == pytest.approx(
        held * SIZE, abs=SIZE / N
    )


def test_memory_of_a_loop_counts_once():
    inside = estimate_costs(lambda x: jnp.exp(product(x, x)) @ x, SQUARE, fused=True).peak
    loop = estimate_costs(
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
    assert estimate_costs(gradient, params, x, fused=False).flops == pytest.approx(counted, rel=0.1)


def test_attention_by_cudnn_does_half_the_products():
    batch, length, heads, head_dim = 2, 64, 4, 32
    query, key = (Value((batch, length, n, head_dim), 1000, 1000) for n in (heads, 1))
    full = 2 * batch * heads * length * length * head_dim
    for name, num_products in (("fwd", 2), ("bwd", 5)):
        equation = Equation(f"dot_product_attention_{name}_wrapper", {}, [query, key, key], [])
        assert equation.flops == num_products * full / 2
        assert equation.is_matmul
        assert not equation.is_cheap


def test_an_empty_function_costs_nothing():
    assert estimate_costs(lambda: (), fused=True) == Costs()
