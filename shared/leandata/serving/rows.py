"""Rows of what is served, by named parameters; none before anything was published."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from leandata.database import Connection


def exists(connection: Connection, table: str) -> bool:
    """Whether a table or view of that name is served yet."""
    row = connection.execute("SELECT to_regclass(%s)", [f"serving.{table}"]).fetchone()
    return row is not None and row[0] is not None


def rows(connection: Connection, table: str, query: str, parameters: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    """The rows of a query over `serving.<table>`; none before it was published."""
    if not exists(connection, table):
        return []
    return connection.execute(query, parameters).fetchall()  # pyright: ignore[reportArgumentType, reportCallIssue]
