"""The entry points in Gymnasium's registry."""

from gridmem.envs.adapters.gymnasium_env import GridMemEnv
from gridmem.envs.adapters.gymnasium_vector_env import GridMemVectorEnv

__all__ = ["GridMemEnv", "GridMemVectorEnv"]
