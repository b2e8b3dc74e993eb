"""An earlier path of `gridmem.gymnasium`, for the specs that are stored in datasets."""

from gridmem.envs.adapters.gymnasium_vector_env import GridMemVectorEnv as GridMemVectorEnv
