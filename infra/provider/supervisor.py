"""The environment's supervisord: it starts, restarts and stops processes, and outlives the command that made them.

Everything lies under `<state>/run`: supervisord.conf, supervisor.sock, and for each process under processes/ its
section (.conf), its start script (.sh, mode 0700) and its specification (.json).
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import pwd
import shlex
import shutil
import subprocess
import sys
import time
import xmlrpc.client
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infra.provider.rpc import Transport, bindable
from leandata.errors import LeandataError

MARKER = "LEANDATA_MARKER"
_START_SECONDS = 15.0

_CONFIGURATION = """\
[unix_http_server]
file={socket}
chmod=0700

[supervisord]
nodaemon=true
silent=true
logfile=supervisord.log
logfile_maxbytes=1MB
logfile_backups=1
pidfile=supervisord.pid
childlogdir=.
minfds=1024
nocleanup=true

[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface

[include]
files=processes/*.conf
"""


class SupervisorError(LeandataError):
    """The supervisor cannot be started or does not answer."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ProcessStatus:
    """What supervisord says of one process: `state` in its words (RUNNING, BACKOFF ...), `since` in epoch seconds."""

    name: str
    state: str
    pid: int
    since: float
    exit_status: int


def marker(state: Path) -> str:
    """What every process of the environment with this state folder carries in its own environment."""
    return hashlib.sha256(str(state).encode()).hexdigest()[:16]


class Supervisor:
    """The supervisord of the environment whose state folder is `state`."""

    def __init__(self, state: Path) -> None:
        self._state = state
        self._run = state / "run"
        self._processes = self._run / "processes"

    # -- the daemon ------------------------------------------------------------------------------------------------

    def alive(self) -> bool:
        """Whether supervisord answers."""
        try:
            return self._call("getState")["statecode"] == 1
        except (OSError, xmlrpc.client.Error):
            return False

    def ensure(self) -> None:
        """Start supervisord unless it runs; first end what an earlier one, killed or rebooted away, left behind."""
        self._processes.mkdir(parents=True, exist_ok=True, mode=0o750)
        (self._run / "home").mkdir(exist_ok=True)
        (self._state / "logs").mkdir(exist_ok=True)
        with self._locked():
            if self.alive():
                return
            self.sweep()
            for name in self.names():
                self._write_down(self.specification(name) or {})
            self._launch()

    def shutdown(self) -> None:
        """Stop every process and supervisord itself; nothing that carries the marker is left."""
        if self.alive():
            self.stop_all()
            with contextlib.suppress(OSError, xmlrpc.client.Error):
                self._call("shutdown")
            self._wait_until_gone()
        self.sweep()

    def sweep(self) -> list[int]:
        """End every process that carries this environment's marker; their process ids."""
        import psutil

        mine = self.marked()
        for process in mine:
            with contextlib.suppress(psutil.Error):
                process.terminate()
        _, stubborn = psutil.wait_procs(mine, timeout=5)
        for process in stubborn:
            with contextlib.suppress(psutil.Error):
                process.kill()
        psutil.wait_procs(stubborn, timeout=5)
        return sorted(process.pid for process in mine)

    def marked(self) -> list[Any]:
        """The running processes (psutil) that carry this environment's marker."""
        import psutil

        found: list[Any] = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error, OSError):
                if process.pid != os.getpid() and process.environ().get(MARKER) == marker(self._state):
                    found.append(process)
        return found

    # -- processes -------------------------------------------------------------------------------------------------

    def put(self, specification: dict[str, Any]) -> None:
        """Write a process down and (re)start it by its new specification; see `infra.provider.resources.Process`."""
        self.ensure()
        name = specification["name"]
        self._forget(name)
        self._write_down(specification)
        self._call("reloadConfig")
        with contextlib.suppress(xmlrpc.client.Fault):
            self._call("addProcessGroup", name)

    def remove(self, name: str) -> None:
        """Stop a process and forget it; its log stays."""
        if self.alive():
            self._forget(name)
        for suffix in (".conf", ".sh", ".json"):
            (self._processes / f"{name}{suffix}").unlink(missing_ok=True)
        if self.alive():
            self._call("reloadConfig")

    def restart(self, name: str) -> None:
        """Stop and start one process. Raises SupervisorError when there is none of that name."""
        if name not in self.names():
            raise SupervisorError(f"no process {name!r}", hint=f"There are: {', '.join(self.names()) or 'none'}")
        with contextlib.suppress(xmlrpc.client.Fault):
            self._call("stopProcess", name, True)
        self._call("startProcess", name, False)

    def stop_all(self) -> None:
        """Stop every process, those that need others before those; supervisord itself goes on."""
        levels: dict[float, list[str]] = {}
        for name in self.names():
            levels.setdefault((self.specification(name) or {}).get("priority", 0), []).append(name)
        for _, names in sorted(levels.items(), reverse=True):
            for name in names:
                with contextlib.suppress(OSError, xmlrpc.client.Error):
                    self._call("stopProcess", name, False)
            while any(status.state == "STOPPING" for status in self.status()):
                time.sleep(0.05)

    def status(self) -> list[ProcessStatus]:
        """Every process, by name; empty when supervisord does not run."""
        try:
            found = self._call("getAllProcessInfo")
        except (OSError, xmlrpc.client.Error):
            return []
        return sorted((_status(info) for info in found), key=lambda status: status.name)

    def one(self, name: str) -> ProcessStatus | None:
        """The status of one process; None when supervisord does not know it."""
        try:
            return _status(self._call("getProcessInfo", name))
        except (OSError, xmlrpc.client.Error):
            return None

    def names(self) -> list[str]:
        """The processes that are written down, sorted."""
        return sorted(path.stem for path in self._processes.glob("*.json"))

    def specification(self, name: str) -> dict[str, Any] | None:
        """What the process was written down with; None when it is not."""
        try:
            return json.loads((self._processes / f"{name}.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None

    def intact(self, name: str) -> bool:
        """Whether the files that start the process are those that its specification makes; they may be edited."""
        specification = self.specification(name)
        if specification is None:
            return False
        wanted = self._files(specification)
        try:
            return all(path.read_text(encoding="utf-8") == text for path, text in wanted.items())
        except (OSError, ValueError):
            return False

    def environment(self, specification: dict[str, Any]) -> dict[str, str]:
        """The environment variables of a process: for commands that do once what the service does."""
        return environment(specification, marker=marker(self._state), home=self._run / "home")

    def log_path(self, name: str) -> Path:
        """Where the process' standard output and error go."""
        return self._state / "logs" / f"{name}.log"

    # -- inside ----------------------------------------------------------------------------------------------------

    def _call(self, method: str, *arguments: Any) -> Any:
        proxy = xmlrpc.client.ServerProxy("http://localhost", transport=Transport(self._run / "supervisor.sock"))
        with proxy:
            return getattr(proxy.supervisor, method)(*arguments)

    def _write_down(self, specification: dict[str, Any]) -> None:
        for path, text in self._files(specification).items():
            _write(path, text, mode=0o700 if path.suffix == ".sh" else 0o600)
        text = json.dumps(specification, indent=1, sort_keys=True)
        _write(self._processes / f"{specification['name']}.json", text, mode=0o600)

    def _files(self, specification: dict[str, Any]) -> dict[Path, str]:
        """What starts a process, by where it lies: the script, and supervisord's section."""
        script = self._processes / f"{specification['name']}.sh"
        started = start_script(specification, marker=marker(self._state), home=self._run / "home")
        return {script: started, script.with_suffix(".conf"): self._section(specification, script)}

    def _forget(self, name: str) -> None:
        with contextlib.suppress(xmlrpc.client.Fault):
            self._call("stopProcess", name, True)
        with contextlib.suppress(xmlrpc.client.Fault):
            self._call("removeProcessGroup", name)

    def _launch(self) -> None:
        log = self._run / "supervisord.out"
        environ = {MARKER: marker(self._state), "PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8"}
        command = [sys.executable, "-m", "supervisor.supervisord", "-n", "-c", "supervisord.conf"]
        with log.open("wb") as output, bindable(self._run / "supervisor.sock") as (address, folders):
            (self._run / "supervisord.conf").write_text(_CONFIGURATION.format(socket=address), encoding="utf-8")
            daemon = subprocess.Popen(
                command, cwd=self._run, env=environ, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                start_new_session=True, pass_fds=folders,
            )  # fmt: skip
        deadline = time.monotonic() + _START_SECONDS
        while not self.alive():
            if daemon.poll() is not None or time.monotonic() > deadline:
                lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
                said = lines[-1] if lines else "it said nothing"
                raise SupervisorError(f"supervisord does not start: {said}", where=str(log))
            time.sleep(0.05)
        daemon.returncode = 0  # it outlives us by design: Popen must not warn of it

    def _wait_until_gone(self) -> None:
        deadline = time.monotonic() + 30
        while self.alive() and time.monotonic() < deadline:
            time.sleep(0.05)

    def _section(self, specification: dict[str, Any], script: Path) -> str:
        restart = {"always": "true", "on-failure": "unexpected", "never": "false"}[specification["restart"]]
        group = str(bool(specification["stop_group"])).lower()
        options = {
            "command": f"/bin/sh processes/{script.name}",
            "autostart": "true",
            "autorestart": restart,
            "startsecs": "1",
            "startretries": "1000000",
            "stopsignal": specification["stop_signal"],
            "stopasgroup": group,
            "killasgroup": group,
            "stopwaitsecs": str(int(specification["stop_timeout"])),
            "priority": str(int(specification["priority"])),
            "redirect_stderr": "true",
            "stdout_logfile": f"../logs/{specification['name']}.log",
            "stdout_logfile_maxbytes": str(int(specification["log_max_bytes"])),
            "stdout_logfile_backups": str(int(specification["log_backups"])),
        }
        lines = [f"{key}={value}" for key, value in options.items()]
        return f"[program:{specification['name']}]\n" + "\n".join(lines) + "\n"

    @contextlib.contextmanager
    def _locked(self) -> Generator[None]:
        with (self._run / "supervisor.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def environment(specification: dict[str, Any], *, marker: str, home: Path) -> dict[str, str]:
    """All environment variables of a process: nothing is inherited from whoever deploys."""
    fixed = {
        "HOME": str(home),
        "LANG": "C.UTF-8",
        MARKER: marker,
        "PATH": f"{Path(sys.executable).parent}:{os.defpath}:/usr/sbin:/sbin",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUNBUFFERED": "1",
        "SPT_NOENV": "1",  # a process that sets its title (Dask, Airflow) must not write over its marker
        "TZ": "UTC",
    }
    return {**fixed, **specification["env"], **specification["secret_files"]}


def start_script(specification: dict[str, Any], *, marker: str, home: Path) -> str:
    """The script that becomes the process: supervisord's own configuration knows no quoting that holds everything."""
    variables = environment(specification, marker=marker, home=home)
    exports = [f"export {name}={shlex.quote(str(value))}" for name, value in sorted(variables.items())]
    setpriv = shutil.which("setpriv")
    guard = [setpriv, "--pdeathsig", "TERM"] if setpriv else []
    if user := specification.get("user"):
        if setpriv is None:
            raise SupervisorError("setpriv is missing", hint="Install the package util-linux")
        guard += [f"--reuid={user}", f"--regid={pwd.getpwnam(user).pw_gid}", "--init-groups"]
    command = shlex.join([*guard, *specification["command"]])
    return "\n".join(["#!/bin/sh", *exports, f"cd {shlex.quote(specification['directory'])}", f"exec {command}", ""])


def _status(info: Any) -> ProcessStatus:
    return ProcessStatus(
        name=info["name"],
        state=info["statename"],
        pid=info["pid"],
        since=float(info["start"]),
        exit_status=info["exitstatus"],
    )


def _write(path: Path, text: str, *, mode: int) -> None:
    path.touch(mode=mode)
    path.chmod(mode)
    path.write_text(text, encoding="utf-8")
