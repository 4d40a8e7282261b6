"""What the pipelines decide: which days, which chunks, what a failure mail says, how a report reads."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leandata.clock import Week, days
from leandata.lake import Manifest
from leandata.serving import Freshness, Sales
from leandata.settings import Settings, WarehouseAddress
from pipelines import collect, failure, publish, running_dbt, transform
from pipelines.report.chart import draw
from pipelines.report.data import Report, change_shown, gather
from pipelines.report.render import html, images, subject, text

TODAY = date(2026, 11, 24)
FIRST = date(2025, 5, 21)


def test_the_first_collection_takes_all_of_history_until_yesterday() -> None:
    wanted = collect.plan(known=[], first=FIRST, today=TODAY)
    assert (wanted[0], wanted[-1], len(wanted)) == (FIRST, date(2026, 11, 23), 552)


def test_a_later_collection_takes_the_last_seven_days_again() -> None:
    known = days(FIRST, TODAY - timedelta(days=1))
    assert collect.plan(known=known, first=FIRST, today=TODAY) == days(date(2026, 11, 17), date(2026, 11, 23))


def test_a_day_that_is_missing_is_collected_however_old_it_is() -> None:
    known = set(days(FIRST, TODAY)) - {date(2025, 7, 1)}
    assert collect.plan(known=known, first=FIRST, today=TODAY)[0] == date(2025, 7, 1)


def test_a_range_can_be_asked_for() -> None:
    asked = collect.plan(known=[], first=FIRST, today=TODAY, since=date(2026, 1, 1), until=date(2026, 1, 3))
    assert asked == days(date(2026, 1, 1), date(2026, 1, 3))
    assert collect.plan(known=[], first=FIRST, today=TODAY, since=date(2026, 11, 22))[-1] == date(2026, 11, 23)


@given(st.integers(1, 2000))
def test_chunks_are_few_and_hold_every_day_once(count: int) -> None:
    wanted = days(FIRST, FIRST + timedelta(days=count - 1))
    parts = collect.chunks(wanted)
    assert [day for part in parts for day in part.days] == wanted
    assert len(parts) <= 3
    assert [part.strays for part in parts] == [False] * (len(parts) - 1) + [True]


def test_no_days_are_no_chunks() -> None:
    assert collect.chunks([]) == []


def test_another_try_writes_other_files() -> None:
    names = {
        collect.run_name("scheduled__2026-11-24T02:15:00+00:00", part=part, attempt=t)
        for part in (0, 1)
        for t in (1, 2)
    }
    assert len(names) == 4
    assert "scheduled-2026-11-24T02-15-00-00-00.p1.t2" in names


def manifest(run: str, rows: int) -> Manifest:
    return Manifest(dataset="d", dt="2026-11-01", run=run, files=(), rows=rows, bytes=0, schema="", created="")


def test_only_slices_that_the_warehouse_holds_otherwise_are_loaded() -> None:
    one, two, three, four, five = days(date(2026, 11, 1), date(2026, 11, 5))
    published = {
        one: manifest("r1", 5),
        two: manifest("r2", 5),
        three: manifest("r1", 6),
        four: manifest("r1", 0),
        five: manifest("r1", 0),
    }
    held = {one: ("r1", 5), two: ("r1", 5), three: ("r1", 5), five: ("r0", 3)}
    assert list(collect.outdated(published, held)) == [two, three, five]


@pytest.mark.parametrize(
    ("run_id", "version"),
    [
        ("asset_triggered__2026-11-24T12:54:46.847563+00:00_jHivl3mA", "20261124t125446_jhivl3ma"),
        ("manual__2026-11-24T12:54:46+00:00", "20261124t125446_46_00_00"),
        ("by hand", "by_hand"),
    ],
)
def test_a_run_gives_its_version_a_name_that_a_table_can_have(run_id: str, version: str) -> None:
    assert publish.version_name(run_id) == version


def test_a_profile_names_the_private_key_and_never_holds_it() -> None:
    address = WarehouseAddress.parse("snowflake://loader@acme?role=R&warehouse=W&private_key_file=/run/key")
    output = running_dbt.profile(address)["leandata"]["outputs"]["platform"]
    assert output["private_key_path"] == "/run/key"
    assert "host" not in output
    assert "password" not in output


def test_the_first_failed_test_is_told_in_one_line() -> None:
    results = {
        "results": [
            {"unique_id": "model.leandata.daily_sales", "status": "success"},
            {
                "unique_id": "test.leandata.unique_x.1a",
                "status": "fail",
                "message": "Got 2 results,\n configured to fail",
            },
            {"unique_id": "test.leandata.other.2b", "status": "error", "message": "x"},
        ]
    }
    assert transform.first_problem(results) == "test unique_x failed: Got 2 results, configured to fail"
    assert transform.first_problem({"results": results["results"][:1]}) == ""
    assert transform.counts(results) == {"model": 1, "test": 2}


def test_a_failure_mail_says_what_failed_why_and_where_to_look() -> None:
    settings = Settings.load(
        {"LEANDATA_ENVIRONMENT": "local", "LEANDATA_OWNER_MAIL": "o@x.example", "LEANDATA_AIRFLOW_URL": "http://a"}
    )
    mail = failure.failure_message(settings, dag="d", task="t", run="r", attempt=4, error="line one\n  line two")
    assert mail.to == ["o@x.example"]
    assert mail.subject == "[local] d.t failed: line one line two"
    assert "after try 4" in mail.text
    assert "http://a/dags/d/runs/r" in mail.text
    nothing = failure.failure_message(settings, dag="d", task="t", run="r", attempt=1, error="")
    assert "no reason was given" in nothing.text


def test_a_failure_that_cannot_be_mailed_is_only_logged(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LEANDATA_ENVIRONMENT", "local")
    monkeypatch.setenv("LEANDATA_OWNER_MAIL", "o@x.example")
    monkeypatch.setenv("LEANDATA_MAIL", "smtp://127.0.0.1:9?sender=p@x.example")

    class Instance:
        dag_id, task_id, try_number = "d", "t", 1

    failure.mail_owner({"task_instance": Instance(), "run_id": "r", "exception": ValueError("x")})
    assert "the owner could not be told" in capsys.readouterr().out


WEEK = Week(date(2026, 11, 16))
PUBLISHED = Freshness(
    dataset="sales.weekly_sales", version="v1", rows=80, data_until=date(2026, 11, 23), published_at=datetime(2026, 11, 24, 2, 20, tzinfo=UTC)
)  # fmt: skip


def sales(back: int, revenue: str, **changed: Any) -> Sales:
    values: dict[str, Any] = {"orders": 10, "customers": 8, "new_customers": 2, "units": 20, **changed}
    return Sales(period=WEEK.before(back).start, revenue=Decimal(revenue), **values)


def report(*weeks: Sales, note: str = "") -> Report:
    return gather(WEEK, weeks, published=PUBLISHED, commit="abc", note=note)


def test_a_week_is_compared_with_the_week_before() -> None:
    found = report(sales(1, "100.00"), sales(0, "110.55", orders=9))
    revenue, orders = found.figures[0], found.figures[1]
    assert revenue.change == Decimal("10.6")
    assert change_shown(revenue) == "+10.6%"
    assert change_shown(orders) == "-10.0%"
    assert subject(found) == "Sales of week 2026-W47: $110.55 (+10.6%)"


def test_a_first_week_has_nothing_to_compare_with() -> None:
    found = report(sales(0, "110.55"))
    assert found.figures[0].change is None
    assert change_shown(found.figures[0]) == "new"
    assert len(found.history) == 1


def test_a_week_without_sales_is_a_week_of_zeros() -> None:
    found = report(sales(1, "100.00"))
    assert found.figures[0].now == 0
    assert change_shown(found.figures[0]) == "-100.0%"
    assert change_shown(report().figures[0]) == "no change"
    assert "$0.00" in text(report(), link="")
    assert "<img" not in html(report(), link="")


def test_the_history_has_every_week_be_it_without_sales() -> None:
    found = report(sales(30, "1.00"), sales(3, "2.00"), sales(0, "3.00"))
    assert len(found.history) == 26
    assert [revenue for _, revenue in found.history[-4:]] == [Decimal(2), 0, 0, Decimal(3)]


def test_the_same_report_gives_the_same_bytes() -> None:
    weeks = [sales(back, f"{back}.50") for back in range(10, -1, -1)]
    assert draw(report(*weeks)) == draw(report(*weeks))
    assert html(report(*weeks), link="l") == html(report(*weeks), link="l")
    assert images(report(*weeks))["revenue-by-week"].startswith(b"\x89PNG")


def test_nothing_that_comes_from_data_is_taken_for_html() -> None:
    page = html(report(sales(0, "1.00"), note="<script>alert(1)</script>"), link='http://x/"><script>')
    assert "<script>" not in page
    assert "&lt;script&gt;" in page


def test_the_page_is_readable_in_the_dark_and_says_where_it_comes_from() -> None:
    page = html(report(sales(0, "1.00"), note="Dates were moved."), link="http://x")
    assert "prefers-color-scheme: dark" in page
    assert 'name="color-scheme" content="light dark"' in page
    for said in ("version v1 (80 rows)", "commit abc", "Dates were moved.", "FROM serving.weekly_sales", "http://x"):
        assert said in " ".join(page.split())


def test_a_page_for_the_browser_has_its_chart_inside() -> None:
    assert "data:image/png;base64," in html(report(sales(0, "1.00")), link="", inline=True)
    assert "cid:revenue-by-week" in html(report(sales(0, "1.00")), link="")


@pytest.mark.integration
def test_every_dag_can_be_imported_and_is_chained_by_its_assets(tmp_path: Any) -> None:
    import os
    import subprocess
    import sys

    from infra.environment import ROOT

    code = """
from airflow.dag_processing.dagbag import DagBag
bag = DagBag()
assert not bag.import_errors, bag.import_errors
print(sorted(bag.dags))
print({task.owner for dag in bag.dags.values() for task in dag.tasks}, min(t.retries for d in bag.dags.values() for t in d.tasks))
"""
    environ = {
        **os.environ,
        "AIRFLOW_HOME": str(tmp_path),
        "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "services" / "airflow" / "pipelines" / "dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__UNIT_TEST_MODE": "False",
    }
    subprocess.run([sys.executable, "-m", "airflow", "db", "migrate"], env=environ, capture_output=True, check=True)
    result = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    lines = [line for line in result.stdout.splitlines() if line.startswith(("[", "{"))]
    assert (
        lines[-2]
        == "['checks', 'collect_shop', 'customer_features', 'drain_events', 'health', 'publish_serving', 'train_model',"
        " 'transform', 'weekly_sales_report']"
    )
    assert lines[-1] == "{'data-team'} 3"
