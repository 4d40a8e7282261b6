"""Live: running totals, counted within a second and never twice, and the events as a stream that can be resumed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Annotated, Any

import psycopg
from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import StreamingResponse
from psycopg_pool import PoolTimeout
from pydantic import BaseModel, Field, WithJsonSchema
from pydantic_core import to_json

from leandata.events import AFTER_SQL, CLAIM_SQL, COUNT_SQL, POSITIONS_SQL, TOTALS_SQL
from serving.inbox import NOTHING_YET, Pool
from serving.problems import Problem, ProblemError
from serving.schemas import MODELS

router = APIRouter(prefix="/v1", tags=["live"])
_EVERY_SECONDS = 0.5
_AGAIN_SECONDS = 2.0
_ALIVE_SECONDS = 15.0
_MOST_AT_ONCE = 20_000
_PAGE = 500
_STREAMS = 100
_NUMBER = {"pattern": "^[0-9]{0,18}$"}


class Live:
    """Counts new events and wakes the streams. Every process has one; the position decides who counts."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._task: asyncio.Task[None] | None = None
        self._stopping = asyncio.Event()
        self._moved = asyncio.Condition()
        self.latest = 0
        self.streams = 0

    def start(self) -> None:
        """Begin to count."""
        self._task = asyncio.get_running_loop().create_task(self._run())

    def stop(self) -> None:
        """End the streams, so that the process can end; may be called more than once."""
        self._stopping.set()

    async def close(self) -> None:
        """Stop counting."""
        self.stop()
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    @property
    def stopping(self) -> bool:
        """Whether the process is about to end."""
        return self._stopping.is_set()

    async def step(self) -> int:
        """Count the next events, at most 20,000, in one transaction; how many they were. Raises psycopg.Error."""
        async with self._pool.connection() as connection:
            claimed = await (await connection.execute(CLAIM_SQL)).fetchone()
            counted = 0
            if claimed is not None:
                told = {"after": claimed[0], "most": _MOST_AT_ONCE}
                (counted,) = await (await connection.execute(COUNT_SQL, told)).fetchone()
            _, latest = await (await connection.execute(POSITIONS_SQL)).fetchone()
            await connection.commit()
        if latest != self.latest:
            async with self._moved:
                self.latest = latest
                self._moved.notify_all()
        return counted

    async def after(self, position: int, *, seconds: float) -> bool:
        """Whether there is an event after `position`, as soon as there is one or `seconds` have passed."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds), self._moved:
                await self._moved.wait_for(lambda: self.latest > position)
        return self.latest > position

    async def events(self, position: int) -> list[Sequence[Any]]:
        """The next events after `position`, at most 500."""
        async with self._pool.connection() as connection:
            cursor = await connection.execute(AFTER_SQL, {"after": position, "most": _PAGE})
            return await cursor.fetchall()

    async def now(self) -> int:
        """The position of the newest event; 0 before the first."""
        try:
            async with self._pool.connection() as connection:
                _, latest = await (await connection.execute(POSITIONS_SQL)).fetchone()
        except NOTHING_YET:
            return 0
        return int(latest)

    async def _run(self) -> None:
        while True:
            pause = _EVERY_SECONDS
            try:
                if await self.step() == _MOST_AT_ONCE:
                    continue
            except (psycopg.Error, PoolTimeout):  # or there is no inbox yet
                pause = _AGAIN_SECONDS
            await asyncio.sleep(pause)


class TypeTotal(BaseModel):
    """How many events of a type came in: today in UTC, and ever."""

    type: str = Field(examples=["page_view"])
    today: int = Field(examples=[17])
    ever: int = Field(examples=[1204])
    latest_at: datetime


class Totals(BaseModel):
    """Running totals. `position` is how far they go, `behind` how many positions the inbox is ahead of that."""

    position: int = Field(examples=[1221])
    behind: int = Field(examples=[0])
    types: list[TypeTotal]


@router.get("/events/totals")
async def get_totals(request: Request) -> Totals:
    """How many events of each type came in, not older than five seconds."""
    pool: Pool = request.app.state.pools["events"]
    try:
        async with pool.connection() as connection:
            position, latest = await (await connection.execute(POSITIONS_SQL)).fetchone()
            rows = await (await connection.execute(TOTALS_SQL)).fetchall()
    except NOTHING_YET:
        return Totals(position=0, behind=0, types=[])
    types = [TypeTotal(type=type_, today=today, ever=ever, latest_at=at) for type_, today, ever, at in rows]
    return Totals(position=position, behind=max(0, latest - position), types=types)


@router.get(
    "/events/stream",
    response_class=StreamingResponse,
    responses={
        200: {
            "content": {"text/event-stream": {"example": 'id: 7\nevent: page_view\ndata: {"event_id": "6f1c..."}\n\n'}},
            "description": "Events as they become durable; `id` is the position to resume from",
        },
        400: {"model": Problem, "description": "The position is no number, or no type is called so"},
    },
)
async def get_stream(
    request: Request,
    last_event_id: Annotated[str, Header(description="Go on after this position", json_schema_extra=_NUMBER)] = "",
    after: Annotated[
        str, Query(description="The same for a first request; 0 is the beginning", json_schema_extra=_NUMBER)
    ] = "",
    type_: Annotated[
        list[Annotated[str, WithJsonSchema({"type": "string", "enum": sorted(MODELS)})]] | None,
        Query(alias="type", description="Only these types"),
    ] = None,
) -> StreamingResponse:
    """Server-sent events (the WHATWG standard) of what becomes durable from now on, or from a position on."""
    live: Live = request.app.state.live
    strange = sorted(set(type_ or []) - set(MODELS))
    if strange:
        raise ProblemError(400, f"There is no type {strange[0]!r}. There are: {', '.join(sorted(MODELS))}.")
    position = _position(last_event_id or after)
    if live.streams >= _STREAMS:
        raise ProblemError(503, f"{_STREAMS} streams are open here; try again.", headers={"Retry-After": "5"})
    if position is None:
        position = await live.now()
    lines = stream(live, position=position, types=frozenset(type_ or MODELS))
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(lines, media_type="text/event-stream", headers=headers)


async def stream(live: Live, *, position: int, types: frozenset[str]) -> AsyncGenerator[bytes]:
    """The stream's text from `position` on, until the process stops; a sign of life every 15 seconds."""
    live.streams += 1
    try:
        yield b"retry: 1000\n\n"
        said = time.monotonic()
        while not live.stopping:
            rows: list[Sequence[Any]] = []
            if await live.after(position, seconds=1.0):
                try:
                    rows = await live.events(position)
                except (psycopg.Error, PoolTimeout):  # the stream outlives its database
                    await asyncio.sleep(_AGAIN_SECONDS)
            text = b"".join(_text(row) for row in rows if row[2] in types)
            position = rows[-1][0] if rows else position
            if text:
                yield text
            elif time.monotonic() - said > _ALIVE_SECONDS:
                yield b": alive\nid: %d\n\n" % position
            else:
                continue
            said = time.monotonic()
    finally:
        live.streams -= 1


def _text(row: Sequence[Any]) -> bytes:
    position, id_, type_, occurred, received, customer, payload = row
    data = to_json(
        {
            "event_id": id_, "type": type_, "occurred_at": occurred, "received_at": received, "customer_id": customer,
            "payload": payload,
        }
    )  # fmt: skip
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (position, type_.encode(), data)


def _position(text: str) -> int | None:
    if not text:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) <= 18):
        raise ProblemError(400, "A position is a number: the id of the last event that was received.")
    return int(text)
