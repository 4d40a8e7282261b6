"""Figures from the serving database; the warehouse is never asked."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any

import psycopg
from fastapi import APIRouter, Query, Request
from pydantic import BaseModel

from leandata.serving import freshness_sql, to_sales, weekly_sales_sql

router = APIRouter(prefix="/v1", tags=["figures"])


class Week(BaseModel):
    """Sales of the week that starts on the Monday `week`; `revenue` is exact US dollars as text."""

    week: date
    revenue: Decimal
    orders: int
    customers: int
    new_customers: int
    units: int


class WeeklySales(BaseModel):
    """Weeks in their order, and until which day the data goes (null before the first publication)."""

    data_until: date | None
    weeks: list[Week]


class Dataset(BaseModel):
    """What is published of a dataset."""

    dataset: str
    version: str
    rows: int
    data_until: date
    published_at: datetime


class FreshnessAnswer(BaseModel):
    """Every published dataset."""

    datasets: list[Dataset]


@router.get("/sales/weekly")
async def get_weekly_sales(
    request: Request,
    since: Annotated[date | None, Query(alias="from", description="the first Monday")] = None,
    until: Annotated[date | None, Query(alias="to", description="the last Monday")] = None,
) -> WeeklySales:
    """Sales of each week whose Monday lies in the range; empty before anything was published."""
    rows = await _rows(request, weekly_sales_sql(), {"since": since, "until": until})
    known = {found[0]: found for found in await _rows(request, freshness_sql(), {})}
    published = known.get("sales.weekly_sales")
    weeks = [
        Week(
            week=sales.period,
            revenue=sales.revenue,
            orders=sales.orders,
            customers=sales.customers,
            new_customers=sales.new_customers,
            units=sales.units,
        )
        for sales in map(to_sales, rows)
    ]
    return WeeklySales(data_until=published[3] if published else None, weeks=weeks)


@router.get("/freshness")
async def get_freshness(request: Request) -> FreshnessAnswer:
    """How fresh each published dataset is."""
    found = [
        Dataset(dataset=name, version=version, rows=rows, data_until=until, published_at=published)
        for name, version, rows, until, published in await _rows(request, freshness_sql(), {})
    ]
    return FreshnessAnswer(datasets=found)


async def _rows(request: Request, query: Any, parameters: dict[str, Any]) -> list[tuple[Any, ...]]:
    """The rows; none while the table does not exist, which is before the first publication."""
    async with request.app.state.pools["serving"].connection() as connection:
        try:
            cursor = await connection.execute(query, parameters)
            return await cursor.fetchall()
        except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):
            return []
