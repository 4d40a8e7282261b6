"""What the nightly checks found of each dataset."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString

from leandata.database import Connection
from leandata.serving.rows import rows


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
