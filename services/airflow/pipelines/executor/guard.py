"""A task's process, and a guard over it that lets nothing of the task outlive the task or the worker.

The guard adopts every process that the task's processes leave behind (PR_SET_CHILD_SUBREAPER, Linux only), and ends
them all when the task is over, when it is told to, and when its worker is gone: a worker that is killed closes its end
of the lifeline, however it dies.
"""

from __future__ import annotations

import contextlib
import ctypes
import multiprocessing
import os
import select
import signal
import sys
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection

import psutil

_SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER of <linux/prctl.h>
_OVER, _FAILED = 0, 1


def guard(run: Callable[[str], None], order: str, lifeline: Connection) -> None:
    """Call `run(order)` in a process, and end this one when that is over and nothing of it is left.

    Exits 0 when `run` came to its end, 1 when it raised, was killed, or `lifeline` was closed at its other end.
    """
    if not sys.platform.startswith("linux"):
        raise OSError("whole tasks on Dask need Linux: elsewhere no process can adopt what a task leaves behind")
    ctypes.CDLL(None, use_errno=True).prctl(_SUBREAPER, 1, 0, 0, 0)
    multiprocessing.current_process().daemon = False  # a task may have processes of its own
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(_FAILED))
    code = _FAILED
    try:
        code = _watch(_begin(run, order, lifeline), lifeline)
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        end_descendants()
    sys.exit(code)


def end_descendants() -> None:
    """Kill all that came from this process, and what those leave behind, until there is nobody left."""
    while family := psutil.Process().children(recursive=True):
        for one in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                one.kill()
        with contextlib.suppress(ChildProcessError):
            os.waitpid(-1, 0)


def _begin(run: Callable[[str], None], order: str, lifeline: Connection) -> int:
    """The id of a process, a group of its own, that calls `run`."""
    process = os.fork()
    if process:
        return process
    code = _FAILED
    try:
        os.setsid()
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        lifeline.close()
        run(order)
        code = _OVER
    except BaseException:  # noqa: BLE001 - whatever it was, this copy of the process ends here
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _watch(process: int, lifeline: Connection) -> int:
    """0 when the process ended well; 1 when it did not, or when the lifeline's other end was closed before."""
    known = os.pidfd_open(process)
    try:
        ready, _, _ = select.select([known, lifeline], [], [])
    finally:
        os.close(known)
    if known not in ready:
        return _FAILED
    _, status = os.waitpid(process, 0)
    return _OVER if os.waitstatus_to_exitcode(status) == 0 else _FAILED
