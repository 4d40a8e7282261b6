"""Events: kept before they are acknowledged, once each."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import psycopg
from fastapi import APIRouter, Request
from psycopg.types.json import Jsonb
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, JsonValue

from leandata.events import INSERT_SQL, SCHEMA_SQL

router = APIRouter(prefix="/v1", tags=["events"])
_MOST_EVENTS = 1000


class Event(BaseModel):
    """Something that happened; `event_id` is the sender's, so that sending again does no harm."""

    model_config = ConfigDict(extra="forbid")

    event_id: UUID
    type: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_.]{0,63}$", examples=["page_view"])]
    occurred_at: AwareDatetime
    customer_id: Annotated[int, Field(ge=1, le=2**62)] | None = None
    payload: dict[str, JsonValue] = Field(default_factory=dict[str, JsonValue])


class Accepted(BaseModel):
    """The ids of the events that are kept now."""

    accepted: list[UUID]


@router.post("/events", status_code=202)
async def post_events(
    request: Request, body: Event | Annotated[list[Event], Field(min_length=1, max_length=_MOST_EVENTS)]
) -> Accepted:
    """Keep one event or up to a thousand. The answer comes when they are durable; until then nothing is promised."""
    events = body if isinstance(body, list) else [body]
    async with request.app.state.pools["events"].connection() as connection:
        await _ensure_inbox(request, connection)
        async with connection.cursor() as cursor:
            await cursor.executemany(INSERT_SQL, [_row(event) for event in events])
        await connection.commit()
    return Accepted(accepted=[event.event_id for event in events])


def _row(event: Event) -> tuple[UUID, str, datetime, int | None, Any]:
    return (event.event_id, event.type, event.occurred_at, event.customer_id, Jsonb(event.payload))


async def _ensure_inbox(request: Request, connection: psycopg.AsyncConnection[Any]) -> None:
    """Make the inbox before the first event of this process, for good: should that event be refused, it stays."""
    if not request.app.state.inbox_ready:
        await connection.execute("SELECT pg_advisory_xact_lock(7205118)")
        await connection.execute(SCHEMA_SQL)
        await connection.commit()
        request.app.state.inbox_ready = True
