"""The ledger of reports: which week's was sent, so that it is sent once."""

from __future__ import annotations

from datetime import date

from leandata.database import Connection
from leandata.serving import ensure_schema


def claim(connection: Connection, week: date, *, digest: str = "") -> bool:
    """Take the week's report for sending; False when it is sent, or being sent by somebody else.

    A report that was sent with other figures (another `digest`) can be taken again, for a correction. A claim that was
    not confirmed within ten minutes is free again: whoever took it was killed.
    """
    ensure_schema(connection)
    with connection.transaction():
        row = connection.execute(
            "INSERT INTO serving.reports (week, status) VALUES (%(week)s, 'claimed') ON CONFLICT (week) DO UPDATE"
            " SET status = 'claimed', claimed_at = now() WHERE (reports.status = 'claimed'"
            " AND reports.claimed_at < now() - interval '10 minutes') OR (reports.status = 'sent'"
            " AND %(digest)s <> '' AND reports.digest NOT IN ('', %(digest)s)) RETURNING week",
            {"week": week, "digest": digest},
        ).fetchone()
    return row is not None


def confirm(connection: Connection, week: date, *, message_id: str, digest: str = "") -> None:
    """Write down that the week's report was handed to the mail server, and with which figures."""
    with connection.transaction():
        connection.execute(
            "UPDATE serving.reports SET status = 'sent', sent_at = now(), message_id = %s, digest = %s WHERE week = %s",
            [message_id, digest, week],
        )


def release(connection: Connection, week: date) -> None:
    """Give a claim back: the report could not be sent. One that was sent before stays sent."""
    with connection.transaction():
        connection.execute(
            "UPDATE serving.reports SET status = 'sent' WHERE week = %s AND status = 'claimed' AND sent_at IS NOT NULL",
            [week],
        )
        connection.execute("DELETE FROM serving.reports WHERE week = %s AND status = 'claimed'", [week])


def mailed(connection: Connection, week: date) -> str | None:
    """The digest of the figures that the week's report was last mailed with; None when it never was.

    It is "" for one that was mailed before digests were kept.
    """
    ensure_schema(connection)
    query = "SELECT digest FROM serving.reports WHERE week = %s AND sent_at IS NOT NULL"
    row = connection.execute(query, [week]).fetchone()
    return str(row[0]) if row else None


def sent(connection: Connection, week: date) -> bool:
    """Whether the week's report was sent."""
    return mailed(connection, week) is not None
