"""The table of environment ids, and `make`.

The table is plain data and this file loads neither jax nor numpy, so that importing gridmem and
registering with Gymnasium is cheap.
"""

from typing import TYPE_CHECKING, Any

from gridmem.envs.checks import unknown_name
from gridmem.envs.forks import refuse_forks

if TYPE_CHECKING:
    from gridmem.envs.env import Env

_DIG_OCTAVES = (20, 10, 8, 5, 4)


def _classic(side: int, max_steps: int) -> dict[str, Any]:
    return {"map": {"height": side, "width": side}, "max_steps": max_steps}


def _dig(side: int, scale: int, view_size: int) -> dict[str, Any]:
    return {
        "map": {
            "height": side,
            "width": side,
            "wavelengths": [scale * wavelength for wavelength in _DIG_OCTAVES],
            "dirichlet": True,
            "threshold": 0.05,
            "solid": "rock",
        },
        "view_size": view_size,
        "dig_steps": 5,
    }


CONFIGS: dict[str, dict[str, Any]] = {
    "GridMem-9x9-v0": _classic(9, 64),
    "GridMem-13x13-v0": _classic(13, 128),
    "GridMem-20x20-v0": _classic(20, 256),
    "GridMem-v0": _classic(40, 512),
    "GridMem-Dig-v0": _dig(40, 1, 5),
    "GridMem-DigLarge-v0": _dig(80, 2, 11),
}
"""Every id and how its `EnvConfig` differs from the default one. An id's rules never change."""


def make(id: str, **overrides: Any) -> "Env":
    """The JAX environment of an id.

    Args:
        id: one of the ids in the README, for example "GridMem-v0".
        **overrides: any field of `EnvConfig`, as a value or as JSON-able data. A dict for `map`
            or `task` changes the fields that it names and keeps the others; with a key "type" it
            chooses another class.

    Raises:
        ValueError: for an unknown id or option, or an invalid value.
        RuntimeError: in a process forked from one that had already used JAX.
    """
    refuse_forks()
    return make_for_adapter(id, **overrides)


def make_for_adapter(id: str, **overrides: Any) -> "Env":
    """`make` for adapters, which are made in any process and refuse forks only when they play.

    Raises:
        ValueError: as `make` does.
    """
    from gridmem.envs.config import config_from_dict
    from gridmem.envs.env import Env

    if id not in CONFIGS:
        raise ValueError(unknown_name("environment", id, CONFIGS, "ids"))
    return Env(config_from_dict(overrides, base=config_from_dict(CONFIGS[id])))


def make_single_agent(id: str, library: str, **overrides: Any) -> "Env":
    """`make` for adapters to libraries with one agent per environment.

    Raises:
        ValueError: as `make` does, and for more than one agent.
    """
    env = make_for_adapter(id, **overrides)
    if env.num_agents != 1:
        raise ValueError(
            f"num_agents is {env.num_agents}, and an environment of {library} has one agent; use "
            f"num_agents=1, gridmem.parallel_env({id!r}, num_agents={env.num_agents}) or, in JAX, "
            "gridmem.make"
        )
    return env


def register_with_gymnasium() -> None:
    """Registers every id for `gymnasium.make` and `gymnasium.make_vec`."""
    import gymnasium

    for id in CONFIGS:
        if id not in gymnasium.registry:
            gymnasium.register(
                id=id,
                entry_point="gridmem.gymnasium:GridMemEnv",
                vector_entry_point="gridmem.gymnasium:GridMemVectorEnv",
                kwargs={"env_id": id},  # `id` would clash with an argument of `make_vec`
            )
