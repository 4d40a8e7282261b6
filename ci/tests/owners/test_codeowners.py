"""CODEOWNERS is written from the one ownership, every tracked file is owned, and the verb says by whom."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from ci import cli
from ci.owners import codeowners
from ci.owners.teams import Teams
from ci.tests.owners.test_signing import made
from ci.verbs import owners
from infra.environment import ROOT
from leandata.errors import LeandataError

FILES = owners.tracked(ROOT)


@pytest.fixture
def teams(tmp_path: Path) -> Teams:
    return made(tmp_path)


THERE = ["owners.toml", "infra/x.py", "infra/stacks/lake/a.py", "infra/stacks/lake/keys/k", "services/__init__.py"]
WHOLE = [*THERE, "services/api/service.toml"]


def test_every_path_has_a_line_and_the_longer_comes_later(teams: Teams) -> None:
    said = codeowners.text(teams, folders=codeowners.folders_of(WHOLE))
    lines = [line.split() for line in said.splitlines() if not line.startswith("#")]
    assert lines == [
        ["/infra/", "@company/web"],
        ["/infra/stacks/lake/", "@company/data"],
        ["/infra/stacks/lake/keys/", "@company/guard"],
        ["/owners.toml", "@company/guard"],
        ["/services/__init__.py", "@company/web"],
        ["/services/api/", "@company/web"],
    ]


def test_all_is_well_when_every_file_is_owned(teams: Teams) -> None:
    assert codeowners.problems(teams, WHOLE) == []


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ([*WHOLE, "new.txt"], ["nobody owns new.txt"]),
        ([*WHOLE, "infra/stacks/new/__main__.py"], ["nobody owns infra/stacks/new/__main__.py"]),
        ([*WHOLE, "services/new/app.py"], ["nobody owns services/new/app.py"]),
        ([name for name in WHOLE if "keys" not in name], ["infra/stacks/lake/keys has an owner and is not there"]),
    ],
)
def test_a_file_without_owner_and_an_owner_without_file_are_told(
    teams: Teams, files: list[str], said: list[str]
) -> None:
    assert codeowners.problems(teams, files) == said


def github(text: str, path: str) -> str:
    """Whom GitHub asks: the last line whose pattern matches."""
    found = ""
    for line in text.splitlines():
        if line and not line.startswith("#"):
            pattern, handle = line.split()
            if path == pattern[1:] or (pattern.endswith("/") and path.startswith(pattern[1:])):
                found = handle
    return found


@pytest.mark.parametrize("path", FILES[:: max(1, len(FILES) // 60)])
def test_github_asks_whom_we_name(path: str) -> None:
    teams = Teams.load(ROOT)
    text = codeowners.text(teams, folders=codeowners.folders_of(FILES))
    assert github(text, path) == teams.teams[teams.owner_of(path)].handle


def test_every_tracked_file_of_ours_is_owned() -> None:
    assert codeowners.problems(Teams.load(ROOT), {*FILES, codeowners.FILE}) == []


def test_the_committed_file_is_what_we_write() -> None:
    wanted = codeowners.text(Teams.load(ROOT), folders=codeowners.folders_of({*FILES, codeowners.FILE}))
    assert (ROOT / codeowners.FILE).read_text() == wanted, "make owners"


def test_the_file_says_that_it_is_written(teams: Teams) -> None:
    said = codeowners.text(teams, folders=[])
    assert said.startswith("# Written by `make owners`")
    assert not re.search(r" \n", said)


def test_the_verb_says_who_owns_a_path(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["owners", "--what", "./services/api/"]) == 0
    assert capsys.readouterr().out.startswith("services/api  platform-team  @")
    assert cli.run(["owners", "--what", "infra/policy/iam.py", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["version"], answer["owner"]) == (1, "security-team")
    assert cli.run(["owners", "--what", "nowhere/x"]) == 1
    assert "nobody owns nowhere/x" in capsys.readouterr().err


def test_the_check_writes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    before = (ROOT / codeowners.FILE).stat().st_mtime_ns
    assert cli.run(["owners", "--check", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["written"] is False
    assert (ROOT / codeowners.FILE).stat().st_mtime_ns == before


def test_without_git_no_file_is_listed(tmp_path: Path) -> None:
    with pytest.raises(LeandataError, match="git cannot list files"):
        owners.tracked(tmp_path)
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    assert owners.tracked(tmp_path) == []
