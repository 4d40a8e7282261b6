"""Dask workers come when there is work and go when there is none, by the operator and its autoscaler."""

from __future__ import annotations

from threading import Thread

import pytest

from ci.cluster_test.platform import Platform
from infra.testing.parts import eventually

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1800)]
SUBMIT = """
import os, sys, time
from distributed import Client
with Client(sys.argv[1], timeout=30) as client:
    futures = client.map(lambda number: time.sleep(3) or number, range(int(sys.argv[2])), pure=False)
    print(sum(client.gather(futures)))
"""


def test_workers_come_with_work_and_go_without_it_and_no_result_is_lost(platform: Platform) -> None:
    least = len(eventually(lambda: platform.pods("dask-worker"), seconds=120))
    address = platform.programs["dask"].outputs["scheduler"]
    count = 60
    most = least

    answers: list[str] = []

    def work() -> None:
        ran = platform.python("dask-scheduler", SUBMIT, address, str(count), seconds=300)
        answers.append(ran.out.strip() if ran.code == 0 else ran.err)

    thread = Thread(target=work)
    thread.start()

    def more() -> bool:
        nonlocal most
        most = max(most, len(platform.pods("dask-worker")))
        return most > least or not thread.is_alive()

    eventually(more, seconds=300)
    thread.join()
    assert answers == [str(sum(range(count)))]
    assert most > least
    eventually(lambda: len(platform.pods("dask-worker")) == least, seconds=300)


def test_a_killed_worker_s_work_is_done_by_another(platform: Platform) -> None:
    address = platform.programs["dask"].outputs["scheduler"]
    answers: list[str] = []

    def work() -> None:
        ran = platform.python("dask-scheduler", SUBMIT, address, "20", seconds=300)
        answers.append(ran.out.strip() if ran.code == 0 else ran.err)

    thread = Thread(target=work)
    thread.start()
    name = eventually(lambda: platform.pods("dask-worker"), seconds=60)[0]["metadata"]["name"]
    platform.cluster.delete("v1", "Pod", platform.namespace("dask"), name, grace=0)
    thread.join()
    assert answers == [str(sum(range(20)))]
