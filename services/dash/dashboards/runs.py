"""The last runs of every pipeline: the newest of each in a line, with those before it as a strip."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import groupby
from typing import Any

from dashboards import parts
from dashboards.page import Context, Kind, Table
from leandata import serving
from leandata.serving import Run

_SHOWN = 14
_ORDER = {"failed": 0, "lost": 1, "running": 2, "success": 3}
MARKS = {"success": "good", "failed": "bad", "lost": "warned"}


def section(context: Context, *, now: datetime) -> Any:
    """The runs as a part of a page; `now` ends those that are still running."""
    found = table(context, now=now)
    if not found.rows:
        return parts.section("Last runs", parts.empty("No run is noted yet.", "Every task notes its run."))
    shown = parts.table(found, name="runs-table", caption="The last run of every pipeline", marks=MARKS)
    note = f"Strip: the last {_SHOWN} runs, the newest at the right. Tries: the most that a task of the run needed."
    return parts.section("Last runs", shown, download=context.download("runs"), note=note)


def table(context: Context, *, now: datetime) -> Table:
    """Each pipeline with its last run; what failed comes first."""
    columns: tuple[tuple[str, Kind], ...] = (
        ("Pipeline", "text"), ("State", "text"), ("Last runs", "strip"), ("Started", "moment"), ("Took", "span"),
        ("Usually", "span"), ("Tries", "integer"), ("Last task", "text"),
    )  # fmt: skip
    found = sorted(context.read(serving.runs, last=_SHOWN), key=lambda one: one.pipeline)
    rows = [_row(list(some), now) for _, some in groupby(found, key=lambda one: one.pipeline)]
    return Table(columns=columns, rows=sorted(rows, key=lambda row: (_ORDER.get(row[1], 0), row[0])))


def usual(found: Sequence[Run]) -> int | None:
    """The median seconds of the runs that succeeded, the lower one of two; None where none did."""
    took = sorted(_seconds(one, one.ended_at) for one in found if one.state == "success" and one.ended_at)
    return took[(len(took) - 1) // 2] if took else None


def _row(found: Sequence[Run], now: datetime) -> tuple[Any, ...]:
    newest = max(found, key=lambda one: (one.started_at, one.run))
    before = sorted(found, key=lambda one: (one.started_at, one.run))
    end = now if newest.state == "running" else newest.ended_at
    took = None if end is None else _seconds(newest, end)
    strip = tuple(one.state for one in before)
    return (newest.pipeline, newest.state, strip, newest.started_at, took, usual(found), newest.tries, newest.task)


def _seconds(run: Run, end: datetime) -> int:
    return max(0, round((end - run.started_at).total_seconds()))
