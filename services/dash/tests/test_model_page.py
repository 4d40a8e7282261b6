"""The page Model: the current version's figures, its calibration, and every version with its state."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

from dashboards.pages import model as page
from leandata import serving
from leandata.serving import ModelScore
from services.dash.tests.worlds import TODAY, Readers, client, context, fresh, page_text


def score(
    metric: str, value: str, *, version: str = "v2", state: str = "current", learner: str = "gradient boosting"
) -> ModelScore:
    interval = (Decimal("0.1"), Decimal("0.2")) if metric in ("log_loss", "gain") else (None, None)
    return ModelScore(
        version=version, trained_on=date(2026, 11, 22), state=state, learner=learner, metric=metric, value=Decimal(value),
        low=interval[0], high=interval[1],
    )  # fmt: skip


FOUND = [
    score("auc", "0.9", version="v3", state="refused"),
    score("auc", "0.8475"),
    score("log_loss", "0.17176"),
    *(score(f"observed_{number:02}", value) for number, value in enumerate(("0.09", "0.02", "0.01"), start=1)),
    *(score(f"predicted_{number:02}", value) for number, value in enumerate(("0.10", "0.03", "0.02"), start=1)),
    score("auc", "0.8418", learner="BG/NBD"),
    score("psi_score", "0.05"),
    score("psi_recency", "3.2"),
    score("psi_days_28", "0.1"),
    score("psi_cents", "0.25"),
    score("psi_recency", "9", version="v3", state="refused"),
    score("live_predicted", "0.05"),
    score("live_observed", "0.03"),
]


def world() -> Readers:
    return Readers({serving.model_scores: FOUND})


def test_the_current_version_is_shown_not_the_newest() -> None:
    text = page_text(client(world()), "/model")
    assert "0.84750" in text
    assert "0.17176 [0.10000, 0.20000]" in text
    assert "\n0.17176\n" in text, "a tile has the figure alone"


def test_lift_is_how_often_the_likeliest_tenth_ordered_against_all() -> None:
    assert page.lift([one for one in FOUND if one.version == "v2"]) == "2.2"
    assert page.lift([]) == "-"


def test_every_version_is_listed_with_its_state_and_the_baseline() -> None:
    rows = page.versions(context(page.page, world())).rows
    assert [(row[0], row[2]) for row in rows] == [("v3", "refused"), ("v2", "current")]
    assert rows[1][3:5] == ("0.84750", "0.84180")
    assert rows[0][4] == "-"
    assert rows[1][8:] == ("0.05000", "0.03000"), "what was predicted and what came true"
    lines = client(world()).get("/download/model/versions.csv").text.splitlines()
    assert len(lines) == 3


def test_drift_is_that_of_the_current_version_and_what_shifted_most_comes_first() -> None:
    rows = page.drifted(context(page.page, world())).rows
    assert rows == [
        ("recency", "shifted", Decimal("3.2")), ("cents", "watch", Decimal("0.25")), ("days_28", "watch", Decimal("0.1")),
        ("score", "stable", Decimal("0.05")),
    ]  # fmt: skip
    assert "Not compared is tenure" in page_text(client(world()), "/model")
    assert len(client(world()).get("/download/model/drift.csv").text.splitlines()) == 5


def test_a_version_whose_drift_is_not_known_says_so() -> None:
    found = Readers({serving.model_scores: [one for one in FOUND if not one.metric.startswith("psi_")]})
    assert "Drift is not known of this version yet." in page_text(client(found), "/model")
    assert page.drifted(context(page.page, Readers({}))).rows == []


def test_the_auc_is_listed_with_its_interval_and_a_tile_has_the_figure_alone() -> None:
    sure = ModelScore(
        version="v2", trained_on=date(2026, 11, 22), state="current", learner="gradient boosting", metric="auc",
        value=Decimal("0.8475"), low=Decimal("0.84"), high=Decimal("0.855"),
    )  # fmt: skip
    text = page_text(client(Readers({serving.model_scores: [sure]})), "/model")
    assert "0.84750 [0.84000, 0.85500]" in text
    assert "\n0.84750\n" in text


def test_figures_of_a_week_are_not_old_and_older_ones_are_said_to_be() -> None:
    for back, style in ((8, "quiet"), (9, "quiet stale")):
        known = fresh("features.purchase_scores", TODAY - timedelta(days=back))
        found = Readers({serving.model_scores: FOUND, serving.freshness: [known]})
        shown = page.view(context(page.page, found))[0]
        assert shown.className == style
        assert f"({back} days behind)" in shown.children


def test_the_chart_has_what_happened_and_what_was_predicted() -> None:
    drawn = str(page.chart([one for one in FOUND if one.version == "v2"]))
    assert "[0.09, 0.02, 0.01]" in drawn
    assert "[0.1, 0.03, 0.02]" in drawn
