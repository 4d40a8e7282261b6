"""A backup of a real server, a real stand-in warehouse and a real lake, and what comes back of it."""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Generator
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest

from ci.backup import databases, sealing, servers
from ci.backup import warehouse as warehouses
from ci.backup.databases import Server
from ci.backup.manifest import PARTS, Manifest, demand_whole
from ci.backup.restoring import Outcome, Restore
from ci.backup.taking import Places, Taken, take
from infra.environment import ROOT
from infra.testing import parts
from leandata.database import connect
from leandata.datasets import dataset
from leandata.events import INSERT_SQL, SCHEMA_SQL
from leandata.lake import Lake
from leandata.settings import DatabaseAddress
from leandata.tables import schema
from leandata.warehouse import Warehouse

pytestmark = pytest.mark.integration
ORDERS = dataset("shop.orders")
DAYS = (date(2026, 11, 2), date(2026, 11, 3))
CENTS = ("10.01", "20.02", "0.07")


@dataclass(frozen=True, kw_only=True)
class World:
    """An environment without its services: places, the key of its backups, and the owner of its inbox."""

    places: Places
    key: Path
    recipient: str
    events: DatabaseAddress
    standin: parts.Warehouse
    to: Path

    def take(self) -> Taken:
        return take(
            self.places, environment="local", to=self.to, keep=3, recipient=self.recipient, commit="c0ffee",
            said=lambda _: None,
        )  # fmt: skip

    def restored(self, folder: Path, state: Path, *wanted: str) -> Outcome:
        """Restore into the state folder `state`, whose server and warehouse do not run."""
        manifest = Manifest.read(folder, environment="local")
        chosen = tuple(part for part in PARTS if part in (wanted or PARTS))
        demand_whole(manifest, folder, chosen)
        password = state / "secrets" / "postgres-password"
        server = Server(host="127.0.0.1", port=1, password_file=password)
        places = replace(self.places, state=state, server=server)
        work = Restore(
            folder=folder, manifest=manifest, parts=chosen, places=places, root=ROOT, key_file=self.key,
        )  # fmt: skip
        return work.run(work.unsealed(), said=lambda _: None)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Generator[World]:
    """Two databases, a warehouse with loaded, computed and hand-made rows and a view, a lake with two days."""
    state = tmp_path_factory.mktemp("backup") / "state"
    state.mkdir()
    zones = {zone: f"file://{state / 'lake' / zone}" for zone in ("raw", "curated", "models")}
    with parts.postgres(state) as postgres, parts.warehouse(state, zones=zones) as standin:
        events = postgres.database("events", owner="events_writer")
        serving = postgres.database("serving", owner="serving_writer")
        (state / "secrets").mkdir()
        shutil.copy(state / "superuser", state / "secrets" / "postgres-password")
        for role in ("events_writer", "serving_writer"):
            shutil.copy(state / f"role-{role}", state / "secrets" / f"database-{role.replace('_', '-')}")
        (state / "engine" / "backend" / ".pulumi" / "locks").mkdir(parents=True)
        (state / "engine" / "backend" / ".pulumi" / "locks" / "one.json").write_text("{}")
        (state / "engine" / "backend" / "stack.json").write_text('{"serial": 1}')
        (state / "engine" / "passphrase").write_text("open sesame")
        with connect(events) as connection:
            connection.execute(SCHEMA_SQL)
        with connect(serving) as connection:
            connection.execute("CREATE TABLE figures (day date, revenue numeric(14,2))")
            connection.execute("INSERT INTO figures SELECT '2026-11-02', n + 0.01 FROM generate_series(1, 100) AS n")
        accept(events)
        raw = Lake(zones["raw"])
        manifests = raw.publish(ORDERS, {day: orders(7) for day in DAYS}, run="first")
        (state / "lake" / "models").mkdir(exist_ok=True)
        (state / "lake" / "models" / "churn-1.bin").write_bytes(b"model" * 100)
        with Warehouse.connect(standin.address) as client:
            client.load(ORDERS, {found.day: found for found in manifests}, stage="RAW.LAKE.FILES")
            client.execute("CREATE TABLE MARTS.SALES.BUDGETS (WEEK DATE, USD NUMBER(14,2), WHO VARCHAR, SURE BOOLEAN)")
            for cents in CENTS:
                client.execute(f"INSERT INTO MARTS.SALES.BUDGETS VALUES ('2026-11-02', {cents}, 'Ann''s', TRUE)")
            client.execute("INSERT INTO MARTS.SALES.BUDGETS VALUES (NULL, NULL, NULL, NULL)")
            client.execute("CREATE TABLE STAGING.SHOP.NOTHING (A NUMBER(9,0) NOT NULL)")
            client.execute(
                "CREATE VIEW STAGING.SHOP.LARGE AS SELECT AMOUNT_USD FROM RAW.SHOP.ORDERS WHERE QUANTITY > 1"
            )
            client.execute("CREATE VIEW MARTS.SALES.A_LARGE AS SELECT SUM(AMOUNT_USD) AS S FROM STAGING.SHOP.LARGE")
        key = tmp_path_factory.mktemp("keys") / "backup.key"
        places = Places(
            state=state,
            server=Server(host="127.0.0.1", port=postgres.port, password_file=state / "secrets" / "postgres-password"),
            warehouse=standin.address,
        )
        to = tmp_path_factory.mktemp("backups")
        made = sealing.make_key(key)
        yield World(places=places, key=key, recipient=made, events=events, standin=standin, to=to)


def orders(count: int) -> pa.Table:
    """So many orders, of 1.01, 2.01, 3.01 ... US dollars."""
    rows = [
        {"customer_id": n, "ordered_on": DAYS[0], "quantity": n, "amount_usd": Decimal(n) + Decimal("0.01")}
        for n in range(1, count + 1)
    ]
    return pa.Table.from_pylist(rows, schema=schema(ORDERS))


def accept(events: DatabaseAddress) -> uuid.UUID:
    """An event that the API would have accepted."""
    event = uuid.uuid4()
    with connect(events) as connection:
        connection.execute(INSERT_SQL, [event, "page_view", "2026-11-02T10:00:00Z", 7, '{"page": "/"}'])
    return event


@pytest.fixture(scope="module")
def taken(world: World) -> Taken:
    return world.take()


def test_a_backup_has_every_part_and_totals_to_the_cent(taken: Taken) -> None:
    totals = {name: part.totals for name, part in taken.manifest.parts.items()}
    assert set(totals) == set(PARTS)
    assert totals["database"]["serving.public.figures"] == {"rows": 100, "sums": {"revenue": "5051.00"}}
    assert totals["database"]["events.events.inbox"]["rows"] == 1
    assert totals["warehouse"]["MARTS.SALES.BUDGETS"] == {"rows": 4, "sums": {"USD": "30.10"}}
    assert totals["warehouse"]["RAW.SHOP.ORDERS"] == {"rows": 14, "sums": {"AMOUNT_USD": "56.14"}}
    assert totals["lake"]["raw/shop.orders"] == {"rows": 14, "sums": {"amount_usd": "56.14"}}


def test_rows_that_the_lake_can_give_again_are_not_kept_twice(taken: Taken) -> None:
    objects = json.loads((taken.folder / "warehouse" / "objects.json").read_text())
    assert objects["tables"]["RAW.SHOP.ORDERS"]["replayed"] == [[str(day), "first"] for day in DAYS]
    assert [path.name for path in (taken.folder / "warehouse").glob("*.parquet")] == ["MARTS.SALES.BUDGETS.parquet"]


def test_no_secret_of_the_environment_can_be_read_in_a_backup(world: World, taken: Taken) -> None:
    secrets = [path.read_bytes().strip() for path in (world.places.state / "secrets").iterdir()]
    secrets.append(b"open sesame")
    text = b"".join(path.read_bytes() for path in taken.folder.rglob("*") if path.is_file())
    assert len(secrets) == 4
    assert not [secret for secret in secrets if secret in text]
    assert b"SCRAM-SHA-256" not in text


def test_the_next_backup_shares_what_did_not_change_in_the_lake(world: World, taken: Taken) -> None:
    files = [path for path in (taken.folder / "lake").rglob("*") if path.is_file()]
    again = world.take()
    assert again.linked == len(files) == 5
    shared = again.folder / files[0].relative_to(taken.folder)
    assert shared.stat().st_ino == files[0].stat().st_ino


def test_everything_comes_back_in_an_empty_place(world: World, taken: Taken, tmp_path: Path) -> None:
    state = tmp_path / "empty"
    outcome = world.restored(taken.folder, state)
    assert outcome.differences == []
    assert "made anew" in outcome.notes[0]
    assert "are lost" in outcome.events
    assert (state / "lake" / "models" / "churn-1.bin").read_bytes() == b"model" * 100
    assert (state / "secrets" / "postgres-password").stat().st_mode & 0o777 == 0o600
    password = state / "secrets" / "postgres-password"
    with servers.postgres(state / "postgres", password_file=password, log=tmp_path / "log") as server:
        own = DatabaseAddress(
            host="127.0.0.1", port=server.port, user="serving_writer", database="serving",
            password_file=state / "secrets" / "database-serving-writer",
        )  # fmt: skip
        with connect(own) as connection:
            connection.execute("INSERT INTO figures VALUES ('2026-11-03', 1.00)")
            assert connection.execute("SELECT sum(revenue) FROM figures").fetchone() == (Decimal("5052.00"),)
    with servers.warehouse(ROOT, state / "warehouse", log=tmp_path / "log") as client:
        assert client.query("SELECT S FROM MARTS.SALES.A_LARGE") == [{"s": Decimal("54.12")}]
        stages = {row["url"] for row in client.query("SHOW STAGES IN ACCOUNT")}
        assert stages == {f"file://{state}/lake/raw/", f"file://{state}/lake/curated/"}
        again = Lake(f"file://{state / 'lake' / 'raw'}").publish(ORDERS, {DAYS[0]: orders(1)}, run="later")
        client.load(ORDERS, {DAYS[0]: again[0]}, stage="RAW.LAKE.FILES")
        assert warehouses.totals(client)["RAW.SHOP.ORDERS"] == {"rows": 8, "sums": {"AMOUNT_USD": "29.08"}}


def test_events_accepted_since_are_kept_when_the_old_server_can_still_be_read(
    world: World, taken: Taken, tmp_path: Path
) -> None:
    state = tmp_path / "living"
    world.restored(taken.folder, state, "secrets", "database")
    password = state / "secrets" / "postgres-password"
    with servers.postgres(state / "postgres", password_file=password, log=tmp_path / "log") as server:
        late = DatabaseAddress(
            host="127.0.0.1", port=server.port, user="events_writer", database="events",
            password_file=state / "secrets" / "database-events-writer",
        )  # fmt: skip
        accepted = {accept(late) for _ in range(3)}
        with server.connect("serving") as connection:
            connection.execute("DROP TABLE figures")
    outcome = world.restored(taken.folder, state, "database")
    assert (outcome.differences, outcome.kept) == ([], 3)
    assert "3 were in the inbox and are kept, none is lost" in outcome.events
    with servers.postgres(state / "postgres", password_file=password, log=tmp_path / "log") as server:
        assert databases.totals(server, ["serving"])["serving.public.figures"]["rows"] == 100
        with server.connect("events") as connection:
            assert accepted < {found for (found,) in connection.execute("SELECT event_id FROM events.inbox")}


def test_a_lost_file_of_the_lake_comes_back_and_a_newer_one_stays(world: World, taken: Taken, tmp_path: Path) -> None:
    state = tmp_path / "state"
    world.restored(taken.folder, state, "lake")
    raw = Lake(f"file://{state / 'lake' / 'raw'}")
    raw.publish(ORDERS, {DAYS[1]: orders(2)}, run="second")
    lost, *damaged = sorted((state / "lake" / "raw" / "shop").rglob("first.parquet"))
    lost.unlink()
    damaged[0].write_bytes(b"")
    outcome = world.restored(taken.folder, state, "lake")
    assert outcome.differences == []
    assert outcome.notes == ["2 files of the lake are newer than the backup and are kept"]
    assert [raw.read(found, ORDERS).num_rows for found in raw.manifests(ORDERS)] == [7, 7, 2]


def test_totals_that_are_not_those_at_the_backup_are_named(world: World, taken: Taken, tmp_path: Path) -> None:
    folder = tmp_path / "tampered"
    shutil.copytree(taken.folder, folder)
    found = Manifest.read(folder, environment="local")
    record = found.parts["database"]
    totals = {**record.totals, "serving.public.figures": {"rows": 101, "sums": {"revenue": "5051.01"}}}
    replace(found, parts={**found.parts, "database": replace(record, totals=totals)}).write(folder)
    outcome = world.restored(folder, tmp_path / "state", "secrets", "database")
    assert outcome.differences == [
        "database serving.public.figures: 100 rows instead of 101",
        "database serving.public.figures: revenue adds up to 5051.00 instead of 5051.01",
    ]
