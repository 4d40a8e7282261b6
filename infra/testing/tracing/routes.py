"""Every route of the API, held against the CSV: each field of each answer, every page of a list, every file."""

from __future__ import annotations

import csv
import io
import json
import urllib.request
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from infra.testing.tracing.documented import VERSION, findings, moment, promises
from infra.testing.tracing.ledger import Ledger, Rule
from infra.testing.tracing.rows import DATASETS, World, cohort, customer, sales
from infra.testing.tracing.shop import Event, Person, Sums

_PAGE = 200
_HISTORIES = 250
_PAYLOADS = {"product_view": {"product_id": "cd-1"}, "newsletter_click": {"campaign": "summer"}}
LEFT = {
    "/v1/events/stream": "what was sent, sent on: no figure of ours",
    "features.purchase_predictions": "probabilities are the model's: services/dask/tests/test_purchase_evaluation.py",
    "features.purchase_scores": "scores are the model's: services/dask/tests/test_purchase_evaluation.py",
}
"""What is not traced to the CSV, and why."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Api:
    """The API at `url`, asked with `key`; the numbers of its JSON stay as they are written."""

    url: str
    key: str

    def text(self, path: str) -> str:
        """What the path answers."""
        request = urllib.request.Request(self.url + path, headers={"X-API-Key": self.key})
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.read().decode()

    def tell(self, events: Sequence[Event]) -> None:
        """Send these events. Raises urllib.error.HTTPError when one is refused."""
        said = [
            {
                "event_id": str(uuid.uuid4()),
                "type": event.type,
                "occurred_at": f"{event.day}T10:00:00Z",
                "customer_id": event.customer,
                "payload": _PAYLOADS.get(event.type, {}),
            }
            for event in events
        ]
        headers = {"Content-Type": "application/json", "X-API-Key": self.key}
        request = urllib.request.Request(f"{self.url}/v1/events", data=json.dumps(said).encode(), headers=headers)
        with urllib.request.urlopen(request, timeout=60) as answer:
            assert len(json.load(answer)["accepted"]) == len(events)

    def json(self, path: str) -> Any:
        """The JSON that the path answers."""
        return json.loads(self.text(path), parse_float=Decimal)


def everything(ledger: Ledger, api: Api, world: World) -> None:
    """Hold every route that the API says it has; one that is not known here is wrong."""
    known: dict[str, Callable[[Ledger, Api, World], None]] = {
        "/v1/sales/daily": _daily,
        "/v1/sales/weekly": _weekly,
        "/v1/segments": _segments,
        "/v1/cohorts": _cohorts,
        "/v1/customers": _customers,
        "/v1/customers/{customer_id}": _histories,
        "/v1/predictions": _predictions,
        "/v1/freshness": _freshness,
        "/v1/datasets": _datasets,
        "/v1/checks": _checks,
        "/v1/datasets/{dataset}/export": _exports,
        "/v1/events/totals": _totals,
    }
    paths: Mapping[str, Mapping[str, Any]] = api.json("/openapi.json")["paths"]
    for path in sorted(path for path, methods in paths.items() if "get" in methods):
        if path in known:
            known[path](ledger, api, world)
        elif path in LEFT:
            ledger.leave(path, why=LEFT[path])
        else:
            ledger.wrong.append(f"{path}: no rule covers this route")


def _ranges(days: Iterable[date]) -> list[tuple[str, Callable[[date], bool]]]:
    every = sorted(days)
    first, last = every[len(every) // 3], every[2 * len(every) // 3]
    return [
        ("", lambda _: True),
        (f"?from={first}&to={last}", lambda day: first <= day <= last),
        (f"?from={last}", lambda day: day >= last),
        (f"?to={first}", lambda day: day <= first),
    ]


def _within(name: str, periods: Mapping[date, Sums], within: Callable[[date], bool]) -> list[dict[str, Any]]:
    return sales(name, {period: sums for period, sums in periods.items() if within(period)})


def _daily(ledger: Ledger, api: Api, world: World) -> None:
    for query, within in _ranges(world.shop.days):
        expected = {"data_until": str(world.shop.until), "days": _within("day", world.shop.days, within)}
        ledger.hold(f"/v1/sales/daily{query}", api.json(f"/v1/sales/daily{query}"), expected)


def _weekly(ledger: Ledger, api: Api, world: World) -> None:
    for query, within in _ranges(world.shop.weeks):
        expected = {"data_until": str(world.shop.until), "weeks": _within("week", world.shop.weeks, within)}
        ledger.hold(f"/v1/sales/weekly{query}", api.json(f"/v1/sales/weekly{query}"), expected)


def recency(people: Sequence[Person], until: date) -> Decimal:
    """The mean of the days since the last order, to a tenth."""
    days = sum((until - one.last).days for one in people)
    return (Decimal(days) / len(people)).quantize(Decimal("0.1"), ROUND_HALF_UP)


def _segments(ledger: Ledger, api: Api, world: World) -> None:
    found = [
        {
            "segment": name,
            "customers": len(people),
            "revenue": str(sum((one.sums.revenue for one in people), Decimal(0))),
            "orders": sum(one.sums.orders for one in people),
            "recency_days": str(recency(people, world.shop.until)),
        }
        for name, people in world.shop.segments.items()
    ]
    expected = {"data_until": str(world.shop.until), "segments": found}
    ledger.hold("/v1/segments", api.json("/v1/segments"), expected)


def _cohorts(ledger: Ledger, api: Api, world: World) -> None:
    found = [cohort(key, one) for key, one in world.shop.cohorts.items()]
    ledger.hold("/v1/cohorts", api.json("/v1/cohorts"), {"data_until": str(world.shop.until), "cohorts": found})


def _customers(ledger: Ledger, api: Api, world: World) -> None:
    people = [customer(number, one) for number, one in world.shop.people.items()]
    smallest = min(world.shop.segments, key=lambda name: len(world.shop.segments[name]))
    asked = {
        "": people,
        f"&segment={smallest}": [one for one in people if one["segment"] == smallest],
        "&q=123": [one for one in people if str(one["customer_id"]).startswith("123")],
    }
    for query, expected in asked.items():
        cursor: str | None = ""
        start = 0
        while cursor is not None:
            answer = api.json(f"/v1/customers?limit={_PAGE}{query}&cursor={cursor}")
            cursor = answer.pop("next")
            page = {"data_until": str(world.shop.until), "customers": expected[start : start + _PAGE]}
            ledger.hold(f"/v1/customers{query} from {start}", answer, page)
            start += _PAGE
            ledger.hold(f"/v1/customers{query} has more", cursor is not None, start < len(expected))


def _histories(ledger: Ledger, api: Api, world: World) -> None:
    """Those who paid most, and every so many of the others; all days of all are in the export."""
    shop = world.shop
    best = [number for number, _ in shop.top(since=min(shop.days), until=shop.until, most=20)]
    for number in [*best, *list(shop.people)[::_HISTORIES]]:
        days = [
            {"day": str(day), "orders": one.orders, "units": one.units, "revenue": str(one.revenue)}
            for day, one in shop.customer_days[number].items()
        ]
        expected = {**customer(number, shop.people[number]), "days": days}
        ledger.hold(f"/v1/customers/{number}", api.json(f"/v1/customers/{number}"), expected)


def _predictions(ledger: Ledger, api: Api, world: World) -> None:
    """That all who are named are customers, each once, from the Monday on that the data reaches."""
    ledger.leave("/v1/predictions / probability", why=LEFT["features.purchase_predictions"])
    likely = Rule(what="a probability of six places", holds=lambda seen: 0 <= Decimal(seen) <= 1 and len(seen) == 8)
    known = Rule(what="the number of a customer", holds=lambda seen: seen in world.shop.people)
    answer = api.json("/v1/predictions?limit=1000")
    as_of = world.shop.last_week + timedelta(weeks=1)
    one = {"customer_id": known, "as_of": str(as_of), "probability": likely, "model_version": VERSION}
    expected = {"data_until": str(world.shop.until), "predictions": [one] * 1000}
    ledger.hold("/v1/predictions", answer, expected)
    named = {found["customer_id"] for found in answer["predictions"]}
    ledger.hold("/v1/predictions names each once", len(named), 1000)


def published(world: World, name: str) -> dict[str, Any]:
    """What must be said of a published dataset."""
    counted = Rule(what="rows of the model's scores", holds=lambda seen: isinstance(seen, int) and seen > 0)
    return {
        "dataset": name,
        "version": VERSION,
        "rows": world.rows.get(name, counted),
        "data_until": str(world.shop.until),
        "published_at": moment(world.since),
    }


def _marts() -> list[str]:
    return sorted(name for name, promise in promises().items() if promise.layer == "MARTS")


def _freshness(ledger: Ledger, api: Api, world: World) -> None:
    ledger.leave("rows of features.purchase_scores", why=LEFT["features.purchase_scores"])
    ledger.hold("/v1/freshness", api.json("/v1/freshness"), {"datasets": [published(world, name) for name in _marts()]})


def _datasets(ledger: Ledger, api: Api, world: World) -> None:
    """Promises are those of docs/catalogue.md."""
    known, cards = promises(), api.json("/v1/datasets")["datasets"]
    expected = {name: {"hours": known[name].hours, "published": published(world, name)} for name in _marts()}
    seen = {card["dataset"]: {"hours": card["fresh_within_hours"], "published": card["published"]} for card in cards}
    ledger.hold("/v1/datasets", seen, expected)
    for card in cards:
        types = {column["name"]: column["type"] for column in card["columns"]}
        ledger.hold(f"/v1/datasets / {card['dataset']} / types", types, known[card["dataset"]].types)
        rest = {key: value for key, value in card.items() if key not in ("fresh_within_hours", "published", "columns")}
        ledger.hold(f"/v1/datasets / {card['dataset']} / rest", {k: v for k, v in rest.items() if _digits(v)}, {})


def _digits(value: Any) -> bool:
    return any(sign.isdigit() for sign in str(value))


def _checks(ledger: Ledger, api: Api, world: World) -> None:
    found = api.json("/v1/checks")["checks"]
    if not found:
        ledger.leave("/v1/checks", why="the checks have not run")
    for one in found:
        name, check = one["dataset"], one["check"]
        checked = datetime.fromisoformat(one["checked_at"])
        expected = {"checked_at": moment(world.since), **findings(world.shop, name, checked=checked).get(check, {})}
        ledger.hold(f"/v1/checks / {name} / {check}", one, {"dataset": name, "check": check, **expected})


def _totals(ledger: Ledger, api: Api, world: World) -> None:
    types = sorted({one.type for one in world.events})
    ever = {type_: sum(one.type == type_ for one in world.events) for type_ in types}
    expected = {
        "position": len(world.events),
        "behind": 0,
        "types": [
            {"type": type_, "today": ever[type_], "ever": ever[type_], "latest_at": moment(world.since)}
            for type_ in types
        ],
    }
    ledger.hold("/v1/events/totals", api.json("/v1/events/totals"), expected)


def _exports(ledger: Ledger, api: Api, world: World) -> None:
    for name in _marts():
        if name in LEFT:
            ledger.leave(f"export of {name}", why=LEFT[name])
        elif name not in DATASETS:
            ledger.wrong.append(f"export of {name}: no rule covers this dataset")
        else:
            read = csv.DictReader(io.StringIO(api.text(f"/v1/datasets/{name}/export?format=csv")))
            seen = sorted(read, key=lambda row: [_sortable(value) for value in list(row.values())[:2]])
            rows = [{key: str(value) for key, value in row.items()} for row in DATASETS[name](world)]
            ledger.hold(f"export of {name}", seen, rows)


def _sortable(text: str) -> tuple[int, str]:
    return (int(text), "") if text.isdecimal() else (0, text)
