"""What must be true before anything is changed."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from infra.environment import Environment
from infra.provider import health
from infra.provider.supervisor import Supervisor
from infra.units import format_size
from leandata.errors import LeandataError

_FREE_BYTES = 2 * 2**30


def demand(environment: Environment) -> None:
    """Raises LeandataError for the first thing that stands in the way: folder; on one machine disk and ports."""
    _folder(environment.state)
    free = int(os.environ.get("LEANDATA_FREE_BYTES") or _FREE_BYTES)
    if environment.has("kubernetes"):
        return
    space(shutil.disk_usage(environment.state).free, needed=free, place=environment.state)
    _ports(environment)


def space(free: int, *, needed: int, place: Path) -> None:
    """Raises LeandataError when fewer bytes are free than needed."""
    if free < needed:
        raise LeandataError(
            f"only {format_size(free)} of disk space is free, {format_size(needed)} are needed",
            where=str(place),
            hint="Free some, or put the state elsewhere with LEANDATA_STATE",
        )


def taken(ports: Mapping[str, int], *, ours: Iterable[int]) -> list[str]:
    """A sentence for each port that a process of somebody else holds, by name. `ours` are process ids."""
    import psutil

    mine = set(ours)
    listening = {
        connection.laddr.port: connection.pid
        for connection in psutil.net_connections(kind="tcp")
        if connection.status == psutil.CONN_LISTEN and connection.laddr
    }
    return [
        f"port {port} of {name} is taken by {health.holder(port)}"
        for name, port in sorted(ports.items())
        if port in listening and listening[port] not in mine
    ]


def _ports(environment: Environment) -> None:
    ports = {name: environment.port(name) for name in environment.file.ports.offsets}
    if not any(health.accepts(port, timeout=0.2) for port in ports.values()):
        return
    ours = [process.pid for process in Supervisor(environment.state).marked()]
    problems = taken(ports, ours=ours)
    if problems:
        raise LeandataError(problems[0], hint="End it, or deploy with another base: PORT_BASE=17400 make deploy")


def _folder(state: Path) -> None:
    try:
        state.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=state):
            pass
    except OSError as error:
        hint = "Give yourself the right to write there, or set LEANDATA_STATE"
        raise LeandataError(
            f"the state folder cannot be written: {error.strerror}", where=str(state), hint=hint
        ) from error
