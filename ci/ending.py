"""Being ended by somebody else, as by a person in front of the terminal."""

from __future__ import annotations

import signal
import threading
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any


@contextmanager
def terminable() -> Generator[None]:
    """SIGTERM ends what goes on inside as ^C does, so that what was made or is held is given up."""

    def end(number: int, frame: Any) -> None:
        del number, frame
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
