"""PostgreSQL and the warehouse as resources: made, adopted, found again, drifted, kept."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Generator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from infra.provider.kinds.base import ProviderError, World
from infra.provider.kinds.files import write
from infra.provider.kinds.postgres import PostgresCluster, PostgresDatabase, PostgresGrants, PostgresRole
from infra.provider.kinds.warehouse import (
    WarehouseDatabase,
    WarehouseFileFormat,
    WarehouseSchema,
    WarehouseSql,
    WarehouseStage,
)
from infra.provider.postgres_binaries import find_pg_bin, unprivileged
from infra.testing import parts
from leandata.database import connect
from leandata.settings import DatabaseAddress
from leandata.warehouse import Warehouse

pytestmark = pytest.mark.integration


@pytest.fixture
def password(tmp_path: Path) -> Path:
    path = tmp_path / "role-password"
    write(path, secrets.token_urlsafe(12), mode=0o600)
    return path


def role(server: parts.Postgres, name: str, password: Path, **settings: str) -> dict[str, Any]:
    return {"name": name, "server": server.server, "role_password_file": str(password), "settings": settings}


def address(server: parts.Postgres, user: str, database: str, password: Path) -> DatabaseAddress:
    return DatabaseAddress(host="127.0.0.1", port=server.port, user=user, database=database, password_file=password)


def test_a_data_folder_is_made_once_and_has_an_identity(tmp_path: Path, password: Path) -> None:
    tmp_path.chmod(0o755)
    inputs = {"path": str(tmp_path / "pg"), "password_file": str(password)}
    world = World(state=tmp_path)
    made = PostgresCluster().create(world, inputs)
    assert PostgresCluster().create(world, inputs) == made
    assert PostgresCluster().read(world, made.id, made.properties) == made.properties
    PostgresCluster().delete(world, made.id, made.properties)
    assert (tmp_path / "pg" / "PG_VERSION").exists(), "it holds the data, so it is kept"
    (tmp_path / "pg" / "leandata-identity").unlink()
    assert PostgresCluster().read(world, made.id, made.properties) is None
    assert password.read_text() not in str(made)


def test_a_folder_that_a_killed_initdb_left_is_made_anew(tmp_path: Path, password: Path) -> None:
    tmp_path.chmod(0o755)
    (tmp_path / "pg").mkdir()
    (tmp_path / "pg" / "half").write_text("")
    (tmp_path / "pg.new").mkdir()
    made = PostgresCluster().create(
        World(state=tmp_path), {"path": str(tmp_path / "pg"), "password_file": str(password)}
    )
    assert made.properties["identity"]
    assert not (tmp_path / "pg.new").exists()


def test_postgresql_never_runs_as_root(tmp_path: Path) -> None:
    user = unprivileged(tmp_path, find_pg_bin())
    assert user.uid != 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes somebody else; run the tests as root to see it")
def test_a_checkout_that_others_may_not_enter_holds_programs_and_data(
    tmp_path: Path, password: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    wheel = find_pg_bin().parent.parent
    for found in wheel.parent.glob(f"{wheel.name}*"):
        shutil.copytree(found, closed / found.name, ignore=shutil.ignore_patterns("include"))
    monkeypatch.setenv("LEANDATA_PG_BIN", str(closed / find_pg_bin().relative_to(wheel.parent)))
    made = PostgresCluster().create(World(state=tmp_path), {"path": str(closed / "pg"), "password_file": str(password)})
    assert made.properties["identity"]


def test_a_role_logs_in_with_its_password_and_a_new_one_replaces_it(
    postgres_server: parts.Postgres, password: Path
) -> None:
    world = postgres_server.world
    made = PostgresRole().create(world, role(postgres_server, "walter", password))
    PostgresDatabase().create(world, {"name": "waltz", "server": postgres_server.server, "owner": "walter"})
    with connect(address(postgres_server, "walter", "waltz", password)) as connection:
        assert connection.execute("SELECT current_user").fetchone() == ("walter",)
    write(password, "another-password", mode=0o600)
    changed = PostgresRole().update(world, made.id, made.properties, role(postgres_server, "walter", password))
    assert changed["fingerprint"] != made.properties["fingerprint"]
    with connect(address(postgres_server, "walter", "waltz", password)):
        pass


def test_a_role_s_settings_that_were_changed_by_hand_are_found_and_mended(
    postgres_server: parts.Postgres, password: Path
) -> None:
    world, kind = postgres_server.world, PostgresRole()
    inputs = role(postgres_server, "rita", password, statement_timeout="5s")
    made = kind.create(world, inputs)
    found = kind.read(world, made.id, made.properties)
    assert found is not None
    assert kind.changes(found, inputs) == []
    superuser = DatabaseAddress(
        host="127.0.0.1", port=postgres_server.port, user="postgres", database="postgres",
        password_file=Path(postgres_server.server["password_file"]),
    )  # fmt: skip
    with connect(superuser, autocommit=True) as connection:
        connection.execute("ALTER ROLE rita SET statement_timeout = '9s'")
    drifted = kind.read(world, made.id, made.properties)
    assert drifted is not None
    assert [change.name for change in kind.changes(drifted, inputs)] == ["settings"]
    kind.update(world, made.id, drifted, inputs)
    assert kind.read(world, made.id, made.properties) == found
    with connect(superuser, autocommit=True) as connection:
        connection.execute("DROP ROLE rita")
    assert kind.read(world, made.id, made.properties) is None


def test_a_dropped_database_is_found_and_made_anew_with_another_identity(
    postgres_server: parts.Postgres, password: Path
) -> None:
    world, kind = postgres_server.world, PostgresDatabase()
    PostgresRole().create(world, role(postgres_server, "dora", password))
    inputs = {"name": "d_one", "server": postgres_server.server, "owner": "dora"}
    made = kind.create(world, inputs)
    assert kind.create(world, inputs) == made, "what exists is adopted"
    assert kind.read(world, made.id, made.properties) == made.properties
    with connect(_superuser(postgres_server), autocommit=True) as connection:
        connection.execute("DROP DATABASE d_one")
    assert kind.read(world, made.id, made.properties) is None
    assert kind.create(world, inputs).properties["identity"] != made.properties["identity"]


def test_a_reader_sees_present_and_future_tables_and_changes_none(postgres_server: parts.Postgres) -> None:
    owner = postgres_server.database("library", owner="librarian")
    with connect(owner) as connection:
        connection.execute("CREATE SCHEMA books")
        connection.execute("CREATE TABLE books.old AS SELECT 1 AS n")
    reader = postgres_server.reader("visitor", database="library", schema="books", owner="librarian")
    with connect(owner) as connection:
        connection.execute("CREATE TABLE books.new AS SELECT 2 AS n")
    with connect(reader) as connection:
        assert connection.execute("SELECT (SELECT n FROM books.old) + (SELECT n FROM books.new)").fetchone() == (3,)
    for forbidden in ("INSERT INTO books.old VALUES (1)", "CREATE TABLE books.mine (n int)", "DROP TABLE books.old"):
        with connect(reader) as connection, pytest.raises(psycopg.Error):
            connection.execute(forbidden)


def test_a_role_may_not_enter_a_database_it_was_not_given(postgres_server: parts.Postgres, password: Path) -> None:
    from leandata.errors import DatabaseError

    postgres_server.database("closed", owner="closer")
    PostgresRole().create(postgres_server.world, role(postgres_server, "stranger", password))
    with pytest.raises(DatabaseError, match="permission denied"):
        connect(address(postgres_server, "stranger", "closed", password))


def test_grants_that_were_revoked_are_found_and_given_again(postgres_server: parts.Postgres, password: Path) -> None:
    world, kind = postgres_server.world, PostgresGrants()
    postgres_server.database("granted", owner="granter")
    PostgresRole().create(world, role(postgres_server, "grantee", password))
    inputs = {
        "server": postgres_server.server,
        "database": "granted",
        "schema": "s",
        "role": "grantee",
        "owner": "granter",
    }
    made = kind.create(world, inputs)
    assert kind.read(world, made.id, made.properties) == made.properties
    kind.delete(world, made.id, made.properties)
    found = kind.read(world, made.id, made.properties)
    assert found is not None
    assert [change.name for change in kind.changes(found, inputs)] == ["granted", "missing"]
    kind.update(world, made.id, found, inputs)
    assert kind.read(world, made.id, made.properties) == made.properties


def test_a_server_that_does_not_run_is_no_drift_of_what_lies_in_it(postgres_server: parts.Postgres) -> None:
    server = {**postgres_server.server, "port": parts.free_port()}
    properties = {"name": "x", "server": server, "owner": "y", "identity": "z"}
    assert PostgresDatabase().read(postgres_server.world, "x", properties) == properties


def test_a_server_that_does_not_answer_is_named(postgres_server: parts.Postgres) -> None:
    from infra.provider.kinds.postgres import connect as provider_connect

    server = {**postgres_server.server, "port": parts.free_port()}
    with pytest.raises(ProviderError, match=r"PostgreSQL cannot be reached: .*127.0.0.1:\d+/postgres"):  # noqa: SIM117
        with provider_connect(server, seconds=0.2):
            pass


def _superuser(server: parts.Postgres) -> DatabaseAddress:
    return address(server, "postgres", "postgres", Path(server.server["password_file"]))


@pytest.fixture(scope="module")
def standin(tmp_path_factory: pytest.TempPathFactory) -> Generator[parts.Warehouse]:
    with parts.warehouse(tmp_path_factory.mktemp("objects")) as found:
        yield found


def test_the_warehouse_s_objects_are_made_found_dropped_and_made_again(
    standin: parts.Warehouse, tmp_path: Path
) -> None:
    world, url = World(state=tmp_path), standin.url
    declared: list[tuple[Any, dict[str, Any], str]] = [
        (WarehouseDatabase(), {"address": url, "name": "CELLAR"}, "CELLAR"),
        (WarehouseSchema(), {"address": url, "database": "CELLAR", "name": "WINE"}, "CELLAR.WINE"),
        (
            WarehouseFileFormat(),
            {"address": url, "schema": "CELLAR.WINE", "name": "PQ", "options": "TYPE = PARQUET"},
            "CELLAR.WINE.PQ",
        ),
        (
            WarehouseStage(),
            {"address": url, "schema": "CELLAR.WINE", "name": "FILES", "url": f"file://{tmp_path}/"},
            "CELLAR.WINE.FILES",
        ),
    ]
    for kind, inputs, identity in declared:
        made = kind.create(world, inputs)
        assert made.id == identity
        assert kind.create(world, inputs) == made, "what exists is adopted"
        assert kind.read(world, made.id, made.properties) == inputs
        assert kind.changes(kind.read(world, made.id, made.properties), inputs) == []
    kind, inputs, identity = declared[-1]
    with Warehouse.connect(standin.address) as warehouse:
        warehouse.execute("CREATE OR REPLACE STAGE CELLAR.WINE.FILES URL = 'file:///elsewhere/'")
    drifted = kind.read(world, identity, inputs)
    assert [change.name for change in kind.changes(drifted, inputs)] == ["url"]
    kind.delete(world, identity, inputs)
    assert kind.read(world, identity, inputs) is None
    WarehouseDatabase().delete(world, "CELLAR", declared[0][1])
    assert WarehouseDatabase().read(world, "CELLAR", declared[0][1]) is not None, "a database holds data, so it is kept"


def test_a_statement_is_reverted_when_it_is_no_longer_declared(standin: parts.Warehouse, tmp_path: Path) -> None:
    world, kind = World(state=tmp_path), WarehouseSql()
    with Warehouse.connect(standin.address) as warehouse:
        warehouse.execute("CREATE DATABASE IF NOT EXISTS SQLS")
    inputs = {
        "address": standin.url,
        "execute": "CREATE SCHEMA IF NOT EXISTS SQLS.MADE",
        "revert": "DROP SCHEMA IF EXISTS SQLS.MADE",
        "query": "SELECT 1 FROM SQLS.INFORMATION_SCHEMA.SCHEMATA WHERE SCHEMA_NAME = 'MADE'",
    }
    made = kind.create(world, inputs)
    assert kind.read(world, made.id, made.properties) == inputs
    kind.delete(world, made.id, made.properties)
    assert kind.read(world, made.id, made.properties) is None


def test_a_warehouse_that_does_not_run_is_no_drift_of_what_lies_in_it(tmp_path: Path) -> None:
    url = f"snowflake://u@fakesnow?host=127.0.0.1&port={parts.free_port()}&protocol=http"
    properties = {"address": url, "name": "X"}
    assert WarehouseDatabase().read(World(state=tmp_path), "X", properties) == properties
