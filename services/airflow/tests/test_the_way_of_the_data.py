"""The pipelines over real parts: the shop's orders reach the mail, and not a cent is lost."""

from __future__ import annotations

import csv
import threading
from collections import defaultdict
from datetime import date, timedelta
from decimal import Decimal
from email import message_from_bytes, policy
from pathlib import Path

import pytest

from infra.environment import ROOT
from infra.testing.fixtures import TODAY, Platform
from leandata import reports, serving
from leandata.clock import Week, last_complete_week
from leandata.database import connect
from leandata.datasets import dataset
from leandata.errors import ContractError, DatabaseError
from leandata.lake import Lake
from leandata.warehouse import Warehouse
from pipelines import collect, publish, transform, weekly_report

pytestmark = pytest.mark.integration

# The dates of the source, moved so that its last day (1998-06-30) falls into the last complete week before TODAY.
MOVED = last_complete_week(TODAY).start - Week.of(date(1998, 6, 30)).start


def source() -> list[tuple[int, date, int, Decimal]]:
    """The source by the standard library alone: an independent reading."""
    with (ROOT / "infra" / "standins" / "shop" / "cdnow.csv").open(newline="") as file:
        return [
            (
                int(r["customer_id"]),
                date.fromisoformat(r["order_date"]) + MOVED,
                int(r["quantity"]),
                Decimal(r["amount_usd"]),
            )
            for r in csv.DictReader(file)
        ]


def revenue_by_week() -> dict[date, Decimal]:
    weeks: dict[date, Decimal] = defaultdict(Decimal)
    for _, day, _, amount in source():
        weeks[day - timedelta(days=day.weekday())] += amount
    return weeks


@pytest.fixture(scope="module")
def loaded(platform: Platform) -> Platform:
    """All of history collected and loaded, transformed and published."""
    settings = platform.settings
    for part, chunk in enumerate(collect.chunks(collect.source_days(settings))):
        collect.collect(settings, chunk, run=collect.run_name("history", part=part))
    collect.collect_customers(settings, run="history")
    collect.load(settings)
    transform.build(settings, folder=platform.folder / "dbt")
    publish.publish(settings, version="history")
    return platform


def test_every_order_of_the_source_is_in_the_warehouse(loaded: Platform) -> None:
    with Warehouse.connect(loaded.settings.warehouse) as warehouse:
        found = warehouse.query("SELECT COUNT(*) AS n, SUM(amount_usd) AS revenue FROM RAW.SHOP.ORDERS")[0]
    assert found == {"n": 69_659, "revenue": sum(row[3] for row in source())}


def test_identical_rows_are_orders_of_their_own(loaded: Platform) -> None:
    rows = source()
    with Warehouse.connect(loaded.settings.warehouse) as warehouse:
        found = warehouse.query("SELECT COUNT(*) AS n FROM STAGING.SHOP.STG_ORDERS WHERE occurrence > 1")[0]["n"]
    assert int(found) == len(rows) - len(set(rows)) == 255


def test_weekly_revenue_is_the_same_in_source_mart_and_serving_to_the_cent(loaded: Platform) -> None:
    expected = revenue_by_week()
    with Warehouse.connect(loaded.settings.warehouse) as warehouse:
        mart = {row["week"]: row["revenue"] for row in warehouse.table(dataset("sales.weekly_sales")).to_pylist()}
    with connect(loaded.settings.serving) as connection:
        served = {sales.period: sales.revenue for sales in serving.weekly_sales(connection)}
    assert served == mart
    assert {week: revenue for week, revenue in served.items() if revenue} == expected


def test_every_day_until_yesterday_is_in_the_mart_be_it_without_orders(loaded: Platform) -> None:
    with connect(loaded.settings.serving) as connection:
        days = {sales.period: sales for sales in serving.daily_sales(connection)}
    assert max(days) == TODAY - timedelta(days=1)
    assert len(days) == (max(days) - min(days)).days + 1
    assert days[TODAY - timedelta(days=1)].revenue == Decimal("0.00")


def test_new_customers_add_up_to_all_customers(loaded: Platform) -> None:
    with connect(loaded.settings.serving) as connection:
        assert sum(sales.new_customers for sales in serving.weekly_sales(connection)) == 23_570
        assert sum(sales.new_customers for sales in serving.daily_sales(connection)) == 23_570


def test_a_second_collection_asks_only_for_the_last_seven_days(loaded: Platform) -> None:
    days = collect.source_days(loaded.settings)
    assert days == [TODAY - timedelta(days=back) for back in range(7, 0, -1)]


def test_what_is_loaded_is_not_loaded_again(loaded: Platform) -> None:
    assert collect.load(loaded.settings) == {"quarantine.rows": 0, "shop.customers": 0, "shop.orders": 0}


def test_a_late_order_ends_in_its_own_day(loaded: Platform) -> None:
    day = TODAY - timedelta(days=3)
    with connect(loaded.shop_owner) as shop:
        shop.execute("INSERT INTO orders VALUES (1, %s, 2, 19.99)", [day])
    try:
        chunk = collect.Chunk(days=(day,), strays=True)
        assert collect.collect(loaded.settings, chunk, run="late") == 1
        assert collect.load(loaded.settings)["shop.orders"] == 1
    finally:
        with connect(loaded.shop_owner) as shop:
            shop.execute("DELETE FROM orders WHERE amount_usd = 19.99 AND ordered_on = %s", [day])
        collect.collect(loaded.settings, chunk, run="late-again")
        collect.load(loaded.settings)
    with Warehouse.connect(loaded.settings.warehouse) as warehouse:
        assert warehouse.query(f"SELECT COUNT(*) AS n FROM RAW.SHOP.ORDERS WHERE _dt = '{day}'")[0]["n"] == 0


def figures_of(
    rows: list[tuple[int, date, int, Decimal]], first: date, last: date
) -> tuple[Decimal, int, int, int, int]:
    """Revenue, orders, customers, new customers and units of a span, counted from the orders themselves."""
    inside = [row for row in rows if first <= row[1] <= last]
    before = {row[0] for row in rows if row[1] < first}
    customers = {row[0] for row in inside}
    revenue = sum((row[3] for row in inside), Decimal("0.00"))
    return revenue, len(inside), len(customers), len(customers - before), sum(row[2] for row in inside)


def test_late_changed_and_deleted_orders_are_in_their_own_day_in_every_layer(loaded: Platform) -> None:
    settings = loaded.settings
    days = collect.source_days(settings)
    rows = source()
    changed, deleted = [row for row in rows if row[1] == days[0]][:2]
    late = (1, days[3], 3, Decimal("77.10"))
    expected = [row for row in rows if row not in (changed, deleted)]
    expected += [(*changed[:3], changed[3] + 5), late]
    place = "customer_id = %s AND ordered_on = %s AND quantity = %s AND amount_usd = %s"
    backup = [row for row in rows if row in (changed, deleted)]
    assert len(backup) == 2, "each is one order"

    def through(run: str) -> None:
        for part, chunk in enumerate(collect.chunks(collect.source_days(settings))):
            collect.collect(settings, chunk, run=collect.run_name(run, part=part))
        collect.load(settings)
        transform.build(settings, folder=loaded.folder / "dbt")
        publish.publish(settings, version=run.replace("-", "_"))

    try:
        with connect(loaded.shop_owner) as shop:
            shop.execute(f"UPDATE orders SET amount_usd = amount_usd + 5 WHERE {place}", changed)  # pyright: ignore
            shop.execute(f"DELETE FROM orders WHERE {place}", deleted)  # pyright: ignore
            shop.execute("INSERT INTO orders VALUES (%s, %s, %s, %s)", late)
        through("late-and-changed")
        lake, orders = Lake(settings.lake.raw), dataset("shop.orders")
        names = [column.name for column in orders.columns]
        with Warehouse.connect(settings.warehouse) as warehouse, connect(settings.serving) as connection:
            marts = {
                name: warehouse.table(dataset(name)).to_pylist() for name in ("sales.daily_sales", "sales.weekly_sales")
            }
            served = {one.period: one for one in serving.daily_sales(connection)}
            weeks = {one.period: one for one in serving.weekly_sales(connection)}
            raw = warehouse.query(f"SELECT {', '.join(names)} FROM RAW.SHOP.ORDERS WHERE _dt >= '{days[0]}'")
        for day in days:
            own = sorted(row for row in expected if row[1] == day)
            collected = lake.read(lake.latest(orders)[day], orders).select(names).to_pylist()
            assert sorted(tuple(row.values()) for row in collected) == own
            assert sorted(tuple(row[name] for name in names) for row in raw if row["ordered_on"] == day) == own
            figures = figures_of(expected, day, day)
            (mart,) = [row for row in marts["sales.daily_sales"] if row["day"] == day]
            assert tuple(mart[name] for name in ("revenue", "orders", "customers", "new_customers", "units")) == figures
            one = served[day]
            assert (one.revenue, one.orders, one.customers, one.new_customers, one.units) == figures
        for start in {Week.of(day).start for day in days if Week.of(day).end < TODAY}:
            figures = figures_of(expected, start, start + timedelta(days=6))
            (mart,) = [row for row in marts["sales.weekly_sales"] if row["week"] == start]
            assert tuple(mart[name] for name in ("revenue", "orders", "customers", "new_customers", "units")) == figures
            one = weeks[start]
            assert (one.revenue, one.orders, one.customers, one.new_customers, one.units) == figures
    finally:
        with connect(loaded.shop_owner) as shop:
            shop.execute(f"DELETE FROM orders WHERE {place}", late)  # pyright: ignore
            shop.execute(f"DELETE FROM orders WHERE {place}", (*changed[:3], changed[3] + 5))  # pyright: ignore
            for row in backup:
                shop.execute("INSERT INTO orders VALUES (%s, %s, %s, %s)", row)
        through("as-it-was")
    with connect(settings.serving) as connection:
        assert {one.period: one.revenue for one in serving.weekly_sales(connection) if one.revenue} == revenue_by_week()


def test_bad_rows_are_quarantined_with_their_reasons_and_the_rest_loads(loaded: Platform) -> None:
    day = TODAY - timedelta(days=2)
    bad = [(None, day, 1, 5), (7, day, 0, 5), (7, day, 1, -5), (7, None, 1, 5), (7, date(2031, 1, 1), 1, 5)]
    with connect(loaded.shop_owner) as shop:
        for row in [*bad, (8, day, 1, Decimal("1.23"))]:
            shop.execute("INSERT INTO orders VALUES (%s, %s, %s, %s)", row)
    chunk = collect.Chunk(days=(day,), strays=True)
    try:
        assert collect.collect(loaded.settings, chunk, run="bad") == 1
        collect.load(loaded.settings)
        with Warehouse.connect(loaded.settings.warehouse) as warehouse:
            rows = warehouse.query("SELECT reason FROM RAW.QUARANTINE.ROWS ORDER BY reason")
    finally:
        with connect(loaded.shop_owner) as shop:
            shop.execute("DELETE FROM orders WHERE ordered_on IS NULL OR ordered_on = %s OR ordered_on > now()", [day])
        collect.collect(loaded.settings, chunk, run="good-again")
        collect.load(loaded.settings)
    assert [row["reason"] for row in rows] == [
        "amount_usd is below 0",
        "customer_id is null",
        "ordered_on is in the future",
        "ordered_on is null",
        "quantity is below 1",
    ]


def test_two_loads_of_the_same_day_at_once_load_it_once(loaded: Platform) -> None:
    orders = dataset("shop.orders")
    lake = Lake(loaded.settings.lake.raw)
    day = date(2026, 11, 10)
    slices = {day: lake.latest(orders)[day]}
    problems: list[Exception] = []

    def load() -> None:
        try:
            with Warehouse.connect(loaded.settings.warehouse) as warehouse:
                warehouse.load(orders, slices, stage=collect.STAGE)
        except Exception as error:  # noqa: BLE001 - whatever it is, the test tells it
            problems.append(error)

    threads = [threading.Thread(target=load) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with Warehouse.connect(loaded.settings.warehouse) as warehouse:
        found = warehouse.query(f"SELECT COUNT(*) AS n FROM RAW.SHOP.ORDERS WHERE _dt = '{day}'")[0]["n"]
    assert problems == []
    assert int(found) == slices[day].rows > 0


def test_a_failed_data_test_stops_the_transformation_with_its_name(loaded: Platform) -> None:
    with Warehouse.connect(loaded.settings.warehouse) as warehouse:
        warehouse.execute(
            "INSERT INTO RAW.SHOP.CUSTOMERS (customer_id, created_on, _run) VALUES (1, '2026-01-01', 'x')"
        )
        try:
            with pytest.raises(ContractError, match=r"test .*unique.* failed"):
                transform.build(loaded.settings, folder=loaded.folder / "dbt")
        finally:
            warehouse.execute("DELETE FROM RAW.SHOP.CUSTOMERS WHERE _run = 'x'")


def test_the_report_is_mailed_once_with_the_week_s_figures(loaded: Platform) -> None:
    week = last_complete_week(TODAY)
    revenue = revenue_by_week()[week.start]
    before = set(Path(loaded.mail.folder).glob("*.eml"))
    first = weekly_report.mail_report(loaded.settings)
    assert first == f"the report of {week.label} was sent to management@leandata.example"
    assert weekly_report.mail_report(loaded.settings) == f"the report of {week.label} was sent before"
    new = sorted(set(Path(loaded.mail.folder).glob("*.eml")) - before)
    mails = [message_from_bytes(path.read_bytes(), policy=policy.default) for path in new]
    sent = [mail for mail in mails if f"{week.label}:" in str(mail["Subject"])]
    assert len(sent) == 1
    assert f"${revenue:,.2f}" in str(sent[0]["Subject"])
    text = sent[0].get_body(("plain",))
    assert text is not None
    assert f"${revenue:,.2f}" in text.get_content()
    assert "Dates were moved." in text.get_content()
    assert [part.get_content_type() for part in sent[0].walk()].count("image/png") == 2, "revenue by week, and cohorts"


def test_a_week_that_is_not_published_whole_is_not_reported(loaded: Platform) -> None:
    with pytest.raises(DatabaseError, match="the week 2026-W48 is not published whole yet"):
        weekly_report.report_of(loaded.settings, Week.parse("2026-W48"))


def test_a_report_that_could_not_be_sent_is_sent_by_the_next_try(loaded: Platform) -> None:
    week = Week.parse("2025-W40")
    with connect(loaded.settings.serving, autocommit=True) as ledger:
        assert reports.claim(ledger, week.start)
        assert not reports.claim(ledger, week.start), "two runs at once: one sends"
        reports.release(ledger, week.start)
        assert reports.claim(ledger, week.start)
        reports.confirm(ledger, week.start, message_id="<x>")
        assert reports.sent(ledger, week.start)
        assert not reports.claim(ledger, week.start)


def test_features_are_loaded_as_a_mart_and_published(loaded: Platform) -> None:
    from leandata.compute import InProcess, function

    raw = Lake(loaded.settings.lake.raw)
    files = [file for manifest in raw.latest(dataset("shop.orders")).values() for file in manifest.files]
    until = transform.collected_until(loaded.settings)
    build = function("tasks.features:build")
    table = build(InProcess(), lake_url=loaded.settings.lake.raw, files=files, as_of=until)
    name = "features.customer_features"
    rows = publish.load_features(loaded.settings, table, contract_name=name, as_of=until, run="f1", version="f1")
    assert rows == 23_570
    with Warehouse.connect(loaded.settings.warehouse) as warehouse:
        assert warehouse.table(dataset(name)).equals(table)


def test_the_shop_is_read_as_a_role_that_cannot_write(loaded: Platform) -> None:
    import psycopg

    with connect(loaded.settings.shop) as replica, pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        replica.execute("DELETE FROM orders")
