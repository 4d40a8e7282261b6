"""The data folder of a server, and the command that runs the server on it."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from leandata.errors import DatabaseError
from leandata.settings import read_secret

_VERSION = "PG_VERSION"
_RULES = """# Written at every start: strangers prove who they are, whatever their address.
local all all scram-sha-256
host all all all scram-sha-256
"""


def prepare(folder: Path, *, binaries: Path, password_file: Path) -> bool:
    """Make the data folder where there is none, whole or not at all; whether it was made.

    A folder that is there keeps its data and its administrator's password. Its mode is set again: a volume that is
    mounted for a group becomes too open for PostgreSQL. Raises DatabaseError with what initdb says.
    """
    made = not (folder / _VERSION).exists()
    if made:
        _initialise(folder, binaries=binaries, password_file=password_file)
    folder.chmod(0o700)
    (folder / "pg_hba.conf").write_text(_RULES, encoding="utf-8")
    return made


def command(folder: Path, *, binaries: Path, host: str, port: int, settings: Sequence[str]) -> list[str]:
    """The server in the foreground; each of `settings` is NAME=VALUE."""
    fixed = (f"listen_addresses={host}", "unix_socket_directories=")
    options = [part for setting in (*fixed, *sorted(settings)) for part in ("-c", setting)]
    return [str(binaries / "postgres"), "-D", str(folder), "-p", str(port), *options]


def _initialise(folder: Path, *, binaries: Path, password_file: Path) -> None:
    scratch = folder.with_name(f"{folder.name}.new")
    shutil.rmtree(scratch, ignore_errors=True)
    shutil.rmtree(folder, ignore_errors=True)
    scratch.mkdir(parents=True, mode=0o700)
    with tempfile.NamedTemporaryFile("w", encoding="utf-8") as secret:
        secret.write(read_secret(password_file))
        secret.flush()
        asked = [
            *(str(binaries / "initdb"), "-D", str(scratch), "-U", "postgres", "-E", "UTF8", "--locale=C.UTF-8"),
            *("--auth=scram-sha-256", f"--pwfile={secret.name}"),
        ]
        result = subprocess.run(asked, cwd="/", capture_output=True, text=True, check=False)
    if result.returncode != 0:
        said = (result.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise DatabaseError(f"initdb failed: {said}", where=str(folder))
    scratch.replace(folder)
