"""The two commits that a preview compares: which they are, and a checkout of the base for as long as it is needed."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Generator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from ci import git
from ci.ending import terminable
from leandata.errors import LeandataError

_MAINS = ("refs/remotes/origin/HEAD", "refs/remotes/origin/main", "refs/heads/main")
_PREFIX = "leandata-preview-"


@dataclass(frozen=True, kw_only=True, slots=True)
class Commit:
    """A commit: its id, its tree's id, and when it was made, in UTC."""

    id: str
    tree: str
    time: datetime

    @property
    def short(self) -> str:
        return self.id[:10]


@dataclass(frozen=True, kw_only=True, slots=True)
class Sources:
    """What is compared: `base` (None where there is nothing before head), how it was chosen, and head.

    With `dirty` head is the work tree with its uncommitted changes, on top of the commit. With `behind` the base is
    newer than head, which goes back behind it.
    """

    base: Commit | None
    how: str
    head: Commit
    dirty: bool
    behind: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Facts:
    """What the choice of a base hangs on: ids of commits, "" where there is none; `main` is the main branch's name."""

    head: str
    parent: str
    merge_base: str
    main: str
    dirty: bool


def choose(facts: Facts) -> tuple[str, str]:
    """The base's commit when none is asked for, and a phrase that says which it is; ("", ...) where there is none.

    Where the branch left the main branch; on the main branch what is not committed yet, or else the last commit.
    """
    if facts.merge_base and facts.merge_base != facts.head:
        return facts.merge_base, f"where this branch left {facts.main}"
    if facts.dirty:
        return facts.head, "the last commit, against the uncommitted changes"
    if facts.parent:
        return facts.parent, "the commit before the last"
    return "", "there is no earlier commit"


@dataclass(frozen=True, kw_only=True, slots=True)
class Repository:
    """The git repository whose work tree is `root`."""

    root: Path

    def sources(self, asked: str = "") -> Sources:
        """What a preview compares; `asked` is a commit, branch or tag. Raises LeandataError where it is not there."""
        head = self.commit("HEAD")
        if head is None:
            raise LeandataError("there is no commit to preview", where=str(self.root), hint="Commit something first")
        dirty = bool(self.git("status", "--porcelain", "--untracked-files=normal").strip())
        if asked:
            found = self.commit(asked)
            if found is None:
                hint = "BASE is a commit, a branch or a tag of this clone; `git fetch` brings what it lacks"
                raise LeandataError(f"there is no commit {asked!r} here", hint=hint)
            return self._asked(asked, found, head, dirty=dirty)
        name, how = choose(self._facts(head, dirty=dirty))
        return Sources(base=self.commit(name) if name else None, how=how, head=head, dirty=dirty)

    def _asked(self, asked: str, found: Commit, head: Commit, *, dirty: bool) -> Sources:
        """What was asked for; of a branch that has gone on, the commit where this one left it."""
        merged = git.said(self.root, "merge-base", "HEAD", found.id)
        if merged and merged not in (found.id, head.id) and not found.id.startswith(asked):
            return Sources(base=self.commit(merged), how=f"where this branch left {asked}", head=head, dirty=dirty)
        behind = merged != found.id
        return Sources(base=found, how=f"asked for as {asked}", head=head, dirty=dirty, behind=behind)

    def _facts(self, head: Commit, *, dirty: bool) -> Facts:
        parent = self.commit("HEAD~1")
        main = next((ref for ref in _MAINS if self.commit(ref)), "")
        merged = git.said(self.root, "merge-base", "HEAD", main) if main else ""
        named = git.said(self.root, "rev-parse", "--abbrev-ref", main) if main else ""
        return Facts(head=head.id, parent=parent.id if parent else "", merge_base=merged, main=named, dirty=dirty)

    def commit(self, name: str) -> Commit | None:
        """The commit of that name; None when there is none."""
        if name.startswith("-"):
            return None
        said = git.said(self.root, "log", "-1", "--no-show-signature", "--format=%H %T %ct", f"{name}^{{commit}}", "--")
        if not said:
            return None
        identity, tree, seconds = said.split()
        return Commit(id=identity, tree=tree, time=datetime.fromtimestamp(int(seconds), tz=UTC))

    def git(self, *arguments: str) -> str:
        """What git prints. Raises LeandataError with its reason."""
        result = git.run(self.root, *arguments)
        if result.returncode != 0:
            last = git.reason(result) or "no reason given"
            raise LeandataError(f"git {arguments[0]} failed: {last[:300]}", where=str(self.root))
        return git.text(result)

    @contextlib.contextmanager
    def checkout(self, commit: Commit) -> Generator[Path]:
        """A work tree of `commit` in a temporary folder; removed always, also on ^C and on SIGTERM."""
        folder = Path(tempfile.mkdtemp(prefix=_PREFIX)).resolve()
        place = folder / "base"
        with terminable():
            try:
                self.git("worktree", "prune")
                self.git("worktree", "add", "--detach", "--quiet", str(place), commit.id)
                yield place
            finally:
                git.run(self.root, "worktree", "remove", "--force", "--force", str(place))
                shutil.rmtree(folder, ignore_errors=True)
                git.run(self.root, "worktree", "prune")
