"""Releases are written once into any store, read back whole, named, compared; git says which files and commits."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from obstore.store import MemoryStore

from ci.preview.model import Change, StackChanges
from ci.release.gather import digest, model, published
from ci.release.manifest import SCHEMA, Published, Release, compared, identify, is_id, named, where
from ci.release.store import Store, TakenError, keep, releases
from ci.release.way_back import Kept, demand_possible, not_undone
from ci.tests.release.made import A, B, release
from infra.environment import ROOT, Environment
from leandata.errors import LeandataError

WORDS = st.text(alphabet="abcxyz019.-", min_size=1, max_size=8)
LAKES = st.dictionaries(
    WORDS, st.builds(Published, slices=st.integers(0, 99), rows=st.integers(0, 10**9), newest=WORDS), max_size=3
)
TIMES = st.integers(946_684_800, 253_402_214_400).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))
HASHES = st.text(alphabet="0123456789abcdef", min_size=40, max_size=40)


@pytest.fixture(params=["memory", "folder"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """A bucket in memory, and a folder."""
    return (
        Store.folder(tmp_path / "new" / "state")
        if request.param == "folder"
        else Store(inner=MemoryStore(), place="s3://state/prod")
    )


# -- objects -----------------------------------------------------------------------------------------------------------


def test_what_is_not_there_has_no_text_and_no_tag(store: Store) -> None:
    assert store.get("releases/none.json") == ("", "")
    assert store.keys("releases") == []


def test_an_object_is_made_by_the_first_and_only_by_the_first(store: Store) -> None:
    tag = store.create("x", "one")
    with pytest.raises(TakenError):
        store.create("x", "two")
    assert store.get("x") == ("one", tag)


def test_names_in_a_folder_are_sorted_and_those_of_others_are_not_among_them(store: Store) -> None:
    for key in ("releases/b", "releases/a", "releases-of-old/c", "deploy.lock"):
        store.create(key, "x")
    assert store.keys("releases") == ["a", "b"]


def test_only_who_read_the_newest_may_write_over_it() -> None:
    store = Store(inner=MemoryStore(), place="s3://state/prod")
    first = store.create("x", "one")
    second = store.replace("x", "two", tag=first)
    with pytest.raises(TakenError):
        store.replace("x", "three", tag=first)
    assert store.get("x") == ("two", second)


def test_what_was_removed_meanwhile_is_not_written_over() -> None:
    store = Store(inner=MemoryStore(), place="s3://state/prod")
    tag = store.create("x", "one")
    store.inner.delete("x")
    with pytest.raises(TakenError):
        store.replace("x", "two", tag=tag)


@given(text=st.text(max_size=200))
def test_any_text_is_read_as_it_was_written(text: str) -> None:
    store = Store(inner=MemoryStore(), place="s3://state/prod")
    store.create("x", text)
    assert store.get("x")[0] == text


def test_an_object_of_bytes_that_are_no_text_is_named_with_its_place(tmp_path: Path) -> None:
    store = Store.folder(tmp_path)
    (tmp_path / "deploy.lock").write_bytes(b"\xff\xfe")
    with pytest.raises(LeandataError) as refused:
        store.get("deploy.lock")
    assert str(refused.value).startswith("deploy.lock cannot be reached: 'utf-8' codec can't decode byte 0xff")
    assert str(refused.value).endswith(f"({tmp_path})")


def test_one_machine_keeps_releases_in_its_state_folder_and_an_account_in_its_bucket(tmp_path: Path) -> None:
    here = Environment.load("local", environ={"LEANDATA_STATE": str(tmp_path / "state")}, root=ROOT)
    assert Store.of(here).place == str(tmp_path / "state")


# -- manifests ---------------------------------------------------------------------------------------------------------


def test_releases_come_back_the_oldest_first_in_whichever_order_they_were_written(store: Store) -> None:
    made = [release(day, commit=commit) for day, commit in ((3, A), (1, B), (2, A))]
    for one in made:
        keep(store, one)
    assert releases(store) == [made[1], made[2], made[0]]


def test_a_release_that_is_there_is_not_written_over_and_its_place_is_named(store: Store) -> None:
    keep(store, release())
    with pytest.raises(LeandataError) as refused:
        keep(store, release(who="eve"))
    assert str(refused.value) == f"there is already a release {release().id} ({store.place})"
    assert releases(store) == [release()]


@pytest.mark.parametrize(
    "key", ["README", "releases/notes.txt", "releases/latest.json", "releases/old/20261101T140200Z-aaaaaaa.json"]
)
def test_what_has_no_name_of_a_release_is_left_alone(store: Store, key: str) -> None:
    store.create(key, "not JSON")
    keep(store, release())
    assert releases(store) == [release()]


@given(
    lake=LAKES,
    images=st.dictionaries(WORDS, WORDS, max_size=3),
    notes=st.lists(st.text(max_size=20), max_size=3),
    stacks=st.lists(WORDS, max_size=3),
    uncommitted=st.booleans(),
    back_to=WORDS,
)
def test_any_release_is_read_as_it_was_written(
    lake: dict[str, Published], images: dict[str, str], notes: list[str], stacks: list[str], uncommitted: bool,
    back_to: str,
) -> None:  # fmt: skip
    made = release(
        lake=lake, images=images, notes=tuple(notes), stacks=tuple(stacks), uncommitted=uncommitted, back_to=back_to
    )
    assert Release.read(made.text()) == made


@pytest.mark.parametrize("left_out", sorted(set(json.loads(release().text())) - {"back_to"}))
def test_a_manifest_without_one_of_its_parts_is_damaged_and_its_place_is_named(left_out: str) -> None:
    found = json.loads(release().text())
    del found[left_out]
    with pytest.raises(LeandataError) as refused:
        Release.read(json.dumps(found), where="s3://state/x.json")
    assert str(refused.value) == "the manifest of a release is damaged (s3://state/x.json)"


@pytest.mark.parametrize(
    "changes",
    [
        {"lake": None},
        {"lake": {"raw x": 7}},
        {"lake": {"raw x": {"rows": 1}}},
        {"stacks": 7},
        {"notes": None},
        {"x": 1},
    ],
    ids=str,
)
def test_a_manifest_with_parts_of_another_form_is_damaged(changes: dict[str, Any]) -> None:
    with pytest.raises(LeandataError, match="the manifest of a release is damaged"):
        Release.read(json.dumps({**json.loads(release().text()), **changes}))


@pytest.mark.parametrize("schema", [0, SCHEMA + 1, "1", None])
def test_a_manifest_of_another_version_is_said_to_be_of_that_version(schema: Any) -> None:
    with pytest.raises(LeandataError) as refused:
        Release.read(json.dumps({**json.loads(release().text()), "schema": schema}), where="x.json")
    assert str(refused.value) == f"the release has the schema version {schema!r} (x.json)"


# -- names -------------------------------------------------------------------------------------------------------------


@given(commit=st.one_of(HASHES, st.just("")), moment=TIMES)
def test_every_release_gets_an_id_of_the_form_that_is_read(commit: str, moment: datetime) -> None:
    assert is_id(identify(commit, moment))


@given(days=st.lists(TIMES, min_size=2, max_size=4), commit=HASHES)
def test_ids_sort_as_their_moments_do(days: list[datetime], commit: str) -> None:
    found = [identify(commit, day) for day in sorted(days)]
    assert found == sorted(found)


@given(cut=st.integers(1, 24), index=st.integers(0, 2))
def test_a_release_is_named_by_any_beginning_of_its_id_that_is_its_own(cut: int, index: int) -> None:
    known = [release(1), release(2, commit=B), release(3, commit="c" * 40)]
    name = known[index].id[:cut]
    if sum(one.id.startswith(name) for one in known) == 1:
        assert named(known, name) is known[index]
    else:
        with pytest.raises(LeandataError, match=f"'{name}' names several releases"):
            named(known, name)


def test_a_commit_that_was_released_twice_names_the_later_one() -> None:
    known = [release(1), release(2, commit=B), release(3)]
    assert named(known, A) is known[2]
    assert named(known, known[0].id) is known[0], "its whole id names the earlier one"


def test_a_name_that_could_be_several_lists_them() -> None:
    known = [release(1), release(2, commit=B)]
    with pytest.raises(LeandataError) as refused:
        named(known, "2026")
    assert str(refused.value) == f"'2026' names several releases. {known[0].id}, {known[1].id}"


@pytest.mark.parametrize(
    ("known", "last"),
    [([], "Nothing was released yet"), ([release(1), release(2)], f"The newest is {release(2).id}")],
    ids=["none", "two"],
)
def test_a_name_of_no_release_is_told_with_the_newest_there_is(known: list[Release], last: str) -> None:
    with pytest.raises(LeandataError) as refused:
        named(known, "f00")
    assert str(refused.value) == f"there is no release 'f00'. {last}; make releases ENV=... lists them"


# -- differences -------------------------------------------------------------------------------------------------------


@given(lake=LAKES, other=LAKES, images=st.dictionaries(WORDS, WORDS, max_size=3))
def test_what_differs_is_the_same_from_both_sides(
    lake: dict[str, Published], other: dict[str, Published], images: dict[str, str]
) -> None:
    before, after = release(lake=lake), release(lake=other, images=images)
    there, back = compared(before, after), compared(after, before)
    assert [(what, new, old) for what, old, new in there] == back
    assert there == sorted(there)
    assert (there == []) is ((lake, {}) == (other, images))


def test_what_only_one_release_has_is_a_dash_in_the_other() -> None:
    lake = {"raw shop.orders": Published(slices=1, rows=2, newest="r")}
    after = release(images={"api": "v2"}, model="m7", uncommitted=True, lake=lake)
    assert compared(release(), after) == [
        ("image api", "-", "v2"),
        ("lake raw shop.orders", "-", "1 slices, 2 rows, r"),
        ("model", "-", "m7"),
        ("uncommitted", "no", "yes"),
    ]


def test_where_a_commit_runs_is_asked_of_the_newest_release_of_each_environment() -> None:
    asked: list[tuple[str, str]] = []

    def contains(released: str, change: str) -> bool:
        asked.append((released, change))
        return released == B

    assert where("c", {"prod": release(commit=B), "dev": release(commit=A)}, contains) == {"dev": False, "prod": True}
    assert asked == [(A, "c"), (B, "c")]


# -- the way back ------------------------------------------------------------------------------------------------------

CHOOSE = "Choose one that was deployed from a commit: make releases"
MAILS = Kept(what="mails that were sent", why="they are with their readers; a wrong figure needs a second mail")


def changed(*parts: tuple[str, Any, str, str]) -> list[StackChanges]:
    return [
        StackChanges(
            stack=stack, reasons=(), same=0, changes=(Change(stack=stack, urn=name, type=type_, name=name, op=op),)
        )
        for stack, op, type_, name in parts
    ]


def test_the_same_release_again_takes_back_nothing_but_cannot_call_mails_back() -> None:
    assert not_undone(release(1), current=release(2), changes=[]) == [MAILS]


def test_every_loss_is_named_by_stack_and_name_with_what_happens_to_its_data() -> None:
    bucket = "aws:s3/bucket:Bucket"
    parts = [("lake", "replace", bucket, "z"), ("lake", "delete", bucket, "a"), ("backup", "delete", bucket, "m")]
    found = not_undone(release(1), current=release(2), changes=changed(*parts))
    assert [(one.what, one.why) for one in found[:-1]] == [
        ("backup: Bucket m", "deleted with its data"),
        ("lake: Bucket a", "deleted with its data"),
        ("lake: Bucket z", "replaced with its data"),
    ]


@pytest.mark.parametrize(
    ("before", "now", "said"),
    [
        (None, Published(slices=1, rows=5, newest="r1"), "raw x: written since, +5 rows, newest run r1"),
        (
            Published(slices=1, rows=5, newest="r1"),
            Published(slices=1, rows=3, newest="r2"),
            "raw x: written since, -2 rows, newest run r2",
        ),
        (
            Published(slices=1, rows=5, newest="r1"),
            Published(slices=1, rows=5, newest="r2"),
            "raw x: written since, +0 rows, newest run r2",
        ),
        (Published(slices=1, rows=5, newest="r1"), Published(slices=1, rows=5, newest="r1"), None),
    ],
)
def test_what_was_written_since_is_said_and_what_was_not_is_not(
    before: Published | None, now: Published, said: str | None
) -> None:
    target = release(1, lake={} if before is None else {"raw x": before})
    found = not_undone(target, current=release(2, lake={"raw x": now}), changes=[])
    assert [one.what for one in found[:-1]] == ([said] if said else [])


def test_tables_can_be_looked_at_as_they_were_when_the_current_release_came() -> None:
    now = release(2, dbt="sha256:other")
    (tables, _) = not_undone(release(1), current=now, changes=[])
    assert f"AT (TIMESTAMP => '{now.warehouse}')" in tables.why


@pytest.mark.parametrize(
    ("serials", "said"),
    [
        ({"airflow": "1", "database": "1"}, []),
        ({"airflow": "2", "database": "1"}, ["migrations of airflow"]),
        ({"airflow": "2", "database": "2"}, ["migrations of airflow, database"]),
        ({"airflow": "1"}, ["migrations of database"]),
        ({"airflow": "1", "database": "1", "api": "9"}, []),
    ],
)
def test_only_stacks_that_migrate_their_schema_have_migrations(serials: dict[str, str], said: list[str]) -> None:
    target = release(1, serials={"airflow": "1", "database": "1"})
    found = not_undone(target, current=release(2, serials=serials), changes=[])
    assert [one.what for one in found[:-1]] == said


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"environment": "prod", "uncommitted": True}, "{id} is a release of prod, not of local"),
        (
            {"uncommitted": True, "commit": ""},
            f"{{id}} was deployed with uncommitted work, which is nowhere written down. {CHOOSE}",
        ),
        ({"commit": ""}, "{id} was deployed without git: nobody knows its commit"),
        ({"id": release(2).id}, "{id} is what runs now: there is nothing to bring back"),
    ],
    ids=["environment", "uncommitted", "commit", "current"],
)
def test_the_first_reason_against_a_way_back_is_one_line(changes: dict[str, Any], said: str) -> None:
    target = release(1, **changes)
    with pytest.raises(LeandataError) as refused:
        demand_possible(target, current=release(2), environment="local")
    assert str(refused.value) == said.format(id=target.id)


def test_an_older_release_can_be_brought_back_also_one_of_the_same_commit() -> None:
    demand_possible(release(1), current=release(2), environment="local")
    demand_possible(release(1, back_to=release(2).id), current=release(3, commit=B), environment="local")


# -- digests and the lake ----------------------------------------------------------------------------------------------


def tree(root: Path, **files: str) -> str:
    for name, text in files.items():
        path = root / "dbt" / name.replace("_", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return digest(root, [root / "dbt"])


def test_a_digest_is_the_same_wherever_the_files_lie(tmp_path: Path) -> None:
    assert tree(tmp_path / "one", a="1", m_b="2") == tree(tmp_path / "two", m_b="2", a="1")


@pytest.mark.parametrize(
    "files",
    [{"a": "2", "m_b": "2"}, {"a": "1"}, {"c": "1", "m_b": "2"}, {"a": "1", "m_c": "2"}, {"a": "12", "m_b": ""}],
)
def test_a_digest_is_another_for_other_bytes_names_or_files(tmp_path: Path, files: dict[str, str]) -> None:
    assert tree(tmp_path / "one", a="1", m_b="2") != tree(tmp_path / "two", **files)


def test_what_python_leaves_behind_is_no_part_of_a_digest(tmp_path: Path) -> None:
    before = tree(tmp_path, a="1")
    (tmp_path / "dbt" / "__pycache__").mkdir()
    (tmp_path / "dbt" / "__pycache__" / "a.pyc").write_bytes(b"x")
    assert digest(tmp_path, [tmp_path / "dbt"]) == before


def test_a_place_that_is_not_there_is_an_empty_one(tmp_path: Path) -> None:
    assert digest(tmp_path, [tmp_path / "none"]) == digest(tmp_path, [])


def test_without_a_lake_nothing_is_published_and_nothing_is_noted() -> None:
    notes: list[str] = []
    assert (published({}, notes), model("", notes), notes) == ({}, "", [])
