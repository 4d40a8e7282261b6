"""PostgreSQL: connections with time-outs, the password read from its file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg

from leandata.errors import DatabaseError
from leandata.settings import DatabaseAddress

if TYPE_CHECKING:
    from psycopg_pool import AsyncConnectionPool, ConnectionPool

_CONNECT_SECONDS = 10
Connection = psycopg.Connection[Any]


def connect(address: DatabaseAddress, *, autocommit: bool = False) -> Connection:
    """A connection. Raises DatabaseError naming the server when it cannot be reached."""
    try:
        return psycopg.connect(**parameters(address), autocommit=autocommit)
    except psycopg.Error as error:
        text = " ".join(str(error).split())[:300]
        place = f"{address.host}:{address.port}/{address.database}"
        raise DatabaseError(f"PostgreSQL cannot be reached: {text}", where=place) from error


def pool(address: DatabaseAddress, *, size: int) -> ConnectionPool[Connection]:
    """A pool that is not open yet; connections are made again when the server comes back."""
    from psycopg_pool import ConnectionPool

    return ConnectionPool(
        kwargs=parameters(address), min_size=0, max_size=size, open=False, timeout=5.0,
        check=ConnectionPool.check_connection, max_idle=60.0,
    )  # fmt: skip


def async_pool(address: DatabaseAddress, *, size: int) -> AsyncConnectionPool[psycopg.AsyncConnection[Any]]:
    """The same for asyncio."""
    from psycopg_pool import AsyncConnectionPool

    return AsyncConnectionPool(
        kwargs=parameters(address), min_size=0, max_size=size, open=False, timeout=5.0,
        check=AsyncConnectionPool.check_connection, max_idle=60.0,
    )  # fmt: skip


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
    }
