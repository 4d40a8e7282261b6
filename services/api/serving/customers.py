"""Customers: a page of them, found by number or segment, and one with every day of its orders. Personal data."""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import asdict
from datetime import date
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel, Field, TypeAdapter

from leandata.serving import customer_days_sql, customers_sql, to_customer, to_customer_day
from serving.answers import UNCHANGED, Answers, Ask, Exact, Published
from serving.problems import Problem, ProblemError

router = APIRouter(prefix="/v1", tags=["customers"], responses=UNCHANGED)
_LARGEST_PAGE = 200
_DATASETS = ("sales.customers", "sales.segments")
_MAC = 12
_PLACE = 8


class CustomerFigures(BaseModel):
    """A customer in one line; money is exact US dollars as text, a score 1 (lowest) to 5."""

    customer_id: int = Field(examples=[7])
    first_order_on: date
    last_order_on: date
    orders: int
    units: int
    revenue: Exact
    segment: str = Field(examples=["loyal"])
    recency_score: int
    frequency_score: int
    monetary_score: int


class CustomerDayFigures(BaseModel):
    """What was ordered on one day; `revenue` is exact US dollars as text."""

    day: date
    orders: int
    units: int
    revenue: Exact


class CustomerPage(BaseModel):
    """Customers by number; `next` is the cursor of the next page, null on the last one."""

    data_until: date | None
    customers: list[CustomerFigures]
    next: str | None = Field(examples=["AAAAAAAAADIxyzq0..."])


class CustomerHistory(CustomerFigures):
    """A customer with all days on which something was ordered, the first one first."""

    days: list[CustomerDayFigures]


_PAGE = TypeAdapter(CustomerPage)
_HISTORY = TypeAdapter(CustomerHistory)


class Cursors:
    """Makes cursors that only this API can make: a place in a list, under a code of it and the list (HMAC-SHA-256)."""

    def __init__(self, key: str) -> None:
        self._key = hashlib.sha256(b"cursors:" + key.encode()).digest()

    def made(self, after: int, *, of: tuple[str, ...]) -> str:
        """The cursor after the number `after` of the list `of`."""
        place = after.to_bytes(_PLACE, "big")
        return base64.urlsafe_b64encode(place + self._code(place, of)).decode().rstrip("=")

    def read(self, cursor: str, *, of: tuple[str, ...]) -> int:
        """The number it stands after. Raises ProblemError (400) for one that was not made here, or of another list."""
        try:
            found = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        except ValueError:
            found = b""
        place, code = found[:_PLACE], found[_PLACE:]
        if not hmac.compare_digest(code, self._code(place, of)):
            raise ProblemError(400, "cursor: take the `next` of a page with the same question, unchanged")
        return int.from_bytes(place, "big")

    def _code(self, place: bytes, of: tuple[str, ...]) -> bytes:
        return hmac.digest(self._key, place + repr(of).encode(), "sha256")[:_MAC]


_LINKS = {
    "next": {
        "operationId": "get_customers",
        "description": "The next page: the same question, with the cursor",
        "parameters": {
            "q": "$request.query.q", "segment": "$request.query.segment", "cursor": "$response.body#/next",
        },
    },
    "one": {
        "operationId": "get_customer",
        "description": "The first of them with its history",
        "parameters": {"customer_id": "$response.body#/customers/0/customer_id"},
    },
}  # fmt: skip


@router.get(
    "/customers",
    response_model=CustomerPage,
    responses={
        200: {"links": _LINKS},
        400: {"model": Problem, "description": "A cursor that is none, or of another question"},
    },
)
async def get_customers(
    request: Request,
    starts: Annotated[
        str, Query(alias="q", pattern="^[0-9]{0,18}$", description="How the customer's number begins", examples=["12"])
    ] = "",
    segment: Annotated[str, Query(pattern="^[a-z_]{0,40}$", description="Only of it", examples=["champions"])] = "",
    limit: Annotated[int, Query(ge=1, le=_LARGEST_PAGE)] = 50,
    cursor: Annotated[str, Query(max_length=100, description="The `next` of the page before")] = "",
) -> Response:
    """A page of customers by number; the next one by its cursor, with the same question."""
    cursors: Cursors = request.app.state.cursors
    after = cursors.read(cursor, of=(starts, segment)) if cursor else 0

    async def make(ask: Ask, published: Published) -> bytes:
        told = {"after": after, "limit": limit + 1, "starts": starts, "segment": segment, "customer": None}
        found = [asdict(to_customer(row)) for row in await ask(customers_sql(), told)]
        more = cursors.made(found[limit - 1]["customer_id"], of=(starts, segment)) if len(found) > limit else None
        page = {"data_until": published.until("sales.customers"), "customers": found[:limit], "next": more}
        return _PAGE.dump_json(CustomerPage.model_validate(page))

    answers: Answers = request.app.state.answers
    return await answers.give(request, datasets=_DATASETS, asked=(starts, segment, limit, after), make=make)


@router.get(
    "/customers/{customer_id}",
    response_model=CustomerHistory,
    responses={404: {"model": Problem, "description": "No customer has this number"}},
)
async def get_customer(
    request: Request, customer_id: Annotated[int, Path(ge=1, le=2**62, description="The shop's number", examples=[7])]
) -> Response:
    """One customer with its history."""

    async def make(ask: Ask, published: Published) -> bytes:
        del published
        told = {"after": 0, "limit": 1, "starts": "", "segment": "", "customer": customer_id}
        rows = await ask(customers_sql(), told)
        if not rows:
            raise ProblemError(404, f"No customer has the number {customer_id}.")
        days = [asdict(to_customer_day(row)) for row in await ask(customer_days_sql(), {"customer": customer_id})]
        return _HISTORY.dump_json(CustomerHistory.model_validate({**asdict(to_customer(rows[0])), "days": days}))

    answers: Answers = request.app.state.answers
    datasets = (*_DATASETS, "sales.customer_days")
    return await answers.give(request, datasets=datasets, asked=(customer_id,), make=make)
