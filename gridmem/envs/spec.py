"""Environment configs to and from JSON-able dicts."""

from collections.abc import Mapping
from dataclasses import MISSING, asdict, fields, replace
from typing import Any

from gridmem.envs.env import EnvConfig
from gridmem.envs.maps import Map, NoiseMap, TextMap
from gridmem.envs.registry import nearest
from gridmem.envs.tasks import Return, Task

_PROTOCOLS = {"map": Map, "task": Task}
_PARTS: dict[str, dict[str, type]] = {
    "map": {"NoiseMap": NoiseMap, "TextMap": TextMap},
    "task": {"Return": Return},
}


def config_to_dict(config: EnvConfig) -> dict[str, Any]:
    """A config as JSON-able data; `config_from_dict` turns it back."""
    data = asdict(config)
    for part in _PARTS:
        data[part] = {"type": type(getattr(config, part)).__name__, **data[part]}
    return data


def config_from_dict(data: Mapping[str, Any], base: EnvConfig | None = None) -> EnvConfig:
    """A config that differs from `base` in the fields named; unknown names are refused."""
    base = EnvConfig() if base is None else base
    changes = dict(data)
    _refuse_unknown(changes, base, "option")
    for part, classes in _PARTS.items():
        if part in changes:
            changes[part] = _part(part, changes[part], getattr(base, part), classes)
    return replace(base, **changes)


def _part(part: str, value: Any, base: Any, classes: dict[str, type]) -> Any:
    if isinstance(value, Mapping):
        return _part_from_dict(part, value, base, classes)
    if not isinstance(value, _PROTOCOLS[part]):
        raise ValueError(
            f"the {part} is {value!r}; it must be a dict of options or one of {', '.join(classes)}"
        )
    return value


def _part_from_dict(part: str, data: Mapping[str, Any], base: Any, classes: dict[str, type]) -> Any:
    changes = {k: tuple(v) if isinstance(v, list) else v for k, v in data.items()}
    name = str(changes.pop("type", type(base).__name__))
    if name not in classes:
        raise ValueError(
            f"there is no {part} type {name!r}{nearest(name, classes)}; "
            f"the types are {', '.join(classes)}"
        )
    cls = classes[name]
    _refuse_unknown(changes, cls, f"{part} option")
    if type(base) is cls:
        return replace(base, **changes)
    missing = [f.name for f in fields(cls) if f.default is MISSING and f.name not in changes]
    if missing:
        raise ValueError(f"the {part} type {name!r} needs the option {missing[0]!r}")
    return cls(**changes)


def _refuse_unknown(changes: Mapping[str, Any], record: Any, what: str) -> None:
    known = [f.name for f in fields(record)]
    for name in changes:
        if name not in known:
            raise ValueError(
                f"there is no {what} {name!r}{nearest(name, known)}; "
                f"the options are {', '.join(known)}"
            )
