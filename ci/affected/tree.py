"""The files of both sides of a change, and who reads whom: an import is an edge whichever side has it."""

from __future__ import annotations

import functools
import gc
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from ci.affected.changes import Changes
from ci.affected.reading import Facts, is_module, read
from ci.affected.remembered import Remembered

TESTS = re.compile(r"(^|/)(tests/|conftest\.py$)")


@dataclass(frozen=True, slots=True)
class Tree:
    """All paths of both sides, the facts of each Python file on both, and the folders that imports start from."""

    paths: frozenset[str]
    facts: Mapping[str, Facts]
    roots: tuple[str, ...]
    patterns: Mapping[str, tuple[str, ...]]
    """By file, the patterns of paths that it names: only those that could be paths of ours."""
    _resolved: dict[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    _imported: dict[str, set[str]] = field(default_factory=dict[str, set[str]])

    @classmethod
    def of(
        cls, found: Changes, *, wanted: Callable[[str], bool] = lambda _: True, memory: Remembered | None = None
    ) -> Tree:
        """Read every Python file that is `wanted`; with a `memory` only those that it does not know."""
        paths = found.before | found.after
        facts: dict[str, Facts] = {}
        reading = memory.read if memory else read
        # Millions of small objects that live shortly: collecting them between files takes longer than making them.
        collecting = gc.isenabled()
        gc.disable()
        try:
            for path in sorted(paths):
                if path.endswith(".py") and wanted(path):
                    now, old = found.now(path), found.old.get(path)
                    sides = [reading(source, path=path) for source in (now, old) if source is not None]
                    facts[path] = functools.reduce(Facts.__or__, sides) if sides else Facts()
        finally:
            if collecting:
                gc.enable()
        if memory:
            memory.keep()
        services = sorted({"/".join(path.split("/")[:2]) for path in paths if path.startswith("services/")})
        roots = ("", "shared/", *(f"{folder}/" for folder in services if not folder.endswith(".py")))
        places = {*paths, *(str(above) for path in paths for above in PurePosixPath(path).parents)}
        patterns = {path: tuple(sorted(_patterns(path, one, places))) for path, one in facts.items()}
        return cls(paths=paths, facts=facts, roots=roots, patterns=patterns)

    def resolve(self, module: str) -> tuple[str, ...]:
        """The files that importing `module` reads: its own and those of the packages above it; () for a library.

        Of `package.*` those of every module that is right in the package.
        """
        found = self._resolved.get(module)
        if found is None and module.endswith(".*"):
            package = module.removesuffix(".*")
            places = {f"{root}{package.replace('.', '/')}" for root in self.roots}
            inside = sorted(path for path in self.facts if path.rpartition("/")[0] in places)
            found = (*self.resolve(package), *inside)
            self._resolved[module] = found
        elif found is None:
            parts = module.split(".")
            found = tuple(
                path
                for root in self.roots
                for count in range(1, len(parts) + 1)
                for path in self._files(root + "/".join(parts[:count]))
                if count < len(parts) or path
            )
            self._resolved[module] = found
        return found

    def _files(self, place: str) -> list[str]:
        return [path for path in (f"{place}.py", f"{place}/__init__.py") if path in self.paths]

    def imported(self, path: str) -> set[str]:
        """The files that `path` imports, with the packages above each and above itself."""
        found = self._imported.get(path)
        if found is None:
            facts = self.facts.get(path) or Facts()
            found = {file for module in facts.imports for file in self.resolve(module)} - {path}
            self._imported[path] = found
        return set(found)

    def started(self, path: str) -> set[str]:
        """The files of modules that `path` names in a text, as in `python -m infra.standins.mail`."""
        facts = self.facts.get(path)
        if facts is None:
            return set()
        runs = "-m" in facts.texts  # then a single word may be a module as well
        dotted = [text for text in facts.texts if ("." in text or runs) and is_module(text)]
        found = {file for text in dotted for file in self.resolve(text)}
        mains = {f"{root}{text.replace('.', '/')}/__main__.py" for root in self.roots for text in dotted}
        return (found | (mains & self.paths)) - {path}

    def defines(self, folder: str) -> dict[str, str]:
        """The file under `folder` that defines each class."""
        inside = [path for path in sorted(self.facts) if path.startswith(folder)]
        return {name: path for path in inside for name in sorted(self.facts[path].classes)}


@dataclass(frozen=True, kw_only=True, slots=True)
class Named:
    """A path that a file names: as a pattern, and whether what it names is one file or a folder of many."""

    by: str
    pattern: str
    file: bool


def naming(tree: Tree, readers: Iterable[str], path: str, *, words: Mapping[str, str]) -> Named | None:
    """How the first of `readers` names `path`, rather as a file than as one of a folder; None where nobody does.

    `words` are what the words in braces stand for; those that it lacks stand for anything.
    """
    found: Named | None = None
    for reader in readers:
        for pattern in tree.patterns.get(reader, ()):
            kind = _match(_filled(pattern, words), path)
            if kind == "file" or (kind and found is None):
                found = Named(by=reader, pattern=pattern, file=kind == "file")
            if kind == "file":
                return found
    return found


def _patterns(path: str, facts: Facts, places: set[str]) -> Iterable[str]:
    """What the file at `path` may name among `places`: all files and folders that there are."""
    for name in facts.names:
        first = name.split("/", 1)[0]
        if name.endswith("/.") and first in places:
            yield first
        elif first in places and ("/" in name or "." in name or name == "Makefile"):
            yield name
    folder = PurePosixPath(path).parent.as_posix()
    for text in facts.beside:
        place = text if folder == "." else f"{folder}/{text}"
        if place in places:
            yield place


def _filled(pattern: str, words: Mapping[str, str]) -> str:
    return re.sub(r"\{(\w+)\}", lambda found: words.get(found[1], "*"), pattern)


def _match(pattern: str, path: str) -> str:
    """ "file", "folder" or "" for no match."""
    first = pattern.split("/", 1)[0]
    if not path.startswith(first):
        return ""
    found = _compiled(pattern).fullmatch(path)
    return "" if found is None else "folder" if found["rest"] else "file"


@functools.cache
def _compiled(pattern: str) -> re.Pattern[str]:
    wild = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    pieces = [wild.get(piece, re.escape(piece)) for piece in re.split(r"(\*\*/?|\*|\?)", pattern.strip("/"))]
    return re.compile("".join(pieces) + r"(?P<rest>/.+)?")


def closure(starts: Iterable[str], edges: Callable[[str], Iterable[str]]) -> dict[str, str]:
    """Every file that is reached, in the order it was, and from which one: "" for a start."""
    found = dict.fromkeys(sorted(starts), "")
    waiting = list(found)
    for path in waiting:
        for other in sorted(edges(path)):
            if other not in found:
                found[other] = path
                waiting.append(other)
    return found


def way(reached: Mapping[str, str], path: str) -> list[str]:
    """How `path` is reached: from a start to it."""
    steps = [path]
    while reached.get(steps[-1]):
        steps.append(reached[steps[-1]])
    return steps[::-1]


def importable(paths: Iterable[str], roots: Iterable[str]) -> set[str]:
    """The names on top that can be imported: a new one may hide a library from everybody."""
    found: set[str] = set()
    for path in paths:
        for root in roots:
            parts = path[len(root) :].split("/") if path.startswith(root) else []
            if len(parts) == 1 and parts[0].endswith(".py"):
                found.add(parts[0].removesuffix(".py"))
            elif len(parts) == 2 and parts[1] == "__init__.py":
                found.add(parts[0])
    return found
