"""Train the purchase model and predict with it: what the pipeline calls by name on a worker."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

from leandata.clock import Week
from leandata.compute import Compute, fingerprint, installed
from leandata.datasets import dataset
from leandata.errors import ComputeError
from leandata.tables import schema
from tasks.purchase import evaluate, panel
from tasks.purchase.bgnbd import BGNBD
from tasks.purchase.drift import Reference
from tasks.purchase.scores import Floats

_PREDICTIONS = "features.purchase_predictions"
# Days since the first order: a customer is a day older each day, so that it shifts whatever they do.
_BY_NATURE = ("tenure",)
# What a file of a model may hold beside numbers and texts: nothing else is made when it is read.
_TRUSTED = ("sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",)


def train(compute: Compute, *, lake_url: str, files: Sequence[str], until: date) -> dict[str, Any]:
    """A model that learnt from everything until `until`, and its card: how good the same recipe was on the last weeks.

    `model` is its file (skops), `better` whether it beat the best baseline beyond noise. Raises ComputeError where
    there is too little to learn from.
    """
    rows = evaluate.known(compute, lake_url=lake_url, files=files, until=until)
    judged = evaluate.assess(rows, until=until)
    learnt = evaluate.learn(rows)
    kept = {"trees": learnt.trees, "names": list(learnt.names), "baseline": dataclasses.asdict(learnt.baseline)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it looks into every module that is loaded, old ones too
        import skops.io

        data = skops.io.dumps(kept)
    return {
        "model": data,
        "better": judged.better,
        "card": {
            **card(judged, names=(*learnt.names, "log odds of BG/NBD"), rows=rows.height, until=until),
            "reference": reference(rows, learnt.chances(rows)),
        },
    }


def card(judged: evaluate.Evaluation, *, names: Sequence[str], rows: int, until: date) -> dict[str, Any]:
    """What is to be known of a model before it is used, as plain values."""
    return {
        "question": "Does a customer order within four weeks?",
        "learner": "HistGradientBoostingClassifier (scikit-learn)",
        "features": list(names),
        "learnt_until": until.isoformat(),
        "rows": rows,
        "customers_judged": judged.customers,
        "judged_on": f"the last {evaluate.JUDGED} windows of four weeks, none of which it had seen",
        "auc": {name: one.value for name, one in judged.auc.items()},
        "auc_interval": {name: [one.low, one.high] for name, one in judged.auc.items()},
        "log_loss": {name: [one.value, one.low, one.high] for name, one in judged.log_loss.items()},
        "best_baseline": judged.best_baseline,
        "gain": [judged.gain.value, judged.gain.low, judged.gain.high],
        "calibration": [[one.customers, one.predicted, one.observed] for one in judged.calibration],
        "packages": fingerprint(installed()),
        "limits": "It knows orders only. Where trade slows down or picks up as a whole, its probabilities follow late.",
    }


def predict(
    compute: Compute,
    *,
    lake_url: str,
    files: Sequence[str],
    until: date,
    model: bytes,
    version: str,
    reference: Mapping[str, Any],
) -> dict[str, Any]:
    """`table`: the probability of each customer with an order to order in the four weeks after `until`, typed by the
    contract. `drift`: the population stability index of the score and of each feature that is compared, by name.

    Both are of one panel. `reference` is of the model's card; without one there is no drift. Raises ComputeError for a
    file that is no model of ours or holds more than a model, and where nobody has ordered.
    """
    week = Week.of(until + timedelta(days=1))
    rows = panel.build(compute, lake_url=lake_url, files=files, weeks=[week])
    if not rows.height:
        raise ComputeError("there is nobody to predict", hint="Collect more of the shop's history")
    chances = _read(model, rows, version=version)
    values = zip(rows["customer_id"].to_list(), np.round(chances, 6).tolist(), strict=True)
    found = [
        {"customer_id": who, "as_of": week.start, "probability": Decimal(f"{one:.6f}"), "model_version": version}
        for who, one in sorted(values)
    ]
    table = pa.Table.from_pylist(found, schema=schema(dataset(_PREDICTIONS)))
    return {"table": table, "drift": drift(rows, chances, reference)}


def reference(rows: pl.DataFrame, chances: Floats) -> dict[str, Any]:
    """What drift is held against: each feature of the rows learnt from, and their probabilities as `score`."""
    return {name: Reference.of(values).plain() for name, values in sorted(_samples(rows, chances).items())}


def drift(rows: pl.DataFrame, chances: Floats, reference: Mapping[str, Any]) -> dict[str, float]:
    """The population stability index of each feature that is compared and of the `score`, by name."""
    now = _samples(rows, chances)
    return {name: Reference.read(kept).stability(now[name]) for name, kept in sorted(reference.items()) if name in now}


def _samples(rows: pl.DataFrame, chances: Floats) -> dict[str, Floats]:
    names = [name for name in evaluate.names_of(rows) if name not in _BY_NATURE]
    return {**dict(zip(names, evaluate.matrix(rows, names).T, strict=True)), "score": chances}


def _read(model: bytes, rows: pl.DataFrame, *, version: str) -> Floats:
    """The probabilities of the rows by a model's file. Raises ComputeError for one that is none of ours."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # as above
            import skops.io

            return _chances(skops.io.loads(model, trusted=list(_TRUSTED)), rows)
    except (KeyError, TypeError, ValueError, OSError, AttributeError) as error:
        hint = "Promote another version: make model LIST=yes"
        raise ComputeError(f"the model {version} cannot be used: {error}", hint=hint) from error


def _chances(kept: Any, rows: pl.DataFrame) -> Floats:
    """The probabilities by what a file held; versions before BG/NBD's odds were a feature are the trees alone."""
    if not isinstance(kept, dict):
        return kept.predict_proba(evaluate.matrix(rows, evaluate.names_of(rows)))[:, 1]
    baseline = BGNBD(**kept["baseline"])
    return evaluate.Learnt(trees=kept["trees"], names=tuple(kept["names"]), baseline=baseline).chances(rows)
