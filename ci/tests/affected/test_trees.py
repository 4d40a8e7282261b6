"""Trees of small checkouts: who reads whom on either side, names with wild cards, ways, what git keeps of odd files."""

from __future__ import annotations

import itertools
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ci.affected.changes import Changes, changes
from ci.affected.locked import differences, group_of
from ci.affected.tree import Tree, closure, importable, naming, way
from ci.verbs.affected import lines

NODES = st.integers(0, 9).map(str)
GRAPHS = st.dictionaries(NODES, st.sets(NODES, max_size=4), max_size=10)


def tree(folder: Path, now: dict[str, str], old: dict[str, str] | None = None) -> Tree:
    """The tree of a change: `now` lies in the folder, `old` is what the changed files held before."""
    for path, text in now.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    before = {path: text.encode() for path, text in (old or {}).items()}
    return Tree.of(
        Changes(
            root=folder,
            commit="0" * 40,
            before=frozenset({*now, *before}) if old is None else frozenset(before),
            after=frozenset(now),
            changed=frozenset(before),
            old=before,
        )
    )


def test_an_import_counts_on_whichever_side_it_stands(tmp_path: Path) -> None:
    found = tree(
        tmp_path, {"a.py": "import c\n", "b.py": "", "c.py": ""}, {"a.py": "import b\n", "b.py": "", "c.py": ""}
    )
    assert found.imported("a.py") == {"b.py", "c.py"}


def test_a_module_that_was_deleted_is_still_what_others_read(tmp_path: Path) -> None:
    found = tree(tmp_path, {"a.py": "import gone\n"}, {"a.py": "import gone\n", "gone.py": "x = 1\n"})
    assert found.imported("a.py") == {"gone.py"}


def test_an_import_reads_the_packages_above_it(tmp_path: Path) -> None:
    texts = {
        "a.py": "from top.mid import leaf\n",
        "top/__init__.py": "",
        "top/mid/__init__.py": "",
        "top/mid/leaf.py": "",
    }
    assert tree(tmp_path, texts).imported("a.py") == set(texts) - {"a.py"}


def test_who_loads_a_module_of_a_package_by_its_name_reads_them_all(tmp_path: Path) -> None:
    texts = {
        "services/web/shown/page.py": "import importlib\nimportlib.import_module(f'shown.pages.{name}')\n",
        "services/web/shown/pages/sales.py": "",
        "services/web/shown/pages/model.py": "",
        "services/web/shown/pages/sales.css": "",
        "services/web/shown/pages/deeper/more.py": "",
        "services/web/shown/parts.py": "",
    }
    found = tree(tmp_path, texts)
    assert found.imported("services/web/shown/page.py") == {
        "services/web/shown/pages/model.py",
        "services/web/shown/pages/sales.py",
    }


def test_a_library_and_oneself_are_no_files_of_ours(tmp_path: Path) -> None:
    found = tree(tmp_path, {"a.py": "import a, json, pydantic.main\n"})
    assert found.imported("a.py") == set()
    assert found.resolve("json") == found.resolve("pydantic.main") == ()


def test_a_file_that_is_not_python_or_not_there_imports_nothing(tmp_path: Path) -> None:
    found = tree(tmp_path, {"a.txt": "import b\n", "b.py": ""})
    assert found.imported("a.txt") == found.imported("nowhere.py") == found.started("a.txt") == set()


@pytest.mark.parametrize(
    ("place", "module"),
    [("shared/lib.py", "lib"), ("services/api/own.py", "own"), ("lib/__init__.py", "lib"), ("lib.py", "lib")],
)
def test_imports_start_from_the_top_from_what_is_shared_and_from_each_service(
    tmp_path: Path, place: str, module: str
) -> None:
    assert tree(tmp_path, {place: "", "services/api/x.py": f"import {module}\n"}).imported("services/api/x.py") == {
        place
    }


def test_the_same_name_in_two_services_is_read_in_both(tmp_path: Path) -> None:
    found = tree(tmp_path, {"services/a/own.py": "", "services/b/own.py": "", "x.py": "import own\n"})
    assert found.imported("x.py") == {"services/a/own.py", "services/b/own.py"}


def test_a_module_that_is_started_by_its_name_is_seen_with_its_main_file(tmp_path: Path) -> None:
    texts = {"a.py": 'RUN = ["python", "-m", "tool.mail"]\n', "tool/__init__.py": "", "tool/mail/__init__.py": ""}
    texts |= {"tool/mail/__main__.py": "", "other/__main__.py": ""}
    assert tree(tmp_path, texts).started("a.py") == set(texts) - {"a.py", "other/__main__.py"}


@pytest.mark.parametrize(("text", "started"), [('X = ["-m", "tool"]\n', {"tool.py"}), ('X = ["tool"]\n', set())])
def test_a_single_word_is_a_module_only_where_something_is_run_by_name(
    tmp_path: Path, text: str, started: set[str]
) -> None:
    assert tree(tmp_path, {"a.py": text, "tool.py": ""}).started("a.py") == started


def test_a_class_is_found_in_the_file_that_defines_it(tmp_path: Path) -> None:
    found = tree(
        tmp_path, {"in/a.py": "class A: ...\nclass B: ...\n", "in/b.py": "class C: ...\n", "out.py": "class D: ..."}
    )
    assert found.defines("in/") == {"A": "in/a.py", "B": "in/a.py", "C": "in/b.py"}


@pytest.mark.parametrize(
    ("pattern", "path", "kind"),
    [
        ("docs/*.md", "docs/a.md", "file"),
        ("docs/*.md", "docs/in/a.md", ""),
        ("docs/**/*.md", "docs/in/deep/a.md", "file"),
        ("docs/**/*.md", "docs/a.md", "file"),
        ("docs/**", "docs/in/a", "file"),
        ("docs", "docs/in/a.md", "folder"),
        ("docs/a?.md", "docs/ab.md", "file"),
        ("docs/a?.md", "docs/a/.md", ""),
        ("docs/a.md", "docs/a_md", ""),
        ("docs/{name}.md", "docs/known.md", "file"),
        ("docs/{name}.md", "docs/other.md", ""),
        ("docs/{what}.md", "docs/other.md", "file"),
        ("docs/a+(b).md", "docs/a+(b).md", "file"),
        ("docs/a", "docsy/a", ""),
    ],
)
def test_a_pattern_names_a_file_a_folder_or_nothing(pattern: str, path: str, kind: str) -> None:
    known = Tree(paths=frozenset(), facts={}, roots=("",), patterns={"reader.py": (pattern,)})
    found = naming(known, ["nobody.py", "reader.py"], path, words={"name": "known"})
    assert (("file" if found.file else "folder") if found else "") == kind
    assert found is None or (found.by, found.pattern) == ("reader.py", pattern)


def test_who_names_the_file_itself_goes_before_who_names_its_folder() -> None:
    patterns = {"a.py": ("docs",), "b.py": ("docs/x.md",), "c.py": ("docs/*.md",)}
    known = Tree(paths=frozenset(), facts={}, roots=("",), patterns=patterns)
    for readers, by in ((("a.py", "b.py", "c.py"), "b.py"), (("c.py", "b.py"), "c.py"), (("a.py",), "a.py")):
        found = naming(known, readers, "docs/x.md", words={})
        assert found is not None
        assert found.by == by


@given(graph=GRAPHS, starts=st.sets(NODES, max_size=3))
@settings(deadline=None, max_examples=60)
def test_what_is_reached_is_closed_and_every_way_leads_from_a_start_along_edges(
    graph: dict[str, set[str]], starts: set[str]
) -> None:
    reached = closure(starts, lambda node: graph.get(node, set()))
    assert starts <= set(reached)
    assert all(graph.get(node, set()) <= set(reached) for node in reached)
    for node in reached:
        steps = way(reached, node)
        assert (steps[0] in starts, steps[-1]) == (True, node)
        assert all(after in graph[before] for before, after in itertools.pairwise(steps))
        assert len(set(steps)) == len(steps)


@given(graph=GRAPHS, starts=st.lists(NODES, max_size=3))
@settings(deadline=None, max_examples=30)
def test_the_order_of_starts_changes_nothing(graph: dict[str, set[str]], starts: list[str]) -> None:
    def reached(given_: list[str]) -> list[tuple[str, str]]:
        return list(closure(given_, lambda node: graph.get(node, set())).items())

    assert reached(starts) == reached(starts[::-1]) == reached([*starts, *starts])


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("yaml.py", {"yaml"}),
        ("shared/yaml.py", {"yaml"}),
        ("shared/pulumi/__init__.py", {"pulumi"}),
        ("shared/pulumi/other.py", set()),
        ("docs/yaml.py", set()),
        ("yaml.txt", set()),
        ("", set()),
    ],
)
def test_only_what_lies_where_imports_start_can_hide_a_library(path: str, names: set[str]) -> None:
    assert importable([path], ("", "shared/")) - {"shared"} == names


@pytest.mark.parametrize(
    ("reasons", "said"),
    [
        (("one",), "  api  one"),
        (("one", "two"), "  api  one; two"),
        (("one", "two", "three"), "  api  one; two; and 1 more"),
        (tuple("abcdefg"), "  api  a; b; and 5 more"),
    ],
)
def test_two_reasons_are_told_and_how_many_more_there_are(reasons: tuple[str, ...], said: str) -> None:
    assert lines({"api": reasons}) == [said]


def test_names_stand_in_a_column_and_nothing_is_no_line() -> None:
    assert lines({"a": ("x",), "warehouse": ("y",)}) == ["  a          x", "  warehouse  y"]
    assert lines({}) == []


def git(root: Path, *arguments: str) -> None:
    command = ["git", "-c", "user.name=t", "-c", "user.email=t@example.invalid", "-C", str(root), *arguments]
    subprocess.run(command, check=True, capture_output=True)


HELD = {"empty": b"", "no end": b"x", "zero": b"a\0b\n\0", "like git": b"0123 blob 7\nabc\n", "raw": bytes(range(256))}


def test_the_old_content_of_every_file_is_kept_byte_by_byte(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", "-b", "main")
    for name, held in HELD.items():
        (tmp_path / name).write_bytes(held)
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-q", "-m", "one")
    for name in HELD:
        (tmp_path / name).write_bytes(b"other")
    found = changes(tmp_path, "HEAD")
    assert found.changed == set(HELD)
    assert found.old == HELD
    assert {found.now(name) for name in HELD} == {b"other"}


def test_a_file_that_became_a_folder_counts_by_all_its_names(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", "-b", "main")
    (tmp_path / "thing").write_text("file")
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-q", "-m", "one")
    (tmp_path / "thing").unlink()
    (tmp_path / "thing").mkdir()
    (tmp_path / "thing" / "inside").write_text("x")
    found = changes(tmp_path, "HEAD")
    assert {"thing", "thing/inside"} <= found.changed
    assert (found.now("thing"), found.now("thing/inside"), found.old["thing"]) == (None, b"x", b"file")


LOCK = '[[package]]\nname = "{name}"\nversion = "{version}"\nsource = {{ registry = "r" }}\n'
OWN = '[[package]]\nname = "own"\nversion = "1"\nsource = {{ virtual = "." }}\n[package.dev-dependencies]\ng = [{inside}]\n'
PROJECT = b'[project]\nname = "own"\n'


def lock(*packages: tuple[str, str], held: tuple[str, ...]) -> dict[str, bytes]:
    inside = ", ".join(f'{{ name = "{name}" }}' for name in held)
    text = OWN.format(inside=inside) + "".join(LOCK.format(name=name, version=version) for name, version in packages)
    return {"pyproject.toml": PROJECT, "uv.lock": text.encode()}


@pytest.mark.parametrize(
    ("old", "now", "said"),
    [
        (lock(held=()), lock(("a", "1"), held=("a",)), {"g": ("a absent -> 1",)}),
        (lock(("a", "1"), held=("a",)), lock(held=()), {"g": ("a 1 -> absent",)}),
        (lock(("a", "1"), held=("a",)), lock(("a", "1"), ("a", "2"), held=("a",)), {"g": ("a 1 -> 1+2",)}),
        (lock(("a", "1"), held=()), lock(("a", "2"), held=()), {}),
        (lock(("a", "1"), ("b", "1"), held=("a",)), lock(("b", "1"), ("a", "1"), held=("a",)), {}),
    ],
    ids=["came", "went", "twice", "held by nobody", "another order"],
)
def test_a_package_that_comes_goes_or_forks_is_said_with_both_versions(old: dict, now: dict, said: dict) -> None:
    found = differences(old, now)
    assert (found.groups, found.everything) == (said, "")


def test_packages_that_need_each_other_are_followed_once() -> None:
    ring = lock(("a", "1"), ("b", "1"), held=("a",))
    text = ring["uv.lock"].decode()
    for name, other in (("a", "b"), ("b", "a")):
        text = text.replace(
            f'name = "{name}"\nversion', f'name = "{name}"\ndependencies = [{{ name = "{other}" }}]\nversion'
        )
    now = text.replace('[{ name = "a" }]\nversion = "1"', '[{ name = "a" }]\nversion = "2"')
    assert now != text
    found = differences({**ring, "uv.lock": text.encode()}, {**ring, "uv.lock": now.encode()})
    assert found.groups == {"g": ("b 1 -> 2",)}


@pytest.mark.parametrize("missing", ["pyproject.toml", "uv.lock"])
def test_a_lock_or_project_that_is_missing_touches_everything(missing: str) -> None:
    whole = lock(("a", "1"), held=("a",))
    less = {name: text for name, text in whole.items() if name != missing}
    assert differences(less, whole).everything == "pyproject.toml or uv.lock cannot be read"
    assert differences(whole, less).everything == "pyproject.toml or uv.lock cannot be read"


@pytest.mark.parametrize(("text", "group"), [("--group api --group dash", "api"), ("--groups x", ""), ("--group", "")])
def test_the_first_group_that_is_named_is_the_one(text: str, group: str) -> None:
    assert group_of(text) == group
