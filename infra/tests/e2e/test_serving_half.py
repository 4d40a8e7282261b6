"""The half of the platform that people ask: database, API and dashboards, deployed by the real engine without pipelines.

What a change of one of these services can break is seen here in half a minute; test_platform.py deploys everything.
"""

from __future__ import annotations

import http.client
import time
from collections.abc import Generator
from datetime import date
from decimal import Decimal
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from ci.engine import Engine
from infra.provider import health
from infra.testing.browser import SHOTS
from infra.testing.checkout import Checkout, free_base
from infra.testing.proof import click_dashboards, get, send_event, source_revenue
from infra.testing.published import put_sales
from leandata.clock import last_complete_week
from leandata.database import connect
from leandata.settings import DatabaseAddress

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]
TODAY = date(2026, 11, 24)
WEEK = last_complete_week(TODAY)
STACKS = "database,api,dash"


@pytest.fixture(scope="module")
def half(tmp_path_factory: pytest.TempPathFactory) -> Generator[Checkout]:
    found = Checkout(state=tmp_path_factory.mktemp("e2e") / "state", base=free_base(), today=TODAY.isoformat())
    result = found.run("deploy", "--stack", STACKS)
    try:
        assert result.returncode == 0, result.stdout + result.stderr
        put_sales(database(found, "serving_writer"), today=TODAY)
        yield found
    finally:
        found.supervisor.shutdown()


def database(half: Checkout, use: str) -> DatabaseAddress:
    return DatabaseAddress.parse(Engine(environment=half.environment, pulumi=Path("pulumi")).outputs("database")[use])


def test_what_was_asked_for_runs_and_is_healthy_and_nothing_else(half: Checkout) -> None:
    status = half.json("status")
    assert {service["name"] for service in status["services"]} == {"api", "dash", "postgres"}
    assert status["ok"], status


def test_every_week_that_the_api_tells_is_that_of_the_csv(half: Checkout) -> None:
    weeks = source_revenue(WEEK)
    url = f"{half.url('api')}/v1/sales/weekly?from={min(weeks)}&to={WEEK.start}"
    told = get(url, X_API_Key=half.secret("api-key"))["weeks"]
    assert {
        date.fromisoformat(row["week"]): Decimal(row["revenue"]) for row in told if Decimal(row["revenue"])
    } == weeks


def test_the_dashboard_shows_the_week_and_can_be_clicked(half: Checkout) -> None:
    password = half.secret("dash-password")
    click_dashboards(dash=half.url("dash"), password=password, revenue=source_revenue(WEEK), week=WEEK, shots=SHOTS)


def test_an_event_is_kept_before_it_is_acknowledged(half: Checkout) -> None:
    event = send_event(half.url("api"), key=half.secret("api-key"))
    with connect(database(half, "events_writer")) as connection:
        query = "SELECT count(*) FROM events.inbox WHERE event_id = %s"
        assert connection.execute(query, [event]).fetchone() == (1,)


def test_a_connection_that_nobody_used_for_a_while_is_still_answered(half: Checkout) -> None:
    """Ten seconds: by themselves gunicorn closes one after two, and uvicorn after five."""
    opened = [http.client.HTTPConnection("127.0.0.1", urlsplit(half.url(name)).port or 0) for name in ("api", "dash")]
    for connection in opened:
        connection.connect()
        connection.auto_open = 0  # a closed connection is an error and no new one
    for idle in (0, 10):
        time.sleep(idle)
        for connection in opened:
            connection.request("GET", "/healthz")
            answer = connection.getresponse()
            assert (answer.status, bool(answer.read())) == (200, True)
    for connection in opened:
        connection.close()


def test_deploying_again_changes_nothing(half: Checkout) -> None:
    answer = half.json("deploy", "--stack", STACKS)
    assert answer["ok"]
    assert [name for name, stack in answer["stacks"].items() if stack["changes"]] == []


def test_destroying_leaves_nothing(half: Checkout) -> None:
    environment = half.environment
    result = half.run("destroy", "--data")
    assert result.returncode == 0, result.stdout + result.stderr
    assert not half.state.exists()
    assert half.supervisor.marked() == []
    assert not any(health.accepts(environment.port(name), timeout=0.2) for name in environment.file.ports.offsets)
