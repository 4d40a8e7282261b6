"""Drain the API's inbox of events into the lake by the day they came in, and load them into the warehouse.

Events stay in the inbox, and a day's slice is read whole whenever the inbox holds more of it than the lake. So a drain
that was killed, or two at once, lose and double nothing: the newest slice counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta

import psycopg
import pyarrow as pa

from leandata.database import Connection, connect
from leandata.datasets import dataset
from leandata.lake import Lake
from leandata.settings import Settings
from leandata.tables import schema
from pipelines.collect import load

_EVENTS = "shop.events"
_COUNTS = """
SELECT (received_at AT TIME ZONE 'UTC')::date AS day, count(*) FROM events.inbox
WHERE received_at >= %(since)s::date::timestamp AT TIME ZONE 'UTC' GROUP BY day ORDER BY day
"""
_DAY = """
SELECT event_id::text, type, (occurred_at AT TIME ZONE 'UTC')::date,
    to_char(occurred_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), customer_id, payload::text
FROM events.inbox
WHERE received_at >= %(day)s::date::timestamp AT TIME ZONE 'UTC'
    AND received_at < (%(day)s::date + 1)::timestamp AT TIME ZONE 'UTC'
ORDER BY received_at, event_id
"""


def drain(settings: Settings, *, run: str) -> int:
    """Publish the days of which the inbox holds more than the lake, and load them; how many events are new."""
    contract, lake = dataset(_EVENTS), Lake(settings.lake.raw)
    known = {day: manifest.rows for day, manifest in lake.latest(contract).items() if day}
    slices: dict[date | None, pa.Table] = {}
    with connect(settings.events) as inbox:
        for day in outdated(known, counts(inbox, since=newest(known))):
            rows = inbox.execute(_DAY, {"day": day}).fetchall()
            columns = zip(zip(*rows, strict=True), schema(contract), strict=True)
            slices[day] = pa.table([pa.array(values, field.type) for values, field in columns], schema=schema(contract))
    lake.publish(contract, slices, run=run)
    load(settings, [_EVENTS])
    return sum(table.num_rows - known.get(day, 0) for day, table in slices.items() if day)


def newest(known: Mapping[date, int]) -> date:
    """From which day on the inbox is counted: the day before the newest of the lake, for what was on its way then."""
    return max(known) - timedelta(days=1) if known else date(1970, 1, 1)


def outdated(known: Mapping[date, int], held: Mapping[date, int]) -> list[date]:
    """The days of which the inbox holds more events than the lake, sorted. A restored inbox may hold fewer."""
    return sorted(day for day, count in held.items() if count > known.get(day, 0))


def counts(inbox: Connection, *, since: date) -> dict[date, int]:
    """How many events the inbox holds of each day since; none while nobody has sent any."""
    try:
        return dict(inbox.execute(_COUNTS, {"since": since}).fetchall())
    except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):
        inbox.rollback()
        return {}
