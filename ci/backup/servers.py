"""Servers for the time of a restore, each on a free port of loopback, on the very data that is being restored."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ci.backup.databases import Server
from ci.backup.manifest import BackupError
from infra.provider import health
from infra.provider.kinds.base import World
from infra.provider.kinds.postgres import IDENTITY, PostgresCluster
from infra.provider.postgres_binaries import find_pg_bin, unprivileged
from leandata.settings import WarehouseAddress
from leandata.warehouse import Warehouse

_READY_SECONDS = 60.0
_STOP_SECONDS = 60.0


@contextmanager
def postgres(data: Path, *, password_file: Path, log: Path) -> Generator[Server]:
    """The server on the folder `data`, which is made when it is missing; stopped cleanly at the end."""
    PostgresCluster().create(World(state=data.parent), {"path": str(data), "password_file": str(password_file)})
    (data / "postmaster.pid").unlink(missing_ok=True)
    binaries, port = find_pg_bin(), free_port()
    command = [
        *unprivileged(data, binaries).prefix,
        *(str(binaries / "postgres"), "-D", str(data), "-p", str(port)),
        *("-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="),
    ]
    asked = [str(binaries / "pg_isready"), "--host=127.0.0.1", f"--port={port}"]
    ready = lambda: subprocess.run(asked, cwd="/", capture_output=True, check=False).returncode == 0  # noqa: E731
    with _running(command, ready=ready, log=log, stop=signal.SIGINT):
        yield Server(host="127.0.0.1", port=port, password_file=password_file)


def startable(data: Path) -> bool:
    """Whether `data` looks like a whole data folder of ours: one that is not would be made anew."""
    return all((data / name).exists() for name in ("PG_VERSION", IDENTITY, "global/pg_control"))


@contextmanager
def warehouse(root: Path, data: Path, *, log: Path) -> Generator[Warehouse]:
    """A client of the stand-in on the folder `data`; both are ended at the end."""
    standin, port = root / "infra" / "standins" / "snowflake", free_port()
    python, launcher = standin / ".venv" / "bin" / "python", standin / "launcher.py"
    command = [str(python), str(launcher), "--port", str(port), "--data", str(data)]
    asked = {"kind": "http", "url": f"http://127.0.0.1:{port}/healthz", "port": 0}
    address = WarehouseAddress.parse(f"snowflake://leandata@fakesnow?host=127.0.0.1&port={port}&protocol=http")
    with (
        _running(command, ready=lambda: health.healthy(asked), log=log, stop=signal.SIGTERM),
        Warehouse.connect(address) as client,
    ):
        yield client


def free_port(*, count: int = 1) -> int:
    """The first of `count` ports in a row that nobody listens on now, below those that outgoing connections take."""
    for first in range(26_000, 32_000, max(count, 7)):
        if all(health.free(first + offset) for offset in range(count)):
            return first
    raise BackupError("no port is free between 26000 and 32000")


@contextmanager
def _running(
    command: Sequence[str], *, ready: Callable[[], bool], log: Path, stop: signal.Signals
) -> Generator[subprocess.Popen[bytes]]:
    with log.open("ab") as output:
        process = subprocess.Popen(command, cwd="/", stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    try:
        deadline = time.monotonic() + _READY_SECONDS
        while not ready():
            if process.poll() is not None or time.monotonic() > deadline:
                said = " | ".join(health.last_lines(log)) or "it said nothing"
                raise BackupError(f"{Path(command[-1]).name or command[0]} does not start: {said}", where=str(log))
            time.sleep(0.05)
        yield process
    finally:
        process.send_signal(stop)
        try:
            process.wait(timeout=_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
