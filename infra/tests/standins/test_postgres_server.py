"""PostgreSQL as a pod starts it: the data folder made once, strangers asked for a password, an end without loss."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pytest

from infra.environment import ROOT
from infra.jobs import databases
from infra.provider import health
from infra.provider.postgres_binaries import find_pg_bin, unprivileged
from infra.standins.postgres import server
from infra.testing import parts
from leandata.database import Connection, connect
from leandata.errors import DatabaseError
from leandata.settings import DatabaseAddress


@dataclass(slots=True)
class Pod:
    """The entry point on a volume, as the user without rights that a pod is."""

    folder: Path
    port: int = field(default_factory=parts.free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def data(self) -> Path:
        return self.folder / "volume" / "data"

    @property
    def log(self) -> Path:
        return self.folder / "log"

    @property
    def address(self) -> DatabaseAddress:
        return DatabaseAddress(
            host="127.0.0.1", port=self.port, user="postgres", database="postgres", password_file=self.folder / "secret"
        )

    def start(self, *settings: str) -> None:
        user = unprivileged(self.data, Path(sys.executable).resolve(), find_pg_bin())
        command = [
            *(*user.prefix, sys.executable, "-m", "infra.standins.postgres", "--port", str(self.port)),
            *("--data", str(self.data), "--password-file", str(self.folder / "secret")),
            *(part for setting in settings for part in ("-c", setting)),
        ]
        environ: Mapping[str, str] = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "HOME": "/tmp"}
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(command, stdout=output, stderr=output, cwd=ROOT, env=environ)

    def connect(self) -> Connection:
        assert self.process is not None
        parts.eventually(lambda: health.accepts(self.port) or self.process.poll() is not None, seconds=60)
        assert self.process.poll() is None, self.log.read_text(encoding="utf-8")
        return databases.reach(self.address, patience=60)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(timeout=60)


@pytest.fixture
def pod(tmp_path: Path) -> Generator[Pod]:
    for folder in (tmp_path, *tmp_path.parents[:2], tmp_path / "volume"):
        folder.mkdir(exist_ok=True)
        folder.chmod(0o755)
    user = unprivileged(tmp_path)
    secret = tmp_path / "secret"
    secret.write_text("of the administrator\n", encoding="utf-8")
    secret.chmod(0o644)
    os.chown(tmp_path / "volume", user.uid, user.gid)
    found = Pod(folder=tmp_path)
    yield found
    if found.process is not None and found.process.poll() is None:
        found.stop()


@pytest.mark.integration
def test_the_first_start_makes_the_data_and_the_second_finds_it(pod: Pod) -> None:
    pod.start()
    with pod.connect() as connection:
        connection.execute("CREATE TABLE facts AS SELECT 7 AS n")
    assert pod.stop() == 0
    pod.start()
    with pod.connect() as connection:
        assert connection.execute("SELECT n FROM facts").fetchone() == (7,)
    assert "a new data folder" in pod.log.read_text(encoding="utf-8")
    assert "the known data folder" in pod.log.read_text(encoding="utf-8")


@pytest.mark.integration
def test_a_folder_that_was_opened_for_its_group_is_closed_again(pod: Pod) -> None:
    pod.start()
    pod.connect().close()
    assert pod.stop() == 0
    pod.data.chmod(0o770)
    pod.start()
    pod.connect().close()
    assert stat.S_IMODE(pod.data.stat().st_mode) == 0o700


@pytest.mark.integration
def test_told_to_end_it_ends_though_somebody_is_connected(pod: Pod) -> None:
    pod.start()
    with pod.connect() as connection:
        connection.execute("CREATE TABLE facts AS SELECT 1 AS n")
        assert pod.stop() == 0
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")
    assert "database system is shut down" in pod.log.read_text(encoding="utf-8")


@pytest.mark.integration
def test_settings_are_what_the_declaration_says(pod: Pod) -> None:
    pod.start("max_connections=17", "timezone=UTC")
    with pod.connect() as connection:
        assert connection.execute("SHOW max_connections").fetchone() == ("17",)
        assert connection.execute("SHOW unix_socket_directories").fetchone() == ("",)
        assert connection.execute("SHOW password_encryption").fetchone() == ("scram-sha-256",)


@pytest.mark.integration
def test_nobody_enters_without_the_password(pod: Pod, tmp_path: Path) -> None:
    pod.start()
    with pod.connect() as connection:
        rules = connection.execute("SELECT DISTINCT auth_method FROM pg_hba_file_rules").fetchall()
    assert rules == [("scram-sha-256",)]
    wrong = tmp_path / "wrong"
    wrong.write_text("guessed", encoding="utf-8")
    address = pod.address
    with pytest.raises(DatabaseError, match="password authentication failed"):
        connect(DatabaseAddress(
            host=address.host, port=address.port, user="postgres", database="postgres", password_file=wrong
        ))  # fmt: skip


@pytest.mark.integration
def test_a_start_that_was_broken_off_is_begun_anew(pod: Pod) -> None:
    scratch = pod.data.with_name("data.new")
    user = unprivileged(pod.folder)
    for folder in (scratch, pod.data):
        folder.mkdir()
        (folder / "half").write_text("made", encoding="utf-8")
        os.chown(folder, user.uid, user.gid)
    pod.start()
    with pod.connect() as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    assert not scratch.exists()
    assert not (pod.data / "half").exists()


@pytest.mark.integration
def test_an_empty_password_makes_no_server(pod: Pod) -> None:
    (pod.folder / "secret").write_text("\n", encoding="utf-8")
    pod.start()
    assert pod.process is not None
    assert pod.process.wait(timeout=60) == 1
    assert pod.log.read_text(encoding="utf-8").startswith("error: the secret secret is empty")
    assert not pod.data.exists()


def test_what_initdb_says_is_one_line(tmp_path: Path) -> None:
    binaries = tmp_path / "bin"
    binaries.mkdir()
    program = binaries / "initdb"
    program.write_text("#!/bin/sh\necho first >&2\necho 'the disk is full' >&2\nexit 3\n", encoding="utf-8")
    program.chmod(0o755)
    (tmp_path / "secret").write_text("x", encoding="utf-8")
    with pytest.raises(DatabaseError, match="initdb failed: the disk is full"):
        server.prepare(tmp_path / "data", binaries=binaries, password_file=tmp_path / "secret")
    assert not (tmp_path / "data").exists()


def test_the_command_is_the_same_whatever_the_order_of_settings() -> None:
    one = server.command(Path("/d"), binaries=Path("/b"), host="0.0.0.0", port=1, settings=["b=2", "a=1"])
    assert one == [
        *("/b/postgres", "-D", "/d", "-p", "1", "-c", "listen_addresses=0.0.0.0", "-c", "unix_socket_directories="),
        *("-c", "a=1", "-c", "b=2"),
    ]
