"""The registry of models: versions are kept, one is current, and what was published can be taken back."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from leandata.errors import LakeError
from leandata.models import Registry

DAY = date(2026, 11, 22)


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(f"file://{tmp_path}", model="models.purchase")


def add(registry: Registry, version: str, *, better: bool = True) -> None:
    registry.add(version, version.encode(), trained_on=DAY, card={"gain": [1, 0, 2]}, better=better)


def states(registry: Registry) -> dict[str, str]:
    return {one.version: one.state for one in registry.versions()}


def test_before_the_first_training_there_is_no_version(registry: Registry) -> None:
    assert registry.versions() == []
    assert registry.current() is None
    with pytest.raises(LakeError, match="no version before"):
        registry.rollback(run="r")
    with pytest.raises(LakeError, match=r"no version 'v1' can be promoted.*None was ever published"):
        registry.promote("v1", run="r")


def test_a_better_version_becomes_current_and_the_one_before_is_kept(registry: Registry) -> None:
    add(registry, "v1")
    add(registry, "v2")
    assert states(registry) == {"v1": "kept", "v2": "current"}
    current = registry.current()
    assert current is not None
    assert registry.read(current) == b"v2"
    assert (current.card["gain"], current.trained_on) == ([1, 0, 2], DAY)


def test_a_version_that_is_no_better_is_remembered_and_changes_nothing(registry: Registry, tmp_path: Path) -> None:
    add(registry, "v1")
    add(registry, "v2", better=False)
    assert states(registry) == {"v1": "current", "v2": "refused"}
    assert [path.name for path in (tmp_path / "models" / "purchase" / "files").iterdir()] == ["v1.skops"]
    with pytest.raises(LakeError, match=r"There are: v1"):
        registry.promote("v2", run="r")


def test_the_same_version_again_is_the_same(registry: Registry) -> None:
    add(registry, "v1")
    add(registry, "v1", better=False)
    assert states(registry) == {"v1": "current"}


def test_a_version_is_taken_back_and_promoted_again(registry: Registry) -> None:
    for version in ("v1", "v2", "v3"):
        add(registry, version)
    add(registry, "v4", better=False)
    assert registry.rollback(run="r1").version == "v2"
    assert states(registry) == {"v1": "kept", "v2": "current", "v3": "kept", "v4": "refused"}
    assert registry.rollback(run="r2").version == "v1"
    with pytest.raises(LakeError, match="no version before"):
        registry.rollback(run="r3")
    assert registry.promote("v3", run="r4").state == "current"
    assert list(states(registry).values()).count("current") == 1


def test_a_file_that_was_changed_is_not_used(registry: Registry, tmp_path: Path) -> None:
    add(registry, "v1")
    (tmp_path / "models" / "purchase" / "files" / "v1.skops").write_bytes(b"evil")
    current = registry.current()
    assert current is not None
    with pytest.raises(LakeError, match="not the one that was published"):
        registry.read(current)
    (tmp_path / "models" / "purchase" / "files" / "v1.skops").unlink()
    with pytest.raises(LakeError, match="lost"):
        registry.read(current)


def test_a_withdrawn_version_is_not_gone_back_to_and_a_lone_one_stays_current(registry: Registry) -> None:
    add(registry, "v1")
    registry.note("v1", {"off": True}, withdraw=True, run="n1")
    assert states(registry) == {"v1": "current"}, "there is nothing before it"
    for version in ("v2", "v3"):
        add(registry, version)
    registry.note("v2", {"off": True}, withdraw=True, run="n2")
    assert states(registry) == {"v1": "kept", "v2": "withdrawn", "v3": "current"}
    registry.note("v3", {"off": True}, withdraw=True, run="n3")
    assert states(registry) == {"v1": "current", "v2": "withdrawn", "v3": "withdrawn"}
    assert registry.versions()[2].card["live"] == {"off": True}
    with pytest.raises(LakeError, match="no version before"):
        registry.rollback(run="r1")
    assert registry.promote("v3", run="p1").state == "current"
