"""Model: how good each version of the purchase model was, how its probabilities held, and how its customers drifted."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from dashboards import parts
from dashboards.page import Context, Kind, Page, Table
from leandata import serving
from leandata.serving import ModelScore

_OWN = "gradient boosting"
_A_WEEK = 8  # days: a version and its predictions are a week old before the next ones
STABLE, SHIFTED = Decimal("0.1"), Decimal("0.25")
_DRIFT_MARKS = {"stable": "good", "watch": "warned", "shifted": "bad"}
_MARKS = {"current": "good", "kept": "", "refused": "warned", "withdrawn": "warned"}


def view(context: Context) -> Sequence[Any]:
    """The page: the current version, then all."""
    found = context.read(serving.model_scores)
    if not found:
        return [parts.empty("No model is published yet.", "The pipeline train_model trains the first one by itself.")]
    current = current_of(found)
    tiles = [
        parts.Tile(id="model-version", label="Version", value=current[0].version),
        parts.Tile(id="model-auc", label="AUC", value=_shown(current, _OWN, "auc").partition(" ")[0]),
        parts.Tile(id="model-loss", label="Log loss", value=_shown(current, _OWN, "log_loss").partition(" ")[0]),
        parts.Tile(id="model-lift", label="Lift of the likeliest tenth", value=lift(current)),
    ]
    note = (
        "Judged on the last twelve weeks before the training, which the model had not seen; in brackets 95% intervals."
    )
    shown = parts.table(versions(context), name="versions-table", caption="Versions of the model", marks=_MARKS)
    known = context.published("features.purchase_scores")
    return [
        parts.age(known, context.today, allowed=_A_WEEK),
        parts.tiles(tiles),
        parts.section("Predicted and observed, by tenths of the customers", chart(current)),
        _drift(context),
        parts.section("Versions", shown, download=context.download("versions"), note=note),
    ]


def _drift(context: Context) -> Any:
    found = drifted(context)
    if not found.rows:
        nothing = parts.empty(
            "Drift is not known of this version yet.", "It is measured whenever predictions are made."
        )
        return parts.section("Drift", nothing)
    note = (
        "Population stability index of the customers predicted last against those learnt from; score is the"
        f" probability. Below {STABLE} stable, above {SHIFTED} another population. Not compared is tenure, the days"
        " since the first order: everybody is a day older each day, so that it always shifts; what that does to the"
        " predictions is seen in score."
    )
    shown = parts.table(found, name="drift-table", caption="Drift of each feature", marks=_DRIFT_MARKS)
    return parts.section("Drift", shown, download=context.download("drift"), note=note)


def drifted(context: Context) -> Table:
    """The index of each feature and of the score of the current version; what shifted most comes first."""
    columns: tuple[tuple[str, Kind], ...] = (("Feature", "text"), ("State", "text"), ("PSI", "number"))
    found = current_of(context.read(serving.model_scores))
    values = {one.metric.removeprefix("psi_"): one.value for one in found if one.metric.startswith("psi_")}
    rows = [(name, drift_state(value), value) for name, value in values.items()]
    return Table(columns=columns, rows=sorted(rows, key=lambda row: (-row[2], row[0])))


def drift_state(index: Decimal) -> str:
    """`stable` below 0.1, `shifted` above 0.25, between them `watch`: the bounds of N. Siddiqi, "Credit Risk
    Scorecards" (2006)."""
    if index < STABLE:
        return "stable"
    return "shifted" if index > SHIFTED else "watch"


def current_of(found: Sequence[ModelScore]) -> list[ModelScore]:
    """The figures of the current version, of the newest one where none is current; none where there is none."""
    current = [one for one in found if one.state == "current"]
    return current or [one for one in found if one.version == found[0].version]


def lift(found: Sequence[ModelScore]) -> str:
    """How many times as often as all customers together those of the likeliest tenth ordered."""
    observed = [one.value for one in found if one.metric.startswith("observed_")]
    mean = sum(observed, Decimal(0)) / len(observed) if observed else Decimal(0)
    return f"{observed[0] / mean:.1f}" if mean else "-"


def chart(found: Sequence[ModelScore]) -> Any:
    """Bars of what happened in each tenth, the likeliest first, and a line of what was predicted."""

    def points(metric: str) -> list[float]:
        return [float(one.value) for one in found if one.metric.startswith(metric)]

    places = [f"{10 * number}%" for number in range(1, len(points("observed_")) + 1)]
    traces = [
        {"type": "bar", "name": "observed", "x": places, "y": points("observed_"), "marker": {"color": parts.BLUE}},
        {
            "type": "scatter",
            "name": "predicted",
            "x": places,
            "y": points("predicted_"),
            "line": {"color": parts.ORANGE},
        },
    ]
    layout = {"xaxis": {"type": "category"}, "yaxis": {"tickformat": ".0%"}}
    return parts.chart("calibration-chart", traces, title="Predicted and observed shares", layout=layout)


def versions(context: Context) -> Table:
    """Every version with its figures and those of the baselines, the newest first."""
    columns: tuple[tuple[str, Kind], ...] = (
        ("Version", "text"), ("Trained on", "date"), ("State", "text"), ("AUC", "text"), ("AUC of BG/NBD", "text"),
        ("Log loss", "text"), ("Log loss of BG/NBD", "text"), ("Gain", "text"),
        ("Live: predicted", "text"), ("Live: ordered", "text"),
    )  # fmt: skip
    found = context.read(serving.model_scores)
    names = list(dict.fromkeys(one.version for one in found))
    return Table(columns=columns, rows=[_row([one for one in found if one.version == name]) for name in names])


def _row(found: Sequence[ModelScore]) -> tuple[Any, ...]:
    first = found[0]
    figures = ((_OWN, "auc"), ("BG/NBD", "auc"), (_OWN, "log_loss"), ("BG/NBD", "log_loss"), (_OWN, "gain"))
    lived = ((_OWN, "live_predicted"), (_OWN, "live_observed"))
    return (first.version, first.trained_on, first.state, *(_shown(found, *one) for one in (*figures, *lived)))


def _shown(found: Sequence[ModelScore], learner: str, metric: str) -> str:
    one = next((one for one in found if (one.learner, one.metric) == (learner, metric)), None)
    if one is None:
        return "-"
    interval = "" if one.low is None else f" [{one.low:.5f}, {one.high:.5f}]"
    return f"{one.value:.5f}{interval}"


page = Page(path="/model", title="Model", order=40, view=view, tables={"versions": versions, "drift": drifted})
