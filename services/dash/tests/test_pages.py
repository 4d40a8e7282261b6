"""What makes a page: one file, its choices in the address, its tables as files, its states."""

from __future__ import annotations

import csv
import gzip
import io
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboards.formats import shown, to_csv
from dashboards.page import Choice, Page, PageError, State, Table, discover
from leandata import serving
from leandata.errors import DatabaseError
from services.dash.tests.worlds import TODAY, Readers, ask, client, history, page_text, said, sales_world

ONE_FILE = """
from dashboards import parts
from dashboards.page import Choice, Page, Table
from leandata import serving


def view(context):
    return [parts.choices(context.state, "colour"), parts.table(table(context), name="t", caption="Datasets")]


def table(context):
    return Table(columns=(("Dataset", "text"), ("Rows", "integer")),
                 rows=[(one.dataset, one.rows) for one in context.read(serving.freshness)])


page = Page(path="/ours", title="Ours", view=view, order=5, tables={"datasets": table}, for_editors=frozenset({"datasets"}),
            choices=(Choice(name="colour", label="Colour", options=(("red", "Red"), ("blue", "Blue")), default="red"),))
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "ours.py").write_text(ONE_FILE)
    return tmp_path


def test_a_team_adds_a_page_by_adding_one_file(folder: Path) -> None:
    browser = client(sales_world(weekly=[]), pages=folder)
    answer = ask(browser, "/ours", "?colour=blue").get_json()["response"]
    assert "sales.weekly_sales" in said(answer["figures"]["children"])
    assert said(answer["nav"]["children"]) == "Ours\n"
    assert "'aria-current': 'page'" in str(answer["nav"]["children"])


LASTS = ONE_FILE.replace("view=view,", "view=view, lasting=lambda context: [context.download('datasets')],")


@pytest.fixture
def lasts(folder: Path) -> tuple[Any, dict[str, Any]]:
    """The world of a page with something that follows no choice, and a browser that opened it: what it was told."""
    (folder / "ours.py").write_text(LASTS)
    world = sales_world(weekly=[])
    return world, ask(client(world, pages=folder), "/ours", "?colour=blue").get_json()["response"]


def test_what_follows_no_choice_knows_none(lasts: tuple[Any, dict[str, Any]]) -> None:
    assert said(lasts[1]["lasting"]["children"]) == "/download/ours/datasets.csv\n"


def test_what_follows_no_choice_is_not_sent_again_by_a_click(folder: Path, lasts: tuple[Any, dict[str, Any]]) -> None:
    world, opened = lasts
    clicked = ask(client(world, pages=folder), "/ours", "?colour=red", told=opened["told"]["data"])
    assert set(clicked.get_json()["response"]) == {"figures"}


def test_what_follows_no_choice_is_sent_again_when_something_was_published_and_on_another_day(
    folder: Path, lasts: tuple[Any, dict[str, Any]]
) -> None:
    world, opened = lasts
    told = opened["told"]["data"]
    tomorrow = ask(client(world, pages=folder, today=TODAY + timedelta(days=1)), "/ours", told=told)
    assert "lasting" in tomorrow.get_json()["response"]
    world.answers[serving.freshness][0] = replace(world.answers[serving.freshness][0], version="newer")
    published = ask(client(world, pages=folder), "/ours", told=told).get_json()["response"]
    assert said(published["lasting"]["children"])
    assert published["told"]["data"] != told


def test_another_page_brings_its_own(folder: Path, lasts: tuple[Any, dict[str, Any]]) -> None:
    (folder / "later.py").write_text(ONE_FILE.replace("/ours", "/later").replace("Ours", "Later").replace("=5", "=6"))
    world, opened = lasts
    answer = ask(client(world, pages=folder), "/later", told=opened["told"]["data"]).get_json()["response"]
    assert answer["lasting"]["children"] == []
    assert "Later" in said(answer["nav"]["children"])


def test_nothing_stands_beside_an_error_and_all_is_back_after_it(
    folder: Path, lasts: tuple[Any, dict[str, Any]]
) -> None:
    world, opened = lasts
    found, world.answers[serving.freshness] = world.answers[serving.freshness], OSError("gone")
    failed = ask(client(world, pages=folder), "/ours", told=opened["told"]["data"]).get_json()["response"]
    assert failed["lasting"]["children"] == []
    world.answers[serving.freshness] = found
    back = ask(client(world, pages=folder), "/ours", told=failed["told"]["data"]).get_json()["response"]
    assert said(back["lasting"]["children"])


@pytest.mark.parametrize("told", [None, "x", 7, [], {}, {"page": "/ours"}, {"page": "/ours", "published": {"a": 1}}])
def test_whatever_a_browser_says_that_it_was_told_it_gets_its_page(folder: Path, told: Any) -> None:
    (folder / "ours.py").write_text(LASTS)
    answer = ask(client(sales_world(weekly=[]), pages=folder), "/ours", told=told).get_json()["response"]
    assert said(answer["figures"]["children"])
    assert said(answer["lasting"]["children"])


def test_the_first_page_is_where_one_arrives(folder: Path) -> None:
    (folder / "later.py").write_text(ONE_FILE.replace("/ours", "/later").replace("Ours", "Later").replace("=5", "=6"))
    browser = client(sales_world(weekly=[]), pages=folder)
    assert page_text(browser, "/").startswith("Ours\n")
    assert said(ask(browser, "/later").get_json()["response"]["nav"]["children"]) == "Ours\nLater\n"


def test_an_unknown_page_says_so() -> None:
    assert "There is no page /nothing." in page_text(client(), "/nothing")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("x = 1", "a file of pages has no page"),
        ("page = 3", "a file of pages has no page"),
        ("import nothing_like_this", "cannot be loaded: ModuleNotFoundError"),
        ("def", "cannot be loaded: SyntaxError"),
        (ONE_FILE.replace('"/ours"', '"ours"'), "'ours' cannot be the path of a page"),
        (ONE_FILE.replace('"/ours"', '"/login"'), "'/login' cannot be the path of a page"),
        (ONE_FILE.replace('"/ours"', '"/a/b"'), "'/a/b' cannot be the path of a page"),
        (ONE_FILE.replace('frozenset({"datasets"})', 'frozenset({"x"})'), "for_editors names 'x', which is no table"),
    ],
)
def test_a_file_that_is_no_page_is_named_with_what_to_do(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "wrong.py").write_text(text)
    with pytest.raises(PageError, match=r"wrong\.py") as raised:
        discover(tmp_path)
    assert told in str(raised.value)
    assert raised.value.hint


def test_two_pages_of_one_path_are_refused(folder: Path) -> None:
    (folder / "other.py").write_text(ONE_FILE)
    with pytest.raises(PageError, match=r"two pages have the path /ours \(other.py and ours.py\)"):
        discover(folder)


def test_what_starts_with_an_underscore_is_no_page(folder: Path) -> None:
    (folder / "_helper.py").write_text("x = 1")
    assert [page.title for page in discover(folder)] == ["Ours"]


def test_pages_are_found_in_their_order_each_time() -> None:
    found = discover()
    assert found == discover()
    assert [page.order for page in found] == sorted(page.order for page in found)
    assert found[0].title == "Sales"


# -- state in the address ----------------------------------------------------------------------------------------------

PAGE = Page(
    path="/p", title="P", view=lambda context: [],
    choices=(
        Choice(name="range", label="Range", options=(("4", "4"), ("13", "13")), default="13", clears=("from",)),
        Choice(name="from", label="From", kind="day"),
        Choice(name="find", label="Find", kind="text"),
    ),
)  # fmt: skip


@pytest.mark.parametrize(
    ("search", "said_again"),
    [
        ("", ""),
        ("?", ""),
        ("?range=4", "?range=4"),
        ("?range=13", ""),
        ("?range=5", ""),
        ("?range=4&range=13", ""),
        ("?from=2026-11-24", "?from=2026-11-24"),
        ("?from=2026-13-24", ""),
        ("?from=20261124", ""),
        ("?find=%20a%20", "?find=a"),
        ("?find=" + "x" * 41, ""),
        ("?find=%00", ""),
        ("?other=1", ""),
        ("range=4", "?range=4"),
        ("?%", ""),
        ("?x=" + "y" * 5000 + "&range=4", ""),
        ("?" + "x=1&" * 60 + "range=4", "?range=4"),
        ("?range=<script>", ""),
    ],
)
def test_an_address_is_taken_where_it_means_something(search: str, said_again: str) -> None:
    assert State.of(PAGE, search).search() == said_again


@given(search=st.text(max_size=300))
def test_no_address_does_harm_and_what_it_means_stays(search: str) -> None:
    state = State.of(PAGE, search)
    assert State.of(PAGE, state.search()).search() == state.search()


def test_a_changed_choice_is_an_address_that_keeps_the_others() -> None:
    state = State.of(PAGE, "?range=4&find=a b")
    assert state.href(range="13") == "/p?find=a+b"
    assert state.href(find="c") == "/p?range=4&find=c"
    assert state.day("from") is None
    assert State.of(PAGE, "?from=2026-11-24").day("from") == date(2026, 11, 24)


# -- files -------------------------------------------------------------------------------------------------------------


def test_a_download_is_what_the_page_shows() -> None:
    answer = client(sales_world(weekly=history(30))).get("/download/sales/sales.csv?range=4")
    assert answer.mimetype == "text/csv"
    assert answer.headers["Content-Disposition"] == 'attachment; filename="sales-sales-2026-11-24.csv"'
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [row["Week"] for row in rows] == ["2026-W47", "2026-W46", "2026-W45", "2026-W44"]
    assert Decimal(rows[1]["Revenue"]) == history(30)[-2].revenue


@pytest.mark.parametrize("path", ["/download/sales/x.csv", "/download/x/sales.csv"])
def test_a_file_that_is_not_there_is_not_found(path: str) -> None:
    assert client(sales_world(weekly=[])).get(path).status_code == 404


def test_what_is_for_editors_is_downloaded_by_editors_only(folder: Path) -> None:
    world = sales_world(weekly=[])
    refused = client(world, pages=folder).get("/download/ours/datasets.csv")
    assert refused.status_code == 403
    assert "sales." not in refused.text
    taken = client(world, pages=folder, user="chief").get("/download/ours/datasets.csv")
    assert taken.text.splitlines()[0] == "Dataset,Rows"
    assert "sales.daily_sales,1" in taken.text


def test_without_a_database_a_download_says_so() -> None:
    answer = client(Readers({serving.freshness: OSError("gone")})).get("/download/sales/sales.csv")
    assert answer.status_code == 503
    assert "does not answer" in answer.text


def test_a_spreadsheet_runs_nothing_that_a_file_holds() -> None:
    rows = [("=1+1", 1), ("@x", 2), ("-", -3), ("a,b", None)]
    text = to_csv(Table(columns=(("Name", "text"), ("N", "integer")), rows=rows))
    assert text == "Name,N\r\n'=1+1,1\r\n'@x,2\r\n'-,-3\r\n\"a,b\",\r\n"


@given(amount=st.decimals(allow_nan=False, allow_infinity=False, places=2, min_value=-(10**9), max_value=10**9))
def test_money_in_a_file_is_exact(amount: Decimal) -> None:
    text = to_csv(Table(columns=(("Revenue", "money"),), rows=[(amount,)]))
    assert Decimal(text.splitlines()[1]) == amount


@pytest.mark.parametrize(
    ("value", "kind", "text"),
    [
        (Decimal("1234567.89"), "money", "$1,234,567.89"),
        (1234567, "integer", "1,234,567"),
        (Decimal("12.345"), "percent", "12.3%"),
        (0.12345, "number", "0.123"),
        (date(2026, 11, 24), "date", "2026-11-24"),
        (datetime(2026, 11, 24, 9, 5, tzinfo=UTC), "moment", "2026-11-24 09:05 UTC"),
        (None, "money", "–"),
        ("x", "text", "x"),
    ],
)
def test_figures_are_shown_as_people_read_them(value: Any, kind: Any, text: str) -> None:
    assert shown(value, kind) == text


# -- states ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", discover(), ids=lambda page: page.title)
def test_before_the_first_publication_every_page_says_so_and_none_breaks(page: Page) -> None:
    text = page_text(client(Readers({})), page.path)
    assert text.startswith(f"{page.title}\n")
    assert "No figures now" not in text
    assert "yet" in text


@pytest.mark.parametrize("page", discover(), ids=lambda page: page.title)
@pytest.mark.parametrize(
    ("error", "told"),
    [
        (DatabaseError("PostgreSQL cannot be reached"), "PostgreSQL cannot be reached. Try again in a moment."),
        (OSError("secret place"), "The serving database does not answer. Try again in a moment."),
    ],
)
def test_a_database_that_is_down_is_told_on_every_page(page: Page, error: Exception, told: str) -> None:
    class Down:
        def __call__(self, reader: Any, *args: Any, **options: Any) -> Any:
            raise error

    text = page_text(client(Down()), page.path)
    assert told in text
    assert "Traceback" not in text
    assert "secret place" not in text


def test_a_page_asks_each_reader_once() -> None:
    world = sales_world(weekly=history(30))
    page_text(client(world), "/sales")
    assert world.asked.count("freshness") == 1
    assert world.asked.count("weekly_sales") == 1


def test_who_is_logged_in_is_told() -> None:
    assert "chief (editor)" in client(user="chief").get("/_dash-layout").text
    assert "analyst (viewer)" in client().get("/_dash-layout").text


# -- shipping ----------------------------------------------------------------------------------------------------------


def test_files_are_compressed_and_kept_by_the_browser_while_their_names_stay() -> None:
    browser, zipped = client(), {"Accept-Encoding": "gzip"}
    with browser.get("/assets/style.css?m=1") as plain, browser.get("/assets/style.css?m=1", headers=zipped) as packed:
        assert gzip.decompress(packed.data) == plain.data
        assert len(packed.data) < len(plain.data) / 2
        assert "immutable" in packed.headers["Cache-Control"]
        assert "Accept-Encoding" in packed.headers["Vary"]
        assert int(packed.headers["Content-Length"]) == len(packed.data)
        with browser.get("/assets/style.css?m=1", headers=zipped) as again:
            assert again.data == packed.data


def test_answers_with_figures_are_compressed_and_not_kept() -> None:
    answer = client().get("/_dash-layout", headers={"Accept-Encoding": "gzip"})
    assert "immutable" not in answer.headers.get("Cache-Control", "")
    assert b"figures" in gzip.decompress(answer.data)


def test_small_answers_are_left_as_they_are() -> None:
    assert "Content-Encoding" not in client().get("/healthz", headers={"Accept-Encoding": "gzip"}).headers
