"""Scores: returns on the scale from random actions to shortest paths, on the same levels."""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float64
from numpy.typing import ArrayLike

from gridmem.envs.analysis.level_packs import pack
from gridmem.envs.config import config_to_dict
from gridmem.envs.env import Env
from gridmem.envs.registry import make

NUM_RESAMPLES = 2000
_NOT_RULES = {"num_agents", "view_size", "compass"}  # a score may be of any of these


class Score(NamedTuple):
    """A score: 0 for random actions, 1 for the best return known.

    Attributes:
        score: the number.
        low: 2.5 % of the scores of resampled levels; nan if they have none.
        high: 97.5 %.
        best: the meaning of 1: "ceiling" (no return is higher) or "oracle"; see `score`.
    """

    score: float
    low: float
    high: float
    best: str


def score(id: str, episode_return: ArrayLike, split: str = "test") -> Score:
    """The score of a policy on the stored levels of an id.

    (mean return - random) / (best - random), each a mean over the same levels, with a bootstrap
    interval over levels.

    The best is the level's ceiling: the number of trips along shortest paths that fit into an
    episode. Where rock can be dug, it is the return of the shortest-path oracle, which can be
    exceeded by digging tunnels for later trips.

    Args:
        id: one of the ids in the README, with its registered rules, any view and number of agents.
        episode_return: returns on the first N levels of `gridmem.levels(id)`, in their order: [N],
            or [N, ...] with further axes (agents, repetitions), which are averaged.
        split: the split of the levels.

    Raises:
        ValueError: for an unknown id or split, or returns that do not fit the levels.
    """
    known = pack(id, split)
    returns = np.asarray(episode_return, np.float64)
    if returns.ndim == 0 or not 0 < len(returns) <= len(known.best_return):
        raise ValueError(
            f"the returns have shape {returns.shape}; there must be one for each of the first N "
            f"levels, N from 1 to {len(known.best_return)}"
        )
    if not np.isfinite(returns).all():
        raise ValueError("the returns are not all finite numbers")
    returns = returns.reshape(len(returns), -1).mean(axis=1)
    num_levels = len(returns)
    random, best = (
        each[:num_levels].astype(np.float64) for each in (known.random_return, known.best_return)
    )
    above = np.stack([returns, best]) - random
    (interval,) = ratio_intervals(above[:1], above[1:])
    low, high = interval or (np.nan, np.nan)
    normalized = normalized_score(returns.mean(), random.mean(), best.mean())
    return Score(np.nan if normalized is None else normalized, low, high, known.best)


def normalized_score(episode_return: Any, random: Any, best: Any) -> float | None:
    """(episode_return - random) / (best - random); None if best equals random."""
    span = float(best) - float(random)
    return (float(episode_return) - float(random)) / span if span else None


def changed_rules(id: str, env: Env) -> list[str]:
    """The differences between the rules of an environment and those registered for the id."""
    here, there = (_flat(config_to_dict(each.config)) for each in (env, make(id)))
    return [
        f"{name.split('.')[-1]} {here.get(name)} instead of {there.get(name)}"
        for name in here | there
        if name not in _NOT_RULES and here.get(name) != there.get(name)
    ]


def ratio_intervals(
    numerators: Float64[np.ndarray, "M N"], denominators: Float64[np.ndarray, "M N"]
) -> list[tuple[float, float] | None]:
    """95 % intervals of M ratios of sums over N levels, sum(numerators) / sum(denominators).

    By the percentile bootstrap (Efron 1979) over levels, seeded.

    Returns:
        2.5 % and 97.5 % of the ratios of resampled levels; None if a denominator is 0.
    """
    num_levels = numerators.shape[1]
    # How often each level is in each resample; the sums are then one matrix product.
    counts = np.random.default_rng(0).multinomial(
        num_levels, np.full(num_levels, 1 / num_levels), NUM_RESAMPLES
    )
    intervals: list[tuple[float, float] | None] = []
    for numerator, denominator in zip(numerators @ counts.T, denominators @ counts.T, strict=True):
        interval = None
        if (denominator > 0).all():
            low, high = np.percentile(numerator / denominator, [2.5, 97.5])
            interval = float(low), float(high)
        intervals.append(interval)
    return intervals


def _flat(data: dict[str, Any], path: str = "") -> dict[str, Any]:
    """A nested dict as a flat one, with dotted names."""
    flat = {}
    for name, value in data.items():
        inner = isinstance(value, dict)
        flat.update(_flat(value, f"{path}{name}.") if inner else {path + name: value})
    return flat
