"""Who gets in, for how long, and what a stranger sees."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st

from dashboards.app import create
from dashboards.auth import SESSION, USER, Account, Door, Patience, local, protect
from leandata.errors import SettingsError
from leandata.proxies import networks
from leandata.settings import Settings
from services.dash.tests.worlds import PEOPLE, client, log_in, stranger, token

PATHS = [
    "/", "/sales", "/_dash-layout", "/_dash-dependencies", "/_dash-component-suites/dash/x.js", "/anything",
    "/_reload-hash", "/healthz/../", "/assets", "/download/sales/sales.csv", "/logout",
]  # fmt: skip


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "HEAD"])
def test_no_path_and_no_method_tells_a_stranger_anything(path: str, method: str) -> None:
    answer = stranger().open(path, method=method)
    assert answer.status_code in (302, 308, 401, 404, 405)
    assert "revenue" not in answer.text.lower()
    if answer.status_code in (302, 308):
        assert answer.headers["Location"].split("?")[0].endswith(("/login", "/healthz/", "/"))


def test_the_health_check_the_login_and_its_style_are_open() -> None:
    outside = stranger()
    assert outside.get("/healthz").text == "ok"
    assert outside.get("/login").status_code == 200
    with outside.get("/assets/style.css") as style:
        assert style.status_code == 200


def test_the_right_password_opens_the_pages_and_logging_out_closes_them() -> None:
    browser = stranger()
    assert log_in(browser).headers["Location"] == "/"
    assert browser.get("/").status_code == 200
    assert browser.get("/_dash-layout").status_code == 200
    assert browser.post("/logout").headers["Location"] == "/login"
    assert browser.get("/").headers["Location"] == "/login"


def test_a_link_from_elsewhere_logs_nobody_out() -> None:
    browser = client()
    browser.get("/logout")
    assert browser.get("/_dash-layout").status_code == 200


@pytest.mark.parametrize(
    ("user", "password"),
    [
        ("analyst", "wrong"), ("admin", "right"), ("", ""), ("analyst", "rightt"), ("analyst", "wise"),
        ("analyst", "ü"), ("analyst", "right "), ("analyst", "RIGHT"), ("analyst", "x" * 10_000), ("analyst", "\0"),
    ],
)  # fmt: skip
def test_a_wrong_password_or_user_stays_outside(user: str, password: str) -> None:
    browser = stranger()
    assert log_in(browser, password, user).status_code == 401
    assert browser.get("/").headers["Location"] == "/login"


def test_an_unknown_user_whose_password_is_the_token_stays_outside() -> None:
    browser = stranger()
    known = token(browser)
    assert browser.post("/login", data={"user": "nobody", "password": known, "token": known}).status_code == 401


@pytest.mark.parametrize("given_token", ["", "x", "ü", "😀", "x" * 5000])
def test_a_form_with_a_strange_token_is_refused_and_nothing_breaks(given_token: str) -> None:
    browser = stranger()
    token(browser)
    answer = browser.post("/login", data={"user": USER, "password": "right", "token": given_token})
    assert answer.status_code == 400
    assert browser.get("/").headers["Location"] == "/login"


def test_a_form_of_one_browser_is_none_in_another() -> None:
    first, second = stranger(), stranger()
    foreign = token(first)
    token(second)
    assert second.post("/login", data={"user": USER, "password": "right", "token": foreign}).status_code == 400


def test_a_second_look_at_the_login_does_not_spoil_the_first_form() -> None:
    browser = stranger()
    first = token(browser)
    browser.get("/favicon.ico", follow_redirects=True)
    assert browser.post("/login", data={"user": USER, "password": "right", "token": first}).status_code == 302


def test_a_form_whose_session_was_lost_is_taken_from_here_and_from_nowhere_else() -> None:
    for origin, status in (("http://localhost", 302), ("https://evil.example", 400), ("null", 400), ("", 400)):
        form = {"user": USER, "password": "right", "token": "of another page"}
        answer = stranger().post("/login", data=form, headers={"Origin": origin} if origin else {})
        assert answer.status_code == status, origin


# -- patience ----------------------------------------------------------------------------------------------------------


def test_five_wrong_passwords_slow_their_address_down_and_no_other() -> None:
    browser = stranger()
    assert [log_in(browser, "wrong").status_code for _ in range(6)] == [401] * 5 + [429]
    assert log_in(browser).status_code == 429
    other = browser.application.test_client()
    other.environ_base["REMOTE_ADDR"] = "10.0.0.9"
    assert log_in(other).status_code == 302


def test_many_addresses_are_no_way_around_patience() -> None:
    door = Door()
    for number in range(60):
        door.failed(f"10.0.0.{number}", 100.0)
    assert door.wait("10.9.9.9", 100.0) == 30
    door.succeeded("10.0.0.1")
    assert door.wait("10.0.0.1", 100.0) == 30


def test_strangers_behind_the_same_load_balancer_keep_no_known_browser_out() -> None:
    mine = stranger()
    assert log_in(mine).status_code == 302
    mine.post("/logout")
    guesser = mine.application.test_client()
    assert [log_in(guesser, "wrong").status_code for _ in range(6)][-1] == 429
    assert log_in(mine.application.test_client()).status_code == 429, "a new browser there has to wait"
    assert log_in(mine).status_code == 302


def test_a_known_browser_has_no_more_tries_than_others() -> None:
    mine = stranger()
    log_in(mine)
    mine.post("/logout")
    assert [log_in(mine, "wrong").status_code for _ in range(6)] == [401] * 5 + [429]
    assert log_in(mine.application.test_client()).status_code == 302, "and its tries are its own"


@pytest.mark.parametrize("forged", ["", ".", "x", "x.", "x.00", "\u00e9.\u00e9", "a" * 4_000])
def test_a_mark_that_the_server_did_not_make_is_none(forged: str) -> None:
    guesser = stranger()
    guesser.set_cookie("leandata_browser", forged, path="/login")
    assert [log_in(guesser, "wrong").status_code for _ in range(6)][-1] == 429


def test_the_mark_of_one_user_is_none_of_another() -> None:
    mine = stranger()
    log_in(mine)
    mine.post("/logout")
    guesser = mine.application.test_client()
    assert [log_in(guesser, "wrong").status_code for _ in range(6)][-1] == 429
    answer = mine.post("/login", data={"user": "editor", "password": "wrong", "token": token(mine)})
    assert answer.status_code == 429


def test_wrong_passwords_of_a_known_browser_are_not_everybody_s() -> None:
    door = Door()
    for _ in range(100):
        door.failed("a browser", 100.0, known=True)
    assert door.wait("a browser", 100.0, known=True) == 30
    assert door.wait("10.0.0.1", 100.0) == 0


def behind(proxies: str, peer: str = "10.0.0.1") -> Any:
    server = Flask("doors")
    protect(server, people=PEOPLE, session_key="k", trusted=networks(proxies))
    found = server.test_client()
    found.environ_base["REMOTE_ADDR"] = peer
    return found


def tries(browser: Any, said: str, password: str = "wrong") -> int:
    form = {"user": USER, "password": password, "token": token(browser)}
    return browser.post("/login", data=form, headers={"X-Forwarded-For": said}).status_code


def test_behind_a_trusted_proxy_every_browser_has_its_own_patience() -> None:
    browser = behind("10.0.0.0/24")
    assert [tries(browser, "203.0.113.7") for _ in range(6)][-1] == 429
    other = browser.application.test_client()
    other.environ_base["REMOTE_ADDR"] = "10.0.0.2"
    assert tries(other, "203.0.113.7", "right") == 429
    assert tries(other, "203.0.113.8", "right") == 302


def test_behind_a_trusted_proxy_a_forged_header_is_no_way_around_patience() -> None:
    browser = behind("10.0.0.1")
    found = [tries(browser, f"198.51.100.{number}, 203.0.113.7") for number in range(6)]
    assert found == [401] * 5 + [429]


@pytest.mark.parametrize("proxies", ["", "10.9.9.9"])
def test_a_header_of_who_is_no_trusted_proxy_is_not_believed(proxies: str) -> None:
    browser = behind(proxies)
    assert [tries(browser, f"198.51.100.{number}") for number in range(6)] == [401] * 5 + [429]
    assert tries(browser, "127.0.0.1", "right") == 429


def test_only_so_many_addresses_are_remembered() -> None:
    door = Door()
    for number in range(10_003):
        door.failed(str(number), 100.0)
    assert len(door.addresses) == 10_000
    assert "2" not in door.addresses
    assert "3" in door.addresses


def test_patience_grows_to_half_a_minute_and_ends_with_a_right_password() -> None:
    patience = Patience()
    waits: list[float] = []
    for _ in range(12):
        patience.failed(100.0)
        waits.append(patience.wait(100.0))
    assert waits == [0, 0, 0, 0, 1, 2, 4, 8, 16, 30, 30, 30]
    patience.succeeded()
    assert patience.wait(100.0) == 0


def test_a_million_wrong_passwords_do_not_overflow() -> None:
    patience = Patience(wrong=10**6)
    patience.failed(100.0)
    assert patience.wait(100.0) == 30


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


# -- sessions ----------------------------------------------------------------------------------------------------------


def door_with(people: dict[str, Account], now: list[float]) -> Any:
    server = Flask("doors")
    protect(server, people=people, session_key="k", now=lambda: now[0])
    server.add_url_rule("/", view_func=lambda: "inside")
    return server.test_client()


def test_a_session_ends_after_twelve_hours_however_busy_it_was() -> None:
    now = [1_000.0]
    browser = door_with(PEOPLE, now)
    log_in(browser)
    for _ in range(11):
        now[0] += 3_600
        assert browser.get("/").text == "inside"
    now[0] = 1_000.0 + SESSION.total_seconds()
    assert browser.get("/").headers["Location"] == "/login"


def test_a_new_password_ends_the_sessions_of_the_old_one() -> None:
    people = {"analyst": Account(password="old", role="viewer")}
    browser = door_with(people, [1_000.0])
    log_in(browser, "old")
    assert browser.get("/").text == "inside"
    people["analyst"] = Account(password="new", role="viewer")
    assert browser.get("/").headers["Location"] == "/login"


def test_a_user_who_is_no_longer_known_is_out() -> None:
    people = dict(PEOPLE)
    browser = door_with(people, [1_000.0])
    log_in(browser)
    del people["analyst"]
    assert browser.get("/").headers["Location"] == "/login"


def test_a_session_of_another_key_is_none() -> None:
    cookie = client(key="one").get_cookie("leandata_session")
    assert cookie is not None
    other = stranger(key="two")
    other.set_cookie("leandata_session", cookie.value)
    assert other.get("/").headers["Location"] == "/login"


def test_the_session_cookie_cannot_be_read_by_scripts_or_sent_from_elsewhere() -> None:
    cookie = log_in(stranger()).headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert "Secure" not in cookie


@pytest.mark.parametrize("how", [{"base_url": "https://dash"}, {"headers": {"X-Forwarded-Proto": "https"}}])
def test_over_https_the_session_cookie_goes_over_https_only(how: dict[str, Any]) -> None:
    assert "Secure" in stranger().get("/login", **how).headers["Set-Cookie"]


def test_a_password_is_in_no_representation() -> None:
    assert "wise" not in repr(PEOPLE["chief"])


# -- where to go -------------------------------------------------------------------------------------------------------


def test_after_the_login_one_is_where_one_wanted_to_go() -> None:
    browser = stranger()
    there = browser.get("/sales?range=4&by=day").headers["Location"]
    assert there == "/login?next=%2Fsales%3Frange%3D4%26by%3Dday"
    assert 'name="next" value="/sales?range=4&amp;by=day"' in browser.get(there).text
    assert log_in(browser, next="/sales?range=4&by=day").headers["Location"] == "/sales?range=4&by=day"


@pytest.mark.parametrize(
    "then", ["//evil", "https://evil", "/\\evil", "evil", "", "/a\r\nSet-Cookie: x=1", "javascript:x"]
)
def test_a_login_leads_to_no_other_site(then: str) -> None:
    assert local(then) == "/"
    assert log_in(stranger(), next=then).headers["Location"] == "/"


def test_what_stands_in_the_address_is_not_run_on_the_login() -> None:
    assert "<script>alert" not in stranger().get('/login?next=/"><script>alert(1)</script>').text


@pytest.mark.parametrize("path", ["/", "/login", "/healthz"])
def test_every_answer_forbids_frames_and_guessing_of_types(path: str) -> None:
    headers = client().get(path).headers
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "same-origin"


@pytest.mark.parametrize(
    "name", ["SERVING", "DASH_PASSWORD_FILE", "DASH_EDITOR_PASSWORD_FILE", "DASH_SESSION_KEY_FILE"]
)
def test_a_setting_that_is_missing_stops_it_at_the_start(tmp_path: Any, name: str) -> None:
    for file in ("p", "e", "k"):
        (tmp_path / file).write_text(file)
    values = {
        "LEANDATA_SERVING": "postgresql://r@127.0.0.1:9/serving",
        "LEANDATA_DASH_PASSWORD_FILE": str(tmp_path / "p"),
        "LEANDATA_DASH_EDITOR_PASSWORD_FILE": str(tmp_path / "e"),
        "LEANDATA_DASH_SESSION_KEY_FILE": str(tmp_path / "k"),
    }
    del values[f"LEANDATA_{name}"]
    with pytest.raises(SettingsError, match=f"LEANDATA_{name} is not set"):
        create(Settings.load(values))
