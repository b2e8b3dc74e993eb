"""The equations of a jaxpr in order, with those of the functions that it calls inlined."""

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
_CUDNN_ATTENTION = "dot_product_attention"  # prefix of its primitives
_KERNEL = "pallas_call"


@dataclass(frozen=True, eq=False)
class Value:
    """An array that equations compute or read.

    Attributes:
        shape: of the array.
        num_bytes: by its dtype.
        held_bytes: that it takes up in memory.
    """

    shape: tuple[int, ...]
    num_bytes: int
    held_bytes: int


@dataclass(frozen=True, eq=False)
class Equation:
    """An equation of a jaxpr.

    Attributes:
        name: of the primitive.
        params: of the primitive.
        inputs: the values that it reads, without literals.
        outputs: the values that it computes.
    """

    name: str
    params: dict[str, Any]
    inputs: list[Value]
    outputs: list[Value]

    @property
    def is_view(self) -> bool:
        """Whether the output is a slice or another shape of an input."""
        return self.name in _VIEWS.split()

    @property
    def is_cheap(self) -> bool:
        """Whether it is elementwise and no expensive function."""
        return (
            self.name not in _NOT_CHEAP
            and not self.name.startswith(("scatter", _CUDNN_ATTENTION, _KERNEL))
            and all(_broadcasts(v.shape, r.shape) for v in self.inputs for r in self.outputs)
        )

    @property
    def is_matmul(self) -> bool:
        """Whether it is a matrix product, or a kernel with some in it."""
        return self.name in ("dot_general", _KERNEL) or self.name.startswith(_CUDNN_ATTENTION)

    @property
    def flops(self) -> int:
        """Of a matrix product, two for each multiplication and addition; otherwise 0."""
        if not self.is_matmul:
            return 0
        if self.name == _KERNEL:
            return self.params["cost_estimate"].flops
        first, second = self.inputs[:2]
        if self.name == "dot_general":
            (contracted, _), _ = self.params["dimension_numbers"]
            return 2 * prod(first.shape[axis] for axis in contracted) * prod(self.outputs[0].shape)
        # Queries [B, T, H, d] and keys [B, S, K, d]; the half that the causal mask hides is not
        # computed. The backward pass recomputes the scores.
        num_products = 5 if "bwd" in self.name else 2
        return num_products * prod(first.shape) * second.shape[1]

    @property
    def bytes(self) -> int:
        """That a matrix product reads and writes; otherwise 0."""
        if not self.is_matmul:
            return 0
        return sum(value.num_bytes for value in [*self.inputs, *self.outputs])


class FlatJaxpr(NamedTuple):
    """A jaxpr whose only nested jaxprs are those of loops and branches."""

    inputs: list[Value]
    equations: list[Equation]
    outputs: list[Value]


def flatten_jaxpr(jaxpr: Jaxpr, cuda: bool) -> FlatJaxpr:
    """Inlines all calls, as lowered for CUDA or for a CPU; each of `LOOPS` stays one equation."""
    values = {var: _abstract(var) for var in [*jaxpr.constvars, *jaxpr.invars]}
    inputs, equations = list(values.values()), list(_flat(jaxpr, values, cuda))
    return FlatJaxpr(inputs, equations, _values(jaxpr.outvars, values))


def _flat(jaxpr: Jaxpr, values: dict[Var, Value], cuda: bool) -> Iterator[Equation]:
    """The equations; adds the values of the jaxpr's variables to `values`."""
    for equation in jaxpr.eqns:
        if equation.primitive.name == "optimization_barrier":
            pairs = zip(equation.outvars, equation.invars, strict=True)
            values.update((var, _value(x, values)) for var, x in pairs)
            continue
        called, invars = _callee(equation, cuda)
        if called is None:
            outputs = [_output(var, equation, cuda) for var in equation.outvars]
            values.update(zip(equation.outvars, outputs, strict=True))
            inputs = _values(equation.invars, values)
            yield Equation(equation.primitive.name, equation.params, inputs, outputs)
            continue
        inner = {var: _abstract(var) for var in called.constvars}
        inner |= {var: _value(x, values) for var, x in zip(called.invars, invars, strict=True)}
        yield from _flat(called, inner, cuda)
        results = zip(equation.outvars, called.outvars, strict=True)
        values.update((var, _value(result, inner)) for var, result in results)


def _callee(equation: JaxprEqn, cuda: bool) -> tuple[Jaxpr | None, list[Any]]:
    """The jaxpr that an equation calls once, None if there is none, and its inputs."""
    params, inputs = equation.params, list(equation.invars)
    platforms = params.get("branches_platforms")  # of `jax.lax.platform_dependent`
    if platforms is not None:
        platform = "cuda" if cuda else "cpu"
        fits = (names is None or platform in names for names in platforms)
        branch = params["branches"][list(fits).index(True)].jaxpr
        if any(_has_unknown_costs(inner) for inner in branch.eqns):
            branch = params["branches"][-1].jaxpr  # the same in terms of primitives
        return branch, inputs[1:]
    if equation.primitive.name in LOOPS:
        return None, inputs
    for param in params.values():
        jaxpr = getattr(param, "jaxpr", param)  # before JAX 0.12 some come with constants
        if isinstance(jaxpr, Jaxpr) and len(jaxpr.invars) == len(inputs):
            return jaxpr, inputs
    return None, inputs


def _has_unknown_costs(equation: JaxprEqn) -> bool:
    is_kernel = equation.primitive.name == _KERNEL
    return is_kernel and equation.params["cost_estimate"] is None


def _values(variables: Iterable[Any], values: dict[Var, Value]) -> list[Value]:
    return [values[var] for var in variables if isinstance(var, Var)]


def _value(variable: Any, values: dict[Var, Value]) -> Value:
    """The value of a variable; a new one for a literal."""
    return _abstract(variable) if isinstance(variable, Literal) else values[variable]


def _output(variable: Any, equation: JaxprEqn, cuda: bool) -> Value:
    """The value that an equation computes.

    A CPU holds bfloat16 as float32, except for the results of matrix products.
    """
    value = _abstract(variable)
    if cuda or variable.aval.dtype != jnp.bfloat16 or equation.primitive.name == "dot_general":
        return value
    return replace(value, held_bytes=2 * value.num_bytes)


def _abstract(variable: Any) -> Value:
    aval = variable.aval
    num_bytes = aval.size * aval.dtype.itemsize
    return Value(tuple(aval.shape), num_bytes, num_bytes)


def _broadcasts(shape: tuple[int, ...], to: tuple[int, ...]) -> bool:
    """Whether a shape broadcasts to another one without new axes, or is that of a scalar."""
    fits = len(shape) == len(to) and all(a in (1, b) for a, b in zip(shape, to, strict=True))
    return not shape or fits
