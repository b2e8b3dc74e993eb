"""GridMem: memory environments in Perlin-noise caves, and a transformer PPO that plays them.

Importing this registers the ids with Gymnasium and loads nothing heavier than Gymnasium; the
names below load what they need when they are first used.
"""

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

from gridmem.envs.registry import CONFIGS, make, register_with_gymnasium

if TYPE_CHECKING:
    from gridmem.envs.env import Env, EnvConfig
    from gridmem.envs.maps import NoiseMap, TextMap
    from gridmem.envs.pettingzoo_env import env, parallel_env
    from gridmem.envs.tasks import Return, Tour
    from gridmem.envs.types import Action, Level, Observation, State, Tile, TimeStep

__version__ = "0.1.0"
__all__ = [
    "CONFIGS",
    "Action",
    "Env",
    "EnvConfig",
    "Level",
    "NoiseMap",
    "Observation",
    "Return",
    "State",
    "TextMap",
    "Tile",
    "TimeStep",
    "Tour",
    "env",
    "make",
    "parallel_env",
]

_HOMES = {
    "Env": "env",
    "EnvConfig": "env",
    "NoiseMap": "maps",
    "TextMap": "maps",
    "env": "pettingzoo_env",
    "parallel_env": "pettingzoo_env",
    "Return": "tasks",
    "Tour": "tasks",
    "Action": "types",
    "Level": "types",
    "Observation": "types",
    "State": "types",
    "Tile": "types",
    "TimeStep": "types",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'gridmem' has no attribute {name!r}")
    return getattr(import_module(f"gridmem.envs.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__


register_with_gymnasium()
if "pettingzoo" in sys.modules:
    import_module("gridmem.pettingzoo")
