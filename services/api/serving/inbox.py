"""The only way into the inbox: what came in meanwhile is kept in one transaction, and each sender is told after it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass
from enum import Enum
from typing import Any, Protocol

import psycopg

from leandata.events import KEEP_SQL, SCHEMA_LOCK_SQL, SCHEMA_SQL

ENOUGH = 1_000
"""A transaction takes no further request when it has so many events."""
NOTHING_YET = (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn, psycopg.errors.InvalidSchemaName)
"""What PostgreSQL says before a table was made, or brought to what this release asks of it."""
_WRITERS = 2
_HELD_SECONDS = 1.0


class Kept(Enum):
    """What became of an event: it is new, it was there already, or its id is that of another event."""

    NEW = "new"
    BEFORE = "before"
    OTHER = "other"


class Pool(Protocol):
    """What gives connections: psycopg's pool, or what stands in for it."""

    def connection(self) -> AbstractAsyncContextManager[Any]: ...


@dataclass(frozen=True, kw_only=True, slots=True)
class _Waiting:
    """Events as a JSON array, how many they are, and who waits for them."""

    events: bytes
    count: int
    outcome: asyncio.Future[list[Kept]]


class Inbox:
    """Keeps events. The more there is to do, the more goes into one transaction.

    Two writers, so that one group is parsed and written while another one is made durable.
    """

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._waiting: asyncio.Queue[_Waiting] = asyncio.Queue()
        self._ready = False
        self._tasks: list[asyncio.Task[None]] = []

    async def keep(self, events: bytes, *, count: int) -> list[Kept]:
        """Keep the events of a JSON array; durable when this returns, one outcome each. Raises psycopg.Error."""
        loop = asyncio.get_running_loop()
        if not self._tasks:
            self._tasks = [loop.create_task(self._run()) for _ in range(_WRITERS)]
        outcome: asyncio.Future[list[Kept]] = loop.create_future()
        self._waiting.put_nowait(_Waiting(events=events, count=count, outcome=outcome))
        return await outcome

    async def close(self) -> None:
        """Stop; what still waits is told that it was not kept."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []
        while not self._waiting.empty():
            self._waiting.get_nowait().outcome.cancel()

    async def _run(self) -> None:
        while True:
            first: _Waiting | None = await self._waiting.get()
            try:
                async with self._pool.connection() as connection:
                    await self._ensure(connection)
                    await connection.set_autocommit(True)
                    try:
                        while first is not None:
                            group, first = self._group(first), None
                            if await self._keep_group(connection, group):
                                with suppress(TimeoutError):
                                    first = await asyncio.wait_for(self._waiting.get(), _HELD_SECONDS)
                    finally:
                        await connection.set_autocommit(False)
            except Exception as error:  # noqa: BLE001 - whoever waits is told, whatever it was
                if first is not None:
                    _fail(self._group(first), error)

    def _group(self, first: _Waiting) -> list[_Waiting]:
        """The first and what waits besides, as much as goes into one transaction."""
        group, count = [first], first.count
        while count < ENOUGH and not self._waiting.empty():
            group.append(self._waiting.get_nowait())
            count += group[-1].count
        return group

    async def _keep_group(self, connection: Any, group: Sequence[_Waiting]) -> bool:
        """Keep a group and tell its senders; whether the connection can be used again."""
        try:
            cursor = await connection.execute(KEEP_SQL, {"events": _joined(group).decode()})
            compared = await cursor.fetchall()
        except psycopg.DataError as error:
            if len(group) == 1:
                _fail(group, error)
                return True
            usable = [await self._keep_group(connection, [one]) for one in group]  # only one of them is to blame
            return all(usable)
        except Exception as error:  # noqa: BLE001 - whoever waits is told, whatever it was
            _fail(group, error)
            return False
        outcomes = [_outcome(new=new, same=same) for new, same in compared]
        start = 0
        for one in group:
            if not one.outcome.done():
                one.outcome.set_result(outcomes[start : start + one.count] or [Kept.NEW] * one.count)
            start += one.count
        return True

    async def _ensure(self, connection: Any) -> None:
        if not self._ready:
            await connection.execute(SCHEMA_LOCK_SQL)
            await connection.execute(SCHEMA_SQL)
            await connection.commit()
            self._ready = True


def _joined(group: Sequence[_Waiting]) -> bytes:
    return b"[" + b",".join(one.events[1:-1] for one in group) + b"]" if len(group) > 1 else group[0].events


def _outcome(*, new: bool, same: bool) -> Kept:
    if new:
        return Kept.NEW
    return Kept.BEFORE if same else Kept.OTHER


def _fail(group: Sequence[_Waiting], error: Exception) -> None:
    for one in group:
        if not one.outcome.done():
            one.outcome.set_exception(error)
