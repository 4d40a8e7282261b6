"""The programs of checkouts run side by side, a process each, and their answers read."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from ci.programs import Program, module_path, program_of
from ci.snapshot import STATE
from leandata.settings import foreign

# Checkouts lie in other places: what is compared says these instead.
CHECKOUT, _PYTHON = Path("/checkout"), "<python>"


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """A checkout, and the environments it is asked for; `stacks` and `outputs` as in `ci.preview.declaring`.

    An environment that `stacks` does not name is run whole; the answer has those stacks that were run.
    """

    root: Path
    environments: tuple[str, ...]
    stacks: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    outputs: Mapping[str, Mapping[str, Any]] = field(default_factory=dict[str, Mapping[str, Any]])


@dataclass(frozen=True, kw_only=True, slots=True)
class Graph:
    """What one environment's stacks declare in a checkout, and which needs which; `error` says why nothing is known."""

    programs: Mapping[str, Program] = field(default_factory=dict[str, Program])
    needs: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    error: str = ""


def ask(*asked: Asked) -> list[dict[str, Any]]:
    """The raw answers, by environment: all checkouts are asked at the same time. No process is left behind, also on ^C.

    A checkout that is too old to be asked for several environments is asked for one after the other; one that cannot
    answer says an error for each of them.
    """
    with contextlib.ExitStack() as stack:
        running = [[(part, stack.enter_context(_started(part))) for part in _parts(one)] for one in asked]
        return [{name: found for one in parts for name, found in _answered(*one).items()} for parts in running]


def _parts(asked: Asked) -> list[Asked]:
    if _current(asked.root):
        return [asked]
    return [dataclasses.replace(asked, environments=(name,), stacks={}, outputs={}) for name in asked.environments]


def _current(root: Path) -> bool:
    return (root / "ci" / "preview" / "declaring.py").exists()


def read(raw: Mapping[str, Any]) -> Graph:
    """One environment's answer as a graph; what an older checkout does not say has its default."""
    if "error" in raw:
        return Graph(error=str(raw["error"]))
    stacks: Mapping[str, Any] = raw["stacks"]
    return Graph(
        programs={name: program_of(found) for name, found in stacks.items()},
        needs={name: tuple(found.get("needs") or ()) for name, found in stacks.items()},
    )


@contextlib.contextmanager
def _started(asked: Asked) -> Generator[tuple[subprocess.Popen[bytes], IO[bytes], IO[bytes]]]:
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors, tempfile.NamedTemporaryFile() as file:
        module = "ci.preview.declaring" if _current(asked.root) else "ci.programs"
        command = [sys.executable, "-m", module, *asked.environments]
        for environment, stacks in sorted(asked.stacks.items()):
            command += ["--stacks", f"{environment}={','.join(stacks)}"]
        if asked.outputs:
            file.write(json.dumps(asked.outputs).encode())
            file.flush()
            command += ["--outputs", file.name]
        process = subprocess.Popen(
            command, cwd=asked.root, env=_environ(asked.root), stdin=subprocess.DEVNULL, stdout=output, stderr=errors,
            start_new_session=True,
        )  # fmt: skip
        try:
            yield process, output, errors
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _environ(root: Path) -> dict[str, str]:
    """The variables of a run: none of this machine's settings, the checkout's own modules first."""
    return {**foreign(os.environ), "LEANDATA_STATE": STATE, "PYTHONPATH": module_path(root)}


def _answered(asked: Asked, started: tuple[subprocess.Popen[bytes], IO[bytes], IO[bytes]]) -> dict[str, Any]:
    process, output, errors = started
    process.wait()
    output.seek(0)
    errors.seek(0)
    try:
        answer = json.loads(moved(output.read().decode(), root=asked.root))
        if not isinstance(answer, dict):
            raise ValueError("no answer")
        return answer["environments"] if "environments" in answer else {asked.environments[0]: answer}
    except ValueError:
        lines = errors.read().decode(errors="replace").strip().splitlines() or ["no reason given"]
        error = {"error": f"the programs cannot be run: {lines[-1][:400]}"}
        return dict.fromkeys(asked.environments, error)


def moved(text: str, *, root: Path) -> str:
    """The answer as if the checkout lay at CHECKOUT with its packages in it, whatever the paths of this machine."""
    text = text.replace(sys.executable, _PYTHON).replace(sys.prefix, str(CHECKOUT / ".venv"))
    return re.sub(rf"{re.escape(str(root))}(?=[/\"'\\:;,\s])", str(CHECKOUT), text)
