"""An earlier path of `gridmem.gymnasium`, for the specs that are stored in datasets."""

from gridmem.envs.adapters.gymnasium_env import GridMemEnv as GridMemEnv
