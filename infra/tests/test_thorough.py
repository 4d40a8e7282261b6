"""The mark `thorough`: such a test is left out only after a change of which it proves nothing, and says so."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from infra.environment import ROOT
from infra.testing.thorough import CHANGED, concerned

pytestmark = pytest.mark.thorough("infra/testing/*", "conftest.py", "pyproject.toml")
TEST = "infra/tests/e2e/test_platform.py"
MODULE = """
import pytest

@pytest.mark.thorough("services/dash/*")
def test_every_page():
    assert True

def test_quick():
    assert True
"""


def run(folder: Path, changed: str | None) -> str:
    (folder / "test_pages.py").write_text(MODULE)
    command = [sys.executable, "-m", "pytest", "-q", "-c", str(ROOT / "pyproject.toml"), "--rootdir", str(folder)]
    own = {name: value for name, value in os.environ.items() if name != CHANGED}
    environ = own if changed is None else {**own, CHANGED: changed}
    result = subprocess.run(
        [*command, "-p", "infra.testing.thorough", str(folder / "test_pages.py")],
        cwd=ROOT, capture_output=True, text=True, check=False, env=environ,
    )  # fmt: skip
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@pytest.mark.parametrize("changed", [None, "services/dash/dashboards/app.py", "README.md\nservices/dash/deploy.py"])
def test_it_is_run_always_without_a_change_and_after_one_that_concerns_it(tmp_path: Path, changed: str | None) -> None:
    assert "2 passed" in run(tmp_path, changed)


def test_it_is_skipped_after_a_change_of_something_else_and_says_where_it_is_run(tmp_path: Path) -> None:
    said = run(tmp_path, "services/api/serving/limits.py")
    assert "1 passed, 1 skipped" in said
    assert "`make test` runs it" in said


@pytest.mark.parametrize(
    ("changed", "patterns", "expected"),
    [
        ("shared/leandata/serving.py", ("shared/*",), True),
        ("shared/leandata/serving.py", ("services/*",), False),
        ("services/api/serving/__main__.py", ("services/*/__main__.py",), True),
        (TEST, (), True),
        ("infra/tests/e2e/proofs.py", (), True),
        ("infra/tests/test_units.py", (), False),
    ],
)
def test_a_change_concerns_what_fits_a_pattern_or_lies_beside(
    changed: str, patterns: tuple[str, ...], expected: bool
) -> None:
    assert concerned(TEST, patterns=patterns, changed=[changed]) is expected


def test_nothing_that_changed_concerns_nothing() -> None:
    assert not concerned(TEST, patterns=("*",), changed=[])
