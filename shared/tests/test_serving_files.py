"""The file that each publication keeps beside its table: the same rows, with the contract's types, gone with it."""

from __future__ import annotations

import io
import threading
from collections.abc import Generator
from datetime import date, timedelta
from decimal import Decimal

import pyarrow as pa
import pytest
from pyarrow import parquet

from infra.testing import parts
from leandata import serving
from leandata.database import Connection, connect
from leandata.datasets import dataset
from leandata.errors import ContractError
from leandata.settings import DatabaseAddress
from leandata.tables import schema

pytestmark = pytest.mark.integration
DAILY = dataset("sales.daily_sales")
DAY = date(2026, 11, 22)


@pytest.fixture(scope="module")
def address(postgres_server: parts.Postgres) -> DatabaseAddress:
    return postgres_server.database("serving_files", owner="files_writer")


@pytest.fixture
def writer(address: DatabaseAddress) -> Generator[Connection]:
    with connect(address, autocommit=True) as connection:
        yield connection
        connection.execute("DROP SCHEMA IF EXISTS serving CASCADE")


def days(count: int, *, scale: int = 2) -> pa.Table:
    numbers = [(number * 7919) % 99_991 for number in range(count)]
    return pa.table(
        {
            "units": pa.array(numbers, pa.int64()),
            "day": pa.array([DAY - timedelta(days=back) for back in range(count)], pa.date32()),
            "revenue": pa.array([Decimal(one).scaleb(-2) for one in numbers], pa.decimal128(20, scale)),
            **{name: pa.array(numbers, pa.int64()) for name in ("orders", "customers", "new_customers")},
        }
    )


def publish(connection: Connection, table: pa.Table, version: str) -> None:
    serving.publish(connection, DAILY, table, version=version, data_until=DAY)


def kept(connection: Connection, version: str) -> pa.Table | None:
    file = io.BytesIO()
    found = serving.read_file(connection, DAILY, version=version, file=file)
    assert found == bool(file.getvalue())
    return parquet.read_table(file) if found else None


@pytest.mark.parametrize("count", [0, 1, 300_000])
def test_a_publication_has_a_file_with_its_rows_and_the_types_of_the_contract(writer: Connection, count: int) -> None:
    table = days(count)
    publish(writer, table, "v1")
    found = kept(writer, "v1")
    assert found is not None
    assert found.schema == schema(DAILY)
    assert found == table.select(found.column_names).cast(schema(DAILY))


def test_a_large_file_is_kept_in_parts_of_a_mebibyte(writer: Connection) -> None:
    publish(writer, days(300_000), "v1")
    sizes = [size for (size,) in writer.execute("SELECT length(content) FROM serving.files ORDER BY part").fetchall()]
    assert len(sizes) > 1
    assert set(sizes[:-1]) == {2**20}
    assert 0 < sizes[-1] <= 2**20


def test_a_file_goes_with_its_publication(writer: Connection) -> None:
    publish(writer, days(300_000), "v1")
    publish(writer, days(3), "v2")
    assert kept(writer, "v1") is None
    assert kept(writer, "v2") == days(3).select(schema(DAILY).names).cast(schema(DAILY))
    assert writer.execute("SELECT count(*) FROM serving.files").fetchone() == (1,)


def test_a_publication_that_is_broken_off_leaves_the_old_file(address: DatabaseAddress, writer: Connection) -> None:
    publish(writer, days(2), "v1")
    with connect(address) as other, other.transaction(force_rollback=True):
        publish(other, days(9), "v2")
    assert kept(writer, "v2") is None
    found = kept(writer, "v1")
    assert found is not None
    assert found.num_rows == 2


def test_a_value_of_another_type_publishes_nothing(writer: Connection) -> None:
    publish(writer, days(2), "v1")
    tenths = days(5, scale=3).set_column(2, "revenue", pa.array([Decimal("0.001")] * 5, pa.decimal128(20, 3)))
    with pytest.raises(ContractError, match=r"sales\.daily_sales"):
        publish(writer, tenths, "v2")
    assert [one.version for one in serving.freshness(writer)] == ["v1"]
    assert len(serving.daily_sales(writer)) == 2


def test_a_publication_without_a_file_is_told(writer: Connection) -> None:
    serving.ensure_schema(writer)
    assert kept(writer, "v1") is None


def test_whoever_reads_gets_a_whole_file_while_others_publish(address: DatabaseAddress, writer: Connection) -> None:
    publish(writer, days(1000), "v1")
    rows: set[int] = set()
    stop = threading.Event()

    def read() -> None:
        with connect(address, autocommit=True) as reader:
            while not stop.is_set():
                if (found := kept(reader, "v1")) is not None:
                    rows.add(found.num_rows)

    thread = threading.Thread(target=read)
    thread.start()
    for count in (2000, 1000) * 5:
        publish(writer, days(count), "v1")
    stop.set()
    thread.join()
    assert rows
    assert rows <= {1000, 2000}
