"""Run PostgreSQL in the foreground, its data folder made at the first start: `python -m infra.standins.postgres`."""

from __future__ import annotations

import argparse
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from infra.provider.postgres_binaries import find_pg_bin
from leandata.errors import DatabaseError, LeandataError
from leandata.settings import read_secret

_ANYWHERE = "host all all all scram-sha-256"  # who reaches the pod at all is the network policy's business


def initialise(data: Path, *, password: Path) -> None:
    """Make the data folder, under another name until it is whole; nothing when it is there. Raises DatabaseError."""
    if (data / "PG_VERSION").exists():
        return
    scratch = data.with_name(f"{data.name}.new")
    shutil.rmtree(scratch, ignore_errors=True)
    shutil.rmtree(data, ignore_errors=True)
    read_secret(password)
    command = [
        *(str(find_pg_bin() / "initdb"), "-D", str(scratch), "-U", "postgres", "-E", "UTF8", "--locale=C.UTF-8"),
        *("--auth=scram-sha-256", f"--pwfile={password}"),
    ]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        said = (result.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise DatabaseError(f"initdb failed: {said}", where=str(data))
    with (scratch / "pg_hba.conf").open("a", encoding="utf-8") as rules:
        rules.write(f"{_ANYWHERE}\n")
    scratch.rename(data)


def serve(data: Path, *, host: str, port: int, settings: list[str]) -> int:
    """Serve until told to stop; then connections are ended at once and everything is written. Its exit code."""
    options = [part for setting in settings for part in ("-c", setting)]
    command = [str(find_pg_bin() / "postgres"), "-D", str(data), "-p", str(port), "-h", host, *options]
    process = subprocess.Popen(command)

    def stop(number: int, frame: Any) -> None:
        del number, frame
        process.send_signal(signal.SIGINT)

    signal.signal(signal.SIGTERM, stop)
    return process.wait()


def main() -> int:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser(prog="python -m infra.standins.postgres", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="listen on this address (default: loopback)")
    parser.add_argument("--port", type=int, required=True, help="listen at this port")
    parser.add_argument("--data", type=Path, required=True, help="the data folder")
    parser.add_argument("--password-file", type=Path, required=True, help="the password of the role postgres")
    parser.add_argument("-c", action="append", default=[], metavar="NAME=VALUE", help="a setting of the server")
    options = parser.parse_args()
    try:
        initialise(options.data, password=options.password_file)
    except LeandataError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return serve(options.data, host=options.host, port=options.port, settings=options.c)


if __name__ == "__main__":
    sys.exit(main())
