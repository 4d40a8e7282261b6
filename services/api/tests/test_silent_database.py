"""The API while its database hangs: connections stay open and nothing is answered. What is known is served at once,
with its age; what is not known is 503; and when the database speaks again all of it is found again."""

from __future__ import annotations

from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from typing import Any

import httpx
import pytest

from infra.testing import parts, published, silence
from infra.testing.api import Api, event, prepared
from infra.testing.fixtures import url_of
from leandata.settings import DatabaseAddress

pytestmark = pytest.mark.integration
WEEK = {
    "week": date(2026, 11, 16), "revenue": Decimal("0.10"), "orders": 3, "customers": 2, "new_customers": 1, "units": 4,
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class World:
    """An API whose both databases lie behind what may fall silent."""

    api: Api
    between: silence.Silence


@pytest.fixture
def world(tmp_path_factory: pytest.TempPathFactory) -> Generator[World]:
    folder = tmp_path_factory.mktemp("silent")
    folder.chmod(0o755)
    with prepared(folder) as api, silence.before(api.events.host, api.events.port) as between:
        published.put(api.serving, "sales.weekly_sales", [WEEK], until=date(2026, 11, 22))
        for name in ("EVENTS", "SERVING"):
            address = DatabaseAddress.parse(api.settings[f"LEANDATA_{name}"])
            moved = url_of(replace(address, host="127.0.0.1", port=between.port))
            api.settings = {**api.settings, f"LEANDATA_{name}": moved}
        with api.process():
            try:
                yield World(api=api, between=between)
            finally:
                between.end()  # a process that is told to end would wait for what it asked


def test_what_is_known_is_served_with_its_age_while_the_database_is_silent(world: World) -> None:
    api = world.api
    known = api.client.get("/v1/sales/weekly")
    assert api.client.post("/v1/events", json=event()).status_code == 202
    world.between.fall()
    parts.eventually(lambda: int(api.client.get("/v1/sales/weekly").headers["age"]) >= 3)
    answer = api.client.get("/v1/sales/weekly")
    assert (answer.content, answer.headers["etag"]) == (known.content, known.headers["etag"])
    assert api.client.get("/v1/datasets").status_code == 200
    assert httpx.get(f"{api.url}/healthz").status_code == 200


def test_what_is_not_known_is_said_to_be_out_of_reach_and_found_again_later(world: World) -> None:
    api, patient = world.api, httpx.Timeout(60)
    one = event()
    assert api.client.get("/v1/sales/weekly").status_code == 200
    assert api.client.post("/v1/events", json=event()).status_code == 202
    world.between.fall()
    asked: list[tuple[str, str, Any]] = [
        ("GET", "/v1/sales/weekly?from=2026-11-02", None),
        ("GET", "/v1/datasets/sales.weekly_sales/export?format=csv", None),
        ("GET", "/v1/events/totals", None),
        ("POST", "/v1/events", one),
        ("GET", "/readyz", None),
    ]
    with ThreadPoolExecutor() as pool:
        waiting = [pool.submit(api.client.request, *ask[:2], json=ask[2], timeout=patient) for ask in asked]
        unheard = httpx.get(f"{api.url}/v1/freshness", headers={"X-API-Key": "ldk_unheard_of"}, timeout=patient)
        answers = [one.result() for one in waiting]
    for (_, path, _), answer in zip(asked, answers, strict=True):
        assert (answer.status_code, answer.headers["content-type"]) == (503, "application/problem+json"), path
    assert (unheard.status_code, unheard.headers["retry-after"]) == (503, "2")
    world.between.end()
    parts.eventually(lambda: httpx.get(f"{api.url}/readyz", timeout=patient).status_code == 200)
    parts.eventually(lambda: int(api.client.get("/v1/sales/weekly", timeout=patient).headers["age"]) <= 2)
    parts.eventually(lambda: api.client.get("/v1/sales/weekly?from=2026-11-02", timeout=patient).status_code == 200)
    parts.eventually(lambda: api.client.post("/v1/events", json=one, timeout=patient).status_code == 202)
    assert one["event_id"] in api.kept()


def test_an_api_that_starts_while_the_database_is_silent_answers_when_it_speaks(world: World) -> None:
    world.between.fall()
    assert httpx.get(f"{world.api.url}/healthz").status_code == 200
    assert world.api.client.get("/v1/sales/weekly", timeout=60).status_code == 503
    world.between.end()
    parts.eventually(lambda: world.api.client.get("/v1/sales/weekly", timeout=60).status_code == 200)
