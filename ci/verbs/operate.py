"""`logs` and `restart`."""

from __future__ import annotations

import time
from pathlib import Path

from ci.cli import Options, emit
from infra.environment import Environment
from infra.provider import health
from infra.provider.supervisor import Supervisor
from leandata.errors import LeandataError

_POLL_SECONDS = 0.3


def logs(options: Options) -> int:
    """Show the last lines of each log, and with --follow what comes."""
    environment = Environment.current()
    supervisor = Supervisor(environment.state)
    chosen = matching(_logged(environment), options.service)
    count = int(options.lines) if options.lines.isdecimal() else 40
    last = {name: health.last_lines(supervisor.log_path(name), count=count) for name in chosen}
    if options.json:
        emit({"logs": last})
        return 0
    width = max(map(len, chosen))
    for name in chosen:
        for line in last[name]:
            print(f"{name:<{width}} | {line}")
    if options.follow:
        _follow({name: supervisor.log_path(name) for name in chosen}, width=width)
    return 0


def restart(options: Options) -> int:
    """Restart the processes of a service, and wait until they are healthy."""
    environment = Environment.current()
    supervisor = Supervisor(environment.state)
    if not supervisor.alive():
        raise LeandataError("nothing runs", where=str(environment.state), hint="Run `make deploy`")
    chosen = matching(supervisor.names(), options.service)
    for name in chosen:
        started = time.monotonic()
        supervisor.restart(name)
        specification = supervisor.specification(name) or {}
        timeout = specification.get("start_timeout", 60.0)
        good = health.wait(specification.get("health", {"kind": "running"}), alive=lambda: True, timeout=timeout)
        if not good:
            said = " | ".join(health.last_lines(supervisor.log_path(name)))
            raise LeandataError(f"{name} is not healthy after its restart; its log ends: {said}")
        if not options.json:
            print(f"{name} restarted ({time.monotonic() - started:.1f}s)")
    if options.json:
        emit({"restarted": chosen})
    return 0


def matching(names: list[str], asked: str) -> list[str]:
    """The processes of that name, or of the service of that name; all when none is asked for."""
    chosen = [name for name in names if not asked or name == asked or name.startswith(f"{asked}-")]
    if not chosen:
        raise LeandataError(f"no service {asked!r}", hint=f"SERVICE is one of: {', '.join(names) or 'none yet'}")
    return chosen


def _logged(environment: Environment) -> list[str]:
    return sorted(path.stem for path in (environment.state / "logs").glob("*.log"))


def _follow(paths: dict[str, Path], *, width: int) -> None:
    places = {name: path.stat().st_size if path.exists() else 0 for name, path in paths.items()}
    while True:
        for name, path in paths.items():
            size = path.stat().st_size if path.exists() else 0
            if size < places[name]:
                places[name] = 0
            if size > places[name]:
                with path.open("rb") as log:
                    log.seek(places[name])
                    text = log.read().decode("utf-8", errors="replace")
                places[name] = size
                for line in text.splitlines():
                    print(f"{name:<{width}} | {line}", flush=True)
        time.sleep(_POLL_SECONDS)
