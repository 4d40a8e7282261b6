"""What git says of a checkout is true of any name of a file, and a checkout beside is always that of its commit."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from ci import git
from ci.release import checkouts
from infra.environment import ROOT, Environment
from leandata.errors import LeandataError

A, B = "a" * 40, "b" * 40


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    root = tmp_path / "repository"
    root.mkdir()
    shell(root, "init", "-q", "-b", "main")
    (root / "my file.sql").write_text("one\n" * 20)
    (root / "plain").write_text("two\n" * 20)
    shell(root, "add", "-A")
    shell(root, "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q", "-m", "one")
    return root


def shell(root: Path, *arguments: str) -> None:
    subprocess.run(["git", "-C", str(root), *arguments], check=True, capture_output=True)


def test_a_clean_checkout_has_no_uncommitted_work(repository: Path) -> None:
    assert git.uncommitted(repository) == ()


@pytest.mark.parametrize("old", ["my file.sql", "plain"])
def test_a_file_that_was_moved_is_named_as_it_was_and_as_it_is(repository: Path, old: str) -> None:
    shell(repository, "mv", old, "a new name")
    assert git.uncommitted(repository) == tuple(sorted(["a new name", old]))


@pytest.mark.parametrize("name", ["new", "a b/c d", "ä/ü ß", 'quo"ted', "two  spaces ", "-dash"])
def test_any_name_of_a_new_file_is_told_as_it_is(repository: Path, name: str) -> None:
    (repository / name).parent.mkdir(exist_ok=True)
    (repository / name).write_text("")
    assert git.uncommitted(repository) == (name,)


def test_edited_staged_and_removed_files_are_uncommitted_work(repository: Path) -> None:
    (repository / "plain").unlink()
    (repository / "my file.sql").write_text("x")
    (repository / "staged").write_text("x")
    shell(repository, "add", "staged")
    assert git.uncommitted(repository) == ("my file.sql", "plain", "staged")


@pytest.mark.parametrize("name", ["nothing", "HEAD~7", "--version", "f" * 40])
def test_a_name_of_no_commit_is_one_line_with_its_repository(repository: Path, name: str) -> None:
    with pytest.raises(LeandataError) as refused:
        git.commit(repository, name)
    assert str(refused.value) == f"there is no commit {name!r} ({repository})"


def test_a_commit_nobody_knows_is_checked_out_nowhere(repository: Path, tmp_path: Path) -> None:
    with pytest.raises(LeandataError, match=f"the commit {B} cannot be checked out: "):
        git.worktree(repository, B, tmp_path / "beside")
    assert not (tmp_path / "beside").exists()


def test_a_folder_in_the_way_of_a_checkout_makes_place_for_it(repository: Path, tmp_path: Path) -> None:
    beside = tmp_path / "beside"
    beside.mkdir()
    (beside / "left").write_text("by a checkout that was killed")
    git.worktree(repository, "HEAD", beside)
    assert {path.name for path in beside.iterdir()} == {".git", "my file.sql", "plain"}


def test_a_checkout_whose_folder_was_removed_by_hand_is_made_again(repository: Path, tmp_path: Path) -> None:
    beside = tmp_path / "beside"
    git.worktree(repository, "HEAD", beside)
    subprocess.run(["rm", "-r", str(beside)], check=True)
    git.worktree(repository, "HEAD", beside)
    assert git.head(beside) == git.commit(repository)


def test_a_release_without_a_known_commit_has_no_change_in_it(repository: Path) -> None:
    head = git.commit(repository)
    assert git.contains(repository, head, head)
    assert not git.contains(repository, "", head)
    assert not git.contains(repository, B, head)
    assert not git.contains(repository, head, B)


def test_sweeping_where_nothing_was_checked_out_removes_nothing(tmp_path: Path) -> None:
    here = Environment.load("local", environ={"LEANDATA_STATE": str(tmp_path / "state")}, root=ROOT)
    assert checkouts.sweep(here, keep=[A]) == []


def test_the_images_of_a_release_replace_those_of_its_commit(tmp_path: Path) -> None:
    dev = Environment.load("dev", environ={}, root=ROOT)
    for images in ({"api": "v1", "dash": "sha256:1"}, {"dash": "sha256:2"}):
        checkouts.write_images(dev, tmp_path, images)
    read = json.loads((tmp_path / "infra" / "releases" / "dev.json").read_text())
    assert read == {"images": {"dash": {"digest": "sha256:2"}}}
