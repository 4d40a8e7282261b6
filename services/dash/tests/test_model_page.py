"""The page Model: the current version's figures, its calibration, and every version with its state."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from dashboards.pages import model as page
from leandata import serving
from leandata.serving import ModelScore
from services.dash.tests.worlds import Readers, client, context, page_text


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


def test_the_chart_has_what_happened_and_what_was_predicted() -> None:
    drawn = str(page.chart([one for one in FOUND if one.version == "v2"]))
    assert "[0.09, 0.02, 0.01]" in drawn
    assert "[0.1, 0.03, 0.02]" in drawn
