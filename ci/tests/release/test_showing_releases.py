"""`releases`, `where` and `rollback` for a person and for machines, and their one line for what cannot be done."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ci import cli, git
from ci.release.manifest import Published, Release
from ci.release.store import Store, keep
from ci.tests.release import made
from ci.tests.release.made import FIRST, A, B
from ci.verbs.releases import _own, _short, row
from infra.environment import ROOT, Environment


def release(day: int = 1, **changes: Any) -> Release:
    """Releases of one and the same data, unless it is said."""
    return made.release(day, **{"warehouse": FIRST.isoformat(), **changes})


Keep = Callable[..., None]


@pytest.fixture
def released(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Keep]:
    """Writes releases into the state folder of this test's environment."""
    for name in ("LEANDATA_ENV", "LEANDATA_PORT_BASE", "LEANDATA_TODAY", "ENV", "CI"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LEANDATA_STATE", str(tmp_path / "state"))
    Environment.current.cache_clear()

    def write(*found: Release) -> None:
        for one in found:
            keep(Store.folder(tmp_path / "state"), one)

    yield write
    Environment.current.cache_clear()


# -- a line ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "marks"),
    [
        ({}, ""),
        ({"uncommitted": True}, "  uncommitted work"),
        ({"plan": "sha256:1"}, "  by plan"),
        ({"stacks": ("api",)}, "  api"),
        ({"back_to": "20261101T140200Z-aaaaaaa"}, "  back to 20261101T140200Z-aaaaaaa"),
        ({"uncommitted": True, "plan": "x", "stacks": ("api",)}, "  uncommitted work; by plan; api"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, dict) else None,
)
def test_a_release_is_one_line_that_ends_with_what_is_special(changes: dict[str, Any], marks: str) -> None:
    said = row(release(**changes))
    assert said == f"20261101T140200Z-aaaaaaa  aaaaaaaaaaaa  2026-11-01T14:02  ann@box{marks}"


def test_a_release_without_a_commit_keeps_its_column() -> None:
    assert row(release(commit="")) == "20261101T140200Z-0000000                2026-11-01T14:02  ann@box"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("sha256:" + "f" * 64, "f" * 12),
        (A, "a" * 12),
        ("v1.2", "v1.2"),
        ("-", "-"),
        ("3 slices, 30000000 rows, and a newest run of a long name", "3 slices, 30000000 rows, and a newest run of a long name"),
    ],
)  # fmt: skip
def test_only_digests_and_commits_are_shortened(text: str, said: str) -> None:
    assert _short(text) == said


# -- releases ----------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("released")
def test_before_the_first_release_it_says_how_to_make_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["releases"]) == 0
    assert capsys.readouterr().out == "Nothing was released to local yet. `make deploy ENV=local` does it.\n"


def test_releases_are_listed_the_newest_last(released: Keep, capsys: pytest.CaptureFixture[str]) -> None:
    known = [release(1), release(2, commit=B)]
    released(*reversed(known))
    assert cli.run(["releases"]) == 0
    assert capsys.readouterr().out.splitlines() == [row(one) for one in known]


def test_machines_read_every_part_of_every_release(released: Keep, capsys: pytest.CaptureFixture[str]) -> None:
    made = release(lake={"raw x": Published(slices=1, rows=2, newest="r")}, notes=("not reached",))
    released(made)
    assert cli.run(["releases", "--json"]) == 0
    read = json.loads(capsys.readouterr().out)
    assert (read["version"], read["environment"]) == (1, "local")
    assert [Release.read(json.dumps(one)) for one in read["releases"]] == [made]


@pytest.mark.usefixtures("released")
def test_machines_read_an_empty_list_before_the_first_release(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["releases", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["releases"] == []


def test_two_releases_are_shown_side_by_side_and_shortened(released: Keep, capsys: pytest.CaptureFixture[str]) -> None:
    released(release(1), release(2, commit=B, images={"api": "sha256:" + "1" * 64}))
    assert cli.run(["releases", "--a", A, "--b", B]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "20261101T140200Z-aaaaaaa -> 20261102T140200Z-bbbbbbb",
        "  commit     aaaaaaaaaaaa -> bbbbbbbbbbbb",
        "  image api  - -> 111111111111",
    ]


def test_two_releases_of_the_same_say_that_nothing_differs(released: Keep, capsys: pytest.CaptureFixture[str]) -> None:
    released(release(1), release(2))
    assert cli.run(["releases", "--a", "20261101", "--b", "20261102"]) == 0
    assert capsys.readouterr().out.splitlines()[1:] == ["  nothing differs"]


def test_machines_read_differences_whole(released: Keep, capsys: pytest.CaptureFixture[str]) -> None:
    released(release(1), release(2, commit=B))
    assert cli.run(["releases", "--a", "20261101", "--b", "20261102", "--json"]) == 0
    read = json.loads(capsys.readouterr().out)
    assert (read["a"], read["b"]) == (release(1).id, release(2, commit=B).id)
    assert read["differences"] == [{"what": "commit", "a": A, "b": B}]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--a", A], "no release was named. make releases ENV=... lists them"),
        (["--b", A], "no release was named. make releases ENV=... lists them"),
        (
            ["--a", "f00", "--b", A],
            "there is no release 'f00'. The newest is 20261102T140200Z-bbbbbbb; make releases ENV=... lists them",
        ),
        (
            ["--a", "2026", "--b", A],
            "'2026' names several releases. 20261101T140200Z-aaaaaaa, 20261102T140200Z-bbbbbbb",
        ),
    ],
    ids=["only a", "only b", "unknown", "several"],
)
@pytest.mark.parametrize("json_too", [False, True], ids=["person", "machine"])
def test_a_comparison_that_cannot_be_made_is_one_line(
    released: Keep, arguments: list[str], said: str, json_too: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    released(release(1), release(2, commit=B))
    assert cli.run(["releases", *arguments, *(["--json"] if json_too else [])]) == 1
    shown = capsys.readouterr()
    if json_too:
        assert json.loads(shown.out)["error"] == said
    else:
        assert (shown.out, shown.err) == ("", f"error: {said}\n")


def test_a_damaged_release_is_named_with_its_file(
    released: Keep, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    released(release())
    path = tmp_path / "state" / "releases" / f"{release().id}.json"
    path.write_text("{}")
    assert cli.run(["releases"]) == 1
    assert capsys.readouterr().err == f"error: the manifest of a release is damaged ({path})\n"


# -- rollback: refused before anything is done -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("known", "to", "said"),
    [
        ([], "x", "there is no release 'x'. Nothing was released yet; make releases ENV=... lists them"),
        ([], "", "no release was named. make releases ENV=... lists them"),
        ([release(1)], A, f"{release(1).id} is what runs now: there is nothing to bring back"),
        (
            [release(1, environment="prod"), release(2, commit=B)],
            A,
            f"{release(1).id} is a release of prod, not of local",
        ),
        (
            [release(1, commit=""), release(2, commit=B)],
            "20261101",
            f"{release(1, commit='').id} was deployed without git: nobody knows its commit",
        ),
        ([release(1), release(2, commit=B)], A, f"there is no commit '{A}' ({ROOT})"),
    ],
    ids=["none", "unnamed", "current", "of another environment", "without git", "commit not here"],
)
@pytest.mark.parametrize("dry", [True, False], ids=["dry", "in earnest"])
def test_a_way_back_that_there_is_not_is_one_line_and_changes_nothing(
    released: Keep, known: list[Release], to: str, said: str, dry: bool, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    released(*known)
    before = sorted(tmp_path.rglob("*.json"))
    assert cli.run(["rollback", "--to", to, "--yes", *(["--dry"] if dry else [])]) == 1
    assert capsys.readouterr().err == f"error: {said}\n"
    assert sorted(tmp_path.rglob("*.json")) == before
    assert not (tmp_path / "state" / "checkouts").exists()


# -- where -------------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("released")
def test_a_change_that_is_no_commit_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["where", "--change", "no-such-branch"]) == 1
    assert capsys.readouterr().err == f"error: there is no commit 'no-such-branch' ({ROOT})\n"


@pytest.mark.parametrize(
    ("chosen", "expected"), [("local", {"LEANDATA_STATE": "/x"}), ("prod", {})], ids=["chosen", "not chosen"]
)
def test_a_state_folder_is_that_of_the_environment_it_was_named_for(
    chosen: str, expected: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LEANDATA_STATE", "/x")
    found = _own("local", chosen)
    assert {name: text for name, text in found.items() if name == "LEANDATA_STATE"} == expected
    assert "PATH" in found, "all else is as it was"


def test_the_commit_that_is_checked_out_is_known_here() -> None:
    head = git.commit(ROOT)
    assert git.head(ROOT) == head
    assert git.commit(ROOT, head[:10]) == head
