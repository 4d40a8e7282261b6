"""The dashboards as a process, over any serving database: for tests in a browser and for the bench."""

from __future__ import annotations

import contextlib
import secrets
import sys
from collections.abc import Generator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from infra.provider import health
from infra.testing.fixtures import url_of
from infra.testing.parts import free_port, running
from leandata.settings import DatabaseAddress


@dataclass(frozen=True, kw_only=True, slots=True)
class Dashboards:
    """Running dashboards: where they are, with which passwords `analyst` and `editor` log in."""

    url: str
    password: str
    editor_password: str


@contextlib.contextmanager
def serve(folder: Path, serving: DatabaseAddress, *, today: date) -> Generator[Dashboards]:
    """The dashboards over that database, as the platform runs them; `folder` holds secrets and the log."""
    port, password, editor_password = free_port(), secrets.token_urlsafe(12), secrets.token_urlsafe(12)
    (folder / "password").write_text(password)
    (folder / "editor-password").write_text(editor_password)
    (folder / "session-key").write_text(secrets.token_hex(16))
    settings = {
        "LEANDATA_ENVIRONMENT": "local",
        "LEANDATA_SERVING": url_of(serving),
        "LEANDATA_DASH_EDITOR_PASSWORD_FILE": str(folder / "editor-password"),
        "LEANDATA_DASH_PASSWORD_FILE": str(folder / "password"),
        "LEANDATA_DASH_SESSION_KEY_FILE": str(folder / "session-key"),
        "LEANDATA_TODAY": today.isoformat(),
    }
    assigned = [f"{name}={value}" for name, value in settings.items()]
    command = ["/usr/bin/env", *assigned, sys.executable, "-m", "dashboards", "--port", str(port)]
    url = f"http://127.0.0.1:{port}"
    ready = {"kind": "http", "url": f"{url}/healthz", "port": 0}
    with running(command, ready=lambda: health.healthy(ready), log=folder / "dash.log"):
        yield Dashboards(url=url, password=password, editor_password=editor_password)
