"""Whether the customers of now are those a model learnt from: the population stability index of each feature.

PSI = sum over bins of (now - before) * ln(now / before), by the deciles of what was learnt from. N. Siddiqi, "Credit
Risk Scorecards" (2006), reads below 0.1 as stable, from 0.1 to 0.25 as somewhat shifted, above 0.25 as another
population. They are bounds of habit, not of statistics: B. Yurdakul, "Statistical Properties of Population Stability
Index" (2018).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from leandata.errors import ComputeError
from tasks.purchase.scores import Floats

_LEAST = 1e-4  # what an empty bin counts as, so that the index stays finite


@dataclass(frozen=True, kw_only=True, slots=True)
class Reference:
    """A sample as it was: the edges between its bins, and the share in each; the last is what is not known (NaN)."""

    edges: tuple[float, ...]
    shares: tuple[float, ...]

    @classmethod
    def of(cls, sample: Floats, *, bins: int = 10) -> Self:
        """The sample by its quantiles, at most `bins` of them. Raises ComputeError where it is empty."""
        known = sample[~np.isnan(sample)]
        edges = np.unique(np.quantile(known, np.linspace(0, 1, bins + 1)[1:-1])) if known.size else np.array([])
        return cls(edges=tuple(map(float, edges)), shares=tuple(map(float, _shares(sample, edges))))

    @classmethod
    def read(cls, kept: Mapping[str, Any]) -> Self:
        """What `plain` kept."""
        return cls(edges=tuple(kept["edges"]), shares=tuple(kept["shares"]))

    def plain(self) -> dict[str, list[float]]:
        """As JSON holds it."""
        return {"edges": list(self.edges), "shares": list(self.shares)}

    def stability(self, now: Floats) -> float:
        """The index of a sample against this one, 0 where they are alike. Raises ComputeError where it is empty."""
        old = np.maximum(np.array(self.shares), _LEAST)
        new = np.maximum(_shares(now, np.array(self.edges)), _LEAST)
        return float(((new - old) * np.log(new / old)).sum())


def _shares(sample: Floats, edges: Floats) -> Floats:
    if not sample.size:
        raise ComputeError("drift of nothing cannot be told", hint="Collect more of the shop's history")
    unknown = np.isnan(sample)
    bins = np.where(unknown, len(edges) + 1, np.searchsorted(edges, sample))
    return np.bincount(bins, minlength=len(edges) + 2) / sample.size
