"""A database that hangs: connections stay open and nothing is answered. Who is waited for gives up, and comes back."""

from __future__ import annotations

import asyncio
import contextlib
import io
import socket
import threading
from collections.abc import Generator
from dataclasses import replace

import psycopg
import pytest
from psycopg_pool import PoolTimeout

from infra.testing import parts, silence
from leandata import database
from leandata.database import async_pool, connect, pool
from leandata.errors import DatabaseError
from leandata.settings import DatabaseAddress

pytestmark = pytest.mark.integration
GIVEN_UP = (psycopg.OperationalError, PoolTimeout)


@pytest.fixture(autouse=True)
def patience_is_short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "ANSWER_SECONDS", 2.0)
    monkeypatch.setattr(database, "_CONNECT_SECONDS", 2)


@pytest.fixture(scope="module")
def server(postgres_server: parts.Postgres) -> DatabaseAddress:
    return postgres_server.database("silent", owner="silent_owner")


@pytest.fixture
def between(server: DatabaseAddress) -> Generator[silence.Silence]:
    with silence.before(server.host, server.port) as found:
        yield found


@pytest.fixture
def address(server: DatabaseAddress, between: silence.Silence) -> DatabaseAddress:
    return replace(server, host="127.0.0.1", port=between.port)


def ones(connection: database.Connection) -> list[tuple[int]]:
    return connection.execute("SELECT 1").fetchall()


def test_a_server_that_takes_connections_and_never_answers_is_said_to_be_out_of_reach() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        nobody = DatabaseAddress(host="127.0.0.1", port=listener.getsockname()[1], user="u", database="d")
        for prompt in (True, False):
            with pytest.raises(DatabaseError, match="cannot be reached: connection timeout"):
                connect(nobody, prompt=prompt)


def test_a_pool_gives_up_a_server_that_falls_silent_and_finds_it_again(
    address: DatabaseAddress, between: silence.Silence
) -> None:
    with pool(address, size=2) as found:
        with found.connection() as connection:
            assert ones(connection) == [(1,)]
        between.fall()
        for _ in range(2):
            with pytest.raises(GIVEN_UP), found.connection() as connection:
                ones(connection)
        between.end()
        parts.eventually(lambda: asked(found))


def asked(found: database.ConnectionPool[database.Connection]) -> bool:
    with contextlib.suppress(*GIVEN_UP), found.connection() as connection:
        return ones(connection) == [(1,)]
    return False


def test_silence_in_the_middle_of_a_statement_closes_the_connection(
    address: DatabaseAddress, between: silence.Silence
) -> None:
    with connect(address, prompt=True) as connection:
        threading.Timer(0.5, between.fall).start()
        with pytest.raises(psycopg.OperationalError, match="the server said nothing for 2 seconds"):
            connection.execute("SELECT pg_sleep(1.5)")
        assert connection.closed


def test_silence_in_the_middle_of_a_copy_ends_it(address: DatabaseAddress, between: silence.Silence) -> None:
    read = io.BytesIO()

    def copied(cursor: psycopg.Cursor[tuple[str]]) -> None:
        with cursor.copy("COPY (SELECT repeat('x', 1000) FROM generate_series(1, 300000)) TO STDOUT") as copy:
            for number, block in enumerate(copy):
                read.write(block)
                if number == 100:
                    between.fall()

    with connect(address, prompt=True) as connection, connection.cursor() as cursor:
        with pytest.raises(psycopg.OperationalError, match="said nothing"):
            copied(cursor)
        assert connection.closed
    assert read.tell() > 100_000


def test_for_asyncio_it_is_the_same(address: DatabaseAddress, between: silence.Silence) -> None:
    async def work() -> None:
        async with async_pool(address, size=2) as found:

            async def one() -> bool:
                async with found.connection() as connection:
                    return await (await connection.execute("SELECT 1")).fetchall() == [(1,)]

            assert await one()
            between.fall()
            for _ in range(2):
                with pytest.raises(GIVEN_UP):
                    await one()
            between.end()
            for _ in range(100):
                with contextlib.suppress(*GIVEN_UP):
                    if await one():
                        return
            raise AssertionError("it is not found again")

    asyncio.run(work())


def test_a_statement_that_nobody_waits_for_any_more_is_ended_by_the_server(address: DatabaseAddress) -> None:
    with pool(address, size=1) as found, found.connection() as connection:
        assert connection.execute("SHOW statement_timeout").fetchone() == ("1600ms",)
        with pytest.raises(psycopg.errors.QueryCanceled):
            connection.execute("SELECT pg_sleep(30)")
        assert not connection.closed, "the server said so itself"


def test_an_address_may_ask_for_less_time_and_not_for_more(address: DatabaseAddress) -> None:
    for asked_for, given in ((500, "500ms"), (60_000, "1600ms")):
        with pool(replace(address, statement_timeout=asked_for), size=1) as found, found.connection() as connection:
            assert connection.execute("SHOW statement_timeout").fetchone() == (given,)


def test_pipelines_wait_for_their_long_statements(address: DatabaseAddress) -> None:
    with connect(address) as connection:
        assert connection.execute("SELECT 1 FROM pg_sleep(4)").fetchone() == (1,)


def test_a_machine_that_is_gone_is_noticed_by_whoever_waits() -> None:
    told = database.parameters(DatabaseAddress(host="h", port=1, user="u", database="d"))
    assert told["keepalives_idle"] + told["keepalives_interval"] * told["keepalives_count"] <= 60
    assert told["tcp_user_timeout"] <= 60_000
