"""Many threads may read their first results from the warehouse at once."""

from __future__ import annotations

import subprocess
import sys

from leandata import connector

# Threads that read a result at once, with as many changes of thread as can be had.
THREADS = """
import sys, threading
from leandata.connector import _read_one, ready
sys.setswitchinterval(1e-6)
{first}
barrier, found = threading.Barrier(16), []
def read():
    barrier.wait()
    found.append(_read_one.__wrapped__())
threads = [threading.Thread(target=read) for _ in range(16)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
print(sum(found))
"""


def test_a_result_is_read_alone_before_any_other() -> None:
    connector._read_one.cache_clear()
    connector.ready()
    assert connector._read_one.cache_info().currsize == 1
    assert connector._read_one() == 1


def test_sixteen_threads_read_their_first_results_at_once_and_none_stands_still() -> None:
    for _ in range(6):
        command = [sys.executable, "-c", THREADS.format(first="ready()")]
        result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        assert result.stdout == "16\n", result.stderr
