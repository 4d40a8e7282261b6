"""Exports of a whole dataset: the same rows and types in every format, one publication, memory flat."""

from __future__ import annotations

import csv
import io
import tempfile
from collections.abc import Generator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import psutil
import pyarrow as pa
import pytest
from pyarrow import parquet

from infra.testing.api import Api, prepared, running
from infra.testing.parts import eventually
from leandata import serving
from leandata.contract import Column, Dataset
from leandata.database import connect
from leandata.datasets import dataset
from leandata.tables import schema
from serving.exports import FORMATS, File, query, write

pytestmark = pytest.mark.integration
DAILY = dataset("sales.daily_sales")
DAY = date(2026, 11, 22)
ROWS = [
    {
        "day": DAY - timedelta(days=back), "revenue": Decimal(back) * Decimal("1234567.89"), "orders": back,
        "customers": back, "new_customers": 0, "units": 2**40 + back,
    }
    for back in range(1000)
]  # fmt: skip
EVERY = Dataset(
    name="sales.every_type", layer="MARTS", owner="data-team", description="A column of each type.",
    columns=tuple(
        Column(name=f"c{number}", type=kind, description="x", nullable=number > 0)
        for number, kind in enumerate(
            ("bigint", "date", "timestamp", "integer", "text", "boolean", "decimal(12,2)", "decimal(14,2)")
        )
    ),
    key=("c0",), freshness=timedelta(hours=1),
)  # fmt: skip
STRANGE: list[dict[str, Any]] = [
    {"c0": 1, "c1": DAY, "c2": datetime(2026, 11, 22, 1, 2, 3, 456789, tzinfo=UTC), "c3": -7, "c4": "a", "c5": True,
     "c6": Decimal("-0.01"), "c7": Decimal("999999999999.99")},
    {"c0": 2},
    {"c0": 3, "c4": ""},
    {"c0": 4, "c4": 'quote " comma , line\nend \\N é \t'},
    {"c0": 5, "c1": date(1, 1, 1), "c2": datetime(1999, 12, 31, 23, 59, 59, tzinfo=UTC), "c5": False},
]  # fmt: skip


def put(api: Api, contract: Dataset, rows: list[dict[str, Any]], version: str = "v1") -> None:
    table = pa.Table.from_pylist(rows, schema=schema(contract))
    with connect(api.serving) as connection:
        serving.publish(connection, contract, table, version=version, data_until=DAY)


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Generator[Api]:
    with running(tmp_path_factory.mktemp("exports")) as found:
        put(found, DAILY, ROWS)
        eventually(lambda: found.client.get("/v1/datasets/sales.daily_sales/export").status_code == 200)
        yield found


def fetched(api: Api, kind: str) -> bytes:
    answer = api.client.get("/v1/datasets/sales.daily_sales/export", params={"format": kind})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == FORMATS[kind].media_type
    assert int(answer.headers["content-length"]) == len(answer.content)
    assert f'filename="sales.daily_sales.{FORMATS[kind].ending}"' in answer.headers["content-disposition"]
    return answer.content


def test_parquet_and_arrow_hold_the_rows_with_the_types_of_the_contract(api: Api) -> None:
    for table in (
        parquet.read_table(io.BytesIO(fetched(api, "parquet"))), pa.ipc.open_stream(fetched(api, "arrow")).read_all(),
    ):  # fmt: skip
        assert table.schema == schema(DAILY)
        assert table.sort_by([("day", "descending")]).to_pylist() == ROWS


def test_csv_holds_the_same_rows_exactly(api: Api) -> None:
    found = list(csv.DictReader(io.StringIO(fetched(api, "csv").decode())))
    assert len(found) == 1000
    assert {row["day"]: row["revenue"] for row in found} == {str(row["day"]): f"{row['revenue']:.2f}" for row in ROWS}


def test_an_export_has_the_tag_of_its_publication(api: Api) -> None:
    path = "/v1/datasets/sales.daily_sales/export"
    tag = api.client.get(path).headers["etag"]
    assert api.client.get(path, headers={"If-None-Match": tag}).status_code == 304
    assert api.client.get(path, params={"format": "csv"}, headers={"If-None-Match": tag}).status_code == 200
    put(api, DAILY, ROWS[:10], version="v2")
    eventually(lambda: api.client.get(path, headers={"If-None-Match": tag}).status_code == 200)
    put(api, DAILY, ROWS, version="v3")


def test_an_export_keeps_its_tag_when_its_rows_are_only_known_to_be_right_until_later(api: Api) -> None:
    table = pa.Table.from_pylist(ROWS, schema=schema(DAILY))
    tags: list[str] = []
    for until in (DAY + timedelta(days=1), DAY):
        with connect(api.serving) as connection:
            assert not serving.publish_changed(connection, DAILY, table, version="v9", data_until=until)
        eventually(lambda until=until: api.client.get("/v1/sales/daily").json()["data_until"] == until.isoformat())
        tags.append(api.client.get("/v1/datasets/sales.daily_sales/export").headers["etag"])
    assert tags[0] == tags[1]


def test_an_export_is_written_once_for_a_publication(api: Api) -> None:
    path = "/v1/datasets/sales.daily_sales/export"
    before = fetched(api, "csv")
    with connect(api.serving) as connection:
        connection.execute(
            "CREATE OR REPLACE VIEW serving.daily_sales AS SELECT * FROM serving.daily_sales__v3 LIMIT 1"
        )
    assert fetched(api, "csv") == before, "nothing was published"
    put(api, DAILY, ROWS, version="v4")
    eventually(lambda: api.client.get(path).status_code == 200)


def test_readers_of_one_file_do_not_disturb_each_other(tmp_path: Any) -> None:
    with tempfile.TemporaryFile() as file:
        file.write(b"a" * 300_000 + b"b")
        file.flush()
        found = File(content=file, size=300_001)
        assert found.read(0) == b"a" * 262_144
        assert found.read(300_000) == b"b"
        assert found.read(0)[:1] == b"a"
        assert found.read(300_001) == b""


@pytest.mark.parametrize(
    "name", ["sales.nothing", "shop.orders", "serving.freshness", "sales.weekly_sales", "x' OR 1=1"]
)
def test_what_is_not_published_names_what_is(api: Api, name: str) -> None:
    answer = api.client.get(f"/v1/datasets/{name}/export")
    assert answer.status_code == 404
    assert "sales.daily_sales" in answer.json()["detail"]


def test_a_format_that_is_none_names_the_known_ones(api: Api) -> None:
    answer = api.client.get("/v1/datasets/sales.daily_sales/export", params={"format": "xlsx"})
    assert answer.status_code == 422
    assert "'parquet'" in answer.json()["detail"]


def written(api: Api, contract: Dataset, kind: str, *, version: str) -> pa.Table:
    """The file of that version, without asking the API for it, read again."""
    file = io.BytesIO()
    write(api.serving, contract, FORMATS[kind], file, version=version)
    file.seek(0)
    return parquet.read_table(file) if kind == "parquet" else pa.ipc.open_stream(file).read_all()


@pytest.mark.parametrize("version", ["v1", "v0"], ids=["with-a-file", "without-one"])
@pytest.mark.parametrize("rows", [STRANGE, []], ids=["strange", "none"])
def test_every_type_comes_out_as_it_went_in(tmp_path: Any, rows: list[dict[str, Any]], version: str) -> None:
    tmp_path.chmod(0o755)
    expected = pa.Table.from_pylist(rows, schema=schema(EVERY))
    with prepared(tmp_path) as found:
        put(found, EVERY, rows)
        for kind in ("parquet", "arrow"):
            table = written(found, EVERY, kind, version=version)
            assert table.schema == schema(EVERY)
            assert table.sort_by("c0").to_pylist() == expected.to_pylist()


def test_an_export_is_the_file_of_its_publication_and_not_what_lies_there_by_now(api: Api) -> None:
    put(api, DAILY, ROWS[:3], version="v5")
    with connect(api.serving) as connection:
        connection.execute("DELETE FROM serving.daily_sales__v5")
    for kind in ("parquet", "arrow"):
        table = written(api, DAILY, kind, version="v5")
        assert table.to_pylist() == ROWS[:3]
    put(api, DAILY, ROWS, version="v6")


def test_a_database_of_a_release_that_kept_no_files_is_exported(api: Api) -> None:
    put(api, DAILY, ROWS, version="v7")
    with connect(api.serving) as connection:
        connection.execute("DROP TABLE serving.files")
    for kind in ("parquet", "arrow"):
        table = written(api, DAILY, kind, version="v7")
        assert table.to_pylist() == ROWS
    put(api, DAILY, ROWS, version="v8")


def test_an_arrow_stream_of_several_row_groups_has_every_row_in_its_place(api: Api) -> None:
    days = [date.fromordinal(1 + number) for number in range(300_000)]
    numbers = pa.array(range(len(days)), pa.int64())
    table = pa.table(
        {"day": pa.array(days, pa.date32()), "revenue": numbers.cast(pa.decimal128(21, 2)),
         **dict.fromkeys(("orders", "customers", "new_customers", "units"), numbers)}
    )  # fmt: skip
    with connect(api.serving) as connection:
        serving.keep_file(connection, DAILY, table, version="wide")
    file = io.BytesIO()
    write(api.serving, DAILY, FORMATS["arrow"], file, version="wide")
    assert pa.ipc.open_stream(file.getvalue()).read_all() == table.cast(schema(DAILY))


def test_the_query_names_columns_of_the_contract_only() -> None:
    text = query(DAILY, header=False, exact=True).decode()
    assert text == (
        "COPY (SELECT day, revenue, orders, customers, new_customers, units FROM serving.daily_sales)"
        " TO STDOUT (FORMAT csv)"
    )


def test_a_large_export_keeps_memory_flat(tmp_path: Any) -> None:
    tmp_path.chmod(0o755)
    with prepared(tmp_path) as found, found.process() as process:
        put(found, DAILY, ROWS)
        path = "/v1/datasets/sales.daily_sales/export"
        eventually(lambda: found.client.get(path, params={"format": "arrow"}).status_code == 200)
        before = psutil.Process(process.pid).memory_info().rss
        with connect(found.serving) as connection:
            connection.execute("CREATE TABLE serving.large AS SELECT day, revenue, orders, customers, new_customers,"
                " units FROM serving.daily_sales, generate_series(1, 1500)")  # fmt: skip
            connection.execute("CREATE OR REPLACE VIEW serving.daily_sales AS SELECT * FROM serving.large")
            connection.execute("UPDATE serving.freshness SET version = 'large'")
        eventually(lambda: '"version":"large"' in found.client.get("/v1/datasets").text)
        size, most = _fetch(found, process.pid)
        assert size > 2**20
        assert most - before < 80 * 2**20, "1.5 million rows are 72 MB as values, and several times that as objects"


def test_a_large_file_of_a_publication_passes_through_in_parts(tmp_path: Any) -> None:
    tmp_path.chmod(0o755)
    numbers = pa.array(range(3_000_000), pa.int64())
    day = pa.array([DAY] * len(numbers), pa.date32())
    large = pa.table(
        {"day": day, "revenue": pa.array([Decimal(1)] * len(numbers), pa.decimal128(14, 2)),
         **dict.fromkeys(("orders", "customers", "new_customers", "units"), numbers)}
    )  # fmt: skip
    with prepared(tmp_path) as found, found.process() as process:
        put(found, DAILY, ROWS)
        eventually(lambda: found.client.get("/v1/datasets/sales.daily_sales/export").status_code == 200)
        before = psutil.Process(process.pid).memory_info().rss
        with connect(found.serving) as connection:
            serving.keep_file(connection, DAILY, large, version="large")
            connection.execute("UPDATE serving.freshness SET version = 'large'")
        eventually(lambda: '"version":"large"' in found.client.get("/v1/datasets").text)
        size, most = _fetch(found, process.pid)
        assert size > 48 * 2**20
        assert most - before < 32 * 2**20, "the file is larger than what the process took for it"


def _fetch(api: Api, pid: int) -> tuple[int, int]:
    """The size of an export, and the most memory that the process had while it was sent."""
    size, most = 0, 0
    with api.client.stream("GET", "/v1/datasets/sales.daily_sales/export", timeout=120) as answer:
        for chunk in answer.iter_bytes():
            size += len(chunk)
            most = max(most, psutil.Process(pid).memory_info().rss)
    return size, most
