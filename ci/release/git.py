"""What git says of a checkout, and checkouts of older commits."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from leandata.errors import LeandataError


def commit(root: Path, name: str = "HEAD") -> str:
    """The full id of the commit that `name` names. Raises LeandataError."""
    return _git(root, "rev-parse", "--verify", "--quiet", f"{name}^{{commit}}", failed=f"there is no commit {name!r}")


def head(root: Path) -> str:
    """The commit that is checked out; "" where there is no git, or no commit."""
    try:
        return commit(root)
    except LeandataError:
        return ""


def uncommitted(root: Path) -> tuple[str, ...]:
    """Files that differ from the commit, or that it does not know, sorted; none where there is no git."""
    try:
        text = _git(root, "status", "--porcelain", "--untracked-files=all", "-z", failed="git gives no status")
    except LeandataError:
        return ()
    entries, names = iter(text.split("\0")), set[str]()
    for entry in entries:
        if not entry:
            continue
        names.add(entry[3:])
        if "R" in entry[:2] or "C" in entry[:2]:
            names.add(next(entries))  # a file that was moved is followed by the name that it had
    return tuple(sorted(names))


def contains(root: Path, released: str, change: str) -> bool:
    """Whether the commit `change` is part of the commit `released`; False where one is not known here."""
    return _run(root, "merge-base", "--is-ancestor", change, released).returncode == 0


def worktree(root: Path, name: str, place: Path) -> None:
    """The commit `name` as a checkout at `place`, as it was committed; one that is there is kept. Raises LeandataError.

    It shares the repository of `root`, and what is checked out there does not change.
    """
    if place.exists():
        if head(place) == commit(root, name) and not uncommitted(place):
            return
        remove_worktree(root, place)
    place.parent.mkdir(parents=True, exist_ok=True)
    _git(root, "worktree", "prune", failed="git cannot tidy its checkouts")
    _git(root, "worktree", "add", "--detach", str(place), name, failed=f"the commit {name} cannot be checked out")


def remove_worktree(root: Path, place: Path) -> None:
    """Remove a checkout that `worktree` made."""
    if _run(root, "worktree", "remove", "--force", str(place)).returncode != 0:
        shutil.rmtree(place, ignore_errors=True)
        _run(root, "worktree", "prune")


def _git(root: Path, *arguments: str, failed: str) -> str:
    result = _run(root, *arguments)
    if result.returncode != 0:
        reason = (result.stderr.strip().splitlines() or [""])[-1].removeprefix("fatal: ")
        raise LeandataError(f"{failed}: {reason}" if reason else failed, where=str(root))
    return result.stdout.rstrip("\n")


def _run(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["git", "-C", str(root), *arguments], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
    )
