"""The commit that a service is told is that of the code it runs: commits that change nothing there restart nothing."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from infra.components.settings import code_commit


class Checkout:
    """A repository of its own, with one file committed at a time."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.git("init", "-q")

    def git(self, *arguments: str) -> str:
        identity = ["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false"]
        command = ["git", "-C", str(self.root), *identity, *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    def commit(self, name: str, text: str = "x") -> str:
        file = self.root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        self.git("add", "-A")
        self.git("commit", "-qm", f"{name} is {text}")
        return self.git("rev-parse", "--short=12", "HEAD")


@pytest.fixture
def checkout(tmp_path):
    return Checkout(tmp_path)


def test_a_service_is_told_the_commit_that_last_changed_its_code(checkout):
    first = checkout.commit("services/api/serving/app.py")
    checkout.commit("services/dash/dashboards/app.py")
    assert code_commit(checkout.root, "api") == first


@pytest.mark.parametrize("shared", ["shared/leandata/lake.py", "uv.lock"])
def test_what_all_services_run_counts_for_each(checkout, shared):
    checkout.commit("services/api/serving/app.py")
    changed = checkout.commit(shared)
    assert code_commit(checkout.root, "api") == changed


@pytest.mark.parametrize(
    "beside",
    [
        "services/api/tests/test_app.py",
        "services/api/README.md",
        "shared/tests/test_lake.py",
        "docs/cloud.md",
        "infra/stacks/lake/__main__.py",
    ],
)
def test_what_does_not_run_changes_nothing(checkout, beside):
    first = checkout.commit("services/api/serving/app.py")
    checkout.commit(beside)
    assert code_commit(checkout.root, "api") == first


def test_without_git_no_commit_is_said(tmp_path):
    assert code_commit(tmp_path, "api") == ""


def test_code_that_was_never_committed_has_no_commit(checkout):
    checkout.commit("README.md")
    assert code_commit(checkout.root, "pricing") == ""
