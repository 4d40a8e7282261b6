"""What a file says of others: imports, parts, modules it starts, files and folders it names."""

from __future__ import annotations

import ast
import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ci.affected.reading import Facts, is_module, read
from ci.affected.remembered import Remembered
from ci.affected.tree import TESTS
from ci.owners.codeowners import folders_of
from ci.verbs.owners import tracked
from infra.environment import ROOT


def facts(text: str, path: str = "infra/components/x.py") -> Facts:
    return read(text.encode(), path=path)


@pytest.mark.parametrize(
    ("text", "imports"),
    [
        ("import a.b", {"a.b"}),
        ("import a as z, b", {"a", "b"}),
        ("from a import b, c", {"a", "a.b", "a.c"}),
        ("from a.b import c as d", {"a.b", "a.b.c"}),
        ("from a import *", {"a", "a.*"}),
        ("def f():\n    import late", {"late"}),
        ("if x:\n    from a import b", {"a", "a.b"}),
        ("from . import near", {"infra.components", "infra.components.near"}),
        ("from .near import y", {"infra.components.near", "infra.components.near.y"}),
        ("from ..units import y", {"infra.units", "infra.units.y"}),
        ("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import a", {"typing", "typing.TYPE_CHECKING", "a"}),
        ("x = 'import y'", set()),
        ("", set()),
        ("import importlib\nimportlib.import_module(f'pages.{name}')", {"importlib", "pages.*"}),
        ("import importlib\nimportlib.import_module(f'pages.{kind}.{name}')", {"importlib"}),
        ("print(f'pages.{name}')", set()),
    ],
)
def test_every_import_counts_wherever_it_stands(text: str, imports: set[str]) -> None:
    assert facts(text).imports == imports


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("x = root / 'infra' / 'keys' / 'a.json'", "infra/keys/a.json"),
        ("x = root / 'infra' / 'keys' / f'{environment.name}.json'", "infra/keys/{environment}.json"),
        ("x = root / 'infra' / f'{self.environment.name}.json'", "infra/{environment}.json"),
        ("x = root / 'services' / name / 'service.toml'", "services/*/service.toml"),
        ("x = (root / 'services').glob('*/service.toml')", "services/*/service.toml"),
        ("x = (root / 'docs').rglob('*.md')", "docs/**/*.md"),
        ("x = f'services/{service}'", "services/{service}"),
        ("x = f'services/{other}/y'", "services/*/y"),
        ("stack.code('shared/leandata')", "shared/leandata"),
        ("x = Path('infra', 'tests', 'snapshots')", "infra/tests/snapshots"),
        ("x = root.joinpath('infra', 'keys')", "infra/keys"),
        ("x = 'infra/standins/snowflake/launcher.py'", "infra/standins/snowflake/launcher.py"),
        ("x = root / 'shared'", "shared/."),
        ("x = ['uv.lock', 'pyproject.toml']", "uv.lock"),
    ],
)
def test_a_path_is_named_in_many_ways(text: str, name: str) -> None:
    assert name in facts(text).names


@pytest.mark.parametrize(
    "text",
    [
        '"""infra/keys/a.json"""',
        "def f():\n    '''infra/keys/a.json'''",
        "raise E('x', hint='infra/keys/a.json')",
        "raise E('x', where=f'infra/keys/{environment.name}.json')",
    ],
)
def test_what_is_said_to_people_names_nothing(text: str) -> None:
    assert not {name for name in facts(text).names if name.startswith("infra/keys")}


def test_a_file_that_knows_its_place_names_what_is_beside_it() -> None:
    assert "data.csv" in facts("X = Path(__file__).with_name('data.csv')").beside
    assert facts("X = Path(other).with_name('data.csv')").beside == frozenset()


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("stack.implementation('mail').make()", {"mail"}),
        ("stack.implementation(part)", {""}),
        ("stack.implementation()", {""}),
        ("def implementation(part): ...", set()),
    ],
)
def test_a_part_is_asked_for_by_name_or_only_known_later(text: str, parts: set[str]) -> None:
    assert facts(text).parts == parts


def test_resources_of_our_provider_are_seen_under_any_name() -> None:
    for text in (
        "from infra.provider import resources as machine\nmachine.File('x')",
        "import infra.provider.resources as r\nr.File('x')",
        "from infra.provider.resources import File\nFile('x')",
    ):
        assert "File" in facts(text).kinds, text
    assert facts("from other import resources as machine\nmachine.File('x')").kinds == frozenset()


def test_fixtures_arguments_and_walks_are_seen() -> None:
    said = facts(
        "@pytest.fixture(scope='session')\ndef server(folder): ...\n"
        "def test_x(server, other): ...\n"
        "for path in ROOT.rglob('*.sql'): ...\n"
        "for path in folder.rglob('*.txt'): ...\n"
    )
    assert said.fixtures == {"server"}
    assert {"folder", "server", "other"} <= said.asked
    assert said.walks == {"*.sql"}


def test_what_is_only_hashed_is_said() -> None:
    said = facts("stack.code('services/api/serving', 'shared/leandata')")
    assert said.hashed == {"services/api/serving", "shared/leandata"} <= said.names


@pytest.mark.parametrize(
    "text", ["def", "\x00", "(" * 500, "x = '\ud800'".encode("utf-8", "surrogatepass").decode("latin-1") + "'"]
)
def test_a_file_that_python_cannot_read_says_nothing(text: str) -> None:
    assert read(text.encode(errors="replace"), path="x.py") == Facts()


def test_both_sides_of_a_change_are_put_together() -> None:
    both = facts("import a\nX = 1\nstack.code('infra/y')") | facts("import b\nx = 'infra/y'")
    assert both.imports == {"a", "b"}
    assert both.constants == (("X", 1), ("x", "infra/y"))
    assert both.hashed == frozenset(), "one side reads it"


@pytest.mark.parametrize(("text", "good"), [("a.b", True), ("a", True), ("A.b", False), ("a..b", False), ("", False)])
def test_what_could_name_a_module(text: str, good: bool) -> None:
    assert is_module(text) == good


# -- our own files -----------------------------------------------------------------------------------------------------

OURS = [path for path in tracked(ROOT) if path.endswith(".py") and "/tests/" not in path]


def test_an_independent_reader_of_imports_sees_the_same() -> None:
    """grimp, which draws import-linter's graph: every import that it finds between our modules, we find."""
    sys.path[:0] = [
        str(ROOT),
        str(ROOT / "shared"),
        *(str(ROOT / "services" / name) for name in ("airflow", "api", "dash", "dask")),
    ]
    packages = ["ci", "dashboards", "infra", "leandata", "pipelines", "services", "serving", "tasks"]
    try:
        grimp = importlib.import_module("grimp")
        graph = grimp.build_graph(*packages, cache_dir=None)
    finally:
        del sys.path[:6]
    from ci.affected.changes import Changes
    from ci.affected.tree import Tree

    paths = frozenset(OURS)
    tree = Tree.of(Changes(root=ROOT, commit="", before=paths, after=paths, changed=frozenset()))
    compared = 0
    for path in OURS:
        module = tree_name(path)
        if module in graph.modules:
            wanted = set(graph.find_modules_directly_imported_by(module))
            ours = {tree_name(other) for other in tree.imported(path)}
            assert wanted <= ours, (path, wanted - ours)
            compared += len(wanted)
    assert compared > 500


def tree_name(path: str) -> str:
    parts = path.removesuffix(".py").removesuffix("/__init__").split("/")
    if parts[0] == "shared":
        parts = parts[1:]
    if parts[0] == "services" and len(parts) > 2 and parts[2] not in ("deploy", "outputs"):
        parts = parts[2:]
    return ".".join(parts)


def loads() -> Iterator[str]:
    """Where our programs load a module whose name is only known when they run."""
    for path in OURS:
        if not TESTS.search(path):
            for node in ast.walk(ast.parse((ROOT / path).read_text())):
                if isinstance(node, ast.Call) and ast.unparse(node.func).endswith(
                    ("import_module", "__import__", "exec", "eval", "exec_module", "run_module", "run_path")
                ):
                    yield path


def test_modules_that_are_loaded_by_name_are_those_that_we_know() -> None:
    """Who adds one teaches ci/affected what it loads: tests of that are left out otherwise."""
    assert sorted(set(loads())) == [
        *("ci/bench/cloud.py", "ci/cli.py", "ci/engine.py", "ci/lineage/graph.py", "ci/programs.py", "ci/render.py"),
        *("infra/components/stack.py", "infra/standins/snowflake/launcher.py"),
        *("services/dash/dashboards/page.py", "shared/leandata/compute.py"),
    ]


@pytest.mark.parametrize(
    ("source", "runs"),
    [
        ('run([sys.executable, "-m", "ci", "render", "--env", name])', {"render"}),
        ('run(("make", "-s", "deploy"))', {"deploy"}),
        ('run([python, "-m", "ci", "--json", "status"])', {"status"}),
        ('run([sys.executable, "-m", "ci", *arguments])', {""}),
        ('run(["make", f"{verb}"])', {""}),
        ('run(["make"])', {""}),
        ('run([sys.executable, "-m", "pytest", "ci"])', set()),
        ('words = ["take", "make", "deploy"]', set()),
    ],
)
def test_the_verb_of_a_command_is_seen(source: str, runs: set[str]) -> None:
    assert facts(source).runs == runs


def test_marks_are_seen_on_a_module_and_on_a_test() -> None:
    assert facts("pytestmark = pytest.mark.integration").marks == {"integration"}
    assert facts("@pytest.mark.e2e\ndef test(): ...").marks == {"e2e"}


@pytest.mark.parametrize(
    ("source", "deploys"),
    [
        ('pytestmark = pytest.mark.stacks("lake", "mail")', {"", "lake", "mail"}),
        ('pytestmark = [pytest.mark.e2e, pytest.mark.stacks("lake")]', {"", "lake"}),
        ("pytestmark = pytest.mark.stacks()", {""}),
        ('@pytest.mark.stacks("lake")\ndef test(): ...', set()),
        ('other = pytest.mark.stacks("lake")', set()),
        ("pytestmark = pytest.mark.e2e", set()),
    ],
)
def test_the_stacks_that_a_module_of_tests_deploys_are_those_of_its_mark(source: str, deploys: set[str]) -> None:
    assert facts(source).deploys == deploys


def test_what_an_assertion_says_to_people_is_no_text() -> None:
    assert facts('assert run("deploy"), "a test"').texts == {"deploy"}
    assert facts("assert a, f\"{call('lake')} of a test\"").texts == {"lake"}


def test_folders_are_known() -> None:
    assert folders_of(["a/b/c.py", "d.py"]) == {"a", "a/b"}


# -- what was read before ----------------------------------------------------------------------------------------------


def test_what_was_read_before_is_said_again_without_reading_for_every_file_of_the_project(tmp_path: Path) -> None:
    paths = [path for path in sorted(ROOT.glob("[cis]*/**/*.py")) if ".venv" not in path.parts]
    sources = {path.relative_to(ROOT).as_posix(): path.read_bytes() for path in paths}
    first = Remembered.here(tmp_path)
    assert {path: first.read(source, path=path) for path, source in sources.items()} == {
        path: read(source, path=path) for path, source in sources.items()
    }
    first.keep()
    known = Remembered.here(tmp_path)
    written = known.file.read_bytes()
    assert all(known.read(source, path=path) == first.read(source, path=path) for path, source in sources.items())
    known.keep()
    assert known.file.read_bytes() == written
    assert len(sources) > 300


def test_a_changed_file_and_one_that_lies_elsewhere_are_read_anew(tmp_path: Path) -> None:
    memory = Remembered.here(tmp_path)
    memory.read(b"import a", path="x/y.py")
    memory.keep()
    again = Remembered.here(tmp_path)
    assert again.read(b"import b", path="x/y.py").imports == {"b"}
    assert again.read(b"from . import a", path="x/y.py").imports == {"x", "x.a"}
    assert again.read(b"from . import a", path="z/y.py").imports == {"z", "z.a"}


@pytest.mark.parametrize("damage", ["", "{", "[]", "5", "null", '{"a": 5}', '{"a": {}}', '{"a": {"constants": [1]}}'])
def test_a_memory_that_is_damaged_is_as_good_as_none(tmp_path: Path, damage: str) -> None:
    memory = Remembered.here(tmp_path)
    memory.file.write_text(damage)
    again = Remembered.here(tmp_path)
    assert again.read(b"import a", path="x.py").imports == {"a"}
    again.keep()
    assert Remembered.here(tmp_path).read(b"import a", path="x.py").imports == {"a"}


def test_a_memory_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    memory = Remembered.here(tmp_path / "file" / "below")
    assert memory.read(b"import a", path="x.py").imports == {"a"}
    memory.keep()
    assert (tmp_path / "file").read_text() == "in the way"
