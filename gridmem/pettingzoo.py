"""Registers the ids with PettingZoo when imported, for `pettingzoo.make("parallel", ...)`.

PettingZoo has a registry from 1.27 on; with an earlier version this does nothing. `import gridmem`
imports this module if PettingZoo has been imported before.
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
