"""Releases: written once, listed, compared, found by commit; and what going back to one does not undo."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ci import git
from ci.deploy import StackRun
from ci.events import Log, Step
from ci.graph import StackInfo
from ci.preview.model import Change, StackChanges
from ci.release import asking
from ci.release.checkouts import environ, place, sweep, write_images
from ci.release.gather import config_digest, digest, model, published
from ci.release.manifest import Published, Release, compared, identify, is_id, named, where
from ci.release.store import Store, TakenError, keep, releases
from ci.release.way_back import demand_possible, not_undone
from ci.verbs.releases import row
from infra.environment import ROOT, Environment
from leandata.errors import LeandataError

A, B = "a" * 40, "b" * 40


def release(number: int = 1, **changes: Any) -> Release:
    moment = datetime(2026, 11, number, 14, 2, tzinfo=UTC)
    commit = changes.get("commit", A)
    found = Release(
        id=identify(commit, moment), environment="local", commit=commit, uncommitted=False, who="ann@host",
        when=moment.isoformat(), plan="", images={"api": "sha256:1"}, config="sha256:c", serials={"lake": "1", "api": "2"},
        stacks=("api", "lake"), dbt="sha256:d", lake={"raw shop.orders": Published(slices=3, rows=30, newest="r3")},
        model="", warehouse=moment.isoformat(),
    )  # fmt: skip
    return replace(found, **changes)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.folder(tmp_path / "state")


# -- the manifest ------------------------------------------------------------------------------------------------------


def test_a_release_is_read_as_it_was_written(store: Store) -> None:
    first, second = release(1), release(2, commit=B, back_to=release(1).id, notes=("x",))
    keep(store, second)
    keep(store, first)
    assert releases(store) == [first, second]


def test_nothing_was_released_to_a_new_environment(store: Store) -> None:
    assert releases(store) == []


def test_a_release_is_never_written_over(store: Store) -> None:
    keep(store, release())
    with pytest.raises(LeandataError, match="there is already a release 20261101T140200Z-aaaaaaa"):
        keep(store, release(who="bob@host"))
    assert releases(store)[0].who == "ann@host"


def test_other_files_among_the_releases_are_left_alone(store: Store, tmp_path: Path) -> None:
    keep(store, release())
    (tmp_path / "state" / "releases" / "notes.json").write_text("{}")
    assert len(releases(store)) == 1


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"schema": 1}', '{"schema": 1, "lake": []}', "null"])
def test_a_damaged_manifest_is_named(store: Store, tmp_path: Path, text: str) -> None:
    (tmp_path / "state" / "releases").mkdir()
    (tmp_path / "state" / "releases" / f"{release().id}.json").write_text(text)
    with pytest.raises(LeandataError, match="the manifest of a release is damaged"):
        releases(store)


def test_a_manifest_of_another_version_is_named() -> None:
    text = json.dumps({**json.loads(release().text()), "schema": 9})
    with pytest.raises(LeandataError, match="the release has the schema version 9"):
        Release.read(text)


def test_an_object_is_made_once_and_read_with_its_tag(store: Store) -> None:
    assert store.get("x") == ("", "")
    tag = store.create("x", "text")
    assert store.get("x") == ("text", tag)
    with pytest.raises(TakenError):
        store.create("x", "other")


@pytest.mark.parametrize(
    ("text", "expected"),
    [("20261101T140200Z-aaaaaaa", True), ("notes", False), ("", False), ("20261101T140200Z-aaaaaaa.json", False)],
)
def test_an_id_has_its_form(text: str, expected: bool) -> None:
    assert is_id(text) is expected


def test_ids_are_sorted_by_time() -> None:
    moments = [datetime(2026, month, day, tzinfo=UTC) for month in (1, 10, 11) for day in (2, 11)]
    assert sorted(identify(B, moment) for moment in moments) == [identify(B, moment) for moment in moments]


@pytest.mark.parametrize(
    ("name", "expected"),
    [("20261101T140200Z-aaaaaaa", 1), ("20261102", 2), ("aaaa", 3), ("bbbbbbb", 2)],
)
def test_a_release_is_found_by_its_id_its_commit_or_the_beginning(name: str, expected: int) -> None:
    found = [release(1), release(2, commit=B), release(3)]
    assert named(found, name) == found[expected - 1]


@pytest.mark.parametrize(
    ("name", "said"),
    [("", "no release was named"), ("c", "there is no release 'c'"), ("202611", "'202611' names several releases")],
)
def test_a_name_that_is_no_release_is_told(name: str, said: str) -> None:
    with pytest.raises(LeandataError, match=said):
        named([release(1), release(2, commit=B)], name)


def test_two_releases_are_compared_by_what_they_hold() -> None:
    lake = {"raw shop.orders": Published(slices=4, rows=35, newest="r4")}
    after = release(2, commit=B, images={"api": "sha256:2"}, lake=lake, serials={"lake": "9", "api": "2"})
    assert compared(release(1), after) == [
        ("commit", A, B),
        ("image api", "sha256:1", "sha256:2"),
        ("lake raw shop.orders", "3 slices, 30 rows, r3", "4 slices, 35 rows, r4"),
        ("state lake", "1", "9"),
        ("warehouse", "2026-11-01T14:02:00+00:00", "2026-11-02T14:02:00+00:00"),
    ]
    assert compared(after, after) == []


def test_an_environment_runs_a_commit_when_its_newest_release_has_it() -> None:
    newest = {"prod": release(1), "dev": release(2, commit=B)}
    assert where("c", newest, lambda released, change: released == B) == {"dev": True, "prod": False}


def test_a_line_says_what_is_special_about_a_release() -> None:
    assert row(release()).endswith("2026-11-01T14:02  ann@host")
    special = release(uncommitted=True, back_to="r", plan="sha256:1", stacks=("api",))
    assert row(special).endswith("uncommitted work; back to r; by plan; api")


# -- what there is -----------------------------------------------------------------------------------------------------


def test_a_digest_is_of_names_and_bytes(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x.sql").write_text("select 1")
    first = digest(tmp_path, [tmp_path / "a"])
    (tmp_path / "a" / "__pycache__").mkdir()
    (tmp_path / "a" / "__pycache__" / "x").write_text("")
    assert digest(tmp_path, [tmp_path / "a"]) == first
    (tmp_path / "a" / "x.sql").rename(tmp_path / "a" / "y.sql")
    assert digest(tmp_path, [tmp_path / "a"]) != first


def test_environments_have_other_configurations() -> None:
    digests = {config_digest(Environment.load(name, environ={})) for name in ("dev", "local", "prod")}
    assert len(digests) == 3


def test_an_empty_lake_has_published_nothing(tmp_path: Path) -> None:
    notes: list[str] = []
    places = {zone: f"file://{tmp_path / zone}" for zone in ("curated", "models", "raw")}
    assert published(places, notes) == {}
    assert model(places["models"], notes) == ""
    assert published({}, notes) == {}
    assert model("", notes) == ""
    assert notes == []


def test_a_lake_that_cannot_be_reached_is_a_note() -> None:
    notes: list[str] = []
    assert published({"raw": "s3://"}, notes) == {}
    assert model("s3://", notes) == ""
    assert [note.partition(" of the lake was not read")[0] for note in notes] == ["the zone raw", "the zone models"]


# -- the way back ------------------------------------------------------------------------------------------------------


def changes(op: Any, type_: str) -> StackChanges:
    change = Change(stack="lake", urn="u", type=type_, name="raw", op=op)
    return StackChanges(stack="lake", reasons=(), changes=(change,), same=0)


def test_what_is_lost_is_said_before_what_stays() -> None:
    now = release(
        2, dbt="sha256:e", lake={"raw shop.orders": Published(slices=4, rows=35, newest="r4")}, serials={"airflow": "1"}
    )
    said = [
        one.what for one in not_undone(release(1), current=now, changes=[changes("delete", "aws:s3/bucket:Bucket")])
    ]
    assert said == [
        "lake: Bucket raw",
        "raw shop.orders: written since, +5 rows, newest run r4",
        "tables of dbt: columns that were added or dropped since",
        "migrations of airflow",
        "mails that were sent",
    ]


@pytest.mark.parametrize(("op", "type_"), [("update", "aws:s3/bucket:Bucket"), ("delete", "aws:iam/role:Role")])
def test_what_holds_no_data_or_stays_is_not_said_to_be_lost(op: str, type_: str) -> None:
    said = not_undone(release(1), current=release(2), changes=[changes(op, type_)])
    assert [one.what for one in said] == ["mails that were sent"]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"uncommitted": True}, "was deployed with uncommitted work"),
        ({"commit": ""}, "was deployed without git"),
        ({"environment": "prod"}, "is a release of prod, not of local"),
        ({"id": release(2).id}, "is what runs now"),
    ],
)
def test_a_release_that_cannot_be_brought_back_is_refused(changed: dict[str, Any], said: str) -> None:
    with pytest.raises(LeandataError, match=said):
        demand_possible(release(1, **changed), current=release(2), environment="local")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    root = tmp_path / "repository"
    root.mkdir()
    for text in ("one", "two"):
        (root / "file").write_text(text)
        if text == "one":
            run(root, "init", "-q")
        run(root, "add", "-A")
        run(root, "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q", "-m", text)
    return root


def run(root: Path, *arguments: str) -> None:
    subprocess.run(["git", "-C", str(root), *arguments], check=True, capture_output=True)


def test_an_older_commit_is_checked_out_beside_and_nothing_else_moves(repository: Path, tmp_path: Path) -> None:
    older = git.commit(repository, "HEAD~1")
    git.worktree(repository, older, tmp_path / "beside")
    assert (tmp_path / "beside" / "file").read_text() == "one"
    assert (repository / "file").read_text() == "two"
    assert git.head(tmp_path / "beside") == older


def test_a_checkout_that_was_edited_is_made_new_and_one_that_was_not_is_kept(repository: Path, tmp_path: Path) -> None:
    older, beside = git.commit(repository, "HEAD~1"), tmp_path / "beside"
    git.worktree(repository, older, beside)
    inode = beside.stat().st_ino
    git.worktree(repository, older, beside)
    assert beside.stat().st_ino == inode
    (beside / "file").write_text("edited")
    git.worktree(repository, older, beside)
    assert (beside / "file").read_text() == "one"


def test_uncommitted_work_is_named(repository: Path) -> None:
    assert git.uncommitted(repository) == ()
    (repository / "file").write_text("three")
    (repository / "ne w").write_text("")
    assert git.uncommitted(repository) == ("file", "ne w")


def test_a_commit_is_part_of_those_after_it(repository: Path) -> None:
    first, second = git.commit(repository, "HEAD~1"), git.commit(repository)
    assert git.contains(repository, second, first)
    assert git.contains(repository, second, second)
    assert not git.contains(repository, first, second)
    assert not git.contains(repository, A, first)


def test_without_git_there_is_no_commit(tmp_path: Path) -> None:
    assert git.head(tmp_path) == ""
    assert git.uncommitted(tmp_path) == ()
    with pytest.raises(LeandataError, match="there is no commit 'HEAD'"):
        git.commit(tmp_path)


def test_checkouts_lie_with_the_data_and_go_when_nothing_runs_from_them(repository: Path, tmp_path: Path) -> None:
    local = replace(Environment.load("local", environ={"LEANDATA_STATE": str(tmp_path / "state")}), root=repository)
    older, newer = git.commit(repository, "HEAD~1"), git.commit(repository)
    for commit in (older, newer):
        git.worktree(repository, commit, place(local, commit))
    assert sweep(local, keep=[newer]) == [older[:12]]
    assert not place(local, older).exists()
    assert place(local, newer).is_dir()
    assert place(local, newer).is_relative_to(tmp_path / "state")


def test_a_checkout_is_told_the_state_and_ports_that_are_deployed_now(tmp_path: Path) -> None:
    own = {"LEANDATA_STATE": str(tmp_path / "state"), "LEANDATA_PORT_BASE": "21400"}
    found = environ(Environment.load("local", environ=own), tmp_path)
    assert {name: found[name] for name in own} == own
    assert found["PYTHONPATH"] == str(tmp_path)
    assert "VIRTUAL_ENV" not in found


def test_a_release_brings_its_own_images(tmp_path: Path) -> None:
    dev = Environment.load("dev", environ={})
    write_images(dev, tmp_path, {"api": "sha256:1", "dash": "v1"})
    read = json.loads((tmp_path / "infra" / "releases" / "dev.json").read_text())
    assert read == {"images": {"api": {"digest": "sha256:1"}, "dash": {"tag": "v1"}}}
    write_images(dev, tmp_path / "other", {})
    assert not (tmp_path / "other").exists()


# -- asking ------------------------------------------------------------------------------------------------------------


def runs(*steps: tuple[str, str]) -> list[StackRun]:
    log = Log(steps=[Step(op=op, type=whole.rpartition(":")[2], name="x", whole=whole) for op, whole in steps])
    return [StackRun(info=StackInfo(name="lake", module="m", folder=ROOT, needs=()), log=log)]


@pytest.mark.parametrize(
    ("environment", "first", "changes", "losing", "expected"),
    [
        ("local", True, 60, 0, False),
        ("local", False, 3, 0, False),
        ("local", False, 3, 1, True),
        ("prod", True, 60, 0, True),
        ("prod", False, 1, 0, True),
        ("prod", False, 0, 0, False),
    ],
)
def test_a_person_is_asked_where_it_matters(
    environment: str, first: bool, changes: int, losing: int, expected: bool
) -> None:
    assert asking.must_ask(environment, first=first, changes=changes, losing=losing) is expected


def test_totals_come_first_and_then_what_loses_data() -> None:
    found = runs(
        ("delete", "machine:index:Directory"), ("update", "machine:index:Process"), ("replace", "aws:s3/bucket:Bucket")
    )
    lines = asking.summary(found, environment="dev").splitlines()
    assert lines[0] == "dev: create 0 · update 1 · replace 1 · delete 1"
    assert "  DATA     lake: replace Bucket x" in lines
    assert lines[-1] == "  lake        delete 1, replace 1, update 1"


def test_only_what_holds_data_is_a_loss() -> None:
    assert asking.losses(runs(("delete", "machine:index:Process"), ("update", "aws:s3/bucket:Bucket"))) == []


def test_a_pipeline_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    assert asking.answered(yes=False)
    monkeypatch.setenv("CI", "")
    assert not asking.answered(yes=False)
    assert asking.answered(yes=True)


def test_without_a_terminal_a_question_is_a_refusal() -> None:
    with pytest.raises(LeandataError, match="this deployment needs a typed y"):
        asking.ask("Deploy this?")
