"""The serving database: published whole or not at all."""

from __future__ import annotations

import threading
from collections.abc import Generator
from datetime import date
from decimal import Decimal

import pyarrow as pa
import pytest

from infra.testing import parts
from leandata import serving
from leandata.database import Connection, connect, pool
from leandata.datasets import dataset
from leandata.errors import DatabaseError
from leandata.settings import DatabaseAddress
from leandata.tables import schema

pytestmark = pytest.mark.integration
WEEKLY = dataset("sales.weekly_sales")
MONDAY = date(2026, 11, 16)


def weeks(*revenues: str) -> pa.Table:
    rows = [
        {"week": date.fromordinal(MONDAY.toordinal() - 7 * back), "revenue": Decimal(revenue), "orders": 3, "customers": 2,
         "new_customers": 1, "units": 4}
        for back, revenue in enumerate(revenues)
    ]  # fmt: skip
    return pa.Table.from_pylist(rows, schema=schema(WEEKLY))


@pytest.fixture
def address(postgres_server: parts.Postgres, request: pytest.FixtureRequest) -> DatabaseAddress:
    name = f"serving_{abs(hash(request.node.name)) % 10**8}"
    return postgres_server.database(name, owner="serving_writer")


@pytest.fixture
def writer(address: DatabaseAddress) -> Generator[Connection]:
    with connect(address) as connection:
        yield connection


def test_before_the_first_publication_everything_is_empty(writer: Connection) -> None:
    assert serving.weekly_sales(writer) == []
    assert serving.daily_sales(writer) == []
    assert serving.freshness(writer) == []


def test_what_is_published_is_read_to_the_cent_and_in_order(writer: Connection) -> None:
    serving.publish(writer, WEEKLY, weeks("0.10", "12345678901.23"), version="v1", data_until=MONDAY)
    found = serving.weekly_sales(writer)
    assert [sales.revenue for sales in found] == [Decimal("12345678901.23"), Decimal("0.10")]
    assert [sales.period for sales in found] == sorted(sales.period for sales in found)


def test_a_new_version_replaces_the_old_one_and_its_table(writer: Connection) -> None:
    serving.publish(writer, WEEKLY, weeks("1.00"), version="v1", data_until=MONDAY)
    serving.publish(writer, WEEKLY, weeks("2.00", "3.00"), version="v2", data_until=MONDAY)
    assert len(serving.weekly_sales(writer)) == 2
    tables = writer.execute("SELECT tablename FROM pg_tables WHERE tablename LIKE 'weekly%'").fetchall()
    assert tables == [("weekly_sales__v2",)]
    assert [(found.dataset, found.version, found.rows) for found in serving.freshness(writer)] == [
        ("sales.weekly_sales", "v2", 2)
    ]


def test_publishing_the_same_version_again_is_harmless(writer: Connection) -> None:
    for _ in range(2):
        serving.publish(writer, WEEKLY, weeks("1.00"), version="v1", data_until=MONDAY)
    assert len(serving.weekly_sales(writer)) == 1


def test_a_publication_that_breaks_the_key_leaves_the_old_one(writer: Connection) -> None:
    import psycopg

    serving.publish(writer, WEEKLY, weeks("1.00"), version="v1", data_until=MONDAY)
    writer.commit()
    twice = pa.concat_tables([weeks("2.00"), weeks("3.00")])
    with pytest.raises(psycopg.errors.UniqueViolation):
        serving.publish(writer, WEEKLY, twice, version="v2", data_until=MONDAY)
    writer.rollback()
    assert [sales.revenue for sales in serving.weekly_sales(writer)] == [Decimal("1.00")]


def test_a_range_of_weeks_can_be_asked_for(writer: Connection) -> None:
    serving.publish(writer, WEEKLY, weeks("1.00", "2.00", "3.00"), version="v1", data_until=MONDAY)
    assert [sales.revenue for sales in serving.weekly_sales(writer, since=date(2026, 11, 9))] == [
        Decimal(2),
        Decimal(1),
    ]
    assert [sales.revenue for sales in serving.weekly_sales(writer, until=date(2026, 11, 8))] == [Decimal(3)]


def test_readers_never_see_half_of_a_publication(writer: Connection, address: DatabaseAddress) -> None:
    serving.publish(writer, WEEKLY, weeks(*["1.00"] * 50), version="v0", data_until=MONDAY)
    writer.commit()
    sizes: set[int] = set()
    stop = threading.Event()

    def read() -> None:
        with connect(address, autocommit=True) as reader:
            while not stop.is_set():
                sizes.add(len(serving.weekly_sales(reader)))

    thread = threading.Thread(target=read)
    thread.start()
    for number in range(1, 15):
        serving.publish(
            writer, WEEKLY, weeks(*["1.00"] * (50 if number % 2 else 70)), version=f"v{number}", data_until=MONDAY
        )
        writer.commit()
    stop.set()
    thread.join()
    assert sizes <= {50, 70}
    assert sizes


def test_two_publications_at_once_end_as_one_of_them(address: DatabaseAddress) -> None:
    def publish(number: int) -> None:
        with connect(address) as connection:
            serving.publish(connection, WEEKLY, weeks(*["1.00"] * number), version=f"v{number}", data_until=MONDAY)

    threads = [threading.Thread(target=publish, args=[number]) for number in range(1, 6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with connect(address) as connection:
        published = serving.freshness(connection)[0]
        assert published.rows == len(serving.weekly_sales(connection))
        assert published.version == f"v{published.rows}"


def test_a_version_that_cannot_name_a_table_is_refused(writer: Connection) -> None:
    with pytest.raises(DatabaseError, match="cannot name a version"):
        serving.publish(writer, WEEKLY, weeks("1.00"), version="v1; DROP TABLE x", data_until=MONDAY)


def test_a_server_that_is_not_there_is_named() -> None:
    address = DatabaseAddress(host="127.0.0.1", port=parts.free_port(), user="u", database="d")
    with pytest.raises(DatabaseError, match=r"PostgreSQL cannot be reached: .*127.0.0.1:\d+/d"):
        connect(address)


def test_a_pool_gives_working_connections_again_after_the_server_was_killed(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    with parts.postgres(tmp_path_factory.mktemp("killed")) as server:
        connections = pool(server.database("d", owner="o"), size=2)
        connections.open()
        with connections.connection() as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
        server.kill()
        server.start()
        with connections.connection(timeout=20) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
        connections.close()
