"""What is unusual about a week, in one sentence, by a stated rule."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from statistics import median

from leandata.serving import UNUSUAL

FEWEST = 8
_SCALE = Decimal("0.6745")


@dataclass(frozen=True, kw_only=True, slots=True)
class Series:
    """One figure: what it was in the week, and in each of the weeks before it."""

    label: str
    now: Decimal
    before: tuple[Decimal, ...]
    money: bool = False


def score(series: Series) -> Decimal | None:
    """The modified z-score 0.6745 (x - median) / MAD of Iglewicz and Hoaglin (1993); None where it has no meaning.

    It has none with fewer than eight weeks before, or when half of them are the same (MAD is 0).
    """
    if len(series.before) < FEWEST:
        return None
    middle = median(series.before)
    spread = median([abs(value - middle) for value in series.before])
    return _SCALE * (series.now - middle) / spread if spread else None


def sentence(found: Sequence[Series]) -> str:
    """The figure that lies furthest from its usual, if its modified z-score is beyond 3.5; else that none does."""
    scored = [(score(series), series) for series in found]
    known = [(value, series) for value, series in scored if value is not None]
    if not known:
        return f"Too little is known to call anything unusual: it takes {FEWEST} weeks that differ."
    value, series = max(known, key=lambda pair: abs(pair[0]))
    weeks = len(series.before)
    if abs(value) <= UNUSUAL:
        return f"Nothing is unusual: every figure lies within what the {weeks} weeks before it were like."
    side = "above" if value > 0 else "below"
    return (
        f"Unusual: {series.label.lower()} of {shown(series.now, money=series.money)}, far {side} the usual"
        f" {shown(Decimal(median(series.before)), money=series.money)} (median of the {weeks} weeks before;"
        f" modified z-score {value:+.1f}, limit {UNUSUAL})."
    )


def shown(value: Decimal, *, money: bool) -> str:
    """A value for people: "$1,234.50" or "1,234"."""
    return f"${value:,.2f}" if money else f"{value:,.0f}"
