"""The only way into the inbox: what came in meanwhile is kept in one transaction, and each sender is told after it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass
from enum import Enum
from typing import Any, Protocol

import psycopg

from leandata.events import COMPARE_SQL, KEEP_SQL, LOCK_SQL, SCHEMA_LOCK_SQL, SCHEMA_SQL

MOST_IN_ONE = 5_000


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
    """Keeps events. One writer a process: the more there is to do, the more goes into one transaction."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._waiting: asyncio.Queue[_Waiting] = asyncio.Queue()
        self._next: _Waiting | None = None
        self._ready = False
        self._task: asyncio.Task[None] | None = None

    async def keep(self, events: bytes, *, count: int) -> list[Kept]:
        """Keep the events of a JSON array; durable when this returns, one outcome each. Raises psycopg.Error."""
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._run())
        outcome: asyncio.Future[list[Kept]] = asyncio.get_running_loop().create_future()
        self._waiting.put_nowait(_Waiting(events=events, count=count, outcome=outcome))
        return await outcome

    async def close(self) -> None:
        """Stop; what still waits is told that it was not kept."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    async def _run(self) -> None:
        while True:
            group = [await self._waiting.get() if self._next is None else self._next]
            self._next = None
            count = group[0].count
            while not self._waiting.empty():
                found = self._waiting.get_nowait()
                count += found.count
                if count > MOST_IN_ONE:
                    self._next = found
                    break
                group.append(found)
            await self._keep_group(group)

    async def _keep_group(self, group: Sequence[_Waiting]) -> None:
        try:
            outcomes = await self._write(_joined(group), count=sum(one.count for one in group))
        except psycopg.DataError as error:
            if len(group) > 1:  # one of them is to blame: the others are kept without it
                for one in group:
                    await self._keep_group([one])
                return
            _fail(group, error)
            return
        except Exception as error:  # noqa: BLE001 - whoever waits is told, whatever it was
            _fail(group, error)
            return
        start = 0
        for one in group:
            if not one.outcome.done():
                one.outcome.set_result(outcomes[start : start + one.count])
            start += one.count

    async def _write(self, events: bytes, *, count: int) -> list[Kept]:
        async with self._pool.connection() as connection:
            if not self._ready:
                await connection.execute(SCHEMA_LOCK_SQL)
                await connection.execute(SCHEMA_SQL)
                await connection.commit()
                self._ready = True
            told = {"events": events.decode()}
            await connection.execute(LOCK_SQL)
            cursor = await connection.execute(KEEP_SQL, told)
            outcomes = [Kept.NEW] * count
            if cursor.rowcount != count:
                compared = await (await connection.execute(COMPARE_SQL, told)).fetchall()
                outcomes = [_outcome(new=new, same=same) for new, same in compared]
            await connection.commit()
            return outcomes


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
