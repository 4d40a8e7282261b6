"""The API does what its description says, over the real published sales: every operation is asked by schemathesis,
rightly and wrongly, with a fixed seed. `make hostile` sends far more of the same."""

from __future__ import annotations

from collections.abc import Generator

import httpx
import pytest

from infra.testing.api import Api, running
from infra.testing.hostile.attack import Outcome, attack, fill

pytestmark = pytest.mark.integration
EXAMPLES = 12


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Generator[Api]:
    with running(tmp_path_factory.mktemp("described")) as found:
        fill(found)
        yield found


@pytest.fixture(scope="module")
def outcome(api: Api) -> Outcome:
    return attack(api, examples=EXAMPLES, seed=20261127)


def test_every_answer_is_as_described(outcome: Outcome) -> None:
    assert outcome.failures == ""
    assert outcome.requests > 1_000
    assert max(outcome.answers) < 500, outcome.answers
    assert {200, 202, 304, 400, 401, 404, 405, 422} <= set(outcome.answers), "all ways of answering were seen"


def test_nothing_that_was_accepted_is_lost_and_nothing_that_was_refused_is_kept(outcome: Outcome) -> None:
    assert outcome.lost == set()
    assert outcome.slipped_in == set()
    assert len(outcome.accepted) > 200


def test_the_api_answers_as_before(api: Api, outcome: Outcome) -> None:
    assert outcome.requests
    assert httpx.get(f"{api.url}/readyz").status_code == 200
    weeks = api.client.get("/v1/sales/weekly").json()["weeks"]
    assert sum(one["orders"] for one in weeks) == 69_659


def test_every_operation_refuses_a_parameter_that_it_has_not(api: Api) -> None:
    paths = api.client.get("/openapi.json").json()["paths"]
    for path, methods in paths.items():
        for method, operation in methods.items():
            place = path.replace("{customer_id}", "7").replace("{dataset}", "sales.weekly_sales")
            answer = api.client.request(method, place, params={"form": "2026-11-02"}, json=[])
            assert answer.status_code == 422, (method, path)
            known = sorted(one["name"] for one in operation.get("parameters", []) if one["in"] == "query")
            assert answer.json()["detail"].endswith(f"Known: {', '.join(known)}" if known else "This route has none")


def test_without_a_key_not_even_the_parameters_are_told(api: Api) -> None:
    assert httpx.get(f"{api.url}/v1/sales/weekly", params={"form": "2026-11-02"}).status_code == 401
