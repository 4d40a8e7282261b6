"""Run the dashboards under gunicorn: `python -m dashboards --port 8050`."""

from __future__ import annotations

import argparse
import os
import sys
from typing import Any

from gunicorn.app.base import BaseApplication

from dashboards.app import create
from dashboards.auth import accounts
from dashboards.page import discover
from leandata.errors import LeandataError
from leandata.logs import configure
from leandata.proxies import KEEP_ALIVE_SECONDS
from leandata.settings import Settings


class Server(BaseApplication):
    """gunicorn with one worker process of four threads."""

    def __init__(self, address: str) -> None:
        self._address = address
        super().__init__()

    def load_config(self) -> None:
        options: dict[str, Any] = {
            "bind": self._address,
            "workers": 1,
            "threads": 4,
            "worker_class": "gthread",
            "worker_tmp_dir": os.environ.get("TMPDIR") or None,
            "graceful_timeout": 10,
            "keepalive": KEEP_ALIVE_SECONDS,
            "loglevel": "warning",
            "control_socket_disable": True,
        }
        for name, value in options.items():
            if name in self.cfg.settings and value is not None:
                self.cfg.set(name, value)

    def load(self) -> Any:
        return create(Settings.load(os.environ)).server


def main() -> int:
    """Serve until told to stop; 1 with one clear line when a setting is missing."""
    parser = argparse.ArgumentParser(prog="python -m dashboards", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen at (default 127.0.0.1)")
    parser.add_argument("--port", type=int, default=8050, help="the port to listen at (default 8050)")
    options = parser.parse_args()
    try:
        settings = Settings.load(os.environ)
        configure("dash", log_format=settings.log_format)
        _ = (
            settings.serving,
            settings.trusted_proxies,
            accounts(settings),
            settings.secret("DASH_SESSION_KEY_FILE"),
            discover(),
        )
    except LeandataError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    sys.argv = sys.argv[:1]
    Server(f"{options.host}:{options.port}").run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
