"""Importing this registers the ids with PettingZoo, for `pettingzoo.make("parallel", ...)`.

PettingZoo has a registry from 1.27 on; with an earlier one this registers nothing.
`import gridmem` does the same by itself where PettingZoo has been imported before it.
"""

import pettingzoo

from gridmem.envs.registry import CONFIGS

_FACES = {
    "parallel": "gridmem.envs.pettingzoo_env:parallel_env",
    "aec": "gridmem.envs.pettingzoo_env:env",
}

for _type, _entry_point in _FACES.items():
    for _id in CONFIGS if hasattr(pettingzoo, "register") else ():
        if _id not in getattr(pettingzoo, f"{_type}_registry"):
            pettingzoo.register(_type, _id, _entry_point, kwargs={"env_id": _id})
