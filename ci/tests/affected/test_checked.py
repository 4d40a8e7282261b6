"""What `check` leaves out after a change, and why that is safe: a wrong type far from the change is still found."""

from __future__ import annotations

import dataclasses
import functools
import subprocess
import sys
from pathlib import Path

import pytest

from ci import git
from ci.affected.changes import changes
from ci.affected.checked import CATALOGUE, POLICIES, Checked, checked, typed
from ci.affected.tree import Tree
from ci.tests.affected.test_stacks import WHOLE
from ci.verbs.check import commands, said

pytestmark = pytest.mark.thorough("ci/*", "infra/*", "shared/*", "pyproject.toml")
_PROJECT = """
[tool.basedpyright]
include = ["ours", "other"]
exclude = ["**/tests", "other/left"]
typeCheckingMode = "strict"
"""
_FILES = {
    "ours/__init__.py": "",
    "ours/far.py": "from ours.near import twice\n\nLENGTH: str = twice()\n",
    "ours/near.py": "from ours.source import one\n\n\ndef twice():\n    return one() + one()\n",
    "ours/source.py": 'def one() -> str:\n    return "1"\n',
    "ours/tests/test_source.py": "from ours.source import one\n\nWRONG: int = one()\n",
    "other/left/alone.py": "from ours.source import one\n",
    "other/nothing.py": "THREE = 3\n",
    "pyproject.toml": _PROJECT,
}
PYRIGHT = Path(sys.executable).parent / "basedpyright"


@functools.cache
def tree() -> Tree:
    return Tree.of(WHOLE)


def of(*paths: str) -> Checked:
    return checked(dataclasses.replace(WHOLE, changed=frozenset(paths)), tree=tree())


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name, text in _FILES.items():
        place = tmp_path / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
    for command in (["init", "-q", "-b", "main"], ["add", "-A"], ["commit", "-q", "-m", "first"]):
        git.run(tmp_path, "-c", "user.name=a", "-c", "user.email=a@example.com", *command)
    return tmp_path


def test_types_are_checked_where_a_changed_file_is_imported_however_far(project: Path) -> None:
    (project / "ours/source.py").write_text("def one() -> int:\n    return 1\n")
    assert checked(changes(project, "main")).types == ("ours/far.py", "ours/near.py", "ours/source.py")


def test_a_type_that_became_wrong_two_imports_away_is_found(project: Path) -> None:
    (project / "ours/source.py").write_text("def one() -> int:\n    return 1\n")
    found = checked(changes(project, "main")).types
    assert found
    result = subprocess.run([PYRIGHT, *found], cwd=project, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert "far.py:3" in result.stdout


def test_an_import_of_a_file_that_is_gone_is_checked(project: Path) -> None:
    (project / "ours/source.py").unlink()
    assert checked(changes(project, "main")).types == ("ours/far.py", "ours/near.py")


@pytest.mark.parametrize("path", ["pyproject.toml", "uv.lock", "ours/near.pyi"])
def test_what_says_which_types_there_are_has_every_file_checked(project: Path, path: str) -> None:
    (project / path).write_text(f"{_PROJECT}\n# changed\n" if path == "pyproject.toml" else "x: int\n")
    found = checked(changes(project, "main"))
    assert (found.types, found.why_all) == (None, f"{path} differs")


def test_a_new_name_that_may_hide_a_library_has_every_file_checked(project: Path) -> None:
    (project / "json.py").write_text("")
    assert "json" in checked(changes(project, "main")).why_all


def test_the_files_are_those_that_basedpyright_takes_from_the_settings(project: Path) -> None:
    found = typed(changes(project, "main"))
    assert found == ["other/nothing.py", "ours/__init__.py", "ours/far.py", "ours/near.py", "ours/source.py"]
    result = subprocess.run([PYRIGHT, "--stats"], cwd=project, capture_output=True, text=True, check=False)
    assert f"Found {len(found)} source files" in result.stdout


def test_one_file_of_a_service_has_few_files_checked_and_no_policy() -> None:
    found = of("services/api/serving/limits.py")
    assert found.types
    assert "services/api/serving/app.py" in found.types
    assert not any("/tests/" in path for path in found.types)
    assert len(found.types) < len(typed(WHOLE)) / 5
    assert found.left_out == {POLICIES}


@pytest.mark.parametrize(
    "path",
    [
        "infra/environments/prod.toml",
        "infra/policy/waivers.toml",
        "services/api/deploy.py",
        "services/api/service.toml",
    ],
)
def test_what_programs_and_policies_are_made_of_has_the_policies_judged(path: str) -> None:
    assert POLICIES not in of(path).left_out


@pytest.mark.parametrize("path", ["docs/catalogue.md", "services/airflow/pipelines/dbt/models/marts/cohorts.sql"])
def test_what_the_catalogue_is_made_of_has_it_compared(path: str) -> None:
    assert of(path).left_out == {POLICIES}


def test_without_a_change_no_type_is_checked_and_what_is_quick_is() -> None:
    left = commands(of())
    assert not {POLICIES, CATALOGUE, "types (basedpyright)"} & {*left}
    assert {"style (ruff)", "lock file (uv)", "unused code (vulture)", "workflows"} <= {*left}


def test_the_files_go_to_the_checker_of_types_and_are_counted() -> None:
    what = Checked(types=("a.py", "b.py"), left_out=frozenset({POLICIES}))
    assert commands(what)["types (basedpyright)"][-2:] == ("a.py", "b.py")
    assert said(what) == "types of 2 files; left out, for the change is not read there: policies"


def test_all_that_was_asked_for_is_all() -> None:
    what = Checked(why_all="all was asked for")
    assert commands(what)["types (basedpyright)"][1:] == ()
    assert POLICIES in commands(what)
    assert said(what) == "types of all files, because all was asked for"
