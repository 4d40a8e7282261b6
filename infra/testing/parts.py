"""Start real parts: PostgreSQL, the stand-in warehouse, the mail catcher."""

from __future__ import annotations

import contextlib
import json
import os
import random
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import psutil

from infra.components.functions import Function, functions
from infra.environment import ROOT
from infra.provider import health
from infra.provider.kinds.base import World
from infra.provider.kinds.files import write
from infra.provider.kinds.postgres import PostgresCluster, PostgresDatabase, PostgresGrants, PostgresRole
from infra.provider.postgres_binaries import find_pg_bin, unprivileged
from leandata.settings import DatabaseAddress, WarehouseAddress

Found = TypeVar("Found")
STANDIN_PYTHON = ROOT / "infra" / "standins" / "snowflake" / ".venv" / "bin" / "python"
LAUNCHER = ROOT / "infra" / "standins" / "snowflake" / "launcher.py"


def free_port(*, count: int = 1) -> int:
    """The first of `count` ports of loopback in a row that nobody listens on now.

    Below the range that outgoing connections take theirs from: there, a health check could meet itself.
    """
    while True:
        first = random.randrange(20_000, 32_000)
        if all(health.free(first + offset) for offset in range(count)):
            return first


def eventually(find: Callable[[], Found], *, seconds: float = 20.0) -> Found:
    """What `find` gives as soon as it is true. Raises AssertionError when it is not within `seconds`."""
    deadline = time.monotonic() + seconds
    while not (found := find()):
        assert time.monotonic() < deadline, f"not within {seconds:.0f} s"
        time.sleep(0.05)
    return found


def kill_tree(process: int) -> None:
    """End a process and all that came from it at once, as a power cut would."""
    first = psutil.Process(process)
    ended = [first, *first.children(recursive=True)]
    for one in ended:
        with contextlib.suppress(psutil.NoSuchProcess):
            one.kill()
    psutil.wait_procs(ended, timeout=30)


@contextlib.contextmanager
def running(
    command: Sequence[str],
    *,
    ready: Callable[[], bool],
    log: Path,
    seconds: float = 60.0,
    stop: signal.Signals = signal.SIGTERM,
) -> Generator[subprocess.Popen[bytes]]:
    """A process that is ready; it is ended at the end, gently first."""
    environ = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    with log.open("ab") as output:
        process = subprocess.Popen(
            command, stdout=output, stderr=output, stdin=subprocess.DEVNULL, env=environ, cwd=ROOT
        )
    try:
        deadline = time.monotonic() + seconds
        while not ready():
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{command[0]} does not start: {' | '.join(health.last_lines(log))}")
            time.sleep(0.05)
        yield process
    finally:
        process.send_signal(stop)
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@dataclass(slots=True)
class Postgres:
    """A real server; `process` is replaced when it is killed and started again."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes] | None = None
    _stack: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)

    @property
    def server(self) -> dict[str, Any]:
        """How the provider reaches it."""
        password = str(self.folder / "superuser")
        return {"host": "127.0.0.1", "port": self.port, "user": "postgres", "password_file": password}

    @property
    def world(self) -> World:
        return World(state=self.folder)

    def start(self) -> None:
        """Start the server on its data folder."""
        data, binaries = self.folder / "data", find_pg_bin()
        options = ["-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=", "-c", "fsync=on"]
        command = [
            *unprivileged(data, binaries).prefix,
            *(str(binaries / "postgres"), "-D", str(data), "-p", str(self.port)),
            *options,
        ]
        ready = lambda: health.accepts(self.port)  # noqa: E731
        log = self.folder / "postgres.log"
        self.process = self._stack.enter_context(running(command, ready=ready, log=log, stop=signal.SIGINT))

    def kill(self) -> None:
        """End the server as a power cut would, sessions too: one that is left keeps the next server out."""
        assert self.process is not None
        sessions = psutil.Process(self.process.pid).children(recursive=True)
        self.process.kill()
        self.process.wait()
        psutil.wait_procs(sessions, timeout=30)
        (self.folder / "data" / "postmaster.pid").unlink(missing_ok=True)

    def stop(self) -> None:
        """End the server for good."""
        self._stack.close()

    def database(self, name: str, *, owner: str) -> DatabaseAddress:
        """A database of that name, with its owner; the owner's address."""
        secret = self._role(owner)
        PostgresDatabase().create(self.world, {"name": name, "server": self.server, "owner": owner})
        return self._address(owner, name, secret)

    def reader(self, role: str, *, database: str, schema: str, owner: str) -> DatabaseAddress:
        """A read-only role; its address."""
        secret = self._role(role, settings={"default_transaction_read_only": "on", "statement_timeout": "30000ms"})
        inputs = {"server": self.server, "database": database, "schema": schema, "role": role, "owner": owner}
        PostgresGrants().create(self.world, inputs)
        return self._address(role, database, secret)

    def _role(self, name: str, *, settings: dict[str, str] | None = None) -> Path:
        secret = self.folder / f"role-{name}"
        if not secret.exists():
            write(secret, secrets.token_urlsafe(16), mode=0o600)
        inputs = {"name": name, "server": self.server, "role_password_file": str(secret), "settings": settings or {}}
        PostgresRole().create(self.world, inputs)
        return secret

    def _address(self, user: str, database: str, secret: Path) -> DatabaseAddress:
        return DatabaseAddress(host="127.0.0.1", port=self.port, user=user, database=database, password_file=secret)


@contextlib.contextmanager
def postgres(folder: Path) -> Generator[Postgres]:
    """A new server under `folder`."""
    folder.chmod(0o755)
    write(folder / "superuser", secrets.token_urlsafe(16), mode=0o600)
    found = Postgres(folder=folder, port=free_port())
    inputs = {"path": str(folder / "data"), "password_file": str(folder / "superuser")}
    PostgresCluster().create(found.world, inputs)
    found.start()
    try:
        yield found
    finally:
        found.stop()


@dataclass(slots=True)
class Warehouse:
    """The stand-in warehouse as a process that can be killed and started again."""

    folder: Path
    port: int
    functions: tuple[Function, ...] = field(default_factory=lambda: functions(ROOT))
    answer_within: float = 40
    process: subprocess.Popen[bytes] | None = None
    _stack: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)

    @property
    def address(self) -> WarehouseAddress:
        return WarehouseAddress.parse(self.url)

    @property
    def url(self) -> str:
        return f"snowflake://test@fakesnow?host=127.0.0.1&port={self.port}&protocol=http"

    def start(self) -> None:
        """Start it on its data, with its functions."""
        said = json.dumps([one.plain() for one in self.functions])
        command = [str(STANDIN_PYTHON), str(LAUNCHER), "--port", str(self.port), "--data", str(self.folder / "data")]
        command += ["--functions", said, "--answer-within", str(self.answer_within)]
        ready = {"kind": "http", "url": f"http://127.0.0.1:{self.port}/healthz", "port": 0}
        log = self.folder / "warehouse.log"
        self.process = self._stack.enter_context(running(command, ready=lambda: health.healthy(ready), log=log))

    def kill(self) -> None:
        """End it as a power cut would."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        """End it for good."""
        self._stack.close()


@contextlib.contextmanager
def warehouse(folder: Path, *, zones: dict[str, str] | None = None) -> Generator[Warehouse]:
    """A new stand-in under `folder`, with our databases, schemas and stages when `zones` are given."""
    from infra.components.warehouse import LAYOUT
    from leandata.warehouse import Warehouse as Client

    found = Warehouse(folder=folder, port=free_port())
    found.start()
    try:
        with Client.connect(found.address) as client:
            for database in LAYOUT if zones else ():
                client.execute(f"CREATE DATABASE IF NOT EXISTS {database.name}")
                for schema in database.schemas:
                    client.execute(f"CREATE SCHEMA IF NOT EXISTS {database.name}.{schema}")
                if database.stage_zone and zones:
                    url = f"{zones[database.stage_zone]}/"
                    client.execute(f"CREATE OR REPLACE STAGE {database.name}.LAKE.FILES URL = '{url}'")
        yield found
    finally:
        found.stop()


@dataclass(frozen=True, kw_only=True, slots=True)
class MailCatcher:
    """A running mail catcher: where it takes mail, where it shows it, where it keeps it."""

    smtp_port: int
    http_port: int
    folder: Path


@contextlib.contextmanager
def mail_catcher(folder: Path) -> Generator[MailCatcher]:
    """A new mail catcher that keeps its mails under `folder`."""
    found = MailCatcher(smtp_port=free_port(), http_port=free_port(), folder=folder / "mail")
    command = [
        *(sys.executable, "-m", "infra.standins.mail", "--data", str(found.folder)),
        *("--smtp-port", str(found.smtp_port), "--http-port", str(found.http_port)),
    ]
    ready = {"kind": "http", "url": f"http://127.0.0.1:{found.http_port}/healthz", "port": 0}
    with running(command, ready=lambda: health.healthy(ready), log=folder / "mail.log"):
        yield found
