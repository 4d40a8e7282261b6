"""Whether the parts answer: what is said of one that does not, and of real ones."""

from __future__ import annotations

import smtplib
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest

from infra.testing import parts
from infra.testing.fixtures import Platform
from leandata import serving
from leandata.database import connect
from leandata.errors import WarehouseError
from leandata.settings import Settings
from pipelines import health

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (WarehouseError("the warehouse\nis away"), "the warehouse is away"),
        (ConnectionRefusedError("refused"), "does not answer: refused"),
        (smtplib.SMTPServerDisconnected("gone"), "does not answer: gone"),
    ],
)
def test_a_part_that_does_not_answer_is_down_with_the_reason_in_a_line(error: Exception, told: str) -> None:
    def probe() -> str:
        raise error

    found = health.probed("lake", probe, now=NOON)
    assert (found.part, found.state, found.detail) == ("lake", "down", told)
    assert found.looked_at == found.since == NOON


def test_a_part_that_answers_says_what() -> None:
    assert health.probed("lake", lambda: "can be listed", now=NOON).state == "up"


class Answer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/execution/health" else 503)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing: the test looks itself."""


@pytest.mark.integration
def test_every_part_is_looked_at_and_one_that_is_away_is_told(platform: Platform) -> None:
    with HTTPServer(("127.0.0.1", 0), Answer) as server, HTTPServer(("127.0.0.1", 0), Answer) as dask:
        for one in (server, dask):
            Thread(target=one.serve_forever, daemon=True).start()
        place = f"tcp://127.0.0.1:{dask.server_port}"
        url = f"http://127.0.0.1:{server.server_port}/execution/"
        pages = f"api={url}health,dash=http://127.0.0.1:{server.server_port}/other"
        settings = Settings(values={**platform.settings.values, "DASK": place, "HEALTH_PAGES": pages})
        found = health.run(settings, execution_url=url, now=NOON)
        answering = ("airflow", "api", "dask", "lake", "mail", "serving database", "warehouse")
        assert {one.part: one.state for one in found} == {**dict.fromkeys(answering, "up"), "dash": "down"}, found
        away = Settings(values={**settings.values, "DASK": f"tcp://127.0.0.1:{parts.free_port()}"})
        later = NOON.replace(hour=13)
        sick = health.run(away, execution_url=f"http://127.0.0.1:{server.server_port}/other/", now=later)
        for one in (server, dask):
            one.shutdown()
    assert {one.part for one in sick if one.state == "down"} == {"airflow", "dash", "dask"}
    with connect(settings.serving) as connection:
        known = {one.part: one for one in serving.health(connection)}
    assert (known["dask"].since, known["lake"].since, known["lake"].looked_at) == (later, NOON, later)
    assert "503" in known["airflow"].detail


@pytest.mark.integration
def test_without_a_serving_database_the_look_is_only_printed(
    platform: Platform, capsys: pytest.CaptureFixture[str]
) -> None:
    place = f"postgresql://w@127.0.0.1:{parts.free_port()}/serving"
    settings = Settings(values={**platform.settings.values, "DASK": "tcp://127.0.0.1:1", "SERVING": place})
    found = {one.part: one.state for one in health.run(settings, execution_url="http://127.0.0.1:1/", now=NOON)}
    assert (found["serving database"], found["lake"]) == ("down", "up")
    assert "the health could not be noted: " in capsys.readouterr().out
