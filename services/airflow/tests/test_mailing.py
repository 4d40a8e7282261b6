"""Mails that really arrive: the weekly report, once, whatever happens; and the mail about a task that failed."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
import threading
from collections.abc import Generator
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from infra.testing import parts, published
from infra.testing.fixtures import url_of
from leandata import reports, serving
from leandata.clock import Week
from leandata.database import connect
from leandata.datasets import dataset
from leandata.errors import DatabaseError, MailError
from leandata.settings import DatabaseAddress, Settings, foreign
from leandata.tables import schema
from pipelines import failure, weekly_report

pytestmark = pytest.mark.integration
WEEKLY = dataset("sales.weekly_sales")
TODAY = date(2026, 11, 24)
WEEK = Week.parse("2026-W47")


@dataclass(frozen=True, kw_only=True, slots=True)
class Office:
    """A serving database of a test's own, and the mail that arrives while the test runs."""

    values: dict[str, str]
    serving: DatabaseAddress
    mail: parts.MailCatcher
    before: frozenset[Path]

    def settings(self, **changed: str) -> Settings:
        return Settings.load(self.values | {f"LEANDATA_{name}": value for name, value in changed.items()})

    def publish(self, *weeks: tuple[int, str, int], until: date = TODAY - timedelta(days=1)) -> None:
        """Weeks as (weeks before W47, revenue, orders)."""
        rows: list[dict[str, Any]] = [
            {"week": WEEK.before(back).start, "revenue": Decimal(revenue), "orders": orders, "customers": orders,
             "new_customers": orders // 2, "units": orders * 2}
            for back, revenue, orders in sorted(weeks, reverse=True)
        ]  # fmt: skip
        table = pa.Table.from_pylist(rows, schema=schema(WEEKLY))
        with connect(self.serving) as connection:
            serving.publish(connection, WEEKLY, table, version="v7", data_until=until)

    def arrived(self) -> list[EmailMessage]:
        """The mails of this test, in no order."""
        new = set(self.mail.folder.glob("*.eml")) - self.before
        return [message_from_bytes(path.read_bytes(), policy=policy.default) for path in sorted(new)]  # type: ignore[misc]

    def sent(self) -> bool:
        with connect(self.serving) as connection:
            return reports.sent(connection, WEEK.start)


@pytest.fixture(scope="module")
def database(postgres_server: parts.Postgres) -> DatabaseAddress:
    return postgres_server.database("office", owner="office_writer")


@pytest.fixture
def office(database: DatabaseAddress, mail_server: parts.MailCatcher) -> Generator[Office]:
    with connect(database) as connection:
        connection.execute("DROP SCHEMA IF EXISTS serving CASCADE")
    values = {
        "LEANDATA_ENVIRONMENT": "test", "LEANDATA_TODAY": TODAY.isoformat(), "LEANDATA_SERVING": url_of(database),
        "LEANDATA_MAIL": f"smtp://127.0.0.1:{mail_server.smtp_port}?sender=platform@leandata.example",
        "LEANDATA_REPORT_RECIPIENTS": "boss@leandata.example, sales@leandata.example",
        "LEANDATA_OWNER_MAIL": "team@leandata.example", "LEANDATA_COMMIT": "0123456789ab",
        "LEANDATA_AIRFLOW_URL": "http://airflow.example", "LEANDATA_DASH_URL": "http://dash.example/",
    }  # fmt: skip
    return Office(values=values, serving=database, mail=mail_server, before=frozenset(mail_server.folder.glob("*.eml")))


def nobody_listens() -> str:
    return f"smtp://127.0.0.1:{parts.free_port()}?sender=p@x.example"


def part(mail: EmailMessage, kind: str) -> Any:
    (found,) = [one for one in mail.walk() if one.get_content_type() == kind]
    return found.get_content()


# -- the report --------------------------------------------------------------------------------------------------------


def test_the_report_arrives_with_its_text_its_page_and_its_chart(office: Office) -> None:
    office.publish((0, "1234.50", 12), (1, "1000.00", 10))
    assert weekly_report.mail_report(office.settings()) == (
        "the report of 2026-W47 was sent to boss@leandata.example, sales@leandata.example"
    )
    (mail,) = office.arrived()
    assert mail["Subject"] == "Sales of week 2026-W47: $1,234.50 (+23.4%)"
    assert mail["To"] == "boss@leandata.example, sales@leandata.example"
    assert mail["From"] == "platform@leandata.example"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["Date"].datetime.tzinfo is not None
    assert mail["Message-ID"].endswith("@leandata.example>")
    for said in ("$1,234.50", "$1,000.00", "+23.4%", "+20.0%", "http://dash.example/", "version v7", "0123456789ab"):
        assert said in part(mail, "text/plain")
        assert said in part(mail, "text/html")
    chart: bytes = part(mail, "image/png")
    assert chart[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", chart[16:24])
    assert (600 < width < 2000, 200 < height < 1000) == (True, True)
    (image,) = [one for one in mail.walk() if one.get_content_type() == "image/png"]
    assert f'src="cid:{image["Content-ID"].strip("<>")}"' in part(mail, "text/html")


def test_the_report_is_sent_once_however_often_it_is_asked_for(office: Office) -> None:
    office.publish((0, "1.00", 1))
    said = [weekly_report.mail_report(office.settings()) for _ in range(3)]
    assert said[1:] == ["the report of 2026-W47 was sent before"] * 2
    assert len(office.arrived()) == 1


def test_of_many_runs_at_once_one_sends_the_report(office: Office) -> None:
    office.publish((0, "1.00", 1))
    said: list[str] = []
    runs = [
        threading.Thread(target=lambda: said.append(weekly_report.mail_report(office.settings()))) for _ in range(6)
    ]
    for run in runs:
        run.start()
    for run in runs:
        run.join()
    assert len(said) == 6
    assert sum("was sent to" in one for one in said) == 1
    assert len(office.arrived()) == 1


def test_a_later_publication_of_the_same_figures_brings_no_second_report(office: Office) -> None:
    office.publish((0, "1.00", 1))
    weekly_report.mail_report(office.settings())
    office.publish((0, "1.00", 1), (3, "7.00", 2), until=TODAY)
    assert "was sent before" in weekly_report.mail_report(office.settings())
    assert len(office.arrived()) == 1


def test_a_corrected_week_is_mailed_again_once_for_each_change_and_says_so(office: Office) -> None:
    office.publish((0, "1.00", 1))
    weekly_report.mail_report(office.settings())
    office.publish((0, "2.00", 2))
    said = [weekly_report.mail_report(office.settings()) for _ in range(3)]
    assert said[0].startswith("the report of 2026-W47 was sent again, corrected,")
    assert said[1:] == ["the report of 2026-W47 was sent before"] * 2
    subjects = sorted(str(mail["Subject"]) for mail in office.arrived())
    assert subjects == ["Sales of week 2026-W47: $1.00 (new)", "Sales of week 2026-W47: $2.00 (new) - corrected"]
    (update,) = [mail for mail in office.arrived() if "corrected" in str(mail["Subject"])]
    assert "Corrected: orders of this week came or changed" in part(update, "text/html")
    assert part(update, "text/plain").startswith("CORRECTED:")


def test_a_correction_that_the_server_did_not_take_is_sent_by_the_next_try(office: Office) -> None:
    office.publish((0, "1.00", 1))
    weekly_report.mail_report(office.settings())
    office.publish((0, "2.00", 2))
    with pytest.raises(MailError, match="was not taken"):
        weekly_report.mail_report(office.settings(MAIL=nobody_listens()))
    assert office.sent()
    assert "was sent again, corrected," in weekly_report.mail_report(office.settings())
    assert len(office.arrived()) == 2


def test_of_many_runs_at_once_one_sends_the_correction(office: Office) -> None:
    office.publish((0, "1.00", 1))
    weekly_report.mail_report(office.settings())
    office.publish((0, "2.00", 2))
    runs = [threading.Thread(target=weekly_report.mail_report, args=(office.settings(),)) for _ in range(6)]
    for run in runs:
        run.start()
    for run in runs:
        run.join()
    assert len(office.arrived()) == 2


def test_the_next_week_has_a_report_of_its_own(office: Office) -> None:
    office.publish((0, "1.00", 1), (-1, "3.00", 1), until=TODAY + timedelta(days=7))
    weekly_report.mail_report(office.settings())
    weekly_report.mail_report(office.settings(TODAY="2026-12-01"))
    subjects = sorted(str(mail["Subject"]) for mail in office.arrived())
    assert subjects == ["Sales of week 2026-W47: $1.00 (new)", "Sales of week 2026-W48: $3.00 (+200.0%)"]


@pytest.mark.parametrize(("until", "sent"), [(date(2026, 11, 21), False), (date(2026, 11, 22), True)])
def test_the_report_waits_until_its_sunday_is_published(office: Office, until: date, sent: bool) -> None:
    office.publish((0, "1.00", 1), until=until)
    said = weekly_report.mail_report(office.settings())
    assert said.startswith("the report of" if sent else "not sent: the week 2026-W47 is not published whole yet")
    assert (len(office.arrived()), office.sent()) == (int(sent), sent)


def test_before_the_first_publication_nothing_is_sent_and_nothing_is_claimed(office: Office) -> None:
    said = weekly_report.mail_report(office.settings())
    assert said == "not sent: the week 2026-W47 is not published whole yet (published: nothing)"
    office.publish((0, "1.00", 1))
    assert "was sent to" in weekly_report.mail_report(office.settings())


def test_a_week_without_a_single_order_is_reported_too(office: Office) -> None:
    office.publish((0, "0.00", 0), (1, "1000.00", 10))
    weekly_report.mail_report(office.settings())
    (mail,) = office.arrived()
    assert mail["Subject"] == "Sales of week 2026-W47: $0.00 (-100.0%)"
    assert part(mail, "text/plain").count("-100.0%") == 6


def test_two_weeks_without_orders_divide_by_nothing(office: Office) -> None:
    office.publish((0, "0.00", 0), (1, "0.00", 0))
    weekly_report.mail_report(office.settings())
    (mail,) = office.arrived()
    assert mail["Subject"] == "Sales of week 2026-W47: $0.00 (no change)"


def test_a_report_that_the_server_did_not_take_is_sent_by_the_next_try(office: Office) -> None:
    office.publish((0, "1.00", 1))
    for _ in range(2):
        with pytest.raises(MailError, match="was not taken"):
            weekly_report.mail_report(office.settings(MAIL=nobody_listens()))
    assert not office.sent()
    assert "was sent to" in weekly_report.mail_report(office.settings())
    assert len(office.arrived()) == 1


def test_a_report_that_another_run_is_sending_is_left_to_it(office: Office) -> None:
    office.publish((0, "1.00", 1))
    with connect(office.serving) as connection:
        assert reports.claim(connection, WEEK.start)
    assert weekly_report.mail_report(office.settings()) == "the report of 2026-W47 is being sent by another run"
    assert office.arrived() == []


def test_the_figures_are_the_served_ones_to_the_cent(office: Office) -> None:
    office.publish((0, "123456789012.34", 3), (1, "0.01", 1), (2, "5.00", 1))
    report = weekly_report.report_of(office.settings(), WEEK)
    assert (report.figures[0].now, report.figures[0].before) == (Decimal("123456789012.34"), Decimal("0.01"))
    assert [revenue for _, revenue in report.history] == [Decimal("5.00"), Decimal("0.01"), Decimal("123456789012.34")]
    assert (report.provenance.version, report.provenance.rows) == ("v7", 3)


def test_a_past_week_knows_nothing_of_what_came_later(office: Office) -> None:
    office.publish((0, "9.00", 1), (1, "8.00", 1), (2, "7.00", 1))
    report = weekly_report.report_of(office.settings(), WEEK.before())
    assert (report.figures[0].now, report.figures[0].before) == (Decimal("8.00"), Decimal("7.00"))
    assert [week for week, _ in report.history] == [WEEK.before(2), WEEK.before()]
    with pytest.raises(DatabaseError, match="2026-W48 is not published whole yet"):
        weekly_report.report_of(office.settings(), WEEK.before(-1))


def put(office: Office, name: str, rows: list[dict[str, Any]]) -> None:
    published.put(office.serving, name, rows, until=TODAY, version="v8")


def test_the_best_customers_and_the_cohorts_of_the_time_are_in_the_mail(office: Office) -> None:
    office.publish((0, "50.00", 3))
    put(office, "sales.customer_days", [
        {"customer_id": one, "day": day, "orders": 1, "units": 2, "revenue": Decimal(paid)}
        for one, day, paid in ((7, WEEK.start, "10.10"), (7, WEEK.end, "20.00"), (9, WEEK.end, "19.90"),
                               (8, WEEK.before().end, "999.00"))
    ])  # fmt: skip
    put(office, "sales.cohorts", [
        {"cohort": date(2026, 10, 1), "month": month, "customers": 5 - month, "cohort_customers": 10, "orders": 5,
         "revenue": Decimal(1)}
        for month in (0, 1, 2)
    ])  # fmt: skip
    report = weekly_report.report_of(office.settings(), WEEK)
    assert [(one.customer_id, one.revenue) for one in report.top] == [(7, Decimal("30.10")), (9, Decimal("19.90"))]
    assert [one.month for one in report.cohorts] == [0, 1], "December has not begun"
    weekly_report.mail_report(office.settings())
    (mail,) = office.arrived()
    images = [one for one in mail.walk() if one.get_content_type() == "image/png"]
    named = {one["Content-ID"].strip("<>") for one in images}
    assert named == {"revenue-by-week", "cohorts"}
    page = part(mail, "text/html")
    assert all(f'src="cid:{name}"' in page for name in named)
    assert "$30.10" in page
    assert "sales.customer_days, version v8, 2 rows read" in page
    assert "$999.00" not in page


# -- the report as files -----------------------------------------------------------------------------------------------


def render(office: Office, *arguments: str) -> subprocess.CompletedProcess[str]:
    environ = foreign(os.environ) | office.values
    command = [sys.executable, "-m", "pipelines.report", *arguments]
    return subprocess.run(command, env=environ, capture_output=True, text=True, check=False)


def test_a_report_is_rendered_to_the_same_files_each_time_and_mails_nothing(office: Office, tmp_path: Path) -> None:
    office.publish((0, "9.00", 1), (1, "8.00", 1))
    results = [render(office, "--week", "2026-W46", "--out", str(tmp_path / name), "--json") for name in ("a", "b")]
    assert [result.returncode for result in results] == [0, 0], results[0].stderr
    files = json.loads(results[0].stdout)["files"]
    assert {name: Path(path).name for name, path in files.items()} == {
        "eml": "report-2026-W46.eml", "html": "report-2026-W46.html", "txt": "report-2026-W46.txt",
    }  # fmt: skip
    for path in map(Path, files.values()):
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()
    mail = message_from_bytes(Path(files["eml"]).read_bytes(), policy=policy.default)
    assert mail["Subject"] == "Sales of week 2026-W46: $8.00 (new)"
    assert mail["Date"] is None, "it is not sent"
    assert "data:image/png;base64," in Path(files["html"]).read_text()
    assert not office.arrived()
    assert not office.sent()


@pytest.mark.parametrize(
    ("week", "said"),
    [
        ("2026-W99", "error: '2026-W99' is no week"),
        ("yesterday", "error: 'yesterday' is no week"),
        ("2026-W50", "error: the week 2026-W50 is not published whole yet"),
    ],
)
def test_a_week_that_cannot_be_rendered_is_one_line_and_no_file(
    office: Office, tmp_path: Path, week: str, said: str
) -> None:
    office.publish((0, "9.00", 1))
    result = render(office, "--week", week, "--out", str(tmp_path / "out"))
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith(said)
    assert len(result.stderr.splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_two_weeks_are_compared_side_by_side(office: Office, tmp_path: Path) -> None:
    office.publish((0, "9.00", 1), (4, "6.00", 2))
    result = render(office, "--week", "2026-W47", "--against", "2026-W43", "--out", str(tmp_path), "--json")
    assert result.returncode == 0, result.stderr
    lines = Path(json.loads(result.stdout)["files"]["against"]).read_text().splitlines()
    assert lines[0].split() == ["2026-W47", "2026-W43", "change"]
    assert lines[1].split() == ["Revenue", "$9.00", "$6.00", "+50.0%"]
    assert lines[-1].startswith("2026-W43: ")


def test_without_a_week_the_last_complete_one_is_rendered(office: Office, tmp_path: Path) -> None:
    office.publish((0, "9.00", 1))
    lines = render(office, "--out", str(tmp_path)).stdout.splitlines()
    assert [Path(line).name for line in lines] == [f"report-2026-W47.{kind}" for kind in ("eml", "html", "txt")]


# -- a task that failed ------------------------------------------------------------------------------------------------


class Instance:
    """What Airflow tells a callback of the task."""

    dag_id, task_id, try_number = "transform", "build", 4


def test_the_owner_of_a_task_that_failed_for_good_gets_a_mail(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in office.values.items():
        monkeypatch.setenv(name, value)
    error = DatabaseError("test unique_day failed:\nGot 2 results", hint="Look\nthere")
    failure.mail_owner({"task_instance": Instance(), "run_id": "manual__1", "exception": error})
    (mail,) = office.arrived()
    assert mail["To"] == "team@leandata.example"
    assert str(mail["Subject"]).startswith("[test] transform.build failed: test unique_day failed: Got 2 results")
    text = part(mail, "text/plain")
    assert "Log:  http://airflow.example/dags/transform/runs/manual__1" in text
    assert "after try 4" in text
    assert "The last good data stays served" in text


def test_a_failure_without_a_reason_or_a_run_is_told_all_the_same(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in office.values.items():
        monkeypatch.setenv(name, value)
    failure.mail_owner({"task_instance": Instance()})
    (mail,) = office.arrived()
    assert "Why:  no reason was given" in part(mail, "text/plain")
