"""The text of optimised HLO, read into its instructions."""

import math
import re
from dataclasses import dataclass
from typing import NamedTuple

_BYTES = {
    **dict.fromkeys(["pred", "s8", "u8"], 1),
    **dict.fromkeys(["s16", "u16", "bf16", "f16"], 2),
    **dict.fromkeys(["s32", "u32", "f32"], 4),
    **dict.fromkeys(["s64", "u64", "f64"], 8),
}
_ARRAY = re.compile(rf"\b({'|'.join(_BYTES)})\[([0-9,]*)\]")
_COMPUTATION = re.compile(r"(ENTRY )?%?([\w.\-]+) \(.*\{\s*")
_INSTRUCTION = re.compile(r"\s+(ROOT )?%?([\w.\-]+) = (.*)")


@dataclass(frozen=True)
class Instruction:
    """One instruction of a computation.

    Attributes:
        name: unique in its module.
        type: of its result, as text.
        op: what it is, as `fusion` or `while`.
        operands: names of the instructions that it reads.
        argument: what stands between its parentheses.
        attributes: what comes after them.
        is_root: whether it is the result of its computation.
    """

    name: str
    type: str
    op: str
    operands: tuple[str, ...]
    argument: str
    attributes: str
    is_root: bool

    @property
    def shapes(self) -> list[tuple[str, tuple[int, ...]]]:
        """Dtype and shape of each array of the result."""
        return [(dtype, _numbers(sizes)) for dtype, sizes in _ARRAY.findall(self.type)]

    @property
    def num_bytes(self) -> int:
        """Size of the result."""
        return sum(_BYTES[dtype] * math.prod(shape) for dtype, shape in self.shapes)

    @property
    def called(self) -> str | None:
        """The computation of a fusion, a call, or the body of a loop."""
        return self._attribute(r"(?:calls|to_apply|body)=%?([\w.\-]+)")

    @property
    def branches(self) -> list[str]:
        """The computations of a conditional."""
        found = re.search(r"(?:branch_computations=\{[^}]*\}|true_computation=.*)", self.attributes)
        if self.op != "conditional" or found is None:
            return []
        listed = r"%([\w.\-]+)" if "{" in found[0][:22] else r"_computation=%?([\w.\-]+)"
        return re.findall(listed, found[0])

    @property
    def target(self) -> str | None:
        """The library function of a custom call."""
        return self._attribute(r'custom_call_target="([^"]+)"')

    @property
    def origin(self) -> str:
        """The operation of JAX that it is for; empty if not known."""
        return self._attribute(r'op_name="([^"]*)"') or ""

    @property
    def trip_count(self) -> int | None:
        """The iterations of a loop; None if XLA does not know them."""
        count = self._attribute(r'"known_trip_count":\{"n":"(\d+)"\}')
        return None if count is None else int(count)

    def _attribute(self, pattern: str) -> str | None:
        found = re.search(pattern, self.attributes)
        return found and found[1]


Computation = dict[str, Instruction]
"""The instructions of a computation by name, in their order."""


class Module(NamedTuple):
    """A program."""

    entry: str
    computations: dict[str, Computation]


def parse(text: str) -> Module:
    """The program that `compiled.as_text()` gives.

    Raises:
        ValueError: if the text has no entry computation.
    """
    computations: dict[str, Computation] = {}
    entry, current = None, None
    for line in text.splitlines():
        if not line.startswith(" ") and (head := _COMPUTATION.fullmatch(line)):
            current = computations[head[2]] = {}
            entry = head[2] if head[1] else entry
        elif line.startswith("}"):
            current = None
        elif current is not None and (found := _INSTRUCTION.fullmatch(line)):
            instruction = _instruction(found[2], found[3], bool(found[1]))
            current[instruction.name] = instruction
    if entry is None:
        raise ValueError("the text has no ENTRY computation")
    return Module(entry, computations)


def _instruction(name: str, text: str, is_root: bool) -> Instruction:
    end = _closing(text, 0) if text.startswith("(") else text.index(" ")
    type, rest = text[:end], text[end:].strip()
    begin = rest.index("(")
    end = _closing(rest, begin)
    argument = rest[begin + 1 : end - 1]
    operands = tuple(re.findall(r"%([\w.\-]+)", argument))
    return Instruction(name, type, rest[:begin], operands, argument, rest[end:], is_root)


def _closing(text: str, begin: int) -> int:
    """The place after the parenthesis that closes the one at `begin`."""
    depth = 0
    for place in range(begin, len(text)):
        depth += {"(": 1, ")": -1}.get(text[place], 0)
        if not depth:
            return place + 1
    raise ValueError(f"a parenthesis is not closed: {text[:80]}")


def _numbers(sizes: str) -> tuple[int, ...]:
    return tuple(int(size) for size in sizes.split(",") if size)
