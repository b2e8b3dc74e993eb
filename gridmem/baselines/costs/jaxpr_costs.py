"""FLOP, bytes and peak memory of a function, from its jaxpr; compiles and allocates nothing."""

from collections import Counter
from collections.abc import Callable, Iterable
from itertools import accumulate
from typing import Any, NamedTuple

import jax
from jax.extend.core import Jaxpr

from gridmem.baselines.costs.jaxpr_equations import Equation, Value, flatten_jaxpr

Sources = dict[Value, frozenset[Value]]
"""Value -> the values in memory that it is recomputed from; itself if it is in memory."""


class Costs(NamedTuple):
    """The costs of one call."""

    flops: int = 0  # of its matrix products, two for each multiplication and addition
    bytes: int = 0  # read and written by its matrix products
    peak: int = 0  # bytes of memory for what it computes, without its arguments


def estimate_costs(function: Callable[..., Any], *args: Any, fused: bool) -> Costs:
    """Estimates the costs of a call.

    The equations run in order, and each value is held in memory until its last use. Values that
    are fused are not held: elementwise results that no matrix product reads are recomputed
    wherever they are used. A loop's memory counts once, its work once per iteration; a
    `while_loop`, whose number of iterations is unknown, counts as one iteration.

    Args:
        function: of arrays.
        *args: trees of arrays, or of their shapes.
        fused: whether elementwise results are fused, and branches that depend on the platform
            are those of CUDA. XLA fuses on a GPU; on a CPU it holds most values in memory, even
            broadcast ones.
    """
    return _costs(jax.make_jaxpr(function)(*args).jaxpr, fused)


def device_fuses() -> bool:
    """The value of `fused` for this process's device."""
    return jax.default_backend() != "cpu"


def num_bytes(tree: Any) -> int:
    """The bytes of a tree of arrays, or of their shapes."""
    return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))


def _costs(jaxpr: Jaxpr, fused: bool) -> Costs:
    inputs, equations, outputs = flatten_jaxpr(jaxpr, cuda=fused)
    in_memory = {*outputs, *_read_by_products(equations)}
    sources: Sources = {value: frozenset([value]) for value in inputs}
    lives: dict[Value, tuple[int, int]] = {}  # values in memory: when computed and last read
    within: dict[int, Costs] = {}  # costs of loops
    for time, equation in enumerate(equations):
        read = frozenset[Value]().union(*(sources.get(v, ()) for v in equation.inputs))
        lives.update((value, (lives[value][0], time)) for value in read if value in lives)
        shown = equation.is_view and (fused or equation.name != "broadcast_in_dim")
        fuses = shown or (fused and equation.is_cheap)
        # An array in memory, such as a cache, is updated in place.
        in_place = equation.name == "dynamic_update_slice" and sources.get(equation.inputs[0])
        if in_place or (fuses and in_memory.isdisjoint(equation.outputs)):
            sources.update(dict.fromkeys(equation.outputs, read))
            continue
        sources.update((result, frozenset([result])) for result in equation.outputs)
        lives.update(dict.fromkeys(equation.outputs, (time, time)))
        within[time] = _of_loop(equation, fused)
    for value in frozenset[Value]().union(*(sources.get(v, ()) for v in outputs)):
        if value in lives:
            lives[value] = lives[value][0], len(equations)
    counted = [*equations, *within.values()]
    flops, moved = sum(each.flops for each in counted), sum(each.bytes for each in counted)
    return Costs(flops, moved, _peak(lives, within))


def _read_by_products(equations: Iterable[Equation]) -> Iterable[Value]:
    """The values that matrix products read; for a view the value behind it."""
    shown: dict[Value, Value] = {}
    for equation in equations:
        inputs = [shown.get(value, value) for value in equation.inputs]
        if equation.is_view and inputs:
            shown.update(dict.fromkeys(equation.outputs, inputs[0]))
        elif equation.is_matmul:
            yield from inputs


def _of_loop(equation: Equation, fused: bool) -> Costs:
    """The costs of a loop, or of the most expensive branch."""
    params = equation.params
    if equation.name == "scan":
        one = _costs(params["jaxpr"].jaxpr, fused)
        return Costs(params["length"] * one.flops, params["length"] * one.bytes, one.peak)
    if equation.name == "while":
        return _costs(params["body_jaxpr"].jaxpr, fused)
    if equation.name == "cond":
        return max(_costs(branch.jaxpr, fused) for branch in params["branches"])
    return Costs()


def _peak(lives: dict[Value, tuple[int, int]], within: dict[int, Costs]) -> int:
    """The largest sum of the values in memory at one time."""
    change = Counter[int]()
    for value, (begin, end) in lives.items():
        change[begin] += value.held_bytes
        change[end + 1] -= value.held_bytes
    held = accumulate(change[time] for time in range(max(change, default=0)))
    peaks = (size + within.get(time, Costs()).peak for time, size in enumerate(held))
    return max(peaks, default=0)
