"""Service health, volumes and spend on the page Platform."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from dashboards import spend, volumes
from dashboards.pages import platform as page
from leandata import serving
from leandata.serving import Health, Spend, Volume
from services.dash.tests.worlds import Readers, ask, client, context, fresh, page_text

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


def part(name: str, state: str = "up", *, minutes: int = 2) -> Health:
    at = NOON - timedelta(minutes=minutes)
    since = at - timedelta(hours=1)
    return Health(part=name, state=state, detail=f"{name} said", milliseconds=3, looked_at=at, since=since)


def day(name: str, back: int = 1, *, rows: int = 10, score: str | None = "0.5") -> Volume:
    known = None if score is None else Decimal(score)
    return Volume(dataset=name, day=date(2026, 11, 24) - timedelta(days=back), rows=rows, usual=known, score=known)


def world(*, health: list[Health] | None = None, counted: list[Volume] | None = None) -> Readers:
    published = [fresh("sales.daily_sales")]
    return Readers({serving.freshness: published, serving.health: health or [], serving.volumes: counted or []})


def test_what_is_down_comes_first_and_says_why_and_since_when() -> None:
    found = world(health=[part("dask"), part("warehouse", "down")])
    rows = page.healthy(context(page.page, found)).rows
    assert [row[:2] for row in rows] == [("warehouse", "down"), ("dask", "up")]
    assert rows[0][2] == NOON - timedelta(hours=1, minutes=2)
    assert "warehouse said" in page_text(client(found), "/platform")


@pytest.mark.parametrize(("minutes", "state"), [(20, "up"), (21, "not known")])
def test_a_look_that_is_old_says_nothing_of_now(minutes: int, state: str) -> None:
    (row,) = page.healthy(context(page.page, world(health=[part("lake", minutes=minutes)]))).rows
    assert row[1] == state


def test_health_is_shown_before_anything_is_published() -> None:
    text = page_text(client(Readers({serving.health: [part("lake", "down")]})), "/platform")
    assert "Nothing is published yet." in text
    assert "lake said" in text
    assert "No run is noted yet." not in text


@pytest.mark.parametrize(
    ("score", "state"), [("3.5", "usual"), ("3.6", "unusual"), ("-3.6", "unusual"), ("0", "usual"), (None, "not judged")]
)  # fmt: skip
def test_a_day_is_unusual_beyond_the_limit(score: str | None, state: str) -> None:
    assert volumes.state(day("shop.orders", score=score)) == state


def test_each_dataset_is_one_line_with_its_newest_day_and_those_before_it_as_bars() -> None:
    counted = [day("shop.orders", 2, rows=30), day("shop.orders", rows=40), day("shop.events", rows=0, score="-9")]
    found = world(counted=counted)
    rows = volumes.table(context(page.page, found)).rows
    assert [row[0] for row in rows] == ["shop.events", "shop.orders"], "what is unusual comes first"
    assert rows[1] == (
        "shop.orders", "usual", date(2026, 11, 23), 40, Decimal("0.5"), Decimal("0.5"), ("30", "40"),
    )  # fmt: skip
    assert r"[\"30 40\", \"left bars\"]" in ask(client(found), "/platform").text
    lines = client(found).get("/download/platform/volumes.csv").text.splitlines()
    assert lines[2] == "shop.orders,usual,2026-11-23,40,0.5,0.5,30 40"


def test_before_the_first_look_and_count_the_page_says_so_and_of_spend_there_is_none() -> None:
    text = page_text(client(world()), "/platform")
    for told in ("Nobody has looked yet.", "No rows are counted yet.", "No spend is recorded"):
        assert told in text


def used(warehouse: str, back: int, amount: str) -> Spend:
    return Spend(warehouse=warehouse, day=date(2026, 11, 24) - timedelta(days=back), credits=Decimal(amount))


def test_each_warehouse_is_one_line_with_what_it_used_and_the_dearest_comes_first() -> None:
    known = [
        used("PEOPLE", 1, "0.25"), used("PEOPLE", 7, "1"), used("PEOPLE", 8, "0.5"),
        used("PIPELINES", 2, "1.5"), used("PIPELINES", 28, "2.000001"),
    ]  # fmt: skip
    found = Readers({serving.freshness: [fresh("sales.daily_sales")], serving.spend: known})
    rows = spend.table(context(page.page, found)).rows
    assert [row[:4] for row in rows] == [
        ("PIPELINES", Decimal(0), Decimal("1.5"), Decimal("3.500001")),
        ("PEOPLE", Decimal("0.25"), Decimal("1.25"), Decimal("1.75")),
    ]
    assert (len(rows[0][4]), rows[0][4][0], rows[0][4][-2:]) == (28, "2.000001", ("1.5", "0"))
    assert "PIPELINES" in page_text(client(found), "/platform")
    lines = client(found).get("/download/platform/spend.csv").text.splitlines()
    assert lines[2].startswith("PEOPLE,0.25,1.25,1.75,0 0 ")
