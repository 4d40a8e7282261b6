"""git, as everything here runs it: names as they are, nothing asked, nothing of the repository's own settings run."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from leandata.errors import LeandataError

# No hooks and no file monitor: those are programs that a repository may name.
_OPTIONS = ("-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false", "-c", "core.quotepath=off")


def run(root: Path, *arguments: str, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """One command in the checkout at `root`, whatever becomes of it. Raises LeandataError where there is no git."""
    command = ["git", *_OPTIONS, "-C", str(root), *arguments]
    try:
        return subprocess.run(command, input=given, capture_output=True, check=False)
    except FileNotFoundError as error:
        raise LeandataError("git is not installed", hint="Install it: apt-get install git") from error


def text(result: subprocess.CompletedProcess[bytes]) -> str:
    """What it printed; names that are no UTF-8 survive, and name the same file again."""
    return result.stdout.decode(errors="surrogateescape")


def reason(result: subprocess.CompletedProcess[bytes]) -> str:
    """The last line that it complained with; "" when it did not."""
    return (result.stderr.decode(errors="replace").strip().splitlines() or [""])[-1]


def said(root: Path, *arguments: str) -> str:
    """What a command prints, without space around it; "" when it fails."""
    result = run(root, *arguments)
    return text(result).strip() if result.returncode == 0 else ""


def names(root: Path, *arguments: str, failed: str) -> list[str]:
    """The answer of a command that ends every entry with a zero byte. Raises LeandataError: `failed`, and why."""
    result = run(root, *arguments)
    if result.returncode != 0:
        raise LeandataError(f"{failed}: {reason(result) or 'no reason given'}", where=str(root))
    return [name for name in text(result).split("\0") if name]


def head(root: Path) -> str:
    """The commit that is checked out, as 40 hexadecimal digits; "" where there is no commit, or no repository."""
    return said(root, "rev-parse", "--verify", "--quiet", "HEAD^{commit}")


def commit(root: Path, name: str = "HEAD") -> str:
    """The full id of the commit that `name` names. Raises LeandataError."""
    asked = ("rev-parse", "--verify", "--quiet", f"{name}^{{commit}}")
    return _demanded(root, *asked, failed=f"there is no commit {name!r}")


def uncommitted(root: Path) -> tuple[str, ...]:
    """Files that differ from the commit, or that it does not know, sorted; none where there is no git."""
    asked = ("status", "--porcelain", "--untracked-files=all", "-z")
    try:
        entries = iter(names(root, *asked, failed="git gives no status"))
    except LeandataError:
        return ()
    found = set[str]()
    for entry in entries:
        found.add(entry[3:])
        if "R" in entry[:2] or "C" in entry[:2]:
            found.add(next(entries))  # a file that was moved is followed by the name that it had
    return tuple(sorted(found))


def contains(root: Path, released: str, change: str) -> bool:
    """Whether the commit `change` is part of the commit `released`; False where one is not known here."""
    return run(root, "merge-base", "--is-ancestor", change, released).returncode == 0


def worktree(root: Path, name: str, place: Path) -> None:
    """The commit `name` as a checkout at `place`, as it was committed; one that is there is kept. Raises LeandataError.

    It shares the repository of `root`, and what is checked out there does not change.
    """
    if place.exists():
        if head(place) == commit(root, name) and not uncommitted(place):
            return
        remove_worktree(root, place)
    place.parent.mkdir(parents=True, exist_ok=True)
    _demanded(root, "worktree", "prune", failed="git cannot tidy its checkouts")
    _demanded(root, "worktree", "add", "--detach", str(place), name, failed=f"the commit {name} cannot be checked out")


def remove_worktree(root: Path, place: Path) -> None:
    """Remove a checkout that `worktree` made."""
    if run(root, "worktree", "remove", "--force", str(place)).returncode != 0:
        shutil.rmtree(place, ignore_errors=True)
        run(root, "worktree", "prune")


def _demanded(root: Path, *arguments: str, failed: str) -> str:
    result = run(root, *arguments)
    if result.returncode != 0:
        why = reason(result).removeprefix("fatal: ")
        raise LeandataError(f"{failed}: {why}" if why else failed, where=str(root))
    return text(result).rstrip("\n")
