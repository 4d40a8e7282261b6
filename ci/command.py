"""The Pulumi CLI as we run it: in a process group of its own, ended gently on ^C, holding our lock."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any, ClassVar

import pulumi.automation as auto
import semver
from pulumi.automation.errors import create_command_error

from ci.bootstrap import PULUMI

Listener = Callable[[str], Any] | None


class Command(auto.PulumiCommand):
    """One a stack: `lock` is the descriptor that the CLI inherits, so that the lock lives as long as it does."""

    live: ClassVar[set[subprocess.Popen[str]]] = set()

    def __init__(self, path: Path, *, lock: int | None = None) -> None:
        # The base class would run `pulumi version` here: 0.3 s a time, for what set-up has checked.
        self.command = str(path)
        self.version = semver.VersionInfo.parse(PULUMI)
        self._lock = lock

    def run(
        self,
        args: list[str],
        cwd: str,
        additional_env: Mapping[str, str],
        on_output: Listener = None,
        on_error: Listener = None,
    ) -> auto.CommandResult:
        """Run one command. Raises CommandError when it fails."""
        if "--non-interactive" not in args:
            args = ["--non-interactive", *args]
        environ = {**os.environ, **additional_env, "PULUMI_AUTOMATION_API": "true"}
        process = subprocess.Popen(
            [self.command, *args], cwd=cwd, env=environ, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, start_new_session=True,
            pass_fds=[self._lock] if self._lock is not None else [],
        )  # fmt: skip
        self.live.add(process)
        try:
            output, errors = _drain(process, on_output, on_error)
            code = process.wait()
        finally:
            self.live.discard(process)
        result = auto.CommandResult(stdout=output, stderr=errors, code=code)
        if code != 0:
            raise create_command_error(result)
        return result

    @classmethod
    def interrupt(cls) -> None:
        """Ask every running command to end: what it is making is finished and written down first."""
        for process in list(cls.live):
            process.send_signal(signal.SIGINT)


def _drain(process: subprocess.Popen[str], on_output: Listener, on_error: Listener) -> tuple[str, str]:
    texts: dict[str, list[str]] = {"output": [], "errors": []}

    def read(stream: IO[str], name: str, listener: Listener) -> None:
        for line in stream:
            texts[name].append(line)
            if listener is not None:
                listener(line.rstrip("\n"))

    assert process.stdout is not None
    assert process.stderr is not None
    errors = threading.Thread(target=read, args=[process.stderr, "errors", on_error])
    errors.start()
    read(process.stdout, "output", on_output)
    errors.join()
    process.stdout.close()
    process.stderr.close()
    return "".join(texts["output"]), "".join(texts["errors"])
