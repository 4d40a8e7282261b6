"""The graph of stacks as imports make it, new services as they are scaffolded, budgets, locks and events."""

from __future__ import annotations

import ast
import fcntl
import json
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ci import budgets, graph, locks
from ci.events import Log, condense
from ci.programs import declared
from ci.verbs import scaffold
from ci.verbs.status import age, memory
from infra.components.manifest import ServiceManifest
from infra.environment import ROOT, Environment
from leandata.errors import LeandataError
from leandata.settings import foreign

LEFT_OUT = shutil.ignore_patterns(".venv", "__pycache__", ".git", ".leandata", "build", "*.csv", "tests")
SCAFFOLDED = pytest.mark.thorough("ci/*", "infra/*", "shared/*", "pyproject.toml")


def stack(root: Path, name: str, text: str = "", *, service: bool = False, more: dict[str, str] | None = None) -> None:
    folder = root / ("services" if service else "infra/stacks") / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / ("deploy.py" if service else "__main__.py")).write_text(text)
    for file, content in (more or {}).items():
        (folder / file).write_text(content)


def needs(root: Path) -> dict[str, tuple[str, ...]]:
    return {name: info.needs for name, info in graph.discover(root).items()}


# -- the graph ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("from infra.stacks.a.outputs import AOutputs", ("a",)),
        ("from infra.stacks.a import outputs", ()),
        ("import infra.stacks.a.outputs", ("a",)),
        ("import infra.stacks.a.outputs as o, infra.stacks.b.outputs", ("a", "b")),
        ("from services.s.outputs import SOutputs", ("s",)),
        ("def f():\n    from infra.stacks.a.outputs import X", ("a",)),
        ("if True:\n    import infra.stacks.b.outputs", ("b",)),
        ("# from infra.stacks.a.outputs import X", ()),
        ("text = 'from infra.stacks.a.outputs import X'", ()),
        ("from infra.stacks.x.outputs import Own", ()),
        ("from infra.components.stack import Stack", ()),
        ("from other.stacks.a.outputs import X", ()),
        ("from .outputs import X", ()),
    ],
)
def test_an_edge_is_an_import_of_outputs_and_nothing_else(tmp_path: Path, text: str, found: tuple[str, ...]) -> None:
    stack(tmp_path, "a")
    stack(tmp_path, "b")
    stack(tmp_path, "s", service=True)
    stack(tmp_path, "x", text)
    assert needs(tmp_path)["x"] == found


def test_an_import_in_any_file_of_the_stack_s_folder_counts(tmp_path: Path) -> None:
    stack(tmp_path, "a")
    stack(tmp_path, "x", more={"network.py": "from infra.stacks.a.outputs import AOutputs"})
    assert needs(tmp_path)["x"] == ("a",)


def test_a_folder_without_a_program_is_no_stack(tmp_path: Path) -> None:
    (tmp_path / "infra" / "stacks" / "empty").mkdir(parents=True)
    (tmp_path / "services" / "notes").mkdir(parents=True)
    assert graph.discover(tmp_path) == {}


def test_a_program_that_is_no_python_is_named_by_its_file(tmp_path: Path) -> None:
    stack(tmp_path, "x", "def (")
    with pytest.raises(SyntaxError) as caught:
        graph.discover(tmp_path)
    assert "infra/stacks/x/__main__.py" in str(caught.value.filename)


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=30))
def test_any_graph_is_ordered_or_named_as_a_circle(edges: list[tuple[int, int]]) -> None:
    wanted: dict[str, set[str]] = {f"s{number}": set() for number in range(10)}
    for one, other in edges:
        if one != other:
            wanted[f"s{one}"].add(f"s{other}")
    found = {
        name: graph.StackInfo(name=name, module="m", folder=Path("f"), needs=tuple(sorted(need)))
        for name, need in wanted.items()
    }
    try:
        order = graph.order(found)
    except LeandataError as error:
        circle = error.what.removeprefix("the stacks need each other in a circle: ").split(", ")
        assert all(set(found[name].needs) & set(circle) for name in circle)
        return
    assert sorted(order) == sorted(found)
    for name, info in found.items():
        assert all(order.index(need) < order.index(name) for need in info.needs)
        for need in info.needs:
            assert name in graph.dependents(found, need)


def test_every_stack_of_the_repository_has_a_contract_of_its_own_name() -> None:
    for name, info in graph.discover(ROOT).items():
        tree = ast.parse((info.folder / "outputs.py").read_text())
        (contract,) = [node for node in tree.body if isinstance(node, ast.ClassDef)]
        assert contract.name == f"{name.title()}Outputs"
        values = [node.value for node in ast.walk(contract) if isinstance(node, ast.AnnAssign) and node.value]
        assert [value.value for value in values if isinstance(value, ast.Constant)] == [name]
        assert ast.get_docstring(contract)


def test_no_service_s_code_imports_another_service() -> None:
    packages = {"airflow": "pipelines", "api": "serving", "dash": "dashboards", "dask": "tasks"}
    for service, package in packages.items():
        strangers = set(packages.values()) - {package}
        for path in (ROOT / "services" / service / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                modules = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
                modules += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
                assert not {module.split(".")[0] for module in modules} & (strangers | {"infra", "ci", "services"}), (
                    path
                )


# -- a new service -----------------------------------------------------------------------------------------------------


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    for folder in ("ci", "infra", "services", "shared"):
        shutil.copytree(ROOT / folder, tmp_path / "second" / folder, ignore=LEFT_OUT)
    return tmp_path / "second"


@SCAFFOLDED
@pytest.mark.integration
def test_a_new_service_is_declared_beside_the_others_and_passes_its_own_tests(checkout: Path, tmp_path: Path) -> None:
    scaffold.scaffold("pricing", root=checkout)
    programs = declared("local", root=checkout, environ={**os.environ, "LEANDATA_STATE": str(tmp_path / "state")})
    (process,) = programs["pricing"].of("machine:index:Process").values()
    assert process.name == "pricing"
    assert programs["pricing"].outputs == {"url": "http://127.0.0.1:16415"}
    places = [str(checkout), str(checkout / "shared")]
    answer = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:dash", "services/pricing/tests"],
        cwd=checkout, env={**os.environ, "PYTHONPATH": os.pathsep.join(places)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert answer.returncode == 0, answer.stdout


@SCAFFOLDED
@pytest.mark.integration
def test_the_code_of_a_new_service_answers(checkout: Path, tmp_path: Path) -> None:
    from infra.provider import health
    from infra.testing import parts

    scaffold.scaffold("pricing", root=checkout)
    port = parts.free_port()
    command = [
        sys.executable,
        str(checkout / "services" / "pricing" / "pricing_service" / "__main__.py"),
        "127.0.0.1",
        str(port),
    ]
    asked = {"kind": "http", "url": f"http://127.0.0.1:{port}/healthz"}
    with parts.running(command, ready=lambda: health.healthy(asked), log=tmp_path / "log"):
        assert not health.healthy({"kind": "http", "url": f"http://127.0.0.1:{port}/nothing"})


@SCAFFOLDED
@pytest.mark.integration
def test_several_new_services_get_ports_of_their_own(checkout: Path) -> None:
    for name in ("pricing", "stock", "churn"):
        scaffold.scaffold(name, root=checkout)
    environment = Environment.load("local", environ={}, root=checkout)
    ports = [environment.port(name) for name in environment.file.ports.offsets]
    assert len(set(ports)) == len(ports)
    for name in ("pricing", "stock", "churn"):
        assert ServiceManifest.load(name, root=checkout).one(name).health == "/healthz"


@SCAFFOLDED
@pytest.mark.integration
def test_what_is_scaffolded_keeps_our_own_rules(checkout: Path) -> None:
    scaffold.scaffold("pricing", root=checkout)
    folder = checkout / "services" / "pricing"
    for path in folder.rglob("*.py"):
        found = budgets.measure(path, root=checkout)
        assert found.lines < 80
        assert all(annotated for _, _, annotated in found.functions), path
    assert tomllib.loads((folder / "service.toml").read_text())["owner"]
    ruff = [
        str(Path(sys.executable).with_name("ruff")),
        "check",
        "--no-cache",
        "--config",
        str(ROOT / "pyproject.toml"),
        str(folder),
    ]
    answer = subprocess.run(ruff, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stdout


@pytest.mark.parametrize("name", ["a1", "pricing", "x" * 20])
def test_a_name_of_letters_and_digits_is_taken(name: str) -> None:
    assert scaffold._NAME.fullmatch(name)


# -- locks -------------------------------------------------------------------------------------------------------------


def test_a_lock_is_held_by_children_too(tmp_path: Path) -> None:
    path = tmp_path / "l"
    with locks.hold(path, what="x") as held:
        child = subprocess.Popen(["sleep", "100"], pass_fds=[held.fileno()])
    try:
        with pytest.raises(locks.LockedError), locks.hold(path, what="x"):
            pass
    finally:
        child.kill()
        child.wait()
    with locks.hold(path, what="x"):
        pass


def test_a_lock_is_given_back_when_the_work_fails(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), locks.hold(tmp_path / "l", what="x"):
        raise ZeroDivisionError
    with locks.hold(tmp_path / "l", what="x"):
        assert json.loads((tmp_path / "l").read_text())["pid"] == os.getpid()
    assert (tmp_path / "l").read_text() == "", "who held it last is of no interest any more"


def test_a_holder_that_has_written_nothing_yet_is_somebody(tmp_path: Path) -> None:
    with (tmp_path / "l").open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with (
            pytest.raises(locks.LockedError, match="x is being deployed by another process"),
            locks.hold(tmp_path / "l", what="x"),
        ):
            pass


@given(text=st.text(max_size=60))
def test_any_text_in_a_lock_is_told_as_somebody(text: str) -> None:
    try:
        json.loads(text)
    except ValueError:
        assert locks.describe(text, what="x") == "x is being deployed by another process"


# -- events ------------------------------------------------------------------------------------------------------------

URN = "urn:pulumi:local::api::leandata:index:Service$machine:index:Process::api"


def event(kind: str, **metadata: Any) -> Any:
    names = ("resource_pre_event", "res_outputs_event", "diagnostic_event")
    whole = {"op": "create", "urn": URN, "type": "machine:index:Process", "detailed_diff": None, **metadata}
    return SimpleNamespace(
        **{name: SimpleNamespace(metadata=SimpleNamespace(**whole)) if name == kind else None for name in names}
    )


@pytest.mark.parametrize(
    ("op", "counted"),
    [
        ("create", 1),
        ("update", 1),
        ("delete", 1),
        ("replace", 1),
        ("same", 0),
        ("refresh", 0),
        ("read", 0),
        ("discard", 0),
        ("create-replacement", 0),
        ("delete-replaced", 0),
    ],
)
def test_a_step_is_counted_once(op: str, counted: int) -> None:
    log = Log()
    log.take(event("resource_pre_event", op=op))
    assert sum(log.counts().values()) == counted


@pytest.mark.parametrize("type_", ["pulumi:pulumi:Stack", "pulumi:providers:machine", "leandata:index:Service"])
def test_what_is_not_a_resource_of_the_world_is_not_counted(type_: str) -> None:
    log = Log()
    log.take(event("resource_pre_event", type=type_))
    log.take(event("res_outputs_event", type=type_))
    assert (log.counts(), log.finished) == ({}, 0)


def test_a_problem_is_told_once() -> None:
    log = Log()
    for _ in range(3):
        said = SimpleNamespace(severity="error", message="error: no port", urn=URN)
        log.take(SimpleNamespace(resource_pre_event=None, res_outputs_event=None, diagnostic_event=said))
    assert log.problems == ["api: no port"]


@pytest.mark.parametrize("severity", ["info", "warning", "debug", "info#err"])
def test_what_is_no_error_is_no_problem(severity: str) -> None:
    log = Log()
    said = SimpleNamespace(severity=severity, message="hello", urn=URN)
    log.take(SimpleNamespace(resource_pre_event=None, res_outputs_event=None, diagnostic_event=said))
    assert log.problems == []


@pytest.mark.parametrize("noise", ["update failed", "preview failed", "destroy failed", "resource update failed"])
def test_what_only_repeats_others_is_left_out(noise: str) -> None:
    assert condense(noise, urn="urn:pulumi:local::api::pulumi:pulumi:Stack::api-local") == ""


# -- small things ------------------------------------------------------------------------------------------------------


@given(st.floats(0, 10**8))
def test_an_age_is_short(seconds: float) -> None:
    assert len(age(seconds)) <= 6
    assert age(seconds)[-1] in "smhd"


def test_the_memory_of_a_process_is_its_own_and_its_children_s() -> None:
    assert memory(os.getpid()) > 2**20
    assert memory(2**22 + 5) == 0


def test_an_annotation_that_is_missing_is_seen(tmp_path: Path) -> None:
    for text, good in (
        ("def f(a: int) -> int: ...", True),
        ("def f(a) -> int: ...", False),
        ("def f(a: int): ...", False),
        ("async def f(*, a) -> None: ...", False),
        ("class C:\n    def m(self) -> None: ...", True),
        ("class C:\n    @classmethod\n    def m(cls) -> None: ...", True),
    ):
        (tmp_path / "m.py").write_text(text)
        ((_, _, annotated),) = budgets.measure(tmp_path / "m.py", root=tmp_path).functions
        assert annotated == good, text


def test_lines_that_say_nothing_do_not_count(tmp_path: Path) -> None:
    (tmp_path / "m.py").write_text("a = 1\n\n\n   \nb = 2\n")
    found = budgets.measure(tmp_path / "m.py", root=tmp_path)
    assert (found.lines, found.code) == (5, 2)


# -- programs by hand --------------------------------------------------------------------------------------------------


@pytest.mark.integration
def test_what_an_environment_declares_is_told_without_any_variable() -> None:
    command = [sys.executable, "-m", "ci.programs", "cluster"]
    result = subprocess.run(command, cwd=ROOT, env=foreign(os.environ), capture_output=True, text=True, check=True)
    answer = json.loads(result.stdout)
    assert answer["environment"] == "cluster"
    assert set(answer["stacks"]) == set(graph.everything(ROOT, "cluster"))
