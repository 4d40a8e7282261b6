"""Customers, segments and cohorts, read from a real serving database."""

from __future__ import annotations

from collections.abc import Generator
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from infra.testing import parts
from leandata import serving
from leandata.database import Connection, connect
from leandata.datasets import dataset
from leandata.tables import schema

pytestmark = pytest.mark.integration
DAY = date(2026, 11, 16)
SEGMENTS = {1: "champions", 2: "lost", 12: "lost", 21: "new", 120: "champions"}


def put(connection: Connection, name: str, rows: list[dict[str, Any]]) -> None:
    contract = dataset(name)
    table = pa.Table.from_pylist(rows, schema=schema(contract))
    serving.publish(connection, contract, table, version="v1", data_until=DAY)


@pytest.fixture(scope="module")
def empty(postgres_server: parts.Postgres) -> Generator[Connection]:
    with connect(postgres_server.database("no_customers", owner="no_writer")) as connection:
        yield connection


@pytest.fixture(scope="module")
def writer(postgres_server: parts.Postgres) -> Generator[Connection]:
    with connect(postgres_server.database("some_customers", owner="some_writer")) as connection:
        put(connection, "sales.customers", [
            {"customer_id": one, "first_order_on": DAY - timedelta(days=one), "last_order_on": DAY, "orders": 2, "units": 3,
             "revenue": Decimal(one) + Decimal("0.05")}
            for one in SEGMENTS
        ])  # fmt: skip
        put(connection, "sales.segments", [
            {"customer_id": one, "as_of": DAY, "recency_days": one % 4, "frequency": 2,
             "monetary": Decimal(one) + Decimal("0.05"), "recency_score": 5, "frequency_score": 4, "monetary_score": 3,
             "segment": segment}
            for one, segment in SEGMENTS.items()
        ])  # fmt: skip
        put(connection, "sales.customer_days", [
            {"customer_id": one, "day": DAY - timedelta(days=back), "orders": 1, "units": 1, "revenue": Decimal("0.10") * back}
            for one in (1, 2) for back in range(one + 1)
        ])  # fmt: skip
        put(connection, "sales.cohorts", [
            {"cohort": date(2026, 10, 1), "month": month, "customers": 4 - month, "cohort_customers": 4, "orders": 5,
             "revenue": Decimal("7.25")}
            for month in (1, 0)
        ])  # fmt: skip
        connection.commit()
        yield connection


def numbers(found: list[serving.Customer]) -> list[int]:
    return [one.customer_id for one in found]


def test_before_the_first_publication_nobody_is_there(empty: Connection) -> None:
    assert serving.customers(empty) == []
    assert serving.customer(empty, 1) is None
    assert serving.customer_days(empty, 1) == []
    assert serving.segments(empty) == []
    assert serving.cohorts(empty) == []


def test_pages_follow_one_another_and_hold_everybody_once(writer: Connection) -> None:
    first = serving.customers(writer, limit=2)
    second = serving.customers(writer, after=first[-1].customer_id, limit=2)
    third = serving.customers(writer, after=second[-1].customer_id, limit=2)
    assert [numbers(page) for page in (first, second, third)] == [[1, 2], [12, 21], [120]]


def test_customers_are_found_by_the_beginning_of_their_number_and_by_segment(writer: Connection) -> None:
    assert numbers(serving.customers(writer, starts="12")) == [12, 120]
    assert numbers(serving.customers(writer, segment="lost")) == [2, 12]
    assert numbers(serving.customers(writer, starts="1", segment="champions")) == [1, 120]
    assert serving.customers(writer, starts="'; DROP") == []


def test_a_customer_is_told_to_the_cent_with_scores(writer: Connection) -> None:
    found = serving.customer(writer, 120)
    assert found is not None
    assert (found.revenue, found.segment, found.recency_score) == (Decimal("120.05"), "champions", 5)
    assert found.first_order_on == DAY - timedelta(days=120)
    assert serving.customer(writer, 3) is None


def test_a_customer_s_days_are_in_their_order(writer: Connection) -> None:
    found = serving.customer_days(writer, 2)
    assert [one.day for one in found] == [DAY - timedelta(days=back) for back in (2, 1, 0)]
    assert [one.revenue for one in found] == [Decimal("0.20"), Decimal("0.10"), Decimal("0.00")]


def test_segments_add_up_their_customers(writer: Connection) -> None:
    found = {one.segment: one for one in serving.segments(writer)}
    assert list(found) == ["champions", "lost", "new"]
    assert found["lost"].customers == 2
    assert found["lost"].revenue == Decimal("14.10")
    assert found["lost"].recency_days == Decimal("1.0")
    assert sum(one.customers for one in found.values()) == len(SEGMENTS)


def test_cohorts_are_in_the_order_of_their_months(writer: Connection) -> None:
    assert [(one.month, one.customers) for one in serving.cohorts(writer)] == [(0, 4), (1, 3)]


def test_events_are_read_by_their_days(writer: Connection) -> None:
    assert serving.daily_events(writer) == []
    put(writer, "sales.daily_events", [
        {"day": DAY - timedelta(days=back), "type": name, "events": 5, "customers": 3, "converted": back}
        for back in (0, 1) for name in ("page_view", "add_to_cart")
    ])  # fmt: skip
    found = serving.daily_events(writer, since=DAY)
    assert [(one.type, one.converted) for one in found] == [("add_to_cart", 0), ("page_view", 0)]
    assert len(serving.daily_events(writer, until=DAY)) == 4
