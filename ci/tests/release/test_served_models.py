"""A rollback serves the model that the release served, where the registry still has it and nothing speaks against it."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from ci.release.gather import model
from ci.release.served import serve_again
from leandata.models import SERVED, Registry

NOW = datetime(2026, 11, 26, 12, 0, 5, tzinfo=UTC)
CARD = {"auc": {"gradient boosting": 0.8}, "gain": [0.1, 0.0, 0.2], "best_baseline": "BG/NBD"}


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    """Two versions that were better than what they had to beat, then one that was not."""
    found = Registry(f"file://{tmp_path}", model=SERVED)
    for version, better in (("first", True), ("second", True), ("refused", False)):
        found.add(version, version.encode(), trained_on=date(2026, 11, 23), card=CARD, better=better)
    return found


def serve(tmp_path: Path, version: str) -> tuple[bool, str]:
    return serve_again(f"file://{tmp_path}", version, now=NOW)


def current(registry: Registry) -> str:
    found = registry.current()
    return found.version if found else ""


def test_a_release_says_which_version_predicted(tmp_path: Path, registry: Registry) -> None:
    notes: list[str] = []
    assert (model(f"file://{tmp_path}", notes), notes) == ("second", [])


def test_the_version_of_the_release_is_current_again_and_the_other_is_kept(tmp_path: Path, registry: Registry) -> None:
    assert serve(tmp_path, "first") == (True, "The model first is current again, as in this release.")
    assert {one.version: one.state for one in registry.versions()} == {
        "first": "current",
        "second": "kept",
        "refused": "refused",
    }
    assert serve(tmp_path, "first") == (False, ""), "again is nothing"


@pytest.mark.parametrize("version", ["", "second"])
def test_what_is_served_or_was_not_noted_changes_nothing(tmp_path: Path, registry: Registry, version: str) -> None:
    assert serve(tmp_path, version) == (False, "")
    assert current(registry) == "second"


def test_a_version_that_was_withdrawn_is_not_believed_again(tmp_path: Path, registry: Registry) -> None:
    registry.note("second", {"why_not": "", "off": True}, withdraw=True, run="guard")
    changed, said = serve(tmp_path, "second")
    assert not changed
    assert said == "The model stays: second was withdrawn. `make model PROMOTE=second` takes it all the same."
    assert current(registry) == "first"


def test_a_version_that_nobody_knows_is_said(tmp_path: Path, registry: Registry) -> None:
    assert serve(tmp_path, "third") == (False, "The model stays: the registry knows no version third.")
    assert current(registry) == "second"


def test_without_a_lake_there_is_no_model() -> None:
    assert serve_again("", "first", now=NOW) == (False, "")
