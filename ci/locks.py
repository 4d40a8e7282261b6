"""One deployment of a stack at a time: a file lock that ends with the processes that hold it."""

from __future__ import annotations

import contextlib
import fcntl
import getpass
import json
import os
import socket
import time
from collections.abc import Generator
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from leandata.errors import LeandataError


class LockedError(LeandataError):
    """Somebody else works on the stack now."""


@contextlib.contextmanager
def hold(path: Path, *, what: str) -> Generator[IO[str]]:
    """Hold the lock at `path`; raises LockedError with who holds it since when.

    The file is inherited by child processes, so it is free only when no process of that deployment is alive.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LockedError(describe(_written(path), what=what), hint="Wait for it, then try again") from None
        lock.truncate(0)
        holder = {"pid": os.getpid(), "user": _user(), "host": socket.gethostname(), "since": _now()}
        lock.write(json.dumps(holder))
        lock.flush()
        try:
            yield lock
        finally:
            lock.truncate(0)


def describe(text: str, *, what: str) -> str:
    """Who holds the lock, from what they wrote into it."""
    try:
        holder = json.loads(text)
        by = f"pid {holder['pid']} ({holder['user']}@{holder['host']})"
        return f"{what} is being deployed since {holder['since']} by {by}"
    except (ValueError, KeyError, TypeError):
        return f"{what} is being deployed by another process"


def _written(path: Path) -> str:
    """What the holder wrote; who has only just locked the file is given a moment to write it."""
    for _ in range(50):
        if text := path.read_text(encoding="utf-8", errors="replace"):
            return text
        time.sleep(0.01)
    return ""


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())
