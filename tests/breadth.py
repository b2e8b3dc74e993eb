"""Breadth over ids, formats and modes: a few cases by default, the others with `-m slow`."""

from collections.abc import Iterable
from typing import Any

import pytest


def breadth(cases: Iterable[Any], *default: Any) -> list[Any]:
    """All cases for `parametrize`, a tuple standing for several arguments; slow but for some.

    Args:
        cases: in their order.
        *default: those that `uv run pytest` runs; each must be a case.
    """
    cases = list(cases)
    unknown = [case for case in default if case not in cases]
    assert not unknown, f"no cases: {unknown}"
    return [case if case in default else _slow(case) for case in cases]


def _slow(case: Any) -> Any:
    values = case if isinstance(case, tuple) else (case,)
    return pytest.param(*values, marks=pytest.mark.slow)
