"""Run the mail catcher: SMTP on one port, its pages on another."""

from __future__ import annotations

import argparse
import asyncio
import functools
import signal
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from infra.standins.mail import pages, smtp


class Handler(BaseHTTPRequestHandler):
    """Shows the mails in `folder`."""

    def __init__(self, folder: Path, *args: Any) -> None:
        self._folder = folder
        super().__init__(*args)

    def do_GET(self) -> None:
        found = pages.answer(self._folder, self.path.partition("?")[0])
        self.send_response(found.status)
        self.send_header("Content-Type", found.kind)
        self.send_header("Content-Length", str(len(found.body)))
        self.send_header(
            "Content-Security-Policy", "default-src 'none'; img-src data:; style-src 'unsafe-inline'; frame-src 'self'"
        )
        self.send_header("X-Content-Type-Options", "nosniff")
        self.end_headers()
        self.wfile.write(found.body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class names it so
        """Say nothing: health checks would fill the log."""


async def run(options: argparse.Namespace) -> None:
    """Serve until told to stop."""
    web = ThreadingHTTPServer((options.host, options.http_port), functools.partial(Handler, options.data))
    threading.Thread(target=web.serve_forever, daemon=True).start()
    server = await smtp.serve(options.smtp_port, host=options.host, folder=options.data)
    print(
        f"mail: smtp://{options.host}:{options.smtp_port}, pages at http://{options.host}:{options.http_port}",
        flush=True,
    )
    stopped = asyncio.Event()
    for known in (signal.SIGTERM, signal.SIGINT):  # the first process of a pod is ended by nothing that it ignores
        asyncio.get_running_loop().add_signal_handler(known, stopped.set)
    await stopped.wait()
    server.close()


def main() -> None:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser(prog="python -m infra.standins.mail", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="listen on this address (default: loopback)")
    parser.add_argument("--smtp-port", type=int, required=True, help="take mail at this port")
    parser.add_argument("--http-port", type=int, required=True, help="show mail at this port")
    parser.add_argument("--data", type=Path, required=True, help="keep mail in this folder")
    asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
