"""Twelve things done by hand to real stacks: `drift` names each with its property, `drift --revert` mends them.

LEANDATA_WHOLE_PLATFORM=yes deploys all stacks for it, with the services at work.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Generator, Mapping
from pathlib import Path
from typing import Any

import pytest

from infra.provider.kinds.postgres import connect
from infra.testing.checkout import Checkout, free_base
from infra.testing.parts import eventually
from leandata.settings import WarehouseAddress
from leandata.warehouse import Warehouse

pytestmark = [pytest.mark.integration, pytest.mark.stacks("database", "lake", "mail", "warehouse")]
STACKS = "" if os.environ.get("LEANDATA_WHOLE_PLATFORM") == "yes" else "database,lake,mail,warehouse"


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Generator[Checkout]:
    found = Checkout(state=tmp_path_factory.mktemp("drift") / "local", base=free_base())
    yield found
    found.supervisor.shutdown()
    assert found.supervisor.marked() == [], "a test has left a process"


def sql(checkout: Checkout, statement: str, database: str = "postgres") -> None:
    password = str(checkout.state / "secrets" / "postgres-password")
    server = {"host": "127.0.0.1", "port": checkout.base + 11, "user": "postgres", "password_file": password}
    with connect(server, database=database) as connection:
        connection.execute(statement)  # type: ignore[arg-type]


def in_warehouse(checkout: Checkout, statement: str) -> None:
    address = f"snowflake://leandata@fakesnow?host=127.0.0.1&port={checkout.base + 12}&protocol=http"
    with Warehouse.connect(WarehouseAddress.parse(address)) as warehouse:
        warehouse.execute(statement)


def edit_process(checkout: Checkout) -> None:
    place = checkout.state / "run" / "processes" / "mail.json"
    known = json.loads(place.read_text())
    place.write_text(json.dumps({**known, "stop_timeout": 99.0}, indent=1, sort_keys=True))


def stop(checkout: Checkout) -> None:
    checkout.supervisor._call("stopProcess", "mail", True)
    eventually(lambda: (now := checkout.supervisor.one("mail")) is not None and now.state == "STOPPED")


Act = Callable[[Checkout], Any]
BY_HAND: Mapping[str, tuple[Act, tuple[str, str, str]]] = {
    "deleted lake folder": (
        lambda on: shutil.rmtree(on.state / "lake" / "models"), ("Directory", "lake-models", ""),
    ),
    "mode of a lake folder": (lambda on: (on.state / "lake" / "raw").chmod(0o777), ("Directory", "lake-raw", "mode")),
    "mode of a secret": (
        lambda on: (on.state / "secrets" / "database-airflow").chmod(0o644), ("Secret", "database-airflow", "mode"),
    ),
    "stopped stand-in": (stop, ("Process", "mail", "state")),
    "changed process definition": (edit_process, ("Process", "mail", "stop_timeout")),
    "changed role": (
        lambda on: sql(on, "ALTER ROLE serving_reader SET statement_timeout = '1ms'"),
        ("PostgresRole", "serving_reader", "settings.statement_timeout"),
    ),
    "role that may do more": (
        lambda on: sql(on, "ALTER ROLE events_writer SUPERUSER"), ("PostgresRole", "events_writer", "options"),
    ),
    "dropped role": (
        lambda on: sql(on, "DROP OWNED BY shop_replica; DROP ROLE shop_replica", "shop"),
        ("PostgresRole", "shop_replica", ""),
    ),
    "changed grant": (
        lambda on: sql(on, "REVOKE USAGE ON SCHEMA serving FROM serving_reader", "serving"),
        ("PostgresGrants", "serving_reader-grants", "granted"),
    ),
    "changed database setting": (
        lambda on: sql(on, "ALTER DATABASE serving SET work_mem = '64MB'"),
        ("PostgresDatabase", "serving", "settings"),
    ),
    "dropped table": (lambda on: sql(on, "DROP TABLE orders", "shop"), ("Job", "shop-seed", "missing")),
    "dropped schema of the warehouse": (
        lambda on: in_warehouse(on, "DROP SCHEMA STAGING.SHOP"), ("WarehouseSchema", "STAGING.SHOP", ""),
    ),
}  # fmt: skip


def told(answer: dict[str, Any]) -> dict[tuple[str, str, str], dict[str, Any]]:
    return {
        (one["type"].rpartition(":")[2], one["name"], one["property"]): one
        for stack in answer["stacks"]
        for one in stack["differences"]
    }


def test_twelve_things_done_by_hand_are_named_and_mended(checkout: Checkout) -> None:
    assert len(BY_HAND) == 12
    assert checkout.json("deploy", "--stack", STACKS)["ok"]
    untouched = checkout.json("drift")
    assert told(untouched) == {}
    assert untouched["code"] == 0

    for act, _ in BY_HAND.values():
        act(checkout)
    for statement in ("CREATE ROLE intruder LOGIN", "CREATE DATABASE strange"):
        sql(checkout, statement)
    sql(checkout, "CREATE TABLE extra (x int)", "serving")
    result = checkout.run("drift", "--json")
    assert result.returncode == 3, result.stdout + result.stderr
    found = told(json.loads(result.stdout))
    for name, (_, expected) in BY_HAND.items():
        assert expected in found, f"{name}: {sorted(found)}"
    beside = {(kind, name) for (kind, name, _), one in found.items() if one["kind"] == "beside"}
    assert {("role", "intruder"), ("database", "strange"), ("table", "serving.public.extra")} <= beside
    assert found["PostgresRole", "events_writer", "options"]["sort"] == "dangerous"
    assert found["Directory", "lake-models", ""]["adopt"].startswith("infra/")

    for statement in ("DROP DATABASE strange", "DROP ROLE intruder"):
        sql(checkout, statement)
    sql(checkout, "DROP TABLE extra", "serving")
    reverted = checkout.run("drift", "--revert")
    assert reverted.returncode == 0, reverted.stdout + reverted.stderr
    after = checkout.json("drift")
    assert told(after) == {}, sorted(told(after))
    assert Path(checkout.state / "lake" / "models").is_dir()
