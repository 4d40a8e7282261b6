"""Customers: a page of them, and one with all days on which they ordered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, LiteralString

from leandata.database import Connection
from leandata.serving.rows import exists, rows


@dataclass(frozen=True, kw_only=True, slots=True)
class Customer:
    """A customer's history in one line; money is US dollars, a score 1 (lowest) to 5."""

    customer_id: int
    first_order_on: date
    last_order_on: date
    orders: int
    units: int
    revenue: Decimal
    segment: str
    recency_score: int
    frequency_score: int
    monetary_score: int


@dataclass(frozen=True, kw_only=True, slots=True)
class CustomerDay:
    """What a customer ordered on one day."""

    day: date
    orders: int
    units: int
    revenue: Decimal


@dataclass(frozen=True, kw_only=True, slots=True)
class TopCustomer:
    """What a customer ordered between two days; `revenue` is US dollars."""

    customer_id: int
    orders: int
    units: int
    revenue: Decimal


def customers(
    connection: Connection, *, after: int = 0, limit: int = 50, starts: str = "", segment: str = ""
) -> list[Customer]:
    """At most `limit` customers by number, those after the number `after`.

    Only those whose number starts with `starts`, and of `segment`, where they are given. Empty before both marts were
    published.
    """
    parameters = {"after": after, "limit": limit, "starts": starts, "segment": segment, "customer": None}
    return _customers(connection, parameters)


def customer(connection: Connection, customer_id: int) -> Customer | None:
    """The customer of that number; None where there is none."""
    parameters = {"after": 0, "limit": 1, "starts": "", "segment": "", "customer": customer_id}
    return next(iter(_customers(connection, parameters)), None)


def customer_days(connection: Connection, customer_id: int) -> list[CustomerDay]:
    """The days on which a customer ordered, the first one first."""
    found = rows(connection, "customer_days", customer_days_sql(), {"customer": customer_id})
    return [to_customer_day(row) for row in found]


def top_customers(connection: Connection, *, since: date, until: date, limit: int) -> list[TopCustomer]:
    """Who paid most from `since` to `until`, both included; of equals the lower number first."""
    parameters = {"since": since, "until": until, "limit": limit}
    return [to_top_customer(row) for row in rows(connection, "customer_days", top_customers_sql(), parameters)]


def customers_sql() -> LiteralString:
    """The query behind `customers` and `customer`: parameters `after`, `limit`, `starts`, `segment`, `customer`.

    A text that is "" and a number that is null ask for nothing.
    """
    return (
        "SELECT c.customer_id, c.first_order_on, c.last_order_on, c.orders, c.units, c.revenue, s.segment,"
        " s.recency_score, s.frequency_score, s.monetary_score"
        " FROM serving.customers AS c INNER JOIN serving.segments AS s ON s.customer_id = c.customer_id"
        " WHERE c.customer_id > %(after)s AND starts_with(c.customer_id::text, %(starts)s)"
        " AND (%(segment)s = '' OR s.segment = %(segment)s)"
        " AND (%(customer)s::bigint IS NULL OR c.customer_id = %(customer)s)"
        " ORDER BY c.customer_id LIMIT %(limit)s"
    )


def customer_days_sql() -> LiteralString:
    """The query behind `customer_days`, with the parameter `customer`."""
    return "SELECT day, orders, units, revenue FROM serving.customer_days WHERE customer_id = %(customer)s ORDER BY day"


def top_customers_sql() -> LiteralString:
    """The query behind `top_customers`: parameters `since`, `until`, `limit`."""
    return (
        "SELECT customer_id, sum(orders)::bigint, sum(units)::bigint, sum(revenue) AS paid FROM serving.customer_days"
        " WHERE day BETWEEN %(since)s AND %(until)s GROUP BY customer_id"
        " ORDER BY paid DESC, customer_id LIMIT %(limit)s"
    )


def to_customer(row: Sequence[Any]) -> Customer:
    """A row of `customers_sql` as a value."""
    number, first, last, orders, units, revenue, segment, recency, frequency, monetary = row
    return Customer(
        customer_id=number,
        first_order_on=first,
        last_order_on=last,
        orders=orders,
        units=units,
        revenue=revenue,
        segment=segment,
        recency_score=recency,
        frequency_score=frequency,
        monetary_score=monetary,
    )


def to_customer_day(row: Sequence[Any]) -> CustomerDay:
    """A row of `customer_days_sql` as a value."""
    day, orders, units, revenue = row
    return CustomerDay(day=day, orders=orders, units=units, revenue=revenue)


def to_top_customer(row: Sequence[Any]) -> TopCustomer:
    """A row of `top_customers_sql` as a value."""
    number, orders, units, revenue = row
    return TopCustomer(customer_id=number, orders=orders, units=units, revenue=revenue)


def _customers(connection: Connection, parameters: dict[str, Any]) -> list[Customer]:
    if not exists(connection, "segments"):
        return []
    return [to_customer(row) for row in rows(connection, "customers", customers_sql(), parameters)]
