"""Run PostgreSQL: `python -m infra.standins.postgres --port 16411 --data FOLDER --password-file FILE`."""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
from pathlib import Path

from infra.provider.postgres_binaries import find_pg_bin
from infra.standins.postgres import server
from leandata.errors import LeandataError


def run(command: list[str]) -> int:
    """Run the server; told to end, it ends its sessions and writes all it holds (PostgreSQL's fast shutdown)."""
    with subprocess.Popen(command) as process:
        for known in (signal.SIGTERM, signal.SIGINT):
            signal.signal(known, lambda *_: process.send_signal(signal.SIGINT))
        return process.wait()


def main() -> int:
    """Make the data folder if need be, and serve until told to stop."""
    parser = argparse.ArgumentParser(prog="python -m infra.standins.postgres", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="listen on this address (default: loopback)")
    parser.add_argument("--port", type=int, required=True, help="listen at this port")
    parser.add_argument("--data", type=Path, required=True, help="the data folder, made on the first start")
    parser.add_argument("--password-file", type=Path, required=True, help="the password of the role postgres")
    parser.add_argument("-c", action="append", default=[], metavar="NAME=VALUE", help="a setting of the server")
    options = parser.parse_args()
    try:
        binaries = find_pg_bin()
        made = server.prepare(options.data, binaries=binaries, password_file=options.password_file)
    except (LeandataError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"postgres: {'a new' if made else 'the known'} data folder, port {options.port}", flush=True)
    command = server.command(options.data, binaries=binaries, host=options.host, port=options.port, settings=options.c)
    return run(command)


if __name__ == "__main__":
    sys.exit(main())
