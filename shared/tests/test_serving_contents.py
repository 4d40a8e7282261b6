"""Rows that are served already stay as they are; everything that could make them others publishes."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import pyarrow as pa
import pytest

from infra.testing import parts
from leandata import serving
from leandata.contract import Dataset
from leandata.database import Connection, connect
from leandata.datasets import dataset
from leandata.errors import ContractError, DatabaseError
from leandata.settings import DatabaseAddress
from leandata.tables import schema

pytestmark = pytest.mark.integration
WEEKLY, MONDAY = dataset("sales.weekly_sales"), date(2026, 11, 16)
LATER = MONDAY + timedelta(days=1)


@pytest.fixture(scope="module")
def address(postgres_server: parts.Postgres) -> DatabaseAddress:
    return postgres_server.database("serving_contents", owner="contents_writer")


@pytest.fixture
def writer(address: DatabaseAddress) -> Generator[Connection]:
    with connect(address, autocommit=True) as connection:
        yield connection
        connection.execute("DROP SCHEMA IF EXISTS serving CASCADE")


def weeks(*revenues: str) -> pa.Table:
    rows = [
        {"week": MONDAY - timedelta(weeks=back), "revenue": Decimal(revenue)}
        | dict.fromkeys(("orders", "customers", "new_customers", "units"), 1)
        for back, revenue in enumerate(revenues)
    ]
    return pa.Table.from_pylist(rows, schema=schema(WEEKLY))


def put(
    writer: Connection,
    table: pa.Table,
    version: str,
    *,
    until: date = MONDAY,
    mark: str = "",
    contract: Dataset = WEEKLY,
) -> bool:
    return serving.publish_changed(writer, contract, table, version=version, data_until=until, mark=mark)


def known(writer: Connection) -> tuple[str, int, date]:
    (found,) = serving.freshness(writer)
    return found.version, found.rows, found.data_until


def test_the_same_rows_stay_of_their_version_and_are_right_until_later(writer: Connection) -> None:
    assert put(writer, weeks("1.00", "2.00"), "v1")
    (before,) = serving.freshness(writer)
    assert not put(writer, weeks("1.00", "2.00"), "v2", until=LATER)
    assert serving.freshness(writer) == [replace(before, data_until=LATER)]


@pytest.mark.parametrize("rows", [("1.00",), ("1.00", "2.01"), ("2.00", "1.00"), ("1.00", "2.00", "0.00"), ()], ids=str)
def test_other_rows_are_published(writer: Connection, rows: tuple[str, ...]) -> None:
    put(writer, weeks("1.00", "2.00"), "v1")
    assert put(writer, weeks(*rows), "v2")
    assert known(writer) == ("v2", len(rows), MONDAY)
    assert [one.revenue for one in serving.weekly_sales(writer)] == [Decimal(row) for row in reversed(rows)]


def test_how_the_rows_lie_in_memory_does_not_matter(writer: Connection) -> None:
    put(writer, weeks("1.00", "2.00", "3.00"), "v1")
    whole = weeks("9.00", "1.00", "2.00", "3.00")
    cut = weeks("1.00", "2.00", "3.00")
    assert not put(writer, pa.concat_tables([cut.slice(0, 1), cut.slice(1)]), "v2")
    assert not put(writer, cut.select(list(reversed(cut.column_names))), "v3")
    assert put(writer, whole, "v4")


def test_rows_that_are_again_what_they_once_were_are_published(writer: Connection) -> None:
    assert [put(writer, weeks(value), f"v{number}") for number, value in enumerate(("1.00", "2.00", "1.00"))] == [
        True
    ] * 3


def test_what_an_older_release_published_since_counts_as_unknown(writer: Connection) -> None:
    put(writer, weeks("1.00"), "v1", mark="a")
    writer.execute("UPDATE serving.freshness SET version = 'v2'")  # it knows nothing of serving.contents
    assert not serving.renew(writer, WEEKLY, mark="a", data_until=LATER)
    assert put(writer, weeks("1.00"), "v3")


@pytest.mark.parametrize(
    "lost", ["DROP VIEW serving.weekly_sales", "DELETE FROM serving.files", "DELETE FROM serving.contents"]
)
def test_what_is_not_served_whole_is_published_again(writer: Connection, lost: str) -> None:
    put(writer, weeks("1.00"), "v1", mark="a")
    writer.execute(lost)  # pyright: ignore[reportArgumentType, reportCallIssue]
    assert not serving.renew(writer, WEEKLY, mark="a", data_until=MONDAY)
    assert put(writer, weeks("1.00"), "v2", mark="a")
    assert serving.renew(writer, WEEKLY, mark="a", data_until=MONDAY)


def test_a_mark_that_is_the_same_renews_and_another_or_none_does_not(writer: Connection) -> None:
    assert not serving.renew(writer, WEEKLY, mark="a", data_until=MONDAY), "nothing is published"
    put(writer, weeks("1.00"), "v1", mark="a")
    assert serving.renew(writer, WEEKLY, mark="a", data_until=LATER)
    assert known(writer) == ("v1", 1, LATER)
    assert not serving.renew(writer, WEEKLY, mark="b", data_until=MONDAY)
    put(writer, weeks("1.00"), "v2", until=LATER, mark="b")
    assert serving.renew(writer, WEEKLY, mark="b", data_until=LATER)
    put(writer, weeks("2.00"), "v3", until=LATER)
    assert not serving.renew(writer, WEEKLY, mark="", data_until=MONDAY)
    assert known(writer) == ("v3", 1, LATER)


CHANGES: dict[str, Callable[[Dataset], Dataset]] = {
    "another key": lambda one: replace(one, key=("week", "orders")),
    "a wider type": lambda one: replace(
        one,
        columns=tuple(
            replace(c, type="bigint") if c.name == "units" else replace(c, nullable=True) for c in one.columns
        ),
    ),
    "another description": lambda one: replace(
        one, columns=tuple(replace(column, description="Said anew") for column in one.columns)
    ),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_the_same_rows_under_another_contract_are_published(
    writer: Connection, change: Callable[[Dataset], Dataset]
) -> None:
    put(writer, weeks("1.00"), "v1", mark="a")
    assert not serving.renew(writer, change(WEEKLY), mark="a", data_until=MONDAY)
    assert put(writer, weeks("1.00"), "v2", mark="a", contract=change(WEEKLY))


def test_publishing_without_a_question_publishes_the_same_rows_again(writer: Connection) -> None:
    put(writer, weeks("1.00"), "v1", mark="a")
    serving.publish(writer, WEEKLY, weeks("1.00"), version="v2", data_until=MONDAY)
    assert known(writer) == ("v2", 1, MONDAY)
    assert not put(writer, weeks("1.00"), "v3")


def test_what_cannot_be_published_leaves_what_is_served(writer: Connection) -> None:
    put(writer, weeks("1.00"), "v1")
    with pytest.raises(DatabaseError, match="cannot name a version"):
        put(writer, weeks("1.00"), "V-1; DROP")
    with pytest.raises(ContractError, match="a value does not fit"):
        put(writer, weeks("1.00").set_column(1, "revenue", pa.array(["a"])), "v2")
    assert known(writer) == ("v1", 1, MONDAY)
