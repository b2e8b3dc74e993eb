"""An earlier path of `gridmem.gymnasium`, which specs stored in datasets refer to."""

from gridmem.envs.adapters.gymnasium_env import GridMemEnv as GridMemEnv
