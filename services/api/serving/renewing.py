"""What is known and has to be learnt again from time to time, from a database that may be slow, down, or silent."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

PATIENCE_SECONDS = 1.0
"""How long a request waits for news of what is known already."""
FIRST_PATIENCE_SECONDS = 30.0
"""And for what is not known yet."""


class Renewal:
    """Renews what is known, in a task of its own: once at a time, and whoever asks waits only as long as it likes.

    `renew` raises nothing: it remembers what went wrong itself.
    """

    def __init__(self, renew: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self._renew = renew
        self._task: asyncio.Task[None] | None = None

    @property
    def running(self) -> bool:
        """Whether it is at work, for somebody who waits or waited."""
        return self._task is not None and not self._task.done()

    async def wait(self, seconds: float) -> None:
        """Start it, unless it is at work, and wait for it, at most so long."""
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._renew())
        await asyncio.wait({self._task}, timeout=seconds)
