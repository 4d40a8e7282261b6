"""What the pages Customers, Marketing and Platform must show, by the CSV, the events sent, and the catalogue."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from statistics import median
from typing import Any

from infra.testing.tracing import shown
from infra.testing.tracing.documented import VERSION, findings, minute, promises, published_line
from infra.testing.tracing.ledger import Rule
from infra.testing.tracing.routes import recency
from infra.testing.tracing.rows import World
from infra.testing.tracing.sales_page import SHOWN, more_rows, open_month_note
from infra.testing.tracing.shop import EventDay, Person, Shop, event_days

_LISTED = 50
_COLUMNS = 19
_SEGMENTS = ("Segment", "Customers", "Share", "Orders", "Revenue", "Revenue a customer", "Days since last order")
_CUSTOMERS = ("Customer", "First order", "Last order", "Orders", "Units", "Revenue", "Segment", "Recency", "Frequency",
              "Value")  # fmt: skip
_FRESHNESS = ("Dataset", "State", "Promised hours", "Hours old", "Data until", "Days behind", "Rows", "Version",
              "Published", "Owner")  # fmt: skip
_RUNS = ("Pipeline", "State", "Last runs", "Started", "Took", "Usually", "Tries", "Last task")
_HEALTH = ("Part", "State", "Since", "Took ms", "Looked at", "What was said")
_VOLUMES = ("Dataset", "State", "Day", "Rows", "Usual", "Score", "Last days")
_VOLUMES_NOTE = (
    "Rows that came on a day; bars: the last 28 days. Usual: the median of the same weekday's days with rows in the"
    " twelve weeks before; none, where a quarter of those days had none. Unusual: a modified z-score beyond 3.5."
)
_BARS = 28
_LIMIT = Decimal("3.5")
_MOST_TRIES = 4
_SPAN = re.compile(r"(?=.)(?:([0-9]+)h ?)?(?:([0-9]+)m ?)?(?:([0-9]+)s)?")
_SUMS = ("sales.cohorts", "sales.customer_days", "sales.customers", "sales.daily_sales", "sales.segments",
         "sales.weekly_sales")  # fmt: skip
_WORDS = Rule(what="a sentence without a number", holds=lambda seen: not any(sign.isdigit() for sign in seen))
COUNT = Rule(what="rows of the model's scores", holds=lambda seen: str(seen).replace(",", "").isdecimal())


def customers(
    world: World,
    *,
    editor: bool,
    segment: str = "",
    starts: str = "",
    after: int = 0,
    one: int | None = None,
) -> dict[str, Any]:
    """The page Customers: segments, cohorts, and for an editor customers or a single one."""
    shop = world.shop
    tables: dict[str, Any] = {"segments-table": _segments(shop), "cohorts-map": _heat_map(shop)}
    note = "Percent of the customers of each month of first orders who ordered again, by months since."
    texts: list[Any] = [published_line(shop.until, world.since), f"{note}{open_month_note(shop)}"]
    tiles: dict[str, Any] = {}
    if editor and one is not None:
        tiles = _tiles(shop.people[one], shop)
        days = sorted(shop.customer_days[one].items(), reverse=True)
        rows = [[str(day), shown.whole(of.orders), shown.whole(of.units), shown.money(of.revenue)] for day, of in days]
        tables["history-table"] = {"head": ["Day", "Orders", "Units", "Revenue"], "rows": rows[:SHOWN]}
        texts += more_rows(len(rows))
        texts += [f"Customer {one}"] * 2 + [f"Orders of customer {one}"]
    elif editor:
        tables["customers-table"] = {
            "head": list(_CUSTOMERS),
            "rows": [_person(*found) for found in people(shop, segment=segment, starts=starts, after=after)],
        }
        texts += [starts] if starts else []
    return {"tiles": tiles, "tables": tables, "charts": {"segments-chart": _segments_chart(shop)}, "texts": texts}


def people(shop: Shop, *, segment: str = "", starts: str = "", after: int = 0) -> list[tuple[int, Person]]:
    """The customers of one view of the list."""
    found = [
        (number, one)
        for number, one in shop.people.items()
        if number > after and str(number).startswith(starts) and segment in ("", one.segment)
    ]
    return found[:_LISTED]


def segments(shop: Shop) -> list[tuple[str, Sequence[Person], Decimal, int]]:
    """Name, customers, revenue and orders of each segment, those that paid most first."""
    found = [
        (name, inside, sum((one.sums.revenue for one in inside), Decimal(0)), sum(one.sums.orders for one in inside))
        for name, inside in shop.segments.items()
    ]
    return sorted(found, key=lambda one: (-one[2], one[0]))


def _segments(shop: Shop) -> dict[str, Any]:
    rows = [
        [
            name,
            shown.whole(len(inside)),
            shown.percent(len(inside), len(shop.people)),
            shown.whole(orders),
            shown.money(revenue),
            shown.money(revenue / len(inside)),
            shown.one_place(recency(inside, shop.until)),
        ]
        for name, inside, revenue, orders in segments(shop)
    ]
    return {"head": list(_SEGMENTS), "rows": rows}


def _segments_chart(shop: Shop) -> dict[str, Any]:
    found = segments(shop)
    trace = {
        "y": [name for name, *_ in found],
        "x": [revenue for _, _, revenue, _ in found],
        "customdata": [[shown.money(revenue), shown.whole(len(inside))] for _, inside, revenue, _ in found],
    }
    return {"traces": {"": trace}, "ticks": []}


def _heat_map(shop: Shop) -> dict[str, Any]:
    names = sorted({cohort for cohort, _ in shop.cohorts})
    columns = range(min(_COLUMNS, max(at for _, at in shop.cohorts) + 1))
    rows: list[list[str]] = []
    titles: list[str] = []
    for name in names:
        row = [str(name)[:7], shown.whole(shop.cohorts[name, 0].size)]
        for at in columns:
            one = shop.cohorts.get((name, at))
            mark = "*" if shop.open_month(name, at) else ""
            row.append(f"{shown.percent(len(one.sums.customers), one.size, places=0)}{mark}" if one else "")
            if one:
                said = f"{shown.whole(len(one.sums.customers))} customers, {shown.whole(one.sums.orders)} orders"
                over = ", the month is not over" if mark else ""
                titles.append(f"{str(name)[:7]} after {at} months: {said}{over}")
        rows.append(row)
    return {"head": ["Cohort", "Customers", *map(str, columns)], "rows": rows, "titles": titles}


def _person(number: int, one: Person) -> list[str]:
    of = one.sums
    figures = [shown.whole(of.orders), shown.whole(of.units), shown.money(of.revenue)]
    return [str(number), str(one.first), str(one.last), *figures, one.segment, *map(str, one.scores)]


def _tiles(one: Person, shop: Shop) -> dict[str, Any]:
    recency_, frequency, value = one.scores
    ago = shown.whole((shop.today - one.last).days)
    return {
        "one-revenue": {"value": shown.money(one.sums.revenue), "change": ""},
        "one-orders": {"value": shown.whole(one.sums.orders), "change": ""},
        "one-last": {"value": str(one.last), "change": f"{ago} days ago"},
        "one-segment": {
            "value": one.segment,
            "change": f"recency {recency_}, frequency {frequency}, value {value} of 5",
        },
    }


def marketing(world: World, *, days: int) -> dict[str, Any]:
    """The page Marketing, of so many days that end today."""
    found = within(world, days=days)
    ranges = ["7 days", "30 days", "90 days"]
    if not found:
        hint = "Events that are sent to the API are shown here some minutes later (POST /v1/events)."
        return {"tiles": {}, "tables": {}, "charts": {}, "texts": [*ranges, hint]}
    customers_, converted = (sum(getattr(one, name) for one in found.values()) for name in ("customers", "converted"))
    rows = [
        [str(day), type_, shown.whole(one.events), shown.whole(one.customers), shown.whole(one.converted),
         shown.percent(one.converted, one.customers)]
        for (day, type_), one in sorted(found.items(), key=lambda each: (-each[0][0].toordinal(), each[0][1]))
    ]  # fmt: skip
    head = ["Day", "Type", "Events", "Customers", "Ordered soon after", "Share"]
    return {
        "tiles": {
            "events": {"value": shown.whole(sum(one.events for one in found.values())), "change": ""},
            "types": {"value": str(len({type_ for _, type_ in found})), "change": ""},
            "converted": {"value": shown.percent(converted, customers_), "change": ""},
        },
        "tables": {"events-table": {"head": head, "rows": rows}},
        "charts": {"events-chart": _events_chart(found)},
        "texts": [published_line(world.shop.until, world.since), *ranges],
    }


def within(world: World, *, days: int) -> dict[tuple[date, str], EventDay]:
    """The events of so many days that end today."""
    since = world.shop.today - timedelta(days=days - 1)
    found = event_days(world.shop, world.events)
    return {key: one for key, one in found.items() if since <= key[0] <= world.shop.today}


def _events_chart(found: Mapping[tuple[date, str], EventDay]) -> dict[str, Any]:
    """The two most frequent types, and all others as one."""
    often: Counter[str] = Counter()
    for (_, type_), one in found.items():
        often[type_] += one.events
    first = sorted(often, key=lambda name: (-often[name], name))[:2]
    days: dict[str, Counter[date]] = {name: Counter() for name in first}
    for (day, type_), one in found.items():
        days.setdefault(type_ if type_ in first else "others", Counter())[day] += one.events
    traces = {
        name: {"x": [str(day) for day in sorted(counts)], "y": [counts[day] for day in sorted(counts)]}
        for name, counts in days.items()
    }
    return {"traces": traces, "ticks": []}


def platform(world: World, seen: Mapping[str, Any], *, checked: datetime) -> dict[str, Any]:
    """The page Platform after the checks ran at `checked`; all marts are as promised."""
    marts = sorted(name for name, promise in promises().items() if promise.layer == "MARTS")
    published = {row[0]: row for row in seen["tables"]["freshness-table"]["rows"]}
    scores = int(published["features.purchase_scores"][6].replace(",", ""))
    total = sum(world.rows[name] for name in marts if name in world.rows) + scores
    watched = {"health-table": _health(world, seen)} if "health-table" in seen["tables"] else {}
    cards = [[name, one.description, one.owner, one.made_from, one.goes_into, str(one.tests)]
             for name, one in sorted(promises().items())]  # fmt: skip
    return {
        "tiles": {
            "datasets-fresh": {"value": f"{len(marts)} of {len(marts)}", "change": ""},
            "datasets-late": {"value": "0", "change": ""},
            "datasets-missing": {"value": "0", "change": ""},
            "rows": {"value": shown.whole(total), "change": ""},
        },
        "tables": {
            "freshness-table": {
                "head": list(_FRESHNESS),
                "rows": [_fresh(name, world) for name in marts],
            },
            **watched,
            "volumes-table": _volumes(world.shop),
            "runs-table": {
                "head": list(_RUNS),
                "rows": [_run(world) for _ in seen["tables"]["runs-table"]["rows"]],
            },
            "checks-table": {
                "head": ["Dataset", "Check", "Result", "What was found", "Checked"],
                "rows": _checked(world, marts, checked=checked),
            },
            "catalogue-table": {
                "head": ["Dataset", "What it is", "Owner", "Made from", "Goes into", "Tests"],
                "rows": sorted(cards),
            },
        },
        "charts": {},
        "texts": [
            "Strip: the last 14 runs, the newest at the right. Tries: the most that a task of the run needed.",
            _VOLUMES_NOTE,
        ],
    }


def _fresh(name: str, world: World) -> list[Any]:
    promise = promises()[name]
    rows = world.rows.get(name)
    return [
        name, "fresh", str(promise.hours), _age(world.shop.until, world.shop.today), str(world.shop.until), "0",
        COUNT if rows is None else shown.whole(rows), VERSION, minute(world.since), promise.owner,
    ]  # fmt: skip


def _age(until: date, today: date) -> Rule:
    """Whole hours since that day ended; where another day than the clock's is set, it is noon there."""
    at = datetime.combine(until + timedelta(days=1), time(), UTC)
    real = datetime.now(UTC)
    now = real if real.date() == today else datetime.combine(today, time(12), UTC)
    ages = {str(max(0, (now - at - timedelta(minutes=late)) // timedelta(hours=1))) for late in (0, 1)}
    return Rule(what="whole hours since the last day ended", holds=lambda seen: seen in ages)


def _health(world: World, seen: Mapping[str, Any]) -> dict[str, Any]:
    """Nothing of it is in the CSV: the pipelines looked since the deployment."""
    took = Rule(what="whole milliseconds", holds=lambda seen: str(seen).replace(",", "").isdecimal())
    row = [_WORDS, _WORDS, minute(world.since), took, minute(world.since), _WORDS]
    return {"head": list(_HEALTH), "rows": [row for _ in seen["tables"]["health-table"]["rows"]]}


def _volumes(shop: Shop) -> dict[str, Any]:
    """The orders of the last day against its weekday's before; nothing else comes on a day that is over."""
    bars = [shop.days[shop.until - timedelta(days=back)].orders for back in range(_BARS - 1, -1, -1)]
    state, usual, score = judged(shop, shop.until)
    row = ["shop.orders", state, str(shop.until), shown.whole(bars[-1]), usual, score, " ".join(map(str, bars))]
    return {"head": list(_VOLUMES), "rows": [row], "titles": [shown.whole(one) for one in bars]}


def judged(shop: Shop, day: date) -> tuple[str, str, str]:
    """A day's state, its usual and its modified z-score as the page says them."""
    weeks = [shop.days[day - timedelta(weeks=back)].orders for back in range(12, 0, -1)]
    before = [orders for orders in weeks if orders]
    if not shop.days[day].orders and 4 * (len(weeks) - len(before)) >= len(weeks):
        return "usual", "0.0", "0.0"
    middle = Decimal(median(before))
    spread = Decimal(median(abs(one - middle) for one in before))
    if not spread:
        return "not judged", shown.one_place(middle), "\N{EN DASH}"
    score = Decimal("0.6745") * (shop.days[day].orders - middle) / spread
    return ("unusual" if abs(score) > _LIMIT else "usual"), shown.one_place(middle), shown.one_place(score)


def _run(world: World) -> list[Any]:
    """A pipeline's last run: nothing of it is in the CSV, so its times must lie since the deployment."""
    most = (datetime.now(UTC) - world.since).total_seconds() + 60

    def spans(seen: Any) -> bool:
        found = _SPAN.fullmatch(str(seen))
        took = [int(number or 0) for number in found.groups()] if found else [0, 0, 0]
        return seen == "\N{EN DASH}" or (found is not None and 3600 * took[0] + 60 * took[1] + took[2] <= most)

    span = Rule(what="a span since the deployment", holds=spans)
    tries = Rule(what="tries of a task, at most four", holds=lambda seen: seen in map(str, range(1, _MOST_TRIES + 1)))
    return [_WORDS, _WORDS, _WORDS, minute(world.since), span, span, tries, _WORDS]


def _checked(world: World, marts: Sequence[str], *, checked: datetime) -> list[list[Any]]:
    """What failed first, then what waits."""
    order = {"failed": 0, "waiting": 1, "ok": 2}
    said: list[tuple[str, str, str, Any]] = [("shop.orders", "keys", "ok", _WORDS)]
    for name in marts:
        found = findings(world.shop, name, checked=checked)
        names = ["freshness", *(["totals"] if name in _SUMS else []), *(["volume"] if "volume" in found else [])]
        said += [(name, check, found[check]["status"], found[check]["detail"]) for check in names]
        said.append((name, "keys", "ok", _WORDS))
    rows = sorted(said, key=lambda one: (order[one[2]], one[0], one[1]))
    return [[*row, f"{checked:%Y-%m-%d %H:%M} UTC"] for row in rows]
