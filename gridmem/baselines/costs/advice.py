"""Which setting to change, and to what, so that a run fits into memory."""

from bisect import bisect_left
from collections.abc import Callable
from dataclasses import fields, replace
from math import gcd, inf

from gridmem.baselines.config import TrainConfig
from gridmem.baselines.env_settings import COMMON_OPTIONS
from gridmem.baselines.ppo.sharding import usable_devices

_MODEL = ("width", "ff_width", "num_layers")
_ROLLOUT = ("num_envs", "rollout_steps", "max_steps", "num_layers")
HELPFUL_SETTINGS = {
    "parameters": _MODEL,
    "optimizer": _MODEL,
    "gradients": _MODEL,
    "rollout_state": _ROLLOUT,
    "levels": ("num_envs",),
    "environments": ("num_envs",),
    "caches": _ROLLOUT,
    "rollout": _ROLLOUT,
    "activations": ("num_minibatches", "rollout_steps", "max_steps", *_MODEL),
}
"""Field of `MemoryEstimate` -> settings that make it smaller, those that change least first."""


def advice(config: TrainConfig, largest: str, fits: Callable[[TrainConfig], bool]) -> str | None:
    """What to change, as "lower --num-envs to 64"; None if no single setting is enough.

    Args:
        config: a run that does not fit.
        largest: the field of its `MemoryEstimate` that is largest.
        fits: whether another config fits.
    """
    for shift in range(1, config.num_seeds.bit_length()):
        fewer = replace(config, num_seeds=config.num_seeds >> shift)
        if fits(fewer):
            return f"lower --num-seeds to {fewer.num_seeds}"
    for name in dict.fromkeys([*HELPFUL_SETTINGS[largest], "num_minibatches", *_ROLLOUT, *_MODEL]):
        tries = _tries(config, name)
        if tries and fits(tries[-1]):
            return _difference(config, tries[bisect_left(tries, True, key=fits)])
    return None


def _tries(config: TrainConfig, name: str) -> list[TrainConfig]:
    """The configs with a setting halved once, twice and so on; `num_minibatches` is doubled.

    Only those that use as many devices: with fewer, each would have a larger share of the rest.
    """
    env, devices, part = config.make_env(), usable_devices(config), _part(config, name)
    value = _value(config, name) or env.max_steps
    tries = []
    if name == "num_minibatches":
        most = config.ppo.num_envs * env.num_agents
        values = [value << shift for shift in range(1, (most // value).bit_length())]
    else:
        values = [value >> shift for shift in range(1, value.bit_length())]
    for each in values:
        changes = {name: each}
        if name == "num_envs":
            changes["num_minibatches"] = gcd(config.ppo.num_minibatches, each * env.num_agents)
        try:
            changed = replace(config, **{part: replace(getattr(config, part), **changes)})
            if usable_devices(changed) == devices:
                tries.append(changed)
        except ValueError:
            continue  # it contradicts another setting, or the number of processes
    return tries


def _part(config: TrainConfig, name: str) -> str:
    """The part of a config that has a setting."""
    if name in COMMON_OPTIONS:
        return "env"
    return next(f.name for f in fields(config) if hasattr(getattr(config, f.name), name))


def _value(config: TrainConfig, name: str) -> int | None:
    """The value of a setting; None for that of the environment's id."""
    part = getattr(config, _part(config, name))
    return config.env.options.get(name) if part is config.env else getattr(part, name)


def _difference(config: TrainConfig, better: TrainConfig) -> str:
    """The flags that change a config into a better one."""
    words = []
    for name in dict.fromkeys(name for names in HELPFUL_SETTINGS.values() for name in names):
        old, new = _value(config, name), _value(better, name)
        if old != new:
            verb = "raise" if (new or 0) > (old or inf) else "lower"
            words.append(f"{verb} --{name.replace('_', '-')} to {new}")
    return " and ".join(words)
