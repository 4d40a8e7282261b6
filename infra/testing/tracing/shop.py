"""The shop's figures from its CSV, by the standard library alone: nothing of what it is held against is imported.

The rules are those that the documentation states: days of UTC, weeks from Monday, a customer is new in the period of
the first order, the fifths of Hughes (1994) by rank, equal values alike, and the first rule that fits names a segment.
"""

from __future__ import annotations

import csv
import functools
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

SOURCE = Path(__file__).parents[2] / "standins" / "shop" / "cdnow.csv"
_FIFTHS = 5


@dataclass(frozen=True, kw_only=True, slots=True)
class Order:
    """One line of the CSV; its day is moved forward by whole weeks."""

    customer: int
    day: date
    units: int
    revenue: Decimal


@dataclass(kw_only=True, slots=True)
class Sums:
    """What orders add up to; `new` counts the customers whose first order is among them."""

    revenue: Decimal = Decimal("0.00")
    orders: int = 0
    units: int = 0
    customers: set[int] = field(default_factory=set[int])
    new: int = 0

    def add(self, order: Order) -> None:
        """One order more."""
        self.revenue += order.revenue
        self.orders += 1
        self.units += order.units
        self.customers.add(order.customer)


@dataclass(frozen=True, kw_only=True, slots=True)
class Person:
    """A customer; scores are 1 (lowest) to 5 by recency, frequency and value."""

    first: date
    last: date
    sums: Sums
    scores: tuple[int, int, int]
    segment: str


@dataclass(frozen=True, kw_only=True, slots=True)
class CohortMonth:
    """A cohort of `size` customers in one month since its first orders."""

    size: int
    sums: Sums


@dataclass(frozen=True, kw_only=True)
class Shop:
    """All orders, as the platform must know them on `today`: until the day before."""

    today: date
    source: Path = SOURCE

    @property
    def until(self) -> date:
        """The last day that is known."""
        return self.today - timedelta(days=1)

    @property
    def last_week(self) -> date:
        """The Monday of the last complete week."""
        return monday(self.today) - timedelta(weeks=1)

    @functools.cached_property
    def orders(self) -> list[Order]:
        """Every line, moved so that the last purchase falls into the last complete week."""
        with self.source.open(newline="") as file:
            lines = list(csv.DictReader(file))
        last = max(date.fromisoformat(line["order_date"]) for line in lines)
        moved = self.last_week - monday(last)
        return [
            Order(
                customer=int(line["customer_id"]),
                day=date.fromisoformat(line["order_date"]) + moved,
                units=int(line["quantity"]),
                revenue=Decimal(line["amount_usd"]),
            )
            for line in lines
        ]

    @functools.cached_property
    def first(self) -> dict[int, date]:
        """The day of each customer's first order."""
        found: dict[int, date] = {}
        for order in self.orders:
            found[order.customer] = min(order.day, found.get(order.customer, order.day))
        return found

    @functools.cached_property
    def days(self) -> dict[date, Sums]:
        """Every day from the first order until the last that is known, in their order."""
        start = min(order.day for order in self.orders)
        every = [start + timedelta(days=number) for number in range((self.until - start).days + 1)]
        return self._by(lambda day: day, every)

    @functools.cached_property
    def weeks(self) -> dict[date, Sums]:
        """Every week that has begun, by its Monday."""
        return self._by(monday, self.days)

    @functools.cached_property
    def months(self) -> dict[date, Sums]:
        """Every month that has begun, by its first day."""
        return self._by(month, self.days)

    @functools.cached_property
    def customer_days(self) -> dict[int, dict[date, Sums]]:
        """Each customer's days with orders."""
        found: dict[int, dict[date, Sums]] = defaultdict(dict)
        for order in sorted(self.orders, key=lambda one: (one.customer, one.day)):
            found[order.customer].setdefault(order.day, Sums()).add(order)
        return dict(found)

    @functools.cached_property
    def people(self) -> dict[int, Person]:
        """Every customer by number."""
        sums = {number: self._sum(days) for number, days in self.customer_days.items()}
        last = {number: max(days) for number, days in self.customer_days.items()}
        recency = fifths({number: day.toordinal() for number, day in last.items()})
        frequency = fifths({number: one.orders for number, one in sums.items()})
        value = fifths({number: one.revenue for number, one in sums.items()})
        return {
            number: Person(
                first=self.first[number],
                last=last[number],
                sums=sums[number],
                scores=(recency[number], frequency[number], value[number]),
                segment=segment(recency[number], frequency[number], sums[number].orders),
            )
            for number in sorted(sums)
        }

    @functools.cached_property
    def segments(self) -> dict[str, list[Person]]:
        """The customers of each segment, by its name."""
        found: dict[str, list[Person]] = defaultdict(list)
        for person in self.people.values():
            found[person.segment].append(person)
        return dict(sorted(found.items()))

    @functools.cached_property
    def cohorts(self) -> dict[tuple[date, int], CohortMonth]:
        """By the month of the first order and the months since: every month that has begun, be it without orders."""
        sizes = Counter(month(day) for day in self.first.values())
        sums: dict[tuple[date, date], Sums] = defaultdict(Sums)
        for order in self.orders:
            sums[month(self.first[order.customer]), month(order.day)].add(order)
        return {
            (cohort, months_between(cohort, one)): CohortMonth(size=sizes[cohort], sums=sums[cohort, one])
            for cohort in sorted(sizes)
            for one in self.months
            if one >= cohort
        }

    def open_month(self, cohort: date, at: int) -> bool:
        """Whether days of the cohort's month are still to come after the last one that is known."""
        return month(self.until + timedelta(days=1)) == month(self.until) and months_between(cohort, self.until) == at

    def top(self, *, since: date, until: date, most: int) -> list[tuple[int, Sums]]:
        """Who paid most from one day to another; of equals the lower number first."""
        paid: dict[int, Sums] = defaultdict(Sums)
        for order in self.orders:
            if since <= order.day <= until:
                paid[order.customer].add(order)
        return sorted(paid.items(), key=lambda one: (-one[1].revenue, one[0]))[:most]

    def ordered(self, customer: int, *, since: date, days: int) -> bool:
        """Whether the customer ordered on the day or within so many days after it."""
        return any(since <= day <= since + timedelta(days=days) for day in self.customer_days.get(customer, {}))

    def _by(self, start: Callable[[date], date], days: Iterable[date]) -> dict[date, Sums]:
        found = {start(day): Sums() for day in sorted(days)}
        for order in self.orders:
            found[start(order.day)].add(order)
        for day in self.first.values():
            found[start(day)].new += 1
        return found

    def _sum(self, days: Mapping[date, Sums]) -> Sums:
        return Sums(
            revenue=sum((one.revenue for one in days.values()), Decimal(0)),
            orders=sum(one.orders for one in days.values()),
            units=sum(one.units for one in days.values()),
        )


def monday(day: date) -> date:
    """The Monday of its week."""
    return day - timedelta(days=day.weekday())


def month(day: date) -> date:
    """The first day of its month."""
    return day.replace(day=1)


def months_between(first: date, later: date) -> int:
    """How many months the later one is after the first."""
    return 12 * (later.year - first.year) + later.month - first.month


def fifths(values: Mapping[int, int | Decimal]) -> dict[int, int]:
    """1 (lowest) to 5: in which fifth the rank lies; equal values share the rank of the first of them."""
    rank: dict[int | Decimal, int] = {}
    for place, value in enumerate(sorted(values.values())):
        rank.setdefault(value, place)
    return {number: _FIFTHS * rank[value] // len(values) + 1 for number, value in values.items()}


def segment(recency: int, frequency: int, orders: int) -> str:
    """The first that fits, as services/airflow/pipelines/functions/segment.py and its tests state it."""
    rules = (
        ("champions", frequency >= 4 and recency >= 4),
        ("loyal", frequency >= 4 and recency == 3),
        ("new", orders == 1 and recency >= 4),
        ("promising", recency >= 3),
        ("at_risk", frequency >= 4),
        ("hibernating", recency == 2),
        ("lost", True),
    )
    return next(name for name, fits in rules if fits)


@dataclass(frozen=True, kw_only=True, slots=True)
class Event:
    """What the API was told: a type, its day, and of whom."""

    type: str
    day: date
    customer: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class EventDay:
    """Events of a type on a day, their known customers, and who of them ordered within seven days."""

    events: int
    customers: int
    converted: int


def event_days(shop: Shop, events: Iterable[Event]) -> dict[tuple[date, str], EventDay]:
    """By day and type, in their order."""
    groups: dict[tuple[date, str], list[Event]] = defaultdict(list)
    for event in events:
        groups[event.day, event.type].append(event)
    found: dict[tuple[date, str], EventDay] = {}
    for (day, type_), inside in sorted(groups.items()):
        known = {one.customer for one in inside if one.customer is not None}
        soon = sum(shop.ordered(one, since=day, days=7) for one in known)
        found[day, type_] = EventDay(events=len(inside), customers=len(known), converted=soon)
    return found


def some_events(shop: Shop) -> list[Event]:
    """Events on several days, of several types, of customers who order soon after, later, never, and of nobody."""
    far, near = shop.last_week - timedelta(weeks=9), shop.today - timedelta(days=6)
    soon = [number for number, _ in shop.top(since=far, until=far + timedelta(days=7), most=4)]
    others = [number for number in shop.people if not shop.ordered(number, since=far, days=7)][:3]
    return [
        *(Event(type="page_view", day=far, customer=number) for number in [*soon, *others, soon[0]]),
        *(Event(type="newsletter_click", day=far, customer=number) for number in soon[1:3]),
        Event(type="page_view", day=far),
        *(Event(type="product_view", day=far + timedelta(days=3), customer=number) for number in [*soon, *others]),
        *(Event(type="sign_up", day=day, customer=others[0]) for day in (near - timedelta(days=1), near, shop.today)),
        *(Event(type="page_view", day=near, customer=number) for number in others),
    ]
