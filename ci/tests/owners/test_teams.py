"""Who owns a path or a stack, who signs a risk, and what a wrong ownership file is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from ci.owners.teams import FILE, Teams
from ci.preview.model import RISKS
from infra.environment import ROOT
from leandata.errors import LeandataError, SettingsError

GOOD = """
[teams.data-team]
handle = "@company/data"
people = ["ann"]
[teams.guard]
handle = "@company/guard"
people = ["gus", "ann"]
[teams.web]
handle = "@company/web"
people = ["wim"]
[signs]
access = ["guard"]
cost = []
data = []
network = ["guard", "web"]
order = []
protection = ["guard"]
secret = ["guard"]
[paths]
"owners.toml" = "guard"
"infra" = "web"
"infra/stacks/lake" = "data-team"
"infra/stacks/lake/keys" = "guard"
"services/__init__.py" = "web"
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / FILE).write_text(GOOD)
    (tmp_path / "services" / "api").mkdir(parents=True)
    (tmp_path / "services" / "api" / "service.toml").write_text('name = "api"\nowner = "web"\n')
    return tmp_path


@pytest.mark.parametrize(
    ("path", "owner"),
    [
        ("owners.toml", "guard"),
        ("infra/units.py", "web"),
        ("infra/stacks/__init__.py", "web"),
        ("infra/stacks/lake/__main__.py", "data-team"),
        ("infra/stacks/lake/keys/one.json", "guard"),
        ("infra/stacks/lake", "data-team"),
        ("services/api/serving/app.py", "web"),
        ("services/__init__.py", "web"),
    ],
)
def test_the_longest_folder_that_holds_a_path_decides(root: Path, path: str, owner: str) -> None:
    assert Teams.load(root).owner_of(path) == owner


@pytest.mark.parametrize(
    "path",
    ["README.md", "infrastructure/x.py", "services/pricing/app.py", "infra/stacks/new/__main__.py", "services/x", ""],
)
def test_a_path_that_nobody_owns_is_told(root: Path, path: str) -> None:
    with pytest.raises(LeandataError, match=f"nobody owns {path}"):
        Teams.load(root).owner_of(path)


def test_a_stack_is_owned_by_its_folder_s_team(root: Path) -> None:
    teams = Teams.load(root)
    assert teams.owner_of_stack("lake") == "data-team"
    assert teams.owner_of_stack("api") == "web"
    with pytest.raises(LeandataError, match="nobody owns the stack new"):
        teams.owner_of_stack("new")


@pytest.mark.parametrize(
    ("kind", "stack", "signers"),
    [
        ("data", "lake", ("data-team",)),
        ("access", "lake", ("data-team", "guard")),
        ("network", "api", ("guard", "web")),
        ("order", "api", ("web",)),
    ],
)
def test_a_risk_is_signed_by_the_owner_and_by_those_that_the_file_names(root: Path, kind, stack, signers) -> None:
    assert Teams.load(root).signers(kind, stack) == signers


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("cost = []\n", "", r"signs\.cost: missing key"),
        ("cost = []\n", "cost = []\nspeed = []\n", r"signs\.speed: unknown key"),
        ("[signs]", "[sings]", "unknown key|missing key"),
        ('handle = "@company/data"', 'handle = "company data"', r"teams\.data-team\.handle"),
        ('people = ["ann"]', "people = []", r"teams\.data-team\.people"),
        ('people = ["ann"]', 'people = ["ann smith"]', r"teams\.data-team\.people"),
        ('people = ["ann"]', 'people = ["ann"]\nlead = "ann"', r"teams\.data-team\.lead: unknown key"),
        ('"infra" = "web"', '"infra" = "wbe"', r"paths\.infra names 'wbe', which is no team"),
        ('secret = ["guard"]', 'secret = ["gard"]', r"signs\.secret names 'gard', which is no team"),
        ('"infra" = "web"', '"../infra" = "web"', r"not a path inside the repository"),
        ('"infra" = "web"', '"/infra" = "web"', r"paths\./infra"),
        ('"infra" = "web"', '"infra/*" = "web"', r"paths\.infra/\*"),
        ('"infra" = "web"', '"services/api" = "web"', "a service's owner is said in its service.toml"),
        ('"infra" = "web"', '"services/api/x.py" = "web"', "a service's owner is said in its service.toml"),
        ("[paths]", "[paths", "not valid TOML"),
    ],
)
def test_a_wrong_ownership_file_is_told_by_file_and_key(root: Path, old: str, new: str, said: str) -> None:
    assert old in GOOD
    (root / FILE).write_text(GOOD.replace(old, new))
    with pytest.raises(SettingsError, match=said) as caught:
        Teams.load(root)
    assert FILE in str(caught.value)


def test_a_service_whose_owner_is_no_team_is_told(root: Path) -> None:
    (root / "services" / "api" / "service.toml").write_text('name = "api"\nowner = "wbe"\n')
    with pytest.raises(SettingsError, match=r"owner: 'wbe' is no team of owners.toml .*api/service.toml"):
        Teams.load(root)


def test_without_an_ownership_file_nothing_is_owned(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"cannot read owners.toml: No such file"):
        Teams.load(tmp_path)


# -- our own file ------------------------------------------------------------------------------------------------------

STACKS = sorted(path.parent.name for path in (ROOT / "infra" / "stacks").glob("*/__main__.py"))
SERVICES = sorted(path.parent.name for path in (ROOT / "services").glob("*/deploy.py"))


@pytest.mark.parametrize("kind", RISKS)
@pytest.mark.parametrize("stack", [*STACKS, *SERVICES])
def test_every_risk_of_every_stack_of_ours_has_signers(stack: str, kind) -> None:
    teams = Teams.load(ROOT)
    signers = teams.signers(kind, stack)
    assert teams.owner_of_stack(stack) in signers
    assert list(signers) == sorted(set(signers))
    assert set(signers) <= set(teams.teams)


def test_the_ownership_file_of_ours_is_owned_itself() -> None:
    assert Teams.load(ROOT).owner_of(FILE) == "security-team"


@pytest.mark.parametrize("kind", ["access", "network", "protection", "secret"])
def test_what_is_about_security_is_signed_by_the_security_team(kind) -> None:
    assert "security-team" in Teams.load(ROOT).signers(kind, "api")
