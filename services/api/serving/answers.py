"""Answers from the serving database: tied to what is published, remembered, given with their age when it is down."""

from __future__ import annotations

import hashlib
import math
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Annotated, Any

import psycopg
from fastapi import Request
from fastapi.responses import Response
from psycopg_pool import PoolTimeout
from pydantic import BaseModel, WithJsonSchema

from leandata.serving import Freshness, freshness_sql, to_freshness
from serving.inbox import NOTHING_YET, Pool
from serving.renewing import FIRST_PATIENCE_SECONDS, PATIENCE_SECONDS, Renewal

CHECKED_SECONDS = 1.0
"""For how long what is published is taken for known."""
_AGAIN_SECONDS = 2.0
_MOST_ANSWERS = 512
_MOST_BYTES = 32 * 2**20
_DOWN = (psycopg.OperationalError, psycopg.InterfaceError, PoolTimeout)
UNCHANGED: dict[int | str, dict[str, Any]] = {304: {"description": "As `If-None-Match` has it: nothing was published"}}
"""What a route that gives tags also answers, for its description."""
Exact = Annotated[Decimal, WithJsonSchema({"type": "string", "format": "decimal", "examples": ["12345.67"]})]
"""US dollars, or another exact figure, as text."""
Ask = Callable[[str, Mapping[str, Any]], Awaitable[list[tuple[Any, ...]]]]
Make = Callable[[Ask, "Published"], Awaitable[bytes]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Published:
    """What is published, by dataset, as it was known at `checked` on the process's clock, in seconds."""

    versions: Mapping[str, Freshness]
    checked: float

    def until(self, dataset: str) -> date | None:
        """The last day that the dataset knows of; None before it was published."""
        found = self.versions.get(dataset)
        return found.data_until if found else None

    def tag(self, datasets: Sequence[str], asked: tuple[Any, ...]) -> str:
        """The entity tag of an answer: another one as soon as one of its datasets is published again."""
        told = [(name, self.versions.get(name)) for name in datasets]
        return f'"{hashlib.sha256(repr((told, asked)).encode()).hexdigest()[:32]}"'


@dataclass(frozen=True, kw_only=True, slots=True)
class _Remembered:
    tag: str
    body: bytes
    checked: float


class Answers:
    """Asks the serving database as seldom as possible: an answer is right until one of its datasets is published."""

    def __init__(self, pool: Pool, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._pool = pool
        self._clock = clock
        self._published: Published | None = None
        self._failed_at = -math.inf
        self._down: Exception | None = None
        self._renewal = Renewal(self._renew)
        self._remembered: OrderedDict[tuple[Any, ...], _Remembered] = OrderedDict()
        self._bytes = 0

    async def published(self) -> Published:
        """What is published, not older than a second; older where the database is down.

        Raises psycopg.Error or PoolTimeout when it never answered.
        """
        known = self._published
        if known is None:
            await self._renewal.wait(FIRST_PATIENCE_SECONDS)
            if self._published is None:
                raise self._down or PoolTimeout("the database does not answer")
            return self._published
        now = self._clock()
        settled = now - known.checked <= CHECKED_SECONDS or now - self._failed_at < _AGAIN_SECONDS
        if settled or self._renewal.running:
            return known
        await self._renewal.wait(PATIENCE_SECONDS)
        return self._published or known

    async def _renew(self) -> None:
        try:
            await self._asked()
        except (psycopg.Error, PoolTimeout) as error:
            self._failed_at, self._down = self._clock(), error

    async def _asked(self) -> Published:
        now = self._clock()
        found = [to_freshness(row) for row in await self.ask(freshness_sql(), {})]
        versions = {one.dataset: one for one in found}
        self._published = Published(versions=versions, checked=now)
        return self._published

    async def ask(self, query: str, parameters: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        """The rows; none while a table does not exist, which is before its first publication. Raises psycopg.Error."""
        async with self._pool.connection() as connection:
            try:
                return await (await connection.execute(query, parameters)).fetchall()
            except NOTHING_YET:
                return []

    async def listed(
        self,
        request: Request,
        *,
        dataset: str,
        model: type[BaseModel],
        name: str,
        query: str,
        parameters: Mapping[str, Any],
        shape: Callable[[tuple[Any, ...]], Mapping[str, object]],
    ) -> Response:
        """The rows of a query over one dataset, each shaped, as the list `name` of a `model` with `data_until`."""

        async def make(ask: Ask, published: Published) -> bytes:
            rows = [shape(row) for row in await ask(query, parameters)]
            found = {"data_until": published.until(dataset), name: rows}
            return model.model_validate(found).model_dump_json().encode()

        return await self.give(request, datasets=[dataset], asked=tuple(parameters.values()), make=make)

    async def give(self, request: Request, *, datasets: Sequence[str], asked: tuple[Any, ...], make: Make) -> Response:
        """The answer to `asked`, made by `make` unless it is remembered; 304 to who has it already.

        When the database is down the last answer is given; `Age` says how many seconds ago it was known to be right.
        """
        published = await self.published()
        key = (request.scope["path"], *asked)
        tag = published.tag(datasets, key)
        found = self._remembered.get(key)
        if found is None or found.tag != tag:
            try:
                published = await self._asked()  # not older than the rows, so that the two tell of one publication
                tag = published.tag(datasets, key)
                found = _Remembered(tag=tag, body=await make(self.ask, published), checked=published.checked)
                self._remember(key, found)
            except _DOWN:
                if found is None:
                    raise
                self._failed_at = self._clock()
        else:
            self._remembered.move_to_end(key)
        checked = published.checked if found.tag == tag else found.checked
        return self.respond(request, found.body, tag=found.tag, checked=checked)

    def respond(self, request: Request, body: bytes, *, tag: str, checked: float) -> Response:
        """The answer with its tag and its age, or 304; `checked` is when it was known to be right."""
        headers = {"ETag": tag, "Cache-Control": "private, no-cache", "Age": str(max(0, int(self._clock() - checked)))}
        if matches(request.headers.get("if-none-match", ""), tag):
            return Response(status_code=304, headers=headers)
        return Response(body, media_type="application/json", headers=headers)

    def _remember(self, key: tuple[Any, ...], answer: _Remembered) -> None:
        old = self._remembered.pop(key, None)
        self._bytes += len(answer.body) - (len(old.body) if old else 0)
        self._remembered[key] = answer
        while self._remembered and (len(self._remembered) > _MOST_ANSWERS or self._bytes > _MOST_BYTES):
            self._bytes -= len(self._remembered.popitem(last=False)[1].body)


def matches(given: str, tag: str) -> bool:
    """Whether one of the tags of If-None-Match is this one; weak ones count (RFC 9110, 13.1.2)."""
    tags = [one.strip().removeprefix("W/") for one in given.split(",")]
    return "*" in tags or tag in tags
