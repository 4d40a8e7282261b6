"""What is read from a real serving database: exact, in pages, tied to what is published, and served while it is down."""

from __future__ import annotations

from collections.abc import Generator
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest

from infra.testing import published
from infra.testing.api import Api, running
from infra.testing.parts import eventually
from leandata import serving
from leandata.database import connect

pytestmark = pytest.mark.integration
DAY = date(2026, 11, 22)
SEGMENTS = ("champions", "loyal", "lost")
CUSTOMERS = 130


def put(api: Api, name: str, rows: list[dict[str, Any]], version: str = "v1") -> None:
    published.put(api.serving, name, rows, until=DAY, version=version)


def figures(**more: Any) -> dict[str, Any]:
    return {"revenue": Decimal("0.10"), "orders": 3, "customers": 2, "new_customers": 1, "units": 4, **more}


def customer(number: int) -> dict[str, Any]:
    return {
        "customer_id": number, "first_order_on": DAY - timedelta(days=number), "last_order_on": DAY, "orders": 2,
        "units": 3, "revenue": Decimal(number) + Decimal("0.05"),
    }  # fmt: skip


def scores(number: int) -> dict[str, Any]:
    return {
        "customer_id": number, "as_of": DAY, "recency_days": 3, "frequency": 2, "monetary": Decimal("1.05"),
        "recency_score": 5, "frequency_score": 4, "monetary_score": 3, "segment": SEGMENTS[number % 3],
    }  # fmt: skip


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Generator[Api]:
    with running(tmp_path_factory.mktemp("reads")) as found:
        for path in ("/v1/sales/daily", "/v1/segments", "/v1/cohorts", "/v1/customers", "/v1/datasets"):
            assert found.client.get(path).status_code == 200, "before the first publication there is nothing, no error"
        assert found.client.get("/v1/customers/1").status_code == 404
        put(found, "sales.daily_sales", [figures(day=DAY - timedelta(days=back)) for back in range(30)])
        put(found, "sales.weekly_sales", [figures(week=date(2026, 11, 16))])
        put(found, "sales.customers", [customer(number) for number in range(1, CUSTOMERS + 1)])
        put(found, "sales.segments", [scores(number) for number in range(1, CUSTOMERS + 1)])
        put(
            found, "sales.customer_days",
            [
                {"customer_id": 7, "day": DAY - timedelta(days=back), "orders": 1, "units": 1, "revenue": Decimal("2.50")}
                for back in (0, 7)
            ],
        )  # fmt: skip
        put(
            found, "sales.cohorts",
            [
                {"cohort": date(2026, 10, 1), "month": month, "customers": 4 - month, "cohort_customers": 4, "orders": 5,
                 "revenue": Decimal("7.25")}
                for month in (0, 1)
            ],
        )  # fmt: skip
        eventually(lambda: len(found.client.get("/v1/freshness").json()["datasets"]) == 6)
        yield found


def test_days_are_exact_and_the_range_is_kept(api: Api) -> None:
    found = api.client.get("/v1/sales/daily", params={"from": "2026-11-20", "to": "2026-11-21"}).json()
    assert found["data_until"] == "2026-11-22"
    assert [one["day"] for one in found["days"]] == ["2026-11-20", "2026-11-21"]
    assert found["days"][0]["revenue"] == "0.10"
    assert len(api.client.get("/v1/sales/daily").json()["days"]) == 30


@pytest.mark.parametrize("path", ["/v1/sales/daily", "/v1/sales/weekly"])
def test_a_range_that_ends_before_it_begins_is_refused(api: Api, path: str) -> None:
    answer = api.client.get(path, params={"from": "2026-11-21", "to": "2026-11-20"})
    assert answer.status_code == 422
    assert "before it begins" in answer.json()["detail"]


def test_segments_and_cohorts_are_told(api: Api) -> None:
    segments = api.client.get("/v1/segments").json()["segments"]
    assert [one["segment"] for one in segments] == sorted(SEGMENTS)
    assert sum(one["customers"] for one in segments) == CUSTOMERS
    assert segments[0]["revenue"] == str(Decimal("1.05") * segments[0]["customers"])
    cohorts = api.client.get("/v1/cohorts").json()["cohorts"]
    assert [(one["month"], one["customers"], one["revenue"]) for one in cohorts] == [(0, 4, "7.25"), (1, 3, "7.25")]


def pages(api: Api, **asked: Any) -> list[list[int]]:
    found: list[list[int]] = []
    cursor = ""
    while True:
        page = api.client.get("/v1/customers", params={**asked, **({"cursor": cursor} if cursor else {})}).json()
        found.append([one["customer_id"] for one in page["customers"]])
        if page["next"] is None:
            return found
        cursor = page["next"]


@pytest.mark.parametrize("limit", [1, 7, 50, 65, 130, 200])
def test_pages_hold_every_customer_once_in_their_order(api: Api, limit: int) -> None:
    found = pages(api, limit=limit)
    assert [number for page in found for number in page] == list(range(1, CUSTOMERS + 1))
    assert {len(page) for page in found[:-1]} <= {limit}


def test_customers_are_found_by_the_beginning_of_their_number_and_by_segment(api: Api) -> None:
    assert pages(api, q="12", limit=4) == [[12, 120, 121, 122], [123, 124, 125, 126], [127, 128, 129]]
    assert pages(api, q="12", segment="champions") == [[12, 120, 123, 126, 129]]
    assert pages(api, segment="nothing") == [[]]


def test_one_customer_has_its_history(api: Api) -> None:
    found = api.client.get("/v1/customers/7").json()
    assert (found["revenue"], found["segment"], found["monetary_score"]) == ("7.05", "loyal", 3)
    assert [(one["day"], one["revenue"]) for one in found["days"]] == [("2026-11-15", "2.50"), ("2026-11-22", "2.50")]
    answer = api.client.get("/v1/customers/99999")
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")


@pytest.mark.parametrize("cursor", ["x", "AAAA", "A" * 27, "A" * 28, "A" * 100, "é", "../..", "AAAAAAAAAAcxyz=="])
def test_a_cursor_that_was_not_made_here_is_a_problem(api: Api, cursor: str) -> None:
    answer = api.client.get("/v1/customers", params={"cursor": cursor})
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_cursor_belongs_to_its_question(api: Api) -> None:
    cursor = api.client.get("/v1/customers", params={"limit": 5}).json()["next"]
    assert api.client.get("/v1/customers", params={"cursor": cursor, "limit": 7}).status_code == 200
    assert api.client.get("/v1/customers", params={"cursor": cursor, "segment": "loyal"}).status_code == 400
    assert api.client.get("/v1/customers", params={"cursor": cursor[:-1] + "A"}).status_code == 400


@pytest.mark.parametrize("asked", [{"limit": 0}, {"limit": 201}, {"q": "1x"}, {"segment": "'; --"}, {"limit": "many"}])
def test_a_question_that_makes_no_sense_is_refused(api: Api, asked: dict[str, Any]) -> None:
    answer = api.client.get("/v1/customers", params=asked)
    assert answer.status_code == 422
    assert next(iter(asked)) in answer.json()["detail"]


@pytest.mark.parametrize(
    "path", ["/v1/sales/weekly", "/v1/segments", "/v1/customers", "/v1/customers/7", "/v1/freshness"]
)
def test_who_has_the_answer_already_is_told_so(api: Api, path: str) -> None:
    first = api.client.get(path)
    again = api.client.get(path, headers={"If-None-Match": f'"other", W/{first.headers["etag"]}'})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == first.headers["etag"]
    assert api.client.get(path, headers={"If-None-Match": '"other"'}).status_code == 200


def test_a_publication_changes_the_tag_of_its_answers_and_of_no_others(api: Api) -> None:
    week, segments = api.client.get("/v1/sales/weekly"), api.client.get("/v1/segments")
    put(api, "sales.weekly_sales", [figures(week=date(2026, 11, 16), orders=99)], version="v2")
    asked = {"If-None-Match": week.headers["etag"]}
    new = eventually(lambda: (got := api.client.get("/v1/sales/weekly", headers=asked)).status_code == 200 and got)
    assert new.json()["weeks"][0]["orders"] == 99
    assert api.client.get("/v1/segments").headers["etag"] == segments.headers["etag"]


def test_datasets_are_told_with_contract_and_freshness(api: Api) -> None:
    found = {one["dataset"]: one for one in api.client.get("/v1/datasets").json()["datasets"]}
    assert found["sales.segments"]["published"]["rows"] == CUSTOMERS
    assert found["features.customer_features"]["published"] is None
    assert found["features.customer_features"]["late"] is None
    assert found["sales.weekly_sales"]["key"] == ["week"]
    assert all(one["columns"] and one["owner"] for one in found.values())
    with connect(api.serving) as connection:
        query = "UPDATE serving.freshness SET data_until = current_date - %s, published_at = now() WHERE dataset = %s"
        for days, name in ((3, "sales.cohorts"), (1, "sales.segments")):
            connection.execute(query, [days, name])
    late = lambda: {one["dataset"]: one["late"] for one in api.client.get("/v1/datasets").json()["datasets"]}  # noqa: E731
    eventually(lambda: (late()["sales.cohorts"], late()["sales.segments"]) == (True, False))


def test_checks_are_told_as_they_are_written(api: Api) -> None:
    assert api.client.get("/v1/checks").json() == {"checks": []}
    with connect(api.serving) as connection:
        connection.execute(
            'CREATE TABLE serving.checks (dataset text, "check" text, status text, detail text, checked_at timestamptz)'
        )
        connection.execute("INSERT INTO serving.checks VALUES ('sales.cohorts', 'keys', 'ok', NULL, '2026-11-24T02:00:00Z'),"
            " ('sales.cohorts', 'freshness', 'failed', '27 h old', '2026-11-24T02:00:00Z')")  # fmt: skip
        connection.commit()
        found = serving.checks(connection)
    assert [(one.check, one.status, one.detail) for one in found] == [
        ("freshness", "failed", "27 h old"),
        ("keys", "ok", ""),
    ]
    first = api.client.get("/v1/checks")
    assert [one["check"] for one in first.json()["checks"]] == ["freshness", "keys"]
    asked = {"If-None-Match": first.headers["etag"]}
    assert api.client.get("/v1/checks", headers=asked).status_code == 304
    with connect(api.serving) as connection:
        connection.execute("UPDATE serving.checks SET status = 'ok'")
    assert api.client.get("/v1/checks", headers=asked).status_code == 200


def test_while_the_database_is_down_what_is_known_is_served_with_its_age(api: Api) -> None:
    known = api.client.get("/v1/sales/weekly")
    assert int(known.headers["age"]) <= 2
    api.server.kill()
    try:
        eventually(lambda: int(api.client.get("/v1/sales/weekly").headers["age"]) >= 3)
        answer = api.client.get("/v1/sales/weekly")
        assert answer.content == known.content
        assert answer.headers["etag"] == known.headers["etag"]
        datasets = api.client.get("/v1/datasets")
        assert datasets.status_code == 200, "what is late is told all the same"
        assert int(datasets.headers["age"]) >= 3
        new = api.client.get("/v1/sales/weekly", params={"from": "2020-01-01"})
        assert (new.status_code, new.headers["retry-after"]) == (503, "2"), "what was never asked is not known"
        assert httpx.get(f"{api.url}/healthz").status_code == 200
    finally:
        api.server.start()
    eventually(lambda: int(api.client.get("/v1/sales/weekly").headers["age"]) <= 2)


def test_predictions_are_told_with_the_likeliest_first(api: Api) -> None:
    assert api.client.get("/v1/predictions").json() == {"data_until": None, "predictions": []}
    put(api, "features.purchase_predictions", [
        {"customer_id": number, "as_of": DAY, "probability": Decimal(number) / 100, "model_version": "v1"}
        for number in range(1, 61)
    ])  # fmt: skip

    def told() -> list[dict[str, Any]]:
        return api.client.get("/v1/predictions").json()["predictions"]

    found = eventually(told)
    assert [one["customer_id"] for one in found[:2]] == [60, 59]
    assert (len(found), found[0]["probability"], found[0]["model_version"]) == (50, "0.600000", "v1")
    (one,) = api.client.get("/v1/predictions", params={"customer": 7}).json()["predictions"]
    assert one["probability"] == "0.070000"
    assert len(api.client.get("/v1/predictions", params={"limit": 1}).json()["predictions"]) == 1
    assert api.client.get("/v1/predictions", params={"limit": 1001}).status_code == 422
