"""Collecting from a real shop into a real lake: by day, whole, repeatable; what is wrong is set apart with its reason."""

from __future__ import annotations

import json
from collections.abc import Generator
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from infra.testing import parts
from infra.testing.fixtures import url_of
from leandata.clock import days
from leandata.database import Connection, connect
from leandata.datasets import dataset
from leandata.errors import DatabaseError
from leandata.lake import Lake
from leandata.settings import DatabaseAddress, Settings
from pipelines import collect

pytestmark = pytest.mark.integration
TODAY = date(2026, 11, 24)
FIRST = TODAY - timedelta(days=200)
DAY = TODAY - timedelta(days=5)
NEXT = DAY + timedelta(days=1)
ORDERS, QUARANTINE, CUSTOMERS = dataset("shop.orders"), dataset("quarantine.rows"), dataset("shop.customers")
GOOD = (7, DAY, 2, Decimal("11.77"))


@dataclass(frozen=True, kw_only=True, slots=True)
class Shop:
    """A shop's database of a test's own, the lake it is collected into, and the settings that lead to both."""

    connection: Connection
    settings: Settings

    @property
    def lake(self) -> Lake:
        return Lake(self.settings.lake.raw)

    def order(self, *rows: tuple[Any, ...]) -> None:
        """Rows for the table of orders."""
        with self.connection.cursor() as cursor:
            cursor.executemany("INSERT INTO orders VALUES (%s, %s, %s, %s)", rows)

    def say(self, statement: Any) -> None:
        self.connection.execute(statement)

    def collect(self, *wanted: date, run: str, strays: bool = False) -> int:
        return collect.collect(self.settings, collect.Chunk(days=wanted or (DAY,), strays=strays), run=run)

    def rows(self, day: date = DAY) -> list[tuple[Any, ...]]:
        """The published orders of a day, as the newest manifest has them."""
        table = self.lake.read(self.lake.latest(ORDERS)[day], ORDERS)
        return [tuple(row.values()) for row in table.select([c.name for c in ORDERS.columns]).to_pylist()]

    def set_apart(self) -> dict[date, list[tuple[str, Any]]]:
        """The quarantine: reason and row of each bad one, by the day it is kept under."""
        latest = self.lake.latest(QUARANTINE)
        tables = {day: self.lake.read(manifest, QUARANTINE) for day, manifest in latest.items() if day}
        return {
            day: [(row["reason"], json.loads(row["row_json"])) for row in table.to_pylist()]
            for day, table in tables.items()
        }


@pytest.fixture(scope="module")
def addresses(postgres_server: parts.Postgres) -> tuple[DatabaseAddress, DatabaseAddress]:
    """The owner of an empty shop, and the replica's reader."""
    owner = postgres_server.database("small_shop", owner="small_shop_owner")
    reader = postgres_server.reader("small_replica", database="small_shop", schema="public", owner="small_shop_owner")
    return owner, reader


@pytest.fixture
def shop(addresses: tuple[DatabaseAddress, DatabaseAddress], tmp_path: Path) -> Generator[Shop]:
    owner, reader = addresses
    values = {f"LEANDATA_LAKE_{zone}": f"file://{tmp_path / zone}" for zone in ("RAW", "CURATED", "MODELS")}
    settings = Settings.load({"LEANDATA_TODAY": TODAY.isoformat(), "LEANDATA_SHOP": url_of(reader), **values})
    with connect(owner, autocommit=True) as connection:
        connection.execute("DROP TABLE IF EXISTS orders, customers")
        connection.execute("CREATE TABLE customers (customer_id bigint, created_on date)")
        connection.execute(
            "CREATE TABLE orders (customer_id bigint, ordered_on date, quantity integer, amount_usd numeric)"
        )
        yield Shop(connection=connection, settings=settings)


# -- by day, and all of history ----------------------------------------------------------------------------------------


def test_all_of_history_is_collected_in_a_few_parts_and_every_day_is_known(shop: Shop) -> None:
    wanted = days(FIRST, TODAY - timedelta(days=1))
    sold = [(1 + number % 9, day, 1, Decimal(number)) for number, day in enumerate(wanted) if number % 3 == 0]
    shop.order(*sold)
    chunks = collect.chunks(collect.source_days(shop.settings))
    rows = [collect.collect(shop.settings, chunk, run=f"r.p{part}") for part, chunk in enumerate(chunks)]
    assert len(chunks) == 3
    assert sum(rows) == len(sold)
    latest = shop.lake.latest(ORDERS)
    assert list(latest) == wanted
    assert {day for day, manifest in latest.items() if manifest.files} == {day for _, day, _, _ in sold}
    assert collect.source_days(shop.settings) == wanted[-7:]


def test_a_part_takes_its_own_days_only(shop: Shop) -> None:
    shop.order(GOOD, (8, NEXT, 1, Decimal(5)), (9, DAY - timedelta(days=1), 1, Decimal(6)))
    assert shop.collect(DAY, run="one") == 1
    assert list(shop.lake.latest(ORDERS)) == [DAY]


def test_days_that_are_no_neighbours_are_collected_and_nothing_between_them(shop: Shop) -> None:
    shop.order(GOOD, (8, NEXT, 1, Decimal(5)), (9, NEXT + timedelta(days=1), 1, Decimal(6)))
    assert shop.collect(DAY, NEXT + timedelta(days=1), run="one") == 2
    assert list(shop.lake.latest(ORDERS)) == [DAY, NEXT + timedelta(days=1)]


def test_the_same_day_twice_is_published_once_with_its_rows_as_they_are(shop: Shop) -> None:
    shop.order(GOOD, GOOD, (3, DAY, 1, Decimal("0.00")), (9, DAY, 9, Decimal("9999999999.99")))
    counts = [shop.collect(run="one"), shop.collect(run="two")]
    (one,) = shop.lake.manifests(ORDERS)
    assert counts == [4, 4]
    assert one.run == "one"
    assert shop.rows().count(GOOD) == 2, "identical rows are orders of their own"


def test_a_day_without_orders_is_published_once(shop: Shop) -> None:
    assert [shop.collect(run="one"), shop.collect(run="two")] == [0, 0]
    assert [manifest.run for manifest in shop.lake.manifests(ORDERS)] == ["one"]


def test_a_day_whose_file_is_lost_is_published_again(shop: Shop) -> None:
    shop.order(GOOD)
    shop.collect(run="one")
    (Path(shop.lake.url.removeprefix("file://")) / shop.lake.latest(ORDERS)[DAY].files[0]).unlink()
    shop.collect(run="two")
    assert shop.lake.latest(ORDERS)[DAY].run == "two"
    assert shop.rows() == [GOOD]


def test_a_day_that_is_again_as_it_once_was_is_published_again(shop: Shop) -> None:
    shop.order(GOOD)
    shop.collect(run="one")
    shop.say("UPDATE orders SET amount_usd = 1.00")
    shop.collect(run="two")
    shop.say(f"UPDATE orders SET amount_usd = {GOOD[3]}")
    shop.collect(run="three")
    assert shop.lake.latest(ORDERS)[DAY].run == "three"
    assert shop.rows() == [GOOD]


def test_a_try_that_is_repeated_under_its_name_changes_nothing(shop: Shop) -> None:
    shop.order(GOOD)
    shop.collect(run="same")
    shop.order((8, DAY, 1, Decimal(5)))
    assert shop.collect(run="same") == 1
    assert shop.rows() == [GOOD]
    assert shop.collect(run="other") == 2


def test_an_order_that_is_corrected_or_withdrawn_is_so_in_the_next_collection(shop: Shop) -> None:
    shop.order(GOOD)
    shop.collect(run="one")
    shop.say("UPDATE orders SET amount_usd = 1.00")
    shop.collect(run="two")
    assert shop.rows() == [(*GOOD[:3], Decimal("1.00"))]
    shop.say("DELETE FROM orders")
    assert shop.collect(run="three") == 0
    assert shop.rows() == []
    assert shop.lake.latest(ORDERS)[DAY].files == ()


def test_rows_lie_in_the_lake_in_one_order_however_the_shop_gives_them(shop: Shop) -> None:
    rows = [(9, DAY, 1, Decimal("1.00")), GOOD, (7, DAY, 1, Decimal("2.00")), (1, DAY, 3, Decimal("4.00"))]
    shop.order(*rows)
    shop.collect(run="one")
    assert shop.rows() == sorted(rows)


def test_a_range_that_was_asked_for_is_collected_again_whatever_is_known(shop: Shop) -> None:
    shop.order((1, FIRST, 1, Decimal(1)), GOOD)
    since = FIRST + timedelta(days=10)
    shop.collect(since, run="one")
    assert collect.source_days(shop.settings, since=since, until=since + timedelta(days=2)) == days(
        since, since + timedelta(days=2)
    )
    assert collect.source_days(shop.settings, until=FIRST + timedelta(days=1)) == days(FIRST, FIRST + timedelta(days=1))


def test_an_empty_shop_is_said_to_be_empty(shop: Shop) -> None:
    with pytest.raises(DatabaseError, match="the shop has no orders"):
        collect.source_days(shop.settings)


# -- what is wrong -----------------------------------------------------------------------------------------------------

BAD = [
    ((0, DAY, 1, Decimal(5)), "customer_id is below 1"),
    ((-7, DAY, 1, Decimal(5)), "customer_id is below 1"),
    ((None, DAY, 1, Decimal(5)), "customer_id is null"),
    ((7, DAY, 0, Decimal(5)), "quantity is below 1"),
    ((7, DAY, None, Decimal(5)), "quantity is null"),
    ((7, DAY, 1, Decimal("-0.01")), "amount_usd is below 0"),
    ((7, DAY, 1, None), "amount_usd is null"),
    ((7, DAY, 1, Decimal("1.005")), "amount_usd is no decimal(12,2)"),
    ((7, DAY, 1, Decimal("12345678901.00")), "amount_usd is no decimal(12,2)"),
    ((None, DAY, -1, None), "customer_id is null; quantity is below 1; amount_usd is null"),
]
STRAYS = [
    ((7, None, 1, Decimal(5)), "ordered_on is null"),
    ((7, TODAY + timedelta(days=1), 1, Decimal(5)), "ordered_on is in the future"),
    ((7, date(9999, 12, 31), 1, Decimal(5)), "ordered_on is in the future"),
]


def as_json(row: tuple[Any, ...]) -> dict[str, Any]:
    """How the row is kept: what JSON does not know as its text."""
    names = [column.name for column in ORDERS.columns]
    shown = [value if value is None or isinstance(value, int) else str(value) for value in row]
    return dict(zip(names, shown, strict=True))


@pytest.mark.parametrize(("row", "reason"), BAD, ids=[f"{row[0]}-{row[2]}-{row[3]}" for row, _ in BAD])
def test_a_bad_row_is_kept_with_its_reason_under_its_day_and_the_rest_is_published(
    shop: Shop, row: tuple[Any, ...], reason: str
) -> None:
    shop.order(GOOD, row)
    assert shop.collect(run="one") == 1
    assert shop.rows() == [GOOD]
    ((day, [(said, kept)]),) = shop.set_apart().items()
    assert (day, said) == (DAY, reason)
    amount, expected = kept.pop("amount_usd"), as_json(row)
    assert (amount is None) == (row[3] is None)
    assert amount is None or Decimal(amount) == row[3]
    assert kept == {name: value for name, value in expected.items() if name != "amount_usd"}


@pytest.mark.parametrize(("row", "reason"), STRAYS, ids=["null", "tomorrow", "year 9999"])
def test_a_row_of_no_day_is_kept_under_today_by_the_part_that_takes_strays(
    shop: Shop, row: tuple[Any, ...], reason: str
) -> None:
    shop.order(GOOD, row)
    assert shop.collect(run="one") == 1
    assert shop.set_apart() == {}
    assert shop.collect(run="two", strays=True) == 1
    assert shop.rows() == [GOOD]
    ((day, [(said, _)]),) = shop.set_apart().items()
    assert (day, said) == (TODAY, reason)


def test_all_kinds_of_bad_rows_at_once_cost_no_good_one(shop: Shop) -> None:
    good = [(number, DAY, 1, Decimal("1.00")) for number in range(1, 50)]
    shop.order(*[row for row, _ in BAD], *good, *[row for row, _ in STRAYS])
    assert shop.collect(run="one", strays=True) == len(good)
    assert shop.rows() == good
    apart = shop.set_apart()
    assert sorted(said for said, _ in apart[DAY]) == sorted(reason for _, reason in BAD)
    assert sorted(said for said, _ in apart[TODAY]) == sorted(reason for _, reason in STRAYS)


def test_bad_rows_of_two_days_lie_under_their_days(shop: Shop) -> None:
    shop.order((0, NEXT, 1, Decimal(1)), (0, DAY, 1, Decimal(2)), (0, DAY, 1, Decimal(3)))
    assert shop.collect(DAY, NEXT, run="one") == 0
    assert {day: len(found) for day, found in shop.set_apart().items()} == {DAY: 2, NEXT: 1}


def test_a_row_that_was_mended_leaves_the_quarantine_with_the_next_collection(shop: Shop) -> None:
    shop.order((7, DAY, 0, Decimal("11.77")))
    shop.collect(run="one")
    assert len(shop.set_apart()[DAY]) == 1
    shop.say("UPDATE orders SET quantity = 2")
    shop.collect(run="two")
    assert shop.rows() == [GOOD]
    assert shop.set_apart()[DAY] == []


def test_a_quarantine_of_another_day_is_left_alone(shop: Shop) -> None:
    shop.order((0, NEXT, 1, Decimal(1)))
    shop.collect(NEXT, run="one")
    shop.collect(DAY, run="two")
    assert shop.lake.latest(QUARANTINE)[NEXT].run == "one"


def test_bad_rows_collected_twice_are_kept_once(shop: Shop) -> None:
    shop.order((0, DAY, 1, Decimal(1)))
    shop.collect(run="one")
    shop.collect(run="two")
    assert len(shop.set_apart()[DAY]) == 1


def test_amounts_that_become_floats_are_set_apart_and_never_rounded(shop: Shop) -> None:
    shop.say("ALTER TABLE orders ALTER amount_usd TYPE double precision")
    shop.order(GOOD)
    assert shop.collect(run="one") == 0
    assert [said for said, _ in shop.set_apart()[DAY]] == ["amount_usd is a float, no decimal(12,2)"]


def test_wider_types_of_the_shop_are_no_reason_to_lose_a_row(shop: Shop) -> None:
    shop.say("ALTER TABLE orders ALTER quantity TYPE bigint, ALTER customer_id TYPE text")
    shop.order(("7", DAY, 2, Decimal("11.77")), ("x", DAY, 2**40, Decimal(1)))
    assert shop.collect(run="one") == 1
    assert shop.rows() == [GOOD]
    assert [said for said, _ in shop.set_apart()[DAY]] == ["customer_id is no bigint; quantity is no integer"]


# -- customers ---------------------------------------------------------------------------------------------------------


def test_customers_are_published_whole_each_time(shop: Shop) -> None:
    assert collect.collect_customers(shop.settings, run="none") == 0
    shop.say("INSERT INTO customers VALUES (2, '2026-01-02'), (1, '2026-01-01')")
    assert collect.collect_customers(shop.settings, run="two") == 2
    assert collect.collect_customers(shop.settings, run="same") == 2
    assert shop.lake.latest(CUSTOMERS)[None].run == "two"
    shop.say("DELETE FROM customers WHERE customer_id = 1")
    assert collect.collect_customers(shop.settings, run="one") == 1
    (manifest,) = shop.lake.latest(CUSTOMERS).values()
    table: pa.Table = shop.lake.read(manifest, CUSTOMERS)
    assert table.to_pylist() == [{"customer_id": 2, "created_on": date(2026, 1, 2), "_run": "one"}]
