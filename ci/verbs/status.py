"""`status`: what runs, how healthy it is, how fresh the data is; quick, so that people look often."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any

from ci.cli import Options, emit
from infra.environment import Environment
from infra.provider import health
from infra.provider.supervisor import ProcessStatus, Supervisor
from infra.units import format_size
from leandata.datasets import CATALOG
from leandata.errors import LeandataError

_HEALTH_SECONDS = 1.0
_AGAIN_SECONDS = 2.0
_MARTS = tuple(sorted(name for name, one in CATALOG.items() if one.layer == "MARTS" and name.startswith("sales.")))
"""What the first run of the pipelines publishes; models and what they say come later, or never where none is good."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One process: `memory` is bytes that are its own (PSS, with its children), `since` epoch seconds."""

    name: str
    state: str
    healthy: bool
    address: str
    since: float
    memory: int


def status(options: Options) -> int:
    """Show all processes and the published data; 1 when something is not healthy, or not there after the --wait."""
    if options.wait and not options.wait.isdecimal():
        raise LeandataError(f"{options.wait!r} is no number of seconds", hint="WAIT=900")
    environment = Environment.current()
    if options.wait:
        rows, published, lacking = awaited(lambda: look(environment), seconds=int(options.wait))
    else:
        (rows, published), lacking = look(environment), []
    good = bool(rows) and all(one.healthy for one in rows) and not lacking
    if options.json:
        emit({"ok": good, "services": [asdict(one) for one in rows], "datasets": published})
    elif not rows:
        print(f"Nothing is deployed in {environment.state}. `make deploy` does it.")
    else:
        _show(rows, published)
    if lacking:
        print(f"error: after {options.wait}s there is still missing: {', '.join(lacking)}", file=sys.stderr)
    return 0 if good else 1


def awaited(
    looking: Callable[[], tuple[list[Row], list[dict[str, Any]]]], *, seconds: float, pause: float = _AGAIN_SECONDS
) -> tuple[list[Row], list[dict[str, Any]], list[str]]:
    """Look until nothing is missing, for so long at most: what was seen last, and what was missing from it.

    Says on standard error what is waited for, whenever that changes. Where nothing is deployed, nothing is waited for.
    """
    until = time.monotonic() + seconds
    said: list[str] = []
    while True:
        rows, published = looking()
        lacking = missing(rows, (one["dataset"] for one in published)) if rows else []
        if not lacking or time.monotonic() >= until:
            return rows, published, lacking
        if lacking != said:
            print(f"waiting for {', '.join(lacking)}", file=sys.stderr, flush=True)
            said = lacking
        time.sleep(pause)


def look(environment: Environment) -> tuple[list[Row], list[dict[str, Any]]]:
    """All processes, and what is published."""
    supervisor = Supervisor(environment.state)
    known = supervisor.names()
    found = {process.name: process for process in supervisor.status()}
    with ThreadPoolExecutor(max_workers=12) as pool:
        fresh = pool.submit(freshness, environment)
        rows = list(pool.map(lambda name: row(environment, supervisor, name, found.get(name)), known))
        return rows, fresh.result()


def missing(rows: Collection[Row], published: Iterable[str]) -> list[str]:
    """The processes that are not healthy, and the marts of sales that are not published."""
    return [one.name for one in rows if not one.healthy] + sorted(set(_MARTS) - set(published))


def row(environment: Environment, supervisor: Supervisor, name: str, process: ProcessStatus | None) -> Row:
    """What is known of one process."""
    specification = supervisor.specification(name) or {}
    asked = specification.get("health", {"kind": "running"})
    running = process is not None and process.state == "RUNNING"
    port = environment.file.ports.offsets.get(name)
    return Row(
        name=name,
        state=process.state.lower() if process else "stopped",
        healthy=running and health.healthy(asked, timeout=_HEALTH_SECONDS),
        address=f"127.0.0.1:{environment.port(name)}" if port is not None else "",
        since=process.since if process else 0.0,
        memory=memory(process.pid) if process and process.pid else 0,
    )


def memory(pid: int) -> int:
    """Bytes of memory of a process and its children, shared pages divided among those who share them (PSS)."""
    import psutil

    total = 0
    try:
        root = psutil.Process(pid)
        for process in [root, *root.children(recursive=True)]:
            total += process.memory_full_info().pss
    except (psutil.Error, AttributeError):
        return total
    return total


def freshness(environment: Environment) -> list[dict[str, Any]]:
    """What is published; nothing when the serving database does not answer."""
    from ci.bootstrap import pulumi_path
    from ci.engine import Engine

    address = Engine(environment=environment, pulumi=pulumi_path()).outputs("database").get("serving_reader")
    if not address or not health.accepts(environment.port("postgres"), timeout=0.3):
        return []
    from leandata import serving
    from leandata.database import connect
    from leandata.errors import DatabaseError
    from leandata.settings import DatabaseAddress

    try:
        with connect(DatabaseAddress.parse(address)) as connection:
            return [asdict(found) for found in serving.freshness(connection)]
    except DatabaseError:
        return []


def age(seconds: float) -> str:
    """Seconds for people: "45s", "12m", "3h", "2d"."""
    for size, unit in ((86400, "d"), (3600, "h"), (60, "m")):
        if seconds >= size:
            return f"{seconds / size:.0f}{unit}"
    return f"{seconds:.0f}s"


def _show(rows: list[Row], published: list[dict[str, Any]]) -> None:
    print(f"{'service':<22} {'state':<10} {'healthy':<8} {'for':<6} {'memory':<10} address")
    for one in rows:
        lasted = age(time.time() - one.since) if one.since and one.state == "running" else ""
        print(
            f"{one.name:<22} {one.state:<10} {'yes' if one.healthy else 'NO':<8} {lasted:<6}"
            f" {format_size(one.memory):<10} {one.address}"
        )
    print(f"{'':<48} {format_size(sum(one.memory for one in rows)):<10} in all")
    if published:
        print(f"\n{'dataset':<28} {'data until':<12} {'rows':>8}  published")
        for found in published:
            moment = f"{found['published_at']:%Y-%m-%d %H:%M} UTC"
            print(f"{found['dataset']:<28} {found['data_until']!s:<12} {found['rows']:>8}  {moment}")
    else:
        print("\nNo data is published yet.")
