"""The real sales as the serving database has them, computed from the shop's file by plain Python; for tests."""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa

from infra.standins.shop.seed import Order, read, weeks_to_move
from leandata.clock import Week, last_complete_week
from leandata.database import connect
from leandata.datasets import dataset
from leandata.serving import (
    Health,
    Run,
    Spend,
    Volume,
    publish,
    record_health,
    record_run,
    record_spend,
    record_volumes,
)
from leandata.settings import DatabaseAddress
from leandata.tables import schema

Rows = Sequence[Mapping[str, Any]]


@functools.cache
def moved_orders(today: date) -> tuple[Order, ...]:
    """The shop's orders, moved so that the last week before `today` is the last one with sales."""
    orders = read()
    move = timedelta(weeks=weeks_to_move(max(order.ordered_on for order in orders), until=today))
    return tuple(
        Order(
            customer_id=order.customer_id,
            ordered_on=order.ordered_on + move,
            quantity=order.quantity,
            amount_usd=order.amount_usd,
        )
        for order in orders
    )


def sales_rows(orders: Iterable[Order], *, period: str, until: date) -> Rows:
    """What sales.daily_sales (`period` day) or sales.weekly_sales (week) holds; a period without orders is zeros."""
    first: dict[int, date] = {}
    found: dict[date, list[Order]] = defaultdict(list)
    for order in sorted(orders, key=lambda one: one.ordered_on):
        first.setdefault(order.customer_id, order.ordered_on)
        found[_start(order.ordered_on, period)].append(order)
    start, step, rows = min(found), timedelta(days=7 if period == "week" else 1), list[Mapping[str, Any]]()
    while start <= until:
        inside = found.get(start, [])
        customers = {order.customer_id for order in inside}
        rows.append(
            {
                period: start,
                "revenue": sum((order.amount_usd for order in inside), Decimal(0)),
                "orders": len(inside),
                "customers": len(customers),
                "new_customers": sum(_start(first[one], period) == start for one in customers),
                "units": sum(order.quantity for order in inside),
            }
        )
        start += step
    return rows


def put(address: DatabaseAddress, name: str, rows: Rows, *, until: date, version: str = "v1") -> None:
    """Publish the rows as the dataset of that name."""
    with connect(address) as connection:
        table = pa.Table.from_pylist([dict(row) for row in rows], schema=schema(dataset(name)))
        publish(connection, dataset(name), table, version=version, data_until=until)


def put_all(address: DatabaseAddress, *, today: date) -> None:
    """Publish all that follows: sales, customers, runs, what is watched, a model."""
    for put in (put_sales, put_customers, put_runs, put_watched, put_model):
        put(address, today=today)


def put_sales(address: DatabaseAddress, *, today: date) -> None:
    """Publish the real sales up to the last complete week before `today`."""
    orders, until = moved_orders(today), last_complete_week(today).end
    for name, period in (("sales.daily_sales", "day"), ("sales.weekly_sales", "week")):
        put(address, name, sales_rows(orders, period=period, until=until), until=until)


def customer_rows(orders: Iterable[Order], *, until: date) -> dict[str, Rows]:
    """What the marts of customers hold, by dataset. The names of segments follow from the scores by a rule of this
    file's own: who draws them needs them all."""
    days: dict[tuple[int, date], list[Order]] = defaultdict(list)
    known: dict[int, list[Order]] = defaultdict(list)
    for order in sorted(orders, key=lambda one: one.ordered_on):
        days[order.customer_id, order.ordered_on].append(order)
        known[order.customer_id].append(order)
    customers = [
        {
            "customer_id": one, "first_order_on": found[0].ordered_on, "last_order_on": found[-1].ordered_on,
            **_totals(found),
        }
        for one, found in sorted(known.items())
    ]  # fmt: skip
    return {
        "sales.customers": customers,
        "sales.customer_days": [
            {"customer_id": one, "day": day, **_totals(found)} for (one, day), found in sorted(days.items())
        ],
        "sales.segments": _segment_rows(customers, until),
        "sales.cohorts": _cohort_rows(known),
    }


def put_customers(address: DatabaseAddress, *, today: date) -> None:
    """Publish the marts of customers up to the last complete week before `today`."""
    until = last_complete_week(today).end
    for name, rows in customer_rows(moved_orders(today), until=until).items():
        put(address, name, rows, until=until)


def put_runs(address: DatabaseAddress, *, today: date, nights: int = 16) -> None:
    """Note runs of three pipelines until noon of `today`: `transform` failed last night at its fourth try,
    `collect_shop` succeeded every night, `train_model` has run since half an hour."""
    noon = datetime.combine(today, time(12), UTC)
    with connect(address) as connection:
        for back in range(nights, 0, -1):
            for pipeline, minutes in (("collect_shop", 2), ("transform", 5)):
                bad = pipeline == "transform" and back == 1
                begun = noon - timedelta(days=back - 1, hours=9)
                told = ("failed", 4) if bad else ("success", 1)
                one = Run(
                    pipeline=pipeline, run=f"scheduled__{begun.isoformat()}", state=told[0], started_at=begun,
                    ended_at=begun + timedelta(minutes=minutes, seconds=back), tries=told[1], task="load",
                )  # fmt: skip
                record_run(connection, one)
        begun = noon - timedelta(minutes=30)
        told = {"pipeline": "train_model", "run": "asset__1", "state": "running", "task": "train"}
        going = Run(**told, started_at=begun, ended_at=None, tries=1)
        record_run(connection, going)


def put_watched(address: DatabaseAddress, *, today: date) -> None:
    """What the pipelines noted until noon of `today`: all parts answer but Dask, yesterday's orders were few, and two
    warehouses are metered."""
    noon = datetime.combine(today, time(12), UTC)
    health = [
        Health(part=name, state=state, detail=told, milliseconds=4, looked_at=noon, since=noon - timedelta(hours=2))
        for name, state, told in (
            ("airflow", "up", "answers requests"), ("api", "up", "answers requests"),
            ("dask", "down", "does not answer: connection refused"),
            ("lake", "up", "can be listed"), ("warehouse", "up", "answers queries"),
        )
    ]  # fmt: skip
    volumes = [
        Volume(
            dataset="shop.orders", day=today - timedelta(days=back), rows=90 + back % 7 if back > 1 else 9,
            usual=Decimal(92), score=Decimal("0.4") if back > 1 else Decimal("-18.7"),
        )
        for back in range(28, 0, -1)
    ]  # fmt: skip
    spend = [
        Spend(warehouse=name, day=today - timedelta(days=back), credits=Decimal(back % 7) / most)
        for name, most in (("PEOPLE", 40), ("PIPELINES", 8))
        for back in range(28, 0, -1)
    ]
    with connect(address) as connection:
        record_health(connection, health)
        record_volumes(connection, volumes)
        record_spend(connection, spend)


def put_model(address: DatabaseAddress, *, today: date) -> None:
    """A current version of the purchase model and a refused one: plausible figures, drift with all three verdicts."""
    until = last_complete_week(today).end
    figures: list[tuple[str, str, tuple[str, str, str]]] = [
        ("gradient boosting", "auc", ("0.8475", "0.8419", "0.8531")), ("BG/NBD", "auc", ("0.8418", "0.8361", "0.8474")),
        ("gradient boosting", "log_loss", ("0.17176", "0.1675", "0.17595")),
        ("BG/NBD", "log_loss", ("0.17303", "0.16848", "0.17765")),
        ("gradient boosting", "gain", ("0.00127", "0.00046", "0.00207")),
    ]  # fmt: skip
    plain = {f"psi_{name}": value for name, value in (("cents", "0.02"), ("days_28", "0.14"), ("recency", "8.1"))}
    for number in range(1, 11):
        plain |= {f"predicted_{number:02}": f"{0.3 / number:.6f}", f"observed_{number:02}": f"{0.29 / number:.6f}"}
    rows: list[Mapping[str, Any]] = []
    for version, state in (("v20261122", "current"), ("v20261115", "refused")):
        one = {"version": version, "trained_on": until, "state": state}
        for learner, metric, told in figures:
            value, low, high = map(Decimal, told)
            rows.append({**one, "learner": learner, "metric": metric, "value": value, "low": low, "high": high})
        for metric, text in plain.items():
            known = {
                "learner": "gradient boosting",
                "metric": metric,
                "value": Decimal(text),
                "low": None,
                "high": None,
            }
            rows.append({**one, **known})
    put(address, "features.purchase_scores", rows, until=until)


def _totals(found: Sequence[Order]) -> dict[str, Any]:
    revenue = sum((order.amount_usd for order in found), Decimal(0))
    return {"orders": len(found), "units": sum(order.quantity for order in found), "revenue": revenue}


def _segment_rows(customers: Rows, until: date) -> Rows:
    keys = {"recency": "last_order_on", "frequency": "orders", "monetary": "revenue"}
    scores = {
        name: {
            one["customer_id"]: 1 + 5 * rank // len(customers)
            for rank, one in enumerate(sorted(customers, key=lambda one: (one[key], one["customer_id"])))
        }
        for name, key in keys.items()
    }
    names = ("lost", "hibernating", "at_risk", "promising", "new", "loyal", "champions")
    rows: list[Mapping[str, Any]] = []
    for one in customers:
        own = {f"{name}_score": found[one["customer_id"]] for name, found in scores.items()}
        rows.append(
            {
                "customer_id": one["customer_id"],
                "as_of": until,
                "recency_days": (until - one["last_order_on"]).days,
                "frequency": one["orders"],
                "monetary": one["revenue"],
                **own,
                "segment": names[(sum(own.values()) - 3) // 2],
            }
        )
    return rows


def _cohort_rows(known: Mapping[int, Sequence[Order]]) -> Rows:
    cohorts: dict[date, dict[int, list[Order]]] = defaultdict(lambda: defaultdict(list))
    for found in known.values():
        cohort = found[0].ordered_on.replace(day=1)
        for order in found:
            months = (order.ordered_on.year - cohort.year) * 12 + order.ordered_on.month - cohort.month
            cohorts[cohort][months].append(order)
    return [
        {
            "cohort": cohort,
            "month": month,
            "customers": len({order.customer_id for order in months[month]}),
            "cohort_customers": len({order.customer_id for order in months[0]}),
            "orders": len(months[month]),
            "revenue": sum((order.amount_usd for order in months[month]), Decimal(0)),
        }
        for cohort, months in sorted(cohorts.items())
        for month in sorted(months)
    ]


def _start(day: date, period: str) -> date:
    return Week.of(day).start if period == "week" else day
