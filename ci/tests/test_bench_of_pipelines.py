"""The measures of the daily pipeline: events lie where the API puts them, and memory is what is held."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest

from ci.bench import pipelines, sizes
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


def test_a_shop_that_was_made_larger_has_as_many_times_the_customers_who_order_as_the_first_do(
    postgres_server: parts.Postgres,
) -> None:
    shop = postgres_server.database("bench_sizes", owner="bench_sizes_owner")
    with connect(shop) as connection:
        connection.execute("CREATE TABLE customers (customer_id bigint PRIMARY KEY, created_on date NOT NULL)")
        connection.execute(
            "CREATE TABLE orders (customer_id bigint, ordered_on date, quantity integer, amount_usd numeric)"
        )
        connection.execute("INSERT INTO customers VALUES (1, '2026-01-01'), (7, '2026-01-02')")
        connection.execute(
            "INSERT INTO orders VALUES (1, '2026-01-01', 1, 2.5), (7, '2026-01-02', 1, 3), (7, '2026-02-02', 2, 4)"
        )
    sizes.grow(shop, times=1)
    sizes.grow(shop, times=4)
    with connect(shop) as connection:
        asked = "SELECT count(*), count(DISTINCT customer_id), sum(amount_usd) FROM orders"
        assert connection.execute(asked).fetchone() == (12, 8, 38)
        known = "SELECT array_agg(customer_id ORDER BY customer_id) FROM customers"
        assert connection.execute(known).fetchone() == ([1, 7, 8, 14, 15, 21, 22, 28],)
