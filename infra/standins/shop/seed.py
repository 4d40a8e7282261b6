"""Seed the shop's database with the real sales in cdnow.csv, their dates moved forward by whole weeks."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

from leandata.clock import Week, last_complete_week
from leandata.database import Connection
from leandata.errors import LeandataError

SOURCE = Path(__file__).with_name("cdnow.csv")
_TABLES = {
    "customers": "CREATE TABLE customers (customer_id bigint PRIMARY KEY, created_on date NOT NULL)",
    "orders": """
CREATE TABLE orders (customer_id bigint, ordered_on date, quantity integer, amount_usd numeric(12,2));
CREATE INDEX ON orders (ordered_on);
""",
    "seed": """
CREATE TABLE seed (source text NOT NULL, weeks_moved integer NOT NULL, until date NOT NULL,
    seeded_at timestamptz NOT NULL DEFAULT now())
""",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Order:
    """One line of the source."""

    customer_id: int
    ordered_on: date
    quantity: int
    amount_usd: Decimal


def read(path: Path = SOURCE) -> list[Order]:
    """The orders of the source, in its order. Raises LeandataError naming the line that is wrong."""
    orders: list[Order] = []
    with path.open(newline="", encoding="utf-8") as file:
        for number, row in enumerate(csv.DictReader(file), start=2):
            try:
                orders.append(
                    Order(
                        customer_id=int(row["customer_id"]),
                        ordered_on=date.fromisoformat(row["order_date"]),
                        quantity=int(row["quantity"]),
                        amount_usd=Decimal(row["amount_usd"]),
                    )
                )
            except (KeyError, TypeError, ValueError, ArithmeticError) as error:
                raise LeandataError(f"cannot read an order: {error}", where=f"{path.name}:{number}") from error
    return orders


def weeks_to_move(last: date, *, until: date) -> int:
    """By how many whole weeks dates move so that `last` falls into the last complete week before `until`."""
    return (last_complete_week(until).start - Week.of(last).start).days // 7


def seed(connection: Connection, *, until: date) -> int:
    """Make and fill the shop's tables, all or nothing; 0 when all are there, else the number of orders.

    One that somebody dropped is made again as it was: its dates are moved by as many weeks as before.
    """
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(19970101)")
        missing = [name for name in _TABLES if not _there(connection, name)]
        if not missing:
            return 0
        orders = read()
        weeks = weeks_to_move(max(order.ordered_on for order in orders), until=until)
        if "seed" not in missing:
            row = connection.execute("SELECT weeks_moved FROM seed").fetchone()
            weeks = row[0] if row else weeks
        for name in missing:
            connection.execute(_TABLES[name].encode())
            _fill(connection, name, orders, weeks=weeks, until=until)
    return len(orders)


def _there(connection: Connection, table: str) -> bool:
    row = connection.execute("SELECT to_regclass(%s)", [f"public.{table}"]).fetchone()
    return row is not None and row[0] is not None


def _fill(connection: Connection, table: str, orders: list[Order], *, weeks: int, until: date) -> None:
    moved = timedelta(weeks=weeks)
    if table == "customers":
        first: dict[int, date] = {}
        for order in orders:
            first[order.customer_id] = min(order.ordered_on, first.get(order.customer_id, order.ordered_on))
        with connection.cursor().copy("COPY customers FROM STDIN") as copy:
            for customer, day in sorted(first.items()):
                copy.write_row((customer, day + moved))
    elif table == "orders":
        with connection.cursor().copy("COPY orders FROM STDIN") as copy:
            for order in orders:
                copy.write_row((order.customer_id, order.ordered_on + moved, order.quantity, order.amount_usd))
    else:
        connection.execute(
            "INSERT INTO seed (source, weeks_moved, until) VALUES (%s, %s, %s)", [SOURCE.name, weeks, until]
        )
