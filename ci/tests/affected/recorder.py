"""Records what programs of other trees declare, quickly: libraries are imported once, each tree has a fork of its own.

Run as a program it answers lines of JSON: {"root": folder, "environment": name} -> {stack: what it declares} or an error.
"""

from __future__ import annotations

import contextlib
import gc
import hashlib
import importlib
import json
import os
import subprocess
import sys
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import IO, Any

from infra.environment import ROOT
from leandata.settings import foreign

STATE = "/leandata-state"
HERE = Path(__file__).resolve()


class Recorder:
    """One running recorder."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def answer(self, root: Path, environment: str) -> dict[str, Any] | None:
        """What each stack declares, by name, as `ci.programs` says it; None where the programs fail."""
        given, answers = self._streams()
        given.write(json.dumps({"root": str(root), "environment": environment}) + "\n")
        given.flush()
        answer: dict[str, Any] = json.loads(answers.readline())
        return None if "error" in answer else answer

    def graphs(self, root: Path, environment: str) -> dict[str, str] | None:
        """A digest of what each stack declares, by name; None where the programs fail."""
        answer = self.answer(root, environment)
        return None if answer is None else {name: digest(found) for name, found in answer.items()}

    def _streams(self) -> tuple[IO[str], IO[str]]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        return self._process.stdin, self._process.stdout


def digest(answer: Mapping[str, Any]) -> str:
    """A digest of what a stack declares; what its program has read is none of it."""
    declared = {key: value for key, value in answer.items() if key != "read"}
    return hashlib.sha256(json.dumps(declared, sort_keys=True).encode()).hexdigest()


@contextlib.contextmanager
def recording() -> Generator[Recorder]:
    """A recorder, ended afterwards."""
    process = subprocess.Popen(
        [sys.executable, str(HERE)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd="/",
        env={**foreign(os.environ), "LEANDATA_STATE": STATE, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
    )  # fmt: skip
    try:
        yield Recorder(process)
    finally:
        with contextlib.suppress(BrokenPipeError):
            process.communicate(timeout=30)


def _libraries() -> None:
    """Import what programs need, and nothing of ours."""
    ours = {str(ROOT), str(HERE.parent)}
    sys.path[:] = [place for place in sys.path if place not in ours and not place.startswith(f"{ROOT}/s")]
    sys.path_importer_cache.clear()


def _answer(request: dict[str, str], *, tell: int) -> None:
    root = Path(request["root"])
    os.environ["LEANDATA_ENV"] = request["environment"]
    os.chdir(root)
    sys.path[:0] = [str(place) for place in (root, root / "shared", *sorted((root / "services").glob("*")))]
    out = os.fdopen(os.dup(1), "w")
    try:
        with contextlib.redirect_stdout(sys.stderr):
            from ci import programs

            found: dict[str, Any] = programs.answer(request["environment"])
    except BaseException as error:  # noqa: BLE001 - whatever is wrong with a program, it fails
        found = {"error": f"{type(error).__name__}: {error}"}
    out.write(json.dumps(found) + "\n")
    out.flush()
    ours = ("ci", "infra", "services", "leandata", "__main__", "__mp_main__")
    with os.fdopen(tell, "w") as telling:
        telling.write(" ".join(name for name in list(sys.modules) if name.split(".")[0] not in ours))
    os._exit(0)


def main() -> None:
    """Answer until nothing more is asked."""
    for name in [name for name in sys.modules if name.split(".")[0] in ("ci", "infra", "leandata")]:
        del sys.modules[name]
    _libraries()
    gc.collect()
    gc.freeze()
    gc.disable()
    warm = False
    for line in sys.stdin:
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            _answer(json.loads(line), tell=writing)
        os.close(writing)
        with os.fdopen(reading) as told:
            used = told.read().split()
        os.waitpid(child, 0)
        if not warm:
            # Providers import their modules when they are used: the next forks find them here.
            for name in used:
                with contextlib.suppress(Exception):
                    importlib.import_module(name)
            gc.collect()
            gc.freeze()
        warm = True


if __name__ == "__main__":
    main()
