"""The types of settings: what an annotation allows, in words, and checks against it."""

from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from math import inf
from types import NoneType
from typing import Annotated, Any, get_args, get_origin, get_type_hints

_WORDS = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    str: "text",
    NoneType: "None",
}


def value_types(annotation: Any) -> tuple[Any, ...]:
    """What an annotation allows: types, and the choices of a Literal.

    Those of `Annotated[str, choices]` are what the function `choices` returns now.
    """
    if get_origin(annotation) is Annotated:
        return annotation.__metadata__[0]()
    parts = get_args(annotation)
    return tuple(each for part in parts for each in value_types(part)) if parts else (annotation,)


def field_types(config: type) -> dict[str, Any]:
    """Field -> annotation of a dataclass, also where annotations are texts."""
    return get_type_hints(config, include_extras=True)


def item_type(annotation: Any) -> Any:
    """The type of the items of a `tuple[X, ...]`; None for other annotations."""
    return get_args(annotation)[0] if get_origin(annotation) is tuple else None


def describe_types(allowed: Sequence[Any]) -> str:
    """The result of `value_types` in words, such as "a whole number or None"."""
    choices = [each for each in allowed if isinstance(each, str)]
    words = [_WORDS.get(each, each.__name__) for each in allowed if isinstance(each, type)]
    if choices:
        words.insert(-1 if NoneType in allowed else 1, ", ".join(choices))
    return " or ".join(words) if len(choices) < 2 else f"one of {' or '.join(words)}"


def check_type(name: str, value: Any, annotation: Any) -> None:
    """Raises ValueError if a value is not of the annotated type. A bool is no number."""
    if (item := item_type(annotation)) is not None:
        if not isinstance(value, tuple):
            words = describe_types(value_types(item))
            raise ValueError(f"{name} is {value!r}; it must be a list, each of it {words}")
        for each in value:
            check_type(name, each, item)
        return
    allowed = value_types(annotation)
    types = tuple(each for each in allowed if isinstance(each, type))
    if isinstance(value, bool):
        is_allowed = bool in types
    else:
        types = (*types, int) if float in types else types
        is_allowed = isinstance(value, types) or (isinstance(value, str) and value in allowed)
    if not is_allowed:
        raise ValueError(f"{name} is {value!r}; it must be {describe_types(allowed)}")


def check_types(config: Any) -> None:
    """Raises ValueError if a field of a dataclass, such as one from JSON, has another type."""
    types = field_types(type(config))
    for field in fields(config):
        value = getattr(config, field.name)
        if not is_dataclass(value):
            check_type(field.name, value, types[field.name])


def check_positive(config: Any, *names: str, below: float | int = 2**31) -> None:
    """Raises ValueError if a field is not a number above 0; whole numbers must be `below`."""
    for name in names:
        value = getattr(config, name)
        if not 0 < value < inf:
            number = describe_types(value_types(field_types(type(config))[name])[:1])
            raise ValueError(f"{name} is {value}; it must be {number} above 0")
        if isinstance(value, int) and value >= below:
            limit = "2**31" if below == 2**31 else f"{below:,.0f}"
            raise ValueError(f"{name} is {value}; it must be below {limit}")


def check_not_negative(config: Any, *names: str) -> None:
    """Raises ValueError if a field is not a finite number, 0 or more."""
    for name in names:
        if not 0 <= getattr(config, name) < inf:
            raise ValueError(f"{name} is {getattr(config, name)}; it must be 0 or more")


def from_json(value: Any, annotation: Any) -> Any:
    """A value from JSON as the annotated type: 1e6 as an int, 1 as a float, a list as a tuple."""
    if (item := item_type(annotation)) is not None and isinstance(value, list):
        return tuple(from_json(each, item) for each in value)
    allowed = value_types(annotation)
    if isinstance(value, float) and value.is_integer() and int in allowed:
        return int(value)
    return float(value) if type(value) is int and float in allowed else value
