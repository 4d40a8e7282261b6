"""An artifact that is damaged in any way is refused in one line: the poster never ends with another error."""

from __future__ import annotations

import io
import json
import stat
import zipfile
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ci.comment.artifact import UNZIPPED, ZIPPED, RefusedError, preview_file
from ci.comment.reading import preview
from ci.preview.document import document, text
from ci.preview.report import Budget, Money, MoneyLine
from ci.tests.comment.artifacts import archive, changing, unchanged, zipped
from ci.tests.comment.fake_github import COMMIT

GOOD = document(changing())
PACKED = zipped(changing())
NAMES = st.text(st.sampled_from("ab./\\:-_ é"), min_size=1, max_size=12)
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=8),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
)


def read(data: bytes) -> Any:
    return preview(data, environment="prod", commit=COMMIT)


def said(data: bytes) -> str:
    with pytest.raises(RefusedError) as raised:
        preview_file(data)
    return raised.value.what


def places(found: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path to every value of a document, at whatever depth."""
    inner = found.items() if isinstance(found, dict) else enumerate(found) if isinstance(found, list) else ()
    return [place for key, value in inner for place in ((*path, key), *places(value, (*path, key)))]


PLACES = places(json.loads(json.dumps(GOOD)))


def altered(place: tuple[Any, ...], value: Any) -> bytes:
    whole = json.loads(json.dumps(GOOD))
    inside = whole
    for key in place[:-1]:
        inside = inside[key]
    inside[place[-1]] = value
    return json.dumps(whole).encode()


@given(st.integers(0, len(PACKED) - 1), st.integers(1, 255))
@settings(max_examples=120)
def test_a_zip_file_with_one_other_byte_is_read_or_refused(place: int, other: int):
    data = bytearray(PACKED)
    data[place] ^= other
    try:
        found = preview_file(bytes(data))
    except RefusedError:
        return
    # What the checksum does not cover may differ; what is read is what was packed.
    assert found == json.dumps(GOOD).encode()


@given(st.integers(0, len(PACKED) - 1))
@settings(max_examples=50)
def test_a_zip_file_that_was_cut_is_refused(length: int):
    assert said(PACKED[:length]) == "the artifact is no zip file that can be read"


@given(st.binary(max_size=200))
@settings(max_examples=50)
def test_bytes_that_are_no_zip_file_are_refused(data: bytes):
    assert said(data) == "the artifact is no zip file that can be read"


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED], ids=["stored", "deflated"])
def test_both_ways_in_which_github_packs_are_read(method: int):
    assert preview_file(archive({"preview.json": b"{}"}, method=method)) == b"{}"


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA], ids=["bzip2", "lzma"])
def test_another_way_of_packing_is_refused(method: int):
    data = archive({"preview.json": b"{}" * 100}, method=method)
    assert said(data) == "the artifact is packed in a way that GitHub does not use"


def test_a_damaged_stream_of_another_way_of_packing_is_refused_too():
    data = bytearray(archive({"preview.json": b"{}" * 100}, method=zipfile.ZIP_LZMA))
    at = data.find(b"preview.json") + len("preview.json") + 9
    data[at : at + 8] = b"\xff" * 8
    assert said(bytes(data)) == "the artifact is packed in a way that GitHub does not use"


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("../x", "names a file outside itself"),
        ("a/../../x", "names a file outside itself"),
        ("/x", "names a file outside itself"),
        ("a\\x", "names a file outside itself"),
        ("C:x", "names a file outside itself"),
        ("./preview.json", "holds no files preview.json"),
        ("deep/preview.json", "holds no files preview.json"),
        ("PREVIEW.JSON", "holds no files preview.json"),
        ("preview.json/", "holds no files preview.json"),
        ("..x", "holds no files preview.json"),
    ],
)
def test_only_a_file_at_the_top_with_just_this_name_is_taken(name: str, why: str):
    assert said(archive({name: b"{}"})) == f"the artifact {why}"


@given(NAMES)
@settings(max_examples=50)
def test_whatever_stands_beside_it_the_preview_is_read_or_the_whole_is_refused(name: str):
    data = archive({"preview.json": b"[1]", f"{name}x": b"[2]"})
    if ".." in f"{name}x".split("/") or name[0] == "/" or any(sign in name for sign in "\\:"):
        assert said(data) == "the artifact names a file outside itself"
    else:
        assert preview_file(data) == b"[1]"


@pytest.mark.parametrize(("others", "taken"), [(49, True), (50, False)])
def test_fifty_files_are_read_and_one_more_is_refused(others: int, taken: bool):
    data = archive({"preview.json": b"{}", **{f"{number}": b"" for number in range(others)}})
    if taken:
        assert preview_file(data) == b"{}"
    else:
        assert said(data) == "the artifact holds too many files"


@pytest.mark.parametrize(
    ("kind", "why"),
    [
        (0, ""),
        (stat.S_IFREG, ""),
        (stat.S_IFLNK, "the artifact holds a link or a device"),
        (stat.S_IFIFO, "the artifact holds a link or a device"),
        (stat.S_IFSOCK, "the artifact holds a link or a device"),
        (stat.S_IFBLK, "the artifact holds a link or a device"),
    ],
    ids=["nothing said", "file", "link", "pipe", "socket", "device"],
)
def test_what_stands_beside_the_preview_is_a_file_too(kind: int, why: str):
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as made:
        made.writestr("preview.json", b"{}")
        beside = zipfile.ZipInfo("beside")
        beside.external_attr = (kind | 0o644 if kind else 0) << 16
        made.writestr(beside, b"x")
    if why:
        assert said(held.getvalue()) == why
    else:
        assert preview_file(held.getvalue()) == b"{}"


@pytest.mark.parametrize(("size", "taken"), [(UNZIPPED, True), (UNZIPPED + 1, False)])
def test_a_preview_of_twenty_million_bytes_is_read_and_one_more_is_refused(size: int, taken: bool):
    data = archive({"preview.json": b" " * size})
    if taken:
        assert len(preview_file(data)) == size
    else:
        assert said(data) == "the preview is too large"


def test_an_artifact_larger_than_its_limit_is_not_even_opened():
    assert said(PACKED.rjust(ZIPPED + 1, b"\0")) == "the artifact is too large"


@given(st.sampled_from(PLACES), VALUES)
@settings(max_examples=60)
def test_a_preview_with_one_other_value_is_refused_or_says_what_it_holds(place: tuple[Any, ...], value: Any):
    data = altered(place, value)
    try:
        found = read(data)
    except RefusedError:
        return
    # Taken: then what will be shown, written out again, is the file.
    assert json.loads(text(found)) == json.loads(data)


@pytest.mark.parametrize("key", sorted(GOOD))
def test_a_preview_that_lacks_a_part_is_refused(key: str):
    whole = {name: value for name, value in GOOD.items() if name != key}
    with pytest.raises(RefusedError) as raised:
        read(json.dumps(whole).encode())
    assert raised.value.what == "the preview breaks its schema at required"


@pytest.mark.parametrize("key", sorted(set(GOOD["totals"])))
def test_a_preview_that_counts_otherwise_contradicts_itself(key: str):
    totals = {**GOOD["totals"], key: GOOD["totals"][key] + 1}
    with pytest.raises(RefusedError, match="contradicts itself in totals"):
        read(json.dumps({**GOOD, "totals": totals}).encode())


def test_what_money_comes_to_is_added_up_here_and_not_believed():
    money = Money(
        lines=(MoneyLine(stack="lake", service="api", base=1.0, head=9.0),),
        budgets=(Budget(service="api", allowed=5.0, base=1.0, head=9.0),),
        not_priced=("x",),
        origin="list",
    )
    whole = json.loads(json.dumps(document(changing(money=money))))
    whole["money"]["monthly_usd"] = {"base": 0.0, "head": 0.0, "difference": 0.0}
    whole["money"]["budgets"][0]["over"] = False
    found = read(json.dumps(whole).encode())
    assert (found.money.base, found.money.head, found.money.budgets[0].over) == (1.0, 9.0, True)


@pytest.mark.parametrize(("levels", "why"), [(55, "breaks its schema"), (70, "is nested too deeply")])
def test_lists_within_lists_are_looked_at_down_to_a_depth(levels: int, why: str):
    data = json.dumps(GOOD).replace('"notes": []', f'"notes": {"[" * levels}{"]" * levels}').encode()
    with pytest.raises(RefusedError, match=why):
        read(data)


@pytest.mark.parametrize("word", ["NaN", "Infinity", "-Infinity"])
def test_a_number_that_json_does_not_have_is_refused(word: str):
    with pytest.raises(RefusedError, match="the preview is no JSON"):
        read(json.dumps(GOOD).replace('"agreed": 0', f'"agreed": {word}').encode())


@pytest.mark.parametrize("data", [b"[]", b'"x"', b"1", b"null", b"true"])
def test_what_is_no_object_is_refused(data: bytes):
    with pytest.raises(RefusedError) as raised:
        read(data)
    assert raised.value.what == "the preview is no JSON object"


def test_a_preview_is_only_of_the_environment_and_the_commit_that_were_asked_for():
    data = json.dumps(document(unchanged())).encode()
    with pytest.raises(RefusedError, match="the preview is not of staging"):
        preview(data, environment="staging", commit=COMMIT)
    with pytest.raises(RefusedError, match="the preview is not of the commit cccccccccc"):
        preview(data, environment="prod", commit="c" * 40)
