"""What a person sees while stacks are deployed: a live table in a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager, suppress

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table

from ci.deploy import StackRun, Watcher
from leandata.errors import LeandataError

_MARKS = {"waiting": "·", "running": "…", "done": "✓", "failed": "✗", "skipped": "-"}


class Lines:
    """One line when a stack starts and one when it ends."""

    def __init__(self) -> None:
        self._start = time.monotonic()
        self._mutex = threading.Lock()

    def expect(self, run: StackRun) -> None:
        """A line is for what happens."""

    def changed(self, run: StackRun) -> None:
        with self._mutex:
            print(f"{time.monotonic() - self._start:6.1f}s  {line(run)}", flush=True)


class LiveTable:
    """A table that is drawn again ten times a second."""

    def __init__(self) -> None:
        self._runs: dict[str, StackRun] = {}
        self._totals: dict[str, int] = {}

    def learn(self, totals: Callable[[], Mapping[str, int]]) -> None:
        """Ask, beside the work, how many resources each stack has; no harm when that fails."""

        def ask() -> None:
            with suppress(LeandataError):
                self._totals.update(totals())

        threading.Thread(target=ask, daemon=True).start()

    def expect(self, run: StackRun) -> None:
        self._runs[run.info.name] = run

    def changed(self, run: StackRun) -> None:
        """The table holds the runs themselves."""

    def __rich__(self) -> Table:
        table = Table(box=None, pad_edge=False)
        for heading in ("", "stack", "", "resources", "seconds", "now"):
            table.add_column(heading)
        for name, run in sorted(self._runs.items()):
            seconds = run.seconds or (time.monotonic() - run.started if run.started else 0.0)
            done = run.log.finished
            total = self._totals.get(name, 0)
            whole = done if run.state == "done" else max(total, done)
            bar = ProgressBar(total=max(whole, 1), completed=done, width=16)
            table.add_row(_MARKS[run.state], name, bar, counted(done, total), f"{seconds:.1f}", _now(run))
        return table


def counted(done: int, total: int) -> str:
    """How many resources were looked at, of how many: "3/22"; just the first while nobody knows the second."""
    return f"{done}/{total}" if total >= max(1, done) else str(done)


def line(run: StackRun) -> str:
    """A run as one line: "✓ api        4 resources  2 created  3.1s"."""
    head = f"{_MARKS[run.state]} {run.info.name:<11}"
    if run.state in ("waiting", "running", "skipped"):
        return f"{head} {run.state}"
    return f"{head} {run.log.finished:>3} resources  {did(run)}  {run.seconds:.1f}s"


def did(run: StackRun) -> str:
    """What was done: "2 created, 1 updated" or "nothing to change"."""
    words = {"create": "created", "update": "updated", "delete": "deleted", "replace": "replaced"}
    return ", ".join(f"{count} {words[op]}" for op, count in run.log.counts().items()) or "nothing to change"


@contextmanager
def watching(*, quiet: bool = False, totals: Callable[[], Mapping[str, int]] = dict) -> Generator[Watcher]:
    """Something that shows runs: nothing when `quiet`, live in a terminal, lines elsewhere.

    `totals` gives the number of each stack's resources; it may take its time, and is asked only in a terminal.
    """
    if quiet:
        yield _Silent()
    elif sys.stdout.isatty():
        table = LiveTable()
        table.learn(totals)
        with Live(table, console=Console(), refresh_per_second=10):
            yield table
    else:
        yield Lines()


class _Silent:
    def expect(self, run: StackRun) -> None:
        """Say nothing."""

    def changed(self, run: StackRun) -> None:
        """Say nothing."""


def _now(run: StackRun) -> str:
    if run.state == "running":
        return run.log.current
    return did(run) if run.state == "done" else run.state


def say(text: str) -> None:
    """A sentence about what goes on, beside the answer."""
    print(text, file=sys.stderr, flush=True)
