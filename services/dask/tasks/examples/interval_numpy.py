"""NumPy: how sure a mean is, by a bootstrap whose draws are spread over workers."""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import NDArray

from leandata.compute import Compute
from leandata.errors import ComputeError


def interval(
    compute: Compute, *, values: NDArray[np.float64], draws: int = 1000, shares: int = 4, seed: int = 0
) -> tuple[float, float]:
    """The 95% interval of the mean of `values`, by `draws` samples with replacement (Efron, Tibshirani 1993).

    Each share draws from a stream of its own, which `seed` and the number of shares fix: where it runs changes nothing.
    Raises ComputeError without values.
    """
    if not values.size:
        raise ComputeError("the mean of nothing has no interval", hint="Give at least one value")
    seeds = np.random.SeedSequence(seed).spawn(shares)
    counts = [draws // shares + (share < draws % shares) for share in range(shares)]
    parts = compute.map(partial(_means, values=values), list(zip(seeds, counts, strict=True)))
    low, high = np.quantile(np.concatenate(parts), [0.025, 0.975])
    return float(low), float(high)


def _means(share: tuple[np.random.SeedSequence, int], *, values: NDArray[np.float64]) -> NDArray[np.float64]:
    stream = np.random.default_rng(share[0])
    return np.array([stream.choice(values, size=values.size).mean() for _ in range(share[1])], dtype=np.float64)
