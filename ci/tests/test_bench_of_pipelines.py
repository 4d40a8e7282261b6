"""The measures of the daily pipeline: events lie where the API puts them, and memory is what is held."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest

from ci.bench import pipelines
from ci.programs import module_path
from infra.environment import ROOT
from infra.testing import parts
from infra.testing.fixtures import url_of
from leandata.database import connect
from leandata.settings import Settings

pytestmark = pytest.mark.integration
HELD = 300_000_000
HOLDER = f"held = bytearray({HELD}); held[::4096] = b'1' * len(held[::4096]); print('holds', flush=True); input()"

WATCHER = f"""
import subprocess, sys, time
from ci.bench import pipelines
from ci.programs import module_path
from infra.environment import ROOT
before = pipelines.memory()
with pipelines.peak() as most:
    with subprocess.Popen([sys.executable, "-c", {HOLDER!r}], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        until = time.monotonic() + 60
        while most() < before + {HELD} and time.monotonic() < until:
            time.sleep(0.1)
        process.communicate(b"\\n")
    print(before, most(), pipelines.memory())
"""


def test_events_that_are_accepted_lie_in_the_inbox_each_once(postgres_server: parts.Postgres, tmp_path: Path) -> None:
    events = postgres_server.database("bench_events", owner="bench_events_owner")
    settings = Settings.load(
        {"LEANDATA_ENVIRONMENT": "test", "LEANDATA_TODAY": "2026-11-24", "LEANDATA_EVENTS": url_of(events)}
    )
    world = pipelines.World(settings=settings, shop=events, events=events, folder=tmp_path)
    pipelines.accept(world, count=5)
    pipelines.accept(world, count=2)
    with connect(events) as connection:
        assert connection.execute("SELECT count(*), count(DISTINCT event_id) FROM events.inbox").fetchone() == (7, 7)
    assert world.later().settings.today() == date(2026, 11, 25)
    assert world.settings.today() == date(2026, 11, 24)


def test_memory_is_also_what_processes_hold_that_were_begun_and_the_most_is_kept() -> None:
    """In a process of its own: what else the tests began may end meanwhile."""
    ran = subprocess.run(
        [sys.executable, "-c", WATCHER], cwd=ROOT, env={**os.environ, "PYTHONPATH": module_path(ROOT)},
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    before, most, after = map(int, ran.stdout.split())
    assert most >= before + HELD
    assert after < before + HELD
