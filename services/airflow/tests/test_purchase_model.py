"""The purchase model on the real orders: trained, judged, published, served, and taken back."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from infra.testing.fixtures import TODAY, Platform
from leandata import serving
from leandata.database import connect
from leandata.models import Registry, Version
from leandata.settings import Settings
from pipelines import collect, purchase

CARD: dict[str, Any] = {
    "auc": {"gradient boosting": 0.8475, "BG/NBD": 0.8418},
    "log_loss": {"gradient boosting": [0.17176, 0.1675, 0.17595], "BG/NBD": [0.17303, 0.16848, 0.17765]},
    "gain": [0.00127, 0.00046, 0.00207],
    "best_baseline": "BG/NBD",
    "calibration": [[100, 0.01, 0.02], [100, 0.3, 0.25]],
}


def test_a_card_becomes_a_row_for_each_figure() -> None:
    version = Version(version="v1", trained_on=date(2026, 11, 22), state="current", file="f", sha256="s", card=CARD)
    rows = {(row["learner"], row["metric"]): row for row in purchase.scores(version)}
    assert rows["BG/NBD", "auc"]["value"] == Decimal("0.841800")
    assert rows["BG/NBD", "auc"]["low"] is None
    loss = rows["gradient boosting", "log_loss"]
    assert (loss["low"], loss["high"]) == (Decimal("0.167500"), Decimal("0.175950"))
    assert rows["gradient boosting", "observed_02"]["value"] == Decimal("0.250000")
    assert len(rows) == 2 + 2 + 1 + 4
    assert {row["state"] for row in rows.values()} == {"current"}


def test_intervals_of_the_auc_and_drift_are_rows_where_the_card_has_them() -> None:
    more = {"auc_interval": {"BG/NBD": [0.83, 0.85]}, "drift": {"score": 0.04, "recency": 10_000.0}}
    version = Version(
        version="v1", trained_on=date(2026, 11, 22), state="current", file="f", sha256="s", card={**CARD, **more}
    )
    rows = {(row["learner"], row["metric"]): row for row in purchase.scores(version)}
    assert (rows["BG/NBD", "auc"]["low"], rows["BG/NBD", "auc"]["high"]) == (Decimal("0.83"), Decimal("0.85"))
    assert rows["gradient boosting", "auc"]["low"] is None
    assert rows["gradient boosting", "psi_score"]["value"] == Decimal("0.04")
    assert rows["gradient boosting", "psi_recency"]["value"] == 999, "what the column holds"


@pytest.fixture(scope="module")
def settings(platform: Platform) -> Settings:
    """All orders in the lake, and Dask's work in this process."""
    values = {**platform.settings.values, "DASK": "in-process"}
    settings = Settings(values=values)
    for part, chunk in enumerate(collect.chunks(collect.source_days(settings))):
        collect.collect(settings, chunk, run=collect.run_name("model", part=part))
    return settings


@pytest.mark.integration
def test_the_real_orders_train_a_model_that_is_published_served_and_taken_back(settings: Settings) -> None:
    assert purchase.predict(settings, run="p0", version="p0") == 0, "there is no model yet"
    said = purchase.train(settings, run="t1", version="v1")
    assert said.startswith("v1 is current: it saves 0.001"), said
    assert purchase.train(settings, run="t2", version="v2") == "", "one of this week is there"

    assert purchase.predict(settings, run="p1", version="p1") == 23_570
    assert purchase.predict(settings, run="p2", version="p2") == 0, "nothing has changed"
    with connect(settings.serving) as connection:
        likely = serving.predictions(connection, limit=3)
        (one,) = serving.predictions(connection, customer=likely[0].customer_id)
        scores = {(row.learner, row.metric): row for row in serving.model_scores(connection)}
    assert one == likely[0]
    assert likely[0].probability >= likely[1].probability >= likely[2].probability > Decimal("0.3")
    assert likely[0].as_of == TODAY - timedelta(days=TODAY.weekday())
    assert likely[0].model_version == "v1"
    assert scores["gradient boosting", "auc"].value > scores["BG/NBD", "auc"].value > Decimal("0.8")
    for learner in ("gradient boosting", "BG/NBD", "last behaviour"):
        auc = scores[learner, "auc"]
        assert auc.low is not None
        assert auc.high is not None
        assert auc.low < auc.value < auc.high
    drift = {metric: row.value for (_, metric), row in scores.items() if metric.startswith("psi_")}
    assert {"psi_score", "psi_recency", "psi_cents", "psi_days_28"} <= set(drift)
    assert "psi_tenure" not in drift, "customers are always older than they were"
    assert drift["psi_cents"] < Decimal("0.1"), "what customers spent is much the same"
    assert scores["gradient boosting", "gain"].low is not None
    assert scores["gradient boosting", "gain"].low > 0

    registry = Registry(settings.lake.models, model=purchase.MODEL)
    first = registry.versions()[0]
    registry.add("v3", registry.read(first), trained_on=first.trained_on, card=first.card, better=True)
    assert purchase.predict(settings, run="p3", version="p3") == 23_570
    registry.rollback(run="back")
    assert purchase.predict(settings, run="p4", version="p4") == 23_570
    with connect(settings.serving) as connection:
        assert serving.predictions(connection, limit=1)[0].model_version == "v1"
