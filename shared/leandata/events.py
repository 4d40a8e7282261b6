"""The inbox of events: a row is there before the sender is told so."""

from __future__ import annotations

SCHEMA_SQL = """
CREATE SCHEMA IF NOT EXISTS events;
CREATE TABLE IF NOT EXISTS events.inbox (
    event_id uuid PRIMARY KEY, received_at timestamptz NOT NULL DEFAULT now(), type text NOT NULL,
    occurred_at timestamptz NOT NULL, customer_id bigint, payload jsonb NOT NULL);
"""
# An event that is sent again, after a lost answer say, is kept once.
INSERT_SQL = (
    "INSERT INTO events.inbox (event_id, type, occurred_at, customer_id, payload)"
    " VALUES (%s, %s, %s, %s, %s) ON CONFLICT (event_id) DO NOTHING"
)
