"""GridMem: memory environments in Perlin-noise caves, and a transformer PPO baseline.

Importing it registers the ids with Gymnasium and loads nothing heavier than Gymnasium; the names
below are imported lazily.
"""

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

from gridmem.envs.registry import CONFIGS, make, register, register_with_gymnasium

if TYPE_CHECKING:
    from gridmem import baselines
    from gridmem.envs.adapters.gymnax_env import gymnax_env
    from gridmem.envs.adapters.pettingzoo_env import env, parallel_env
    from gridmem.envs.adapters.record_metrics import RecordMetrics
    from gridmem.envs.analysis.episode_stats import Achievements, Finds, Returns
    from gridmem.envs.analysis.level_packs import levels, load_levels, save_levels
    from gridmem.envs.analysis.metrics import EpisodeMetrics, measure, memory_gain, summary
    from gridmem.envs.analysis.oracle import ceiling, oracle_action, oracle_actions
    from gridmem.envs.analysis.score import Score, score
    from gridmem.envs.analysis.scripted import compass_policy, reactive_policy
    from gridmem.envs.analysis.shortest_paths import difficulty, distances
    from gridmem.envs.batch.autoreset import VectorEnv
    from gridmem.envs.batch.policy import Policy, PolicyOutput, random_policy
    from gridmem.envs.batch.rollout import play
    from gridmem.envs.env import Env, EnvConfig
    from gridmem.envs.environment import (
        Bits,
        Box,
        Column,
        Counts,
        Discrete,
        Environment,
        Ids,
        Numbers,
        PackedIds,
    )
    from gridmem.envs.levels import make_level
    from gridmem.envs.maps import NoiseMap, TextMap
    from gridmem.envs.tasks import Return, Tour
    from gridmem.envs.types import Action, Level, Observation, State, Tile, TimeStep

__version__ = "0.1.0"
__all__ = [
    "CONFIGS",
    "Achievements",
    "Action",
    "Bits",
    "Box",
    "Column",
    "Counts",
    "Discrete",
    "Env",
    "EnvConfig",
    "Environment",
    "EpisodeMetrics",
    "Finds",
    "Ids",
    "Level",
    "NoiseMap",
    "Numbers",
    "Observation",
    "PackedIds",
    "Policy",
    "PolicyOutput",
    "RecordMetrics",
    "Return",
    "Returns",
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
    "difficulty",
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
    "register",
    "save_levels",
    "score",
    "summary",
]

_NAMES = {
    "adapters.gymnax_env": "gymnax_env",
    "adapters.pettingzoo_env": "env parallel_env",
    "adapters.record_metrics": "RecordMetrics",
    "analysis.episode_stats": "Achievements Finds Returns",
    "analysis.level_packs": "levels load_levels save_levels",
    "analysis.metrics": "EpisodeMetrics measure memory_gain summary",
    "analysis.oracle": "ceiling oracle_action oracle_actions",
    "analysis.score": "Score score",
    "analysis.scripted": "compass_policy reactive_policy",
    "analysis.shortest_paths": "difficulty distances",
    "batch.autoreset": "VectorEnv",
    "batch.policy": "Policy PolicyOutput random_policy",
    "batch.rollout": "play",
    "env": "Env EnvConfig",
    "environment": "Bits Box Column Counts Discrete Environment Ids Numbers PackedIds",
    "levels": "make_level",
    "maps": "NoiseMap TextMap",
    "tasks": "Return Tour",
    "types": "Action Level Observation State Tile TimeStep",
}
_HOMES = {name: home for home, names in _NAMES.items() for name in names.split()}


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
