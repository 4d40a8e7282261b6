"""dbt as a process that does one command after the other: to start takes it longer than most of what it is asked for.

It ends with whoever started it, in the middle of a command too: nobody would know what it builds. Run by `RunningDbt`:
`python -m pipelines.running_dbt`, commands as lines of JSON on its input, answers alike on its output.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from leandata.errors import ContractError
from leandata.settings import WarehouseAddress

_TIMEOUT_SECONDS = 900.0
_ALWAYS = ("--no-version-check", "--no-send-anonymous-usage-stats", "--no-use-colors")


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """How a command ended: whether all went well, and what dbt printed."""

    fine: bool
    said: str

    @property
    def end(self) -> str:
        """Its last three lines in one, at most 400 characters."""
        lines = [line.strip() for line in self.said.splitlines() if line.strip()] or ["dbt said nothing"]
        return " ".join(lines[-3:])[:400]


class RunningDbt:
    """Starts dbt with the first command, and ends it at the end; its own files go to `folder`.

    A command that takes longer than `timeout` seconds is given up, and dbt with it.
    """

    def __init__(self, folder: Path, *, timeout: float = _TIMEOUT_SECONDS) -> None:
        self.folder, self._timeout = folder, timeout
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *ended: object) -> None:
        self.close()

    def close(self) -> None:
        """End dbt if it runs; the next command starts it anew."""
        if self._process is not None:
            with self._process as process:  # its pipes are closed too
                process.kill()
            self._process = None

    def run(self, *arguments: str, address: WarehouseAddress, until: str, project: Path) -> Answer:
        """Do a command for the warehouse at `address` and data until a day.

        Raises ContractError when dbt ends, or does not answer in time.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "target" / "run_results.json").unlink(missing_ok=True)
        (self.folder / "profiles.yml").write_text(json.dumps(profile(address)), encoding="utf-8")
        command = [
            *_ALWAYS,
            *arguments,
            *("--project-dir", str(project), "--profiles-dir", str(self.folder)),
            *("--target-path", str(self.folder / "target"), "--log-path", str(self.folder)),
            *("--vars", json.dumps({"until": until})),
        ]
        return self._ask(command)

    def _ask(self, command: list[str]) -> Answer:
        process = self._started()
        assert process.stdin is not None
        assert process.stdout is not None
        late = threading.Event()
        timer = threading.Timer(self._timeout, lambda: (late.set(), process.kill()))
        timer.start()
        try:
            with contextlib.suppress(BrokenPipeError):
                process.stdin.write(json.dumps(command) + "\n")
                process.stdin.flush()
            line = process.stdout.readline()
        finally:
            timer.cancel()
        if not line:
            self.close()
            lines = (self.folder / "dbt.err").read_text(encoding="utf-8", errors="replace")
            why = f"did not answer within {self._timeout:g} s" if late.is_set() else "ended"
            raise ContractError(f"dbt {why}: {Answer(fine=False, said=lines).end}", where=str(self.folder))
        return Answer(**json.loads(line))

    def _started(self) -> subprocess.Popen[str]:
        if self._process is None:
            with (self.folder / "dbt.err").open("w", encoding="utf-8") as errors:
                self._process = subprocess.Popen(
                    [sys.executable, "-m", "pipelines.running_dbt"], cwd=self.folder,
                    env={**os.environ, "PYTHONWARNINGS": "ignore"}, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                    stderr=errors, text=True,
                )  # fmt: skip
        return self._process


def profile(address: WarehouseAddress) -> dict[str, Any]:
    """dbt's profile for the warehouse; a private key is named by its file."""
    output: dict[str, Any] = {
        "type": "snowflake",
        "account": address.account,
        "user": address.user,
        "database": "STAGING",
        "schema": "SHOP",
        "threads": 4,
        "reuse_connections": True,
    }
    if address.host:
        output |= {"host": address.host, "port": address.port, "protocol": address.protocol, "password": "none"}
    named = {"role": address.role, "warehouse": address.warehouse, "private_key_path": address.private_key_file}
    output |= {name: str(value) for name, value in named.items() if value}
    return {"leandata": {"target": "platform", "outputs": {"platform": output}}}


def _listen(commands: queue.SimpleQueue[str]) -> None:
    for line in sys.stdin:
        commands.put(line)
    os._exit(1)


def main() -> None:
    """Do what comes in until the input ends."""
    # What dbt or a library prints on its own goes to the errors: the output is for answers.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    commands: queue.SimpleQueue[str] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=[commands], daemon=True).start()
    from leandata.connector import ready

    ready()  # dbt asks the warehouse from several threads
    from dbt.cli.main import dbtRunner

    sys.argv = ["dbt"]
    runner = dbtRunner()
    while True:
        command = json.loads(commands.get())
        with contextlib.redirect_stdout(io.StringIO()) as said:
            done = runner.invoke(command)
        found: Mapping[str, Any] = {"fine": done.success, "said": f"{said.getvalue()}\n{done.exception or ''}"}
        print(json.dumps(found), file=answers, flush=True)


if __name__ == "__main__":
    main()
