"""Intervals by drawing the levels anew: the percentile bootstrap (Efron 1979), seeded."""

import numpy as np
from jaxtyping import Float64

NUM_RESAMPLES = 2000


def ratio_intervals(
    above: Float64[np.ndarray, "M N"], below: Float64[np.ndarray, "M N"]
) -> list[tuple[float, float] | None]:
    """95 % intervals of M ratios of sums over N levels, sum(above) / sum(below).

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
