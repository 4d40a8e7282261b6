"""Stand-ins as pods start them: at the address they are told, laid out before they are ready, ended in good order."""

from __future__ import annotations

import json
import signal
import smtplib
import subprocess
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest

from infra.components.kubernetes.warehouse import statements
from infra.components.warehouse import LAYOUT
from infra.provider import health
from infra.testing import parts
from leandata.datasets import dataset
from leandata.lake import Lake
from leandata.settings import WarehouseAddress
from leandata.tables import schema
from leandata.warehouse import Warehouse

pytestmark = pytest.mark.integration
ORDERS = dataset("shop.orders")
MONDAY, TUESDAY = date(2026, 11, 16), date(2026, 11, 17)
ELSEWHERE = "127.0.0.2"  # this machine, but not where a server listens that is told nothing


@dataclass(frozen=True, kw_only=True, slots=True)
class Running:
    """A stand-in that answers at `host`."""

    host: str
    port: int
    process: subprocess.Popen[bytes]


@contextmanager
def running(command: Sequence[str], *, port: int, folder: Path, host: str = ELSEWHERE) -> Generator[Running]:
    asked = {"kind": "http", "url": f"http://{host}:{port}/healthz", "port": 0}
    log = folder / "log"
    with parts.running([*command, "--host", host], ready=lambda: health.healthy(asked), log=log) as process:
        yield Running(host=host, port=port, process=process)


@contextmanager
def warehouse(folder: Path, *, first: Sequence[str]) -> Generator[WarehouseAddress]:
    port = parts.free_port()
    command = [
        *(str(parts.STANDIN_PYTHON), str(parts.LAUNCHER), "--port", str(port), "--data", str(folder / "warehouse")),
        *("--first", json.dumps(list(first))),
    ]
    with running(command, port=port, folder=folder):
        yield WarehouseAddress.parse(f"snowflake://test@fakesnow?host={ELSEWHERE}&port={port}&protocol=http")


@contextmanager
def lake(folder: Path) -> Generator[str]:
    port = parts.free_port()
    command = [sys.executable, "-m", "infra.standins.lake", "--port", str(port), "--data", str(folder / "lake")]
    with running(command, port=port, folder=folder):
        yield f"http://{ELSEWHERE}:{port}"


@contextmanager
def mail(folder: Path) -> Generator[tuple[Running, int]]:
    smtp, http = parts.free_port(), parts.free_port()
    command = [
        *(sys.executable, "-m", "infra.standins.mail", "--data", str(folder / "mail")),
        *("--smtp-port", str(smtp), "--http-port", str(http)),
    ]
    with running(command, port=http, folder=folder) as found:
        yield found, smtp


def orders(day: date, *amounts: str) -> pa.Table:
    rows = [{"customer_id": 1, "ordered_on": day, "quantity": 1, "amount_usd": Decimal(amount)} for amount in amounts]
    return pa.Table.from_pylist(rows, schema=schema(ORDERS))


def test_the_mail_catcher_listens_where_it_is_told_and_nowhere_else(tmp_path: Path) -> None:
    with mail(tmp_path) as (found, smtp):
        with smtplib.SMTP(ELSEWHERE, smtp) as client:
            client.sendmail("a@x", ["b@x"], b"Subject: hello\r\n\r\nworld\r\n")
        for port in (smtp, found.port):
            assert not health.accepts(port)
    assert len(list((tmp_path / "mail").glob("*.eml"))) == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_mail_catcher_ends_when_it_is_told_to(tmp_path: Path, number: signal.Signals) -> None:
    with mail(tmp_path) as (found, _):
        found.process.send_signal(number)
        assert found.process.wait(timeout=30) == 0


def test_the_lake_ends_when_it_is_told_to_and_keeps_what_it_has(tmp_path: Path) -> None:
    with lake(tmp_path) as endpoint:
        published = Lake(f"s3://raw?endpoint={endpoint}").publish(ORDERS, {MONDAY: orders(MONDAY, "1.10")}, run="r1")
    with lake(tmp_path) as endpoint:
        assert Lake(f"s3://raw?endpoint={endpoint}").manifests(ORDERS) == published


def test_what_a_killed_lake_was_sent_in_part_is_gone_when_it_is_back(tmp_path: Path) -> None:
    scratch = tmp_path / "lake" / ".scratch"
    scratch.mkdir(parents=True)
    (scratch / "half").write_bytes(b"of an object")
    with lake(tmp_path) as endpoint:
        assert Lake(f"s3://raw?endpoint={endpoint}").manifests(ORDERS) == []
        assert list(scratch.iterdir()) == []


def test_the_warehouse_is_laid_out_when_it_is_ready_and_again_after_a_restart(tmp_path: Path) -> None:
    first = list(statements(LAYOUT, lake=str(tmp_path / "lake")))
    for run in (1, 2):
        with warehouse(tmp_path, first=first) as address, Warehouse.connect(address) as client:
            for database in LAYOUT:
                found = {row["name"].upper() for row in client.query(f"SHOW SCHEMAS IN DATABASE {database.name}")}
                assert set(database.schemas) <= found
            [stage] = client.query("SHOW STAGES IN SCHEMA RAW.LAKE")
            assert stage["url"] == f"file://{tmp_path}/lake/raw/"
            client.execute(f"CREATE TABLE RAW.SHOP.KEPT_{run} AS SELECT {run} AS n")
            assert client.query("SELECT n FROM RAW.SHOP.KEPT_1") == [{"n": 1}]


def test_a_layout_that_cannot_be_made_keeps_the_warehouse_from_being_ready(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="does not start"), warehouse(tmp_path, first=["CREATE NONSENSE"]):
        pass


def test_what_is_published_through_s3_is_loaded_from_the_volume_to_the_cent(tmp_path: Path) -> None:
    with lake(tmp_path) as endpoint:
        zone = Lake(f"s3://raw?endpoint={endpoint}")
        slices = {MONDAY: orders(MONDAY, "1.10", "2.20"), TUESDAY: orders(TUESDAY, "0.07")}
        zone.publish(ORDERS, slices, run="r1")
        first = list(statements(LAYOUT, lake=str(tmp_path / "lake")))
        with warehouse(tmp_path, first=first) as address, Warehouse.connect(address) as client:
            client.load(ORDERS, zone.latest(ORDERS), stage="RAW.LAKE.FILES")
            total = f"SELECT SUM(amount_usd) AS total, COUNT(*) AS n FROM {ORDERS.warehouse_table}"
            assert client.query(total) == [{"total": Decimal("3.37"), "n": 3}]
            zone.publish(ORDERS, {TUESDAY: orders(TUESDAY, "5.00")}, run="r2")
            client.load(ORDERS, zone.latest(ORDERS), stage="RAW.LAKE.FILES")
            assert client.query(total) == [{"total": Decimal("8.30"), "n": 3}]
