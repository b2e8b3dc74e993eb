"""The operations of a traced function in their order, those of what it calls among them."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from math import prod
from typing import Any, NamedTuple

import jax.numpy as jnp
from jax.extend.core import Jaxpr, JaxprEqn, Literal, Var

LOOPS = frozenset(["cond", "scan", "while"])
_VIEWS = "broadcast_in_dim dynamic_slice expand_dims reshape slice split squeeze transpose"
_EXPENSIVE = "cos erf exp exp2 expm1 log log1p logistic pow sin tan tanh threefry2x32"
_NOT_ELEMENTWISE = "cumlogsumexp cummax cummin cumprod cumsum dot_general dynamic_update_slice sort"
_NOT_CHEAP = LOOPS.union(_EXPENSIVE.split(), _NOT_ELEMENTWISE.split())
_CUDNN_ATTENTION = "dot_product_attention"  # its operations begin with that


@dataclass(frozen=True, eq=False)
class Value:
    """An array that operations make or read.

    Attributes:
        shape: of the array.
        num_bytes: by its dtype.
        held_bytes: in memory.
    """

    shape: tuple[int, ...]
    num_bytes: int
    held_bytes: int


@dataclass(frozen=True, eq=False)
class Operation:
    """One step of a computation.

    Attributes:
        name: of the primitive.
        params: the primitive's.
        operands: what it reads; constants in the code left out.
        results: what it makes.
    """

    name: str
    params: dict[str, Any]
    operands: list[Value]
    results: list[Value]

    @property
    def is_view(self) -> bool:
        """Whether the result is a part, or another shape, of what is there already."""
        return self.name in _VIEWS.split()

    @property
    def is_cheap(self) -> bool:
        """Whether each entry of the result is plain arithmetic on the operands' at its place."""
        return (
            self.name not in _NOT_CHEAP
            and not self.name.startswith(("scatter", _CUDNN_ATTENTION))
            and all(_spreads(v.shape, r.shape) for v in self.operands for r in self.results)
        )

    @property
    def is_product(self) -> bool:
        """Whether it multiplies matrices."""
        return self.name == "dot_general" or self.name.startswith(_CUDNN_ATTENTION)

    @property
    def flops(self) -> int:
        """Of a product: two for each pair of numbers multiplied and added; 0 of anything else."""
        if not self.is_product:
            return 0
        first, second = self.operands[:2]
        if self.name == "dot_general":
            (contracted, _), _ = self.params["dimension_numbers"]
            return 2 * prod(first.shape[axis] for axis in contracted) * prod(self.results[0].shape)
        # Products of queries [B, T, H, d] and keys [B, S, K, d]; the half that the causal mask
        # hides is not computed. Backwards the scores are computed once more.
        num_products = 5 if "bwd" in self.name else 2
        return num_products * prod(first.shape) * second.shape[1]

    @property
    def bytes(self) -> int:
        """That a product reads and writes; 0 of anything else."""
        if not self.is_product:
            return 0
        return sum(value.num_bytes for value in [*self.operands, *self.results])


class Program(NamedTuple):
    """A function as its operations."""

    arguments: list[Value]
    operations: list[Operation]
    outcomes: list[Value]


def program(jaxpr: Jaxpr, cuda: bool) -> Program:
    """What a jaxpr does, lowered for CUDA or not. Loops are one operation each; see `LOOPS`."""
    values = {var: _new(var) for var in [*jaxpr.constvars, *jaxpr.invars]}
    arguments = list(values.values())
    operations = list(_flat(jaxpr, values, cuda))
    return Program(arguments, operations, _known(jaxpr.outvars, values))


def _flat(jaxpr: Jaxpr, values: dict[Var, Value], cuda: bool) -> Iterator[Operation]:
    """The operations, while `values` learns what the jaxpr's variables stand for."""
    for equation in jaxpr.eqns:
        called, invars = _called(equation, cuda)
        if called is None:
            results = [_made(var, equation, cuda) for var in equation.outvars]
            values.update(zip(equation.outvars, results, strict=True))
            operands = _known(equation.invars, values)
            yield Operation(equation.primitive.name, equation.params, operands, results)
            continue
        inner = {var: _new(var) for var in called.constvars}
        for var, operand in zip(called.invars, invars, strict=True):
            inner[var] = _of(operand, values)
        yield from _flat(called, inner, cuda)
        for var, result in zip(equation.outvars, called.outvars, strict=True):
            values[var] = _of(result, inner)


def _called(equation: JaxprEqn, cuda: bool) -> tuple[Jaxpr | None, list[Any]]:
    """The function that an equation calls once, if it is one that does, and its arguments."""
    params, operands = equation.params, list(equation.invars)
    platforms = params.get("branches_platforms")  # of `jax.lax.platform_dependent`
    if platforms is not None:
        platform = "cuda" if cuda else "cpu"
        fits = (names is None or platform in names for names in platforms)
        branch = params["branches"][list(fits).index(True)].jaxpr
        if any(inner.primitive.name == "pallas_call" for inner in branch.eqns):
            branch = params["branches"][-1].jaxpr  # the same in terms of primitives
        return branch, operands[1:]
    if equation.primitive.name in LOOPS:
        return None, operands
    for param in params.values():
        jaxpr = getattr(param, "jaxpr", param)  # before JAX 0.12 some come with constants
        if isinstance(jaxpr, Jaxpr) and len(jaxpr.invars) == len(operands):
            return jaxpr, operands
    return None, operands


def _known(variables: Iterable[Any], values: dict[Var, Value]) -> list[Value]:
    return [_of(var, values) for var in variables if isinstance(var, Var)]


def _of(variable: Any, values: dict[Var, Value]) -> Value:
    """What a variable stands for; a value of its own for a constant in the code."""
    return _new(variable) if isinstance(variable, Literal) else values[variable]


def _made(variable: Any, equation: JaxprEqn, cuda: bool) -> Value:
    """The result of an operation; a CPU computes bfloat16 in float32 and keeps it so.

    Only its matrix products write bfloat16.
    """
    value = _new(variable)
    if cuda or variable.aval.dtype != jnp.bfloat16 or equation.primitive.name == "dot_general":
        return value
    return replace(value, held_bytes=2 * value.num_bytes)


def _new(variable: Any) -> Value:
    aval = variable.aval
    num_bytes = aval.size * aval.dtype.itemsize
    return Value(tuple(aval.shape), num_bytes, num_bytes)


def _spreads(shape: tuple[int, ...], to: tuple[int, ...]) -> bool:
    """Whether an array fits another one, repeated along its axes of length 1, or as a scalar."""
    fits = len(shape) == len(to) and all(a in (1, b) for a, b in zip(shape, to, strict=True))
    return not shape or fits
