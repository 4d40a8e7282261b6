"""Rows that came on each day against the usual: the newest day of every dataset in a line, those before it as bars."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any

from dashboards import parts
from dashboards.page import Context, Kind, Table
from leandata import serving
from leandata.serving import UNUSUAL, Volume

MARKS = {"usual": "good", "unusual": "bad", "not judged": ""}
_DAYS = 28
_ORDER = {"unusual": 0, "not judged": 1, "usual": 2}


def section(context: Context) -> Any:
    """The volumes as a part of a page."""
    found = table(context)
    if not found.rows:
        return parts.section("Volumes", parts.empty("No rows are counted yet.", "The checks count them every night."))
    shown = parts.table(found, name="volumes-table", caption="Rows that came on the last day", marks=MARKS)
    note = (
        f"Rows that came on a day; bars: the last {_DAYS} days. Usual: the median of the same weekday's days with rows"
        " in the twelve weeks before; none, where a quarter of those days had none. Unusual: a modified z-score beyond"
        f" {UNUSUAL}."
    )
    return parts.section("Volumes", shown, download=context.download("volumes"), note=note)


def table(context: Context) -> Table:
    """Each dataset with its newest day; what is unusual comes first."""
    columns: tuple[tuple[str, Kind], ...] = (
        ("Dataset", "text"), ("State", "text"), ("Day", "date"), ("Rows", "integer"), ("Usual", "days"),
        ("Score", "days"), ("Last days", "bars"),
    )  # fmt: skip
    found = sorted(context.read(serving.volumes, last=_DAYS), key=lambda one: (one.dataset, one.day))
    rows = [_row(list(some)) for _, some in groupby(found, key=lambda one: one.dataset)]
    return Table(columns=columns, rows=sorted(rows, key=lambda row: (_ORDER[row[1]], row[0])))


def state(one: Volume) -> str:
    """`unusual` beyond the limit, `not judged` where there is no score."""
    if one.score is None:
        return "not judged"
    return "unusual" if abs(one.score) > UNUSUAL else "usual"


def _row(found: Sequence[Volume]) -> tuple[Any, ...]:
    newest = found[-1]
    bars = tuple(str(one.rows) for one in found)
    return (newest.dataset, state(newest), newest.day, newest.rows, newest.usual, newest.score, bars)
