"""Figures of sales, segments and cohorts; the warehouse is never asked."""

from __future__ import annotations

from dataclasses import asdict
from datetime import date
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel, Field, TypeAdapter

from leandata.serving import (
    cohorts_sql,
    daily_sales_sql,
    segments_sql,
    to_cohort_month,
    to_sales,
    to_segment,
    weekly_sales_sql,
)
from serving.answers import Answers, Ask, Exact, Published
from serving.problems import Problem, ProblemError

router = APIRouter(
    prefix="/v1", tags=["figures"], responses={304: {"description": "As `If-None-Match` has it: nothing was published"}}
)
Since = Annotated[date | None, Query(alias="from", description="The first day of it", examples=["2026-11-02"])]
Until = Annotated[date | None, Query(alias="to", description="The last day of it", examples=["2026-11-16"])]
_NO_RANGE: dict[int | str, dict[str, object]] = {
    422: {"model": Problem, "description": "A day that is none, or a range that ends before it begins"}
}


class _Sales(BaseModel):
    """`revenue` is exact US dollars as text."""

    revenue: Exact
    orders: int = Field(examples=[412])
    customers: int = Field(examples=[397])
    new_customers: int = Field(examples=[21])
    units: int = Field(examples=[1003])


class Day(_Sales):
    """Sales of a day; a day without orders is there with zeros. `revenue` is exact US dollars as text."""

    day: date


class Week(_Sales):
    """Sales of the week that starts on the Monday `week`; `revenue` is exact US dollars as text."""

    week: date


class DailySales(BaseModel):
    """Days in their order, and until which day the data goes (null before the first publication)."""

    data_until: date | None
    days: list[Day]


class WeeklySales(BaseModel):
    """Weeks in their order, and until which day the data goes (null before the first publication)."""

    data_until: date | None
    weeks: list[Week]


class SegmentFigures(BaseModel):
    """A segment of customers: what they paid in all (exact US dollars as text), mean days since the last order."""

    segment: str = Field(examples=["champions"])
    customers: int
    revenue: Exact
    orders: int
    recency_days: Exact


class Segments(BaseModel):
    """Every segment that has customers, by name."""

    data_until: date | None
    segments: list[SegmentFigures]


class CohortFigures(BaseModel):
    """Who of a cohort (the month of the first order, by its first day) ordered in its `month` since, from 0."""

    cohort: date
    month: int
    customers: int
    cohort_customers: int
    orders: int
    revenue: Exact


class Cohorts(BaseModel):
    """Every month of every cohort, in their order."""

    data_until: date | None
    cohorts: list[CohortFigures]


_DAYS = TypeAdapter(DailySales)
_WEEKS = TypeAdapter(WeeklySales)
_SEGMENTS = TypeAdapter(Segments)
_COHORTS = TypeAdapter(Cohorts)


@router.get("/sales/daily", response_model=DailySales, responses=_NO_RANGE)
async def get_daily_sales(request: Request, since: Since = None, until: Until = None) -> Response:
    """Sales of each day in the range, both ends included; empty before anything was published."""
    _demand_range(since, until)

    async def make(ask: Ask, published: Published) -> bytes:
        rows = await ask(daily_sales_sql(), {"since": since, "until": until})
        days = [{**_figures(row), "day": row[0]} for row in rows]
        found = {"data_until": published.until("sales.daily_sales"), "days": days}
        return _DAYS.dump_json(DailySales.model_validate(found))

    answers: Answers = request.app.state.answers
    return await answers.give(request, datasets=["sales.daily_sales"], asked=(since, until), make=make)


@router.get("/sales/weekly", response_model=WeeklySales, responses=_NO_RANGE)
async def get_weekly_sales(request: Request, since: Since = None, until: Until = None) -> Response:
    """Sales of each week whose Monday lies in the range; empty before anything was published."""
    _demand_range(since, until)

    async def make(ask: Ask, published: Published) -> bytes:
        rows = await ask(weekly_sales_sql(), {"since": since, "until": until})
        weeks = [{**_figures(row), "week": row[0]} for row in rows]
        found = {"data_until": published.until("sales.weekly_sales"), "weeks": weeks}
        return _WEEKS.dump_json(WeeklySales.model_validate(found))

    answers: Answers = request.app.state.answers
    return await answers.give(request, datasets=["sales.weekly_sales"], asked=(since, until), make=make)


@router.get("/segments", response_model=Segments)
async def get_segments(request: Request) -> Response:
    """Customers, revenue and orders of each segment by recency, frequency and value."""

    async def make(ask: Ask, published: Published) -> bytes:
        segments = [asdict(to_segment(row)) for row in await ask(segments_sql(), {})]
        found = {"data_until": published.until("sales.segments"), "segments": segments}
        return _SEGMENTS.dump_json(Segments.model_validate(found))

    answers: Answers = request.app.state.answers
    return await answers.give(request, datasets=["sales.segments"], asked=(), make=make)


@router.get("/cohorts", response_model=Cohorts)
async def get_cohorts(request: Request) -> Response:
    """Customers by the month of their first order, followed through every month since."""

    async def make(ask: Ask, published: Published) -> bytes:
        cohorts = [asdict(to_cohort_month(row)) for row in await ask(cohorts_sql(), {})]
        found = {"data_until": published.until("sales.cohorts"), "cohorts": cohorts}
        return _COHORTS.dump_json(Cohorts.model_validate(found))

    answers: Answers = request.app.state.answers
    return await answers.give(request, datasets=["sales.cohorts"], asked=(), make=make)


def _figures(row: tuple[object, ...]) -> dict[str, object]:
    found = asdict(to_sales(row))
    del found["period"]
    return found


def _demand_range(since: date | None, until: date | None) -> None:
    if since is not None and until is not None and until < since:
        raise ProblemError(422, f"to: the range ends ({until}) before it begins ({since})")
