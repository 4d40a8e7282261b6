"""What each dataset must hold, row by row, by the CSV and the events that were sent."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

from infra.testing.tracing.shop import CohortMonth, Event, Person, Shop, Sums, event_days

_CENT = Decimal("0.01")
Row = dict[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class World:
    """The shop, the events that were sent, and since when the platform runs."""

    shop: Shop
    since: datetime
    events: Sequence[Event] = ()

    @property
    def rows(self) -> Mapping[str, int]:
        """How many rows each dataset has that the CSV tells of."""
        shop = self.shop
        return {
            "features.customer_features": len(shop.people),
            "features.purchase_predictions": len(shop.people),
            "sales.cohorts": len(shop.cohorts),
            "sales.customer_days": sum(len(days) for days in shop.customer_days.values()),
            "sales.customers": len(shop.people),
            "sales.daily_events": len(event_days(shop, self.events)),
            "sales.daily_sales": len(shop.days),
            "sales.segments": len(shop.people),
            "sales.weekly_sales": len(shop.weeks),
        }


def sales(name: str, periods: Mapping[date, Sums]) -> list[Row]:
    """The sales of each period, which is called `name`."""
    return [
        {
            name: str(period),
            "revenue": str(sums.revenue),
            "orders": sums.orders,
            "customers": len(sums.customers),
            "new_customers": sums.new,
            "units": sums.units,
        }
        for period, sums in periods.items()
    ]


def cohort(key: tuple[date, int], found: CohortMonth) -> dict[str, Any]:
    """A cohort in a month."""
    return {
        "cohort": str(key[0]),
        "month": key[1],
        "customers": len(found.sums.customers),
        "cohort_customers": found.size,
        "orders": found.sums.orders,
        "revenue": str(found.sums.revenue),
    }


def customer(number: int, person: Person) -> dict[str, Any]:
    """A customer in one line."""
    return {
        "customer_id": number,
        "first_order_on": str(person.first),
        "last_order_on": str(person.last),
        "orders": person.sums.orders,
        "units": person.sums.units,
        "revenue": str(person.sums.revenue),
        "segment": person.segment,
        "recency_score": person.scores[0],
        "frequency_score": person.scores[1],
        "monetary_score": person.scores[2],
    }


def _customers(world: World) -> Iterator[Row]:
    columns = ("customer_id", "first_order_on", "last_order_on", "orders", "units", "revenue")
    for number, person in world.shop.people.items():
        row = customer(number, person)
        yield {column: row[column] for column in columns}


def _customer_days(world: World) -> Iterator[Row]:
    for number, days in world.shop.customer_days.items():
        for day, one in sorted(days.items()):
            yield {"customer_id": number, "day": day, "orders": one.orders, "units": one.units, "revenue": one.revenue}


def _daily_events(world: World) -> Iterator[Row]:
    for (day, type_), one in event_days(world.shop, world.events).items():
        said = {"events": one.events, "customers": one.customers, "converted": one.converted}
        yield {"day": day, "type": type_, **said}


def _segment_row(number: int, person: Person, shop: Shop) -> dict[str, Any]:
    return {
        "customer_id": number,
        "as_of": shop.until,
        "recency_days": (shop.until - person.last).days,
        "frequency": person.sums.orders,
        "monetary": person.sums.revenue,
        "recency_score": person.scores[0],
        "frequency_score": person.scores[1],
        "monetary_score": person.scores[2],
        "segment": person.segment,
    }


def _features(number: int, person: Person, shop: Shop) -> dict[str, Any]:
    """Repeat days are those with an order after the first day; the value is their mean in US dollars."""
    repeated = [one.revenue for day, one in shop.customer_days[number].items() if day > person.first]
    mean = sum(repeated, Decimal(0)) / len(repeated) if repeated else Decimal(0)
    return {
        "customer_id": number,
        "as_of": shop.until,
        "recency_days": (shop.until - person.last).days,
        "frequency": len(repeated),
        "monetary_value": mean.quantize(_CENT, ROUND_HALF_EVEN),
        "tenure_days": (shop.until - person.first).days,
    }


DATASETS: Mapping[str, Callable[[World], Iterator[Row]]] = {
    "features.customer_features": lambda world: (_features(*one, world.shop) for one in world.shop.people.items()),
    "sales.cohorts": lambda world: (cohort(*one) for one in world.shop.cohorts.items()),
    "sales.customer_days": _customer_days,
    "sales.customers": _customers,
    "sales.daily_events": _daily_events,
    "sales.daily_sales": lambda world: iter(sales("day", world.shop.days)),
    "sales.segments": lambda world: (_segment_row(*one, world.shop) for one in world.shop.people.items()),
    "sales.weekly_sales": lambda world: iter(sales("week", world.shop.weeks)),
}
"""Every row of a dataset, in the order of its first two columns."""
