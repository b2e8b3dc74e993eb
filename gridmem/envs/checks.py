"""Checks of arguments. Imports nothing of jax or numpy, so that the registry can use it."""

import difflib
from typing import Any


def nearest(name: Any, known: Any) -> str:
    """A question that suggests the known name closest to a mistyped one, or an empty string."""
    close = difflib.get_close_matches(str(name), list(known), n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""


def unknown_name(kind: str, name: Any, known: Any, plural: str) -> str:
    """The message for a name that is none of the known ones, which it lists."""
    return f"there is no {kind} {name!r}{nearest(name, known)}; the {plural} are {', '.join(known)}"


def check_whole_number(name: str, value: object, least: int) -> None:
    """Checks that an option is a Python int of at least `least`, and not a bool.

    Raises:
        ValueError: if it is not.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ValueError(f"{name} is {value!r}; it must be a whole number, {least} or more")


def check_bool(name: str, value: object) -> None:
    """Checks that an option is a Python bool.

    Raises:
        ValueError: if it is not.
    """
    if not isinstance(value, bool):
        raise ValueError(f"{name} is {value!r}; it must be true or false")
