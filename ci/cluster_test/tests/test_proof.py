"""The platform in pods, as a user meets it: a report mailed, a page clicked, an event kept; and who did the work."""

from __future__ import annotations

import dataclasses
import urllib.request
from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from email.message import EmailMessage
from pathlib import Path

import pytest

from ci.cluster_test.platform import Platform
from ci.cluster_test.watching import Watcher
from infra.testing import browser
from infra.testing.parts import eventually
from infra.testing.proof import click, get, sales_reports, send_event, source_revenue
from leandata import serving
from leandata.clock import last_complete_week
from leandata.database import connect
from leandata.datasets import dataset
from leandata.settings import DatabaseAddress, WarehouseAddress
from leandata.warehouse import Warehouse

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1800)]
TODAY = date(2026, 11, 24)
WEEK = last_complete_week(TODAY)
TASKS = {
    ("collect_shop", "plan"), ("collect_shop", "collect"), ("collect_shop", "customers"), ("collect_shop", "load"),
    ("transform", "build"), ("publish_serving", "publish"), ("customer_features", "compute"),
    ("weekly_sales_report", "mail"),
}  # fmt: skip
Port = Callable[[str], int]


def mails(port: Port) -> list[bytes]:
    base = f"http://127.0.0.1:{port('mail-web')}"
    found: list[bytes] = []
    for message in get(f"{base}/messages.json")["messages"]:
        with urllib.request.urlopen(f"{base}/mail/{message['name']}/raw", timeout=10) as answer:
            found.append(answer.read())
    return found


@pytest.fixture(scope="module")
def mail(platform: Platform, port: Port) -> EmailMessage:
    return eventually(lambda: sales_reports(mails(port)), seconds=900)[0]


@pytest.fixture
def database(platform: Platform, port: Port, tmp_path: Path) -> Callable[[str], DatabaseAddress]:
    def find(output: str) -> DatabaseAddress:
        address = DatabaseAddress.parse(platform.programs["database"].outputs[output])
        assert address.password_file is not None
        secret = tmp_path / address.password_file.name
        secret.write_text(platform.secret(secret.name))
        return dataclasses.replace(address, host="127.0.0.1", port=port("postgres"), password_file=secret)

    return find


def test_the_week_s_revenue_is_the_same_to_the_cent_from_the_source_to_the_mail(
    platform: Platform, port: Port, mail: EmailMessage, database: Callable[[str], DatabaseAddress]
) -> None:
    expected = source_revenue(WEEK)[WEEK.start]
    assert f"Sales of week {WEEK.label}: ${expected:,.2f}" in str(mail["Subject"])
    text = mail.get_body(("plain",))
    assert text is not None
    assert f"${expected:,.2f}" in text.get_content()

    with connect(database("shop_replica")) as connection:
        query = "SELECT sum(amount_usd) FROM orders WHERE ordered_on BETWEEN %s AND %s"
        assert connection.execute(query, [WEEK.start, WEEK.end]).fetchone() == (expected,)

    address = WarehouseAddress.parse(platform.programs["warehouse"].outputs["address"])
    address = dataclasses.replace(address, host="127.0.0.1", port=port("warehouse"))
    with Warehouse.connect(address) as warehouse:
        marts = {row["week"]: row["revenue"] for row in warehouse.table(dataset("sales.weekly_sales")).to_pylist()}
    assert marts[WEEK.start] == expected

    url = f"http://127.0.0.1:{port('api')}/v1/sales/weekly?from={WEEK.start}&to={WEEK.start}"
    answer = get(url, X_API_Key=platform.secret("api-key"))
    assert [Decimal(week["revenue"]) for week in answer["weeks"]] == [expected]
    assert answer["data_until"] == str(TODAY - timedelta(days=1))


def test_every_week_of_history_is_the_same_in_source_and_serving(
    mail: EmailMessage, database: Callable[[str], DatabaseAddress]
) -> None:
    with connect(database("serving_reader")) as connection:
        served = {sales.period: sales.revenue for sales in serving.weekly_sales(connection) if sales.revenue}
    assert served == source_revenue(WEEK)


def test_the_dashboard_shows_the_week_and_can_be_clicked(platform: Platform, port: Port, mail: EmailMessage) -> None:
    click(
        dash=f"http://127.0.0.1:{port('dash')}",
        mail=f"http://127.0.0.1:{port('mail-web')}",
        password=platform.secret("dash-password"),
        revenue=source_revenue(WEEK),
        week=WEEK,
        shots=browser.SHOTS / "cluster",
    )


def test_an_event_is_kept_before_it_is_acknowledged(
    platform: Platform, port: Port, database: Callable[[str], DatabaseAddress]
) -> None:
    event = send_event(f"http://127.0.0.1:{port('api')}", key=platform.secret("api-key"))
    with connect(database("events_writer")) as connection:
        query = "SELECT count(*) FROM events.inbox WHERE event_id = %s"
        assert connection.execute(query, [event]).fetchone() == (1,)


def test_customer_features_are_computed_on_dask_and_published(
    platform: Platform, port: Port, mail: EmailMessage
) -> None:
    def features() -> list[int]:
        found = get(f"http://127.0.0.1:{port('api')}/v1/freshness", X_API_Key=platform.secret("api-key"))["datasets"]
        return [one["rows"] for one in found if one["dataset"] == "features.customer_features"]

    assert eventually(features, seconds=600) == [23_570]


def test_every_task_of_airflow_ran_in_a_pod_of_its_own_that_holds_no_secret_of_airflow_s(
    platform: Platform, seen: Watcher, mail: EmailMessage
) -> None:
    def ran() -> dict[str, tuple[str, str]]:
        labels = {
            pod["metadata"]["name"]: pod["metadata"]["labels"] for pod in seen.pods(platform.namespace("airflow"))
        }
        return {name: (said["dag_id"], said["task_id"]) for name, said in labels.items() if "task_id" in said}

    eventually(lambda: set(ran().values()) >= TASKS, seconds=600)
    pods = {pod["metadata"]["name"]: pod for pod in seen.pods(platform.namespace("airflow"))}
    for name in ran():
        spec = pods[name]["spec"]
        assert spec["serviceAccountName"] == "airflow-task"
        secrets = [
            source["secret"]["name"]
            for volume in spec["volumes"]
            for source in volume.get("projected", {}).get("sources", [])
            if "secret" in source
        ]
        assert secrets
        assert not [secret for secret in secrets if secret.startswith(("airflow-", "database-airflow"))]


def test_the_report_is_mailed_once(port: Port, mail: EmailMessage) -> None:
    assert len(sales_reports(mails(port))) == 1
