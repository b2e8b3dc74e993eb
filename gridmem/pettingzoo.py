"""Importing this registers the ids with PettingZoo, for `pettingzoo.make("parallel", ...)`.

PettingZoo has a registry from 1.27 on; with an earlier one this registers nothing.
`import gridmem` does the same by itself where PettingZoo has been imported before it.
"""

import pettingzoo

from gridmem.envs.registry import CONFIGS

if hasattr(pettingzoo, "register"):
    for _id in CONFIGS:
        _kwargs = {"env_id": _id}
        if _id not in pettingzoo.parallel_registry:
            _entry_point = "gridmem:parallel_env"
            pettingzoo.register("parallel", _id, _entry_point, kwargs=_kwargs)
        if _id not in pettingzoo.aec_registry:
            _entry_point = "gridmem:env"
            pettingzoo.register("aec", _id, _entry_point, kwargs=_kwargs)
