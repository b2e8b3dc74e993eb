"""The kernels of a compiled program, and the bytes that they read and write.

Counted are the operands and the results of each kernel, as if every kernel had them from memory:
of what is only sliced the slices, of what is updated in place the update. A device's cache may
hold what one kernel writes and the next one reads, so this is no measurement of traffic.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from hlo import Computation, Instruction, Module

_FREE = {
    *("parameter", "constant", "get-tuple-element", "tuple", "bitcast", "after-all"),
    *("partition-id", "replica-id", "opt-barrier", "add-dependency"),
    *("copy-done", "async-done", "async-update", "fusion-done"),
}
_VIEWS = {"bitcast", "reshape"}
_SLICES = {"dynamic-slice", "slice", "gather"}
TRITON = "__gpu$xla.gpu.triton"


class Kernel(NamedTuple):
    """A kernel, which the innermost loop launches in each of its iterations."""

    instruction: Instruction
    loops: tuple[Instruction, ...]  # around it, the outermost first
    num_bytes: float
    conditionals: tuple[Instruction, ...] = ()  # around it, likewise

    @property
    def repeats(self) -> int:
        """How often it is launched; once in each loop whose iterations are not known."""
        return int(np.prod([loop.trip_count or 1 for loop in self.loops], dtype=np.int64))


def kernels(module: Module, num_seen: float | None = None) -> list[Kernel]:
    """All kernels; of a conditional those of all branches.

    Args:
        module: the program.
        num_seen: slots before its own that a token sees in the mean, where streams have positions
            of their own.
    """
    return list(_Reader(module, num_seen).kernels(module.entry, (), ()))


class _Reader(NamedTuple):
    module: Module
    num_seen: float | None

    def kernels(
        self, name: str, loops: tuple[Instruction, ...], conditionals: tuple[Instruction, ...]
    ) -> Iterator[Kernel]:
        computation = self.module.computations[name]
        for each in computation.values():
            if each.op == "while" and each.called:
                yield from self.kernels(each.called, (*loops, each), conditionals)
            elif each.op in ("call", "async-start") and each.called:
                yield from self.kernels(each.called, loops, conditionals)
            elif each.op == "conditional":
                for branch in each.branches:
                    yield from self.kernels(branch, loops, (*conditionals, each))
            elif each.op not in _FREE:
                num_steps = loops[-1].trip_count if loops else None
                num_bytes = _num_bytes(self.module, computation, each, num_steps, self.num_seen)
                yield Kernel(each, loops, num_bytes, conditionals)


def _num_bytes(
    module: Module,
    computation: Computation,
    each: Instruction,
    num_steps: int | None,
    num_seen: float | None,
) -> float:
    if each.op == "custom-call" and each.target == TRITON and "/decode/" in each.origin:
        return _decode_bytes(computation, each, num_steps, num_seen)
    if each.op in ("fusion", "fusion-start") and each.called:
        return _fusion_bytes(module.computations[each.called])
    if each.op in ("copy", "copy-start"):
        return 2 * computation[each.operands[0]].num_bytes
    operands = [computation[name] for name in dict.fromkeys(each.operands)]
    return sum(operand.num_bytes for operand in operands) + each.num_bytes


def _decode_bytes(
    computation: Computation, call: Instruction, num_steps: int | None, num_seen: float | None
) -> float:
    """The mean over the steps of a loop that begins with an empty cache; else of a full cache.

    `decode` has caches as operands, [B, K, S, ...], of which it reads the slots that are seen, and
    as results, of which it writes one slot. In 8 bits they are codes and their scales. Where
    streams have positions of their own, it is said how many slots they see.
    """
    operands = [computation[name] for name in dict.fromkeys(call.operands)]
    caches = [each for each in operands if len(each.shapes[0][1]) == 4]
    num_slots = caches[0].shapes[0][1][2]
    of_caches = sum(cache.num_bytes for cache in caches)
    read = (num_steps - 1) / 2 if num_steps else num_slots - 1
    if num_seen is not None:
        read = num_seen
    others = sum(each.num_bytes for each in operands) - of_caches
    return others + (read + 1) * of_caches / num_slots + call.num_bytes - of_caches


def _fusion_bytes(body: Computation) -> int:
    users: dict[str, list[Instruction]] = {name: [] for name in body}
    for each in body.values():
        for operand in dict.fromkeys(each.operands):
            users[operand].append(each)

    def past_views(name: str) -> Iterator[tuple[str, Instruction]]:
        """Who uses an array, and by which name, not counting other views of it."""
        for user in users[name]:
            if user.op in _VIEWS and users[user.name]:
                yield from past_views(user.name)
            else:
                yield name, user

    def read(parameter: Instruction) -> int:
        total = 0
        for name, user in past_views(parameter.name):
            if user.op in _SLICES and user.operands[0] == name:
                total += user.num_bytes
            elif user.op != "dynamic-update-slice" or user.operands[0] != name:
                return parameter.num_bytes
        return min(total, parameter.num_bytes)

    def written(name: str) -> int:
        result, whole = body[name], body[name].num_bytes
        while result.op in _VIEWS:
            result = body[result.operands[0]]
        updates = result.op == "dynamic-update-slice"
        return body[result.operands[1]].num_bytes if updates else whole

    (root,) = (each for each in body.values() if each.is_root)
    results = root.operands if root.op == "tuple" else [root.name]
    parameters = [each for each in body.values() if each.op == "parameter"]
    return sum(map(read, parameters)) + sum(map(written, results))
