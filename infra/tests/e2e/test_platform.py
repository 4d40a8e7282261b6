"""The whole platform as a user meets it: deployed, a report mailed, a page clicked, a service killed, destroyed."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Generator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

from ci.engine import Engine
from infra.provider import health
from infra.testing import browser
from infra.testing.checkout import Checkout, cut_power, free_base
from infra.testing.parts import eventually
from infra.testing.proof import click, get, sales_reports, send_event, source_revenue
from infra.testing.tracing import mails, pages, routes
from infra.testing.tracing.ledger import Ledger
from infra.testing.tracing.rows import World
from infra.testing.tracing.shop import Shop, some_events
from leandata import serving
from leandata.clock import last_complete_week
from leandata.database import connect
from leandata.datasets import dataset
from leandata.settings import DatabaseAddress, WarehouseAddress
from leandata.warehouse import Warehouse

TODAY = date(2026, 11, 24)
WEEK = last_complete_week(TODAY)
LOCKS = ("pyproject.toml", "uv.lock")
DATA = (
    "services/airflow/*",
    "services/dask/*",
    "shared/*",
    "infra/data/*",
    "infra/standins/*",
    "infra/testing/*",
    *LOCKS,
)
WHOLE = (*DATA, "ci/*", "infra/*", "services/*/deploy.py", "services/*/service.toml", "services/*/__main__.py")
pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900), pytest.mark.thorough(*WHOLE)]


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Generator[Checkout]:
    found = Checkout(state=tmp_path_factory.mktemp("e2e") / "state", base=free_base(), today=TODAY.isoformat())
    result = found.run("deploy")
    try:
        assert result.returncode == 0, result.stdout + result.stderr
        for line in ("Sales dashboard", "Mailed reports", "Airflow", "API", "password in"):
            assert line in result.stdout
        yield found
    finally:
        found.supervisor.shutdown()


def reports(platform: Checkout) -> list[EmailMessage]:
    return sales_reports(path.read_bytes() for path in sorted((platform.state / "mail").glob("*.eml")))


@pytest.fixture(scope="module")
def mail(platform: Checkout) -> EmailMessage:
    return eventually(lambda: reports(platform), seconds=240)[0]


def outputs(platform: Checkout, stack: str) -> dict[str, Any]:
    return Engine(environment=platform.environment, pulumi=Path("pulumi")).outputs(stack)


def test_everything_is_healthy(platform: Checkout, mail: EmailMessage) -> None:
    status = platform.json("status", "--wait", "300")
    assert {"sales.cohorts", "sales.weekly_sales"} <= {one["dataset"] for one in status["datasets"]}
    assert {service["name"] for service in status["services"]} == {
        "airflow-api", "airflow-dag-processor", "airflow-scheduler", "api", "dash", "dask-scheduler", "dask-worker-1",
        "dask-worker-2", "mail", "postgres", "warehouse",
    }  # fmt: skip
    assert status["ok"], status


def test_the_week_s_revenue_is_the_same_to_the_cent_from_the_source_to_the_mail(
    platform: Checkout, mail: EmailMessage
) -> None:
    expected = source_revenue(WEEK)[WEEK.start]
    assert expected > 0
    assert f"Sales of week {WEEK.label}: ${expected:,.2f}" in str(mail["Subject"])
    text = mail.get_body(("plain",))
    assert text is not None
    assert f"${expected:,.2f}" in text.get_content()

    shop = DatabaseAddress.parse(outputs(platform, "database")["shop_replica"])
    with connect(shop) as connection:
        query = "SELECT sum(amount_usd) FROM orders WHERE ordered_on BETWEEN %s AND %s"
        assert connection.execute(query, [WEEK.start, WEEK.end]).fetchone() == (expected,)

    with Warehouse.connect(WarehouseAddress.parse(outputs(platform, "warehouse")["address"])) as warehouse:
        marts = {row["week"]: row["revenue"] for row in warehouse.table(dataset("sales.weekly_sales")).to_pylist()}
    assert marts[WEEK.start] == expected

    url = f"{platform.url('api')}/v1/sales/weekly?from={WEEK.start}&to={WEEK.start}"
    answer = get(url, X_API_Key=platform.secret("api-key"))
    assert [Decimal(week["revenue"]) for week in answer["weeks"]] == [expected]
    assert answer["data_until"] == str(TODAY - timedelta(days=1))


def test_every_week_of_history_is_the_same_in_source_and_serving(platform: Checkout, mail: EmailMessage) -> None:
    with connect(DatabaseAddress.parse(outputs(platform, "database")["serving_reader"])) as connection:
        served = {sales.period: sales.revenue for sales in serving.weekly_sales(connection) if sales.revenue}
    assert served == source_revenue(WEEK)


def test_the_mail_has_pictures_and_says_where_its_figures_come_from(mail: EmailMessage) -> None:
    images = [part for part in mail.walk() if part.get_content_type() == "image/png"]
    assert len(images) == 2, "revenue by week, and cohorts"
    assert all(len(image.get_payload(decode=True)) > 5_000 for image in images)  # type: ignore[arg-type]
    page = mail.get_body(("html",))
    assert page is not None
    assert "prefers-color-scheme: dark" in page.get_content()
    assert "dates were moved forward by whole weeks" in " ".join(page.get_content().lower().split())


def test_customer_features_are_computed_on_dask_and_published(platform: Checkout, mail: EmailMessage) -> None:
    url = f"{platform.url('api')}/v1/freshness"

    def features() -> list[int]:
        found = get(url, X_API_Key=platform.secret("api-key"))["datasets"]
        return [one["rows"] for one in found if one["dataset"] == "features.customer_features"]

    assert eventually(features, seconds=240) == [23_570]


def test_the_dashboard_shows_the_week_and_can_be_clicked(platform: Checkout, mail: EmailMessage) -> None:
    click(
        dash=platform.url("dash"),
        mail=platform.url("mail-web"),
        password=platform.secret("dash-password"),
        revenue=source_revenue(WEEK),
        week=WEEK,
        shots=browser.SHOTS,
    )


@pytest.fixture(scope="module")
def world(platform: Checkout, mail: EmailMessage) -> World:
    """The shop's figures from its CSV, and the platform once it knows some events too and was checked."""
    api, shop = api_of(platform), Shop(today=TODAY)
    events = some_events(shop)
    since = datetime.fromtimestamp((platform.state / "secrets" / "api-key").stat().st_mtime, UTC)
    found = World(shop=shop, since=since, events=events)
    api.tell(events)
    drained = platform.run("run", "--pipeline", "drain_events")
    assert drained.returncode == 0, drained.stdout + drained.stderr

    def known() -> bool:
        rows = {one["dataset"]: one["rows"] for one in api.json("/v1/freshness")["datasets"]}
        return "features.purchase_scores" in rows and found.rows.items() <= rows.items()

    eventually(known, seconds=240)
    platform.run("run", "--pipeline", "checks")  # that the last day has no orders is unusual, so this does not succeed
    assert api.json("/v1/checks")["checks"]
    return found


def api_of(platform: Checkout) -> routes.Api:
    return routes.Api(url=platform.url("api"), key=platform.secret("api-key"))


@pytest.mark.thorough(*DATA)
def test_every_number_of_the_mailed_report_is_that_of_the_csv(
    platform: Checkout, mail: EmailMessage, world: World
) -> None:
    ledger = Ledger()
    dash = platform.url("dash")
    mails.report(ledger, mail, shop=world.shop, since=world.since, dash=dash)
    print(ledger.told())
    ledger.demand_right()
    assert ledger.traced > 100


@pytest.mark.thorough(*DATA)
def test_every_number_of_every_route_is_that_of_the_csv(platform: Checkout, world: World) -> None:
    ledger = Ledger()
    routes.everything(ledger, api_of(platform), world)
    print(ledger.told())
    ledger.demand_right()
    assert ledger.traced > 1_000_000


@pytest.mark.thorough(*DATA)
def test_every_number_of_every_page_and_download_is_that_of_the_csv(platform: Checkout, world: World) -> None:
    chromium = browser.find()
    if chromium is None:
        pytest.skip("Chromium is missing: apt-get install chromium")
    ledger = Ledger()
    url = platform.url("dash")
    checked = datetime.fromisoformat(api_of(platform).json("/v1/checks")["checks"][0]["checked_at"])
    with browser.browser(chromium) as opened:
        editor, viewer = (opened.new_context(viewport={"width": 1200, "height": 1000}).new_page() for _ in range(2))
        visit = pages.Visit(page=editor, url=url, ledger=ledger, world=world, shots=browser.SHOTS)
        pages.everything(visit, editor=platform.secret("dash-editor-password"), checked=checked)
        other = pages.Visit(page=viewer, url=url, ledger=ledger, world=world, shots=browser.SHOTS)
        pages.viewer(other, password=platform.secret("dash-password"))
    print(ledger.told())
    ledger.demand_right()
    assert ledger.traced > 100_000


def test_an_event_is_kept_before_it_is_acknowledged(platform: Checkout) -> None:
    event = send_event(platform.url("api"), key=platform.secret("api-key"))
    with connect(DatabaseAddress.parse(outputs(platform, "database")["events_writer"])) as connection:
        query = "SELECT count(*) FROM events.inbox WHERE event_id = %s"
        assert connection.execute(query, [event]).fetchone() == (1,)


@pytest.mark.thorough("infra/*", "services/*/service.toml", "services/*/__main__.py", *LOCKS)
def test_a_killed_service_comes_back_by_itself(platform: Checkout) -> None:
    for name in platform.supervisor.names():
        before = platform.supervisor.one(name)
        assert before is not None
        os.kill(before.pid, signal.SIGKILL)
        specification = platform.supervisor.specification(name)
        assert specification is not None
        asked = specification["health"]
        eventually(lambda: (now := platform.supervisor.one(name)) and now.pid not in (0, before.pid), seconds=180)  # noqa: B023
        eventually(lambda: health.healthy(asked, timeout=1), seconds=180)  # noqa: B023
    eventually(lambda: platform.json("status")["ok"], seconds=120)


def test_a_pipeline_can_be_run_for_a_day_and_sends_no_second_report(platform: Checkout, mail: EmailMessage) -> None:
    result = platform.run("run", "--pipeline", "collect_shop", "--day", str(WEEK.start))
    assert result.returncode == 0, result.stdout + result.stderr
    assert "collect_shop succeeded" in result.stdout
    assert len(reports(platform)) == 1


def test_a_report_is_rendered_for_a_past_week_the_same_each_time(platform: Checkout, mail: EmailMessage) -> None:
    texts: list[bytes] = []
    for _ in range(2):
        files = platform.json("report", "--week", WEEK.before(3).label)["files"]
        texts.append(
            Path(files["html"]).read_bytes() + Path(files["txt"]).read_bytes() + Path(files["eml"]).read_bytes()
        )
    assert texts[0] == texts[1]
    assert f"${source_revenue(WEEK)[WEEK.before(3).start]:,.2f}".encode() in texts[0]


def test_deploying_again_changes_nothing(platform: Checkout, mail: EmailMessage) -> None:
    answer = platform.json("deploy")
    assert answer["ok"]
    assert {name: stack["changes"] for name, stack in answer["stacks"].items() if stack["changes"]} == {}


@pytest.mark.thorough("ci/*", "infra/*", "shared/*", *LOCKS)
def test_after_everything_is_lost_a_backup_brings_back_every_week_and_nothing_has_drifted(
    platform: Checkout, mail: EmailMessage
) -> None:
    own = {"LEANDATA_BACKUP_KEY": str(platform.state.parent / "backup.key")}
    backup = platform.run("backup", **own)
    assert backup.returncode == 0, backup.stdout + backup.stderr
    cut_power(platform)
    shutil.rmtree(platform.state)
    restored = platform.run("restore", **own)
    assert restored.returncode == 0, restored.stdout + restored.stderr
    assert "totals equal those at the backup" in restored.stdout
    with connect(DatabaseAddress.parse(outputs(platform, "database")["serving_reader"])) as connection:
        served = {sales.period: sales.revenue for sales in serving.weekly_sales(connection) if sales.revenue}
    assert served == source_revenue(WEEK)
    drift = platform.run("drift")
    assert drift.returncode == 0, drift.stdout + drift.stderr


def test_destroying_leaves_nothing(platform: Checkout, mail: EmailMessage) -> None:
    base = platform.environment
    ports = [base.port(name) for name in base.file.ports.offsets]
    result = platform.run("destroy", "--data")
    assert result.returncode == 0, result.stdout + result.stderr
    assert not platform.state.exists()
    assert platform.supervisor.marked() == []
    assert not any(health.accepts(port, timeout=0.2) for port in ports)
