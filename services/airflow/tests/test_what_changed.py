"""Only what has changed is collected, built and published, and what comes of it is what building everything gives."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from io import BytesIO
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml

from infra.testing import parts
from infra.testing.fixtures import TODAY, made_zones, settings_of, url_of
from leandata import serving
from leandata.clock import days
from leandata.database import connect
from leandata.datasets import dataset
from leandata.errors import ContractError
from leandata.events import INSERT_SQL, SCHEMA_SQL
from leandata.lake import Lake
from leandata.settings import DatabaseAddress, Settings
from leandata.warehouse import Warehouse
from pipelines import built, collect, drain, publish, transform
from pipelines.running_dbt import RunningDbt

pytestmark = pytest.mark.integration
FIRST = TODAY - timedelta(days=70)
OF_DAYS = {"stg_days", "cohorts", "daily_sales", "weekly_sales", "segments"}
OF_ORDERS = {"shop.orders", "stg_orders", "customers", "customer_days", "daily_events", *OF_DAYS}
EVERYTHING = {*OF_ORDERS, "shop.customers", "shop.events", "stg_customers"}
_DIES = """
import json, os, pathlib, signal, sys
from leandata.settings import Settings
from pipelines import built, transform
said = json.loads(sys.argv[1])
if said["when"] == "before it is noted":
    built.note = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)
transform.build(Settings(values=said["values"]), folder=pathlib.Path(said["folder"]), project=pathlib.Path(said["project"]))
"""


@dataclass(kw_only=True, slots=True)
class World:
    """A small shop, and all that is behind it: inbox, lake, warehouse, serving database, and a dbt project of its own."""

    settings: Settings
    shop: DatabaseAddress
    events: DatabaseAddress
    folder: Path
    dbt: RunningDbt
    runs: int = 0

    @property
    def project(self) -> Path:
        return self.folder / "project"

    def collect(self) -> dict[str, int]:
        """The shop's days into the lake and the warehouse; the rows of what was loaded."""
        self.runs += 1
        for part, chunk in enumerate(collect.chunks(collect.source_days(self.settings))):
            collect.collect(self.settings, chunk, run=f"run{self.runs}.p{part}")
        collect.collect_customers(self.settings, run=f"run{self.runs}")
        return {name: rows for name, rows in collect.load(self.settings).items() if rows}

    def build(self, *, full: bool = False) -> dict[str, int]:
        return transform.build(self.settings, folder=self.folder / "dbt", project=self.project, full=full, dbt=self.dbt)

    def built(self) -> set[str]:
        """Build, and say what was built, by what dbt did and not by what was planned."""
        results = self.folder / "dbt" / "target" / "run_results.json"
        results.unlink(missing_ok=True)
        before = builds(self)
        self.build()
        after = builds(self)
        found = json.loads(results.read_text())["results"] if results.exists() else []
        models = {
            one["unique_id"].split(".")[2] for one in found if one["unique_id"].split(".")[0] in ("model", "seed")
        }
        noted = {built.short(name) for name, build in after.items() if build != before.get(name)}
        assert {name for name in noted if "." not in name} == models, "what is built is noted, and nothing else"
        return noted

    def publish(self, *, full: bool = False) -> set[str]:
        self.runs += 1
        done = publish.publish(self.settings, version=f"v{self.runs}", full=full)
        return {name.removeprefix("sales.") for name in done}

    def daily(self) -> tuple[set[str], set[str]]:
        """Everything from the shop to the serving database; what was built, and what was published."""
        self.collect()
        return self.built(), self.publish()

    def sell(self, *orders: tuple[int, date, int, Decimal]) -> None:
        with connect(self.shop) as shop:
            shop.cursor().executemany("INSERT INTO orders VALUES (%s, %s, %s, %s)", orders)

    def shop_says(self, statement: Any) -> None:
        with connect(self.shop) as shop:
            shop.execute(statement)

    def say(self, *statements: str) -> None:
        with Warehouse.connect(self.settings.warehouse) as warehouse:
            for statement in statements:
                warehouse.execute(statement)

    def marts(self) -> dict[str, list[dict[str, Any]]]:
        with Warehouse.connect(self.settings.warehouse) as warehouse:
            return {name: warehouse.table(dataset(name)).to_pylist() for name in publish.MARTS}

    def served(self) -> dict[str, tuple[serving.Freshness, bytes]]:
        """What is known of each publication, of which the API makes its tags, and the bytes of its export."""
        found: dict[str, tuple[serving.Freshness, bytes]] = {}
        with connect(self.settings.serving) as connection:
            for one in serving.freshness(connection):
                file = BytesIO()
                assert serving.read_file(connection, dataset(one.dataset), version=one.version, file=file)
                found[one.dataset.removeprefix("sales.")] = (one, file.getvalue())
        return found

    def versions(self) -> dict[str, str]:
        return {name: known.version for name, (known, _) in self.served().items()}

    def agrees(self) -> None:
        """The marts are what building everything gives, and what is served is what the marts hold."""
        marts = self.marts()
        self.build(full=True)
        assert self.marts() == marts
        assert self.publish() == set(), "what is served are the rows of the marts"


def builds(world: World) -> dict[str, str]:
    """By which build each node was built, as it is noted."""
    with Warehouse.connect(world.settings.warehouse) as warehouse:
        return {name: note.build for name, note in built.noted(warehouse).nodes.items()}


def orders_of_the_past() -> list[tuple[int, date, int, Decimal]]:
    """Two or three orders on each day until the day before yesterday, by 25 customers."""
    wanted = days(FIRST, TODAY - timedelta(days=2))
    return [
        (1 + (7 * number + turn * turn) % 25, day, 1 + number % 3, Decimal(100 + 37 * number + turn) / 100)
        for number, day in enumerate(wanted)
        for turn in range(2 + number % 2)
    ]


def _with_few_tests(project: Path) -> None:
    """Without those of the marts' columns, which are tested elsewhere: half of the time that dbt takes."""
    told = project / "models/marts/marts.yml"
    found = yaml.safe_load(told.read_text())
    for model in found["models"]:
        model.pop("data_tests", None)
        for column in model["columns"]:
            column.pop("data_tests", None)
    told.write_text(yaml.safe_dump(found))


@pytest.fixture(scope="module")
def world(postgres_server: parts.Postgres, tmp_path_factory: pytest.TempPathFactory) -> Generator[World]:
    folder = tmp_path_factory.mktemp("changed")
    zones = made_zones(folder)
    _with_few_tests(shutil.copytree(transform.PROJECT, folder / "project"))
    shop = postgres_server.database("changed_shop", owner="changed_shop_owner")
    events = postgres_server.database("changed_events", owner="changed_events_owner")
    served = postgres_server.database("changed_serving", owner="changed_writer")
    with connect(shop) as connection:
        connection.execute("CREATE TABLE customers (customer_id bigint, created_on date)")
        connection.execute("INSERT INTO customers SELECT n, '2026-01-01' FROM generate_series(1, 30) AS numbers (n)")
        connection.execute(
            "CREATE TABLE orders (customer_id bigint, ordered_on date, quantity integer, amount_usd numeric(12, 2))"
        )
    with parts.warehouse(folder, zones=zones) as standin, RunningDbt(folder / "dbt") as dbt:
        settings = settings_of(zones, shop=shop, serving=served, standin=standin, EVENTS=url_of(events))
        found = World(settings=settings, shop=shop, events=events, folder=folder, dbt=dbt)
        found.sell(*orders_of_the_past())
        assert found.daily() == (EVERYTHING, {name.removeprefix("sales.") for name in publish.MARTS})
        yield found


@pytest.fixture(autouse=True)
def settled(world: World) -> None:
    """Each test begins where everything is built and published."""
    world.collect()
    world.build()
    world.publish()


# -- what is new -------------------------------------------------------------------------------------------------------


def test_where_nothing_is_new_nothing_is_written_dbt_is_not_started_and_what_is_served_is_the_same(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    objects = sorted((world.folder / "lake").rglob("*"))
    before = world.served()
    log = (world.folder / "dbt" / "dbt.log").read_bytes()
    assert world.collect() == {}
    assert world.built() == set()
    assert world.publish() == set()
    assert world.served() == before
    assert sorted((world.folder / "lake").rglob("*")) == objects
    assert (world.folder / "dbt" / "dbt.log").read_bytes() == log
    assert "nothing has changed: 13 models and sources" in capsys.readouterr().out


def test_a_late_order_builds_what_is_made_of_orders_and_publishes_what_it_changed(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    before = world.served()
    world.sell((1, TODAY - timedelta(days=3), 2, Decimal("19.99")))
    assert list(world.collect()) == ["shop.orders"]
    assert world.built() == OF_ORDERS
    assert {"customer_days", "customers", "daily_sales", "weekly_sales"} <= world.publish()
    assert "shop.orders: it holds other rows" in capsys.readouterr().out
    assert world.served()["daily_events"] == before["daily_events"], "no event's customer is concerned"
    world.agrees()


def test_a_corrected_and_a_withdrawn_order_are_seen_and_undone_again(world: World) -> None:
    day = TODAY - timedelta(days=4)
    before = world.marts()
    with connect(world.shop) as shop:
        rows = shop.execute("SELECT * FROM orders WHERE ordered_on = %s", [day]).fetchall()
    world.shop_says(f"UPDATE orders SET amount_usd = amount_usd + 1 WHERE ordered_on = '{day}'")
    built_then, published = world.daily()
    assert built_then == OF_ORDERS
    assert {"customers", "daily_sales"} <= published
    world.shop_says(f"DELETE FROM orders WHERE ordered_on = '{day}'")
    world.sell(*rows)
    assert world.daily()[0] == OF_ORDERS, "RAW holds what it once held, of another run: nobody relies on that"
    assert world.marts() == before


def test_events_build_and_publish_only_the_mart_of_events(world: World) -> None:
    before = world.versions()
    with connect(world.events) as inbox:
        inbox.execute(SCHEMA_SQL)
        for number in range(5):
            inbox.execute(INSERT_SQL, [str(uuid.uuid4()), "page_view", datetime.now(UTC), 1 + number, json.dumps({})])
    drain.drain(world.settings, run=f"drain{world.runs}")
    assert world.built() == {"shop.events", "daily_events"}
    assert world.publish() == {"daily_events"}
    assert {name for name, version in world.versions().items() if version != before[name]} == {"daily_events"}


def test_a_new_day_without_orders_builds_what_depends_on_the_day_and_the_rest_counts_as_fresh(world: World) -> None:
    before = world.served()
    tomorrow = world.settings.today() + timedelta(days=1)
    world.settings = replace(world.settings, values={**world.settings.values, "TODAY": tomorrow.isoformat()})
    built_then, published = world.daily()
    assert built_then == OF_DAYS, "a view is made again with what reads it"
    assert published == {"daily_sales", "segments"}
    after = world.served()
    assert {known.data_until for known, _ in after.values()} == {tomorrow - timedelta(days=1)}
    for name in ("customers", "customer_days", "daily_events"):
        assert after[name][0] == replace(before[name][0], data_until=tomorrow - timedelta(days=1))
        assert after[name][1] == before[name][1]
    world.agrees()


# -- what is changed in the project ------------------------------------------------------------------------------------


def change(world: World, path: str, edit: Callable[[str], str]) -> None:
    file = world.project / path
    file.parent.mkdir(exist_ok=True)
    file.write_text(edit(file.read_text() if file.exists() else ""))


def test_a_model_whose_sql_is_another_is_built_with_what_reads_it(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    change(world, "models/marts/customer_days.sql", lambda text: f"{text}-- said otherwise\n")
    assert world.built() == OF_ORDERS - {"shop.orders"}
    assert "customer_days: its code has changed" in capsys.readouterr().out
    assert world.publish() == set(), "the rows are the same"
    change(
        world, "models/marts/segments.sql", lambda text: text.replace("orders as frequency", "orders + 1 as frequency")
    )
    with pytest.raises(ContractError, match="totals_are_the_same"):
        world.build()
    change(
        world, "models/marts/segments.sql", lambda text: text.replace("orders + 1 as frequency", "orders as frequency")
    )
    assert world.built() == {"segments"}, "as it was before, but the table is not"


def test_a_macro_a_test_and_a_readme_count_for_those_that_use_them(world: World) -> None:
    change(world, "macros/quintile.sql", lambda text: text.replace("/ all_customers + 1", "/ all_customers  + 1"))
    change(world, "README.md", lambda _: "How to work here.\n")
    assert world.built() == {"segments"}
    change(world, "tests/sales_are_fresh.sql", lambda text: f"{text}-- to the day\n")
    assert world.built() == {"daily_sales", "stg_days"}
    change(world, "README.md", lambda _: "Where to begin.\n")
    assert world.built() == set()
    log = (world.folder / "dbt" / "dbt.log").read_bytes()
    assert world.built() == set()
    assert (world.folder / "dbt" / "dbt.log").read_bytes() == log, "dbt has said what the project is"


def test_a_seed_is_built_when_its_rows_are_others(world: World) -> None:
    change(world, "seeds/rates.csv", lambda _: "currency,rate\nEUR,2\n")
    change(world, "models/marts/rates_shown.sql", lambda _: "select currency, rate from {{ ref('rates') }}\n")
    assert world.built() == {"rates", "rates_shown"}
    change(world, "seeds/rates.csv", lambda _: "currency,rate\nEUR,3\n")
    assert world.built() == {"rates", "rates_shown"}
    with Warehouse.connect(world.settings.warehouse) as warehouse:
        assert [int(row["rate"]) for row in warehouse.query("SELECT rate FROM MARTS.SALES.RATES_SHOWN")] == [3]
    for path in ("seeds/rates.csv", "models/marts/rates_shown.sql"):
        (world.project / path).unlink()
    assert world.built() == set()
    assert "rates" not in {built.short(name) for name in builds(world)}


def test_a_model_of_the_moment_is_built_each_time(world: World) -> None:
    change(world, "models/marts/clock.sql", lambda _: "select current_timestamp() as now_at\n")
    try:
        assert [world.built(), world.built()] == [{"clock"}, {"clock"}]
    finally:
        (world.project / "models/marts/clock.sql").unlink()


# -- what is wrong in the warehouse ------------------------------------------------------------------------------------


def test_what_is_gone_or_edited_in_the_warehouse_is_built_again(world: World) -> None:
    before = world.marts()
    world.say(
        "DROP TABLE MARTS.SALES.WEEKLY_SALES",
        "UPDATE MARTS.SALES.SEGMENTS SET frequency = 99 WHERE customer_id = 1",
        "DROP VIEW STAGING.SHOP.STG_CUSTOMERS",
    )
    assert world.publish() == set(), "only what was built and tested is published"
    assert world.built() == {"weekly_sales", "stg_days", "segments", "stg_customers"}
    assert world.marts() == before


def test_rows_of_raw_that_were_edited_by_hand_are_seen_and_a_failed_test_notes_nothing(world: World) -> None:
    before = world.served()
    world.say("UPDATE RAW.SHOP.ORDERS SET amount_usd = -amount_usd WHERE _row = 0")
    with pytest.raises(ContractError, match="not_negative"):
        world.build()
    assert world.publish() == set(), "what failed its tests is not published"
    assert world.served() == before
    world.say("UPDATE RAW.SHOP.ORDERS SET amount_usd = -amount_usd WHERE _row = 0")
    assert world.built() == OF_ORDERS, "nothing was noted, though RAW is as it was"
    world.publish()
    assert {name: file for name, (_, file) in world.served().items()} == {
        name: file for name, (_, file) in before.items()
    }


def dying(world: World, when: str) -> subprocess.Popen[bytes]:
    said = {
        "when": when,
        "values": dict(world.settings.values),
        "folder": str(world.folder / "dbt"),
        "project": str(world.project),
    }
    return subprocess.Popen([sys.executable, "-c", _DIES, json.dumps(said)], stdout=subprocess.DEVNULL)


def test_a_build_that_is_killed_before_it_is_noted_is_built_again(world: World) -> None:
    world.sell((2, TODAY - timedelta(days=5), 1, Decimal("5.55")))
    world.collect()
    assert dying(world, "before it is noted").wait(300) == -9
    assert world.built() == OF_ORDERS
    world.publish()


def test_dbt_ends_with_whoever_started_it_and_the_next_build_begins_anew(world: World) -> None:
    world.sell((3, TODAY - timedelta(days=5), 1, Decimal("6.66")))
    world.collect()
    process = dying(world, "while dbt runs")
    children: list[psutil.Process] = []
    while not children and process.poll() is None:
        children = psutil.Process(process.pid).children(recursive=True)
        time.sleep(0.05)
    process.kill()
    process.wait(60)
    assert children
    assert psutil.wait_procs(children, timeout=60)[1] == []
    assert world.built() == OF_ORDERS
    world.publish()


def test_of_two_builds_at_once_the_second_finds_everything_built(world: World) -> None:
    world.sell((4, TODAY - timedelta(days=5), 1, Decimal("7.77")))
    world.collect()
    with ThreadPoolExecutor() as pool:
        done = list(pool.map(lambda _: world.build(), range(2)))
    assert sorted(map(bool, done)) == [False, True]
    world.publish()


# -- what is published -------------------------------------------------------------------------------------------------


def test_a_publication_that_failed_is_made_good_by_the_next_one_though_nothing_is_built(world: World) -> None:
    world.sell((5, TODAY - timedelta(days=5), 1, Decimal("8.88")))
    world.collect()
    world.build()
    assert world.built() == set()
    assert "daily_sales" in world.publish()


def test_what_is_collected_and_not_built_yet_makes_nothing_fresh(world: World) -> None:
    before = world.served()
    today = world.settings.today()
    tomorrow = replace(
        world.settings, values={**world.settings.values, "TODAY": (today + timedelta(days=1)).isoformat()}
    )
    collect.collect(tomorrow, collect.Chunk(days=(today,)), run="ahead")
    assert world.publish() == set()
    assert world.served() == before


def test_a_lost_slice_is_collected_again_and_changes_no_figure(world: World) -> None:
    lake, day = Lake(world.settings.lake.raw), TODAY - timedelta(days=6)
    before = world.marts()
    (Path(lake.url.removeprefix("file://")) / lake.latest(dataset("shop.orders"))[day].files[0]).unlink()
    assert list(world.collect()) == ["shop.orders"]
    assert world.built() == OF_ORDERS
    assert world.publish() == set()
    assert world.marts() == before


# -- everything --------------------------------------------------------------------------------------------------------


def test_all_is_built_and_published_where_that_is_asked_for(world: World) -> None:
    """After all that the tests above did; nothing of it shows in the marts."""
    before, marts = world.served(), world.marts()
    assert world.build(full=True)["model"] == 10
    assert world.marts() == marts, "what was built bit by bit is what building everything gives"
    assert world.publish() == set(), "the rows are the same"
    assert world.publish(full=True) == {name.removeprefix("sales.") for name in publish.MARTS}
    after = world.served()
    assert {name: file for name, (_, file) in after.items()} == {name: file for name, (_, file) in before.items()}
    assert not {known.version for known, _ in after.values()} & {known.version for known, _ in before.values()}
