"""What only looks at programs is set up without the Pulumi CLI: it may need a download or a compiler."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ci import bootstrap
from ci.bootstrap import SetupError, needs_engine, pulumi_path, ready


@pytest.mark.parametrize(
    ("line", "needed"),
    [
        ("preview --env prod", False),
        ("preview --env all --live no", False),
        ("preview --env local --live yes", True),
        ("cost --env prod", False),
        ("affected", False),
        ("owners --check", False),
        ("deploy --env local", True),
        ("test", True),
    ],
)
def test_only_what_deploys_or_looks_at_live_state_needs_the_cli(line: str, needed: bool) -> None:
    assert needs_engine(line.split()) == needed


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout whose environments are there; its stamp says whatever a test writes."""
    for name in bootstrap._LOCKED:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    for place in (tmp_path, tmp_path / bootstrap._STANDIN):
        (place / ".venv" / "bin").mkdir(parents=True)
        (place / ".venv" / "bin" / "python").touch()
    return tmp_path


def stamp(root: Path, pulumi: str) -> None:
    whole = {"cloud": True, "locks": bootstrap._digest(root), "pulumi": pulumi}
    (root / ".venv" / "leandata.stamp").write_text(json.dumps(whole))


@pytest.mark.parametrize(("pulumi", "there"), [("", False), ("/nowhere/pulumi", False), ("bin/pulumi", True)])
def test_a_checkout_is_ready_for_previews_without_the_cli_and_for_deployments_only_with_it(
    checkout: Path, pulumi: str, there: bool
) -> None:
    if there:
        (checkout / "bin").mkdir()
        (checkout / pulumi).touch()
    stamp(checkout, str(checkout / pulumi) if there else pulumi)
    assert ready(checkout, cloud=True, engine=False)
    assert ready(checkout, cloud=True) == there


def test_without_the_cli_who_needs_it_is_told_what_to_do(checkout: Path) -> None:
    stamp(checkout, "")
    with pytest.raises(SetupError, match=r"the Pulumi CLI was not set up. Run `make setup`"):
        pulumi_path(checkout)
    assert bootstrap._known_pulumi(checkout) == ""


def test_the_cli_that_was_found_before_is_not_forgotten(checkout: Path) -> None:
    stamp(checkout, "/somewhere/pulumi")
    assert bootstrap._known_pulumi(checkout) == "/somewhere/pulumi"
