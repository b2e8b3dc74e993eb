"""An earlier path of `gridmem.gymnasium`, which specs stored in datasets refer to."""

from gridmem.envs.adapters.gymnasium_vector_env import GridMemVectorEnv as GridMemVectorEnv
