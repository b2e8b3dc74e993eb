"""Mixers and methods by name, those of other packages included; loads none of them."""

from collections.abc import Callable
from dataclasses import fields
from typing import Any

from gridmem.envs.checks import resolve, same_definition, unknown_name
from gridmem.envs.registry import IMPORT_HINT

_BUILT_IN = "gridmem.baselines.model.mixers"
MIXERS: dict[str, Any] = {
    "attention": f"{_BUILT_IN}.attention:Attention",
    "gru": f"{_BUILT_IN}.gru:GRU",
    "lstm": f"{_BUILT_IN}.lstm:LSTM",
    "linear": f"{_BUILT_IN}.linear:LinearRecurrence",
    "gla": f"{_BUILT_IN}.gla:GatedLinearAttention",
    "none": f"{_BUILT_IN}.none:NoMixer",
}
"""Name -> class with the protocol `Mixer`, or "module:name" of it."""
METHOD_CONFIGS: dict[str, type] = {}
"""Name -> class of its settings, a `MethodConfig`."""
METHOD_PRESETS: dict[str, Callable[[], Any] | None] = {}
"""Name -> what makes the preset of a method; None for the default settings."""
METHODS: dict[str, Any] = {}
"""Name -> class with the protocol `Method`, or "module:name" of it."""


def register_mixer(name: str, mixer: Any) -> None:
    """Makes a mixer known by a name, for `--mixer` and `ModelConfig.mixer`.

    Args:
        name: of the mixer.
        mixer: a class with the protocol `gridmem.baselines.model.mixers.Mixer`, made from a
            `ModelConfig` and `nnx.Rngs`; or "module:name" of it, imported at first use.

    Raises:
        ValueError: if the name is taken by another mixer.
    """
    _add(MIXERS, "mixer", name, mixer)


def register_method(
    name: str, method: Any, config: type, preset: Callable[[], Any] | None = None
) -> None:
    """Makes a method known by a name, which is also the name of a preset.

    Args:
        name: of the method.
        method: a subclass of `gridmem.baselines.method.Method`; or "module:name" of it, imported
            at first use.
        config: its settings, a frozen dataclass derived from `MethodConfig`; each field has a
            default, and its docstring is the help of its flag.
        preset: returns the `TrainConfig` of the preset; the default one with this method, if not
            given.

    Raises:
        ValueError: if the name is taken by another method, or the settings are no dataclass with
            defaults, or those of another method.
    """
    if "__dataclass_fields__" not in vars(config):
        raise ValueError(f"the settings of {name!r} are {config!r}; they must be a dataclass")
    taken = [other for other, each in METHOD_CONFIGS.items() if each is config and other != name]
    if taken:
        raise ValueError(f"{config.__name__} has the settings of {taken[0]!r}; derive a class")
    try:
        config()
        names = [field.name for field in fields(config)]
    except TypeError:
        raise ValueError(f"the settings of {name!r} need a default for each field") from None
    if "type" in names:
        raise ValueError(f"the settings of {name!r} cannot have a field 'type'; rename it")
    _add(METHODS, "method", name, method)
    METHOD_CONFIGS[name] = config
    METHOD_PRESETS[name] = preset


def mixer_names() -> tuple[str, ...]:
    """The names of all mixers."""
    return tuple(MIXERS)


def find(known: dict[str, Any], kind: str, name: str) -> Any:
    """What is registered by a name, imported if necessary.

    Raises:
        ValueError: for an unknown name, or one whose module has no such attribute.
    """
    if name not in known:
        raise ValueError(f"{unknown_name(kind, name, known, f'{kind}s')}; {IMPORT_HINT}")
    return resolve(f"the {kind} {name!r}", known[name])


def _add(known: dict[str, Any], kind: str, name: str, value: Any) -> None:
    if not same_definition(known.get(name, value), value):
        raise ValueError(f"there is a {kind} {name!r} already; choose another name")
    known[name] = value
