"""The name of a customer's segment, from how recently, how often and how much was ordered."""

from __future__ import annotations

_HIGH = 4
_MIDDLE = 3
_LOW = 2


def segment(recency_score: int, frequency_score: int, orders: int) -> str:
    """The first rule that fits; scores are 1 (lowest) to 5 (highest), `orders` is how many there were."""
    if frequency_score >= _HIGH and recency_score >= _MIDDLE:
        return "champions" if recency_score >= _HIGH else "loyal"
    if recency_score >= _HIGH and orders == 1:
        return "new"
    if recency_score >= _MIDDLE:
        return "promising"
    if frequency_score >= _HIGH:
        return "at_risk"
    return "hibernating" if recency_score == _LOW else "lost"
