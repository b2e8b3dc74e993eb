"""Checks of arguments and of the process.

Imports nothing of jax or numpy, so that the registry can use it.
"""

import difflib
import os
import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any


def nearest(name: Any, known: Any) -> str:
    """A question that suggests the known name closest to a mistyped one, or an empty string."""
    close = difflib.get_close_matches(str(name), list(known), n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""


def unknown_name(kind: str, name: Any, known: Any, plural: str) -> str:
    """The message for a name that is none of the known ones, which it lists."""
    return f"there is no {kind} {name!r}{nearest(name, known)}; the {plural} are {', '.join(known)}"


def check_whole_number(name: str, value: object, least: int) -> None:
    """Checks that an option is a Python int from `least` to below 2**31, and not a bool.

    Raises:
        ValueError: if it is not.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ValueError(f"{name} is {value!r}; it must be a whole number, {least} or more")
    if value >= 2**31:
        raise ValueError(f"{name} is {value}; it must be below 2**31")


def check_bool(name: str, value: object) -> None:
    """Checks that an option is a Python bool.

    Raises:
        ValueError: if it is not.
    """
    if not isinstance(value, bool):
        raise ValueError(f"{name} is {value!r}; it must be true or false")


def same_definition(one: Any, other: Any) -> bool:
    """Whether two objects are equal, or have one name in one module, as after a second definition.

    So that a cell of a notebook can be run again.
    """
    names = [
        (getattr(each, "__module__", None), getattr(each, "__qualname__", None))
        for each in (one, other)
    ]
    return one == other or (names[0] == names[1] and None not in names[0])


def resolve(what: str, target: str | Callable[..., Any]) -> Any:
    """The object itself, or that which "module:name" names.

    Raises:
        ValueError: if there is none.
    """
    if not isinstance(target, str):
        return target
    module, _, name = target.partition(":")
    try:
        return getattr(import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ValueError(
            f"{what} is registered as {target!r}, which cannot be imported ({error}); it must be "
            "'module:name'"
        ) from None


_forked_from_jax = False


def refuse_forks() -> None:
    """Raises instead of hanging; every function that computes with JAX calls it first.

    JAX's threads do not survive a fork, so JAX would hang in the child.

    Raises:
        RuntimeError: in a process forked from one that had already used JAX.
    """
    if _forked_from_jax:
        raise RuntimeError(
            "this process was forked from one that had already used JAX, which would hang here; "
            "start it with 'spawn', as in AsyncVectorEnv(..., context='spawn')"
        )


def _note_fork() -> None:
    global _forked_from_jax
    _forked_from_jax = _jax_is_running()


def _jax_is_running() -> bool:
    # JAX has no public name for it. Where the private one is missing, no fork is refused.
    bridge = sys.modules.get("jax._src.xla_bridge")
    return getattr(bridge, "backends_are_initialized", lambda: False)()


if hasattr(os, "register_at_fork"):  # not on Windows, which has no forks
    os.register_at_fork(after_in_child=_note_fork)
