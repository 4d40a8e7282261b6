"""A copy of an environment's data for another one: one moment of all of it, the original stays as it is."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from infra.provider.supervisor import Supervisor

# Files of the lake are written once, under another name first, and never again: a second name of each is a copy.
_LINKED = ("lake",)
_COPIED = ("postgres", "secrets", "warehouse")
_LEFT_OUT = frozenset({"postmaster.pid", "postmaster.opts"})
_WRITERS = ("postgres", "warehouse")


def clone(source: Path, target: Path) -> dict[str, int]:
    """Copy lake, databases, warehouse and secrets from one state folder to another; bytes of each, by name.

    The server and the warehouse of the source stand still while files are copied, so that all parts are of one moment;
    each finds in its copy what it finds after a power cut, and recovers from it.
    """
    made: dict[str, int] = {}
    with standing_still(Supervisor(source), _WRITERS):
        for name in (*_COPIED, *_LINKED):
            if (source / name).is_dir():
                made[name] = _copy(source / name, target / name, link=name in _LINKED)
    return made


@contextmanager
def standing_still(supervisor: Supervisor, names: Iterable[str]) -> Generator[None]:
    """Nothing of these processes runs meanwhile; they go on afterwards, whatever happens."""
    stopped: list[Any] = []
    try:
        for name in names:
            for process in _family(supervisor, name):
                with suppress(ProcessLookupError):
                    os.kill(process.pid, signal.SIGSTOP)
                    stopped.append(process)
        yield
    finally:
        for process in reversed(stopped):
            with suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGCONT)


def _family(supervisor: Supervisor, name: str) -> list[Any]:
    """The supervised process and all that it has started; the parents first, so that none starts another."""
    import psutil

    status = supervisor.one(name)
    if status is None or not status.pid:
        return []
    with suppress(psutil.Error):
        process = psutil.Process(status.pid)
        return [process, *process.children(recursive=True)]
    return []


def _copy(source: Path, target: Path, *, link: bool) -> int:
    """Copy a folder with owners and modes, whole or not at all; the bytes that are its own."""
    scratch = target.with_name(f"{target.name}.new")
    shutil.rmtree(scratch, ignore_errors=True)
    copied = 0

    def one(from_: str, to: str) -> str:
        nonlocal copied
        if link:
            os.link(from_, to)
        else:
            shutil.copy2(from_, to)
            copied += Path(to).stat().st_size
            _same_owner(from_, to)
        return to

    shutil.copytree(source, scratch, copy_function=one, ignore=lambda _, names: _LEFT_OUT & set(names), symlinks=True)
    for place, folders, _ in os.walk(source):
        inside = scratch / Path(place).relative_to(source)
        _same_owner(place, str(inside))
        del folders
    scratch.replace(target)
    return copied


def _same_owner(from_: str, to: str) -> None:
    found = Path(from_).stat()
    if os.geteuid() == 0:
        os.chown(to, found.st_uid, found.st_gid)


def left(state: Path, ports: Mapping[str, int], *, listening: Mapping[int, str]) -> list[str]:
    """A sentence for each thing that is still there of an environment that was taken away: folder, processes, ports."""
    found = [f"the folder {state} is still there"] if state.exists() else []
    found += [f"process {process.pid} still runs" for process in Supervisor(state).marked()]
    return found + [
        f"port {port} of {name} is still taken by {listening[port]}"
        for name, port in sorted(ports.items())
        if port in listening
    ]
