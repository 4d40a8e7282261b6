"""The Jobs that set PostgreSQL up: repeated without harm, and without a superuser's rights, as on RDS."""

from __future__ import annotations

import threading
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from infra.jobs import databases
from infra.testing import parts
from infra.testing.fixtures import url_of
from leandata.database import connect, parameters
from leandata.errors import DatabaseError
from leandata.settings import DatabaseAddress

pytestmark = pytest.mark.integration


@dataclass(frozen=True, kw_only=True, slots=True)
class Managed:
    """A server as it is rented: its administrator makes roles and databases and is no superuser."""

    admin: DatabaseAddress
    root: DatabaseAddress
    folder: Path

    def secret(self, name: str, value: str) -> Path:
        path = self.folder / name
        path.write_text(f"{value}\n", encoding="utf-8")
        return path

    def address(self, role: str, database: str, secret: Path) -> DatabaseAddress:
        return DatabaseAddress(
            host=self.admin.host, port=self.admin.port, user=role, database=database, password_file=secret
        )

    def owner(self, *, database: str, role: str, password: str = "first") -> DatabaseAddress:
        """Run the Job as it is declared; the owner's address."""
        secret = self.secret(f"secret-{role}", password)
        assert databases.main(self.arguments("owner", database, role, secret)) == 0
        return self.address(role, database, secret)

    def reader(self, *, database: str, owner: str, role: str, schema: str = "public", timeout: int = 0):
        secret = self.secret(f"secret-{role}", "reads")
        more = ["--role", role, "--schema", schema, "--statement-timeout", str(timeout)]
        assert databases.main([*self.arguments("reader", database, owner, secret), *more]) == 0
        return self.address(role, database, secret)

    def arguments(self, kind: str, database: str, owner: str, secret: Path) -> list[str]:
        place = ["--server", url_of(self.admin), "--database", database, "--owner", owner]
        return [kind, *place, "--password-file", str(secret)]


@pytest.fixture(scope="module")
def managed(tmp_path_factory: pytest.TempPathFactory) -> Generator[Managed]:
    folder = tmp_path_factory.mktemp("managed")
    with parts.postgres(folder) as server:
        place = {"host": "127.0.0.1", "port": server.port, "database": "postgres"}
        root = DatabaseAddress(user="postgres", password_file=Path(server.server["password_file"]), **place)
        secret = folder / "admin"
        secret.write_text("admin", encoding="utf-8")
        with databases.reach(root) as connection:
            connection.execute("CREATE ROLE rented LOGIN CREATEDB CREATEROLE PASSWORD 'admin'")
        yield Managed(admin=DatabaseAddress(user="rented", password_file=secret, **place), root=root, folder=folder)


def run(address: DatabaseAddress, statement: str) -> list[tuple[object, ...]]:
    with connect(address) as connection:
        cursor = connection.execute(statement)
        return cursor.fetchall() if cursor.description else []


def test_an_owner_makes_tables_in_its_database(managed: Managed) -> None:
    owner = managed.owner(database="serving", role="serving_writer")
    run(owner, "CREATE TABLE figures (day date)")
    assert run(owner, "SELECT count(*) FROM figures") == [(0,)]


def test_the_same_job_again_keeps_what_is_there(managed: Managed) -> None:
    owner = managed.owner(database="kept", role="kept_owner")
    run(owner, "CREATE TABLE facts AS SELECT 1 AS fact")
    managed.owner(database="kept", role="kept_owner")
    assert run(owner, "SELECT fact FROM facts") == [(1,)]


def test_a_password_becomes_what_its_file_says(managed: Managed) -> None:
    managed.owner(database="rotated", role="rotated_owner", password="old")
    old = managed.secret("old", "old")
    managed.owner(database="rotated", role="rotated_owner", password="new")
    assert run(managed.address("rotated_owner", "rotated", managed.secret("new", "new")), "SELECT 1") == [(1,)]
    with pytest.raises(DatabaseError, match="password authentication failed"):
        connect(managed.address("rotated_owner", "rotated", old))


def test_no_password_is_sent_or_kept_in_the_clear(managed: Managed) -> None:
    managed.owner(database="hashed", role="hashed_owner", password="plain-as-day")
    [(kept,)] = run(managed.root, "SELECT rolpassword FROM pg_authid WHERE rolname = 'hashed_owner'")
    assert str(kept).startswith("SCRAM-SHA-256$")


def test_strangers_may_not_connect(managed: Managed) -> None:
    managed.owner(database="closed", role="closed_owner")
    other = managed.owner(database="elsewhere", role="elsewhere_owner")
    with pytest.raises(DatabaseError, match="permission denied"):
        connect(managed.address("elsewhere_owner", "closed", other.password_file or Path()))


def test_an_owner_is_told_no_other_trade(managed: Managed) -> None:
    managed.owner(database="modest", role="modest_owner")
    query = "SELECT rolsuper, rolcreatedb, rolcreaterole FROM pg_roles WHERE rolname = 'modest_owner'"
    assert run(managed.root, query) == [(False, False, False)]


def test_a_reader_sees_tables_of_today_and_of_tomorrow(managed: Managed) -> None:
    owner = managed.owner(database="read", role="read_owner")
    run(owner, "CREATE TABLE today AS SELECT 1 AS n")
    reader = managed.reader(database="read", owner="read_owner", role="read_reader")
    run(owner, "CREATE TABLE tomorrow AS SELECT 2 AS n")
    assert run(reader, "SELECT n FROM today UNION ALL SELECT n FROM tomorrow ORDER BY n") == [(1,), (2,)]


def test_the_schema_of_a_reader_is_made_and_is_the_owners(managed: Managed) -> None:
    owner = managed.owner(database="schemed", role="schemed_owner")
    reader = managed.reader(database="schemed", owner="schemed_owner", role="schemed_reader", schema="serving")
    run(owner, "CREATE TABLE serving.figures AS SELECT 7 AS n")
    assert run(reader, "SELECT n FROM serving.figures") == [(7,)]


@pytest.mark.parametrize(
    "statement", ["INSERT INTO facts VALUES (1)", "CREATE TABLE mine (n int)", "DELETE FROM facts", "DROP TABLE facts"]
)
def test_a_reader_changes_nothing(managed: Managed, statement: str) -> None:
    owner = managed.owner(database="firm", role="firm_owner")
    run(owner, "CREATE TABLE IF NOT EXISTS facts (n int)")
    reader = managed.reader(database="firm", owner="firm_owner", role="firm_reader")
    with pytest.raises(psycopg.Error, match=r"read-only transaction|permission denied|must be owner"):
        run(reader, statement)


def test_a_reader_that_drops_its_guard_still_may_not_write(managed: Managed) -> None:
    owner = managed.owner(database="guarded", role="guarded_owner")
    run(owner, "CREATE TABLE facts (n int)")
    reader = managed.reader(database="guarded", owner="guarded_owner", role="guarded_reader")
    with connect(reader) as connection:
        connection.execute("SET TRANSACTION READ WRITE")
        with pytest.raises(psycopg.Error, match="permission denied"):
            connection.execute("INSERT INTO facts VALUES (1)")


def test_a_reader_does_not_wait_for_ever(managed: Managed) -> None:
    managed.owner(database="timed", role="timed_owner")
    reader = managed.reader(database="timed", owner="timed_owner", role="timed_reader", timeout=50)
    with pytest.raises(psycopg.errors.QueryCanceled):
        run(reader, "SELECT pg_sleep(30)")


def test_settings_that_are_no_longer_declared_are_gone(managed: Managed) -> None:
    managed.owner(database="loose", role="loose_owner")
    managed.reader(database="loose", owner="loose_owner", role="loose_reader", timeout=50)
    reader = managed.reader(database="loose", owner="loose_owner", role="loose_reader")
    assert run(reader, "SHOW statement_timeout") == [("0",)]
    assert run(reader, "SHOW default_transaction_read_only") == [("on",)]


def test_a_superuser_is_never_made_a_services_role(managed: Managed, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = managed.arguments("owner", "hers", "postgres", managed.secret("x", "x"))
    assert databases.main(arguments) == 1
    assert "the role postgres is a superuser" in capsys.readouterr().err


def test_jobs_that_run_at_a_time_take_turns(managed: Managed) -> None:
    managed.owner(database="busy", role="busy_owner")
    failed: list[int] = []

    def work(number: int) -> None:
        secret = managed.secret(f"busy-{number}", "busy")
        more = ["--role", f"busy_reader_{number}", "--schema", "public"]
        failed.append(databases.main([*managed.arguments("reader", "busy", "busy_owner", secret), *more]))

    threads = [threading.Thread(target=work, args=[number]) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == [0] * 6


def test_everything_works_for_a_superuser_as_well(managed: Managed) -> None:
    secret = managed.secret("plain", "plain")
    owner = databases.Role(name="plain_owner", password_file=secret)
    databases.make_owner(managed.root, database="plain", owner=owner)
    reader = databases.reading("plain_reader", secret, statement_timeout=0)
    databases.make_reader(managed.root, database="plain", owner="plain_owner", schema="public", reader=reader)
    run(managed.address("plain_owner", "plain", secret), "CREATE TABLE facts AS SELECT 3 AS n")
    assert run(managed.address("plain_reader", "plain", secret), "SELECT n FROM facts") == [(3,)]


def test_names_are_quoted(managed: Managed) -> None:
    owner = managed.owner(database='odd"; DROP', role="Odd Owner")
    assert run(owner, "SELECT current_database(), current_user") == [('odd"; DROP', "Odd Owner")]
    query = sql.SQL("SELECT count(*) FROM pg_database WHERE datname = {}").format(sql.Literal("postgres"))
    with connect(managed.root) as connection:
        assert connection.execute(query).fetchone() == (1,)


def test_an_empty_secret_makes_no_role_that_lets_everybody_in(
    managed: Managed, capsys: pytest.CaptureFixture[str]
) -> None:
    assert databases.main(managed.arguments("owner", "open", "open_owner", managed.secret("empty", " "))) == 1
    assert "is empty" in capsys.readouterr().err
    assert run(managed.root, "SELECT count(*) FROM pg_database WHERE datname = 'open'") == [(0,)]


def test_what_postgresql_refuses_is_one_line(managed: Managed, capsys: pytest.CaptureFixture[str]) -> None:
    secret = managed.secret("y", "y")
    arguments = [*managed.arguments("reader", "read", "nobody_at_all", secret), "--role", "r", "--schema", "public"]
    managed.owner(database="read", role="read_owner")
    assert databases.main(arguments) == 1
    said = capsys.readouterr().err
    assert said.startswith("error: PostgreSQL refuses: ")
    assert said.count("\n") == 1


# -- waiting -----------------------------------------------------------------------------------------------------------


def nowhere(tmp_path: Path) -> DatabaseAddress:
    secret = tmp_path / "secret"
    secret.write_text("x", encoding="utf-8")
    port = parts.free_port()
    return DatabaseAddress(host="127.0.0.1", port=port, user="x", database="x", password_file=secret)


def test_a_server_that_is_not_there_yet_is_waited_for_with_patience(tmp_path: Path) -> None:
    times = iter([0.0, 1.0, 2.0, 3.0])
    pauses: list[float] = []
    with pytest.raises(DatabaseError, match="cannot be reached"):
        databases.reach(nowhere(tmp_path), patience=3.0, now=lambda: next(times), pause=pauses.append)
    assert pauses == [1.0, 1.0]


def test_a_server_that_comes_is_met(managed: Managed, tmp_path: Path) -> None:
    secret = managed.secret("late", "late")
    waiting = managed.address("late", "postgres", secret)

    def come(_: float) -> None:
        with connect(managed.root, autocommit=True) as connection:
            connection.execute("CREATE ROLE late LOGIN PASSWORD 'late'")

    with databases.reach(waiting, pause=come) as connection:
        assert connection.execute("SELECT current_user").fetchone() == ("late",)


# -- the way there -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "mode"),
    [
        ("127.0.0.1", "prefer"),
        ("::1", "prefer"),
        ("localhost", "prefer"),
        ("postgres.leandata-standins.svc", "prefer"),
        ("leandata.abc.eu-central-1.rds.amazonaws.com", "require"),
        ("svc", "require"),
        ("10.0.0.5", "require"),
    ],
)
def test_passwords_and_rows_leave_the_cluster_over_tls_only(host: str, mode: str) -> None:
    assert parameters(DatabaseAddress(host=host, port=5432, user="x", database="x"))["sslmode"] == mode
