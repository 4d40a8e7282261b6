"""The dbt models against plain Python, every dbt test against broken data, and what is published of them."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable, Generator
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pyarrow as pa
import pytest

from infra.testing import parts
from infra.testing.fixtures import url_of
from leandata import serving
from leandata.clock import Week, days
from leandata.database import connect
from leandata.datasets import dataset
from leandata.errors import ContractError, DatabaseError, LakeError, WarehouseError
from leandata.lake import Lake
from leandata.settings import DatabaseAddress, Settings
from leandata.tables import schema
from leandata.warehouse import Warehouse
from pipelines import collect, publish, running_dbt, transform

pytestmark = pytest.mark.integration
ORDERS, CUSTOMERS = dataset("shop.orders"), dataset("shop.customers")
FIRST, UNTIL = date(2025, 12, 17), date(2026, 1, 25)
Order = tuple[int, date, int, Decimal]


def some_orders(seed: int = 7) -> list[Order]:
    """Orders over New Year: some twice, some for nothing, none in the week from 5 January, none on the last days."""
    draw = random.Random(seed)
    open_days = [day for day in days(FIRST, date(2026, 1, 20)) if not date(2026, 1, 5) <= day <= date(2026, 1, 11)]
    found = [
        (draw.randint(1, 25), draw.choice(open_days), draw.randint(1, 5), Decimal(draw.randint(0, 20_000)) / 100)
        for _ in range(150)
    ]
    late = (26, date(2026, 1, 15), 2, Decimal("7.70"))
    return [(1, FIRST, 1, Decimal("0.00")), late, *found, *draw.sample(found, 10)]


SOLD = some_orders()


@dataclass(frozen=True, kw_only=True, slots=True)
class Small:
    """A warehouse of a test file's own, with a lake before it and a serving database behind it."""

    settings: Settings
    serving: DatabaseAddress
    folder: Path
    dbt: running_dbt.RunningDbt

    def fill(self, orders: list[Order], *, run: str) -> None:
        """Bring the orders and their customers through the lake into RAW."""
        lake = Lake(self.settings.lake.raw)
        names = [column.name for column in ORDERS.columns]
        slices: dict[date | None, pa.Table] = {
            day: pa.Table.from_pylist(
                [dict(zip(names, order, strict=True)) for order in orders if order[1] == day], schema=schema(ORDERS)
            )
            for day in days(FIRST, UNTIL)
        }
        lake.publish(ORDERS, slices, run=run)
        rows = [{"customer_id": number, "created_on": FIRST} for number in sorted({order[0] for order in orders})]
        lake.publish(CUSTOMERS, {None: pa.Table.from_pylist(rows, schema=schema(CUSTOMERS))}, run=run)
        collect.load(self.settings)

    def say(self, *statements: str) -> None:
        with Warehouse.connect(self.settings.warehouse) as warehouse:
            for statement in statements:
                warehouse.execute(statement)

    def mart(self, name: str) -> list[dict[str, Any]]:
        with Warehouse.connect(self.settings.warehouse) as warehouse:
            return warehouse.table(dataset(name)).to_pylist()

    def build(self) -> dict[str, int]:
        return transform.build(self.settings, folder=self.folder / "dbt", full=True, dbt=self.dbt)

    def publish(self, *names: str, version: str) -> dict[str, int]:
        return publish.publish(self.settings, names or publish.MARTS, version=version, full=True)

    def results(self) -> dict[str, str]:
        return results(self.folder / "dbt")


def results(folder: Path) -> dict[str, str]:
    """What dbt said of each test, by the test's name."""
    found = json.loads((folder / "target" / "run_results.json").read_text())["results"]
    tests = [one for one in found if one["unique_id"].startswith("test.")]
    return {one["unique_id"].split(".")[2]: one["status"] for one in tests}


@pytest.fixture(scope="module")
def small(postgres_server: parts.Postgres, tmp_path_factory: pytest.TempPathFactory) -> Generator[Small]:
    folder = tmp_path_factory.mktemp("small")
    zones = {zone: f"file://{folder / 'lake' / zone}" for zone in ("raw", "curated", "models")}
    for zone in zones:
        (folder / "lake" / zone).mkdir(parents=True)
    owner = postgres_server.database("small_serving", owner="small_writer")
    with parts.warehouse(folder, zones=zones) as standin, running_dbt.RunningDbt(folder / "dbt") as dbt:
        values = {f"LEANDATA_LAKE_{zone.upper()}": url for zone, url in zones.items()}
        values |= {"LEANDATA_WAREHOUSE": standin.url, "LEANDATA_SERVING": url_of(owner)}
        found = Small(settings=Settings.load(values), serving=owner, folder=folder, dbt=dbt)
        with pytest.raises(LakeError, match="no orders were collected yet"):
            found.build()
        found.fill(SOLD, run="first")
        found.build()
        yield found


# -- the marts ---------------------------------------------------------------------------------------------------------


def by_hand(start_of: Callable[[date], date], periods: list[date], name: str) -> list[dict[str, Any]]:
    """The sales of each period by plain Python."""
    first: dict[int, date] = {}
    for customer, day, _, _ in SOLD:
        first[customer] = min(day, first.get(customer, day))
    rows: list[dict[str, Any]] = []
    for period in periods:
        inside = [order for order in SOLD if start_of(order[1]) == period]
        buyers = {order[0] for order in inside}
        new = {customer for customer in buyers if start_of(first[customer]) == period}
        rows.append(
            {
                name: period, "revenue": sum((order[3] for order in inside), Decimal("0.00")), "orders": len(inside),
                "customers": len(buyers), "new_customers": len(new), "units": sum(order[2] for order in inside),
            }
        )  # fmt: skip
    return rows


def test_daily_sales_are_what_plain_python_counts_on_every_day_until_the_last_collected(small: Small) -> None:
    expected = by_hand(lambda day: day, days(FIRST, UNTIL), "day")
    assert small.mart("sales.daily_sales") == expected
    assert [row["orders"] for row in expected[-5:]] == [0, 0, 0, 0, 0]


def test_weekly_sales_are_what_plain_python_counts_over_new_year_and_through_a_week_of_nothing(small: Small) -> None:
    weeks = sorted({Week.of(day).start for day in days(FIRST, UNTIL)})
    found = small.mart("sales.weekly_sales")
    assert found == by_hand(lambda day: Week.of(day).start, weeks, "week")
    assert [Week(row["week"]).label for row in found][2:4] == ["2026-W01", "2026-W02"]
    quiet = next(row for row in found if row["week"] == date(2026, 1, 5))
    assert list(quiet.values()) == [date(2026, 1, 5), Decimal("0.00"), 0, 0, 0, 0]


def test_customers_are_what_plain_python_counts(small: Small) -> None:
    expected: list[dict[str, Any]] = []
    for customer in sorted({order[0] for order in SOLD}):
        own = [order for order in SOLD if order[0] == customer]
        expected.append(
            {
                "customer_id": customer, "first_order_on": min(order[1] for order in own),
                "last_order_on": max(order[1] for order in own), "orders": len(own),
                "units": sum(order[2] for order in own), "revenue": sum((order[3] for order in own), Decimal(0)),
            }
        )  # fmt: skip
    assert small.mart("sales.customers") == expected


def test_customer_days_are_what_plain_python_counts(small: Small) -> None:
    expected: list[dict[str, Any]] = []
    for customer, day in sorted({(order[0], order[1]) for order in SOLD}):
        own = [order for order in SOLD if order[:2] == (customer, day)]
        expected.append(
            {
                "customer_id": customer, "day": day, "orders": len(own), "units": sum(order[2] for order in own),
                "revenue": sum((order[3] for order in own), Decimal(0)),
            }
        )  # fmt: skip
    assert small.mart("sales.customer_days") == expected


def quintiles(values: dict[int, Any]) -> dict[int, int]:
    """1 to 5: a fifth of all customers lies below each step; equal values have equal scores."""
    return {
        who: 5 * sum(other < value for other in values.values()) // len(values) + 1 for who, value in values.items()
    }


def segment_of(recency: int, frequency: int, orders: int) -> str:
    if frequency >= 4:
        return "champions" if recency >= 4 else "loyal" if recency == 3 else "at_risk"
    if recency >= 4 and orders == 1:
        return "new"
    return "promising" if recency >= 3 else "hibernating" if recency == 2 else "lost"


def test_segments_are_what_plain_python_scores(small: Small) -> None:
    own = {customer: [order for order in SOLD if order[0] == customer] for customer in {order[0] for order in SOLD}}
    last = {customer: max(order[1] for order in orders) for customer, orders in own.items()}
    paid = {customer: sum((order[3] for order in orders), Decimal(0)) for customer, orders in own.items()}
    often = {customer: len(orders) for customer, orders in own.items()}
    recency, frequency, monetary = quintiles(last), quintiles(often), quintiles(paid)
    assert small.mart("sales.segments") == [
        {
            "customer_id": one, "as_of": UNTIL, "recency_days": (UNTIL - last[one]).days, "frequency": often[one],
            "monetary": paid[one], "recency_score": recency[one], "frequency_score": frequency[one],
            "monetary_score": monetary[one], "segment": segment_of(recency[one], frequency[one], often[one]),
        }
        for one in sorted(own)
    ]  # fmt: skip
    assert {row["recency_score"] for row in small.mart("sales.segments")} == {1, 2, 3, 4, 5}


def test_cohorts_are_followed_through_every_month_be_it_without_orders(small: Small) -> None:
    first = {customer: min(order[1] for order in SOLD if order[0] == customer) for customer, *_ in SOLD}
    months = [date(2025, 12, 1), date(2026, 1, 1)]
    expected: list[dict[str, Any]] = []
    for cohort in months:
        members = {customer for customer, day in first.items() if day.replace(day=1) == cohort}
        for month in (month for month in months if members and month >= cohort):
            orders = [order for order in SOLD if order[0] in members and order[1].replace(day=1) == month]
            expected.append(
                {
                    "cohort": cohort, "month": months.index(month) - months.index(cohort),
                    "customers": len({order[0] for order in orders}), "cohort_customers": len(members),
                    "orders": len(orders), "revenue": sum((order[3] for order in orders), Decimal("0.00")),
                }
            )  # fmt: skip
    assert small.mart("sales.cohorts") == expected
    assert len(expected) == 3


def test_events_are_counted_by_day_and_type_and_their_customers_by_who_ordered_soon_after(small: Small) -> None:
    events = dataset("shop.events")
    day, customer = date(2025, 12, 20), 26  # who orders on 15 January alone
    happened = [
        (day, None),
        (day, customer),
        (date(2026, 1, 8), customer),
        (date(2026, 1, 8), customer),
        (date(2026, 1, 16), customer),
    ]
    rows = [
        {"event_id": f"e{number}", "type": "page_view", "occurred_on": on, "occurred_at": f"{on}T10:00:00.000000Z",
         "customer_id": who, "payload": "{}"}
        for number, (on, who) in enumerate(happened)
    ]  # fmt: skip
    Lake(small.settings.lake.raw).publish(events, {UNTIL: pa.Table.from_pylist(rows, schema=schema(events))}, run="e")
    collect.load(small.settings, ["shop.events"])
    small.build()
    assert small.mart("sales.daily_events") == [
        {"day": day, "type": "page_view", "events": 2, "customers": 1, "converted": 0},
        {"day": date(2026, 1, 8), "type": "page_view", "events": 2, "customers": 1, "converted": 1},
        {"day": date(2026, 1, 16), "type": "page_view", "events": 1, "customers": 1, "converted": 0},
    ]


def test_identical_orders_are_numbered_and_none_is_lost(small: Small) -> None:
    with Warehouse.connect(small.settings.warehouse) as warehouse:
        rows = warehouse.query("SELECT order_key, occurrence FROM STAGING.SHOP.STG_ORDERS")
    assert len({row["order_key"] for row in rows}) == len(rows) == len(SOLD)
    expected = Counter(number for times in Counter(SOLD).values() for number in range(1, times + 1))
    assert Counter(int(row["occurrence"]) for row in rows) == expected


def test_a_second_build_makes_the_same_marts(small: Small) -> None:
    names = publish.MARTS
    before = [small.mart(name) for name in names]
    counted = small.build()
    assert [small.mart(name) for name in names] == before
    assert counted["model"] == 10
    assert counted["test"] == len(small.results())


# -- each test of dbt can fail -----------------------------------------------------------------------------------------

FIGURES = "CAST(x.n AS NUMBER(14,2)) AS revenue, x.n AS orders, x.n AS customers, x.n AS new_customers, x.n AS units"
TWICE_AND_NONE = "(SELECT id, n FROM (VALUES (999, -1), (999, -1), (NULL, NULL)) AS v (id, n)) AS x"
DAY = "CASE WHEN x.id IS NULL THEN NULL ELSE CAST('2020-01-06' AS DATE) END"
BROKEN = [
    (
        f"CREATE TABLE RAW.SHOP.ORDERS AS SELECT x.id AS customer_id, {DAY} AS ordered_on, 1 AS quantity,"
        f" CAST(x.n AS NUMBER(12,2)) AS amount_usd FROM {TWICE_AND_NONE}"
    ),
    f"CREATE TABLE RAW.SHOP.CUSTOMERS AS SELECT x.id AS customer_id, {DAY} AS created_on FROM {TWICE_AND_NONE}",
    (
        f"CREATE TABLE STAGING.SHOP.STG_ORDERS AS SELECT CAST(x.id AS VARCHAR) AS order_key,"
        f" CAST(x.n AS NUMBER(12,2)) AS amount_usd FROM {TWICE_AND_NONE}"
    ),
    f"CREATE TABLE STAGING.SHOP.STG_CUSTOMERS AS SELECT x.id + 1 AS customer_id FROM {TWICE_AND_NONE}",
    f"CREATE TABLE STAGING.SHOP.STG_DAYS AS SELECT {DAY} AS day FROM {TWICE_AND_NONE}",
    (
        "CREATE TABLE RAW.SHOP.EVENTS AS SELECT CAST(x.id AS VARCHAR) AS event_id, CAST(x.id AS VARCHAR) AS type,"
        f" {DAY} AS occurred_on FROM {TWICE_AND_NONE}"
    ),
    (
        f"CREATE TABLE MARTS.SALES.DAILY_EVENTS AS SELECT {DAY} AS day, CAST(x.id AS VARCHAR) AS type, x.n AS events,"
        f" x.n AS converted FROM {TWICE_AND_NONE}"
    ),
    f"CREATE TABLE MARTS.SALES.DAILY_SALES AS SELECT {DAY} AS day, {FIGURES} FROM {TWICE_AND_NONE}",
    f"CREATE TABLE MARTS.SALES.WEEKLY_SALES AS SELECT {DAY} AS week, {FIGURES} FROM {TWICE_AND_NONE}",
    f"CREATE TABLE MARTS.SALES.CUSTOMERS AS SELECT x.id AS customer_id, {FIGURES} FROM {TWICE_AND_NONE}",
    f"CREATE TABLE MARTS.SALES.CUSTOMER_DAYS AS SELECT x.id AS customer_id, {DAY} AS day, {FIGURES} FROM {TWICE_AND_NONE}",
    (
        "CREATE TABLE MARTS.SALES.SEGMENTS AS SELECT x.id AS customer_id, x.n AS recency_days, x.n AS frequency,"
        " CAST(x.n AS NUMBER(14,2)) AS monetary, CASE WHEN x.id IS NULL THEN NULL ELSE 'strange' END AS segment"
        f" FROM {TWICE_AND_NONE}"
    ),
    (
        f"CREATE TABLE MARTS.SALES.COHORTS AS SELECT {DAY} AS cohort, x.n AS month, x.n AS cohort_customers, {FIGURES}"
        f" FROM {TWICE_AND_NONE}"
    ),
]


def test_every_test_passes_on_good_data_and_fails_in_a_warehouse_of_broken_data(small: Small, tmp_path: Path) -> None:
    zones = {zone: f"file://{tmp_path / zone}" for zone in ("raw", "curated", "models")}
    with parts.warehouse(tmp_path, zones=zones) as standin:
        with Warehouse.connect(standin.address) as warehouse:
            for statement in BROKEN:
                warehouse.execute(statement)
        with running_dbt.RunningDbt(tmp_path) as dbt:
            answer = dbt.run("test", address=standin.address, until=UNTIL.isoformat(), project=transform.PROJECT)
    small.build()
    good, broken = small.results(), results(tmp_path)
    assert not answer.fine
    assert set(good.values()) == {"pass"}
    assert set(broken) == set(good)
    assert [name for name, status in sorted(broken.items()) if status != "fail"] == []


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("UPDATE RAW.SHOP.ORDERS SET amount_usd = -0.01 WHERE _row = 0", "test not_negative_stg_orders_amount_usd"),
        ("DELETE FROM RAW.SHOP.CUSTOMERS WHERE customer_id = 1", "test relationships_customers_customer_id"),
        (
            "UPDATE RAW.SHOP.ORDERS SET ordered_on = '2026-02-01' WHERE _row = 0",
            "test (totals_are_the_same|not_negative_segments_recency_days)",
        ),
    ],
)
def test_data_that_breaks_a_test_stops_the_build_with_the_test_s_name(
    small: Small, statement: str, said: str
) -> None:  # fmt: skip
    small.say(statement)
    try:
        with pytest.raises(ContractError, match=said):
            small.build()
    finally:
        small.say("DROP TABLE RAW.SHOP.ORDERS", "DROP TABLE RAW.SHOP.CUSTOMERS")
        small.fill(SOLD, run="first")
    assert small.build()["model"] == 10


# -- publishing --------------------------------------------------------------------------------------------------------


def freshness(small: Small) -> dict[str, tuple[str, int, date]]:
    with connect(small.serving) as connection:
        return {found.dataset: (found.version, found.rows, found.data_until) for found in serving.freshness(connection)}


def test_all_marts_are_published_with_their_version_and_the_last_collected_day(small: Small) -> None:
    rows = small.publish(version="v1")
    assert list(rows) == sorted(publish.MARTS)
    assert rows["sales.daily_sales"] == len(days(FIRST, UNTIL))
    assert freshness(small) == {name: ("v1", count, UNTIL) for name, count in rows.items()}
    with connect(small.serving) as connection:
        served = serving.weekly_sales(connection)
    assert [found.revenue for found in served] == [row["revenue"] for row in small.mart("sales.weekly_sales")]


def test_marts_are_published_by_name_and_one_alone_leaves_the_others(small: Small) -> None:
    small.publish(version="v2")
    rows = small.publish("sales.weekly_sales", version="v3")
    assert list(rows) == ["sales.weekly_sales"]
    versions = {name: found[0] for name, found in freshness(small).items()}
    assert versions == {**dict.fromkeys(publish.MARTS, "v2"), "sales.weekly_sales": "v3"}


def test_a_mart_that_is_not_there_leaves_what_is_served_of_it(small: Small) -> None:
    small.publish(version="v4")
    small.say("ALTER TABLE MARTS.SALES.DAILY_SALES RENAME TO MARTS.SALES.AWAY")
    try:
        with pytest.raises(WarehouseError, match=r"(?i)daily_sales"):
            small.publish(version="v5")
    finally:
        small.say("ALTER TABLE MARTS.SALES.AWAY RENAME TO MARTS.SALES.DAILY_SALES")
    before = [name for name in publish.MARTS if name < "sales.daily_sales"]
    versions = {name: found[0] for name, found in freshness(small).items()}
    assert versions == {**dict.fromkeys(publish.MARTS, "v4"), **dict.fromkeys(before, "v5")}
    with connect(small.serving) as connection:
        assert len(serving.daily_sales(connection)) == len(days(FIRST, UNTIL))


def test_a_mart_whose_key_is_not_unique_is_not_served(small: Small) -> None:
    small.publish(version="v6")
    twice = "INSERT INTO MARTS.SALES.WEEKLY_SALES SELECT * FROM MARTS.SALES.WEEKLY_SALES WHERE week = '2026-01-05'"
    small.say(twice)
    try:
        with pytest.raises(psycopg.errors.UniqueViolation):
            small.publish("sales.weekly_sales", version="v7")
    finally:
        small.build()
    assert freshness(small)["sales.weekly_sales"][0] == "v6"


def test_a_version_that_cannot_name_a_table_publishes_nothing(small: Small) -> None:
    before = freshness(small)
    with pytest.raises(DatabaseError, match="cannot name a version"):
        small.publish(version="V-1; DROP")
    assert freshness(small) == before


def test_a_new_day_without_orders_moves_the_freshness_on(small: Small) -> None:
    later = UNTIL + timedelta(days=1)
    Lake(small.settings.lake.raw).publish(ORDERS, {later: schema(ORDERS).empty_table()}, run="later")
    collect.load(small.settings)
    small.build()
    small.publish(version="v8")
    assert {found[2] for found in freshness(small).values()} == {later}
    assert small.mart("sales.daily_sales")[-1]["day"] == later
