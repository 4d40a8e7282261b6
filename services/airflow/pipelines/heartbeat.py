"""Whether a process of Airflow that listens nowhere is alive: `python -m pipelines.heartbeat TriggererJob FILE`.

This asks what `airflow jobs check --local` asks, without loading Airflow: it takes a tenth of a second and not several,
so a busy machine does not make a living process look dead. FILE holds the address of the metadata database.
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Sequence
from pathlib import Path

import psycopg

from leandata.errors import LeandataError
from leandata.settings import read_secret

LATE_SECONDS = 180
_CONNECT_SECONDS = 5
_ALIVE = """
SELECT count(*) FROM job WHERE job_type = %(job)s AND hostname = %(host)s AND state = 'running'
AND latest_heartbeat > now() - make_interval(secs => %(late)s)
"""


def alive(address: str, *, job: str, host: str) -> bool:
    """Whether the job of that type on that host was heard of lately. Raises psycopg.Error when nobody can be asked."""
    place = address.replace("+psycopg", "", 1)
    with psycopg.connect(place, connect_timeout=_CONNECT_SECONDS, application_name="heartbeat") as connection:
        row = connection.execute(_ALIVE, {"job": job, "host": host, "late": LATE_SECONDS}).fetchone()
    return bool(row and row[0])


def main(arguments: Sequence[str]) -> int:
    """0 when alive, 1 when not or when it cannot be known; why not in one line, without the address."""
    try:
        job, file = arguments
        if alive(read_secret(Path(file)), job=job, host=socket.gethostname()):
            return 0
        reason = f"no heartbeat of {job} in the last {LATE_SECONDS} s"
    except ValueError:
        reason = "two arguments are needed: the type of the job, and the file with the database's address"
    except LeandataError as error:
        reason = str(error)
    except psycopg.Error as error:
        reason = f"the metadata database cannot be asked ({type(error).__name__})"
    print(f"error: {reason}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
