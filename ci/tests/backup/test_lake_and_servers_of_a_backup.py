"""A lake is copied so that no manifest lacks its files, shared where nothing changed; servers that fail say why."""

from __future__ import annotations

import socket
import stat
from collections.abc import Generator
from contextlib import contextmanager
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ci.backup import databases, lake, servers
from ci.backup.databases import Inbox, Server
from ci.backup.manifest import BackupError, digest
from leandata.datasets import dataset
from leandata.lake import Lake
from leandata.tables import schema

ORDERS = dataset("shop.orders")
DAYS = (date(2026, 11, 2), date(2026, 11, 3))


def orders(*cents: str) -> pa.Table:
    rows = [
        {"customer_id": n, "ordered_on": DAYS[0], "quantity": 1, "amount_usd": Decimal(text)}
        for n, text in enumerate(cents)
    ]
    return pa.Table.from_pylist(rows, schema=schema(ORDERS))


def lay(place: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_bytes(data)
    return place


# -- the lake ----------------------------------------------------------------------------------------------------------


def test_an_unchanged_file_is_shared_with_the_backup_before_and_a_changed_one_is_not(tmp_path: Path) -> None:
    source = lay(tmp_path / "lake", {"raw/a": b"same", "raw/b": b"one", "raw/c": b"long"})
    first = lake.take(source, tmp_path / "first", earlier=None)
    assert (first.linked, first.written) == (0, 11)
    lay(source, {"raw/b": b"two", "raw/c": b"longer", "raw/d": b"new"})
    second = lake.take(source, tmp_path / "second", earlier=tmp_path / "first")
    assert (second.linked, second.written) == (1, 12)
    assert (tmp_path / "second/lake/raw/a").samefile(tmp_path / "first/lake/raw/a")
    assert (tmp_path / "first/lake/raw/b").read_bytes() == b"one"
    assert (tmp_path / "second/lake/raw/b").read_bytes() == b"two"


def test_a_damaged_file_of_the_backup_before_is_not_taken_over(tmp_path: Path) -> None:
    source = lay(tmp_path / "lake", {"raw/a": b"same"})
    lake.take(source, tmp_path / "first", earlier=None)
    (tmp_path / "first/lake/raw/a").write_bytes(b"sama")
    second = lake.take(source, tmp_path / "second", earlier=tmp_path / "first")
    assert (second.linked, second.written) == (0, 4)
    assert [one.sha256 for one in second.pieces] == [digest(source / "raw/a")]


def test_a_backup_is_never_a_link_to_the_lake_itself(tmp_path: Path) -> None:
    source = lay(tmp_path / "lake", {"raw/a": b"text"})
    lake.take(source, tmp_path / "backup", earlier=None)
    assert not (tmp_path / "backup/lake/raw/a").samefile(source / "raw/a")


def test_files_being_written_are_left_out_by_their_ending_only(tmp_path: Path) -> None:
    source = lay(tmp_path / "lake", dict.fromkeys(("raw/a#1", "raw/b#12", "raw/c#", "raw/#1d", "raw/e#1x"), b""))
    assert [one.path for one in lake.take(source, tmp_path / "backup", earlier=None).pieces] == [
        "lake/raw/#1d",
        "lake/raw/c#",
        "lake/raw/e#1x",
    ]


@pytest.mark.parametrize("there", [True, False])
def test_a_lake_without_files_is_an_empty_part(tmp_path: Path, there: bool) -> None:
    if there:
        (tmp_path / "lake" / "raw").mkdir(parents=True)
    found = lake.take(tmp_path / "lake", tmp_path / "backup", earlier=tmp_path / "none")
    assert (found.pieces, found.linked, found.written) == ((), 0, 0)
    assert lake.totals(tmp_path / "lake") == {}
    assert lake.put_back(tmp_path / "backup", tmp_path / "lake", pieces=()) == lake.PutBack(restored=0, kept=0)


NAMES = st.sampled_from(["raw/a", "raw/b", "raw/_manifest/a", "curated/c", "models/_manifest/d"])
FILES = st.dictionaries(NAMES, st.binary(max_size=3), max_size=5)


@given(before=FILES, after=FILES)
@settings(max_examples=30)
def test_every_file_comes_back_as_it_was_and_newer_ones_stay(
    tmp_path_factory: pytest.TempPathFactory, before: dict[str, bytes], after: dict[str, bytes]
) -> None:
    place = tmp_path_factory.mktemp("world")
    pieces = lake.take(lay(place / "old", before), place / "backup", earlier=None).pieces
    done = lake.put_back(place / "backup", lay(place / "new", after), pieces=pieces)
    found = {
        path.relative_to(place / "new").as_posix(): path.read_bytes()
        for path in (place / "new").rglob("*")
        if path.is_file()
    }
    assert found == {**after, **before}
    assert done.restored == sum(after.get(name) != data for name, data in before.items())
    assert done.kept == len(set(after) - set(before))
    assert lake.put_back(place / "backup", place / "new", pieces=pieces).restored == 0


def test_manifests_are_known_by_their_folder_not_by_their_name(tmp_path: Path) -> None:
    files = {"raw/_manifest/shop/x.json": b"", "raw/shop/_manifest.parquet": b"", "raw/shop/my_manifest/x": b""}
    pieces = lake.take(lay(tmp_path / "lake", files), tmp_path / "backup", earlier=None).pieces
    assert lake.manifests_in(pieces) == {"raw/_manifest/shop/x.json"}


def test_totals_are_of_the_newest_load_of_each_day_and_of_those_that_were_backed_up(tmp_path: Path) -> None:
    raw = Lake(f"file://{tmp_path / 'lake' / 'raw'}")
    raw.publish(ORDERS, {DAYS[0]: orders("1.00"), DAYS[1]: orders("2.00", "3.05")}, run="first")
    known = lake.manifests_in(lake.take(tmp_path / "lake", tmp_path / "backup", earlier=None).pieces)
    raw.publish(ORDERS, {DAYS[0]: orders("10.00", "10.01")}, run="second")
    total = {"rows": 3, "sums": {"amount_usd": "6.05"}}
    assert lake.totals(tmp_path / "lake") == {"raw/shop.orders": {"rows": 4, "sums": {"amount_usd": "25.06"}}}
    assert lake.totals(tmp_path / "lake", only=known) == {"raw/shop.orders": total}
    assert lake.totals(tmp_path / "backup" / "lake") == {"raw/shop.orders": total}
    assert lake.totals(tmp_path / "lake", only=frozenset()) == {}


def test_a_published_file_with_other_rows_than_its_manifest_says_is_told(tmp_path: Path) -> None:
    raw = Lake(f"file://{tmp_path / 'lake' / 'raw'}")
    raw.publish(ORDERS, {DAYS[0]: orders("1.00"), DAYS[1]: orders("2.00", "3.05")}, run="first")
    short, long = sorted((tmp_path / "lake/raw/shop").rglob("*.parquet"))
    long.write_bytes(short.read_bytes())
    with pytest.raises(BackupError) as told:
        lake.totals(tmp_path / "lake")
    assert str(told.value) == "1 rows lie where 2 were published (shop.orders)"


# -- servers -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 3, 20])
def test_free_ports_are_free_in_a_row(count: int) -> None:
    first = servers.free_port(count=count)
    assert 26_000 <= first < 32_000
    for offset in range(count):
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", first + offset))


def test_a_port_that_somebody_listens_on_is_passed_over() -> None:
    with socket.socket() as listener:
        taken = servers.free_port(count=5)
        listener.bind(("127.0.0.1", taken + 4))
        listener.listen()
        assert servers.free_port(count=5) > taken


def test_more_ports_than_there_are_is_told_in_one_line() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", servers.free_port()))
        listener.listen()
        with pytest.raises(BackupError) as told:
            servers.free_port(count=6_000)
    assert str(told.value) == "no port is free between 26000 and 32000"


WHOLE = ("PG_VERSION", servers.IDENTITY, "global/pg_control")


@pytest.mark.parametrize("lost", [*WHOLE, ""])
def test_a_data_folder_that_lacks_any_of_its_marks_is_not_started(tmp_path: Path, lost: str) -> None:
    lay(tmp_path, {name: b"" for name in WHOLE if name != lost})
    assert servers.startable(tmp_path) is (lost == "")
    assert not servers.startable(tmp_path / "none")


@pytest.mark.parametrize(
    ("script", "said"),
    [("echo no licence; exit 1", "no licence"), ("exit 0", "it said nothing")],
    ids=["says why", "says nothing"],
)
def test_a_warehouse_that_ends_at_once_is_told_with_its_last_words(tmp_path: Path, script: str, said: str) -> None:
    python = tmp_path / "infra/standins/snowflake/.venv/bin/python"
    lay(tmp_path, {str(python.relative_to(tmp_path)): f"#!/bin/sh\n{script}\n".encode()})
    python.chmod(python.stat().st_mode | stat.S_IXUSR)
    with pytest.raises(BackupError) as told, servers.warehouse(tmp_path, tmp_path / "data", log=tmp_path / "log"):
        pass
    assert str(told.value) == f"data does not start: {said} ({tmp_path / 'log'})"


# -- databases ---------------------------------------------------------------------------------------------------------


class FakeServer:
    """A server with these databases and roles; notes what its programs and its connections are asked."""

    host, port, user = "127.0.0.1", 5432, "postgres"

    def __init__(self, *, found: tuple[str, ...] = (), known: tuple[str, ...] = (), roles: str = "") -> None:
        self.found, self.known, self.statements = found, known, roles
        self.asked: list[str] = []

    def databases(self) -> list[str]:
        return list(self.found)

    def run(self, program: str, *arguments: str) -> str:
        self.asked.append(" ".join((program, *arguments)))
        return self.statements

    @contextmanager
    def connect(self, database: str = "postgres") -> Generator[FakeServer]:
        del database
        yield self

    def execute(self, query: Any) -> list[tuple[str]]:
        self.asked.append(query if isinstance(query, str) else query.as_string(None))
        return [(name,) for name in self.known]


def test_roles_are_kept_but_for_the_superuser_that_every_server_has() -> None:
    text = (
        "CREATE ROLE postgres;\nALTER ROLE postgres WITH SUPERUSER PASSWORD 'x';\n"
        "CREATE ROLE postgres_reader;\nALTER ROLE postgres_reader WITH LOGIN;\nCREATE ROLE api;\n"
    )
    server: Any = FakeServer(roles=text)
    assert databases.roles(server) == (
        "CREATE ROLE postgres_reader;\nALTER ROLE postgres_reader WITH LOGIN;\nCREATE ROLE api;\n"
    )
    assert server.asked == ["pg_dumpall --roles-only"]


def test_roles_come_first_with_todays_passwords_and_then_the_databases_by_name() -> None:
    server: Any = FakeServer(found=("other",), known=("api", "reader"))
    databases.restore(
        server, {"shop": Path("/b/shop.dump"), "events": Path("/b/events.dump")},
        role_statements="\\restrict token\nCREATE ROLE api;\n\\unrestrict token",
        passwords={"api": "it's", "gone": "x"},
    )  # fmt: skip
    assert server.asked == [
        "CREATE ROLE api;",
        "SELECT rolname FROM pg_roles",
        "ALTER ROLE \"api\" PASSWORD 'it''s'",
        "pg_restore --create --exit-on-error --dbname=postgres /b/events.dump",
        "pg_restore --create --exit-on-error --dbname=postgres /b/shop.dump",
    ]


def test_a_database_that_is_there_is_never_written_over() -> None:
    server: Any = FakeServer(found=("events", "shop"))
    with pytest.raises(BackupError) as told:
        databases.restore(server, {"shop": Path("s"), "new": Path("n")}, role_statements="", passwords={})
    assert str(told.value) == "the database shop is there already (127.0.0.1:5432)"
    assert server.asked == []


def test_a_server_that_cannot_be_reached_has_no_inbox_to_rescue_and_none_is_needed_for_no_events(
    tmp_path: Path,
) -> None:
    (tmp_path / "password").write_text("x")
    gone = Server(host="127.0.0.1", port=1, password_file=tmp_path / "password")
    assert databases.rescue(gone, since="2026-11-25T12:00:00+00:00") is None
    assert databases.put_back_events(gone, Inbox(rows=())) == 0
    with pytest.raises(BackupError) as told:
        databases.totals(gone, ["shop"])
    assert told.value.what.startswith("PostgreSQL cannot be reached: ")
    assert told.value.where == "127.0.0.1:1/shop"
