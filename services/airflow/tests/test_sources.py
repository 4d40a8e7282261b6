"""Sources of each kind on real parts: a PostgreSQL, a folder, an HTTP server; into a lake, and into a warehouse."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import threading
import urllib.parse
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from email import message_from_bytes
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from infra.testing import parts
from infra.testing.fixtures import url_of
from leandata.contract import written
from leandata.database import Connection, connect
from leandata.datasets import CATALOG, dataset
from leandata.errors import DatabaseError, MailError, SettingsError
from leandata.lake import Lake
from leandata.settings import Settings
from leandata.warehouse import Warehouse
from pipelines.sources import collecting, http
from pipelines.sources.arriving import Collected
from pipelines.sources.collecting import Work
from pipelines.sources.declaration import HttpPath, Source, load

pytestmark = pytest.mark.integration
TODAY = date(2026, 11, 24)
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
CONTRACT = """
name = "ads.spend"
owner = "marketing"
description = "What the ads cost."
key = ["campaign", "day"]
freshness_hours = 26
{partition}
columns = [
    {{ name = "campaign", type = "text", description = "What it is called" }},
    {{ name = "day", type = "date", description = "The day" }},
    {{ name = "spend", type = "decimal(12,2)", description = "US dollars", minimum = 0 }},
]
"""
DECLARED = """
kind = "{kind}"
connection = "ads"
owner = "marketing"
description = "What the ads cost."
schedule = "0 4 * * *"

[[part]]
dataset = "ads.spend"
{part}
"""


@dataclass(frozen=True, kw_only=True)
class Ads:
    """A source of a test's own, and the lake it is collected into."""

    folder: Path
    settings: Settings
    mails: parts.MailCatcher
    runs: list[str] = field(default_factory=list[str])

    @property
    def lake(self) -> Lake:
        return Lake(self.settings.lake.raw)

    def source(self, kind: str, part: str, *, partition: str = "day") -> Source:
        said = f'partition = "{partition}"' if partition else ""
        (self.folder / "ads.spend.toml").write_text(CONTRACT.format(partition=said))
        (self.folder / "declared").mkdir(exist_ok=True)
        (self.folder / "declared" / "ads.toml").write_text(DECLARED.format(kind=kind, part=part))
        catalog = {**CATALOG, **{one.name: one for one in written(self.folder)}}
        return load("ads", self.folder / "declared", catalog=catalog)

    def collect(self, source: Source, *, now: datetime = NOW, **asked: Any) -> list[Collected]:
        self.runs.append("")
        wanted = collecting.plan(self.settings, source, **asked)
        done = [
            collecting.collect(self.settings, source, work, run=f"r{len(self.runs)}.p{number}", now=now)
            for number, work in enumerate(wanted)
        ]
        for work, one in zip(wanted, done, strict=True):
            collecting.announce(self.settings, source, {work.part: one.fresh})
        return done

    def rows(self, source: Source) -> dict[Any, list[tuple[str, str, str]]]:
        """What is published, by slice: campaign, day, spend."""
        contract = source.contract(source.parts[0])
        found = {day: self.lake.read(manifest, contract) for day, manifest in self.lake.latest(contract).items()}
        names = ("campaign", "day", "spend")
        return {
            day: [tuple(str(row[name]) for name in names) for row in table.to_pylist()]  # pyright: ignore
            for day, table in found.items()
        }

    def set_apart(self) -> list[tuple[str, str]]:
        """Dataset and reason of every row in the quarantine."""
        contract = dataset("quarantine.rows")
        tables = [self.lake.read(one, contract) for one in self.lake.latest(contract).values()]
        return sorted((row["dataset"], row["reason"]) for table in tables for row in table.to_pylist())

    def subjects(self) -> list[str]:
        return [
            str(message_from_bytes(path.read_bytes())["Subject"]) for path in sorted(self.mails.folder.glob("*.eml"))
        ]


@pytest.fixture
def ads(tmp_path: Path, mail_server: parts.MailCatcher) -> Ads:
    for path in mail_server.folder.glob("*.eml"):
        path.unlink()
    values = {f"LEANDATA_LAKE_{zone}": f"file://{tmp_path / zone}" for zone in ("RAW", "CURATED", "MODELS")}
    told = {
        "LEANDATA_ENVIRONMENT": "test",
        "LEANDATA_OWNER_MAIL": "data@example.com",
        "LEANDATA_MAIL": f"smtp://127.0.0.1:{mail_server.smtp_port}?sender=p@x.example",
    }
    settings = Settings.load({"LEANDATA_TODAY": TODAY.isoformat(), **values, **told})
    return Ads(folder=tmp_path, settings=settings, mails=mail_server)


def at(ads: Ads, address: str) -> Ads:
    """The same, with the source at this address."""
    values = {**ads.settings.values, "SOURCES": json.dumps({"ads": address})}
    return Ads(folder=ads.folder, settings=Settings(values=values), mails=ads.mails)


def test_a_source_without_an_address_says_where_to_write_it(ads: Ads) -> None:
    source = ads.source("sql", 'table = "spend"')
    with pytest.raises(SettingsError, match=r"the source ads has no address.*\[sources\]"):
        ads.collect(source)


# -- a database --------------------------------------------------------------------------------------------------------


@pytest.fixture
def spend(ads: Ads, postgres_server: parts.Postgres) -> Generator[tuple[Ads, Connection]]:
    name = f"ads_{os.urandom(4).hex()}"
    owner = postgres_server.database(name, owner=f"{name}_owner")
    address = url_of(owner).replace("postgresql://", "postgresql+psycopg://")
    with connect(owner, autocommit=True) as connection:
        connection.execute("CREATE TABLE spend (campaign text, day date, spend numeric(12,2), changed_at timestamptz)")
        yield at(ads, address), connection


def insert(connection: Connection, *rows: tuple[Any, ...]) -> None:
    with connection.cursor() as cursor:
        cursor.executemany("INSERT INTO spend VALUES (%s, %s, %s, %s)", rows)


def bought(campaign: str, day: str, amount: str, changed: str = "2026-11-20T10:00:00Z") -> tuple[Any, ...]:
    return campaign, date.fromisoformat(day), Decimal(amount), changed


BY_DAY = 'table = "public.spend"\nby = "day"\nwindow = 7'


def test_a_table_is_collected_by_its_days_and_late_changed_and_deleted_rows_are_found(
    spend: tuple[Ads, Connection],
) -> None:
    ads, database = spend
    source = ads.source("sql", BY_DAY)
    insert(database, bought("a", "2026-11-15", "1"), bought("b", "2026-11-22", "2"), bought("c", "2026-11-23", "3"))
    insert(database, bought("today", "2026-11-24", "9"))
    ads.collect(source)
    days = ads.rows(source)
    assert list(days) == [date(2026, 11, 15) + timedelta(days=number) for number in range(9)]
    assert days[date(2026, 11, 22)] == [("b", "2026-11-22", "2.00")]
    database.execute("DELETE FROM spend WHERE campaign = 'b'")
    database.execute("UPDATE spend SET spend = 33 WHERE campaign = 'c'")
    insert(database, bought("late", "2026-11-19", "5"), bought("too late", "2026-11-15", "6"))
    ads.collect(source)
    days = ads.rows(source)
    assert days[date(2026, 11, 22)] == []
    assert days[date(2026, 11, 23)] == [("c", "2026-11-23", "33.00")]
    assert days[date(2026, 11, 19)] == [("late", "2026-11-19", "5.00")]
    assert len(days[date(2026, 11, 15)]) == 1, "it is older than the window"
    ads.collect(source, since=date(2026, 11, 15), until=date(2026, 11, 15))
    assert len(ads.rows(source)[date(2026, 11, 15)]) == 2, "a backfill names its days"


def test_a_table_is_collected_by_a_cursor_and_rows_with_the_same_value_are_not_lost(
    spend: tuple[Ads, Connection],
) -> None:
    ads, database = spend
    source = ads.source("sql", 'table = "spend"\ncursor = "changed_at"', partition="_dt")
    insert(database, bought("a", "2026-11-01", "1", "2026-11-23T10:00:00Z"))
    assert sum(one.rows for one in ads.collect(source)) == 1
    insert(database, bought("b", "2026-11-01", "2", "2026-11-23T10:00:00Z"), bought("c", "2026-11-01", "3", "2026-11-24T11:59:00Z"))  # fmt: skip
    ads.collect(source)
    days = ads.rows(source)
    assert sorted(days[date(2026, 11, 23)]) == [("a", "2026-11-01", "1.00"), ("b", "2026-11-01", "2.00")]
    assert days[TODAY] == [("c", "2026-11-01", "3.00")]


def test_a_table_without_days_is_collected_whole(spend: tuple[Ads, Connection]) -> None:
    ads, database = spend
    source = ads.source("sql", 'table = "spend"', partition="")
    insert(database, bought("a", "2026-11-01", "1"), bought("b", "2026-11-02", "2"))
    ads.collect(source)
    database.execute("DELETE FROM spend WHERE campaign = 'a'")
    ads.collect(source)
    assert ads.rows(source) == {None: [("b", "2026-11-02", "2.00")]}


def test_rows_of_no_day_and_bad_rows_are_set_apart_and_leave_when_they_are_mended(
    spend: tuple[Ads, Connection],
) -> None:
    ads, database = spend
    source = ads.source("sql", BY_DAY)
    insert(database, bought("a", "2026-11-23", "1"), bought("b", "2026-11-23", "-1"), ("c", None, Decimal(1), None))
    insert(database, bought("d", "2031-01-01", "1"))
    ads.collect(source)
    assert [why for _, why in ads.set_apart()] == ["day is in the future", "day is null", "spend is below 0"]
    database.execute("UPDATE spend SET spend = 1 WHERE campaign = 'b'")
    database.execute("DELETE FROM spend WHERE day IS NULL OR day > '2030-01-01'")
    ads.collect(source)
    assert [why for _, why in ads.set_apart()] == []


def test_a_new_column_is_loaded_and_told_once_and_a_lost_one_leaves_what_was_published(
    spend: tuple[Ads, Connection],
) -> None:
    ads, database = spend
    source = ads.source("sql", BY_DAY)
    insert(database, *[bought(name, "2026-11-23", "1") for name in "abc"])
    database.execute("ALTER TABLE spend DROP COLUMN changed_at")
    ads.collect(source)
    database.execute("ALTER TABLE spend ADD COLUMN channel text DEFAULT 'mail'")
    for _ in range(2):
        assert ads.collect(source)[-1].new == ("channel",)
    assert ads.subjects() == ["[test] ads.spend: new column channel"]
    contract = source.contract(source.parts[0])
    table = ads.lake.read(ads.lake.latest(contract)[date(2026, 11, 23)], contract)
    assert [json.loads(one) for one in table["_extra"].to_pylist()] == [{"channel": "mail"}] * 3
    database.execute("ALTER TABLE spend RENAME COLUMN spend TO cost")
    refused = ads.collect(source)[-1].refused
    assert refused == ("ads.spend of 2026-11-23: the column spend is gone",)
    assert len(ads.rows(source)[date(2026, 11, 23)]) == 3
    assert ads.set_apart() == [("ads.spend", "the column spend is gone")] * 3


def test_a_mail_of_new_columns_that_was_not_taken_is_sent_by_the_next_try(
    drop: tuple[Ads, Callable[..., None]],
) -> None:
    ads, write = drop
    source = ads.source("files", CSV, partition="_dt")
    write("a.csv", "campaign,day,spend,channel,note\na,2026-11-20,1,mail,x\n")
    (work,) = collecting.plan(ads.settings, source)
    done = collecting.collect(ads.settings, source, work, run="r1", now=NOW)
    assert done.fresh == ("channel", "note")
    fresh = {work.part: [*done.fresh, *done.fresh]}
    away = Settings(values={**ads.settings.values, "MAIL": f"smtp://127.0.0.1:{parts.free_port()}?sender=p@x.example"})
    with pytest.raises(MailError, match="was not taken"):
        collecting.announce(away, source, fresh)
    assert collecting.announce(ads.settings, source, fresh) == ["ads.spend: channel, note"]
    assert ads.subjects() == ["[test] ads.spend: new column channel, note"]
    assert collecting.announce(ads.settings, source, {work.part: ()}) == []


def test_a_column_of_another_type_is_refused(spend: tuple[Ads, Connection]) -> None:
    ads, database = spend
    source = ads.source("sql", BY_DAY)
    insert(database, *[bought(name, "2026-11-23", "1") for name in "abcd"])
    database.execute("ALTER TABLE spend ALTER COLUMN spend TYPE text USING 'about ' || spend")
    assert "no decimal(12,2) any more: 4 of 4 values" in ads.collect(source)[-1].refused[0]


def test_a_table_that_is_empty_or_gone_and_a_database_that_is_away_are_said(spend: tuple[Ads, Connection]) -> None:
    ads, _ = spend
    with pytest.raises(DatabaseError, match=r"no rows in public\.spend"):
        ads.collect(ads.source("sql", BY_DAY))
    with pytest.raises(DatabaseError, match=r"refused|no table"):
        ads.collect(ads.source("sql", 'table = "nothing"', partition=""))
    away = at(ads, "postgresql+psycopg://a:hidden@127.0.0.1:1/b?connect_timeout=1")
    with pytest.raises(DatabaseError, match="the source refused") as error:
        away.collect(away.source("sql", BY_DAY))
    assert "hidden" not in str(error.value)


def test_what_is_collected_is_loaded_into_the_warehouse(spend: tuple[Ads, Connection], tmp_path: Path) -> None:
    ads, database = spend
    source = ads.source("sql", BY_DAY)
    contract = source.contract(source.parts[0])
    insert(database, bought("a", "2026-11-22", "1"), bought("b", "2026-11-23", "2"))
    ads.collect(source)
    zones = {zone: f"file://{tmp_path / zone.upper()}" for zone in ("raw", "curated")}
    (tmp_path / "warehouse").mkdir()
    with (
        parts.warehouse(tmp_path / "warehouse", zones=zones) as standin,
        Warehouse.connect(standin.address) as warehouse,
    ):
        warehouse.execute("CREATE SCHEMA RAW.ADS")
        warehouse.load(contract, ads.lake.latest(contract), stage="RAW.LAKE.FILES")
        rows = warehouse.query("SELECT campaign, spend, _extra FROM RAW.ADS.SPEND ORDER BY campaign")
    assert [(row["campaign"], str(row["spend"]), row["_extra"]) for row in rows] == [
        ("a", "1.00", '{"changed_at": "2026-11-20 10:00:00+00:00"}'),
        ("b", "2.00", '{"changed_at": "2026-11-20 10:00:00+00:00"}'),
    ]


def test_a_database_of_another_kind_is_a_source_too(ads: Ads) -> None:
    path = ads.folder / "ads.sqlite"
    with contextlib.closing(sqlite3.connect(path)) as database, database:
        database.execute("CREATE TABLE spend (campaign TEXT, day DATE, spend TEXT)")
        rows = [("a", "2026-11-22", "1.00"), ("b", "2026-11-23", "2.50"), ("c", "2026-11-23", "dear")]
        database.executemany("INSERT INTO spend VALUES (?, ?, ?)", rows)
    there = at(ads, f"sqlite:///{path}")
    source = there.source("sql", 'table = "spend"\nby = "day"')
    there.collect(source)
    assert there.rows(source) == {
        date(2026, 11, 22): [("a", "2026-11-22", "1.00")],
        date(2026, 11, 23): [("b", "2026-11-23", "2.50")],
    }
    assert there.set_apart() == [("ads.spend", "spend is no decimal(12,2)")]


# -- files -------------------------------------------------------------------------------------------------------------


CSV = 'paths = "in/*.csv"\nformat = "csv"\nsettle_seconds = 60'
HEAD = "campaign,day,spend\n"


@pytest.fixture
def drop(ads: Ads) -> tuple[Ads, Callable[..., None]]:
    """A folder, and how a file gets into it so many seconds before NOW."""
    folder = ads.folder / "dropped"
    folder.mkdir()

    def write(name: str, text: str, *, before: float = 300, encoding: str = "utf-8") -> None:
        path = folder / "in" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(text.encode(encoding))
        seconds = NOW.timestamp() - before
        os.utime(path, (seconds, seconds))

    return at(ads, f"file://{folder}"), write


def test_files_are_taken_once_and_half_written_ones_when_they_are_whole(drop: tuple[Ads, Callable[..., None]]) -> None:
    ads, write = drop
    source = ads.source("files", CSV, partition="_dt")
    write("a.csv", HEAD + "a,2026-11-20,1\n")
    write("b.csv", HEAD + "b,2026-11-2", before=5)
    write("c.csv.part", HEAD + "c,2026-11-20,3\n")
    ads.collect(source)
    assert ads.rows(source) == {TODAY: [("a", "2026-11-20", "1.00")]}
    write("b.csv", HEAD + "b,2026-11-21,2\n", before=90)
    assert ads.collect(source)[0].changed
    assert not ads.collect(source)[0].changed, "nothing after it has to run"
    assert ads.rows(source) == {TODAY: [("a", "2026-11-20", "1.00"), ("b", "2026-11-21", "2.00")]}
    assert ads.set_apart() == []
    contract = source.contract(source.parts[0])
    assert len(ads.lake.manifests(contract)) == 2, "where nothing is new, nothing is published"


def test_the_same_content_again_is_no_new_row_and_other_content_takes_its_place(
    drop: tuple[Ads, Callable[..., None]],
) -> None:
    ads, write = drop
    source = ads.source("files", CSV, partition="_dt")
    write("a.csv", HEAD + "a,2026-11-20,1\n")
    write("b.csv", HEAD + "b,2026-11-20,2\n")
    ads.collect(source)
    write("again.csv", HEAD + "a,2026-11-20,1\n")
    write("b.csv", HEAD + "b,2026-11-20,2\n", before=120)
    assert ads.collect(source)[0].notes == ("in/again.csv has the content of a file that was taken before", "in/b.csv has the content of a file that was taken before")  # fmt: skip
    assert len(ads.rows(source)[TODAY]) == 2
    write("a.csv", HEAD + "a,2026-11-20,10\nx,2026-11-20,11\n", before=100)
    later = Settings(values={**ads.settings.values, "TODAY": "2026-11-25"})
    collecting.collect(later, source, Work(part=0), run="later", now=NOW)
    assert ads.rows(source) == {
        TODAY: [("a", "2026-11-20", "10.00"), ("x", "2026-11-20", "11.00"), ("b", "2026-11-20", "2.00")]
    }


@pytest.mark.parametrize(
    ("text", "encoding", "why"),
    [
        ("", "utf-8", "it is empty"),
        (HEAD + "Käse,2026-11-20,1\n", "cp1252", "it is no csv in utf-8"),
        (HEAD + "a,2026-11-20\n", "utf-8", "it is no csv in utf-8"),
        ("campaign,spend\na,1\n", "utf-8", "the column day is gone"),
        (HEAD + "a,Friday,1\nb,Monday,1\nc,Sunday,1\n", "utf-8", "the column day is no date any more"),
    ],
)
def test_a_file_that_cannot_be_taken_is_set_apart_named_once_and_the_others_are_taken(
    drop: tuple[Ads, Callable[..., None]], text: str, encoding: str, why: str
) -> None:
    ads, write = drop
    source = ads.source("files", CSV, partition="_dt")
    write("bad.csv", text, encoding=encoding)
    write("good.csv", HEAD + "a,2026-11-20,1\n")
    done = ads.collect(source)[0]
    assert [one.partition(": ")[0] for one in done.refused] == ["in/bad.csv"]
    assert why in done.refused[0]
    assert ads.rows(source) == {TODAY: [("a", "2026-11-20", "1.00")]}
    assert {name for name, _ in ads.set_apart()} == {"ads.spend in/bad.csv"}
    assert ads.collect(source)[0].refused == ()
    write("bad.csv", HEAD + "mended,2026-11-20,2\n", before=100)
    ads.collect(source)
    assert ("mended", "2026-11-20", "2.00") in ads.rows(source)[TODAY]
    assert ads.set_apart() == []


def test_two_collections_at_once_lose_and_double_nothing(drop: tuple[Ads, Callable[..., None]]) -> None:
    ads, write = drop
    source = ads.source("files", CSV, partition="_dt")
    for number in range(6):
        write(f"{number}.csv", HEAD + f"c{number},2026-11-20,{number}\n")
    threads = [
        threading.Thread(target=collecting.collect, args=(ads.settings, source, Work(part=0)), kwargs={"run": f"t{number}", "now": NOW})
        for number in range(3)
    ]  # fmt: skip
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ads.collect(source)
    assert [row[0] for row in ads.rows(source)[TODAY]] == [f"c{number}" for number in range(6)]


# -- an HTTP API -------------------------------------------------------------------------------------------------------


@dataclass
class Server:
    """An API of a test's own: what it answers to a path with its query, and what it was asked."""

    url: str = ""
    answers: dict[str, list[tuple[int, Mapping[str, str], Any]]] = field(default_factory=dict[str, Any])
    asked: list[str] = field(default_factory=list[str])
    tokens: list[str | None] = field(default_factory=list[str | None])

    def say(self, path: str, *answers: Any, status: int = 200, **headers: str) -> None:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.answers.setdefault(path, []).extend((status, named, answer) for answer in answers)


@pytest.fixture
def api(ads: Ads) -> Generator[tuple[Ads, Server]]:
    server = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = urllib.parse.unquote(self.path)
            server.asked.append(path)
            server.tokens.append(self.headers.get("Authorization"))
            waiting = server.answers.get(path, [])
            status, headers, body = (waiting.pop(0) if len(waiting) > 1 else waiting[0]) if waiting else (404, {}, {})
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body if isinstance(body, bytes) else json.dumps(body).encode())

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name in the library
            pass

    listening = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=listening.serve_forever)
    thread.start()
    server.url = f"http://127.0.0.1:{listening.server_address[1]}/v1"
    token = ads.folder / "token"
    token.write_text("secret-token\n")
    yield at(ads, f"{server.url}?token_file={token}"), server
    listening.shutdown()
    thread.join()
    listening.server_close()


def item(campaign: str, day: str = "2026-11-23", amount: float = 1.1) -> dict[str, Any]:
    return {"campaign": campaign, "day": day, "spend": amount}


def test_an_api_is_asked_page_by_page_with_its_token(api: tuple[Ads, Server]) -> None:
    ads, server = api
    source = ads.source("http", 'path = "spend"\npaging = "page"\nitems = "data.items"', partition="")
    server.say("/v1/spend?page=1", {"data": {"items": [item("a"), item("b")]}})
    server.say("/v1/spend?page=2", {"data": {"items": [item("c")]}})
    server.say("/v1/spend?page=3", {"data": {"items": []}})
    ads.collect(source)
    assert [row[0] for row in ads.rows(source)[None]] == ["a", "b", "c"]
    assert ads.rows(source)[None][0][2] == "1.10"
    assert set(server.tokens) == {"Bearer secret-token"}


def test_an_api_that_names_the_next_page_is_followed(api: tuple[Ads, Server]) -> None:
    ads, server = api
    source = ads.source("http", 'path = "spend"\npaging = "cursor"\npage = "after"\nnext = "meta.next"\nitems = "rows"', partition="")  # fmt: skip
    server.say("/v1/spend", {"rows": [item("a")], "meta": {"next": "x1"}})
    server.say("/v1/spend?after=x1", {"rows": [item("b")], "meta": {"next": None}})
    ads.collect(source)
    assert [row[0] for row in ads.rows(source)[None]] == ["a", "b"]
    linked = ads.source("http", 'path = "linked"\npaging = "link"', partition="")
    server.say("/v1/linked", [item("c")], Link=f'<{server.url}/linked?p=2>; rel="next"')
    server.say("/v1/linked?p=2", [item("d")])
    ads.collect(linked)
    assert [row[0] for row in ads.rows(linked)[None]] == ["c", "d"]


def test_the_token_goes_to_no_other_host(api: tuple[Ads, Server]) -> None:
    ads, server = api
    source = ads.source("http", 'path = "spend"\npaging = "link"', partition="")
    server.say("/v1/spend", [item("a")], Link='<http://127.0.0.1:9/other>; rel="next"')
    with pytest.raises(DatabaseError, match="another host"):
        ads.collect(source)
    server.answers.clear()
    server.say("/v1/spend", {}, status=302, Location="http://127.0.0.1:9/other")
    with pytest.raises(DatabaseError, match="answers 302"):
        ads.collect(source)


def test_an_api_that_asks_for_patience_gets_it_and_one_that_fails_is_asked_again(api: tuple[Ads, Server]) -> None:
    ads, server = api
    waited: list[float] = []
    server.say("/v1/spend", {}, status=429, Retry_After="7")
    server.say("/v1/spend", {}, status=503)
    server.say("/v1/spend", [item("a")])
    part = HttpPath(dataset="ads.spend", path="spend")
    with http.opened(ads.source("http", 'path = "spend"').address(ads.settings), sleep=waited.append) as opened:
        assert [row["campaign"] for row in opened.rows(part)] == ["a"]
    assert waited[0] == 7
    assert len(waited) == 2


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [(500, {}, "no answer after 6 tries: HTTP 500"), (401, {"no": "key"}, "answers 401"), (200, b"<html>", "no JSON"), (200, {"rows": 1}, "no list of objects at its top")],
)  # fmt: skip
def test_an_api_that_gives_nothing_useful_is_said(api: tuple[Ads, Server], status: int, body: Any, said: str) -> None:
    ads, server = api
    server.say("/v1/spend", body, status=status)
    part = HttpPath(dataset="ads.spend", path="spend")
    with (
        http.opened(ads.source("http", 'path = "spend"').address(ads.settings), sleep=lambda seconds: None) as opened,
        pytest.raises(DatabaseError, match=said),
    ):
        opened.rows(part)


def test_days_that_were_published_before_an_error_are_not_asked_for_again(api: tuple[Ads, Server]) -> None:
    ads, server = api
    part = 'path = "spend"\nsince = "2026-11-20"\nwindow = 1\nquery = { on = "{day}" }'
    source = ads.source("http", part)
    for day in (20, 21, 23):
        server.say(f"/v1/spend?on=2026-11-{day}", [item("a", f"2026-11-{day}")])
    with pytest.raises(DatabaseError, match="answers 404"):
        ads.collect(source)
    assert list(ads.rows(source)) == [date(2026, 11, 20), date(2026, 11, 21)]
    server.say("/v1/spend?on=2026-11-22", [])
    server.asked.clear()
    ads.collect(source)
    assert server.asked == ["/v1/spend?on=2026-11-22", "/v1/spend?on=2026-11-23"]
    assert [len(rows) for rows in ads.rows(source).values()] == [1, 1, 0, 1]
