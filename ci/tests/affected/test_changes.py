"""What a working tree has that a commit has not: every way to change a file counts, by both names."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from ci.affected.changes import base_commit, changes
from leandata.errors import LeandataError


def git(root: Path, *arguments: str) -> str:
    command = ["git", "-c", "user.name=t", "-c", "user.email=t@example.invalid", "-C", str(root), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    git(tmp_path, "init", "-q", "-b", "main")
    (tmp_path / ".gitignore").write_text("ignored\n")
    for name in ("kept", "other", "with space", "ümlaut"):
        (tmp_path / name).write_text(f"{name}\n")
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-q", "-m", "one")
    return tmp_path


def test_an_untouched_tree_has_no_changes(root: Path) -> None:
    found = changes(root, "HEAD")
    assert found.changed == frozenset()
    assert found.before == found.after == {".gitignore", "kept", "other", "with space", "ümlaut"}


def test_what_is_committed_uncommitted_staged_and_untracked_counts(root: Path) -> None:
    base = git(root, "rev-parse", "HEAD")
    (root / "kept").write_text("committed\n")
    git(root, "commit", "-qam", "two")
    (root / "other").write_text("uncommitted\n")
    (root / "staged").write_text("x")
    git(root, "add", "staged")
    (root / "untracked").write_text("x")
    (root / "ignored").write_text("x")
    found = changes(root, base)
    assert found.changed == {"kept", "other", "staged", "untracked"}
    assert found.old == {"kept": b"kept\n", "other": b"other\n"}
    assert (found.now("kept"), found.now("untracked"), found.now("nowhere")) == (b"committed\n", b"x", None)


@pytest.mark.parametrize("committed", [True, False])
def test_a_renamed_file_counts_by_both_names_and_a_deleted_one_by_its_own(root: Path, committed: bool) -> None:
    base = git(root, "rev-parse", "HEAD")
    git(root, "mv", "kept", "renamed")
    (root / "with space").unlink()
    if committed:
        git(root, "add", "-A")
        git(root, "commit", "-qm", "two")
    found = changes(root, base)
    assert found.changed == {"kept", "renamed", "with space"}
    assert "kept" in found.before - found.after
    assert found.old["with space"] == b"with space\n"
    assert found.now("kept") is None


def test_a_file_that_was_only_touched_is_not_changed(root: Path) -> None:
    (root / "kept").touch()
    assert changes(root, "HEAD").changed == frozenset()


def test_a_right_that_changed_counts(root: Path) -> None:
    (root / "kept").chmod(0o755)
    assert changes(root, "HEAD").changed == {"kept"}


def test_a_link_counts_also_when_it_leads_nowhere(root: Path) -> None:
    (root / "link").symlink_to("nowhere")
    found = changes(root, "HEAD")
    assert found.changed == {"link"}
    assert found.now("link") is None


def test_names_with_umlauts_and_spaces_are_read_as_they_are(root: Path) -> None:
    (root / "ümlaut").write_text("x")
    (root / "with space").write_text("y")
    assert set(changes(root, "HEAD").old) == {"ümlaut", "with space"}


def test_what_the_main_branch_did_meanwhile_does_not_count(root: Path) -> None:
    git(root, "checkout", "-q", "-b", "mine")
    (root / "mine").write_text("x")
    git(root, "add", "-A")
    git(root, "commit", "-qm", "mine")
    git(root, "checkout", "-q", "main")
    (root / "theirs").write_text("x")
    git(root, "add", "-A")
    git(root, "commit", "-qm", "theirs")
    git(root, "checkout", "-q", "mine")
    assert changes(root, "main").changed == {"mine"}
    assert changes(root).changed == {"mine"}, "the main branch is the default"


def test_without_a_main_branch_the_last_commit_is_taken(root: Path) -> None:
    git(root, "branch", "-m", "work")
    (root / "kept").write_text("x")
    assert changes(root).changed == {"kept"}


@pytest.mark.parametrize("base", ["nowhere", "--all", "HEAD~5", "main:kept", "-x"])
def test_a_base_that_is_no_commit_is_told_in_one_line(root: Path, base: str) -> None:
    with pytest.raises(LeandataError, match="git knows no commit") as caught:
        base_commit(root, base)
    assert "\n" not in str(caught.value)


def test_two_histories_have_nothing_in_common(root: Path) -> None:
    git(root, "checkout", "-q", "--orphan", "alone")
    git(root, "commit", "-qm", "alone")
    with pytest.raises(LeandataError, match="have no commit in common"):
        changes(root, "main")


def test_without_git_it_is_told(tmp_path: Path) -> None:
    with pytest.raises(LeandataError, match="git knows no commit 'HEAD' here"):
        changes(tmp_path)
