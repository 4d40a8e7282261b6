"""Groups of customers: segments by recency, frequency and value, and cohorts by the month of the first order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, LiteralString

from leandata.clock import months_later
from leandata.database import Connection
from leandata.serving.rows import rows


@dataclass(frozen=True, kw_only=True, slots=True)
class Segment:
    """A segment: its customers, what they paid in all (US dollars), their orders and mean days since the last one."""

    segment: str
    customers: int
    revenue: Decimal
    orders: int
    recency_days: Decimal


@dataclass(frozen=True, kw_only=True, slots=True)
class CohortMonth:
    """A cohort (the first day of its month) in its `month` since, from 0: who of `cohort_customers` ordered then."""

    cohort: date
    month: int
    customers: int
    cohort_customers: int
    orders: int
    revenue: Decimal

    def whole(self, until: date) -> bool:
        """Whether every day of the month is counted, where `until` is the last day that is known."""
        return months_later(self.cohort, self.month + 1) <= until + timedelta(days=1)


def segments(connection: Connection) -> list[Segment]:
    """Every segment that has customers, by name; empty before they were published."""
    return [to_segment(row) for row in rows(connection, "segments", segments_sql(), {})]


def cohorts(connection: Connection) -> list[CohortMonth]:
    """Every month of every cohort, in their order; empty before they were published."""
    return [to_cohort_month(row) for row in rows(connection, "cohorts", cohorts_sql(), {})]


def segments_sql() -> LiteralString:
    """The query behind `segments`."""
    return (
        "SELECT segment, count(*), sum(monetary), sum(frequency)::bigint, round(avg(recency_days), 1)"
        " FROM serving.segments GROUP BY segment ORDER BY segment"
    )


def cohorts_sql() -> LiteralString:
    """The query behind `cohorts`."""
    return (
        "SELECT cohort, month, customers, cohort_customers, orders, revenue FROM serving.cohorts ORDER BY cohort, month"
    )


def to_segment(row: Sequence[Any]) -> Segment:
    """A row of `segments_sql` as a value."""
    segment, customers, revenue, orders, recency = row
    return Segment(segment=segment, customers=customers, revenue=revenue, orders=orders, recency_days=recency)


def to_cohort_month(row: Sequence[Any]) -> CohortMonth:
    """A row of `cohorts_sql` as a value."""
    cohort, month, customers, size, orders, revenue = row
    return CohortMonth(
        cohort=cohort, month=month, customers=customers, cohort_customers=size, orders=orders, revenue=revenue
    )
