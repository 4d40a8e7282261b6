"""Supervised processes, and commands that run to their end."""

from __future__ import annotations

import os
import pwd
import signal
import subprocess
import time
from typing import Any, ClassVar

from infra.provider import health
from infra.provider.kinds import shapes
from infra.provider.kinds.base import HalfMadeError, Kind, Made, Properties, ProviderError, World, unknown
from infra.provider.kinds.shapes import Shape
from infra.provider.supervisor import Supervisor

_SPECIFIED = (
    "name", "command", "env", "secret_files", "directory", "health", "start_timeout", "memory_limit", "log_max_bytes",
    "log_backups", "restart", "stop_signal", "stop_group", "stop_timeout", "priority", "triggers",
)  # fmt: skip
_DYING = ("BACKOFF", "FATAL", "EXITED", "STOPPED", "UNKNOWN")
_CRASHES_BEFORE_GIVING_UP = 3
_POLL_SECONDS = 0.1
_ASKED, _ASKING_SECONDS = 3, 5.0


_COMMON_SHAPES: dict[str, Shape] = {
    "name": shapes.text,
    "command": shapes.command,
    "env": shapes.texts,
    "secret_files": shapes.paths,
    "directory": shapes.path,
    "triggers": shapes.texts,
}


class Process(Kind):
    """A process under supervisord. It is made when it is healthy; drift is a process that is gone or edited."""

    shapes: ClassVar[dict[str, Shape]] = {
        **_COMMON_SHAPES,
        "user": shapes.any_text,
        "health": shapes.health,
        "start_timeout": shapes.seconds,
        "memory_limit": shapes.count,
        "log_max_bytes": shapes.count,
        "log_backups": shapes.count,
        "restart": shapes.one_of(("always", "never", "on-failure")),
        "stop_signal": shapes.one_of(("HUP", "INT", "KILL", "QUIT", "TERM", "USR1", "USR2")),
        "stop_group": shapes.flag,
        "stop_timeout": shapes.seconds,
        "priority": shapes.count,
    }
    optional: ClassVar[frozenset[str]] = frozenset({"user"})
    replaced_by: ClassVar[dict[str, str]] = {"name": "a process is known by its name"}
    healthy: ClassVar[dict[str, Any]] = {"definition": "ours", "state": "running"}

    def check(self, inputs: Properties) -> list[str]:
        return super().check(inputs) + _user_problems(inputs.get("user", ""))

    def create(self, world: World, inputs: Properties) -> Made:
        specification = {name: inputs[name] for name in _SPECIFIED} | {"user": inputs.get("user", "")}
        supervisor, name = world.supervisor, inputs["name"]
        supervisor.ensure()
        same = supervisor.specification(name) == specification and supervisor.intact(name)
        if same and _state(supervisor, specification) in ("running", "starting"):
            return self._wait(supervisor, inputs)
        self._demand_port(supervisor, inputs)
        supervisor.put(specification)
        return self._wait(supervisor, inputs)

    def read(self, world: World, id_: str, properties: Properties) -> Properties | None:
        specification = world.supervisor.specification(id_)
        if specification is None:
            return None
        edited = {} if world.supervisor.intact(id_) else {"definition": "edited"}
        return {**properties, **specification, **edited, "state": _state(world.supervisor, specification)}

    def delete(self, world: World, id_: str, properties: Properties) -> None:
        del properties
        world.supervisor.remove(id_)

    @staticmethod
    def _wait(supervisor: Supervisor, inputs: Properties) -> Made:
        """Wait until the process is healthy; one that only has to run must stay up for a second."""
        name, asked = inputs["name"], inputs["health"]
        crashes: set[float] = set()
        deadline = time.monotonic() + inputs["start_timeout"]
        while time.monotonic() < deadline and len(crashes) < _CRASHES_BEFORE_GIVING_UP:
            status = supervisor.one(name)
            if status is not None and status.state in _DYING:
                crashes.add(status.since)
            elif (
                status is not None
                and (status.state == "RUNNING" or asked["kind"] != "running")
                and health.healthy(asked, timeout=max(0.5, deadline - time.monotonic()))
            ):
                return Made(id=name, properties={**inputs, "state": "running"})
            time.sleep(_POLL_SECONDS)
        what = "keeps ending" if crashes else f"is not healthy after {inputs['start_timeout']:.0f}s"
        said = " | ".join(health.last_lines(supervisor.log_path(name))) or "it said nothing"
        reason = f"the process {name} {what}; its log ends: {said}"
        raise HalfMadeError(name, {**inputs, "state": "unhealthy"}, reason)

    @staticmethod
    def _demand_port(supervisor: Supervisor, inputs: Properties) -> None:
        port = health.port_of(inputs["health"])
        if supervisor.one(inputs["name"]) is not None or not port or not health.accepts(port):
            return
        by = health.holder(port)
        raise ProviderError(
            f"{inputs['name']} cannot start: port {port} is taken by {by}",
            hint="End it, or deploy with another PORT_BASE",
        )


class Job(Kind):
    """A command that ran to its end. It runs again by `update`; there is nothing to remove.

    `leaves` names relations that it makes in the database at an address: while one of them is gone, it is to run again.
    """

    shapes: ClassVar[dict[str, Shape]] = {**_COMMON_SHAPES, "timeout": shapes.seconds, "leaves": shapes.left}
    optional: ClassVar[frozenset[str]] = frozenset({"leaves"})
    healthy: ClassVar[dict[str, Any]] = {"missing": []}
    replaced_by: ClassVar[dict[str, str]] = {"name": "a job is known by its name"}

    def create(self, world: World, inputs: Properties) -> Made:
        name = inputs["name"]
        log = world.supervisor.log_path(name)
        log.parent.mkdir(parents=True, exist_ok=True)
        (world.state / "run" / "home").mkdir(parents=True, exist_ok=True)
        environ = world.supervisor.environment(inputs)
        with log.open("ab") as output:
            process = subprocess.Popen(
                inputs["command"], cwd=inputs["directory"], env=environ, stdin=subprocess.DEVNULL,
                stdout=output, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
            code = _wait_for(process, timeout=inputs["timeout"])
        if code != 0:
            said = " | ".join(health.last_lines(log)) or "it said nothing"
            ended = f"took longer than {inputs['timeout']:.0f}s" if code is None else f"ended with code {code}"
            raise ProviderError(f"the job {name} {ended}; its log ends: {said}", where=str(log))
        return Made(id=name, properties=inputs)

    def read(self, world: World, id_: str, properties: Properties) -> Properties | None:
        del world, id_
        missing = _missing(properties.get("leaves") or {})
        return {**properties, **({"missing": missing} if missing else {})} or None

    def delete(self, world: World, id_: str, properties: Properties) -> None:
        del world, id_, properties


def _user_problems(user: Any) -> list[str]:
    if not user or unknown(user) or not isinstance(user, str):
        return []
    try:
        found = pwd.getpwnam(user)
    except KeyError:
        return [f"user {user!r} is nobody on this machine"]
    if os.geteuid() not in (0, found.pw_uid):
        return [f"only root starts a process as another user ({user})"]
    return []


def _state(supervisor: Supervisor, specification: Properties) -> str:
    """What a process does: running and well, starting (up, and still within its time), unhealthy, or stopped.

    One that is up longer than it may take to start is asked three times for up to 5 seconds before it is called ill.
    """
    for attempt in range(_ASKED):
        status = supervisor.one(specification["name"])
        if status is None or status.state not in ("RUNNING", "STARTING"):
            return "stopped"
        if health.healthy(specification["health"], timeout=_ASKING_SECONDS):
            return "running"
        if time.time() - status.since < specification["start_timeout"]:
            return "starting"
        time.sleep(_POLL_SECONDS if attempt + 1 < _ASKED else 0)
    return "unhealthy"


def _missing(leaves: Properties) -> list[str]:
    """The relations that are gone; none while their database cannot be reached, for that is the drift then."""
    from leandata.database import connect
    from leandata.errors import LeandataError
    from leandata.settings import DatabaseAddress

    if not leaves:
        return []
    try:
        with connect(DatabaseAddress.parse(leaves["address"])) as connection:
            rows = {
                name: connection.execute("SELECT to_regclass(%s)", [name]).fetchone() for name in leaves["relations"]
            }
    except LeandataError:
        return []
    return sorted(name for name, row in rows.items() if row is None or row[0] is None)


def _wait_for(process: subprocess.Popen[Any], *, timeout: float) -> int | None:
    try:
        return process.wait(timeout=timeout)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return None
