"""Deploy and destroy: every stack in its order, independent ones side by side."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Generator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

from ci.command import Command
from ci.engine import Engine, EngineError, OpenStack
from ci.events import Log
from ci.graph import StackInfo
from leandata.errors import LeandataError

_AT_A_TIME = 2


@dataclass(slots=True)
class StackRun:
    """One stack in an operation: `state` goes from waiting over running to done, failed or skipped."""

    info: StackInfo
    state: str = "waiting"
    started: float = 0.0
    seconds: float = 0.0
    log: Log = field(default_factory=Log)
    problems: list[str] = field(default_factory=list[str])


class Watcher(Protocol):
    """Shows the runs while they go on: all of them are said at first."""

    def expect(self, run: StackRun) -> None: ...

    def changed(self, run: StackRun) -> None: ...


Act = Callable[[OpenStack, Log], None]


def run_all(
    engine: Engine,
    stacks: Mapping[str, StackInfo],
    *,
    act: Act,
    watcher: Watcher,
    reverse: bool = False,
    locked: bool = True,
    at_a_time: int = _AT_A_TIME,
) -> list[StackRun]:
    """Run `act` on every stack after those it needs (before them with `reverse`); a failure stops what comes after.

    A second stack is never begun before those it waits for are done. The runs, by name.
    """
    runs = {name: StackRun(info=info) for name, info in sorted(stacks.items())}
    for run in runs.values():
        watcher.expect(run)
    waits = _waits(stacks, reverse=reverse)
    pending: dict[Future[None], str] = {}
    stop = threading.Event()
    with _interrupts(stop), ThreadPoolExecutor(max_workers=at_a_time) as pool:
        while True:
            for name in _startable(runs, waits, stop=stop):
                if len(pending) >= at_a_time:
                    break
                runs[name].state = "running"
                pending[pool.submit(_one, engine, runs[name], act, watcher, locked=locked)] = name
            if not pending:
                break
            finished, _ = wait(pending, return_when=FIRST_COMPLETED)
            for future in finished:
                del pending[future]
                future.result()
    for run in runs.values():
        if run.state == "waiting":
            run.state = "skipped"
            watcher.changed(run)
    return list(runs.values())


def _one(engine: Engine, run: StackRun, act: Act, watcher: Watcher, *, locked: bool) -> None:
    run.started = time.monotonic()
    watcher.changed(run)
    try:
        if locked:
            with engine.opened(run.info) as stack:
                act(stack, run.log)
        else:
            act(engine.unlocked(run.info), run.log)
        run.state = "done"
    except EngineError as error:
        run.state, run.problems = "failed", error.problems
    except LeandataError as error:
        run.state, run.problems = "failed", [str(error)]
    except Exception as error:  # noqa: BLE001 - a bug of ours is shown as one line as well; its traceback is in the log
        run.state, run.problems = "failed", [f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"]
    run.seconds = time.monotonic() - run.started
    watcher.changed(run)


def _waits(stacks: Mapping[str, StackInfo], *, reverse: bool) -> dict[str, set[str]]:
    if not reverse:
        return {name: set(info.needs) & set(stacks) for name, info in stacks.items()}
    return {name: {other for other, info in stacks.items() if name in info.needs} for name in stacks}


def _startable(runs: Mapping[str, StackRun], waits: Mapping[str, set[str]], *, stop: threading.Event) -> list[str]:
    if stop.is_set():
        return []
    done = {name for name, run in runs.items() if run.state == "done"}
    free = [name for name, run in runs.items() if run.state == "waiting" and waits[name] <= done]
    # Those that most others wait for come first.
    return sorted(free, key=lambda name: (-sum(name in needs for needs in waits.values()), name))


@contextmanager
def _interrupts(stop: threading.Event) -> Generator[None]:
    """^C ends the running operations gently; nothing new is begun."""

    def interrupted(number: int, frame: Any) -> None:
        del number, frame
        stop.set()
        Command.interrupt()

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, interrupted) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
