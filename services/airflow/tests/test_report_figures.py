"""The report's figures and its mail, held against plain sums; and what pipelines do with strange input."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import re
import struct
from collections.abc import Generator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from html.parser import HTMLParser
from typing import Any, cast

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leandata.clock import Week, days
from leandata.database import Connection
from leandata.datasets import dataset
from leandata.serving import CohortMonth, Freshness, Sales
from leandata.settings import Settings
from leandata.tables import schema, validate
from pipelines import collect, failure, publish, transform
from pipelines.report.chart import draw, draw_cohorts, unfinished
from pipelines.report.data import Figure, Report, change_shown, gather, shown
from pipelines.report.render import CHART, html, images, subject, text
from pipelines.weekly_report import message

WEEK = Week.parse("2026-W47")
TODAY = date(2026, 11, 24)
PUBLISHED = Freshness(
    dataset="sales.weekly_sales", version="v1", rows=80, data_until=date(2026, 11, 23),
    published_at=datetime(2026, 11, 24, 2, 20, tzinfo=UTC),
)  # fmt: skip


def sales(back: int, revenue: str = "100.00", **changed: int) -> Sales:
    counts = {"orders": 10, "customers": 8, "new_customers": 2, "units": 20} | changed
    return Sales(period=WEEK.before(back).start, revenue=Decimal(revenue), **counts)


def report(*weeks: Sales, note: str = "", commit: str = "0123456789ab") -> Report:
    return gather(WEEK, weeks, published=PUBLISHED, commit=commit, note=note)


def figure(now: str, before: str, *, money: bool = False) -> Figure:
    return Figure(label="x", now=Decimal(now), before=Decimal(before), money=money)


@pytest.mark.parametrize(
    ("now", "before", "change", "text"),
    [
        ("110", "100", Decimal("10.0"), "+10.0%"),
        ("90", "100", Decimal("-10.0"), "-10.0%"),
        ("100", "100", Decimal("0.0"), "+0.0%"),
        ("0", "100", Decimal("-100.0"), "-100.0%"),
        ("100", "0", None, "new"),
        ("0", "0", None, "no change"),
        ("4184.01", "13063.32", Decimal("-68.0"), "-68.0%"),
        ("1", "3", Decimal("-66.7"), "-66.7%"),
        ("100.05", "100", Decimal("0.0"), "+0.0%"),
        ("100.15", "100", Decimal("0.2"), "+0.2%"),
        ("123456", "1", Decimal("12345500.0"), "+12,345,500.0%"),
        ("0.01", "0.02", Decimal("-50.0"), "-50.0%"),
    ],
)
def test_a_change_is_a_percentage_of_the_week_before(now: str, before: str, change: Decimal | None, text: str) -> None:
    found = figure(now, before)
    assert found.change == change
    assert change_shown(found) == text


@pytest.mark.parametrize(
    ("value", "money", "text"),
    [
        ("0", True, "$0.00"),
        ("4184.01", True, "$4,184.01"),
        ("1234567.8", True, "$1,234,567.80"),
        ("0", False, "0"),
        ("69659", False, "69,659"),
    ],
)
def test_values_are_shown_as_people_write_them(value: str, money: bool, text: str) -> None:
    assert shown(figure(value, "0", money=money), Decimal(value)) == text


@given(now=st.decimals(0, 10**9, places=2), before=st.decimals(0, 10**9, places=2))
def test_a_change_brings_the_week_before_to_this_week(now: Decimal, before: Decimal) -> None:
    change = figure(str(now), str(before)).change
    if before:
        assert change is not None
        assert abs(before * (1 + change / 100) - now) <= before * Decimal("0.0005001")
    else:
        assert change is None


def test_the_figures_are_those_of_the_week_and_the_week_before() -> None:
    found = report(sales(0, "4184.01", orders=120), sales(1, "13063.32", orders=381), sales(2, "9.99"))
    assert [(one.label, one.now, one.before) for one in found.figures] == [
        ("Revenue", Decimal("4184.01"), Decimal("13063.32")),
        ("Orders", Decimal(120), Decimal(381)),
        ("Customers", Decimal(8), Decimal(8)),
        ("New customers", Decimal(2), Decimal(2)),
        ("Returning customers", Decimal(6), Decimal(6)),
        ("Units", Decimal(20), Decimal(20)),
    ]


def test_the_order_in_which_weeks_come_does_not_matter() -> None:
    weeks = [sales(back, f"{back}.50") for back in range(30)]
    assert report(*weeks) == report(*reversed(weeks))


@pytest.mark.parametrize("known", [0, 1, 5, 26, 27, 80])
def test_at_most_half_a_year_is_drawn_and_never_before_the_first_week(known: int) -> None:
    history = report(*[sales(back) for back in range(known)]).history
    assert len(history) == min(known, 26)
    assert [week for week, _ in history] == sorted(week for week, _ in history)
    if known:
        assert history[-1][0] == WEEK


def test_weeks_after_the_reported_one_are_left_out() -> None:
    found = report(sales(-1, "999.00"), sales(0, "1.00"))
    assert [revenue for _, revenue in found.history] == [Decimal("1.00")]


def test_a_gap_in_the_history_is_a_bar_of_nothing() -> None:
    found = report(sales(0), sales(3))
    assert [revenue for _, revenue in found.history] == [Decimal("100.00"), Decimal(0), Decimal(0), Decimal("100.00")]


def test_the_subject_says_all_that_a_manager_in_a_hurry_needs() -> None:
    found = report(sales(0, "4184.01"), sales(1, "13063.32"))
    assert subject(found) == "Sales of week 2026-W47: $4,184.01 (-68.0%)"
    assert subject(report(sales(0))) == "Sales of week 2026-W47: $100.00 (new)"


class Tables(HTMLParser):
    """The cells of a page's tables, and what it asks of elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.cells: list[str] = []
        self.addresses: list[str] = []
        self._inside = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._inside = tag in ("td", "th")
        if self._inside:
            self.cells.append("")
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href", "action")]

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.cells[-1] += data

    def handle_endtag(self, tag: str) -> None:
        self._inside = False


def test_every_figure_stands_in_the_page_and_in_the_text() -> None:
    found = report(sales(0, "4184.01", orders=120, units=293), sales(1, "13063.32", orders=381))
    page = Tables()
    page.feed(html(found, link="http://dash/"))
    plain = text(found, link="http://dash/")
    for one in found.figures:
        row = [one.label, shown(one, one.now), shown(one, one.before), change_shown(one)]
        place = page.cells.index(one.label)
        assert page.cells[place : place + 4] == row
        assert re.search(r"\s+".join(map(re.escape, row)), plain)


def test_the_mail_asks_nothing_of_elsewhere_but_its_own_chart_and_the_dashboard() -> None:
    page = Tables()
    page.feed(html(report(sales(0), sales(1)), link="http://dash/"))
    assert sorted(page.addresses) == [f"cid:{CHART}", "http://dash/"]


def test_without_a_dashboard_there_is_no_link() -> None:
    page = Tables()
    page.feed(html(report(sales(0)), link=""))
    assert page.addresses == [f"cid:{CHART}"]
    assert "Dashboard" not in text(report(sales(0)), link="")


def test_without_any_history_there_is_no_chart() -> None:
    page = Tables()
    page.feed(html(report(), link=""))
    assert page.addresses == []


def test_where_the_figures_come_from_is_in_both_parts() -> None:
    found = report(sales(0), note="Dates were moved.")
    for part in (html(found, link=""), text(found, link="")):
        for said in (
            "sales.weekly_sales",
            "version v1",
            "80 rows",
            "2026-11-24T02:20:00+00:00",
            "0123456789ab",
            "Dates were moved.",
        ):
            assert said in part
        assert "serving.weekly_sales" in part


def test_an_unknown_commit_is_said_to_be_unknown() -> None:
    assert report(sales(0), commit="").provenance.commit == "unknown"


@pytest.mark.parametrize("evil", ["<script>alert(1)</script>", '"><img src=x onerror=1>', "{{ 7*7 }}", "&amp;", "ü€😀"])
def test_a_note_is_shown_and_never_run(evil: str) -> None:
    found = report(sales(0), note=evil)
    page = html(found, link="")
    assert "<script>" not in page
    assert "<img src=x" not in page
    assert "49" not in re.sub(r"[^<]*#[0-9a-f]{6}[^>]*", "", page.split("foot")[-1])
    assert evil in text(found, link="")


def png(data: bytes) -> tuple[int, int]:
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", data[16:24])
    return width, height


@pytest.mark.parametrize("known", [1, 2, 13, 26])
def test_the_chart_is_a_png_of_a_size_that_mail_shows_well(known: int) -> None:
    data = draw(report(*[sales(back, f"{1000 - back}.00") for back in range(known)]))
    width, height = png(data)
    assert 600 <= width <= 2000
    assert 200 <= height <= 1000
    assert len(data) < 200_000


def test_the_chart_of_the_same_report_is_the_same_and_of_another_is_another() -> None:
    one, other = report(sales(0), sales(1, "50.00")), report(sales(0), sales(1, "60.00"))
    assert draw(one) == draw(one)
    assert draw(one) != draw(other)


def test_the_reported_week_is_the_one_in_full_colour() -> None:
    import matplotlib.image

    image = matplotlib.image.imread(io.BytesIO(draw(report(sales(0), sales(1), sales(2)))))
    loud = (abs(image[:, :, 0] * 255 - 0x1F) < 3) & (abs(image[:, :, 2] * 255 - 0xA8) < 3)
    quiet = (abs(image[:, :, 0] * 255 - 0x9D) < 3) & (abs(image[:, :, 2] * 255 - 0xD5) < 3)
    assert quiet.sum() > loud.sum() > 1000, "one bar in full colour, two in the pale one"
    assert loud.nonzero()[1].min() > quiet.nonzero()[1].max(), "the newest week stands on the right"


def test_a_mail_has_all_its_parts() -> None:
    settings_ = Settings.load(
        {"LEANDATA_REPORT_RECIPIENTS": "a@x.example, b@x.example", "LEANDATA_DASH_URL": "http://d/"}
    )
    mail = message(report(sales(0), sales(1)), settings_)
    assert mail.to == ("a@x.example", "b@x.example")
    assert set(mail.images) == set(images(report(sales(0)))) == {CHART}
    assert f"cid:{CHART}" in mail.html
    assert "http://d/" in mail.text


# -- which days --------------------------------------------------------------------------------------------------------


@given(
    first=st.dates(date(2024, 1, 1), date(2026, 11, 23)),
    missing=st.sets(st.integers(0, 900), max_size=5),
)
def test_every_day_that_is_missing_and_the_last_seven_are_collected_and_no_other(
    first: date, missing: set[int]
) -> None:
    past = days(first, TODAY - timedelta(days=1))
    lost = {past[number] for number in missing if number < len(past)}
    wanted = collect.plan(known=set(past) - lost, first=first, today=TODAY)
    assert set(wanted) == lost | set(past[-7:])
    assert wanted == sorted(wanted)


@pytest.mark.parametrize("until", [TODAY, TODAY + timedelta(days=400)])
def test_a_range_into_the_future_ends_yesterday(until: date) -> None:
    wanted = collect.plan(known=[], first=TODAY, today=TODAY, since=TODAY - timedelta(days=3), until=until)
    assert wanted == days(TODAY - timedelta(days=3), TODAY - timedelta(days=1))


def test_a_range_that_has_not_begun_has_no_days() -> None:
    assert collect.plan(known=[], first=TODAY, today=TODAY, since=TODAY, until=TODAY) == []


@pytest.mark.parametrize(
    ("run_id", "name"),
    [
        ("scheduled__2026-11-24T02:15:00+00:00", "scheduled-2026-11-24T02-15-00-00-00.p0.t1"),
        ("by hand", "by-hand.p0.t1"),
        ("../../etc", "etc.p0.t1"),
        ("ü" * 10 + "x", "x.p0.t1"),
        ("a" * 500, "a" * 80 + ".p0.t1"),
    ],
)
def test_any_run_id_gives_a_name_that_the_lake_takes(run_id: str, name: str) -> None:
    from leandata.lake import _RUN

    assert collect.run_name(run_id) == name
    assert _RUN.fullmatch(name)


class Rows:
    """A connection that gives these rows, two at a time."""

    def __init__(self, *rows: tuple[Any, ...]) -> None:
        self._rows = list(rows)
        self.asked: dict[str, Any] = {}

    @contextlib.contextmanager
    def cursor(self, *, name: str) -> Generator[Rows]:
        assert name, "the server keeps what is not read yet"
        yield self

    transaction = contextlib.nullcontext

    def execute(self, query: str, span: dict[str, Any]) -> None:
        del query
        self.asked = span

    def fetchmany(self, most: int) -> list[tuple[Any, ...]]:
        given, self._rows = self._rows[: min(2, most)], self._rows[min(2, most) :]
        return given


CHUNK = collect.Chunk(days=(date(2026, 11, 16), date(2026, 11, 17)), strays=True)
GOOD = (1, date(2026, 11, 16), 2, Decimal("11.77"))


def read(*rows: tuple[Any, ...]) -> pa.Table:
    return collect._read(cast("Connection", Rows(*rows)), CHUNK, today=TODAY)


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ((0, GOOD[1], 2, GOOD[3]), "customer_id is below 1"),
        ((None, GOOD[1], 2, GOOD[3]), "customer_id is null"),
        ((1, None, 2, GOOD[3]), "ordered_on is null"),
        ((1, date(2027, 1, 1), 2, GOOD[3]), "ordered_on is in the future"),
        ((1, GOOD[1], 0, GOOD[3]), "quantity is below 1"),
        ((1, GOOD[1], -1, GOOD[3]), "quantity is below 1"),
        ((1, GOOD[1], 2**31, GOOD[3]), "quantity is no integer"),
        ((1, GOOD[1], None, GOOD[3]), "quantity is null"),
        ((1, GOOD[1], 2, Decimal("-0.01")), "amount_usd is below 0"),
        ((1, GOOD[1], 2, Decimal("11.775")), "amount_usd is no decimal(12,2)"),
        ((1, GOOD[1], 2, Decimal("99999999999.99")), "amount_usd is no decimal(12,2)"),
        ((1, GOOD[1], 2, None), "amount_usd is null"),
    ],
)
def test_a_bad_row_of_the_source_is_set_apart_and_the_good_one_stays(bad: tuple[Any, ...], reason: str) -> None:
    found = validate(dataset("shop.orders"), read(GOOD, bad), latest=TODAY)
    assert [tuple(row.values()) for row in found.good.to_pylist()] == [GOOD]
    assert len(found.reasons) == 1
    assert found.reasons[0].startswith(reason)


def test_a_source_whose_types_have_changed_stops_nothing() -> None:
    found = validate(dataset("shop.orders"), read(("1", "2026-11-16", "2", "11.77"), ("x", "y", "z", "")), latest=TODAY)
    assert [tuple(row.values()) for row in found.good.to_pylist()] == [GOOD]
    assert "customer_id is no bigint" in found.reasons[0]


def test_no_rows_are_an_empty_table_of_the_contract() -> None:
    assert read().schema == schema(dataset("shop.orders"))


def test_rows_that_come_in_parts_are_one_table_whatever_each_part_holds() -> None:
    large = (2, date(2026, 11, 17), 3, Decimal("123456.7"))
    table = read(GOOD, GOOD, large, large, (3, None, None, None))
    assert [tuple(row.values()) for row in table.to_pylist()] == [GOOD, GOOD, large, large, (3, None, None, None)]
    assert validate(dataset("shop.orders"), table, latest=TODAY).good.num_rows == 4


def test_the_source_is_asked_for_just_the_chunk_s_days() -> None:
    rows = Rows(GOOD)
    collect._read(cast("Connection", rows), CHUNK, today=TODAY)
    assert rows.asked == {"first": CHUNK.days[0], "last": CHUNK.days[-1], "strays": True, "today": TODAY}


# -- dbt's results, versions, failure mails ----------------------------------------------------------------------------


def result(unique_id: str, status: str, said: str = "") -> dict[str, Any]:
    return {"unique_id": unique_id, "status": status, "message": said}


@pytest.mark.parametrize(
    ("results", "said"),
    [
        ([], ""),
        ([result("model.leandata.a", "success"), result("test.leandata.b.1", "pass")], ""),
        ([result("test.leandata.b.1", "warn", "1 row")], ""),
        ([result("model.leandata.a", "skipped")], ""),
        ([result("test.leandata.unique_day.1", "fail", "Got 2 results,\n configured to fail if != 0")],
         "test unique_day failed: Got 2 results, configured to fail if != 0"),
        ([result("model.leandata.a", "error", "no table"), result("model.leandata.b", "error", "x")],
         "model a failed: no table"),
        ([result("model.leandata.a", "error")], "model a failed: error"),
        ([result("model.leandata.a", "error", "z" * 900)], f"model a failed: {'z' * 300}"),
    ],
)  # fmt: skip
def test_the_first_thing_that_dbt_did_not_manage_is_one_line(results: list[dict[str, Any]], said: str) -> None:
    assert transform.first_problem({"results": results}) == said


def test_what_dbt_managed_is_counted_by_kind() -> None:
    results = [result("model.l.a", "success"), result("test.l.b.1", "pass"), result("test.l.c.2", "pass")]
    assert transform.counts({"results": results}) == {"model": 1, "test": 2}


@settings(max_examples=60)
@given(st.text(max_size=60))
def test_any_run_id_gives_a_version_or_none_at_all(run_id: str) -> None:
    version = publish.version_name(run_id)
    assert re.fullmatch(r"[a-z0-9_]{0,40}", version)


def owner_is_told(error: str, **values: str) -> Any:
    known = {"LEANDATA_ENVIRONMENT": "local", "LEANDATA_OWNER_MAIL": "team@x.example", **values}
    return failure.failure_message(
        Settings.load(known), dag="transform", task="build", run="r1", attempt=4, error=error
    )


COHORTS = tuple(
    CohortMonth(cohort=date(2026, 9, 1), month=month, customers=5, cohort_customers=10, orders=5, revenue=Decimal(1))
    for month in range(3)
)


@pytest.mark.parametrize(("until", "marked"), [(date(2026, 11, 30), []), (date(2026, 11, 22), [2]), (None, [])])
def test_a_cohort_s_month_that_is_not_over_is_marked_in_the_picture_and_below_it(
    until: date | None, marked: list[int]
) -> None:
    found = dataclasses.replace(report(), cohorts=COHORTS, cohorts_until=until)
    assert [one.month for one in unfinished(found)] == marked
    page = html(found, link="")
    assert ("* This month is not over: its orders are counted until 2026-11-22." in page) == bool(marked)
    plain = draw_cohorts(dataclasses.replace(found, cohorts_until=None))
    assert (draw_cohorts(found) != plain) == bool(marked)
    assert draw_cohorts(found) == draw_cohorts(found)


def test_a_failure_mail_has_what_why_and_where() -> None:
    mail = owner_is_told("test unique_day failed: Got 2 results", LEANDATA_AIRFLOW_URL="http://airflow")
    assert mail.subject == "[local] transform.build failed: test unique_day failed: Got 2 results"
    assert mail.to == ["team@x.example"]
    assert "http://airflow/dags/transform/runs/r1" in mail.text
    assert "after try 4" in mail.text


@pytest.mark.parametrize("error", ["", "  \n ", "one\nBcc: evil@x.example\ntwo", "x" * 5000])
def test_no_error_can_break_a_failure_mail(error: str) -> None:
    from leandata.mail import compose

    mail = compose(owner_is_told(error), sender="p@x.example")
    assert mail["Bcc"] is None
    assert len(str(mail["Subject"])) < 140
    assert "Why:" in mail.get_content()
