"""How good a return is, between random actions and the shortest paths on the same levels."""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float64
from numpy.typing import ArrayLike

from gridmem.envs.analysis.level_packs import pack
from gridmem.envs.config import config_to_dict
from gridmem.envs.env import Env
from gridmem.envs.registry import make

NUM_RESAMPLES = 2000
_NO_RULES = {"num_agents", "view_size", "compass"}  # a score is for any of these


class Score(NamedTuple):
    """0 is what random actions get, 1 what the best known does."""

    score: float
    low: float  # 2.5 % and 97.5 % of the scores of resampled levels
    high: float
    best: str  # what 1 stands for: "ceiling", the most there can be, or "oracle"; see `score`


def score(id: str, episode_return: ArrayLike, split: str = "test") -> Score:
    """The score of a policy on the stored levels of an id.

    (mean return - random) / (best - random), each a mean over the same levels: a ratio of means,
    with an interval by the bootstrap over levels.

    The best is the level's ceiling: the trips that fit into the clock along shortest paths.
    Where rock can be dug, it is the return of an oracle that takes shortest paths on the tiles
    as they are, which can be exceeded by digging tunnels for later trips.

    Args:
        id: one of the ids in the README, played as it is registered, with any view or number of
            agents.
        episode_return: what a policy got on the levels of `gridmem.levels(id)`, in their order:
            [N], or [N, ...] with further axes (agents, repeats) to be averaged. N may be below
            1,000: the first N levels.
        split: of the levels.

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
    """A return on the scale from random actions, 0, to the best, 1; None if those are equal."""
    span = float(best) - float(random)
    return (float(episode_return) - float(random)) / span if span else None


def changed_rules(id: str, env: Env) -> list[str]:
    """How an environment differs in its rules from the one that is registered under the id."""
    here, there = (_flat(config_to_dict(each.config)) for each in (env, make(id)))
    return [
        f"{name.split('.')[-1]} {here.get(name)} instead of {there.get(name)}"
        for name in here | there
        if name not in _NO_RULES and here.get(name) != there.get(name)
    ]


def ratio_intervals(
    above: Float64[np.ndarray, "M N"], below: Float64[np.ndarray, "M N"]
) -> list[tuple[float, float] | None]:
    """95 % intervals of M ratios of sums over N levels, sum(above) / sum(below).

    By the percentile bootstrap (Efron 1979) over levels, seeded.

    Returns:
        2.5 % and 97.5 % of the ratios of resampled levels; None for a ratio of which a resample
        has nothing below.
    """
    num_levels = above.shape[1]
    # How often each level is in each resample; the sums are then one matrix product.
    counts = np.random.default_rng(0).multinomial(
        num_levels, np.full(num_levels, 1 / num_levels), NUM_RESAMPLES
    )
    intervals: list[tuple[float, float] | None] = []
    for numerator, denominator in zip(above @ counts.T, below @ counts.T, strict=True):
        interval = None
        if (denominator > 0).all():
            low, high = np.percentile(numerator / denominator, [2.5, 97.5])
            interval = float(low), float(high)
        intervals.append(interval)
    return intervals


def _flat(data: dict[str, Any], path: str = "") -> dict[str, Any]:
    """A dict of dicts as one whose names are paths."""
    flat = {}
    for name, value in data.items():
        inner = isinstance(value, dict)
        flat.update(_flat(value, f"{path}{name}.") if inner else {path + name: value})
    return flat
