"""The purchase model: trained on Dask, published only when it is better, and what it predicts served."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

import pyarrow as pa

from leandata import compute, serving
from leandata.database import connect
from leandata.datasets import dataset
from leandata.models import Registry, Version
from leandata.settings import Settings
from leandata.tables import schema
from pipelines.publish import load_features
from pipelines.transform import collected_until, order_files

MODEL = "models.purchase"
PREDICTIONS, _SCORES = "features.purchase_predictions", "features.purchase_scores"
_TRAIN, _PREDICT = "tasks.purchase.training:train", "tasks.purchase.training:predict"
_EVERY = timedelta(days=7)
_SMALLEST = Decimal("0.000001")
_LARGEST = 999.0  # what a figure's column holds


def train(settings: Settings, *, run: str, version: str) -> str:
    """Train a version unless one of the last seven days is there; what came of it, as a sentence.

    It becomes current only where it beat the best baseline beyond noise; else what is current stays so.
    """
    registry, until = Registry(settings.lake.models, model=MODEL), collected_until(settings)
    newest = max((one.trained_on for one in registry.versions()), default=None)
    if newest is not None and until - newest < _EVERY:
        return ""
    with compute.connect(settings.dask) as cluster:
        told: Mapping[str, Any] = cluster.call(_TRAIN, **_asked(settings), until=until)
    better = bool(told["better"])
    registry.add(version, told["model"], trained_on=until, card=told["card"], better=better)
    publish_scores(settings, registry.versions(), until=until, run=run, version=version)
    gain, low, high = told["card"]["gain"]
    said = f"{gain:.5f} nats against {told['card']['best_baseline']} (95%: {low:.5f} to {high:.5f})"
    return f"{version} is current: it saves {said}" if better else f"{version} was refused: it saves only {said}"


def predict(settings: Settings, *, run: str, version: str) -> int:
    """Predict with the current model and publish it, unless that was done; the customers, 0 where nothing was done."""
    registry, until = Registry(settings.lake.models, model=MODEL), collected_until(settings)
    current = registry.current()
    if current is None or _done(settings, current, until):
        return 0
    model, reference = registry.read(current), current.card.get("reference", {})
    asked = {**_asked(settings), "until": until, "model": model, "version": current.version}
    with compute.connect(settings.dask) as cluster:
        told: Mapping[str, Any] = cluster.call(_PREDICT, **asked, reference=reference)
    table: pa.Table = told["table"]
    if drift := told["drift"]:
        registry.describe(current.version, run=f"{run}-drift", drift=dict(drift))
        publish_scores(settings, registry.versions(), until=until, run=f"{run}-drift", version=version)
    return load_features(settings, table, contract_name=PREDICTIONS, as_of=until, run=run, version=version)


def publish_scores(settings: Settings, versions: Sequence[Version], *, until: date, run: str, version: str) -> int:
    """Publish how good every version was, and which one is current; the rows."""
    rows = [row for one in versions for row in scores(one)]
    table = pa.Table.from_pylist(rows, schema=schema(dataset(_SCORES)))
    return load_features(settings, table, contract_name=_SCORES, as_of=until, run=run, version=version)


def scores(version: Version) -> list[dict[str, Any]]:
    """A version's card as rows: AUC and log loss of each learner, gain, each tenth's calibration, what came true, and
    how far each feature and the score have drifted (psi_...)."""
    card = version.card

    def row(learner: str, metric: str, value: float, *interval: float) -> dict[str, Any]:
        low, high = map(_exact, interval) if interval else (None, None)
        return {
            "version": version.version,
            "trained_on": version.trained_on,
            "state": version.state,
            "learner": learner,
            "metric": metric,
            "value": _exact(value),
            "low": low,
            "high": high,
        }

    sure = card.get("auc_interval", {})  # versions of before have none
    found = [row(learner, "auc", value, *sure.get(learner, ())) for learner, value in sorted(card["auc"].items())]
    found += [row(learner, "log_loss", *values) for learner, values in sorted(card["log_loss"].items())]
    found.append(row("gradient boosting", "gain", *card["gain"]))
    for number, (_, predicted, observed) in enumerate(card["calibration"], start=1):
        found.append(row("gradient boosting", f"predicted_{number:02}", predicted))
        found.append(row("gradient boosting", f"observed_{number:02}", observed))
    live = card.get("live", {})
    found += [
        row("gradient boosting", f"live_{name}", live[name]) for name in ("error", "observed", "predicted") if live
    ]
    drift = sorted(card.get("drift", {}).items())
    return [*found, *(row("gradient boosting", f"psi_{name}", min(value, _LARGEST)) for name, value in drift)]


def _asked(settings: Settings) -> dict[str, Any]:
    return {"lake_url": settings.lake.raw, "files": order_files(settings)}


def _done(settings: Settings, current: Version, until: date) -> bool:
    """Whether predictions of the current model for this day are served."""
    with connect(settings.serving) as connection:
        known = {one.dataset: one.data_until for one in serving.freshness(connection)}
        served = serving.predictions(connection, limit=1)
    return known.get(PREDICTIONS) == until and bool(served) and served[0].model_version == current.version


def _exact(value: float) -> Decimal:
    return Decimal(repr(float(value))).quantize(_SMALLEST, ROUND_HALF_EVEN)
