"""The reference agent: an on-policy transformer trained by PPO on whole episodes."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gridmem.baselines.agent import Agent, load, released
    from gridmem.baselines.config import TrainConfig
    from gridmem.baselines.method import Method, MethodConfig, Stage
    from gridmem.baselines.registration import register_method, register_mixer

_HOMES = {
    "Agent": "agent",
    "Method": "method",
    "MethodConfig": "method",
    "Stage": "method",
    "TrainConfig": "config",
    "load": "agent",
    "register_method": "registration",
    "register_mixer": "registration",
    "released": "agent",
}
__all__ = [
    "Agent",
    "Method",
    "MethodConfig",
    "Stage",
    "TrainConfig",
    "load",
    "register_method",
    "register_mixer",
    "released",
]


def __getattr__(name: str) -> Any:
    """Loads public names on first use: they need `gridmem[train]`."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        module = import_module(f"gridmem.baselines.{_HOMES[name]}")
    except ModuleNotFoundError as error:
        from gridmem.cli_utils import install

        raise ModuleNotFoundError(f"an agent needs {error.name}; {install('train')}") from None
    return getattr(module, name)
