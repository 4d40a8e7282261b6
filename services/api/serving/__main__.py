"""Run the API: `python -m serving --port 8000`."""

from __future__ import annotations

import argparse
import os
import sys
from types import FrameType

import uvicorn

from leandata.errors import LeandataError
from leandata.logs import configure
from leandata.proxies import KEEP_ALIVE_SECONDS
from leandata.settings import Settings
from serving.app import create

_DRAIN_SECONDS = 25


def main() -> int:
    """Serve until told to stop; 1 with one clear line when a setting is missing."""
    parser = argparse.ArgumentParser(prog="python -m serving", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen at (default 127.0.0.1)")
    parser.add_argument("--port", type=int, default=8000, help="the port to listen at (default 8000)")
    options = parser.parse_args()
    try:
        settings = Settings.load(os.environ)
        configure("api", log_format=settings.log_format)
        application = create(settings)
    except LeandataError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    _Server(
        uvicorn.Config(
            application, host=options.host, port=options.port, log_config=None, access_log=False, server_header=False,
            timeout_graceful_shutdown=_DRAIN_SECONDS, timeout_keep_alive=KEEP_ALIVE_SECONDS,
            proxy_headers=False,  # keys count here, addresses do not
        )
    ).run()  # fmt: skip
    return 0


class _Server(uvicorn.Server):
    """Ends streams as soon as it is told to end: they would hold it for ever."""

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        live = getattr(getattr(self.config.app, "state", None), "live", None)
        if live is not None:
            live.stop()
        super().handle_exit(sig, frame)


if __name__ == "__main__":
    sys.exit(main())
