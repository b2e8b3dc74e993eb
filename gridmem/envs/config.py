"""Environment configs to and from JSON-able dicts."""

from collections.abc import Collection, Mapping
from dataclasses import MISSING, asdict, fields, replace
from typing import Any

from gridmem.envs.env import EnvConfig
from gridmem.envs.maps import Map, NoiseMap, TextMap
from gridmem.envs.suggest import nearest
from gridmem.envs.tasks import Return, Task, Tour

_PROTOCOLS = {"map": Map, "task": Task}
_PARTS: dict[str, dict[str, type]] = {
    "map": {"NoiseMap": NoiseMap, "TextMap": TextMap},
    "task": {"Return": Return, "Tour": Tour},
}
_OTHER_NAMES = {"max_episode_steps": "max_steps", "max_cycles": "max_steps"}


def config_to_dict(config: EnvConfig) -> dict[str, Any]:
    """A config as JSON-able data; `config_from_dict` turns it back."""
    data = asdict(config)
    for part in _PARTS:
        data[part] = {"type": type(getattr(config, part)).__name__, **data[part]}
    return data


def config_from_dict(data: Mapping[str, Any], base: EnvConfig | None = None) -> EnvConfig:
    """A config that differs from `base` in the fields named; unknown names are refused.

    A field of the map or the task may stand beside those of the config itself.

    Raises:
        ValueError: for an unknown or doubled name, or a value that cannot be.
    """
    base = EnvConfig() if base is None else base
    data = plain(data)
    changes = _with_own_names(data)
    parts = {
        part: _part(part, changes.pop(part, {}), getattr(base, part), classes)
        for part, classes in _PARTS.items()
    }
    known = {field.name: "" for field in fields(base)}
    for part, value in parts.items():
        known |= {field.name: part for field in fields(value)}
    _refuse_unknown(changes, known, "option")
    for name in [name for name in changes if known[name]]:
        part, value = known[name], changes.pop(name)
        if isinstance(data.get(part), Mapping) and name in data[part]:
            raise ValueError(f"{name} is given twice, by itself and in {part}; give it once")
        parts[part] = replace(parts[part], **{name: value})
    return replace(base, **parts, **changes)


def _with_own_names(data: Mapping[str, Any]) -> dict[str, Any]:
    given = {}
    for name in data:
        given.setdefault(_OTHER_NAMES.get(name, name), []).append(name)
    for names in given.values():
        if len(names) > 1:
            raise ValueError(
                f"{' and '.join(names)} are names of one option; give only one of them"
            )
    return {name: data[names[0]] for name, names in given.items()}


def _part(part: str, value: Any, base: Any, classes: dict[str, type]) -> Any:
    if isinstance(value, Mapping):
        return _part_from_dict(part, value, base, classes)
    if not isinstance(value, _PROTOCOLS[part]):
        raise ValueError(
            f"the {part} is {value!r}; it must be a dict of options or one of {', '.join(classes)}"
        )
    return value


def _part_from_dict(part: str, data: Mapping[str, Any], base: Any, classes: dict[str, type]) -> Any:
    changes = dict(data)
    name = str(changes.pop("type", type(base).__name__))
    if name not in classes:
        raise ValueError(
            f"there is no {part} type {name!r}{nearest(name, classes)}; "
            f"the types are {', '.join(classes)}"
        )
    cls = classes[name]
    _refuse_unknown(changes, [field.name for field in fields(cls)], f"{part} option")
    if type(base) is cls:
        return replace(base, **changes)
    missing = [f.name for f in fields(cls) if f.default is MISSING and f.name not in changes]
    if missing:
        raise ValueError(f"the {part} type {name!r} needs the option {missing[0]!r}")
    return cls(**changes)


def plain(value: Any) -> Any:
    """The same with Python's numbers for those of numpy or JAX, and tuples for lists and arrays."""
    if hasattr(value, "tolist"):
        value = value.tolist()  # of a scalar and of a 0-d array a number
    if isinstance(value, Mapping):
        return {name: plain(each) for name, each in value.items()}
    return tuple(map(plain, value)) if isinstance(value, list | tuple) else value


class UnknownOption(ValueError, TypeError):
    """An option that does not exist; Python's own error for it is a TypeError.

    TorchRL's `GymEnv` tries whether an environment takes `frameskip`, and knows by that error
    and its words "unexpected keyword argument" that it does not.
    """


def _refuse_unknown(changes: Mapping[str, Any], known: Collection[str], what: str) -> None:
    for name in changes:
        if name not in known:
            raise UnknownOption(
                f"unexpected keyword argument {name!r}: there is no {what} {name!r}"
                f"{nearest(name, known)}; the options are {', '.join(known)}"
            )
