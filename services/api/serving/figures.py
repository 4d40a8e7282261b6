"""Figures of sales, segments and cohorts; the warehouse is never asked."""

from __future__ import annotations

from dataclasses import asdict
from datetime import date
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel, BeforeValidator, Field

from leandata.serving import (
    cohorts_sql,
    daily_sales_sql,
    segments_sql,
    to_cohort_month,
    to_sales,
    to_segment,
    weekly_sales_sql,
)
from serving.answers import UNCHANGED, Answers, Exact
from serving.problems import Problem, ProblemError
from serving.questions import day

router = APIRouter(prefix="/v1", tags=["figures"], responses=UNCHANGED)
_Date = Annotated[date, BeforeValidator(day)]
Since = Annotated[_Date | None, Query(alias="from", description="The first day of it", examples=["2026-11-02"])]
Until = Annotated[
    _Date | None, Query(alias="to", description="The last day of it, not before the first", examples=["2026-11-16"])
]
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


@router.get("/sales/daily", response_model=DailySales, responses=_NO_RANGE)
async def get_daily_sales(request: Request, since: Since = None, until: Until = None) -> Response:
    """Sales of each day in the range, both ends included; empty before anything was published."""
    _demand_range(since, until)
    answers: Answers = request.app.state.answers
    return await answers.listed(
        request,
        dataset="sales.daily_sales",
        model=DailySales,
        name="days",
        query=daily_sales_sql(),
        parameters={"since": since, "until": until},
        shape=lambda row: _figures(row, period="day"),
    )


@router.get("/sales/weekly", response_model=WeeklySales, responses=_NO_RANGE)
async def get_weekly_sales(request: Request, since: Since = None, until: Until = None) -> Response:
    """Sales of each week whose Monday lies in the range; empty before anything was published."""
    _demand_range(since, until)
    answers: Answers = request.app.state.answers
    return await answers.listed(
        request,
        dataset="sales.weekly_sales",
        model=WeeklySales,
        name="weeks",
        query=weekly_sales_sql(),
        parameters={"since": since, "until": until},
        shape=lambda row: _figures(row, period="week"),
    )


@router.get("/segments", response_model=Segments)
async def get_segments(request: Request) -> Response:
    """Customers, revenue and orders of each segment by recency, frequency and value."""
    answers: Answers = request.app.state.answers
    return await answers.listed(
        request,
        dataset="sales.segments",
        model=Segments,
        name="segments",
        query=segments_sql(),
        parameters={},
        shape=lambda row: asdict(to_segment(row)),
    )


@router.get("/cohorts", response_model=Cohorts)
async def get_cohorts(request: Request) -> Response:
    """Customers by the month of their first order, followed through every month since."""
    answers: Answers = request.app.state.answers
    return await answers.listed(
        request,
        dataset="sales.cohorts",
        model=Cohorts,
        name="cohorts",
        query=cohorts_sql(),
        parameters={},
        shape=lambda row: asdict(to_cohort_month(row)),
    )


def _figures(row: tuple[object, ...], *, period: str) -> dict[str, object]:
    """Sales with their period under the name that it has in the answer."""
    found = asdict(to_sales(row))
    return {period: found.pop("period"), **found}


def _demand_range(since: date | None, until: date | None) -> None:
    if since is not None and until is not None and until < since:
        raise ProblemError(422, f"to: the range ends ({until}) before it begins ({since})")
