"""The serving database, the ledger of reports, mail, logs and compute: the promises that others build upon."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import threading
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from email import message_from_bytes, policy
from typing import Any

import psycopg
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.testing import parts
from leandata import compute, errors, reports, serving
from leandata.clock import Week, days, last_complete_week
from leandata.contract import Dataset
from leandata.database import Connection, connect, parameters
from leandata.datasets import CATALOG, dataset
from leandata.errors import ComputeError, DatabaseError, LeandataError, MailError
from leandata.mail import Message, compose, send
from leandata.settings import DatabaseAddress, MailAddress
from leandata.tables import schema

WEEKLY, DAILY = dataset("sales.weekly_sales"), dataset("sales.daily_sales")
MONDAY = date(2026, 11, 16)
EXAMPLES: dict[str, Any] = {
    "date": MONDAY, "integer": 7, "bigint": 7, "text": "ü\t\\N\n\"x\"", "boolean": True,
    "decimal(9,6)": Decimal("0.000001"), "decimal(12,2)": Decimal("0.01"), "decimal(14,2)": Decimal("-999999999999.99"),
}  # fmt: skip


@pytest.fixture(scope="module")
def address(postgres_server: parts.Postgres) -> DatabaseAddress:
    return postgres_server.database("serving_rules", owner="rules_writer")


@pytest.fixture
def writer(address: DatabaseAddress) -> Generator[Connection]:
    with connect(address, autocommit=True) as connection:
        yield connection
        connection.execute("DROP SCHEMA IF EXISTS serving CASCADE")


def weeks(*revenues: str, first: date = MONDAY) -> pa.Table:
    rows = [
        {
            "week": first - timedelta(weeks=back),
            "revenue": Decimal(revenue),
            "orders": 1,
            "customers": 1,
            "new_customers": 0,
            "units": back,
        }
        for back, revenue in enumerate(revenues)
    ]
    return pa.Table.from_pylist(rows, schema=schema(WEEKLY))


def publish(connection: Connection, table: pa.Table, version: str, *, contract: Dataset = WEEKLY) -> int:
    return serving.publish(connection, contract, table, version=version, data_until=MONDAY)


# -- serving -----------------------------------------------------------------------------------------------------------


@pytest.mark.integration
@pytest.mark.parametrize("contract", CATALOG.values(), ids=lambda found: found.name)
def test_every_dataset_can_be_served_and_comes_back_the_same(writer: Connection, contract: Dataset) -> None:
    row = {column.name: EXAMPLES[column.type] for column in contract.columns}
    table = pa.Table.from_pylist([row], schema=schema(contract))
    if set(contract.key) <= set(row):
        assert publish(writer, table, "v1", contract=contract) == 1
        names = ", ".join(row)
        found = writer.execute(f"SELECT {names} FROM serving.{contract.table}").fetchall()  # type: ignore[arg-type]
        assert found == [tuple(row.values())]
    else:
        with pytest.raises(psycopg.errors.UndefinedColumn):
            publish(writer, table, "v1", contract=contract)


@pytest.mark.integration
@pytest.mark.parametrize("count", [0, 1, 2, 10_001])
def test_any_number_of_rows_is_published_whole(writer: Connection, count: int) -> None:
    table = pa.table(
        {
            "day": pa.array([MONDAY - timedelta(days=back) for back in range(count)], pa.date32()),
            "revenue": pa.array([Decimal(back) / 100 for back in range(count)], pa.decimal128(14, 2)),
            **{name: pa.array(range(count), pa.int64()) for name in ("orders", "customers", "new_customers", "units")},
        }
    )
    assert publish(writer, table, "v1", contract=DAILY) == count
    found = serving.daily_sales(writer)
    assert len(found) == count
    assert sum((one.revenue for one in found), Decimal(0)) == Decimal(sum(range(count))) / 100
    assert [one.period for one in found] == sorted(one.period for one in found)
    assert serving.freshness(writer)[0].rows == count


@pytest.mark.integration
def test_a_version_that_goes_leaves_no_table_behind(writer: Connection) -> None:
    for number in range(5):
        publish(writer, weeks(f"{number}.00"), f"v{number}")
    tables = writer.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'serving' ORDER BY 1").fetchall()
    assert [name for (name,) in tables] == ["contents", "files", "freshness", "reports", "weekly_sales__v4"]
    assert serving.freshness(writer)[0].version == "v4"


@pytest.mark.integration
@pytest.mark.parametrize("version", ["", "V1", "v-1", "v.1", "v 1", "x" * 41, "v;drop", "ü"])
def test_a_version_that_could_be_sql_is_refused(writer: Connection, version: str) -> None:
    with pytest.raises(DatabaseError, match="cannot name a version"):
        publish(writer, weeks("1.00"), version)
    assert serving.freshness(writer) == []


@pytest.mark.integration
@pytest.mark.parametrize(
    ("since", "until", "expected"),
    [
        (None, None, 4),
        (MONDAY, None, 1),
        (None, MONDAY, 4),
        (MONDAY - timedelta(weeks=2), MONDAY - timedelta(weeks=1), 2),
        (MONDAY + timedelta(days=1), None, 0),
        (None, MONDAY - timedelta(weeks=9), 0),
        (MONDAY, MONDAY - timedelta(weeks=1), 0),
        (MONDAY - timedelta(days=3), MONDAY - timedelta(days=1), 0),
    ],
)
def test_a_range_takes_the_weeks_whose_monday_lies_in_it(
    writer: Connection, since: date | None, until: date | None, expected: int
) -> None:
    publish(writer, weeks("1.00", "2.00", "3.00", "4.00"), "v1")
    assert len(serving.weekly_sales(writer, since=since, until=until)) == expected


@pytest.mark.integration
def test_a_publication_that_is_broken_off_leaves_the_old_one(address: DatabaseAddress, writer: Connection) -> None:
    publish(writer, weeks("1.00"), "v1")
    with connect(address) as other, other.transaction(force_rollback=True):
        publish(other, weeks("2.00"), "v2")
    assert [one.revenue for one in serving.weekly_sales(writer)] == [Decimal("1.00")]
    assert serving.freshness(writer)[0].version == "v1"


# -- the ledger --------------------------------------------------------------------------------------------------------


@pytest.mark.integration
def test_of_many_runs_at_once_one_sends_the_report(address: DatabaseAddress, writer: Connection) -> None:
    serving.ensure_schema(writer)
    gate = threading.Barrier(8)

    def claim(_: int) -> bool:
        with connect(address, autocommit=True) as own:
            gate.wait(20)
            return reports.claim(own, MONDAY)

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(claim, range(8))) == [False] * 7 + [True]


@pytest.mark.integration
def test_a_claim_of_somebody_who_was_killed_is_free_after_ten_minutes(writer: Connection) -> None:
    assert reports.claim(writer, MONDAY)
    for minutes, free in ((5, False), (9, False), (11, True)):
        writer.execute("UPDATE serving.reports SET claimed_at = now() - make_interval(mins => %s)", [minutes])
        assert reports.claim(writer, MONDAY) == free


@pytest.mark.integration
def test_a_report_that_was_sent_is_never_claimed_again(writer: Connection) -> None:
    assert reports.claim(writer, MONDAY)
    reports.confirm(writer, MONDAY, message_id="<1@x>")
    writer.execute("UPDATE serving.reports SET claimed_at = now() - interval '1 year'")
    assert not reports.claim(writer, MONDAY)
    reports.release(writer, MONDAY)
    assert reports.sent(writer, MONDAY), "what was sent cannot be given back"


@pytest.mark.integration
def test_weeks_are_claimed_one_by_one(writer: Connection) -> None:
    assert reports.claim(writer, MONDAY)
    assert reports.claim(writer, MONDAY - timedelta(weeks=1))
    assert not reports.sent(writer, MONDAY)


# -- connections -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("postgresql://r@h/d", ""),
        ("postgresql://r@h/d?statement_timeout=30s", "-c statement_timeout=30000"),
        ("postgresql://r@h/d?statement_timeout=5ms", "-c statement_timeout=5"),
    ],
)
def test_a_connection_has_the_time_outs_of_its_address(text: str, options: str) -> None:
    found = parameters(DatabaseAddress.parse(text))
    assert found["options"] == options
    assert found["connect_timeout"] == 10
    assert found["application_name"] == "leandata"


@pytest.mark.integration
def test_a_query_that_takes_too_long_is_ended_by_the_server(address: DatabaseAddress) -> None:
    from dataclasses import replace

    with (
        connect(replace(address, statement_timeout=50), autocommit=True) as connection,
        pytest.raises(psycopg.errors.QueryCanceled),
    ):
        connection.execute("SELECT pg_sleep(20)")


@pytest.mark.integration
def test_a_wrong_password_is_one_line_without_the_password(address: DatabaseAddress, tmp_path: Any) -> None:
    from dataclasses import replace

    (tmp_path / "p").write_text("hunter2")
    with pytest.raises(DatabaseError) as caught:
        connect(replace(address, password_file=tmp_path / "p"))
    assert "password authentication failed" in str(caught.value)
    assert "hunter2" not in str(caught.value)
    assert "\n" not in str(caught.value)


# -- clock -------------------------------------------------------------------------------------------------------------


@given(day=st.dates(date(1990, 1, 1), date(2100, 1, 1)))
def test_every_day_lies_in_one_week_and_the_last_complete_one_is_over(day: date) -> None:
    week = Week.of(day)
    assert week.start <= day <= week.end
    assert day in days(week.start, week.end)
    last = last_complete_week(day)
    assert last.end < day <= last.end + timedelta(days=7)
    assert Week.parse(last.label) == last
    assert sorted([week, last]) == [last, week]


@pytest.mark.parametrize(
    ("text", "start"),
    [
        ("2026-W47", date(2026, 11, 16)),
        ("2026-W01", date(2025, 12, 29)),
        ("2026-W53", date(2026, 12, 28)),
        ("2020-W53", date(2020, 12, 28)),
        ("2026-11-16", date(2026, 11, 16)),
    ],
)
def test_a_week_is_written_as_its_label_or_its_monday(text: str, start: date) -> None:
    assert Week.parse(text).start == start


@pytest.mark.parametrize(
    "text", ["", "2026-47", "2026-W00", "2026-W54", "2025-W53", "W47", "2026-W4", "2026-11-17", "2026w47"]
)
def test_what_is_no_week_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(LeandataError, match="Write it like 2026-W47"):
        Week.parse(text)


# -- mail --------------------------------------------------------------------------------------------------------------


def message(**changed: Any) -> Message:
    return Message(**{"subject": "S", "to": ["a@x.example"], "text": "t", **changed})


@pytest.mark.parametrize("name", ["subject"])
@pytest.mark.parametrize("evil", ["a\nBcc: evil@x.example", "a\r\nBcc: evil@x.example", "a\rb"])
def test_no_header_can_be_smuggled_in(name: str, evil: str) -> None:
    with pytest.raises(ValueError, match=r"newline|linefeed|carriage"):
        compose(message(**{name: evil}), sender="p@x.example")


@given(
    subject=st.text(st.characters(blacklist_categories=("Cs", "Cc")), max_size=120),
    text=st.text(
        st.characters(blacklist_categories=("Cs",), blacklist_characters="\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029\0"),
        max_size=200,
    ),
)
def test_what_is_sent_is_what_is_read(subject: str, text: str) -> None:
    data = compose(message(subject=subject, text=text), sender="p@x.example").as_bytes(policy=policy.SMTP)
    again = message_from_bytes(data, policy=policy.default)
    assert " ".join(str(again["Subject"] or "").split()) == " ".join(subject.split())
    assert again.get_content().replace("\r", "").rstrip("\n") == text.rstrip("\n")  # type: ignore[attr-defined]


@pytest.mark.integration
@pytest.mark.parametrize("images", [{}, {"c": b"\x89PNG"}, {"a": b"1", "b": b"2", "c": b"3"}])
def test_a_mail_arrives_with_all_its_parts(mail_server: parts.MailCatcher, images: dict[str, bytes]) -> None:
    address = MailAddress(host="127.0.0.1", port=mail_server.smtp_port, sender="p@x.example")
    before = set(mail_server.folder.glob("*.eml"))
    message_id = send(address, message(html="<p>x</p>", images=images))
    (path,) = set(mail_server.folder.glob("*.eml")) - before
    mail = message_from_bytes(path.read_bytes(), policy=policy.default)
    assert mail["Message-ID"] == message_id
    assert mail["Auto-Submitted"] == "auto-generated"
    found = {part["Content-ID"].strip("<>"): part.get_content() for part in mail.walk() if part["Content-ID"]}  # type: ignore[attr-defined]
    assert found == images


@pytest.mark.integration
def test_a_mail_says_once_when_it_was_sent_and_each_sending_has_an_id_of_its_own(
    mail_server: parts.MailCatcher,
) -> None:
    address = MailAddress(host="127.0.0.1", port=mail_server.smtp_port, sender="p@x.example")
    before = set(mail_server.folder.glob("*.eml"))
    start = datetime.now(UTC).replace(microsecond=0)
    for _ in range(2):
        send(address, message())
    end = datetime.now(UTC)
    new = sorted(set(mail_server.folder.glob("*.eml")) - before)
    mails: list[Any] = [message_from_bytes(path.read_bytes(), policy=policy.default) for path in new]
    assert [len(mail.get_all("Date")) for mail in mails] == [1, 1]
    assert all(start <= mail["Date"].datetime <= end for mail in mails)
    assert len({mail["Message-ID"] for mail in mails}) == 2


def test_a_mail_that_is_not_sent_has_no_date_and_is_the_same_bytes_each_time() -> None:
    one, two = (compose(message(), sender="p@x.example", message_id="<1@x>").as_bytes() for _ in range(2))
    assert one == two
    assert b"\nDate:" not in one


def test_a_server_that_is_not_there_is_named_with_the_mail() -> None:
    address = MailAddress(host="127.0.0.1", port=parts.free_port(), sender="p@x.example")
    with pytest.raises(MailError, match=rf"the mail 'S' was not taken: .*\(127.0.0.1:{address.port}\)"):
        send(address, message())


# -- logs --------------------------------------------------------------------------------------------------------------


def logged(code: str, log_format: str = "json") -> list[str]:
    head = (
        f"import logging, structlog; from leandata.logs import configure; configure('api', log_format={log_format!r});"
    )
    return subprocess.run(
        [sys.executable, "-c", head + code], capture_output=True, text=True, check=True
    ).stdout.splitlines()


def test_an_error_is_one_line_with_its_traceback_inside() -> None:
    (line,) = logged("\ntry:\n    1 / 0\nexcept ZeroDivisionError:\n    logging.getLogger('x').exception('it broke')")
    event = json.loads(line)
    assert (event["event"], event["level"], event["service"]) == ("it broke", "error", "api")
    assert "ZeroDivisionError: division by zero" in event["exception"]


def test_a_moment_is_in_utc_and_context_goes_along() -> None:
    (line,) = logged("structlog.contextvars.bind_contextvars(run='r1'); structlog.get_logger().info('x')")
    event = json.loads(line)
    assert event["run"] == "r1"
    moment = datetime.fromisoformat(event["timestamp"])
    assert moment.utcoffset() == timedelta(0)
    assert abs(moment - datetime.now(UTC)) < timedelta(minutes=5)


def test_what_is_below_the_level_is_not_said() -> None:
    assert logged("logging.getLogger('x').debug('no'); structlog.get_logger().debug('no')") == []


def test_for_people_a_log_is_text() -> None:
    (line,) = logged("logging.getLogger('x').warning('hello')", "text")
    assert "hello" in line
    assert not line.startswith("{")


def test_a_log_s_level_is_a_name() -> None:
    assert logging.getLevelName(logging.INFO) == "INFO"


# -- errors and compute ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [value for value in vars(errors).values() if isinstance(value, type)])
def test_every_error_is_ours_and_one_line(kind: type[LeandataError]) -> None:
    assert issubclass(kind, LeandataError)
    assert str(kind("what", where="where", hint="Do this")) == "what (where). Do this"
    assert str(kind("what", hint="Do this")) == "what. Do this"
    assert str(kind("what", where="where")) == "what (where)"
    assert kind.__doc__


@given(items=st.lists(st.integers()))
def test_work_in_this_process_is_done_in_order(items: list[int]) -> None:
    assert compute.InProcess().map(lambda item: item + 1, items) == [item + 1 for item in items]


def test_a_failure_in_a_task_is_the_caller_s() -> None:
    with pytest.raises(ZeroDivisionError):
        compute.InProcess().map(lambda item: 1 // item, [1, 0])


@pytest.mark.parametrize("address", ["", "tcp://127.0.0.1:9", "nonsense://x", "not an address"])
def test_a_cluster_that_is_not_there_is_one_line(address: str) -> None:
    with pytest.raises(ComputeError) as caught, compute.connect(address, timeout=1):
        pass
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["", ":", "os", "os:", ":path", "os:nothing", "no.module:x", "os.path:join:x"])
def test_a_task_that_is_not_there_is_named(name: str) -> None:
    with pytest.raises(ComputeError, match="there is no task"):
        compute.function(name)
