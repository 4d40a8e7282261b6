"""The ledger of reports: which week's was sent, so that it is sent once."""

from __future__ import annotations

from datetime import date

from leandata.database import Connection
from leandata.serving import ensure_schema


def claim(connection: Connection, week: date) -> bool:
    """Take the week's report for sending; False when it is sent, or being sent by somebody else.

    A claim that was not confirmed within ten minutes is free again: whoever took it was killed.
    """
    ensure_schema(connection)
    with connection.transaction():
        row = connection.execute(
            "INSERT INTO serving.reports (week, status) VALUES (%s, 'claimed') ON CONFLICT (week) DO UPDATE"
            " SET status = 'claimed', claimed_at = now() WHERE reports.status = 'claimed'"
            " AND reports.claimed_at < now() - interval '10 minutes' RETURNING week",
            [week],
        ).fetchone()
    return row is not None


def confirm(connection: Connection, week: date, *, message_id: str) -> None:
    """Write down that the week's report was handed to the mail server."""
    with connection.transaction():
        connection.execute(
            "UPDATE serving.reports SET status = 'sent', sent_at = now(), message_id = %s WHERE week = %s",
            [message_id, week],
        )


def release(connection: Connection, week: date) -> None:
    """Give a claim back: the report could not be sent."""
    with connection.transaction():
        connection.execute("DELETE FROM serving.reports WHERE week = %s AND status = 'claimed'", [week])


def sent(connection: Connection, week: date) -> bool:
    """Whether the week's report was sent."""
    ensure_schema(connection)
    row = connection.execute("SELECT status = 'sent' FROM serving.reports WHERE week = %s", [week]).fetchone()
    return bool(row and row[0])
