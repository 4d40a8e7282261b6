"""Figures as people read them, and as files hold them."""

from __future__ import annotations

import csv
import io
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from dashboards.page import Kind, Table

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def shown(value: Any, kind: Kind) -> str:
    """Such as $1,234.50, 12.3%, or 1m 12s of a span in seconds; a figure that is not known is an en dash."""
    if value is None:
        return "\N{EN DASH}"
    if kind == "span":
        return _span(value)
    if kind in ("strip", "bars"):
        return " ".join(value)
    formats: dict[Kind, str] = {
        "integer": "{:,}",
        "money": "${:,.2f}",
        "percent": "{:.1f}%",
        "number": "{:,.3f}",
        "days": "{:,.1f}",
    }
    if kind in formats:
        return formats[kind].format(value)
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M UTC")
    return value.isoformat() if isinstance(value, date) else str(value)


def _span(seconds: int) -> str:
    minutes, rest = divmod(seconds, 60)
    hours, left = divmod(minutes, 60)
    if hours:
        return f"{hours:,}h {left}m"
    return f"{minutes}m {rest}s" if minutes else f"{rest}s"


def signed(value: Decimal | None) -> str:
    """A change in percent with its sign, "" where there is none."""
    return "" if value is None else f"{value:+,.1f}%"


def to_csv(table: Table) -> str:
    """The table as CSV (RFC 4180): exact figures, days as 2026-11-24. A text that a spreadsheet would run is quoted."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow([heading for heading, _ in table.columns])
    for row in table.rows:
        writer.writerow([_cell(value) for value in row])
    return out.getvalue()


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return f"'{value}" if value.startswith(_FORMULA) else value
    if isinstance(value, tuple):
        return " ".join(value)  # pyright: ignore[reportUnknownArgumentType]
    return value.isoformat() if isinstance(value, date) else str(value)
