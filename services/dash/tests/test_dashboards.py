"""The dashboards: who gets in, what the page shows, and what it says when there is nothing to show."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from flask.testing import FlaskClient

from dashboards import sales
from dashboards.app import build
from dashboards.auth import Patience
from leandata.errors import DatabaseError
from leandata.serving import Freshness, Sales

MONDAY = date(2026, 11, 16)


def week(back: int, revenue: str, **changed: Any) -> Sales:
    values: dict[str, Any] = {"orders": 10, "customers": 8, "new_customers": 2, "units": 20, **changed}
    return Sales(period=MONDAY - timedelta(weeks=back), revenue=Decimal(revenue), **values)


HISTORY = [week(back, f"{100 + back}.10") for back in range(59, -1, -1)]
PUBLISHED = Freshness(
    dataset="sales.weekly_sales", version="v1", rows=60, data_until=date(2026, 11, 22), published_at=datetime(2026, 11, 23, 2, 20, tzinfo=UTC)
)  # fmt: skip


@pytest.fixture
def client() -> FlaskClient:
    app = build(lambda: (HISTORY, PUBLISHED), password="right", session_key="k", today=lambda: date(2026, 11, 23))
    return app.server.test_client()


def token(client: FlaskClient) -> str:
    return client.get("/login").text.split('name="token" value="')[1].split('"')[0]


def log_in(client: FlaskClient, password: str = "right", user: str = "analyst") -> Any:
    return client.post("/login", data={"user": user, "password": password, "token": token(client)})


def test_without_a_login_there_is_only_the_login(client: FlaskClient) -> None:
    assert client.get("/").headers["Location"] == "/login"
    assert client.get("/_dash-layout").status_code == 401
    assert client.post("/_dash-update-component").status_code == 401
    assert client.get("/healthz").text == "ok"
    with client.get("/assets/style.css") as style:
        assert style.status_code == 200


def test_the_right_password_opens_the_page_and_logging_out_closes_it(client: FlaskClient) -> None:
    assert log_in(client).headers["Location"] == "/"
    assert client.get("/").status_code == 200
    assert client.get("/_dash-layout").status_code == 200
    client.get("/logout")
    assert client.get("/").headers["Location"] == "/login"


@pytest.mark.parametrize(
    ("user", "password"), [("analyst", "wrong"), ("admin", "right"), ("", ""), ("analyst", "rightt")]
)
def test_a_wrong_password_or_user_stays_outside(client: FlaskClient, user: str, password: str) -> None:
    assert log_in(client, password, user).status_code == 401
    assert client.get("/").headers["Location"] == "/login"


def test_a_form_from_elsewhere_is_refused(client: FlaskClient) -> None:
    client.get("/login")
    answer = client.post("/login", data={"user": "analyst", "password": "right", "token": "forged"})
    assert answer.status_code == 400
    assert client.get("/").headers["Location"] == "/login"


def test_a_second_look_at_the_login_does_not_spoil_the_first_form(client: FlaskClient) -> None:
    first = token(client)
    client.get("/favicon.ico", follow_redirects=True)
    assert client.post("/login", data={"user": "analyst", "password": "right", "token": first}).status_code == 302


def test_five_wrong_passwords_slow_everybody_down(client: FlaskClient) -> None:
    assert [log_in(client, "wrong").status_code for _ in range(6)] == [401] * 5 + [429]
    assert log_in(client).status_code == 429


def test_patience_grows_to_half_a_minute_and_ends_with_a_right_password() -> None:
    patience = Patience()
    waits: list[float] = []
    for _ in range(12):
        patience.failed(100.0)
        waits.append(patience.wait(100.0))
    assert waits == [0, 0, 0, 0, 1, 2, 4, 8, 16, 30, 30, 30]
    patience.succeeded()
    assert patience.wait(100.0) == 0


def test_the_session_cookie_cannot_be_read_by_scripts_or_sent_from_elsewhere(client: FlaskClient) -> None:
    cookie = log_in(client).headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie


def test_the_page_may_not_be_framed(client: FlaskClient) -> None:
    assert client.get("/login").headers["X-Frame-Options"] == "DENY"


def fill(
    client: FlaskClient, weeks: str = "26", start: str | None = None, end: str | None = None, search: str = ""
) -> dict[str, Any]:
    log_in(client)
    outputs = "..tiles.children...weekly-chart.figure...weekly-table.data...data-age.children...problem.children...url.search...range.value.."
    body = {
        "output": outputs,
        "outputs": [
            {"id": part.split(".")[0], "property": part.split(".")[1]} for part in outputs.strip(".").split("...")
        ],
        "inputs": [
            {"id": "range", "property": "value", "value": weeks},
            {"id": "days", "property": "start_date", "value": start},
            {"id": "days", "property": "end_date", "value": end},
        ],
        "changedPropIds": [] if search else ["range.value"],
        "state": [{"id": "url", "property": "search", "value": search}],
    }
    answer = client.post("/_dash-update-component", json=body)
    assert answer.status_code == 200, answer.text
    return answer.get_json()["response"]


def test_the_page_shows_the_range_and_the_age_of_its_data(client: FlaskClient) -> None:
    found = fill(client, "4")
    assert [row["week"] for row in found["weekly-table"]["data"]] == ["2026-W47", "2026-W46", "2026-W45", "2026-W44"]
    assert "Data until 2026-11-22 (up to yesterday)" in str(found["data-age"]["children"])
    assert found["url"]["search"] == "?weeks=4"
    assert found["problem"]["children"] == ""


def test_the_range_in_the_address_is_taken_when_the_page_opens(client: FlaskClient) -> None:
    found = fill(client, "26", search="?weeks=13")
    assert len(found["weekly-table"]["data"]) == 13
    assert found["range"]["value"] == "13"


def test_days_can_be_picked(client: FlaskClient) -> None:
    found = fill(client, start="2026-11-04", end="2026-11-12")
    assert [row["starts"] for row in found["weekly-table"]["data"]] == ["2026-11-09", "2026-11-02"]


@pytest.mark.parametrize("search", ["?weeks=-1", "?weeks=x", "?weeks=0", "?x=%ff", "?weeks=99999999"])
def test_a_strange_address_does_no_harm(client: FlaskClient, search: str) -> None:
    assert fill(client, search=search)["problem"]["children"] == ""


def test_before_the_first_publication_the_page_says_so() -> None:
    app = build(lambda: ([], None), password="right", session_key="k", today=lambda: date(2026, 11, 23))
    found = fill(app.server.test_client())
    assert found["problem"]["children"] == "No sales are published for this range yet."
    assert found["data-age"]["children"] == "Nothing was published yet."


def test_old_data_says_how_far_it_is_behind() -> None:
    app = build(lambda: (HISTORY, PUBLISHED), password="right", session_key="k", today=lambda: date(2026, 11, 27))
    assert "5 days behind" in str(fill(app.server.test_client())["data-age"]["children"])


@pytest.mark.parametrize("error", [DatabaseError("PostgreSQL cannot be reached"), OSError("gone"), RuntimeError("x")])
def test_a_database_that_is_down_is_told_on_the_page(error: Exception) -> None:
    def broken() -> Any:
        raise error

    app = build(broken, password="right", session_key="k", today=lambda: date(2026, 11, 23))
    text = fill(app.server.test_client())["problem"]["children"]
    assert text.startswith("No figures now: ")
    assert "Traceback" not in text


def test_tiles_compare_with_as_many_weeks_before() -> None:
    now, before = sales.chosen(HISTORY, "4")
    tiles = {tile.id: tile for tile in sales.tiles(now, before)}
    assert tiles["kpi-revenue"].value == "$406.40"
    assert tiles["kpi-revenue"].change == "-3.8%"
    assert tiles["kpi-new-customers"].value == "8"


def test_without_as_many_weeks_before_nothing_is_compared() -> None:
    now, before = sales.chosen(HISTORY, "52")
    assert (len(now), len(before)) == (52, 8)
    assert all(tile.change == "" for tile in sales.tiles(now, before))
    assert sales.chosen(HISTORY, "all") == (HISTORY, [])


def test_a_range_before_that_had_nothing_is_not_divided_by() -> None:
    tiles = sales.tiles([week(0, "5.00")], [week(1, "0.00", orders=0, units=0, new_customers=0)])
    assert [tile.change for tile in tiles] == ["", "", "", ""]


def test_money_is_shown_to_the_cent() -> None:
    rows = sales.table([week(0, "1234567.89")])
    assert rows[0]["revenue"] == "$1,234,567.89"


def test_the_chart_has_a_bar_for_each_week() -> None:
    assert len(sales.chart(HISTORY[-13:]).data[0].x) == 13
