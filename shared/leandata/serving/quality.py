"""What the nightly checks found of each dataset."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, LiteralString

from leandata.database import Connection
from leandata.serving.locks import Lock
from leandata.serving.publishing import writing
from leandata.serving.rows import rows

Status = Literal["ok", "failed", "waiting"]
_TABLE = """
CREATE TABLE IF NOT EXISTS serving.checks (
    dataset text, "check" text, status text NOT NULL, detail text NOT NULL, checked_at timestamptz NOT NULL,
    PRIMARY KEY (dataset, "check"));
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Check:
    """One check of a dataset: what came of it, in a word and in a sentence, and when."""

    dataset: str
    check: str
    status: str
    detail: str
    checked_at: datetime


def checks(connection: Connection) -> list[Check]:
    """The checks by dataset and name; empty before they ran."""
    return [to_check(row) for row in rows(connection, "checks", checks_sql(), {})]


def checks_sql() -> LiteralString:
    """The query behind `checks`."""
    return (
        "SELECT dataset, \"check\", status, coalesce(detail, ''), checked_at FROM serving.checks"
        ' ORDER BY dataset, "check", checked_at'
    )


def to_check(row: Sequence[Any]) -> Check:
    """A row of `checks_sql` as a value."""
    name, check, status, detail, at = row
    return Check(dataset=name, check=check, status=status, detail=detail, checked_at=at)


def record_checks(connection: Connection, found: Sequence[Check]) -> list[Check]:
    """Put these findings in place of the last ones, whole or not at all; those that failed and did not before."""
    with writing(connection, _TABLE, lock=Lock.QUALITY):
        failed = {(one.dataset, one.check) for one in checks(connection) if one.status == "failed"}
        connection.execute("DELETE FROM serving.checks")
        with connection.cursor() as cursor:
            cursor.executemany(
                "INSERT INTO serving.checks VALUES (%s, %s, %s, %s, %s)",
                [(one.dataset, one.check, one.status, one.detail, one.checked_at) for one in found],
            )
    return [one for one in found if one.status == "failed" and (one.dataset, one.check) not in failed]
