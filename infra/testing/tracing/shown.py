"""Figures as people read them, halves to the even digit."""

from __future__ import annotations

from datetime import date
from decimal import ROUND_HALF_EVEN, Decimal


def money(value: Decimal) -> str:
    """Such as $1,234.50."""
    return f"${_rounded(value, 2):,}"


def whole(value: int | Decimal) -> str:
    """Such as 1,234."""
    return f"{_rounded(Decimal(value), 0):,}"


def one_place(value: Decimal) -> str:
    """Such as 1,234.5."""
    return f"{_rounded(value, 1):,}"


def percent(part: int | Decimal, of: int | Decimal, *, places: int = 1) -> str:
    """Such as 12.3%; a dash of nothing."""
    return f"{_rounded(Decimal(100) * part / of, places)}%" if of else "-"


def change(now: int | Decimal, before: int | Decimal) -> str:
    """By how much it rose, such as +3.2%; "" where there was nothing before."""
    return f"{_rounded((Decimal(now) - before) * 100 / before, 1):+,}%" if before else ""


def week(start: date) -> str:
    """Such as 2026-W47."""
    return f"{start.isocalendar().year}-W{start.isocalendar().week:02d}"


def _rounded(value: Decimal, places: int) -> Decimal:
    return value.quantize(Decimal(1).scaleb(-places), ROUND_HALF_EVEN)
