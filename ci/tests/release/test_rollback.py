"""A release with changed code and declarations, and back to the one before: the data stays. On the real engine."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from ci.bootstrap import pulumi_path
from ci.engine import Engine
from ci.release.world import plan_now
from ci.snapshot import take
from infra.environment import ROOT
from infra.provider import health
from infra.testing.checkout import Checkout, free_base
from leandata.models import SERVED, Registry

pytestmark = [pytest.mark.integration, pytest.mark.stacks("lake", "mail")]
_LEFT_OUT = shutil.ignore_patterns(".venv", ".git", ".leandata", ".state", "__pycache__", ".*_cache", "node_modules")
_STACKS = ("lake", "mail")


def git(root: Path, *arguments: str) -> str:
    command = ["git", "-C", str(root), "-c", "user.name=a", "-c", "user.email=a@b", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def checkout(tmp_path: Path) -> Iterator[Checkout]:
    """A clone of the platform that has two stacks only, with a state folder and ports of its own."""
    root = tmp_path / "clone"
    shutil.copytree(ROOT, root, ignore=_LEFT_OUT, symlinks=True)
    for folder in [*(root / "services").glob("*/deploy.py"), *(root / "infra" / "stacks").glob("*/__main__.py")]:
        if folder.parent.name not in _STACKS:
            folder.unlink()
    git(root, "init", "-q")
    (root / ".git" / "info" / "exclude").write_text(".venv\n")  # linked here, so that nothing is installed again
    with_environments(root)
    git(root, "add", "-A")
    git(root, "commit", "-q", "-m", "first")
    found = Checkout(state=tmp_path / "state", base=free_base(), root=root)
    yield found
    found.supervisor.shutdown()
    assert found.supervisor.marked() == [], "a test has left a process"


def with_environments(root: Path) -> None:
    for place in (Path(".venv"), Path("infra", "standins", "snowflake", ".venv")):
        (root / place).symlink_to(ROOT / place)


def run(checkout: Checkout, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return checkout.run(*arguments, PYTHONPATH=f"{checkout.root}:{checkout.root / 'shared'}", **environ)


def released(checkout: Checkout) -> list[dict[str, Any]]:
    return json.loads(run(checkout, "releases", "--json").stdout)["releases"]


def change(checkout: Checkout) -> None:
    """Another release: another model of dbt, other code of the mail catcher."""
    for file in ("infra/standins/mail/__main__.py", "services/airflow/pipelines/dbt/models/marts/weekly_sales.sql"):
        comment = "-- changed\n" if file.endswith(".sql") else "# changed\n"
        path = checkout.root / file
        path.write_text(path.read_text() + comment)
    git(checkout.root, "commit", "-q", "-a", "-m", "second")


def registry(checkout: Checkout) -> Registry:
    return Registry(f"file://{checkout.state / 'lake' / 'models'}", model=SERVED)


def trained(checkout: Checkout, version: str) -> None:
    """A version of the model that is better than the one before."""
    registry(checkout).add(version, b"model", trained_on=date(2026, 11, 23), card={}, better=True)


def test_an_older_release_is_back_in_one_command_and_the_data_is_not_lost(checkout: Checkout) -> None:
    assert run(checkout, "deploy", CI="").returncode == 0, "a first deployment asks nothing"
    trained(checkout, "old")
    assert run(checkout, "deploy", CI="").returncode == 0, "and one that changes nothing neither"
    change(checkout)
    trained(checkout, "new")
    assert run(checkout, "deploy", CI="").returncode == 0, "and one that loses no data neither"
    (checkout.state / "lake" / "raw" / "orders").write_text("written since")
    first, second = released(checkout)[-2:]
    assert first["dbt"] != second["dbt"]
    assert (first["model"], second["model"]) == ("old", "new")

    place = checkout.state / "checkouts" / first["commit"][:12]
    git(checkout.root, "worktree", "add", "-q", "--detach", str(place), first["commit"])
    with_environments(place)
    back = run(checkout, "rollback", "--to", first["id"], "--yes")
    assert back.returncode == 0, back.stdout + back.stderr
    lines = back.stderr.splitlines()
    assert lines[[line.startswith("From ") for line in lines].index(True) + 1] == "This is not undone:"
    assert "tables of dbt" in back.stderr

    third = released(checkout)[-1]
    assert (third["commit"], third["back_to"], third["dbt"]) == (first["commit"], first["id"], first["dbt"])
    assert (checkout.state / "lake" / "raw" / "orders").read_text() == "written since"
    specification = checkout.supervisor.specification("mail")
    assert specification is not None
    assert str(place) in json.dumps(specification), "the service runs from the checkout of its release"
    assert health.accepts(checkout.base + 10)
    assert (third["model"], [one.state for one in registry(checkout).versions()]) == ("old", ["current", "kept"])
    again = run(checkout, "rollback", "--to", third["id"])
    assert again.returncode == 1
    assert "is what runs now" in again.stderr


def test_a_plan_is_that_of_the_checkout_and_its_state_until_one_of_them_moves(
    checkout: Checkout, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("LEANDATA_STATE", str(checkout.state))
    engine = Engine(environment=checkout.environment, pulumi=pulumi_path())
    plan = plan_now(checkout.environment, take("local", root=checkout.root), engine=engine)
    path = tmp_path / "plan.json"
    plan.write(path)
    deployed = run(checkout, "deploy", "--plan", str(path), "--fingerprint", plan.fingerprint)
    assert deployed.returncode == 0, deployed.stdout + deployed.stderr
    assert released(checkout)[-1]["plan"] == plan.fingerprint

    change(checkout)
    (checkout.root / "infra" / "new.py").write_text("")
    again = run(checkout, "deploy", "--plan", str(path))
    assert again.returncode == 1
    assert "error: refused: the plan is for the commit" in again.stderr
    assert "there is uncommitted work in infra/new.py" in again.stderr
    assert "the state was changed since the preview in lake and 1 more" in again.stderr
    assert len(released(checkout)) == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--plan", "x", "--stack", "lake"], "a plan is deployed whole"),
        (["--fingerprint", "sha256:1"], "--fingerprint goes with --plan"),
        (["--plan", "none.json"], "the plan cannot be read"),
    ],
)
def test_a_plan_goes_whole_and_a_fingerprint_with_a_plan(tmp_path: Path, arguments: list[str], said: str) -> None:
    result = Checkout(state=tmp_path / "state", base=free_base()).run("deploy", *arguments)
    assert result.returncode == 1
    assert said in result.stderr


def test_where_nobody_can_look_is_said_and_the_others_are_shown(tmp_path: Path) -> None:
    result = Checkout(state=tmp_path / "state", base=free_base()).run(
        "where", "--json", AWS_EC2_METADATA_DISABLED="true"
    )
    found = json.loads(result.stdout)
    assert result.returncode == 1, "nothing was released from here"
    assert {*found["unknown"]} | {*found["environments"]} <= {"cluster", "dev", "local", "prod", "staging"}
    assert "local" not in found["unknown"]
