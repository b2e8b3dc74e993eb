"""Environment configs to and from JSON-able dicts."""

from collections.abc import Collection, Mapping
from dataclasses import MISSING, asdict, fields, replace
from typing import Any

from gridmem.envs.checks import unknown_name
from gridmem.envs.env import EnvConfig
from gridmem.envs.maps import Map, NoiseMap, TextMap
from gridmem.envs.tasks import Return, Task, Tour

_PROTOCOLS = {"map": Map, "task": Task}
_PARTS: dict[str, dict[str, type]] = {
    "map": {"NoiseMap": NoiseMap, "TextMap": TextMap},
    "task": {"Return": Return, "Tour": Tour},
}
_OTHER_NAMES = {"max_episode_steps": "max_steps", "max_cycles": "max_steps"}


def config_to_dict(config: EnvConfig) -> dict[str, Any]:
    """A config as JSON-able data; `config_from_dict` is the inverse."""
    data = asdict(config)
    for part in _PARTS:
        data[part] = {"type": type(getattr(config, part)).__name__, **data[part]}
    return data


def config_from_dict(data: Mapping[str, Any], base: EnvConfig | None = None) -> EnvConfig:
    """A copy of `base` with some fields replaced.

    Args:
        data: fields of `EnvConfig`; fields of the map and the task may stand beside them.
        base: the config to change; the default one if not given.

    Raises:
        ValueError: for an unknown or repeated name, or an invalid value.
    """
    base = EnvConfig() if base is None else base
    data = plain(data)
    changes = _canonical_names(data)
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


def _canonical_names(data: Mapping[str, Any]) -> dict[str, Any]:
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
        raise ValueError(unknown_name(f"{part} type", name, classes, "types"))
    cls = classes[name]
    _refuse_unknown(changes, [field.name for field in fields(cls)], f"{part} option")
    if type(base) is cls:
        return replace(base, **changes)
    missing = [f.name for f in fields(cls) if f.default is MISSING and f.name not in changes]
    if missing:
        raise ValueError(f"the {part} type {name!r} needs the option {missing[0]!r}")
    return cls(**changes)


def plain(value: Any) -> Any:
    """The value with numpy and JAX numbers as Python numbers, and lists and arrays as tuples."""
    if hasattr(value, "tolist"):
        value = value.tolist()  # a number, for a scalar or a 0-d array
    if isinstance(value, Mapping):
        return {name: plain(each) for name, each in value.items()}
    return tuple(map(plain, value)) if isinstance(value, list | tuple) else value


class UnknownOption(ValueError, TypeError):
    """An unknown option. Also a TypeError, as Python raises for an unknown argument.

    TorchRL's `GymEnv` relies on that, and on the words "unexpected keyword argument", to find out
    whether an environment takes `frameskip`.
    """


def _refuse_unknown(changes: Mapping[str, Any], known: Collection[str], what: str) -> None:
    for name in changes:
        if name not in known:
            sentence = unknown_name(what, name, known, "options")
            raise UnknownOption(f"unexpected keyword argument {name!r}: {sentence}")
