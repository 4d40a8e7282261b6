"""A manifest says all that a backup holds, is read as it was written, and is refused in one line when it cannot be."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ci.backup.manifest import (
    PARTS,
    BackupError,
    Manifest,
    PartRecord,
    Piece,
    demand_whole,
    differences,
    digest,
    piece,
)

MOMENT = "2026-11-25T12:00:00.000000+00:00"
EMPTY = hashlib.sha256(b"").hexdigest()


def manifest(**parts: PartRecord) -> Manifest:
    return Manifest(
        environment="local", commit="c0ffee", started=MOMENT, finished=MOMENT, state="/state", recipient="r", parts=parts
    )  # fmt: skip


def written(folder: Path, *, text: str) -> Path:
    """A manifest of this text whose checksum is right."""
    (folder / "manifest.json").write_text(text, encoding="utf-8")
    (folder / "manifest.sha256").write_text(hashlib.sha256(text.encode()).hexdigest() + "\n")
    return folder


def changed(folder: Path, **changes: Any) -> Path:
    """A manifest that says these things otherwise, with the right checksum."""
    part = PartRecord(taken=MOMENT, pieces=(Piece(path="lake/one", size=0, sha256=EMPTY),))
    manifest(lake=part).write(folder)
    return written(folder, text=json.dumps({**json.loads((folder / "manifest.json").read_text()), **changes}))


def refused(folder: Path) -> str:
    with pytest.raises(BackupError) as told:
        Manifest.read(folder, environment="local")
    return str(told.value)


# -- written and read --------------------------------------------------------------------------------------------------

NAMES = st.sampled_from(["a", "b", "RAW.SHOP.ORDERS", "ü"])
SUMS = st.dictionaries(NAMES, st.sampled_from(["0", "1.10", "1.1", "-7.005"]), max_size=2)
TOTALS = st.dictionaries(NAMES, st.fixed_dictionaries({"rows": st.integers(min_value=0), "sums": SUMS}), max_size=3)
PIECES = st.lists(
    st.builds(
        Piece,
        path=st.text(alphabet="abcä/#=.-", min_size=1, max_size=12).filter(lambda p: p[0] != "/" and ".." not in p),
        size=st.integers(min_value=0),
        sha256=st.just(EMPTY),
    ),
    max_size=3,
).map(tuple)
RECORDS = st.dictionaries(
    st.sampled_from(PARTS), st.builds(PartRecord, taken=st.just(MOMENT), pieces=PIECES, totals=TOTALS)
)


@given(parts=RECORDS)
@settings(max_examples=25)
def test_every_manifest_is_read_as_it_was_written(
    tmp_path_factory: pytest.TempPathFactory, parts: dict[str, PartRecord]
) -> None:
    folder = tmp_path_factory.mktemp("backup")
    manifest(**parts).write(folder)
    assert Manifest.read(folder, environment="local") == manifest(**parts)


def test_the_same_backup_is_written_to_the_same_bytes_whatever_the_order_of_its_parts(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    record = PartRecord(taken=MOMENT, pieces=(), totals={"b": {"rows": 1, "sums": {}}, "a": {"rows": 2, "sums": {}}})
    for folder, names in ((one, ("lake", "state")), (two, ("state", "lake"))):
        folder.mkdir()
        manifest(**dict.fromkeys(names, record)).write(folder)
    assert [path.read_bytes() for path in sorted(one.iterdir())] == [
        path.read_bytes() for path in sorted(two.iterdir())
    ]


def test_the_checksum_beside_it_is_that_of_sha256sum(tmp_path: Path) -> None:
    manifest().write(tmp_path)
    text = (tmp_path / "manifest.json").read_bytes()
    assert (tmp_path / "manifest.sha256").read_text() == hashlib.sha256(text).hexdigest() + "\n"


def test_sizes_add_up_over_files_and_parts() -> None:
    sizes = {"database": (1, 20), "lake": (300,), "state": ()}
    parts = {
        name: PartRecord(taken=MOMENT, pieces=tuple(Piece(path=str(n), size=n, sha256=EMPTY) for n in found))
        for name, found in sizes.items()
    }
    assert {name: part.size for name, part in parts.items()} == {"database": 21, "lake": 300, "state": 0}
    assert manifest(**parts).size == 321


# -- refused -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [2, 10**30])
def test_a_newer_version_says_with_what_it_can_be_restored(tmp_path: Path, version: int) -> None:
    assert refused(changed(tmp_path, version=version)) == (
        f"the backup has version {version}, newer than 1."
        " Restore it with the version of the code that made it, or a newer one"
    )


@pytest.mark.parametrize("version", [0, -1, None, "1", 1.0, True, [1]], ids=repr)
def test_a_version_that_never_was_is_damage(tmp_path: Path, version: Any) -> None:
    expected = f"the manifest is damaged ({tmp_path / 'manifest.json'}). Restore another backup"
    assert refused(changed(tmp_path, version=version)) == expected


def test_a_backup_of_another_environment_names_the_right_one(tmp_path: Path) -> None:
    assert refused(changed(tmp_path, environment="dev")) == "the backup is of dev, not of local. ENV=dev"


@pytest.mark.parametrize("text", ["", "{", "{]", "nul", "[" * 100_000], ids=["none", "cut", "wrong", "word", "deep"])
def test_what_is_no_json_is_damaged(tmp_path: Path, text: str) -> None:
    expected = f"the manifest is damaged ({tmp_path / 'manifest.json'}). Restore another backup"
    assert refused(written(tmp_path, text=text)) == expected


@pytest.mark.parametrize("text", ["[]", "1", "null", '"leandata-backup"', "{}", '{"format": "tar"}'])
def test_what_is_json_of_something_else_is_no_backup(tmp_path: Path, text: str) -> None:
    expected = f"this is no backup of a leandata environment ({tmp_path / 'manifest.json'})"
    assert refused(written(tmp_path, text=text)) == expected


@pytest.mark.parametrize("lost", ["manifest.json", "manifest.sha256"])
def test_without_manifest_or_checksum_it_was_interrupted(tmp_path: Path, lost: str) -> None:
    manifest().write(tmp_path)
    (tmp_path / lost).unlink()
    assert refused(tmp_path) == (
        f"the backup is incomplete: it has no manifest ({tmp_path})."
        " It was interrupted, or is no backup; take another one"
    )


def test_a_file_in_place_of_a_folder_is_no_backup(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    expected = f"there is no such backup ({tmp_path / 'file'}). FROM is the folder of one backup"
    assert refused(tmp_path / "file") == expected


PIECE = {"path": "lake/one", "size": 0, "sha256": EMPTY}
DAMAGED: dict[str, Any] = {
    "parts are a list": [],
    "a part is nothing": {"lake": None},
    "a part is a text": {"lake": "all"},
    "a part has no files": {"lake": {"taken": MOMENT, "totals": {}}},
    "a part has no moment": {"lake": {"pieces": [], "totals": {}}},
    "a part has no totals": {"lake": {"taken": MOMENT, "pieces": []}},
    "files are a number": {"lake": {"taken": MOMENT, "pieces": 1, "totals": {}}},
    "a file is a text": {"lake": {"taken": MOMENT, "pieces": ["lake/one"], "totals": {}}},
    "a file has no size": {"lake": {"taken": MOMENT, "pieces": [{"path": "a", "sha256": EMPTY}], "totals": {}}},
    "a file has a mode": {"lake": {"taken": MOMENT, "pieces": [{**PIECE, "mode": 1}], "totals": {}}},
    "a path is a number": {"lake": {"taken": MOMENT, "pieces": [{**PIECE, "path": 1}], "totals": {}}},
}


@pytest.mark.parametrize("case", DAMAGED)
def test_parts_that_are_not_as_they_are_written_are_damage(case: str, tmp_path: Path) -> None:
    expected = f"the manifest is damaged ({tmp_path / 'manifest.json'}). Restore another backup"
    assert refused(changed(tmp_path, parts=DAMAGED[case])) == expected


@pytest.mark.parametrize("path", ["/etc/passwd", "../one", "lake/../../one", "lake/.."])
def test_a_file_outside_of_the_backup_is_never_looked_at(tmp_path: Path, path: str) -> None:
    parts = {"lake": {"taken": MOMENT, "pieces": [{**PIECE, "path": path}], "totals": {}}}
    assert refused(changed(tmp_path, parts=parts)) == f"the manifest names a file outside of the backup: {path}"


# -- whole or not ------------------------------------------------------------------------------------------------------


@pytest.fixture
def whole(tmp_path: Path) -> tuple[Path, Manifest]:
    """A backup of two parts with three files."""
    parts: dict[str, PartRecord] = {}
    for part, names in {"database": ("shop.dump",), "lake": ("a", "b")}.items():
        (tmp_path / part).mkdir()
        for name in names:
            (tmp_path / part / name).write_text(f"text of {name}")
        parts[part] = PartRecord(taken=MOMENT, pieces=tuple(piece(tmp_path, tmp_path / part / name) for name in names))
    return tmp_path, manifest(**parts)


def test_a_whole_backup_has_no_problems(whole: tuple[Path, Manifest]) -> None:
    folder, found = whole
    demand_whole(found, folder, ("database", "lake"))
    assert list(found.problems(folder, ("database", "lake"))) == []


def test_every_problem_is_named_and_the_error_counts_those_after_the_first(whole: tuple[Path, Manifest]) -> None:
    folder, found = whole
    (folder / "database" / "shop.dump").unlink()
    (folder / "lake" / "a").write_text("text of A")
    (folder / "lake" / "b").write_text("")
    assert list(found.problems(folder, ("database", "lake"))) == [
        "database/shop.dump is lost",
        "lake/a is damaged: its checksum differs",
        "lake/b has 0 bytes instead of 9",
    ]
    with pytest.raises(BackupError) as told:
        demand_whole(found, folder, ("database", "lake"))
    assert str(told.value) == (
        f"the backup is damaged: database/shop.dump is lost (and 2 more) ({folder}). Restore another backup"
    )


def test_damage_of_a_part_that_is_not_wanted_does_not_stop_the_others(whole: tuple[Path, Manifest]) -> None:
    folder, found = whole
    (folder / "lake" / "a").unlink()
    demand_whole(found, folder, ("database",))
    with pytest.raises(BackupError) as told:
        demand_whole(found, folder, ("lake",))
    assert str(told.value) == f"the backup is damaged: lake/a is lost ({folder}). Restore another backup"


def test_a_folder_in_place_of_a_file_is_a_lost_file(whole: tuple[Path, Manifest]) -> None:
    folder, found = whole
    (folder / "lake" / "a").unlink()
    (folder / "lake" / "a").mkdir()
    assert list(found.problems(folder, ("lake",))) == ["lake/a is lost"]


def test_a_part_that_was_not_backed_up_is_named_with_those_that_were(whole: tuple[Path, Manifest]) -> None:
    folder, found = whole
    with pytest.raises(BackupError) as told:
        demand_whole(found, folder, ("warehouse", "lake", "state"))
    assert str(told.value) == f"the backup has no part state ({folder}). It has: database, lake"


def test_files_beside_those_of_the_manifest_do_no_harm(whole: tuple[Path, Manifest]) -> None:
    folder, found = whole
    (folder / "lake" / "notes").write_text("mine")
    demand_whole(found, folder, ("database", "lake"))


@pytest.mark.parametrize("size", [0, 1, 2**20 - 1, 2**20, 2**20 + 1])
def test_a_digest_is_that_of_the_whole_file_however_large(tmp_path: Path, size: int) -> None:
    data = bytes(range(256)) * (size // 256) + bytes(size % 256)
    (tmp_path / "file").write_bytes(data)
    assert digest(tmp_path / "file") == hashlib.sha256(data).hexdigest()
    assert piece(tmp_path, tmp_path / "file") == Piece(path="file", size=size, sha256=hashlib.sha256(data).hexdigest())


# -- totals ------------------------------------------------------------------------------------------------------------


@given(totals=TOTALS)
@settings(max_examples=25)
def test_totals_do_not_differ_from_themselves(totals: dict[str, Any]) -> None:
    assert differences(totals, json.loads(json.dumps(totals))) == []


@given(before=TOTALS, after=TOTALS)
@settings(max_examples=40)
def test_every_table_that_differs_is_named_and_no_other_in_the_same_order_either_way(
    before: dict[str, Any], after: dict[str, Any]
) -> None:
    unlike = [name for name in sorted({*before, *after}) if before.get(name) != after.get(name)]
    for said in (differences(before, after), differences(after, before)):
        named = [name for name in unlike if any(line.startswith((f"{name}: ", f"{name} is ")) for line in said)]
        assert named == unlike
        assert bool(said) == bool(unlike)


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ({"usd": "1.10"}, {"usd": "1.1"}, ["t: usd adds up to 1.1 instead of 1.10"]),
        ({"usd": "1.10"}, {}, ["t: usd adds up to None instead of 1.10"]),
        ({}, {"eur": "2"}, ["t: eur adds up to 2 instead of None"]),
        (
            {"b": "1", "a": "1"},
            {"a": "2", "b": "2"},
            ["t: a adds up to 2 instead of 1", "t: b adds up to 2 instead of 1"],
        ),
    ],
)
def test_a_sum_is_compared_to_the_last_digit_of_its_text(
    before: dict[str, str], after: dict[str, str], said: list[str]
) -> None:
    assert differences({"t": {"rows": 1, "sums": before}}, {"t": {"rows": 1, "sums": after}}) == said


def test_an_empty_table_is_not_a_lost_one() -> None:
    empty = {"t": {"rows": 0, "sums": {}}}
    assert differences(empty, {}) == ["t is lost"]
    assert differences({}, empty) == ["t is new"]
