"""What of `check` a change can affect: the files whose types may differ now, and the checks that come out as before."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from ci.affected.changes import Changes
from ci.affected.choosing import Choosing
from ci.affected.stacks import LOCKS
from ci.affected.tree import Tree, closure, importable

POLICIES, CATALOGUE = "policies", "catalogue"
_DONE_BY: Mapping[str, str] = {CATALOGUE: "ci/verbs/catalogue.py", POLICIES: "ci/verbs/policy.py"}
"""The checks that take long and read little; the quick ones are always run."""
_SETTINGS = "pyproject.toml"


@dataclass(frozen=True, kw_only=True, slots=True)
class Checked:
    """What to check. `types` are the files whose types to check, sorted; None for all, and `why_all` says why.

    `left_out` are the checks that read nothing of what changed.
    """

    types: tuple[str, ...] | None = None
    why_all: str = ""
    left_out: frozenset[str] = frozenset()


def checked(found: Changes, *, tree: Tree | None = None) -> Checked:
    """Decide for a change: a type can differ in a file that changed, or that imports such a one, however far.

    Without a change nothing is left: () and every check that can be. What may hide a library, or is no Python and
    says what types are, has all files checked.
    """
    asked = Choosing(found, tree=tree)
    everything = asked.everything()
    left_out = frozenset(() if everything else (name for name, by in _DONE_BY.items() if not asked.reason(by)))
    why_all = _all_types(found, roots=asked.tree.roots)
    if why_all:
        return Checked(why_all=why_all, left_out=left_out)
    mine = set(typed(found))
    return Checked(types=tuple(sorted(mine & _importers(asked.tree, found.changed))), left_out=left_out)


def typed(found: Changes) -> list[str]:
    """The files whose types are checked: `include` of pyproject.toml without its `exclude`, sorted."""
    settings = tomllib.loads((found.now(_SETTINGS) or b"").decode())["tool"]["basedpyright"]
    include, exclude = tuple(settings["include"]), tuple(settings["exclude"])
    return sorted(path for path in found.after if path.endswith(".py") and _under(path, include, exclude))


def _under(path: str, include: Iterable[str], exclude: Iterable[str]) -> bool:
    places = [place.as_posix() for place in (PurePosixPath(path), *PurePosixPath(path).parents)]
    anywhere = {one.removeprefix("**/") for one in exclude if one.startswith("**/")}
    return not (anywhere & {*PurePosixPath(path).parts} or {*exclude} & {*places}) and bool({*include} & {*places})


def _all_types(found: Changes, *, roots: Iterable[str]) -> str:
    for path in sorted(found.changed):
        if path in LOCKS or path.endswith((".pyi", "py.typed")):
            return f"{path} differs"
    came_or_went = importable(found.before, roots) ^ importable(found.after, roots)
    return f"the module {min(came_or_went)} came or went: it may hide a library" if came_or_went else ""


def _importers(tree: Tree, changed: Iterable[str]) -> set[str]:
    """The changed files, and every file that imports one of them itself or through others."""
    by: dict[str, set[str]] = {}
    for path in tree.facts:
        for other in tree.imported(path):
            by.setdefault(other, set()).add(path)
    starts = [path for path in changed if path.endswith(".py")]
    return set(closure(starts, lambda path: by.get(path, ())))
