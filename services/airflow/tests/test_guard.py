"""The guard of the purchase model: drift is found, noise is not, and a version that is off is withdrawn and told once."""

from __future__ import annotations

import random
from collections.abc import Callable, Generator
from datetime import date, timedelta
from decimal import Decimal
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from infra.environment import Environment
from infra.testing import parts
from infra.testing.fixtures import Platform, url_of
from leandata import serving
from leandata.database import connect
from leandata.datasets import dataset
from leandata.errors import MailError
from leandata.lake import Lake
from leandata.models import Registry
from leandata.settings import Settings
from leandata.tables import schema
from pipelines import guard

MONDAY = date(2026, 10, 5)
CARD: dict[str, Any] = {
    "auc": {"gradient boosting": 0.8},
    "log_loss": {"gradient boosting": [0.2, 0.1, 0.3]},
    "gain": [0.001, 0.0005, 0.002],
    "best_baseline": "BG/NBD",
    "calibration": [],
}
Pairs = list[tuple[float, bool]]


def week(seed: int, *, customers: int = 2000, factor: float = 1.0, exponent: float = 1.0) -> Pairs:
    """What was predicted, mostly little as for real customers, and what they did: chance to this power, times this."""
    rng = random.Random(seed)
    chances = [min(0.9, max(0.001, rng.betavariate(0.6, 6.0))) for _ in range(customers)]
    return [(chance, rng.random() < factor * chance**exponent) for chance in chances]


def test_the_z_and_the_error_of_tenths_are_those_worked_out_by_hand() -> None:
    pairs = [(0.2, True), (0.2, False)]
    assert guard.spiegelhalter(pairs) == pytest.approx((0.8 * 0.6 - 0.2 * 0.6) / (2 * 0.36 * 0.16) ** 0.5)
    assert guard.error_of_tenths([(0.1, False)] * 10 + [(0.5, True)] * 10) == pytest.approx((10 * 0.1 + 10 * 0.5) / 10)


def test_noise_gives_no_alarm_in_hundreds_of_weeks_and_drift_gives_one_in_nearly_every_week() -> None:
    worlds: dict[str, list[guard.Live]] = {
        "as predicted": [guard.judge(week(number), as_of=MONDAY) for number in range(400)],
        "half as many order": [guard.judge(week(number, factor=0.5), as_of=MONDAY) for number in range(60)],
        "twice as many order": [guard.judge(week(number, factor=2.0), as_of=MONDAY) for number in range(60)],
        "likely ones seldom, unlikely ones often": [
            guard.judge(week(number, customers=6000, factor=0.17, exponent=0.2), as_of=MONDAY) for number in range(60)
        ],
    }
    alarms = {name: sum(one.off for one in weeks) for name, weeks in worlds.items()}
    beyond = sum(abs(one.z) > guard.Z_LIMIT for one in worlds["as predicted"])
    print(f"alarms: {alarms}; beyond noise by z alone, as predicted: {beyond} of 400")
    assert alarms["as predicted"] <= 1, "0.4 are expected of z alone"
    assert beyond <= 3
    assert all(count >= 57 for name, count in alarms.items() if name != "as predicted")


@pytest.mark.parametrize(
    ("pairs", "why"),
    [
        ([(0.5, False)] * 999, "only 999 predictions, 1000 are needed"),
        ([], "only 0 predictions"),
        ([(0.9, False)] * 1000, "one class: none ordered"),
        ([(0.1, True)] * 1000, "one class: all ordered"),
    ],
)
def test_what_cannot_be_judged_is_said_and_is_no_alarm(pairs: Pairs, why: str) -> None:
    found = guard.judge(pairs, as_of=MONDAY)
    assert why in found.why_not
    assert not found.off


@pytest.fixture(scope="module")
def zones(tmp_path_factory: pytest.TempPathFactory) -> Generator[tuple[Path, parts.Warehouse]]:
    folder = tmp_path_factory.mktemp("guard")
    urls = {zone: f"file://{folder / zone}" for zone in ("raw", "curated")}
    for zone in urls:
        (folder / zone).mkdir()
    with parts.warehouse(folder, zones=urls) as standin:
        yield folder, standin


World = Callable[[Pairs], Settings]


@pytest.fixture
def world(platform: Platform, postgres_server: parts.Postgres, zones: Any, tmp_path: Path) -> World:
    """Settings of a lake where version v2 predicted, and customers did, as a test says; v1 is the version before."""
    from infra.components.connections import own_address

    folder, standin = zones
    owner = postgres_server.database(f"guard_{tmp_path.name[-12:].replace('-', '_')}", owner="guard_writer")
    values = {
        **platform.settings.values,
        "LAKE_RAW": f"file://{tmp_path}/raw",
        "LAKE_CURATED": f"file://{folder}/curated",
        "LAKE_MODELS": f"file://{tmp_path}/models",
        "SERVING": url_of(owner),
        "WAREHOUSE": own_address(Environment.load("local", environ={}), "airflow", standin.url),
    }

    def make(pairs: Pairs) -> Settings:
        rows = [
            {"customer_id": number, "as_of": MONDAY, "probability": Decimal(f"{chance:.6f}"), "model_version": "v2"}
            for number, (chance, _) in enumerate(pairs, start=1)
        ]
        publish(values["LAKE_CURATED"], guard.PREDICTIONS, {None: rows}, run=f"p-{tmp_path.name}")
        ordered = [order(number, MONDAY) for number, (_, bought) in enumerate(pairs, start=1) if bought]
        days: dict[date | None, list[dict[str, Any]]] = {MONDAY: ordered, MONDAY + timedelta(days=27): []}
        publish(values["LAKE_RAW"], "shop.orders", days, run="o")
        registry = Registry(values["LAKE_MODELS"], model=guard.MODEL)
        for version in ("v1", "v2"):
            registry.add(version, b"x", trained_on=MONDAY, card=CARD, better=True)
        return Settings(values=values)

    return make


def publish(url: str, name: str, slices: dict[date | None, list[dict[str, Any]]], *, run: str) -> None:
    tables = {day: pa.Table.from_pylist(rows, schema=schema(dataset(name))) for day, rows in slices.items()}
    Lake(url).publish(dataset(name), tables, run=run)


def order(customer: int, day: date) -> dict[str, Any]:
    return {"customer_id": customer, "ordered_on": day, "quantity": 1, "amount_usd": Decimal("5.00")}


def states(settings: Settings) -> dict[str, str]:
    return {one.version: one.state for one in Registry(settings.lake.models, model=guard.MODEL).versions()}


def mails(platform: Platform) -> list[str]:
    found = [message_from_bytes(one.read_bytes(), policy=policy.default) for one in platform.mail.folder.glob("*.eml")]
    return [one.get_content() for one in found if "purchase model" in str(one["Subject"])]


@pytest.mark.integration
def test_where_customers_do_otherwise_the_version_is_withdrawn_shown_and_mailed_once(
    world: World, platform: Platform
) -> None:
    settings, before = world(week(1, factor=0.4)), len(mails(platform))
    said = guard.watch(settings, run="g1", version="g1")
    assert "it is off and withdrawn; v1 is current" in said
    assert states(settings) == {"v1": "current", "v2": "withdrawn"}
    with connect(settings.serving) as connection:
        scores = {(one.version, one.metric): one for one in serving.model_scores(connection)}
    assert scores["v2", "live_observed"].value < scores["v2", "live_predicted"].value
    assert scores["v2", "live_error"].state == "withdrawn"
    assert guard.watch(settings, run="g2", version="g2") == "", "it was judged"
    assert len(mails(platform)) == before + 1
    assert said in " ".join(mails(platform)[-1].split()) or any(
        said in " ".join(one.split()) for one in mails(platform)
    )


@pytest.mark.integration
def test_where_customers_do_as_predicted_nothing_changes_and_nobody_is_mailed(world: World, platform: Platform) -> None:
    settings, before = world(week(2)), len(mails(platform))
    assert guard.watch(settings, run="g1", version="h1").endswith("it holds")
    assert states(settings) == {"v1": "kept", "v2": "current"}
    assert len(mails(platform)) == before


@pytest.mark.integration
def test_a_try_that_ended_before_its_mail_is_finished_by_the_next_one(world: World, platform: Platform) -> None:
    settings, before = world(week(3, factor=0.4)), len(mails(platform))
    nowhere = f"smtp://127.0.0.1:{parts.free_port()}?sender=platform@leandata.example"
    with pytest.raises(MailError):
        guard.watch(Settings(values={**settings.values, "MAIL": nowhere}), run="g1.t1", version="i1")
    assert states(settings) == {"v1": "current", "v2": "withdrawn"}, "it is withdrawn already"
    assert "withdrawn; v1 is current" in guard.watch(settings, run="g1.t2", version="i1")
    assert guard.watch(settings, run="g2", version="i2") == ""
    assert states(settings) == {"v1": "current", "v2": "withdrawn"}, "and only once"
    assert len(mails(platform)) == before + 1


@pytest.mark.integration
def test_predictions_are_judged_only_when_their_four_weeks_are_over(world: World) -> None:
    settings = world(week(4, factor=0.4))
    assert guard.newest(settings, until=MONDAY + timedelta(days=26)) is None
    found = guard.newest(settings, until=MONDAY + timedelta(days=27))
    assert found is not None
    assert found[:2] == ("v2", MONDAY)
