"""The table of environment ids, and `make`.

The table is plain data and this file loads neither jax nor numpy, so that importing gridmem and
registering with Gymnasium is cheap.
"""

import json
from collections.abc import Callable, Collection
from functools import partial
from inspect import signature
from typing import TYPE_CHECKING, Any

from gridmem.envs.checks import nearest, refuse_forks, resolve, same_definition, unknown_name

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


IMPORT_HINT = "others must be registered first (in a program: --import MODULE)"
GYMNASIUM = "gymnasium:"
"""Begins the id of an environment of Gymnasium's registry."""
_EXTERNAL = "gridmem.envs.external"
_HOSTED = f"{_EXTERNAL}.gymnasium_host:gymnasium_env"
_FACTORIES: dict[str, str | Callable[..., Any]] = {
    "Craftax-Symbolic-v1": f"{_EXTERNAL}.craftax_env:craftax",
    "Craftax-Classic-Symbolic-v1": f"{_EXTERNAL}.craftax_env:craftax_classic",
    "MiniGrid-MemoryS8": f"{_EXTERNAL}.xland_env:memory_s8",
    "MiniGrid-MemoryS16": f"{_EXTERNAL}.xland_env:memory_s16",
    "Pendulum-v1": f"{_EXTERNAL}.pendulum:Pendulum",
    "HalfCheetah-v5": _HOSTED,
    "Hopper-v5": _HOSTED,
    "Ant-v5": _HOSTED,
}
_MADE: dict[tuple[str, Any, str], Any] = {}


def register(id: str, factory: str | Callable[..., Any]) -> None:
    """Makes an environment of another package known by an id, for `make` and the trainer.

    It is not registered with Gymnasium.

    Args:
        id: any text that is not an id of GridMem.
        factory: called with the options of `make`, returns an object with the protocol
            `gridmem.envs.environment.Environment`; or "module:name" of it, imported at first use.

    Raises:
        ValueError: if the id is taken by another factory.
    """
    if id in CONFIGS or not same_definition(_FACTORIES.get(id, factory), factory):
        raise ValueError(f"there is an environment {id!r} already; choose another id")
    _FACTORIES[id] = factory


def make(id: str, **overrides: Any) -> "Env":
    """The JAX environment of an id.

    Args:
        id: one of the ids in the README, for example "GridMem-v0"; or a registered one, see
            `register`, for which the result is an `Environment`; or "gymnasium:" and an id of
            Gymnasium, for which it is a `HostEnvironment`.
        **overrides: any field of `EnvConfig`, as a value or as JSON-able data. A dict for `map`
            or `task` changes the fields that it names and keeps the others; with a key "type" it
            chooses another class. Of a registered id, the arguments of its factory.

    Raises:
        ValueError: for an unknown id or option, or an invalid value.
        RuntimeError: in a process forked from one that had already used JAX.
    """
    refuse_forks()
    return make_environment(id, **overrides)


def make_environment(id: str, *, shared: bool = False, **overrides: Any) -> Any:
    """`make` for a trainer, which knows no more than the protocol.

    Args:
        id: of the environment.
        shared: the one that was made before with these options, if they are JSON-able data.
        **overrides: options.
    """
    if id in CONFIGS:
        return make_for_adapter(id, **overrides)
    if "+" in id and id not in _FACTORIES:
        return _make_mixture(id.split("+"), overrides)
    factory = _FACTORIES.get(id, _HOSTED if id.startswith(GYMNASIUM) else None)
    if factory is None:
        if id.startswith("Craftax") and "Pixels" in id:
            raise ValueError(
                f"{id} has pixels for observations, and GridMem has the symbolic ones: "
                f"{id.replace('Pixels', 'Symbolic')}"
            )
        known = [*CONFIGS, *_FACTORIES]
        raise ValueError(
            f"{unknown_name('environment', id, known, 'ids')}; one of Gymnasium is written "
            f"{GYMNASIUM}ID; {IMPORT_HINT}"
        )
    if not shared:
        return _make_foreign(id, factory, overrides)
    key = id, factory, json.dumps(overrides, sort_keys=True)
    if key not in _MADE:
        _MADE[key] = _make_foreign(id, factory, overrides)
    return _MADE[key]


def _make_mixture(ids: list[str], options: dict[str, Any]) -> Any:
    """A mixture of environments; options are for GridMem's own ids."""
    from gridmem.envs.batch.mixture import Mixture

    if doubled := [id for id in ids if ids.count(id) > 1]:
        raise ValueError(f"{doubled[0]!r} is in the mixture twice; name each environment once")
    if options and not any(id in CONFIGS for id in ids):
        raise ValueError(
            f"{', '.join(options)}: options in a mixture are those of GridMem's ids, and this one "
            "has none of them"
        )
    envs = [make_environment(id, shared=True, **(options if id in CONFIGS else {})) for id in ids]
    return Mixture(tuple(ids), tuple(envs))


def _make_foreign(id: str, factory: str | Callable[..., Any], options: dict[str, Any]) -> Any:
    from gridmem.envs.environment import check_environment

    make_env = resolve(f"the environment {id!r}", factory)
    if factory == _HOSTED:
        make_env = partial(make_env, id.removeprefix(GYMNASIUM))
    _check_options(id, make_env, options)
    try:
        env = make_env(**options)
    except (TypeError, ValueError) as error:
        raise ValueError(f"the environment {id!r} cannot be made: {error}") from error
    if str(factory).startswith(_EXTERNAL):  # tracing it would load its package
        return env
    return check_environment(id, env)


def _check_options(id: str, factory: Callable[..., Any], options: Collection[str]) -> None:
    """Raises ValueError for an option that the factory does not take."""
    known = signature(factory).parameters
    unknown = [name for name in options if name not in known]
    if unknown and not any(each.kind is each.VAR_KEYWORD for each in known.values()):
        raise ValueError(
            f"the environment {id!r} has no option {unknown[0]!r}{nearest(unknown[0], known)}; "
            f"it has {', '.join(known) or 'none'}"
        )


def make_for_adapter(id: str, **overrides: Any) -> "Env":
    """`make` for adapters, which are made in any process and refuse forks only when they play.

    Raises:
        ValueError: as `make` does.
    """
    from gridmem.envs.config import config_from_dict
    from gridmem.envs.env import Env

    if id in _FACTORIES:
        raise ValueError(
            f"the environment {id!r} is from outside of GridMem and has no interface to other "
            "libraries; use gridmem.make"
        )
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
