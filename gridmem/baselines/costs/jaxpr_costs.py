"""What a function of arrays costs, read off its operations: nothing is compiled or allocated."""

from collections import Counter
from collections.abc import Callable, Iterable
from itertools import accumulate
from typing import Any, NamedTuple

import jax
from jax.extend.core import Jaxpr

from gridmem.baselines.costs.jaxpr_operations import Operation, Value, program

Sources = dict[Value, frozenset[Value]]
"""A value -> the values in memory from which it can be had at once, itself or others."""


class Costs(NamedTuple):
    """What one call costs."""

    flops: int = 0  # of its matrix products: two for each pair of numbers multiplied and added
    bytes: int = 0  # that its matrix products read and write
    peak: int = 0  # of memory for what it computes, at the worst moment; arguments not counted


def costs(function: Callable[..., Any], *args: Any, fused: bool) -> Costs:
    """What a call of a function would cost.

    Its operations are gone through in their order, and what they compute is held until its last
    use. Not held is the result of plain arithmetic, unless a matrix product reads it: it is
    computed anew wherever it is used, from what it depends on. What a loop holds counts once, what
    it computes in each round; the rounds of a `while_loop` are unknown and count as one.

    Args:
        function: of arrays.
        *args: trees of arrays, or of their shapes.
        fused: whether arithmetic is computed anew. XLA does so on a GPU; on a CPU it mostly
            holds what it has, even what is only broadcast. What depends on the platform is then
            that of CUDA.
    """
    return _costs(jax.make_jaxpr(function)(*args).jaxpr, fused)


def fuses() -> bool:
    """Whether `costs` on this process's device are those with `fused`."""
    return jax.default_backend() != "cpu"


def num_bytes(tree: Any) -> int:
    """Size of all arrays in a tree of arrays, or of their shapes."""
    return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))


def _costs(jaxpr: Jaxpr, fused: bool) -> Costs:
    arguments, operations, outcomes = program(jaxpr, cuda=fused)
    kept = {*outcomes, *_read_by_products(operations)}
    sources: Sources = {value: frozenset([value]) for value in arguments}
    lives: dict[Value, tuple[int, int]] = {}  # what is held: when it is made and last read
    within: dict[int, Costs] = {}  # loops: what a round holds, what all rounds compute
    for time, operation in enumerate(operations):
        read = frozenset[Value]().union(*(sources.get(v, ()) for v in operation.operands))
        lives.update((value, (lives[value][0], time)) for value in read if value in lives)
        repeated = _is_repeated(operation, fused) and kept.isdisjoint(operation.results)
        if repeated or _is_in_place(operation, sources):
            sources.update(dict.fromkeys(operation.results, read))
            continue
        sources.update((result, frozenset([result])) for result in operation.results)
        lives.update(dict.fromkeys(operation.results, (time, time)))
        within[time] = _of_loop(operation, fused)
    for value in frozenset[Value]().union(*(sources.get(v, ()) for v in outcomes)):
        if value in lives:
            lives[value] = lives[value][0], len(operations)
    return Costs(
        flops=sum(each.flops for each in [*operations, *within.values()]),
        bytes=sum(each.bytes for each in [*operations, *within.values()]),
        peak=_peak(lives, {time: costs.peak for time, costs in within.items()}),
    )


def _is_repeated(operation: Operation, fused: bool) -> bool:
    if fused:
        return operation.is_view or operation.is_cheap
    return operation.is_view and operation.name != "broadcast_in_dim"


def _is_in_place(operation: Operation, sources: Sources) -> bool:
    """Whether it writes into an array in memory, as into a cache."""
    if operation.name != "dynamic_update_slice":
        return False
    return bool(sources.get(operation.operands[0]))


def _read_by_products(operations: Iterable[Operation]) -> Iterable[Value]:
    """What matrix products read; of a view that which it shows."""
    shown: dict[Value, Value] = {}
    for operation in operations:
        operands = [shown.get(value, value) for value in operation.operands]
        if operation.is_view and operands:
            shown.update(dict.fromkeys(operation.results, operands[0]))
        elif operation.is_product:
            yield from operands


def _of_loop(operation: Operation, fused: bool) -> Costs:
    """The costs of what a loop contains; of branches, of the most expensive one."""
    params = operation.params
    if operation.name == "scan":
        one = _costs(params["jaxpr"].jaxpr, fused)
        return Costs(params["length"] * one.flops, params["length"] * one.bytes, one.peak)
    if operation.name == "while":
        return _costs(params["body_jaxpr"].jaxpr, fused)
    if operation.name == "cond":
        return max(_costs(branch.jaxpr, fused) for branch in params["branches"])
    return Costs()


def _peak(lives: dict[Value, tuple[int, int]], within: dict[int, int]) -> int:
    """The largest sum of what is held at a time."""
    change = Counter[int]()
    for value, (begin, end) in lives.items():
        change[begin] += value.held_bytes
        change[end + 1] -= value.held_bytes
    held = accumulate(change[time] for time in range(max(change, default=0)))
    return max((size + within.get(time, 0) for time, size in enumerate(held)), default=0)
