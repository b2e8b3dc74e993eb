"""GridMem: memory environments in Perlin-noise caves, and a transformer PPO that plays them.

Importing this registers the ids with Gymnasium and loads nothing heavier than Gymnasium; the
names below load what they need when they are first used.
"""

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

from gridmem.envs.registry import CONFIGS, make, register_with_gymnasium

if TYPE_CHECKING:
    from gridmem import baselines
    from gridmem.envs.env import Env, EnvConfig
    from gridmem.envs.gymnax_env import gymnax_env
    from gridmem.envs.levels import make_level
    from gridmem.envs.maps import NoiseMap, TextMap
    from gridmem.envs.metrics import EpisodeMetrics, measure, memory_gain, summary
    from gridmem.envs.oracle import ceiling, oracle_action, oracle_actions
    from gridmem.envs.packs import levels, load_levels, save_levels
    from gridmem.envs.paths import distances
    from gridmem.envs.pettingzoo_env import env, parallel_env
    from gridmem.envs.policy import Policy, random_policy
    from gridmem.envs.record_metrics import RecordMetrics
    from gridmem.envs.score import Score, score
    from gridmem.envs.scripted import compass_policy, reactive_policy
    from gridmem.envs.tasks import Return, Tour
    from gridmem.envs.types import Action, Level, Observation, State, Tile, TimeStep
    from gridmem.envs.unroll import play
    from gridmem.envs.vector import VectorEnv

__version__ = "0.1.0"
__all__ = [
    "CONFIGS",
    "Action",
    "Env",
    "EnvConfig",
    "EpisodeMetrics",
    "Level",
    "NoiseMap",
    "Observation",
    "Policy",
    "RecordMetrics",
    "Return",
    "Score",
    "State",
    "TextMap",
    "Tile",
    "TimeStep",
    "Tour",
    "VectorEnv",
    "baselines",
    "ceiling",
    "compass_policy",
    "distances",
    "env",
    "gymnax_env",
    "levels",
    "load_levels",
    "make",
    "make_level",
    "measure",
    "memory_gain",
    "oracle_action",
    "oracle_actions",
    "parallel_env",
    "play",
    "random_policy",
    "reactive_policy",
    "save_levels",
    "score",
    "summary",
]

_HOMES = {
    "Env": "env",
    "EnvConfig": "env",
    "gymnax_env": "gymnax_env",
    "make_level": "levels",
    "NoiseMap": "maps",
    "TextMap": "maps",
    "EpisodeMetrics": "metrics",
    "measure": "metrics",
    "memory_gain": "metrics",
    "summary": "metrics",
    "ceiling": "oracle",
    "oracle_action": "oracle",
    "oracle_actions": "oracle",
    "levels": "packs",
    "load_levels": "packs",
    "save_levels": "packs",
    "distances": "paths",
    "env": "pettingzoo_env",
    "parallel_env": "pettingzoo_env",
    "Policy": "policy",
    "random_policy": "policy",
    "RecordMetrics": "record_metrics",
    "Score": "score",
    "score": "score",
    "compass_policy": "scripted",
    "reactive_policy": "scripted",
    "Return": "tasks",
    "Tour": "tasks",
    "Action": "types",
    "Level": "types",
    "Observation": "types",
    "State": "types",
    "Tile": "types",
    "TimeStep": "types",
    "play": "unroll",
    "VectorEnv": "vector",
}


def __getattr__(name: str) -> Any:
    if name == "baselines":
        return import_module("gridmem.baselines")
    if name not in _HOMES:
        raise AttributeError(f"module 'gridmem' has no attribute {name!r}")
    return getattr(import_module(f"gridmem.envs.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__


register_with_gymnasium()
if "pettingzoo" in sys.modules:
    import_module("gridmem.pettingzoo")
