"""The nightly checks: what they decide of plain values, and what they find where layers disagree, on real parts."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest

from infra.testing import parts
from infra.testing.fixtures import url_of
from leandata import serving
from leandata.clock import days
from leandata.database import connect
from leandata.datasets import dataset
from leandata.lake import Lake
from leandata.serving import Check, Freshness, Sales
from leandata.settings import DatabaseAddress, Settings
from leandata.tables import schema
from leandata.warehouse import Warehouse
from pipelines import checks, collect, publish, transform

ORDERS, CUSTOMERS = dataset("shop.orders"), dataset("shop.customers")
FIRST, UNTIL = date(2025, 11, 1), date(2026, 1, 25)
NIGHT = datetime(2026, 1, 26, 3, 30, tzinfo=UTC)


# -- what is decided ---------------------------------------------------------------------------------------------------


def published(until: date) -> Freshness:
    return Freshness(dataset="sales.daily_sales", version="v1", rows=1, data_until=until, published_at=NIGHT)


@pytest.mark.parametrize(("late", "status"), [(0, "ok"), (1, "failed"), (30, "failed"), (-1, "ok")])
def test_a_mart_is_fresh_while_its_last_day_ended_less_than_promised_ago(late: int, status: str) -> None:
    found = checks.freshness(dataset("sales.daily_sales"), published(UNTIL - timedelta(days=late)), now=NIGHT)
    assert found[0] == status


def test_the_promise_is_kept_to_the_second() -> None:
    contract = dataset("sales.daily_sales")
    limit = datetime(2026, 1, 26, tzinfo=UTC) + contract.freshness
    assert checks.freshness(contract, published(UNTIL), now=limit)[0] == "ok"
    late = checks.freshness(contract, published(UNTIL), now=limit + timedelta(seconds=1))
    assert late == ("failed", "knows of days until 2026-01-25, promised is an age of at most 27.0 h, it is 27.0 h")


def test_what_was_never_published_is_waited_for_and_does_not_fail() -> None:
    assert checks.freshness(dataset("sales.cohorts"), None, now=NIGHT) == ("waiting", "not published yet")


def sales(day: date, orders: int) -> Sales:
    return Sales(period=day, revenue=Decimal(orders), orders=orders, customers=1, new_customers=0, units=1)


def history(*orders: int, others: int = 500) -> list[Sales]:
    """Orders on the weekday of UNTIL, the last one on UNTIL; every other day has `others`."""
    found = dict.fromkeys(days(UNTIL - timedelta(weeks=len(orders) - 1), UNTIL), others)
    found |= {UNTIL - timedelta(weeks=len(orders) - 1 - back): count for back, count in enumerate(orders)}
    return [sales(day, count) for day, count in found.items()]


@pytest.mark.parametrize(("count", "status"), [(100, "ok"), (104, "ok"), (90, "failed"), (0, "failed"), (120, "failed")])  # fmt: skip
def test_a_day_is_judged_by_its_own_weekday_only(count: int, status: str) -> None:
    # Median 100, deviations 0, 1, 1, 2 twice over: MAD 1, so the limit of 3.5 lies 5.19 away.
    usual = (99, 101, 98, 100, 102, 100, 99, 101)
    assert checks.volume(history(*usual, count), day=UNTIL)[0] == status


def test_one_wild_day_before_does_not_hide_an_unusual_one() -> None:
    assert checks.volume(history(99, 101, 98, 9_000, 102, 100, 99, 101, 0), day=UNTIL) == (
        "failed", "0 orders on Sunday, 2026-01-25; modified z-score -45.2, limit 3.5",
    )  # fmt: skip


def test_only_the_last_twelve_weeks_are_the_usual() -> None:
    recent = (99, 101, 98, 100, 102, 100, 99, 101, 99, 101, 100, 100)
    assert checks.volume(history(*[9_000] * 20, *recent, 100), day=UNTIL)[0] == "ok"


@pytest.mark.parametrize("usual", [(), (1, 2, 3, 4, 5, 6, 7), (5,) * 12])
def test_a_day_with_little_to_compare_it_with_is_not_judged(usual: tuple[int, ...]) -> None:
    status, detail = checks.volume(history(*usual, 50), day=UNTIL)
    assert status == "waiting"
    assert detail == "50 orders on Sunday, 2026-01-25; too little is known of Sundays to judge"


def test_a_day_that_is_missing_has_no_orders() -> None:
    assert checks.volume(history(99, 101, 98, 100, 102, 100, 99, 101, 100)[:-1], day=UNTIL)[0] == "failed"


OPEN = (99, 101, 98, 100, 102, 100, 99, 101)


def test_a_day_without_orders_is_usual_where_a_quarter_of_its_weekdays_had_none() -> None:
    # eight open Sundays and three closed ones
    assert checks.volume(history(*OPEN, 0, 0, 0, 0), day=UNTIL) == (
        "ok", "0 orders on Sunday, 2026-01-25, as on 3 of the 11 Sundays before",
    )  # fmt: skip
    assert checks.volume(history(*OPEN, 0, 0, 0), day=UNTIL)[0] == "failed", "two of ten are no quarter"


def test_closed_days_do_not_change_what_an_open_day_is_held_against() -> None:
    assert checks.volume(history(*OPEN, 0, 0, 0, 100), day=UNTIL)[0] == "ok"
    assert checks.volume(history(*OPEN, 0, 0, 0, 50), day=UNTIL)[0] == "failed"
    assert checks.volume(history(*OPEN[:7], 0, 0, 0, 0, 100), day=UNTIL)[0] == "waiting", "seven open days only"


def test_a_day_that_has_no_row_at_all_is_a_closed_one() -> None:
    known = [one for one in history(*OPEN, 0, 0, 0, 0) if one.orders]
    assert checks.volume(known, day=UNTIL)[0] == "ok"


def test_layers_agree_to_the_cent_and_the_order() -> None:
    right = checks.Total(revenue=Decimal("10.00"), orders=2)
    for wrong in (checks.Total(revenue=Decimal("10.01"), orders=2), checks.Total(revenue=Decimal("10.00"), orders=3)):
        status, detail = checks.totals({"RAW": right, "MARTS": right, "serving": wrong})
        assert status == "failed"
        assert detail.startswith("RAW has $10.00 in 2 orders, but serving has $10.0")
    assert checks.totals({"RAW": right, "MARTS": right}) == ("ok", "RAW has $10.00 in 2 orders, as every layer")


def test_failures_are_told_in_one_line() -> None:
    found = [
        Check(dataset=f"sales.{name}", check="keys", status="failed", detail="twice", checked_at=NIGHT) for name in "ab"
    ]
    assert checks.told(found) == "sales.a keys: twice; sales.b keys: twice"


# -- on real parts -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class Layers:
    """A lake, a warehouse and a serving database that agree."""

    settings: Settings
    serving: DatabaseAddress

    def look(self, *, now: datetime = NIGHT) -> tuple[dict[tuple[str, str], Check], list[str]]:
        """What the checks find, by dataset and check, and the new failures."""
        found, new = checks.run(self.settings, now=now)
        with connect(self.serving) as connection:
            assert serving.checks(connection) == sorted(found, key=lambda one: (one.dataset, one.check))
        return {(one.dataset, one.check): one for one in found}, [f"{one.dataset} {one.check}" for one in new]

    def warehouse(self, *statements: str) -> None:
        with Warehouse.connect(self.settings.warehouse) as warehouse:
            for statement in statements:
                warehouse.execute(statement)


def slices() -> dict[date | None, pa.Table]:
    """Three or four orders a day, one customer each."""
    names = [column.name for column in ORDERS.columns]
    rows = {
        day: [(number + 1, day, 1, Decimal("9.99")) for number in range(3 + day.toordinal() // 7 % 2)]
        for day in days(FIRST, UNTIL)
    }
    return {
        day: pa.Table.from_pylist([dict(zip(names, row, strict=True)) for row in found], schema=schema(ORDERS))
        for day, found in rows.items()
    }


@pytest.fixture(scope="module")
def layers(postgres_server: parts.Postgres, tmp_path_factory: pytest.TempPathFactory) -> Generator[Layers]:
    folder: Path = tmp_path_factory.mktemp("layers")
    zones = {zone: f"file://{folder / 'lake' / zone}" for zone in ("raw", "curated", "models")}
    for zone in zones:
        (folder / "lake" / zone).mkdir(parents=True)
    owner = postgres_server.database("checked_serving", owner="checked_writer")
    with parts.warehouse(folder, zones=zones) as standin:
        values = {f"LEANDATA_LAKE_{zone.upper()}": url for zone, url in zones.items()}
        values |= {"LEANDATA_WAREHOUSE": standin.url, "LEANDATA_SERVING": url_of(owner)}
        found = Layers(settings=Settings.load(values), serving=owner)
        before, new = found.look()
        assert {one.status for one in before.values()} == {"waiting"}, "nothing can have failed before anything was"
        assert new == []
        lake = Lake(found.settings.lake.raw)
        lake.publish(ORDERS, slices(), run="first")
        people = [{"customer_id": number, "created_on": FIRST} for number in range(1, 5)]
        lake.publish(CUSTOMERS, {None: pa.Table.from_pylist(people, schema=schema(CUSTOMERS))}, run="first")
        collect.load(found.settings)
        transform.build(found.settings, folder=folder / "dbt")
        publish.publish(found.settings, version="v1")
        yield found


@pytest.mark.integration
def test_layers_that_agree_pass_every_check(layers: Layers) -> None:
    found, new = layers.look()
    assert new == []
    assert {key: one.detail for key, one in found.items() if one.status == "failed"} == {}
    marts = {name for name in publish.MARTS if name in checks._SUMS}
    assert {name for name, check in found if check == "totals"} == marts
    assert {found[name, check].status for name in marts for check in ("freshness", "keys", "totals")} == {"ok"}
    orders = sum(table.num_rows for table in slices().values())
    said = f"RAW has ${Decimal('9.99') * orders:,.2f} in {orders:,} orders, as every layer"
    assert {one.detail for (_, check), one in found.items() if check == "totals"} == {said}
    assert found["sales.daily_sales", "volume"].status == "ok"
    assert found["shop.orders", "keys"].status == "ok"
    with connect(layers.serving) as connection:
        counted = [one for one in serving.volumes(connection) if one.dataset == "shop.orders"]
    assert [one.day for one in counted] == days(UNTIL - timedelta(days=27), UNTIL)
    by_day = {day: table.num_rows for day, table in slices().items()}
    assert [one.rows for one in counted] == [by_day[one.day] for one in counted]
    assert counted[-1].usual == Decimal("3.5"), "three and four orders by turns"
    assert found["features.customer_features", "freshness"].status == "waiting"


@pytest.mark.integration
def test_a_row_that_stands_twice_is_told_once_and_again_only_after_it_was_mended(layers: Layers) -> None:
    doubled = f"INSERT INTO MARTS.SALES.CUSTOMER_DAYS SELECT * FROM MARTS.SALES.CUSTOMER_DAYS WHERE day = '{UNTIL}' AND customer_id = 1"  # fmt: skip
    layers.warehouse("CREATE TABLE MARTS.SALES.KEPT AS SELECT DISTINCT * FROM MARTS.SALES.CUSTOMER_DAYS")
    try:
        for _ in range(2):
            layers.warehouse(doubled)
            found, new = layers.look()
            assert new == ["sales.customer_days keys", "sales.customer_days totals"]
            assert found["sales.customer_days", "keys"].detail == "1 keys (customer_id, day) stand more than once"
            assert layers.look()[1] == [], "the owner knows"
            layers.warehouse(
                "DELETE FROM MARTS.SALES.CUSTOMER_DAYS",
                "INSERT INTO MARTS.SALES.CUSTOMER_DAYS SELECT * FROM MARTS.SALES.KEPT",
            )
            assert {one.status for one in layers.look()[0].values()} == {"ok", "waiting"}
    finally:
        layers.warehouse("DROP TABLE MARTS.SALES.KEPT")


@pytest.mark.integration
def test_a_cent_that_differs_in_what_is_served_is_found(layers: Layers) -> None:
    change = "UPDATE serving.weekly_sales__v1 SET revenue = revenue + %s WHERE week = '2026-01-05'"
    with connect(layers.serving, autocommit=True) as connection:
        connection.execute(change, [Decimal("0.01")])
        try:
            found, new = layers.look()
        finally:
            connection.execute(change, [Decimal("-0.01")])
    assert new == ["sales.weekly_sales totals"]
    assert "but serving has $" in found["sales.weekly_sales", "totals"].detail
    assert layers.look()[1] == []


@pytest.mark.integration
def test_marts_that_nobody_renewed_are_old_after_a_night(layers: Layers) -> None:
    _, new = layers.look(now=NIGHT + timedelta(days=1))
    assert new == [f"{name} freshness" for name in sorted(publish.MARTS)]
    assert layers.look()[1] == []


@pytest.mark.integration
def test_a_mart_that_is_lost_fails_its_own_checks_and_no_other(layers: Layers) -> None:
    layers.warehouse("ALTER TABLE MARTS.SALES.COHORTS RENAME TO MARTS.SALES.LOST")
    try:
        found, new = layers.look()
    finally:
        layers.warehouse("ALTER TABLE MARTS.SALES.LOST RENAME TO MARTS.SALES.COHORTS")
    assert new == ["sales.cohorts keys", "sales.cohorts totals"]
    assert found["sales.cohorts", "keys"].detail.startswith("cannot be read: ")
