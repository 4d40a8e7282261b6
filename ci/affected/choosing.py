"""Which test files a change can affect, and why. What is unsure is run; what is unknown runs all.

A test is affected by what it imports, itself or through others; by the conftests above it and the shared fixtures that
it asks for; by every file that any of these names; and, where it runs programs or verbs, by what those are made of.

Two things that look like a way are none. A program only says what an engine is to start: its processes run where our
commands are run as a whole (docs/adr/0005). And the table of verbs leads to those that a test says the name of.
A module of tests with the mark `stacks` deploys no others than it names (infra/testing/confined.py sees to it).
"""

from __future__ import annotations

import dataclasses
import functools
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from ci.affected.changes import Changes
from ci.affected.remembered import Remembered
from ci.affected.stacks import LOCKS, Question, program_of
from ci.affected.tree import TESTS, Named, Tree, closure, importable, naming, way
from ci.commands import VERBS

_FIXTURES = "infra/testing/fixtures.py"
_CLI, _TABLE = "ci/cli.py", "ci/commands.py"
_TYPES = f"{_CLI} (its types)"
_LIGHT = frozenset({"Options", "emit", "fail"})
_PROGRAMS = "ci/programs.py"
_MAIN = "ci/__main__.py"
"""It starts itself anew, with the Python of the checkout."""
_SETTINGS = "infra/components/settings.py"
_STARTING = frozenset({"deploy", "drill", "pr-env", "restart", "restore", "rollback"})
"""The verbs that start what stacks deploy."""
_WHOLE = _STARTING | {"bench", "check", "scan", "test", "test-cluster"}
"""These, and the verbs that read all there is."""
_ASIDE = re.compile(r"docs/.*|\.github/.*|(.*/)?[^/]*\.md|(.*/)?tests/.*")
"""What commands that are run as a whole do not look at."""
_OF_TESTS = re.compile(r"(ci|infra/testing)/.*|(.*/)?tests/.*|conftest\.py")
"""Whose walks through folders count."""
_DECLARED = re.compile(r"services/[^/]+/deploy\.py|infra/(components|stacks)/.*")
"""What says in which way a process is to be started, and starts none."""
_LOADERS = frozenset({"airflow", "dbt", "importlib", "pkgutil", "runpy", "subprocess"})
"""With one of these a test may run the code in a folder that it names."""
_OURS = re.compile(rf"{TESTS.pattern}|^infra/testing/")
_REAL = frozenset({"cluster", "e2e", "integration"})
"""The marks of tests that run real parts."""
_DEEP = 2  # services/airflow/pipelines is a folder of code; infra, services/api are places where things are looked up


@dataclass(frozen=True, kw_only=True, slots=True)
class Chosen:
    """The test files to run, each with its first reason, out of `all_` that there are; `why_all` says why all are."""

    files: Mapping[str, str]
    all_: int
    why_all: str = ""


def choose(found: Changes, *, tree: Tree | None = None) -> Chosen:
    """Choose for a change."""
    asked = Choosing(found, tree=tree)
    files = asked.tests()
    everything = asked.everything()
    if everything:
        return Chosen(files=dict.fromkeys(files, everything), all_=len(files), why_all=everything)
    reasons = {path: asked.reason(path) for path in files}
    return Chosen(files={path: why for path, why in reasons.items() if why}, all_=len(files))


class Choosing:
    """One change, asked for one test file after the other."""

    def __init__(self, found: Changes, *, tree: Tree | None = None) -> None:
        self.found = found
        self.tree = tree or Tree.of(found, memory=Remembered.here())
        self.programs = sorted(path for path in self.tree.facts if program_of(path))

    def tests(self) -> list[str]:
        """The test files that pytest collects, sorted: `testpaths` of pyproject.toml."""
        places = _testpaths(self.found.now("pyproject.toml") or b"")
        return sorted(path for path in self.found.after if _is_test(path, places))

    def everything(self) -> str:
        """Why all tests are to be run; "" where that is not so."""
        for path in sorted(self.found.changed):
            if path in LOCKS:
                return f"{path} differs"
            if path == "conftest.py":
                return f"{path} is every test's"
            if not path.endswith(".py") and not self._known(path):
                return f"{path} is a file that nobody names"
        hidden = importable(self.found.before, self.tree.roots) ^ importable(self.found.after, self.tree.roots)
        hidden = {name for name in hidden if not name.startswith("test_") and name != "tests"}
        return f"the module {min(hidden)} came or went: it may hide a library" if hidden else ""

    def _known(self, path: str) -> bool:
        if naming(self.tree, sorted(self.tree.facts), path, words={}) is not None:
            return True
        walks = {walk for one, facts in self.tree.facts.items() if _OF_TESTS.fullmatch(one) for walk in facts.walks}
        return any(_walked(walk, path) for walk in walks - {"*"})

    def _walkers(self, walk: str) -> list[str]:
        return [
            one for one, facts in sorted(self.tree.facts.items()) if walk in facts.walks and _OF_TESTS.fullmatch(one)
        ]

    def reason(self, test: str) -> str:
        """Why a test file can be affected; "" where it cannot."""
        reached, verbs = self._reached(test)
        confined = self.tree.facts[test].deploys if test in self.tree.facts else frozenset[str]()
        if confined and (touched := min(confined & self._touched.keys(), default="")):
            return f"{test} deploys the stack {touched}: {self._touched[touched]}"
        whole = min(verbs - _STARTING if confined else verbs, default="")
        for path in sorted(self.found.changed):
            node = _TYPES if path == _CLI and path not in reached else path
            if node in reached:
                return " -> ".join(way(reached, node)[-4:])
        for path in sorted(self.found.changed):
            if whole and not _ASIDE.fullmatch(path):
                return f"{test} runs all that a checkout holds by `{whole}`: {path}"
            for one, said in self._readers(path).items():
                if one in reached:
                    return said
            # Who looks at every file: a command may not come to it here, a test that takes it by itself does.
            for one in sorted({test, *self._edges(test)} & set(self._walkers("*"))):
                return f"{one} looks at every file: {path}"
        return ""

    @functools.cached_property
    def _code(self) -> list[str]:
        return [one for one in self.tree.facts if not TESTS.search(one)]

    @functools.cached_property
    def _touched(self) -> dict[str, str]:
        """The stacks of one machine that the change touches, each with its first reason."""
        facts = {path: self.tree.facts[path] for path in self._code}
        patterns = {path: self.tree.patterns[path] for path in facts}
        question = Question(self.found, tree=dataclasses.replace(self.tree, facts=facts, patterns=patterns))
        return {name: reasons[0] for name, reasons in question.stacks("local").items()}

    def _reached(self, test: str) -> tuple[dict[str, str], frozenset[str]]:
        """Every file that a test is made of, and through which; the verbs that it runs and that start or read all."""
        starts = self._starts(test)
        reached, known = closure(starts, self._edges), frozenset[str]()
        while True:
            commands, inside = self._verbs(test, reached)
            if commands | inside <= known:
                return reached, commands & _WHOLE
            known |= commands | inside
            done = {file for verb in known for file in self.tree.resolve(VERBS[verb].done_by.partition(":")[0])}
            reached = closure({*starts, *done}, self._edges)

    def _verbs(self, test: str, reached: Iterable[str]) -> tuple[frozenset[str], frozenset[str]]:
        """The verbs that a test runs as commands, and those that it runs by the command line in its own process.

        What our code runs as a command counts for a test on real parts only: others give it a fake to run it with.
        """
        facts = {path: self.tree.facts[path] for path in reached if path in self.tree.facts}
        ours = {path for path in facts if _OURS.search(path)}
        real = facts[test].marks & _REAL if test in facts else _REAL
        running = {path for path, one in facts.items() if one.runs and path != _MAIN and (real or path in ours)}
        named = {verb for path in running for verb in facts[path].runs}
        callers = {path for path in facts if self.tree.imported(path) & (running - ours)} if "" in named else set[str]()
        commands = named | (self._words(ours | callers) if "" in named else set[str]())
        inside = self._words(ours) if _TABLE in facts else set[str]()
        every = frozenset(VERBS)
        return every & commands, every if any(_TABLE in self.tree.imported(one) for one in ours) else every & inside

    def _words(self, paths: Iterable[str]) -> set[str]:
        return {word for path in paths for text in self.tree.facts[path].texts for word in text.split()}

    @functools.cache  # noqa: B019 - it lives for one command
    def _readers(self, path: str) -> dict[str, str]:
        """The files that name `path`, or look through folders for it; a sentence each."""
        found: dict[str, str] = {}
        for one, facts in sorted(self.tree.facts.items()):
            named = naming(self.tree, [one], path, words={})
            if named is not None and not self._only_a_place(one, named):
                found[one] = f"{one} names {named.pattern}: {path}"
            elif _OF_TESTS.fullmatch(one):
                walked = next((walk for walk in sorted(facts.walks - {"*"}) if _walked(walk, path)), None)
                if walked is not None:
                    found[one] = f"{one} looks through folders for {walked}: {path}"
        return found

    def _only_a_place(self, by: str, named: Named) -> bool:
        """Whether the file's content is only hashed there, or the name is that of a place where things are found."""
        if named.pattern in self.tree.facts[by].hashed or "{service}" in named.pattern or by == _SETTINGS:
            return True
        return by.startswith(("ci/", "infra/")) and not named.file and named.pattern.count("/") < _DEEP

    def _starts(self, test: str) -> set[str]:
        """The test, the conftests above it, and the shared fixtures where it asks for one."""
        above = [place.as_posix() for place in PurePosixPath(test).parents]
        conftests = [f"{place}/conftest.py" for place in above if place != "."]
        starts = {test, *(path for path in conftests if path in self.tree.paths)}
        shared = self.tree.facts.get(_FIXTURES)
        asked = {name for path in starts for name in (self.tree.facts[path].asked if path in self.tree.facts else ())}
        if shared is not None and (asked & shared.fixtures or _FIXTURES in self.found.changed):
            starts.add(_FIXTURES)
        return starts

    @functools.cache  # noqa: B019
    def _edges(self, path: str) -> Iterable[str]:
        if path == _TYPES:
            return self.tree.imported(_CLI) - {_TABLE}
        facts = self.tree.facts.get(path)
        if facts is None:
            return ()
        found = self.tree.imported(path)
        if not _DECLARED.fullmatch(path) and (self._loads(path) or not _OURS.search(path)):
            found |= self.tree.started(path)
        if _CLI in found and self._light(path):
            found = (found - {_CLI}) | {_TYPES}
        if path != _TABLE:
            found |= {file for text in facts.texts if ":" in text for file in self.tree.resolve(text.partition(":")[0])}
        for part in facts.parts:
            found |= {one for one in self.tree.facts if re.fullmatch(rf"infra/components/\w+/{part or '.*'}\.py", one)}
        if path == _PROGRAMS:
            found |= set(self.programs)
        if TESTS.search(path) or path == _FIXTURES:
            found |= self._loaded(path)
        return found - {path}

    def _light(self, path: str) -> bool:
        """Whether a file takes only types and tables of the command line, and runs no verb by it."""
        names = {name.removeprefix("ci.cli.") for name in self.tree.facts[path].imports if name.startswith("ci.cli.")}
        return bool(names) and names <= _LIGHT

    def _loads(self, path: str) -> bool:
        """Whether a file of tests has what it needs to run code that it does not import."""
        imports = self.tree.facts[path].imports
        return any(name.startswith("infra.testing") or name.partition(".")[0] in _LOADERS for name in imports)

    def _loaded(self, path: str) -> set[str]:
        """The code in folders that a file of tests names: it may load what is in there."""
        named = self.tree.patterns.get(path, ()) if self._loads(path) else ()
        deep = [one for one in named if one.count("/") >= _DEEP]
        own = {path: tuple(deep)}
        inside = self._code if deep else []
        tree = dataclasses.replace(self.tree, patterns=own)
        return {one for one in inside if naming(tree, [path], one, words={}) is not None}


def _testpaths(project: bytes) -> tuple[str, ...]:
    try:
        return tuple(tomllib.loads(project.decode())["tool"]["pytest"]["ini_options"]["testpaths"])
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, KeyError, TypeError):
        return ("",)


def _is_test(path: str, places: tuple[str, ...]) -> bool:
    parts = PurePosixPath(path)
    inside = any(path.startswith(f"{place}/" if place else "") for place in places)
    return inside and parts.name.startswith("test_") and parts.suffix == ".py"


def _walked(pattern: str, path: str) -> bool:
    last = pattern.rsplit("/", 1)[-1]
    return PurePosixPath(path).match(last)
