"""Whether a process works, who holds a port, and what a log said last."""

from __future__ import annotations

import http.client
import socket
import time
import urllib.parse
from collections.abc import Callable
from pathlib import Path
from typing import Any

_OK = 200
_POLL_SECONDS = 0.1


def healthy(health: dict[str, Any], *, timeout: float = 5.0) -> bool:
    """Whether the address answers 200, or the port accepts; a process that only has to run is taken as healthy."""
    if health["kind"] == "http":
        return _answers(health["url"], timeout=timeout)
    if health["kind"] == "tcp":
        return accepts(int(health["port"]), timeout=timeout)
    return True


def accepts(port: int, *, timeout: float = 1.0) -> bool:
    """Whether something on loopback accepts connections at `port`."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=timeout):
            return True
    except OSError:
        return False


def free(port: int) -> bool:
    """Whether somebody could listen on the port of loopback now."""
    with socket.socket() as listener:
        try:
            listener.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def wait(health: dict[str, Any], *, alive: Callable[[], bool], timeout: float) -> bool:
    """Wait until `health` is seen; False when `timeout` seconds pass or the process is no longer `alive`."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        if healthy(health, timeout=max(0.5, deadline - time.monotonic())):
            return True
        if not alive():
            return False
        time.sleep(_POLL_SECONDS)
    return False


def port_of(health: dict[str, Any]) -> int:
    """The port that the health check asks; 0 when it asks none."""
    if health["kind"] == "http":
        return urllib.parse.urlsplit(health["url"]).port or 0
    return int(health["port"])


def holder(port: int) -> str:
    """Who listens on `port`, for a person: "python -m http.server (pid 123)"; "" when nobody does."""
    import psutil

    for connection in psutil.net_connections(kind="tcp"):
        if connection.status == psutil.CONN_LISTEN and connection.laddr and connection.laddr.port == port:
            if connection.pid is None:
                return "a process of another user"
            try:
                command = " ".join(psutil.Process(connection.pid).cmdline())
            except psutil.Error:
                command = "a process"
            return f"{command[:80]} (pid {connection.pid})"
    return "another process" if accepts(port) else ""


def last_lines(path: Path, *, count: int = 5) -> list[str]:
    """The last lines of a log that say something."""
    try:
        with path.open("rb") as log:
            log.seek(max(0, path.stat().st_size - 8192))
            lines = log.read().decode("utf-8", errors="replace").splitlines()
    except OSError:
        return []
    return [line.strip()[:300] for line in lines if line.strip()][-count:]


def _answers(url: str, *, timeout: float) -> bool:
    parts = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "127.0.0.1", parts.port or 80, timeout=timeout)
    try:
        connection.request("GET", parts.path or "/")
        return connection.getresponse().status == _OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
