"""In what a working tree differs from a commit: committed, uncommitted and untracked; git is only read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ci import git
from leandata.errors import LeandataError

MAIN = ("origin/main", "main")


@dataclass(frozen=True, kw_only=True, slots=True)
class Changes:
    """A working tree against a commit.

    `before` and `after` are all paths of the commit and of the working tree, from the root. `changed` are those that
    were added, changed or deleted: a renamed file counts by both names. `old` is the content that a changed file had
    in the commit, by path; `root` is where its present content lies.
    """

    root: Path
    commit: str
    before: frozenset[str]
    after: frozenset[str]
    changed: frozenset[str]
    old: Mapping[str, bytes] = field(default_factory=dict[str, bytes])

    def now(self, path: str) -> bytes | None:
        """The present content; None where it is gone, or is no file."""
        try:
            return (self.root / path).read_bytes() if path in self.after else None
        except OSError:
            return None


def changes(root: Path, base: str = "") -> Changes:
    """The working tree at `root` against the commit where it left `base`.

    `base` is a commit, branch or tag; "" is the main branch, where there is none the last commit. Raises
    LeandataError where there is no git, or no such commit.
    """
    commit = base_commit(root, base)
    before = frozenset(_lines(root, "ls-tree", "-r", "-z", "--name-only", commit))
    tracked = _lines(root, "ls-files", "-z", "--cached")
    untracked = _lines(root, "ls-files", "-z", "--others", "--exclude-standard")
    # Git's own comparison of the index may be stale after a touch: it is told to look at the content.
    differ = _lines(root, "diff", "-z", "--name-only", "--no-renames", "--no-ext-diff", commit, "--")
    after = frozenset(path for path in {*tracked, *untracked} if (root / path).is_symlink() or (root / path).exists())
    changed = frozenset(differ) | (after - before) | (before - after)
    return Changes(
        root=root,
        commit=commit,
        before=before,
        after=after,
        changed=changed,
        old=_contents(root, commit, sorted(changed & before)),
    )


def base_commit(root: Path, base: str = "") -> str:
    """The commit where HEAD left `base` ("" is the main branch, else HEAD itself), as 40 hexadecimal digits.

    Raises LeandataError where there is no git, no such commit, or no common one.
    """
    if not base:
        known = [name for name in MAIN if git.said(root, "rev-parse", "--verify", "--quiet", f"{name}^{{commit}}")]
        base = known[0] if known else "HEAD"
    if base.startswith("-") or not git.said(root, "rev-parse", "--verify", "--quiet", f"{base}^{{commit}}"):
        hint = "BASE is a commit, a branch or a tag; a shallow clone has few: git fetch --unshallow"
        raise LeandataError(f"git knows no commit {base!r} here", where=str(root), hint=hint)
    found = git.said(root, "merge-base", base, "HEAD")
    if not found:
        raise LeandataError(f"HEAD and {base!r} have no commit in common", hint="git fetch --unshallow")
    return found


def _lines(root: Path, *arguments: str) -> list[str]:
    return git.names(root, *arguments, failed=f"git {arguments[0]} fails")


def _contents(root: Path, commit: str, paths: list[str]) -> dict[str, bytes]:
    """What these files held in the commit, by one call of git."""
    asked = [path for path in paths if "\n" not in path]
    names = "".join(f"{commit}:{path}\n" for path in asked)
    answer = git.run(root, "cat-file", "--batch", given=names.encode(errors="surrogateescape")).stdout
    found: dict[str, bytes] = {}
    place = 0
    for path in asked:
        end = answer.index(b"\n", place)
        head = answer[place:end].split()
        place = end + 1
        if head[-1] == b"missing":
            continue
        size = int(head[-1])
        if head[-2] == b"blob":
            found[path] = answer[place : place + size]
        place += size + 1
    return found
