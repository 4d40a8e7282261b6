"""PostgreSQL's kinds against a real server: adopted, changed, drifted, mended, kept, and what is said when it is down."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from infra.provider.kinds.base import ProviderError, World
from infra.provider.kinds.postgres import PostgresDatabase, PostgresGrants, PostgresRole, connect
from infra.provider.kinds.processes import Job
from infra.testing import parts
from leandata.database import connect as connect_as
from leandata.settings import DatabaseAddress

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Generator[parts.Postgres]:
    with parts.postgres(tmp_path_factory.mktemp("drift")) as found:
        yield found


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(state=tmp_path)


def reach(server: parts.Postgres, **changed: Any) -> dict[str, Any]:
    return {**server.server, **changed}


def role(server: parts.Postgres, folder: Path, name: str = "clerk", **changed: Any) -> dict[str, Any]:
    (folder / f"{name}.password").write_text(f"secret-of-{name}")
    return {
        "name": name, "server": reach(server), "role_password_file": str(folder / f"{name}.password"), "settings": {}, **changed,
    }  # fmt: skip


def login(server: parts.Postgres, folder: Path, name: str, database: str) -> DatabaseAddress:
    found = reach(server)
    return DatabaseAddress(
        host=found["host"],
        port=int(found["port"]),
        user=name,
        database=database,
        password_file=folder / f"{name}.password",
    )


def as_root(server: parts.Postgres, statement: str, database: str = "postgres") -> None:
    with connect(reach(server), database=database) as connection:
        connection.execute(statement)  # type: ignore[arg-type]


def test_a_role_logs_in_with_its_password_and_with_the_next_one(
    server: parts.Postgres, world: World, tmp_path: Path
) -> None:
    inputs = role(server, tmp_path)
    made = PostgresRole().create(world, inputs)
    PostgresDatabase().create(world, {"name": "clerks", "server": reach(server), "owner": "clerk"})
    connect_as(login(server, tmp_path, "clerk", "clerks")).close()
    (tmp_path / "clerk.password").write_text("rotated")
    changed = PostgresRole().update(world, made.id, made.properties, inputs)
    assert changed["fingerprint"] != made.properties["fingerprint"]
    assert "rotated" not in str(changed)
    connect_as(login(server, tmp_path, "clerk", "clerks")).close()


@pytest.mark.parametrize(
    ("statement", "property_", "value"),
    [
        (
            "ALTER ROLE clerk SET statement_timeout = '1s'",
            "settings",
            {"default_transaction_read_only": "on", "statement_timeout": "1s"},
        ),
        ("ALTER ROLE clerk RESET ALL", "settings", {}),
        (
            "ALTER ROLE clerk NOLOGIN",
            "options",
            "NOLOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS",
        ),
        (
            "ALTER ROLE clerk SUPERUSER BYPASSRLS",
            "options",
            "LOGIN SUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION BYPASSRLS",
        ),
        ("ALTER ROLE clerk PASSWORD 'another'", "login", "refused"),
        ("GRANT pg_write_all_data TO clerk", "member_of", ["pg_write_all_data"]),
    ],
)
def test_a_role_that_somebody_changed_is_found_and_mended(
    server: parts.Postgres, world: World, tmp_path: Path, statement: str, property_: str, value: Any
) -> None:
    inputs = role(server, tmp_path, settings={"default_transaction_read_only": "on"})
    made = PostgresRole().create(world, inputs)
    as_root(server, statement)
    found = PostgresRole().read(world, made.id, made.properties)
    assert found == {**made.properties, property_: value}
    assert [change.name for change in PostgresRole().changes(found, inputs)] == [property_]
    PostgresRole().create(world, inputs)
    again = PostgresRole().read(world, made.id, made.properties)
    assert again is not None
    assert PostgresRole().changes(again, inputs) == []


def test_a_role_never_becomes_more_than_it_should_be(server: parts.Postgres, world: World, tmp_path: Path) -> None:
    PostgresRole().create(world, role(server, tmp_path))
    as_root(server, "ALTER ROLE clerk SUPERUSER CREATEDB CREATEROLE")
    PostgresRole().create(world, role(server, tmp_path))
    with connect(reach(server)) as connection:
        row = connection.execute(
            "SELECT rolsuper, rolcreatedb, rolcreaterole FROM pg_roles WHERE rolname = 'clerk'"
        ).fetchone()
    assert row == (False, False, False)


def test_a_database_that_changed_hands_is_given_back(server: parts.Postgres, world: World, tmp_path: Path) -> None:
    PostgresRole().create(world, role(server, tmp_path))
    inputs = {"name": "handed", "server": reach(server), "owner": "clerk"}
    made = PostgresDatabase().create(world, inputs)
    as_root(server, "ALTER DATABASE handed OWNER TO postgres")
    found = PostgresDatabase().read(world, made.id, made.properties)
    assert found is not None
    assert [change.name for change in PostgresDatabase().changes(found, inputs)] == ["owner"]
    PostgresDatabase().update(world, made.id, found, inputs)
    again = PostgresDatabase().read(world, made.id, made.properties)
    assert again is not None
    assert again["owner"] == "clerk"


@pytest.mark.parametrize(
    ("statement", "property_", "value"),
    [
        ("ALTER DATABASE tuned SET work_mem = '64MB'", "settings", {"work_mem": "64MB"}),
        ("GRANT CONNECT ON DATABASE tuned TO PUBLIC", "public", ["CONNECT"]),
    ],
)
def test_a_database_that_somebody_loosened_is_found_and_mended(
    server: parts.Postgres, world: World, tmp_path: Path, statement: str, property_: str, value: Any
) -> None:
    PostgresRole().create(world, role(server, tmp_path))
    inputs = {"name": "tuned", "server": reach(server), "owner": "clerk"}
    made = PostgresDatabase().create(world, inputs)
    as_root(server, statement)
    found = PostgresDatabase().read(world, made.id, made.properties)
    assert found == {**made.properties, property_: value}
    assert [change.name for change in PostgresDatabase().changes(found, inputs)] == [property_]
    PostgresDatabase().update(world, made.id, found, inputs)
    assert PostgresDatabase().read(world, made.id, made.properties) == made.properties


@pytest.mark.parametrize(
    ("statement", "wrong"),
    [
        ("REVOKE CONNECT ON DATABASE granted FROM reader", {"granted": False, "missing": ["CONNECT"]}),
        ("REVOKE USAGE ON SCHEMA shown FROM reader", {"granted": False, "missing": ["USAGE"]}),
        ("REVOKE SELECT ON shown.sold FROM reader", {"granted": False, "missing": ["SELECT on sold"]}),
        (
            "ALTER DEFAULT PRIVILEGES FOR ROLE clerk IN SCHEMA shown REVOKE SELECT ON TABLES FROM reader",
            {"granted": False, "missing": ["SELECT on future tables"]},
        ),
        ("GRANT DELETE, INSERT ON shown.sold TO reader", {"excess": ["DELETE on sold", "INSERT on sold"]}),
        ("GRANT CREATE ON SCHEMA shown TO reader", {"excess": ["CREATE on the schema"]}),
        ("GRANT CREATE ON DATABASE granted TO reader", {"excess": ["CREATE on the database"]}),
    ],
)
def test_a_grant_that_somebody_took_or_gave_is_named_and_mended(
    server: parts.Postgres, world: World, tmp_path: Path, statement: str, wrong: dict[str, Any]
) -> None:
    for name in ("clerk", "reader"):
        PostgresRole().create(world, role(server, tmp_path, name))
    PostgresDatabase().create(world, {"name": "granted", "server": reach(server), "owner": "clerk"})
    inputs = {"server": reach(server), "database": "granted", "schema": "shown", "role": "reader", "owner": "clerk"}
    made = PostgresGrants().create(world, inputs)
    with connect_as(login(server, tmp_path, "clerk", "granted"), autocommit=True) as owner:
        owner.execute("CREATE TABLE IF NOT EXISTS shown.sold (x int)")
    as_root(server, statement, "granted")
    found = PostgresGrants().read(world, made.id, made.properties)
    assert found == {**made.properties, **wrong}
    assert [change.name for change in PostgresGrants().changes(found, inputs)] == sorted(wrong)
    PostgresGrants().update(world, made.id, found, inputs)
    assert PostgresGrants().read(world, made.id, made.properties) == made.properties


def test_a_database_that_was_dropped_is_new_and_says_so_by_its_identity(
    server: parts.Postgres, world: World, tmp_path: Path
) -> None:
    PostgresRole().create(world, role(server, tmp_path))
    inputs = {"name": "dropped", "server": reach(server), "owner": "clerk"}
    made = PostgresDatabase().create(world, inputs)
    assert PostgresDatabase().create(world, inputs) == made, "adopted as it is"
    as_root(server, "DROP DATABASE dropped")
    assert PostgresDatabase().read(world, made.id, made.properties) is None
    assert PostgresDatabase().create(world, inputs).properties["identity"] != made.properties["identity"]


def test_a_stranger_may_not_connect_and_a_reader_may_only_read(
    server: parts.Postgres, world: World, tmp_path: Path
) -> None:
    for name in ("clerk", "reader", "stranger"):
        PostgresRole().create(world, role(server, tmp_path, name))
    PostgresDatabase().create(world, {"name": "guarded", "server": reach(server), "owner": "clerk"})
    grants = {"server": reach(server), "database": "guarded", "schema": "public", "role": "reader", "owner": "clerk"}
    as_root(server, "GRANT CREATE ON SCHEMA public TO clerk", "guarded")
    made = PostgresGrants().create(world, grants)
    with connect_as(login(server, tmp_path, "clerk", "guarded"), autocommit=True) as owner:
        owner.execute("CREATE TABLE later (x int); INSERT INTO later VALUES (7)")
    with connect_as(login(server, tmp_path, "reader", "guarded"), autocommit=True) as reader:
        assert reader.execute("SELECT x FROM later").fetchall() == [(7,)], "tables made later are readable too"
        for statement in (
            "INSERT INTO later VALUES (1)",
            "DELETE FROM later",
            "DROP TABLE later",
            "CREATE TABLE x (y int)",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                reader.execute(statement)  # type: ignore[arg-type]
    with pytest.raises(Exception, match="permission denied for database"):
        connect_as(login(server, tmp_path, "stranger", "guarded"))
    PostgresGrants().delete(world, made.id, made.properties)
    with pytest.raises(Exception, match="permission denied for database"):
        connect_as(login(server, tmp_path, "reader", "guarded"))


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"port": 9.0}, "PostgreSQL cannot be reached: "),
        ({"user": "nobody_at_all"}, "password authentication failed"),
        ({"password_file": "/nowhere/p"}, "cannot read the secret p"),
    ],
)
def test_a_server_that_cannot_be_reached_is_one_line(
    server: parts.Postgres, changed: dict[str, Any], said: str
) -> None:
    with pytest.raises(ProviderError) as caught, connect(reach(server, **changed), seconds=0.2):
        pass
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_statement_that_is_refused_is_one_line(server: parts.Postgres) -> None:
    with (
        pytest.raises(ProviderError, match=r"PostgreSQL refused: relation \"nowhere\" does not exist"),
        connect(reach(server)) as connection,
    ):
        connection.execute("SELECT * FROM nowhere")


@pytest.mark.parametrize("name", ["ro'le", 'ro"le', "ro;le", "select"])
def test_a_name_that_looks_like_sql_is_a_name(server: parts.Postgres, world: World, tmp_path: Path, name: str) -> None:
    (tmp_path / "p").write_text("it's; DROP ROLE postgres; --")
    inputs = {
        "name": name,
        "server": reach(server),
        "role_password_file": str(tmp_path / "p"),
        "settings": {"timezone": "it's"},
    }
    with pytest.raises(ProviderError, match="invalid value for parameter"):
        PostgresRole().create(world, inputs)
    made = PostgresRole().create(world, {**inputs, "settings": {}})
    assert PostgresRole().read(world, made.id, made.properties) is not None


def test_a_job_whose_table_somebody_dropped_is_to_run_again(
    server: parts.Postgres, world: World, tmp_path: Path
) -> None:
    PostgresRole().create(world, role(server, tmp_path))
    PostgresDatabase().create(world, {"name": "made", "server": reach(server), "owner": "clerk"})
    found = reach(server)
    address = f"postgresql://clerk@{found['host']}:{found['port']}/made?password_file={tmp_path / 'clerk.password'}"
    leaves = {"address": address, "relations": ["public.one", "public.two"]}
    inputs = {"name": "j", "command": ["true"], "env": {}, "secret_files": {}, "directory": "/", "triggers": {},
              "timeout": 10.0, "leaves": leaves}  # fmt: skip
    assert Job().check(inputs) == []
    as_root(server, "CREATE TABLE one (x int); CREATE VIEW two AS SELECT 1", "made")
    assert Job().read(world, "j", inputs) == inputs
    as_root(server, "DROP TABLE one", "made")
    read = Job().read(world, "j", inputs)
    assert read == {**inputs, "missing": ["public.one"]}
    assert [change.name for change in Job().changes(read, inputs)] == ["missing"]
    gone = {**inputs, "leaves": {**leaves, "address": address.replace("/made", "/nowhere")}}
    assert Job().read(world, "j", gone) == gone, "a database that is gone is the drift of its own resource"


@pytest.mark.parametrize(
    "wrong", [{}, {"address": "x", "relations": ["a"]}, {"address": "postgresql://", "relations": []}]
)
def test_what_a_job_leaves_names_a_database_and_relations(wrong: dict[str, Any]) -> None:
    said = "leaves must be the address of a database (postgresql://...) and the relations in it"
    assert said in Job().check({"leaves": wrong})


DOWN = {"host": "127.0.0.1", "port": 9.0, "user": "postgres"}


@pytest.mark.parametrize(
    ("kind", "properties"),
    [
        (PostgresRole(), {"name": "r", "role_password_file": "/x", "settings": {}}),
        (PostgresDatabase(), {"name": "d", "owner": "r", "identity": "1-2"}),
    ],
)
def test_while_the_server_is_down_its_process_is_the_drift_and_nothing_in_it(
    world: World, tmp_path: Path, kind: Any, properties: dict[str, Any]
) -> None:
    (tmp_path / "p").write_text("x")
    known = {**properties, "server": {**DOWN, "password_file": str(tmp_path / "p")}}
    assert kind.read(world, properties["name"], known) == known
    assert kind.changes(known, known) == []


def test_while_the_server_is_down_grants_are_made_again_and_taken_back_without_harm(
    world: World, tmp_path: Path
) -> None:
    (tmp_path / "p").write_text("x")
    names = {"database": "d", "schema": "s", "role": "r", "owner": "o"}
    inputs = {"server": {**DOWN, "password_file": str(tmp_path / "p")}, **names}
    found = PostgresGrants().read(world, "d/s/r", {**inputs, "granted": True})
    assert found == {**inputs, "granted": False}
    assert [change.name for change in PostgresGrants().changes(found, inputs)] == ["granted"]
    PostgresGrants().delete(world, "d/s/r", found)


@pytest.mark.parametrize("missing", ["database", "schema", "role", "owner"])
def test_grants_that_move_are_made_anew_with_the_reason(missing: str) -> None:
    names = {"database": "d", "schema": "s", "role": "r", "owner": "o"}
    (change,) = PostgresGrants().changes({**names, "granted": True}, {**names, missing: "other"})
    assert (change.name, change.replaces) == (missing, True)
    assert change.why


@pytest.mark.parametrize("kind", [PostgresRole(), PostgresDatabase()])
def test_what_holds_data_or_owns_it_is_kept_when_it_is_no_longer_declared(world: World, kind: Any) -> None:
    kind.delete(world, "anything", {"server": DOWN})
