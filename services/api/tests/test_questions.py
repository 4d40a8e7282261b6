"""What a question may say: a parameter that nobody knows is refused and named, with those that are known."""

from __future__ import annotations

import asyncio
from datetime import date
from typing import Annotated, Any

import httpx
import pytest
from fastapi import Depends, FastAPI, Query, Request
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BeforeValidator, TypeAdapter, ValidationError

from serving.description import completed
from serving.problems import told_as_problems
from serving.questions import day, demand_known

DAY = TypeAdapter(Annotated[date, BeforeValidator(day)])
APP = FastAPI()
told_as_problems(APP)


async def only_known(request: Request) -> None:
    demand_known(request)


@APP.get("/sales", dependencies=[Depends(only_known)])
async def sales(
    since: Annotated[str, Query(alias="from")] = "", until: Annotated[str, Query(alias="to")] = "", limit: int = 5
) -> str:
    return f"{since} {until} {limit}"


@APP.get("/events", dependencies=[Depends(only_known)])
async def events(type_: Annotated[list[str] | None, Query(alias="type")] = None) -> list[str]:
    return type_ or []


@APP.get("/all", dependencies=[Depends(only_known)])
async def everything() -> str:
    return "all"


def ask(path: str) -> httpx.Response:
    async def get() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(APP), base_url="http://api") as client:
            return await client.get(path)

    return asyncio.run(get())


@pytest.mark.parametrize("path", ["/sales", "/sales?", "/sales?from=a&to=b&limit=3", "/sales?to=", "/all", "/all?"])
def test_what_is_known_is_answered(path: str) -> None:
    assert ask(path).status_code == 200


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/sales?form=2026-11-02", "query.form: There is no such parameter; perhaps from. Known: from, limit, to"),
        ("/sales?From=x", "query.From: There is no such parameter; perhaps from. Known: from, limit, to"),
        ("/sales?since=x", "query.since: There is no such parameter. Known: from, limit, to"),
        ("/sales?=x", "query.: There is no such parameter. Known: from, limit, to"),
        ("/sales?%00", "query.\x00: There is no such parameter. Known: from, limit, to"),
        ("/sales?from[]=x", "query.from[]: There is no such parameter; perhaps from. Known: from, limit, to"),
        ("/all?page=2", "query.page: There is no such parameter. This route has none"),
        ("/sales?limit=1&limit=2", "query.limit: Given 2 times, and taken once"),
        ("/sales?a=1&b=2", "query.a: There is no such parameter. Known: from, limit, to (and 1 more)"),
    ],
)  # fmt: skip
def test_what_is_not_known_is_refused_and_what_is_known_is_named(path: str, said: str) -> None:
    answer = ask(path)
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
    assert answer.json()["detail"] == said
    assert answer.json()["errors"][0]["where"] == said.partition(":")[0]


def test_what_is_taken_several_times_may_be_given_so() -> None:
    assert ask("/events?type=a&type=b").json() == ["a", "b"]
    assert ask("/events?kind=a").status_code == 422


@given(names=st.lists(st.text(min_size=1, max_size=60), min_size=1, max_size=60, unique=True))
def test_however_many_names_are_wrong_the_answer_is_short(names: list[str]) -> None:
    query = str(httpx.QueryParams([(name, "x") for name in names if name not in ("from", "to", "limit")]))
    answer = ask(f"/sales?{query}")
    assert answer.status_code == (422 if query else 200)
    assert len(answer.content) < 10_000


@pytest.mark.parametrize(
    "text",
    [
        "0",
        "1700000000",
        "20261124",
        "2026-W47-1",
        "2026-11-24T00:00:00",
        " 2026-11-24",
        "2026-11-24 ",
        "٢٠٢٦-١١-٢٤",
        "",
    ],
)
def test_what_only_looks_like_a_day_is_none(text: str) -> None:
    with pytest.raises(ValidationError, match="a day is written like 2026-11-24"):
        DAY.validate_python(text)


@given(of=st.dates())
def test_every_day_is_taken_as_it_is_written(of: date) -> None:
    assert DAY.validate_python(of.isoformat()) == of


# -- the description ---------------------------------------------------------------------------------------------------


def operation(**changed: Any) -> dict[str, Any]:
    return {
        "operationId": "get_sales",
        "responses": {"200": {}, "422": {"content": {"application/json": {"schema": {}}}}},
    } | changed


def described(one: dict[str, Any]) -> dict[str, Any]:
    return completed({"paths": {"/sales": {"get": one}}})["paths"]["/sales"]["get"]


def test_errors_are_described_as_problems_and_good_answers_are_not() -> None:
    found = described(
        operation(
            responses={"200": {"content": {"application/json": {}}}, "503": {"content": {"application/json": {}}}}
        )
    )
    assert set(found["responses"]["200"]["content"]) == {"application/json"}
    assert set(found["responses"]["503"]["content"]) == {"application/problem+json"}
    assert set(found["responses"]["503"]["headers"]) == {"Retry-After"}


def test_what_has_tags_says_so_and_who_may_send_them() -> None:
    found = described(operation(responses={"200": {}, "304": {}}))
    assert set(found["responses"]["200"]["headers"]) == {"Age", "ETag"}
    assert [one["name"] for one in found["parameters"]] == ["If-None-Match"]
    file = described(operation(operationId="get_export", responses={"200": {}, "304": {}}))
    assert set(file["responses"]["200"]["headers"]) == {"ETag"}
    assert "parameters" not in described(operation())


def test_a_parameter_that_may_be_left_out_is_not_null() -> None:
    schema = {"anyOf": [{"type": "string", "format": "date"}, {"type": "null"}], "title": "From"}
    found = described(operation(parameters=[{"name": "from", "in": "query", "schema": schema}]))
    assert found["parameters"][0]["schema"] == {"type": "string", "format": "date", "title": "From"}
