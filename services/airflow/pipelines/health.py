"""Whether services, and the parts that pipelines need, answer, and how quickly; noted for the page Platform every five
minutes."""

from __future__ import annotations

import functools
import smtplib
import socket
import time
import urllib.request
from collections.abc import Callable, Mapping
from datetime import datetime
from urllib.parse import urlsplit

from leandata import serving
from leandata.database import connect
from leandata.errors import DatabaseError, LeandataError
from leandata.lake import store
from leandata.serving import Health
from leandata.settings import LakeAddress, Settings
from leandata.warehouse import Warehouse

_SECONDS = 10
_FINE = 250
Probe = Callable[[], str]
"""Says what answered. Raises LeandataError or OSError when nothing does."""


def run(settings: Settings, *, execution_url: str, now: datetime) -> list[Health]:
    """Look at every part and write down what was found; all of it, by name.

    `execution_url` is where tasks reach Airflow's server. While the serving database is down nothing can be noted,
    which is only printed: the page says itself that it has no figures.
    """
    found = [probed(name, probe, now=now) for name, probe in sorted(probes(settings, execution_url).items())]
    try:
        with connect(settings.serving) as connection:
            serving.record_health(connection, found)
            connection.commit()
    except DatabaseError as error:
        print(f"the health could not be noted: {error}")
    return found


def probes(settings: Settings, execution_url: str) -> Mapping[str, Probe]:
    """How each part is asked; a service where it says itself whether it is ready."""
    return {
        **{name: functools.partial(http, page) for name, page in settings.health_pages.items()},
        "airflow": lambda: http(f"{execution_url.rstrip('/')}/health"),
        "dask": lambda: port(settings.dask),
        "lake": lambda: lake(settings.lake.raw),
        "mail": lambda: mail(settings.mail.host, settings.mail.port),
        "serving database": lambda: database(settings),
        "warehouse": lambda: warehouse(settings),
    }


def probed(name: str, probe: Probe, *, now: datetime) -> Health:
    """What came of asking one part."""
    began = time.monotonic()
    try:
        state, detail = "up", probe()
    except LeandataError as error:
        state, detail = "down", error.what
    except (OSError, smtplib.SMTPException) as error:
        state, detail = "down", f"does not answer: {error}"
    took = round((time.monotonic() - began) * 1000)
    told = " ".join(detail.split())[:300]
    return Health(part=name, state=state, detail=told, milliseconds=took, looked_at=now, since=now)


def http(url: str) -> str:
    """A page that answers with 200 when all is well; anything else is raised as OSError."""
    with urllib.request.urlopen(url, timeout=_SECONDS):
        return "answers requests"


def port(address: str) -> str:
    """Something listens at an address such as tcp://host:port."""
    place = urlsplit(address)
    with socket.create_connection((place.hostname or "", place.port or 0), timeout=_SECONDS):
        return "takes connections"


def lake(url: str) -> str:
    """The zone can be listed."""
    try:
        next(iter(store(LakeAddress.parse(url)).list(prefix="_manifest/")), None)
    except Exception as error:
        raise OSError(str(error)) from error
    return "can be listed"


def mail(host: str, number: int) -> str:
    """The mail server greets."""
    with smtplib.SMTP(host, number, timeout=_SECONDS) as server:
        code, said = server.noop()
    if code != _FINE:
        raise OSError(f"{code} {said.decode(errors='replace')}")
    return "greets"


def database(settings: Settings) -> str:
    """The serving database answers a query."""
    with connect(settings.serving) as connection:
        connection.execute("SELECT 1")
    return "answers queries"


def warehouse(settings: Settings) -> str:
    """The warehouse answers a query."""
    with Warehouse.connect(settings.warehouse, timeout=_SECONDS) as found:
        found.query("SELECT 1 AS one")
    return "answers queries"
