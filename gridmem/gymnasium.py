"""The classes that the ids name in Gymnasium's registry: paths that stay."""

from gridmem.envs.adapters.gymnasium_env import GridMemEnv
from gridmem.envs.adapters.gymnasium_vector_env import GridMemVectorEnv

__all__ = ["GridMemEnv", "GridMemVectorEnv"]
