"""Nothing of a task outlives the task, the order to stop it, or its worker: with real processes."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from infra.testing.parts import eventually
from leandata.errors import ComputeError
from pipelines.executor import worker
from pipelines.executor.guard import guard
from pipelines.executor.worker import Order

pytestmark = pytest.mark.integration
CONTEXT = multiprocessing.get_context("spawn")


def quick(folder: str) -> None:
    """A task that leaves a process behind, in a session of its own."""
    child = subprocess.Popen(["sleep", "600"], start_new_session=True)
    (Path(folder) / "begun").write_text(f"{child.pid}")


def broken(folder: str) -> None:
    quick(folder)
    raise ValueError("a task that breaks")


def endless(folder: str) -> None:
    """A task that runs until it is ended, and does not listen to a gentle end."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    child = subprocess.Popen(["sleep", "600"], start_new_session=True)
    (Path(folder) / "begun").write_text(f"{os.getpid()} {child.pid}")
    time.sleep(600)


def with_children(folder: str) -> None:
    """A task that has processes of its own by Python's own means."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        (Path(folder) / "begun").write_text(" ".join(map(str, pool.map(abs, [-3]))))


def holder(folder: str) -> None:
    """What a worker is here: it begins a guarded task, and waits."""
    theirs, _ours = CONTEXT.Pipe(duplex=False)
    process = CONTEXT.Process(target=guard, args=(endless, folder, theirs), daemon=True)
    process.start()
    theirs.close()
    process.join()


def begin(task: Callable[[str], None], folder: Path) -> tuple[Any, Any]:
    """A guarded task, and this end of its lifeline."""
    theirs, ours = CONTEXT.Pipe(duplex=False)
    process = CONTEXT.Process(target=guard, args=(task, str(folder), theirs), daemon=True)
    process.start()
    theirs.close()
    return process, ours


def begun(folder: Path) -> list[int]:
    """The numbers that the task noted when it began."""
    path = folder / "begun"
    return [int(one) for one in path.read_text().split()] if path.exists() else []


def gone(processes: list[int]) -> bool:
    return not any(psutil.pid_exists(one) for one in processes)


def test_a_task_that_is_over_leaves_no_process_behind(tmp_path: Path) -> None:
    process, _ours = begin(quick, tmp_path)
    process.join(60)
    assert process.exitcode == 0
    assert begun(tmp_path)
    assert gone(begun(tmp_path))


def test_a_task_that_breaks_is_told_apart_and_leaves_none_either(tmp_path: Path) -> None:
    process, _ours = begin(broken, tmp_path)
    process.join(60)
    assert process.exitcode == 1
    assert gone(begun(tmp_path))


def test_a_task_may_have_processes_of_its_own(tmp_path: Path) -> None:
    process, _ours = begin(with_children, tmp_path)
    process.join(60)
    assert process.exitcode == 0
    assert begun(tmp_path) == [3]


@pytest.mark.parametrize("how", ["the lifeline is closed", "the guard is asked to end", "the task is killed"])
def test_a_task_that_does_not_want_to_end_is_ended_with_all_it_began(tmp_path: Path, how: str) -> None:
    process, ours = begin(endless, tmp_path)
    known = eventually(lambda: begun(tmp_path), seconds=60)
    if how == "the lifeline is closed":
        ours.close()
    elif how == "the guard is asked to end":
        process.terminate()
    else:
        os.kill(known[0], signal.SIGKILL)
    process.join(60)
    assert process.exitcode == 1
    assert gone(known)


def test_a_worker_that_is_killed_takes_its_task_with_it(tmp_path: Path) -> None:
    module = "services.airflow.tests.test_the_guard_of_tasks"
    code = f"from {module} import holder\nif __name__ == '__main__':\n    holder({str(tmp_path)!r})\n"
    (tmp_path / "holder.py").write_text(code)
    process = subprocess.Popen(
        [sys.executable, str(tmp_path / "holder.py")], env={**os.environ, "PYTHONPATH": str(Path.cwd())}
    )
    known = eventually(lambda: begun(tmp_path), seconds=60)
    process.kill()
    process.wait()
    eventually(lambda: gone(known))


def performed(task: Callable[[str], None], workload: str) -> tuple[threading.Thread, list[str]]:
    """A worker's thread that performs a task; what it says at the end."""
    said: list[str] = []

    def perform() -> None:
        try:
            worker.perform(Order(key="airflow-1", workload=workload), task)
        except ComputeError as error:
            said.append(str(error))

    thread = threading.Thread(target=perform)
    thread.start()
    return thread, said


def test_a_worker_stops_a_task_by_its_key_and_says_that_it_did_not_end_well(tmp_path: Path) -> None:
    thread, said = performed(endless, str(tmp_path))
    known = eventually(lambda: begun(tmp_path), seconds=90)
    assert worker.stop("another") is False
    assert worker.stop("airflow-1") is True
    thread.join(60)
    assert gone(known)
    assert len(said) == 1
    assert "airflow-1" in said[0]
    assert worker.stop("airflow-1") is False


def test_a_task_that_airflow_does_not_understand_is_one_that_did_not_end_well() -> None:
    thread, said = performed(worker.supervise, "no workload of Airflow's")
    thread.join(120)
    assert "did not come to its end" in said[0]
