"""GridMem: memory environments in Perlin-noise caves, and a transformer PPO baseline.

Importing it registers the ids with Gymnasium and loads nothing heavier than Gymnasium; the names
below are imported lazily.
"""

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

from gridmem.envs.registry import CONFIGS, make, register_with_gymnasium

if TYPE_CHECKING:
    from gridmem import baselines
    from gridmem.envs.adapters.gymnax_env import gymnax_env
    from gridmem.envs.adapters.pettingzoo_env import env, parallel_env
    from gridmem.envs.adapters.record_metrics import RecordMetrics
    from gridmem.envs.analysis.level_packs import levels, load_levels, save_levels
    from gridmem.envs.analysis.metrics import EpisodeMetrics, measure, memory_gain, summary
    from gridmem.envs.analysis.oracle import ceiling, oracle_action, oracle_actions
    from gridmem.envs.analysis.score import Score, score
    from gridmem.envs.analysis.scripted import compass_policy, reactive_policy
    from gridmem.envs.analysis.shortest_paths import distances
    from gridmem.envs.batch.autoreset import VectorEnv
    from gridmem.envs.batch.policy import Policy, random_policy
    from gridmem.envs.batch.rollout import play
    from gridmem.envs.env import Env, EnvConfig
    from gridmem.envs.levels import make_level
    from gridmem.envs.maps import NoiseMap, TextMap
    from gridmem.envs.tasks import Return, Tour
    from gridmem.envs.types import Action, Level, Observation, State, Tile, TimeStep

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
    "gymnax_env": "adapters.gymnax_env",
    "make_level": "levels",
    "NoiseMap": "maps",
    "TextMap": "maps",
    "EpisodeMetrics": "analysis.metrics",
    "measure": "analysis.metrics",
    "memory_gain": "analysis.metrics",
    "summary": "analysis.metrics",
    "ceiling": "analysis.oracle",
    "oracle_action": "analysis.oracle",
    "oracle_actions": "analysis.oracle",
    "levels": "analysis.level_packs",
    "load_levels": "analysis.level_packs",
    "save_levels": "analysis.level_packs",
    "distances": "analysis.shortest_paths",
    "env": "adapters.pettingzoo_env",
    "parallel_env": "adapters.pettingzoo_env",
    "Policy": "batch.policy",
    "random_policy": "batch.policy",
    "RecordMetrics": "adapters.record_metrics",
    "Score": "analysis.score",
    "score": "analysis.score",
    "compass_policy": "analysis.scripted",
    "reactive_policy": "analysis.scripted",
    "Return": "tasks",
    "Tour": "tasks",
    "Action": "types",
    "Level": "types",
    "Observation": "types",
    "State": "types",
    "Tile": "types",
    "TimeStep": "types",
    "play": "batch.rollout",
    "VectorEnv": "batch.autoreset",
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
