"""What docs/catalogue.md promises of each dataset, and rules for what the CSV cannot tell: moments, versions."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from statistics import median
from typing import Any

from infra.testing.tracing import shown
from infra.testing.tracing.ledger import Rule
from infra.testing.tracing.shop import Shop, Sums

CATALOGUE = Path(__file__).parents[3] / "docs" / "catalogue.md"
_USUAL_WEEKS = 12
_LIMIT = Decimal("3.5")
_VERSION = re.compile(r"[0-9]{8}t[0-9]{6}_[a-z0-9_]{1,8}")
VERSION = Rule(what="a version: a run's moment and its end", holds=lambda seen: bool(_VERSION.fullmatch(str(seen))))


@dataclass(frozen=True, kw_only=True, slots=True)
class Promise:
    """A dataset: how many hours old it may be, its columns' types, how many tests hold it, and what is said of it."""

    layer: str
    description: str
    owner: str
    made_from: str
    goes_into: str
    hours: int
    types: Mapping[str, str]
    tests: int


def promises(path: Path = CATALOGUE) -> dict[str, Promise]:
    """Every dataset of the catalogue, by name."""
    found: dict[str, Promise] = {}
    for part in path.read_text(encoding="utf-8").split("\n## ")[1:]:
        rows = [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in part.splitlines() if "|" in line]
        said = {row[0]: row[1] for row in rows if len(row) == 2}
        hours = re.search(r"([0-9]+) (hour|day)s?", said["Freshness"])
        assert hours is not None, said
        found[part.partition("\n")[0].strip()] = Promise(
            layer=said["Table"].strip("`").partition(".")[0],
            description=part.split("\n\n")[1].strip(),
            owner=said["Owner"],
            made_from=_plain(said["Made from"]),
            goes_into=_plain(said["Goes into"]),
            hours=int(hours[1]) * (24 if hours[2] == "day" else 1),
            types={row[0].strip("`"): row[1].removesuffix(", may be empty") for row in rows if row[0].startswith("`")},
            tests=0 if said["Checks"] == "-" else said["Checks"].count(", ") + 1,
        )
    return found


def _plain(cell: str) -> str:
    return "" if cell == "-" else cell.replace("`", "")


def minute(since: datetime) -> Rule:
    """A moment between `since` and now, told to the minute."""

    def holds(seen: Any) -> bool:
        try:
            found = datetime.strptime(str(seen), "%Y-%m-%d %H:%M %Z").replace(tzinfo=UTC)
        except ValueError:
            return False
        return since - timedelta(minutes=1) <= found <= datetime.now(UTC)

    return Rule(what="a moment since the deployment, to the minute", holds=holds)


def published_line(until: date, since: datetime) -> Rule:
    """The line that says until when figures go and when they were published."""
    start, rule = f"Data until {until} (up to yesterday), published ", minute(since)

    def holds(line: Any) -> bool:
        return line.startswith(start) and rule.holds(line.removeprefix(start).removesuffix("."))

    return Rule(what=f"{start}M.", holds=holds)


def moment(since: datetime) -> Rule:
    """A moment between `since` and now, as text of ISO 8601."""

    def holds(seen: Any) -> bool:
        try:
            found = datetime.fromisoformat(str(seen))
        except ValueError:
            return False
        return since - timedelta(seconds=1) <= found <= datetime.now(UTC) + timedelta(seconds=1)

    return Rule(what="a moment since the deployment", holds=holds)


def findings(shop: Shop, name: str, *, checked: datetime) -> dict[str, dict[str, str]]:
    """What the nightly checks must have found of a dataset at the moment `checked`, where it has numbers."""
    sums = f"RAW has {shown.money(revenue(shop))} in {shown.whole(len(shop.orders))} orders, as every layer"
    found: dict[str, dict[str, str]] = {"totals": {"status": "ok", "detail": sums}}
    if (promise := promises().get(name)) is not None:
        now = checked if checked.date() == shop.today else datetime.combine(shop.today, time(12), UTC)
        age = now - datetime.combine(shop.until + timedelta(days=1), time(), UTC)
        hours = shown.one_place(Decimal(str(max(age.total_seconds(), 0))) / 3600)
        said = f"knows of days until {shop.until}, promised is an age of at most {promise.hours}.0 h, it is {hours} h"
        late = age > timedelta(hours=promise.hours)
        found["freshness"] = {"status": "failed" if late else "ok", "detail": said}
    if name == "sales.daily_sales":
        found["volume"] = _volume(shop)
    return found


def revenue(shop: Shop) -> Decimal:
    """US dollars of all orders."""
    return sum((order.revenue for order in shop.orders), Decimal(0))


def _volume(shop: Shop) -> dict[str, str]:
    """The last day's orders against the same weekday's of the weeks before, by the modified z-score."""
    past = [shop.until - timedelta(weeks=back) for back in range(_USUAL_WEEKS, 0, -1)]
    now, weeks = shop.days[shop.until].orders, [shop.days.get(day, Sums()).orders for day in past]
    before = [orders for orders in weeks if orders]
    if not now and 4 * weeks.count(0) >= len(weeks):
        said = f"0 orders on {shop.until:%A}, {shop.until}, as on {weeks.count(0)} of the {len(weeks)}"
        return {"status": "ok", "detail": f"{said} {shop.until:%A}s before"}
    middle = Decimal(median(before))
    spread = Decimal(median(abs(value - middle) for value in before))
    said = f"{shown.whole(now)} orders on {shop.until:%A}, {shop.until}"
    if not spread:
        return {"status": "waiting", "detail": f"{said}; too little is known of {shop.until:%A}s to judge"}
    score = Decimal("0.6745") * (now - middle) / spread
    sign = "+" if score >= 0 else ""
    detail = f"{said}; modified z-score {sign}{shown.one_place(score)}, limit {_LIMIT}"
    return {"status": "ok" if abs(score) <= _LIMIT else "failed", "detail": detail}
