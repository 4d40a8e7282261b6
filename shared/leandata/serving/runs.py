"""The last runs of each pipeline, as its own tasks note them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, LiteralString

from leandata.database import Connection
from leandata.serving.locks import Lock
from leandata.serving.publishing import writing
from leandata.serving.rows import rows

RunState = Literal["running", "success", "failed", "lost"]
KEPT = 200
_TABLE = """
CREATE TABLE IF NOT EXISTS serving.pipeline_runs (
    pipeline text, run text, state text NOT NULL, started_at timestamptz NOT NULL, ended_at timestamptz,
    tries integer NOT NULL, task text NOT NULL, PRIMARY KEY (pipeline, run));
"""
_PUT = """
INSERT INTO serving.pipeline_runs AS known VALUES (%s, %s, %s, %s, %s, %s, %s) ON CONFLICT (pipeline, run) DO UPDATE SET
    (state, started_at, ended_at, tries, task) = (excluded.state, excluded.started_at, excluded.ended_at,
    greatest(known.tries, excluded.tries), excluded.task)
"""
_FORGET = """
DELETE FROM serving.pipeline_runs WHERE pipeline = %(pipeline)s AND run NOT IN (
    SELECT run FROM serving.pipeline_runs WHERE pipeline = %(pipeline)s
    ORDER BY started_at DESC, run DESC LIMIT %(kept)s)
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """One run of a pipeline: `lost` is one that the orchestrator does not know any more.

    `tries` is the most that any of its tasks needed so far, `task` the last one that told something.
    """

    pipeline: str
    run: str
    state: str
    started_at: datetime
    ended_at: datetime | None
    tries: int
    task: str


def runs(connection: Connection, *, last: int = 14) -> list[Run]:
    """At most the `last` runs of each pipeline, by pipeline, the newest first; empty before one was noted."""
    return [to_run(row) for row in rows(connection, "pipeline_runs", runs_sql(), {"last": last})]


def runs_sql() -> LiteralString:
    """The query behind `runs`: parameter `last`."""
    return (
        "SELECT pipeline, run, state, started_at, ended_at, tries, task FROM"
        " (SELECT *, row_number() OVER (PARTITION BY pipeline ORDER BY started_at DESC, run DESC) AS back"
        " FROM serving.pipeline_runs) AS numbered WHERE back <= %(last)s ORDER BY pipeline, back"
    )


def to_run(row: Sequence[Any]) -> Run:
    """A row of `runs_sql` as a value."""
    pipeline, run, state, started, ended, tries, task = row
    return Run(pipeline=pipeline, run=run, state=state, started_at=started, ended_at=ended, tries=tries, task=task)


def record_run(connection: Connection, found: Run) -> list[Run]:
    """Note what is known of a run now; the other runs that are noted as running, the oldest first.

    The last 200 runs of its pipeline are kept. Tries never go down.
    """
    told = (found.pipeline, found.run, found.state, found.started_at, found.ended_at, found.tries, found.task)
    with writing(connection, _TABLE, lock=Lock.RUNS):
        connection.execute(_PUT, told)
        connection.execute(_FORGET, {"pipeline": found.pipeline, "kept": KEPT})
        others = connection.execute(
            "SELECT pipeline, run, state, started_at, ended_at, tries, task FROM serving.pipeline_runs"
            " WHERE state = 'running' AND (pipeline, run) <> (%s, %s) ORDER BY started_at, pipeline, run",
            [found.pipeline, found.run],
        ).fetchall()
    return [to_run(row) for row in others]
