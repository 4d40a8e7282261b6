"""BG/NBD: how likely a customer buys again, from recency and frequency alone; the baseline that a model has to beat.

P. Fader, B. Hardie, K. L. Lee, "Counting Your Customers the Easy Way: An Alternative to the Pareto/NBD Model",
Marketing Science 24 (2005): equation 6 is the likelihood. Whether a customer is still active is Fader, Hardie, Lee,
"Computing P(alive) Using the BG/NBD Model" (2008). Given that, the purchase rate is gamma with shape r + x and rate
alpha + T, so no purchase within t has the probability ((alpha + T) / (alpha + T + t)) ^ (r + x).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from leandata.errors import ComputeError

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, slots=True)
class History:
    """Of each customer: repeat days `x`, weeks from the first to the last one `last`, and until now `now`."""

    x: Floats
    last: Floats
    now: Floats


@dataclass(frozen=True, kw_only=True, slots=True)
class BGNBD:
    """The four parameters; time is in weeks."""

    r: float
    alpha: float
    a: float
    b: float

    def alive(self, history: History) -> Floats:
        """The probability that each customer has not gone for good."""
        x = np.maximum(history.x, 1)
        odds = self.a / (self.b + x - 1) * ((self.alpha + history.now) / (self.alpha + history.last)) ** (self.r + x)
        return np.where(history.x > 0, 1 / (1 + odds), 1.0)

    def buys(self, history: History, *, weeks: float) -> Floats:
        """The probability that each customer buys within the next `weeks`."""
        rate = self.alpha + history.now
        return self.alive(history) * (1 - (rate / (rate + weeks)) ** (self.r + history.x))


def fit(history: History) -> BGNBD:
    """The most likely parameters. Raises ComputeError where there is no repeat day, or no best set is found."""
    from scipy.optimize import minimize

    if not history.x.size or not history.x.max() > 0:
        raise ComputeError("BG/NBD needs customers who came back", hint="Collect more of the shop's history")
    found = minimize(lambda logs: -log_likelihood(of(logs), history), np.zeros(4), method="L-BFGS-B")
    if not found.success or not np.isfinite(found.fun):
        raise ComputeError(f"BG/NBD was not fitted: {found.message}")
    return of(found.x)


def of(logs: Floats) -> BGNBD:
    """The parameters of which these are the logarithms."""
    r, alpha, a, b = (float(one) for one in np.exp(logs))
    return BGNBD(r=r, alpha=alpha, a=a, b=b)


def log_likelihood(model: BGNBD, history: History) -> float:
    """The mean log likelihood of a customer's history: equation 6, in logarithms."""
    from scipy.special import betaln, gammaln

    r, alpha, a, b, x = model.r, model.alpha, model.a, model.b, history.x
    shared = gammaln(r + x) - gammaln(r) + r * np.log(alpha)
    stayed = betaln(a, b + x) - betaln(a, b) - (r + x) * np.log(alpha + history.now)
    left = betaln(a + 1, b + np.maximum(x, 1) - 1) - betaln(a, b) - (r + x) * np.log(alpha + history.last)
    return float(np.mean(shared + np.where(x > 0, np.logaddexp(stayed, left), stayed)))
