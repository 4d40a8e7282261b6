"""`pulumi-resource-machine`: the provider as the program that the engine starts."""

from __future__ import annotations

import os
import sys
import threading
import time

from infra.provider.servicer import serve

_WATCH_SECONDS = 0.3


def main() -> None:
    """Serve until the engine that started us is gone; the engine reads the port from our output."""
    threading.Thread(target=_end_with, args=[os.getppid()], daemon=True).start()
    port, _ = serve()
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    threading.Event().wait()


def _end_with(parent: int) -> None:
    """A killed engine leaves its plugins behind: watch it, and go when it is gone."""
    while os.getppid() == parent:
        time.sleep(_WATCH_SECONDS)
    os._exit(3)
