"""How good a return is, between random actions and the shortest paths on the same levels."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from gridmem.envs.analysis.bootstrap import ratio_intervals
from gridmem.envs.analysis.level_packs import pack


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
    above = np.stack([returns, known.best_return[:num_levels]]) - known.random_return[:num_levels]
    (interval,) = ratio_intervals(above[:1], above[1:])
    low, high = interval or (np.nan, np.nan)
    mine, best = above.sum(axis=1)
    return Score(float(mine / best), low, high, known.best)
