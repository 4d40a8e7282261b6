"""Whether services and the parts of the platform answer."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from dashboards import parts
from dashboards.page import Context, Kind, Table
from leandata import serving

MARKS = {"up": "good", "down": "bad", "not known": "warned"}
OLD = timedelta(minutes=20)
_ORDER = {"down": 0, "not known": 1, "up": 2}


def section(context: Context, *, now: datetime) -> Any:
    """The parts' health as a part of a page. What was not looked at for twenty minutes is not known."""
    found = table(context, now=now)
    if not found.rows:
        return parts.section("Service health", parts.empty("Nobody has looked yet.", "Every five minutes one does."))
    shown = parts.table(found, name="health-table", caption="Whether the parts of the platform answer", marks=MARKS)
    note = "As the pipelines see it, every five minutes. The processes of one machine: make status."
    return parts.section("Service health", shown, download=context.download("health"), note=note)


def table(context: Context, *, now: datetime) -> Table:
    """Each part; what is down comes first."""
    columns: tuple[tuple[str, Kind], ...] = (
        ("Part", "text"), ("State", "text"), ("Since", "moment"), ("Took ms", "integer"), ("Looked at", "moment"),
        ("What was said", "text"),
    )  # fmt: skip
    rows = [
        (one.part, "not known" if now - one.looked_at > OLD else one.state, one.since, one.milliseconds, one.looked_at,
         one.detail)
        for one in context.read(serving.health)
    ]  # fmt: skip
    return Table(columns=columns, rows=sorted(rows, key=lambda row: (_ORDER.get(row[1], 0), row[0])))
