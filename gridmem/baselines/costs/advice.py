"""Which setting to change, and to what, so that a run fits its device."""

from bisect import bisect_left
from collections.abc import Callable
from dataclasses import fields, replace
from math import gcd

from gridmem.baselines.config import TrainConfig
from gridmem.baselines.ppo.sharding import usable_devices

_MODEL = ("width", "ff_width", "num_layers")
_PLAY = ("num_envs", "rollout_steps", "max_steps", "num_layers")
HELPING = {
    "parameters": _MODEL,
    "optimizer": _MODEL,
    "gradients": _MODEL,
    "ongoing": _PLAY,
    "levels": ("num_envs",),
    "environments": ("num_envs",),
    "caches": _PLAY,
    "rollout": _PLAY,
    "activations": ("num_minibatches", "rollout_steps", "max_steps", *_MODEL),
}
"""Part of a run's memory -> settings that make it smaller; those that change least come first."""


def remedy(config: TrainConfig, largest: str, fits: Callable[[TrainConfig], bool]) -> str | None:
    """What to do, as "lower --num-envs to 64"; None if no setting alone helps.

    Args:
        config: a run that does not fit.
        largest: the part that takes most, a key of `HELPING`.
        fits: whether another one does.
    """
    for shift in range(1, config.num_seeds.bit_length()):
        fewer = replace(config, num_seeds=config.num_seeds >> shift)
        if fits(fewer):
            return f"lower --num-seeds to {fewer.num_seeds}"
    for name in dict.fromkeys([*HELPING[largest], "num_minibatches", *_PLAY, *_MODEL]):
        tries = _tries(config, name)
        if tries and fits(tries[-1]):
            return _advice(config, tries[bisect_left(tries, True, key=fits)])
    return None


def _tries(config: TrainConfig, name: str) -> list[TrainConfig]:
    """The config with a setting halved, and halved again; more minibatches are smaller ones.

    All use as many devices: with fewer of them each would have a larger share of the rest.
    """
    env, devices = config.make_env(), usable_devices(config)
    value = getattr(getattr(config, _part(config, name)), name) or env.max_steps
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
            changed = _changed(config, _part(config, name), changes)
            if usable_devices(changed) == devices:
                tries.append(changed)
        except ValueError:
            continue  # another setting, or the devices of all processes, do not go with it
    return tries


def _changed(config: TrainConfig, part: str, changes: dict[str, int]) -> TrainConfig:
    return replace(config, **{part: replace(getattr(config, part), **changes)})


def _part(config: TrainConfig, name: str) -> str:
    """The part of a config that has a setting."""
    return next(f.name for f in fields(config) if hasattr(getattr(config, f.name), name))


def _advice(config: TrainConfig, better: TrainConfig) -> str:
    """The flags in which a config differs from a better one."""
    words = []
    for name in dict.fromkeys(name for names in HELPING.values() for name in names):
        part = _part(config, name)
        old, new = (getattr(getattr(each, part), name) for each in (config, better))
        if old != new:
            verb = "raise" if old is not None and new > old else "lower"
            words.append(f"{verb} --{name.replace('_', '-')} to {new}")
    return " and ".join(words)
