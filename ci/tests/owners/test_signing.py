"""Sign-off: every team of every risk, by approvals of the current commit and of nobody who withdrew."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from ci import cli
from ci.owners.signing import Review, approving, decide, reviews, rows
from ci.owners.teams import FILE, Teams
from ci.tests.owners.test_teams import GOOD
from ci.verbs import signoff
from infra.environment import ROOT
from leandata.errors import LeandataError

NOW, OLD = "a" * 40, "b" * 40


def made(folder: Path, text: str = GOOD) -> Teams:
    folder.mkdir(exist_ok=True)
    (folder / FILE).write_text(text)
    (folder / "services" / "api").mkdir(parents=True, exist_ok=True)
    (folder / "services" / "api" / "service.toml").write_text('name = "api"\nowner = "web"\n')
    return Teams.load(folder)


@pytest.fixture
def teams(tmp_path: Path) -> Teams:
    return made(tmp_path / "head")


def review(user: str, state: str = "APPROVED", commit: str = NOW, at: str = "2026-11-25T10:00:00Z") -> dict[str, Any]:
    return {"user": {"login": user}, "state": state, "commit_id": commit, "submitted_at": at, "body": "x"}


def agreed(*given: dict[str, Any], author: str = "someone") -> set[str]:
    return approving(reviews(list(given)), commit=NOW, author=author)


LATER = "2026-11-25T11:00:00Z"


@pytest.mark.parametrize(
    ("given", "who"),
    [
        pytest.param([review("ann")], {"ann"}, id="an approval of the current commit counts"),
        pytest.param([review("ann", commit=OLD)], set(), id="one of an older commit does not"),
        pytest.param([review("ann"), review("ann", "CHANGES_REQUESTED", at=LATER)], set(), id="withdrawn by a request"),
        pytest.param([review("ann", "CHANGES_REQUESTED"), review("ann", at=LATER)], {"ann"}, id="and given again"),
        pytest.param([review("ann", "DISMISSED")], set(), id="dismissed"),
        pytest.param([review("ann"), review("ann", "DISMISSED", at=LATER)], set(), id="dismissed later"),
        pytest.param([review("ann"), review("ann", "COMMENTED", at=LATER)], {"ann"}, id="a comment changes nothing"),
        pytest.param([review("ann"), review("ann", "PENDING", at="")], {"ann"}, id="a draft changes nothing"),
        pytest.param(
            [review("ann"), review("ann", "CHANGES_REQUESTED", OLD, LATER)], set(), id="withdrawn on any commit"
        ),
        pytest.param([review("ann", at=LATER), review("ann", commit=OLD)], {"ann"}, id="by time, not by place"),
        pytest.param([review("Ann")], {"ann"}, id="names have no capitals"),
        pytest.param([review("ann", "approved")], {"ann"}, id="nor have states"),
        pytest.param([{**review("ann"), "user": None}], set(), id="an account that is gone signs nothing"),
        pytest.param([{**review("ann"), "commit_id": None}], set(), id="without a commit it is of none"),
        pytest.param([review("someone"), review("SomeOne")], set(), id="the author's own never counts"),
        pytest.param([[review("ann")], [review("gus")]], {"ann", "gus"}, id="pages put together"),
        pytest.param([], set(), id="nobody"),
    ],
)
def test_whose_approval_counts(given: list[Any], who: set[str]) -> None:
    assert agreed(*given) == who


@pytest.mark.parametrize("commit", ["", "a" * 39, "a" * 41, "g" * 40, "HEAD", "aaaaaaaaaaaa"])
def test_a_commit_that_is_not_whole_is_refused(commit: str) -> None:
    with pytest.raises(LeandataError, match="is no whole commit id"):
        approving([], commit=commit, author="x")


@pytest.mark.parametrize(
    "answer",
    [
        {},
        "APPROVED",
        None,
        [1],
        ["x"],
        [{"user": {"login": "ann"}}],
        [{"state": "APPROVED"}],
        [review("ann", "LOVED")],
        [{**review("ann"), "commit_id": 3}],
        [{**review("ann"), "user": "ann"}],
        [{**review("ann"), "user": {"login": None}}],
        [{"message": "Not Found", "status": "404"}],
    ],
)
def test_an_answer_that_is_none_of_github_s_is_refused_in_one_line(answer: object) -> None:
    with pytest.raises(LeandataError) as caught:
        reviews(answer)
    assert "\n" not in str(caught.value)


def risk(kind: str = "access", stack: str = "lake", name: str = "raw", **more: Any) -> dict[str, Any]:
    return {"kind": kind, "stack": stack, "name": name, "why": "x", "urn": "u", "type": "t", **more}


def preview(*risks: dict[str, Any]) -> dict[str, Any]:
    return {"version": 1, "risks": list(risks)}


def missing(teams: Teams, *risks: dict[str, Any], by: set[str]) -> list[tuple[str, ...]]:
    return [one.missing for one in decide(rows(preview(*risks), owners=[teams]), approvals=by, owners=[teams])]


@pytest.mark.parametrize(
    ("risk_", "by", "lacking"),
    [
        (risk("data"), set(), ("data-team",)),
        (risk("data"), {"ann"}, ()),
        (risk("access"), {"wim"}, ("data-team", "guard")),
        (risk("access"), {"gus"}, ("data-team",)),
        (risk("access"), {"gus", "ann"}, ()),
        (risk("access"), {"ann"}, ()),  # who is in both teams signs for both
        (risk("network", "api"), {"wim"}, ("guard",)),
        (risk("network", "api"), {"gus", "wim"}, ()),
        (risk("order", "api"), {"gus"}, ("web",)),
        (risk("order", "api", teams=["guard"]), {"wim"}, ("guard",)),  # a preview may ask for more
        (risk("access", teams=[]), {"ann"}, ()),
        (risk("access", teams=["web"]), {"wim"}, ("data-team", "guard")),  # and never for fewer
    ],
)
def test_every_team_of_a_row_signs(teams: Teams, risk_: dict[str, Any], by: set[str], lacking: tuple[str, ...]) -> None:
    assert missing(teams, risk_, by=by) == [lacking]


def test_each_row_is_signed_by_itself(teams: Teams) -> None:
    assert missing(teams, risk("data"), risk("network", "api"), by={"ann"}) == [(), ("web",)]


def test_a_preview_without_risks_needs_nobody(teams: Teams) -> None:
    assert missing(teams, by=set()) == []


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        ([], "no list of risks"),
        ({}, "no list of risks"),
        ({"risks": {}}, "no list of risks"),
        ({"risks": [1]}, "risk 0 lacks"),
        ({"risks": [{"kind": "data"}]}, "risk 0 lacks"),
        (preview(risk("speed")), "of no kind"),
        (preview(risk("data", teams="guard")), "of no kind"),
        (preview(risk("data", teams=["gurad"])), "needs gurad, which is no team"),
        (preview(risk("data", "nowhere")), "nobody owns the stack nowhere"),
    ],
)
def test_a_preview_that_is_none_is_refused(teams: Teams, broken: object, said: str) -> None:
    with pytest.raises(LeandataError, match=said):
        rows(broken, owners=[teams])


def test_nobody_joins_a_team_by_the_change_itself(tmp_path: Path) -> None:
    """The head adds its author's friend to the team, and takes the guard off the risk: the base still asks for him."""
    base = made(tmp_path / "base")
    weaker = GOOD.replace('people = ["gus", "ann"]', 'people = ["eve"]').replace('access = ["guard"]', "access = []")
    head = made(tmp_path / "head", weaker)
    needed = rows(preview(risk("access")), owners=[head, base])
    assert needed[0].teams == ("data-team", "guard")
    (signed,) = decide(needed, approvals={"eve", "ann"}, owners=[head, base])
    assert signed.missing == ("guard",)


def test_a_new_stack_is_signed_by_its_owner_in_the_change(tmp_path: Path) -> None:
    base = made(
        tmp_path / "base",
        GOOD.replace('"infra/stacks/lake" = "data-team"\n', "").replace('"infra/stacks/lake/keys" = "guard"\n', ""),
    )
    head = made(tmp_path / "head")
    assert rows(preview(risk("access")), owners=[head, base])[0].teams == ("data-team", "guard")
    assert rows(preview(risk("access")), owners=[base, head])[0].teams == ("data-team", "guard")


# -- the verb ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def asked(tmp_path: Path) -> Any:
    def ask(risks: list[dict[str, Any]], given: list[dict[str, Any]], *more: str) -> int:
        (tmp_path / "preview.json").write_text(json.dumps(preview(*risks)))
        (tmp_path / "reviews.json").write_text(json.dumps(given))
        files = ["--preview", str(tmp_path / "preview.json"), "--reviews", str(tmp_path / "reviews.json")]
        return cli.run(["signoff", *files, "--commit", NOW, "--author", "author", *more])

    return ask


def people(team: str) -> str:
    return Teams.load(ROOT).teams[team].people[0]


def test_the_verb_says_who_is_missing_and_ends_with_three(asked: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert asked([risk("access")], [review(people("data-team"))]) == signoff.MISSING
    said = capsys.readouterr().out
    assert "MISSING  access      lake  raw" in said
    assert "security-team: missing" in said
    assert f"data-team: {people('data-team')}" in said
    assert "Missing: security-team. Each of them approves commit aaaaaaaaaaaa." in said


def test_the_verb_ends_with_nought_when_all_have_signed(asked: Any, capsys: pytest.CaptureFixture[str]) -> None:
    both = [review(people("data-team")), review(people("security-team"))]
    assert asked([risk("access")], both, "--json") == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["version"], answer["ok"], answer["missing"]) == (1, True, [])
    assert answer["rows"][0]["by"] == {
        "data-team": [people("data-team")],
        "security-team": [people("security-team")],
    }


def test_without_risks_the_verb_needs_nobody(asked: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert asked([], []) == 0
    assert capsys.readouterr().out == "No risk needs a signature.\n"


@pytest.mark.parametrize("left_out", ["preview", "reviews", "commit", "author"])
def test_what_the_verb_lacks_is_named(left_out: str, capsys: pytest.CaptureFixture[str]) -> None:
    given = [f"--{name}=x" for name in ("preview", "reviews", "commit", "author") if name != left_out]
    assert cli.run(["signoff", *given]) == 1
    assert f"{left_out.upper()} is missing" in capsys.readouterr().err


def test_a_file_that_is_no_json_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "x").write_text("{")
    place = str(tmp_path / "x")
    assert cli.run(["signoff", "--preview", place, "--reviews", place, "--commit", NOW, "--author", "x"]) == 1
    assert "the file is no JSON" in capsys.readouterr().err


def test_the_owners_of_a_commit_are_read_from_git(tmp_path: Path) -> None:
    made(tmp_path)
    git = ["git", "-C", str(tmp_path), "-c", "user.name=t", "-c", "user.email=t@example.invalid"]
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "x"]):
        subprocess.run([*git, *command], check=True)
    (tmp_path / FILE).write_text(GOOD.replace('people = ["gus", "ann"]', 'people = ["eve"]'))
    assert Teams.load(tmp_path).teams["guard"].people == ["eve"]
    assert signoff.teams_of(tmp_path, "HEAD").teams["guard"].people == ["gus", "ann"]
    for strange in ("nowhere", "--output=x"):
        with pytest.raises(LeandataError, match="git cannot show the owners"):
            signoff.teams_of(tmp_path, strange)
    assert not (tmp_path / "x").exists()


def test_a_review_keeps_what_counts() -> None:
    assert reviews([review("Ann")]) == [Review(user="ann", state="APPROVED", commit=NOW, at="2026-11-25T10:00:00Z")]
