"""Which refusals the description of the API explains in words: exactly those, and no other."""

from __future__ import annotations

from typing import Any

import pytest
import schemathesis

from ci.client import description
from infra.testing.hostile import hooks
from infra.testing.hostile.attack import Outcome

SCHEMA = schemathesis.openapi.from_dict(description())
ID = "6f1c2f0e-5c1b-4e3a-9a53-0d6f6f1f2a10"
EVENT = {"event_id": ID, "type": "page_view", "occurred_at": "2026-11-24T10:00:00Z"}
UNNAMED = {name: value for name, value in EVENT.items() if name != "event_id"}


@pytest.fixture(autouse=True)
def nothing_is_known_from_other_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hooks, "_accepted", set())
    monkeypatch.setattr(hooks, "_cursors", {})


def case(method: str, path: str, **said: Any) -> schemathesis.Case:
    return SCHEMA[path][method].Case(**said)


@pytest.mark.parametrize(
    ("asked", "explained"),
    [
        ({"from": "2026-11-02", "to": "2026-11-01"}, True),
        ({"from": "2026-11-02", "to": "2026-11-02"}, False),
        ({"to": "2026-11-01"}, False),
        ({}, False),
    ],
)
def test_a_range_may_be_refused_that_ends_before_it_begins(asked: dict[str, str], explained: bool) -> None:
    for name in ("get_daily_sales", "get_weekly_sales"):
        assert hooks._REFUSED[name](case("GET", "/v1/sales/daily", query=asked)) is explained


def test_a_cursor_may_be_refused_that_the_api_did_not_make_for_the_question() -> None:
    refused = hooks._REFUSED["get_customers"]
    hooks._cursors["made"] = ("12", "")
    assert refused(case("GET", "/v1/customers", query={"cursor": "other"}))
    assert refused(case("GET", "/v1/customers", query={"cursor": "made", "q": "13"}))
    assert not refused(case("GET", "/v1/customers", query={"cursor": "made", "q": "12"}))
    assert not refused(case("GET", "/v1/customers", query={"q": "12"}))


def test_an_event_may_be_refused_whose_id_is_taken_or_whose_number_has_a_point() -> None:
    refused = hooks._REFUSED["post_events"]
    assert not refused(case("POST", "/v1/events", body=EVENT))
    assert refused(case("POST", "/v1/events", body=[EVENT, EVENT]))
    assert refused(case("POST", "/v1/events", body={**EVENT, "customer_id": 7.0}))
    assert refused(case("POST", "/v1/events", body={**EVENT, "payload": {"units": 7.0}}))
    assert not refused(case("POST", "/v1/events", body={**EVENT, "payload": {"units": 7}}))
    hooks._accepted.add(ID)
    assert refused(case("POST", "/v1/events", body=EVENT))


@pytest.mark.parametrize(
    ("body", "headers", "explained"),
    [
        (UNNAMED, {"Idempotency-Key": ID}, True),
        (UNNAMED, {"idempotency-key": ID}, True),
        (UNNAMED, {}, False),
        (EVENT, {"Idempotency-Key": ID}, False),
        ([UNNAMED], {"Idempotency-Key": ID}, False),
        ({**UNNAMED, "customer_id": "7"}, {"Idempotency-Key": ID}, False),
    ],
)
def test_an_event_without_id_may_be_taken_with_one_in_its_header(
    body: Any, headers: dict[str, str], explained: bool
) -> None:
    found = case("POST", "/v1/events", body=body, headers=headers)
    assert hooks._is_named_by_its_header(found) is explained


def test_what_was_lost_and_what_slipped_in_is_known() -> None:
    told = {"answers": {200: 3, 422: 4}, "failures": "", "seconds": 1.0}
    found = Outcome(accepted=frozenset({"a", "b"}), kept=frozenset({"b", "c"}), **told)
    assert (found.requests, found.lost, found.slipped_in) == (7, {"a"}, {"c"})
