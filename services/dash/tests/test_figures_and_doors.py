"""The dashboards' figures against plain sums, and every door against strangers."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from flask.testing import FlaskClient
from hypothesis import given, settings
from hypothesis import strategies as st

from dashboards import sales
from dashboards.app import build, create
from dashboards.auth import USER, Patience
from leandata.clock import Week
from leandata.errors import SettingsError
from leandata.serving import Freshness, Sales
from leandata.settings import Settings

MONDAY = date(2026, 11, 16)
RANGES = ["4", "13", "26", "52", "all"]


def week(back: int, revenue: str = "100.00", **changed: int) -> Sales:
    values = {"orders": 10, "customers": 8, "new_customers": 2, "units": 20} | changed
    return Sales(period=MONDAY - timedelta(weeks=back), revenue=Decimal(revenue), **values)


def history(count: int) -> list[Sales]:
    return [week(back, f"{back * 7 % 101}.{back % 100:02d}", orders=back) for back in range(count - 1, -1, -1)]


HISTORIES = st.integers(0, 120).map(history)


def published(until: date = date(2026, 11, 22)) -> Freshness:
    return Freshness(
        dataset="sales.weekly_sales", version="v", rows=1, data_until=until,
        published_at=datetime(2026, 11, 23, 2, 20, tzinfo=UTC),
    )  # fmt: skip


# -- ranges ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("asked", RANGES)
@pytest.mark.parametrize("count", [0, 1, 3, 4, 5, 8, 26, 53, 104, 120])
def test_a_range_is_the_last_weeks_and_as_many_before(asked: str, count: int) -> None:
    everything = history(count)
    now, before = sales.chosen(everything, asked)
    wanted = count if asked == "all" else min(count, int(asked))
    assert now == everything[count - wanted :]
    assert before == everything[max(0, count - 2 * wanted) : count - wanted]


@pytest.mark.parametrize("asked", ["", "0", "-4", "x", "4.5", "١", "9" * 30])
def test_a_range_that_is_none_is_everything_or_nothing_worse(asked: str) -> None:
    now, before = sales.chosen(history(10), asked)
    assert len(now) in (1, 10)
    assert len(before) <= 10


@given(
    everything=HISTORIES,
    start=st.none() | st.dates(date(2024, 1, 1), date(2027, 1, 1)),
    end=st.none() | st.dates(date(2024, 1, 1), date(2027, 1, 1)),
)
def test_picked_days_take_the_weeks_that_they_touch(
    everything: list[Sales], start: date | None, end: date | None
) -> None:
    now, before = sales.between(everything, start, end)
    for found in everything:
        touches = (start is None or Week(found.period).end >= start) and (end is None or found.period <= end)
        assert (found in now) == touches
    assert len(before) <= len(now)
    assert not set(before) & set(now)
    if now and before:
        assert before[-1].period == now[0].period - timedelta(weeks=1)


# -- figures -----------------------------------------------------------------------------------------------------------


@settings(max_examples=60)
@given(everything=HISTORIES, asked=st.sampled_from(RANGES))
def test_tiles_are_sums_to_the_cent(everything: list[Sales], asked: str) -> None:
    now, before = sales.chosen(everything, asked)
    tiles = {tile.id: tile for tile in sales.tiles(now, before)}
    assert tiles["kpi-revenue"].value == f"${sum((one.revenue for one in now), Decimal(0)):,.2f}"
    assert tiles["kpi-orders"].value == f"{sum(one.orders for one in now):,}"
    assert list(tiles) == ["kpi-revenue", "kpi-orders", "kpi-new-customers", "kpi-units"]
    if len(before) != len(now):
        assert all(tile.change == "" for tile in tiles.values())


@pytest.mark.parametrize(
    ("now", "before", "change"),
    [
        (["110.00"], ["100.00"], "+10.0%"),
        (["90.00"], ["100.00"], "-10.0%"),
        (["0.00"], ["100.00"], "-100.0%"),
        (["100.00"], ["0.00"], ""),
        (["100.00"], [], ""),
        ([], [], ""),
        (["1.00", "2.00"], ["1.00"], ""),
        (["100000.00"], ["1.00"], "+9,999,900.0%"),
        (["100.00"], ["100.00"], "+0.0%"),
    ],
)
def test_a_change_compares_ranges_of_one_length(now: Sequence[str], before: Sequence[str], change: str) -> None:
    tiles = sales.tiles([week(0, one) for one in now], [week(1, one) for one in before])
    assert tiles[0].change == change


@given(everything=HISTORIES)
def test_the_chart_has_a_bar_of_each_week_with_its_exact_money_to_read(everything: list[Sales]) -> None:
    bar = sales.chart(everything).to_dict()["data"][0]
    assert list(bar.get("x", [])) == [one.period for one in everything]
    assert [row[1] for row in bar.get("customdata", [])] == [f"{one.revenue:,.2f}" for one in everything]
    assert [row[0] for row in bar.get("customdata", [])] == [Week(one.period).label for one in everything]


@pytest.mark.parametrize("count", [0, 1, 4, 13, 14, 60])
def test_every_bar_is_named_while_there_is_room(count: int) -> None:
    axis = sales.chart(history(count)).to_dict()["layout"]["xaxis"]
    names = axis.get("ticktext", ())
    assert len(names) == (count if count <= 13 else 0)
    assert all(name.startswith("202") for name in names)


@given(everything=HISTORIES)
def test_the_table_has_every_week_newest_first_as_text(everything: list[Sales]) -> None:
    rows = sales.table(everything)
    assert [row["starts"] for row in rows] == [one.period.isoformat() for one in reversed(everything)]
    assert all(isinstance(value, str) for row in rows for value in row.values())
    total = sum((Decimal(row["revenue"].removeprefix("$").replace(",", "")) for row in rows), Decimal(0))
    assert total == sum((one.revenue for one in everything), Decimal(0))


@pytest.mark.parametrize(("change", "style"), [("+1.0%", "change up"), ("-1.0%", "change down"), ("", "change ")])
def test_a_tile_says_by_its_style_whether_it_rose(change: str, style: str) -> None:
    card = sales.tile_card(sales.Tile(id="kpi-x", label="X", value="1", change=change)).to_plotly_json()
    label, value, trend = (part.to_plotly_json()["props"] for part in card["props"]["children"])
    assert label["children"] == "X"
    assert (value["children"], value["id"]) == ("1", "kpi-x")
    assert trend["className"] == style
    assert trend["children"] == (change or "nothing to compare")


def test_the_page_has_all_that_its_callback_fills() -> None:
    text = str(sales.layout())
    for name in ("tiles", "weekly-chart", "weekly-table", "data-age", "problem", "url", "range", "days", "logout"):
        assert f"id='{name}'" in text


# -- the callback ------------------------------------------------------------------------------------------------------

OUTPUTS = [
    "tiles.children",
    "weekly-chart.figure",
    "weekly-table.data",
    "data-age.children",
    "problem.children",
    "url.search",
    "range.value",
]


def client_of(source: Any, today: date = date(2026, 11, 24)) -> FlaskClient:
    app = build(source, password="right", session_key="k", today=lambda: today)
    client = app.server.test_client()
    log_in(client)
    return client


def token(client: FlaskClient) -> str:
    return client.get("/login").text.split('name="token" value="')[1].split('"')[0]


def log_in(client: FlaskClient, password: str = "right", user: str = USER) -> Any:
    return client.post("/login", data={"user": user, "password": password, "token": token(client)})


def fill(client: FlaskClient, weeks: Any = "26", start: Any = None, end: Any = None, search: str = "") -> Any:
    body = {
        "output": f"..{'...'.join(OUTPUTS)}..",
        "outputs": [dict(zip(("id", "property"), name.split("."), strict=True)) for name in OUTPUTS],
        "inputs": [
            {"id": "range", "property": "value", "value": weeks},
            {"id": "days", "property": "start_date", "value": start},
            {"id": "days", "property": "end_date", "value": end},
        ],
        "changedPropIds": [] if search else ["range.value"],
        "state": [{"id": "url", "property": "search", "value": search}],
    }
    return client.post("/_dash-update-component", json=body)


@pytest.mark.parametrize("weeks", RANGES)
def test_what_the_page_shows_is_the_sum_of_its_table(weeks: str) -> None:
    everything = history(80)
    found = fill(client_of(lambda: (everything, published())), weeks).get_json()["response"]
    rows = found["weekly-table"]["data"]
    total = sum((Decimal(row["revenue"].removeprefix("$").replace(",", "")) for row in rows), Decimal(0))
    assert f"${total:,.2f}" in str(found["tiles"]["children"])
    assert len(rows) == (80 if weeks == "all" else int(weeks))
    assert found["url"]["search"] == f"?weeks={weeks}"


def test_a_week_that_is_not_over_is_not_shown() -> None:
    everything = [*history(5), week(-1, "7.00")]
    rows = fill(client_of(lambda: (everything, published())), "4").get_json()["response"]["weekly-table"]["data"]
    assert rows[0]["starts"] == MONDAY.isoformat()


@pytest.mark.parametrize(
    ("until", "said"),
    [
        (date(2026, 11, 23), "up to yesterday"),
        (date(2026, 11, 24), "up to yesterday"),
        (date(2026, 11, 22), "2 days behind"),
        (date(2026, 10, 24), "31 days behind"),
    ],
)
def test_the_age_of_the_data_is_told_in_days(until: date, said: str) -> None:
    found = fill(client_of(lambda: (history(80), published(until)))).get_json()["response"]
    assert said in str(found["data-age"]["children"])


@pytest.mark.parametrize(
    "search", ["?weeks=4", "?weeks=", "?weeks=<script>", "?other=1", "weeks=4", "?", "?weeks=4&weeks=13", "?%"]
)
def test_any_address_opens_the_page(search: str) -> None:
    answer = fill(client_of(lambda: (history(80), published())), search=search)
    assert answer.status_code == 200
    assert "<script>" not in answer.get_json()["response"]["url"]["search"]


def test_a_range_without_sales_says_so() -> None:
    found = fill(client_of(lambda: (history(5), published())), start="2020-01-01", end="2020-02-01")
    assert "No sales are published for this range yet." in str(found.get_json())


# -- the doors ---------------------------------------------------------------------------------------------------------

PATHS = [
    "/",
    "/_dash-layout",
    "/_dash-dependencies",
    "/_dash-component-suites/dash/x.js",
    "/anything",
    "/_reload-hash",
    "/healthz/../",
    "/assets",
]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "HEAD"])
def test_no_path_and_no_method_tells_a_stranger_anything(path: str, method: str) -> None:
    app = build(lambda: (history(3), published()), password="right", session_key="k", today=lambda: MONDAY)
    answer = app.server.test_client().open(path, method=method)
    assert answer.status_code in (302, 308, 401, 404, 405)
    assert "revenue" not in answer.text
    if answer.status_code in (302, 308):
        assert answer.headers["Location"].endswith(("/login", "/healthz/", "/"))


@pytest.mark.parametrize("given_token", ["", "x", "ü", "😀", "x" * 5000])
def test_a_form_with_a_strange_token_is_refused_and_nothing_breaks(given_token: str) -> None:
    app = build(lambda: ([], None), password="right", session_key="k", today=lambda: MONDAY)
    client = app.server.test_client()
    token(client)
    answer = client.post("/login", data={"user": USER, "password": "right", "token": given_token})
    assert answer.status_code == 400


@pytest.mark.parametrize("password", ["", "wrong", "ü", "right ", "RIGHT", "x" * 10_000, "\0"])
def test_a_strange_password_stays_outside(password: str) -> None:
    app = build(lambda: ([], None), password="right", session_key="k", today=lambda: MONDAY)
    assert log_in(app.server.test_client(), password).status_code == 401


def test_a_session_of_another_key_is_none() -> None:
    first = build(lambda: ([], None), password="right", session_key="one", today=lambda: MONDAY).server.test_client()
    log_in(first)
    cookie = first.get_cookie("leandata_session")
    assert cookie is not None
    other = build(lambda: ([], None), password="right", session_key="two", today=lambda: MONDAY).server.test_client()
    other.set_cookie("leandata_session", cookie.value)
    assert other.get("/").headers["Location"] == "/login"


@pytest.mark.parametrize("path", ["/", "/login", "/healthz"])
def test_every_answer_forbids_frames_and_guessing_of_types(path: str) -> None:
    headers = client_of(lambda: ([], None)).get(path).headers
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "same-origin"


@given(tries=st.lists(st.booleans(), max_size=30))
def test_patience_never_lasts_longer_than_half_a_minute(tries: list[bool]) -> None:
    patience, now = Patience(), 1000.0
    for good in tries:
        if good:
            patience.succeeded()
            assert patience.wait(now) == 0
        else:
            patience.failed(now)
        assert 0 <= patience.wait(now) <= 30
        now += 1


@pytest.mark.parametrize("name", ["SERVING", "DASH_PASSWORD_FILE", "DASH_SESSION_KEY_FILE"])
def test_a_setting_that_is_missing_stops_it_at_the_start(tmp_path: Any, name: str) -> None:
    for file in ("p", "k"):
        (tmp_path / file).write_text(file)
    values = {
        "LEANDATA_SERVING": "postgresql://r@127.0.0.1:9/serving",
        "LEANDATA_DASH_PASSWORD_FILE": str(tmp_path / "p"),
        "LEANDATA_DASH_SESSION_KEY_FILE": str(tmp_path / "k"),
    }
    del values[f"LEANDATA_{name}"]
    with pytest.raises(SettingsError, match=f"LEANDATA_{name} is not set"):
        create(Settings.load(values))
