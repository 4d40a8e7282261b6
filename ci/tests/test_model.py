"""`make model`: the versions of the purchase model, promoted and taken back."""

from __future__ import annotations

import argparse
import json
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from ci.verbs import model as verb
from leandata.errors import LeandataError
from leandata.models import Registry

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
CARD = {"auc": {"gradient boosting": 0.8475}, "gain": [0.00127, 0.00046, 0.00207], "best_baseline": "BG/NBD"}


def asked(**given: object) -> argparse.Namespace:
    return argparse.Namespace(**{"promote": "", "rollback": False, "list": False, "json": False, **given})


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    found = Registry(f"file://{tmp_path}", model="models.purchase")
    for version in ("v1", "v2"):
        found.add(version, b"x", trained_on=date(2026, 11, 22), card=CARD, better=True)
    return found


def test_versions_are_listed_with_what_they_save(registry: Registry, capsys: pytest.CaptureFixture[str]) -> None:
    assert verb.done(asked(), registry, now=NOW) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split()[:3] == ["v2", "2026-11-22", "current"]
    assert "AUC 0.8475  saves 0.00127 nats against BG/NBD" in lines[1]


def test_before_the_first_training_it_says_how(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert verb.done(asked(), Registry(f"file://{tmp_path}", model="models.purchase"), now=NOW) == 0
    assert "make run PIPELINE=train_model" in capsys.readouterr().out


def test_a_version_is_taken_back_and_promoted(registry: Registry, capsys: pytest.CaptureFixture[str]) -> None:
    assert verb.done(asked(rollback=True, json=True), registry, now=NOW) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["changed"] == "v1"
    assert {one["version"]: one["state"] for one in answer["versions"]} == {"v1": "current", "v2": "kept"}
    verb.done(asked(promote="v2"), registry, now=NOW.replace(hour=13))
    assert "v2 is current." in capsys.readouterr().out


def test_two_things_at_once_and_unknown_versions_are_refused(registry: Registry) -> None:
    with pytest.raises(LeandataError, match="one thing"):
        verb.done(asked(promote="v1", rollback=True), registry, now=NOW)
    with pytest.raises(LeandataError, match="There are: v1, v2"):
        verb.done(asked(promote="v9"), registry, now=NOW)


def test_what_became_of_predictions_is_listed(registry: Registry, capsys: pytest.CaptureFixture[str]) -> None:
    live = {"as_of": "2026-10-05", "why_not": "", "off": True, "predicted": 0.08, "observed": 0.04}
    registry.note("v2", live, withdraw=True, run="n")
    registry.note("v1", {**live, "why_not": "only 7 predictions"}, withdraw=False, run="m")
    verb.done(asked(), registry, now=NOW)
    first, second = capsys.readouterr().out.splitlines()
    assert first.endswith("live of 2026-10-05: only 7 predictions")
    assert "withdrawn" in second
    assert second.endswith("live of 2026-10-05: OFF, predicted 0.0800, 0.0400 ordered")
