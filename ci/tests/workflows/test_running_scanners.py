"""Scanners are run by what they look at, and whatever they print is a finding, nothing, or one clear line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ci.scanners import reading
from ci.scanners.reading import Found
from ci.scanners.run import run, scan
from ci.scanners.tools import NAMES, TOOLS, Tool, pinned, place
from infra.environment import ROOT
from leandata.errors import LeandataError

ONE = Found(place="a.sh:3", rule="SC2086", said="Quote it")
PRINTED = json.dumps([{"file": "a.sh", "line": 3, "code": 2086, "message": "Quote it"}])


def program(folder: Path, name: str, *, out: str = "", err: str = "", code: int = 0) -> Path:
    """A folder with a program of this name, that notes its words and prints what is said here."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "out").write_text(out)
    (folder / "err").write_text(err)
    made = folder / name
    lines = ["#!/bin/sh", f'printf "%s\\n" "$@" >> "{folder}/words"', f'cat "{folder}/out"', f'cat "{folder}/err" >&2']
    made.write_text("\n".join([*lines, f"exit {code}", ""]))
    made.chmod(0o755)
    return folder


def installed(cache: Path, name: str, **said: Any) -> None:
    """The scanner as it is when it was installed before, with another program in its place."""
    folder = cache / "tools" / place(name).name
    program(folder / "bin", name, **said)
    (folder / "ready").touch()


def words(folder: Path) -> list[str]:
    return (folder / "words").read_text().splitlines()


def tool(**more: Any) -> Tool:
    whole: dict[str, Any] = {"name": "shellcheck", "looks_at": "shell", "command": ("it", "--json"), **more}
    return Tool(**{"read": reading.shellcheck, **whole})


@pytest.mark.parametrize("of_folder", [False, True], ids=["files", "folders"])
def test_a_scanner_gets_its_files_or_each_of_their_folders_once(of_folder: bool, tmp_path: Path):
    bin_ = program(tmp_path, "it")
    files = [Path("b/2.sh"), Path("a/1.sh"), Path("b/1.sh")]
    run(bin_, tool(of_folder=of_folder), files)
    assert words(bin_) == ["--json", *(["a", "b"] if of_folder else ["b/2.sh", "a/1.sh", "b/1.sh"])]


@pytest.mark.parametrize("code", [0, 1, 2])
def test_what_a_scanner_prints_is_taken_however_it_ends(code: int, tmp_path: Path):
    bin_ = program(tmp_path, "it", out=PRINTED, err="a warning\n", code=code)
    assert run(bin_, tool(), [Path("a.sh")]) == PRINTED


def test_a_scanner_that_is_content_may_print_nothing(tmp_path: Path):
    assert run(program(tmp_path, "it", err="nothing to do\n"), tool(), [Path("a.sh")]) == ""


@pytest.mark.parametrize(
    ("err", "said"),
    [
        ("Traceback\n  line 1\nValueError: bad\n", "ValueError: bad"),
        ("", "no reason given"),
        ("\n \n", "no reason given"),
        ("x" * 500, "x" * 300),
    ],
    ids=["the last line", "nothing", "blank lines", "a long line"],
)
@pytest.mark.parametrize("out", ["", " \n"], ids=["silent", "blank"])
def test_a_scanner_that_fails_without_a_finding_is_an_error(err: str, said: str, out: str, tmp_path: Path):
    bin_ = program(tmp_path, "it", out=out, err=err, code=3)
    with pytest.raises(LeandataError) as raised:
        run(bin_, tool(), [Path("a.sh")])
    assert str(raised.value) == f"shellcheck fails: {said}"


def test_a_name_of_a_file_is_one_word_whatever_is_in_it(tmp_path: Path):
    bin_ = program(tmp_path, "it")
    run(bin_, tool(), [Path("a b;rm -rf $HOME.sh")])
    assert words(bin_) == ["--json", "a b;rm -rf $HOME.sh"]


@pytest.fixture(name="cache")
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LEANDATA_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_a_scanner_that_is_installed_scans_and_its_findings_are_sorted_each_once(cache: Path):
    rows = [{"file": "b.sh", "line": 1, "code": 1, "message": "m"}, *json.loads(PRINTED), *json.loads(PRINTED)]
    installed(cache, "shellcheck", out=json.dumps(rows), code=1)
    (found,) = scan({"shell": [Path("a.sh"), Path("b.sh")]}, subject="checkout", names=["shellcheck"])
    assert (found.tool, found.subject, found.files, found.waived) == ("shellcheck", "checkout", 2, 0)
    assert found.found == (ONE, Found(place="b.sh:1", rule="SC1", said="m"))


@pytest.mark.parametrize(
    ("files", "names"),
    [
        ({"shell": []}, ["shellcheck"]),
        ({}, ["shellcheck"]),
        ({"yaml": [Path("a.yml")]}, ["shellcheck"]),
        ({"shell": [Path("a.sh")]}, ["hadolint"]),
        ({"shell": [Path("a.sh")]}, []),
    ],
    ids=["no file", "no kind", "another kind", "another scanner", "no scanner"],
)
def test_a_scanner_without_files_or_that_was_not_asked_for_is_not_even_installed(files: Any, names: Any, cache: Path):
    assert scan(files, subject="checkout", names=names) == []
    assert not cache.exists()


def test_manifests_are_scanned_once_for_each_version_of_kubernetes(cache: Path):
    installed(cache, "kubernetes-validate")
    found = scan({"manifests": [Path("a.yaml")]}, subject="prod", names=["kubernetes-validate"])
    assert [one.tool for one in found] == ["kubernetes-validate"] * 3
    asked = words(cache / "tools" / place("kubernetes-validate").name / "bin")
    assert [asked[at + 1] for at, word in enumerate(asked) if word == "-k"] == ["1.33", "1.34", "1.35"]


@pytest.mark.parametrize(
    "out",
    [PRINTED[:20], "not\nJSON\n", "{}", '{"error": "x"}', "[7]", '[{"file": "a.sh"}]', '"text"', "7", "null"],
    ids=[
        "half",
        "two lines",
        "an object",
        "an error",
        "a number within",
        "a part missing",
        "a text",
        "a number",
        "null",
    ],
)
def test_a_scanner_that_prints_another_form_is_one_clear_line_and_no_pass(out: str, cache: Path):
    installed(cache, "shellcheck", out=out, code=1)
    with pytest.raises(LeandataError) as raised:
        scan({"shell": [Path("a.sh")]}, subject="checkout", names=["shellcheck"])
    assert raised.value.what.startswith("shellcheck says nothing that can be read: ")
    assert "\n" not in str(raised.value)


READERS: dict[str, Callable[[str], list[Found]]] = {one.name: one.read for one in TOOLS}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("text", ["", "\n"], ids=["nothing", "a line end"])
def test_silence_is_no_finding(name: str, text: str):
    if text and name not in ("kubernetes-validate", "parliament", "yamllint"):
        with pytest.raises(LeandataError, match=f"^{name} says nothing that can be read"):
            READERS[name](text)
    else:
        assert READERS[name](text) == []


@pytest.mark.parametrize("name", ["kubernetes-validate", "parliament", "yamllint"])
@given(st.text(st.sampled_from("abc :[](){}0.\n"), max_size=60))
@settings(max_examples=25)
def test_lines_of_another_kind_between_those_of_a_scanner_are_passed_over(name: str, text: str):
    lines = [line for line in text.splitlines() if not line.startswith("{")]
    line, one = {
        "kubernetes-validate": (
            "ERROR a.yaml did not validate for resource Pod.x against version 1.34: no",
            Found(place="a.yaml Pod.x", rule="schema 1.34", said="no"),
        ),
        "parliament": (
            '{"issue": "I", "title": "T", "location": {"filepath": "f"}}',
            Found(place="f", rule="I", said='T ""'),
        ),
        "yamllint": (
            "a.yml:3:1: [error] too long (line-length)",
            Found(place="a.yml:3", rule="line-length", said="too long"),
        ),
    }[name]
    assert READERS[name]("\n".join([*lines, line, *lines])) == [one]


def test_what_no_version_of_kubernetes_could_read_is_found_too():
    (found,) = reading.kubernetes_validate("ERROR a.yaml could not be validated: no kind")
    assert found == Found(place="a.yaml", rule="schema", said="no kind")


def test_a_finding_of_zizmor_without_a_place_is_still_one():
    (found,) = reading.zizmor('[{"ident": "x", "desc": "d", "locations": []}]')
    assert found == Found(place="?:0", rule="x", said="d")


@pytest.mark.parametrize(
    ("resource", "left"), [("RESOURCE_STAR", 0), ("MISMATCHED_TYPE_BUT_USABLE", 0), ("RESOURCE_MISMATCH", 1)]
)
def test_only_what_our_own_rules_judge_is_left_to_them(resource: str, left: int):
    assert len(reading.parliament(json.dumps({"issue": resource, "location": {}}))) == left


@pytest.mark.parametrize("name", [one for one in NAMES if (ROOT / "ci/scanners/pins" / f"{one}.txt").is_file()])
def test_where_a_scanner_is_installed_is_named_after_it_and_what_it_is_made_of(name: str, cache: Path):
    assert place(name).parent == cache / "tools"
    assert place(name).name.removeprefix(f"{name}-").isalnum()
    assert pinned(name)


def test_no_two_scanners_are_installed_in_one_place(cache: Path):
    assert len({place(name) for name in NAMES}) == len(NAMES)
    assert all(place(name).is_relative_to(cache) for name in NAMES)
