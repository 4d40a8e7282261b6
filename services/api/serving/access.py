"""Who may ask for what, and how often: keys by their hash, scopes, a bucket of tokens for each key."""

from __future__ import annotations

import hmac
import math
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

import psycopg
from fastapi import Request
from psycopg_pool import PoolTimeout
from starlette.exceptions import HTTPException

from serving.inbox import Pool
from serving.keys import SCOPES, SELECT_SQL, Key, digest, id_of, to_key
from serving.problems import ProblemError
from serving.questions import demand_known
from serving.renewing import FIRST_PATIENCE_SECONDS, PATIENCE_SECONDS, Renewal

KNOWN_SECONDS = 5.0
"""How long a revoked key may still be taken for valid."""
_AGAIN_SECONDS = 1.0
_KEPT_SECONDS = 3600.0
_BURST_SECONDS = 2.0


@dataclass(slots=True)
class Bucket:
    """Tokens of one key: `rate` come in a second, two seconds' worth are kept."""

    rate: int
    tokens: float = field(init=False)
    filled: float | None = None

    def __post_init__(self) -> None:
        self.tokens = self.rate * _BURST_SECONDS

    def take(self, now: float) -> float:
        """Take one token: 0.0, or how many seconds to wait for one."""
        if self.rate <= 0:
            return 0.0
        if self.filled is not None:
            came = (now - self.filled) * self.rate
            self.tokens = min(self.rate * _BURST_SECONDS, self.tokens + came)
        self.filled = now
        if self.tokens >= 1:
            self.tokens -= 1
            return 0.0
        return (1 - self.tokens) / self.rate


class KeysUnknownError(Exception):
    """Whether a key is valid cannot be known: the database does not answer, and this process never heard of the key."""


class Keyring:
    """The keys as this process knows them; asked for again every few seconds, kept while the database is down."""

    def __init__(self, pool: Pool, *, bootstrap: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._pool = pool
        self._clock = clock
        self._first = Key(
            id="bootstrap", name="the key in the file", digest=digest(bootstrap), scopes=frozenset(SCOPES), rate=0,
            created_at=datetime.min.replace(tzinfo=UTC),
        )  # fmt: skip
        self._known: dict[str, Key] = {}
        self._read_at = -math.inf
        self._tried_at = -math.inf
        self._buckets: dict[str, Bucket] = {}
        self._renewal = Renewal(self._read)

    async def find(self, text: str) -> Key | None:
        """The valid key of that text; None for any other. The key in the file needs no database.

        Raises KeysUnknownError for what may be a key and cannot be looked up.
        """
        given = digest(text)
        if hmac.compare_digest(given, self._first.digest):
            return self._first
        id_ = id_of(text)
        if not id_:
            return None
        limit = KNOWN_SECONDS if id_ in self._known else _AGAIN_SECONDS
        if self._clock() - self._read_at > limit:
            await self._renewal.wait(PATIENCE_SECONDS if id_ in self._known else FIRST_PATIENCE_SECONDS)
        key = self._known.get(id_)
        failed = self._read_at < self._tried_at
        if failed and (key is None or self._clock() - self._read_at > _KEPT_SECONDS):
            raise KeysUnknownError
        if key is None or not hmac.compare_digest(given, key.digest):
            return None
        return key if key.state(datetime.now(UTC)) in ("valid", "expiring") else None

    def wait(self, key: Key) -> float:
        """Count a request of this key: 0.0, or how many seconds it has to wait."""
        bucket = self._buckets.get(key.id)
        if bucket is None or bucket.rate != key.rate:
            bucket = self._buckets[key.id] = Bucket(rate=key.rate)
        return bucket.take(self._clock())

    async def _read(self) -> None:
        now = self._clock()
        if now - self._tried_at < _AGAIN_SECONDS:
            return
        self._tried_at = now
        try:
            async with self._pool.connection() as connection:
                rows = await (await connection.execute(SELECT_SQL)).fetchall()
        except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):
            rows = []
        except (psycopg.Error, PoolTimeout):
            return
        self._known = {key.id: key for key in map(to_key, rows)}
        self._buckets = {id_: found for id_, found in self._buckets.items() if id_ in self._known}
        self._read_at = self._tried_at = self._clock()


def needs(scope: str) -> Callable[[Request], Awaitable[None]]:
    """What a route depends on: a valid key with this scope that has not asked too often, and a question without
    parameters that the route does not know."""
    assert scope in SCOPES

    async def check(request: Request) -> None:
        keyring: Keyring = request.app.state.keyring
        headers = request.headers
        given = headers.get("x-api-key") or headers.get("authorization", "").removeprefix("Bearer ")
        try:
            key = await keyring.find(given) if given else None
        except KeysUnknownError:
            detail = "Whether this key is valid cannot be looked up now; try again."
            raise ProblemError(503, detail, headers={"Retry-After": "2"}) from None
        if key is None:
            detail = "Send a valid key of this API in the header X-API-Key."
            raise HTTPException(401, detail, headers={"WWW-Authenticate": "Bearer"})
        if scope not in key.scopes:
            raise HTTPException(403, f"This key has not the scope {scope}, which lets it {SCOPES[scope]}.")
        if seconds := keyring.wait(key):
            again = str(math.ceil(seconds))
            raise HTTPException(429, f"This key may send {key.rate} requests a second.", headers={"Retry-After": again})
        demand_known(request)

    return check
