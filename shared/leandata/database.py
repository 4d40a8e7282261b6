"""PostgreSQL: connections with time-outs, the password read from its file."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

import psycopg

from leandata.errors import DatabaseError
from leandata.settings import DatabaseAddress

if TYPE_CHECKING:
    from psycopg.abc import PQGen
    from psycopg.pq.abc import PGconn
    from psycopg_pool import AsyncConnectionPool, ConnectionPool

_CONNECT_SECONDS = 10
_INTERVAL = 0.1
ANSWER_SECONDS = 10.0
"""For how long somebody who is waited for waits for the server's next word."""
_KEEPALIVE = {"keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3, "tcp_user_timeout": 30_000}
"""A machine that is gone is noticed after a minute, by who waits for long statements too."""
Connection = psycopg.Connection[Any]
Answer = TypeVar("Answer")


class _Prompt(psycopg.Connection[Any]):
    """A connection that is closed, with an OperationalError, when the server says nothing for ANSWER_SECONDS.

    A server that hangs keeps its connections open and never ends a statement: no time limit of its own helps.
    """

    def wait(self, gen: PQGen[Answer], interval: float = _INTERVAL, timeout: float | None = None) -> Answer:
        try:
            return super().wait(gen, interval=interval, timeout=timeout or ANSWER_SECONDS)
        except psycopg.OperationalError as error:
            raise _given_up(self.pgconn, error) from None


class _AsyncPrompt(psycopg.AsyncConnection[Any]):
    """The same for asyncio."""

    async def wait(self, gen: PQGen[Answer], interval: float = _INTERVAL, timeout: float | None = None) -> Answer:
        try:
            return await super().wait(gen, interval=interval, timeout=timeout or ANSWER_SECONDS)
        except psycopg.OperationalError as error:
            raise _given_up(self.pgconn, error) from None


def _given_up(connection: PGconn, error: psycopg.OperationalError) -> psycopg.OperationalError:
    """The error; where a statement still goes on the connection is closed: nobody knows what the server may yet say."""
    if connection.transaction_status != psycopg.pq.TransactionStatus.ACTIVE:
        return error
    connection.finish()
    return psycopg.OperationalError(f"the server said nothing for {ANSWER_SECONDS:.0f} seconds")


def connect(address: DatabaseAddress, *, autocommit: bool = False, prompt: bool = False) -> Connection:
    """A connection; a `prompt` one gives up a server that is silent. Raises DatabaseError naming the server when it
    cannot be reached."""
    kind = _Prompt if prompt else psycopg.Connection
    try:
        return kind.connect(**parameters(address), autocommit=autocommit)
    except psycopg.Error as error:
        text = " ".join(str(error).split())[:300]
        place = f"{address.host}:{address.port}/{address.database}"
        raise DatabaseError(f"PostgreSQL cannot be reached: {text}", where=place) from error


def pool(address: DatabaseAddress, *, size: int) -> ConnectionPool[Connection]:
    """A pool that is not open yet; connections are made again when the server comes back.

    No statement takes longer than ANSWER_SECONDS, neither in the server nor, where that hangs, for who waits.
    """
    from psycopg_pool import ConnectionPool

    return ConnectionPool(
        kwargs=_limited(address), connection_class=_Prompt, min_size=0, max_size=size, open=False, timeout=5.0,
        check=ConnectionPool.check_connection, max_idle=60.0,
    )  # fmt: skip


def async_pool(address: DatabaseAddress, *, size: int) -> AsyncConnectionPool[psycopg.AsyncConnection[Any]]:
    """The same for asyncio."""
    from psycopg_pool import AsyncConnectionPool

    return AsyncConnectionPool(
        kwargs=_limited(address), connection_class=_AsyncPrompt, min_size=0, max_size=size, open=False, timeout=5.0,
        check=AsyncConnectionPool.check_connection, max_idle=60.0,
    )  # fmt: skip


def _limited(address: DatabaseAddress) -> dict[str, Any]:
    """The same, for statements that somebody waits for: a server that is well ends them before one gives it up."""
    longest = round(ANSWER_SECONDS * 800)
    return parameters(replace(address, statement_timeout=min(address.statement_timeout or longest, longest)))


def parameters(address: DatabaseAddress) -> dict[str, Any]:
    """What psycopg needs to connect."""
    options = f"-c statement_timeout={address.statement_timeout}" if address.statement_timeout else ""
    return {
        "host": address.host,
        "port": address.port,
        "user": address.user,
        "dbname": address.database,
        "password": address.password,
        "connect_timeout": _CONNECT_SECONDS,
        "application_name": "leandata",
        "sslmode": "prefer" if address.nearby else "require",
        "options": options,
        **_KEEPALIVE,
    }
