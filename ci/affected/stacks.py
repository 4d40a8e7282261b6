"""Which stacks a change touches in an environment, and why. What is unsure is touched; what is unknown touches all.

A stack's program is what it imports, and the modules that make its parts on the environment's substrates. What it
imports, and a file that it names, may change its outputs: then the stacks that need it are touched as well. Code that
it only starts, folders whose content it hashes and images change the stack alone.
"""

from __future__ import annotations

import functools
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from ci.affected import locked
from ci.affected.changes import Changes, changes
from ci.affected.remembered import Remembered
from ci.affected.tree import TESTS, Tree, closure, importable, naming, way
from ci.graph import dependents, everything, made_in
from infra.components.manifest import ServiceManifest
from leandata.errors import LeandataError, SettingsError

ENVIRONMENTS = "infra/environments/"
LOCKS = ("pyproject.toml", "uv.lock")
_RECORDER = ("ci/programs.py", "ci/__init__.py")
_PROVIDER = "infra/provider/"
_KINDS = f"{_PROVIDER}kinds/"
_PLUGIN = f"{_PROVIDER}plugin.py"
_PROGRAM = re.compile(r"(?:infra/stacks/([^/]+)/__main__|services/([^/]+)/deploy)\.py")
_NOT_READ = re.compile(
    r"\.(ci|github)/.*|docs/.*|ci/.*|infra/(engine|images|policy)/.*|(.*/)?(Dockerfile|\.gitignore|[^/]*\.md)"
    r"|Makefile|owners\.toml|(.*/)?tests/.*|conftest\.py|LICENSE|[^/]*\.ini"
)
"""What no program reads, unless a program says so: workflows, documents, our own tools, tests, image recipes."""
MANIFEST = "services/{service}/service.toml"
_MANIFEST_OF = re.compile(r"services/([^/]+)/service\.toml")
_MANIFEST_READERS = ("infra/components/manifest.py", "infra/components/naming.py")
"""What reads manifests as tables that are watched, and so knows which of their keys a program has looked at."""
_NOT_RUN = re.compile(r"(.*/)?tests/.*|.*\.md")
"""As in infra.components.settings: it lies in the folders of services, and nothing of it is run."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Touch:
    """One reason why a stack is touched; with `outputs` its outputs may change.

    `manifest` is the service whose manifest changed, where all that the stack does is to read it.
    """

    reason: str
    outputs: bool
    manifest: str = ""


def affected(root: Path, base: str, environment: str) -> dict[str, tuple[str, ...]]:
    """The stacks of `environment` that may differ between `base` and the working tree at `root`, each with reasons.

    Sorted by name; stacks that a person deploys by hand and stacks that are gone are among them. `base` is as in
    ci.affected.changes. Raises LeandataError for an unknown environment, for stacks that need each other in a circle,
    and without git.
    """
    return Question(changes(root, base)).stacks(environment)


def program_of(path: str) -> str:
    """The stack whose program `path` is; "" for none."""
    found = _PROGRAM.fullmatch(path)
    return (found[1] or found[2]) if found else ""


class Question:
    """One change, asked for the stacks of one environment after the other."""

    def __init__(self, found: Changes, *, tree: Tree | None = None) -> None:
        self.found = found
        self.tree = tree or Tree.of(found, wanted=lambda path: not TESTS.search(path), memory=Remembered.here())

    @functools.cached_property
    def environments(self) -> list[str]:
        """The environments of either side, sorted."""
        paths = [PurePosixPath(path) for path in self.tree.paths if path.startswith(ENVIRONMENTS)]
        return sorted(path.stem for path in paths if path.suffix == ".toml")

    def stacks(self, environment: str) -> dict[str, tuple[str, ...]]:
        """The touched stacks, each with its reasons, sorted. Raises as `affected` does."""
        everything, touched = self._touched(environment)
        reasons = {name: dict.fromkeys(touch.reason for touch in found) for name, found in touched.items() if found}
        infos = self._discovered(environment)
        for name in sorted(touched):
            if any(touch.outputs for touch in touched[name]) and not everything:
                for other in sorted(dependents(infos, name)):
                    reasons.setdefault(other, {})[f"needs {name}, whose outputs may change"] = None
        return {name: tuple(found) for name, found in sorted(reasons.items())}

    def unsure(self, environment: str) -> dict[str, frozenset[str]]:
        """Of the touched stacks those that differ only where they read a changed key of a manifest: with these keys.

        Without keys: only where the outputs of a stack that it needs differ. Raises as `affected` does.
        """
        everything, touched = self._touched(environment)
        if everything:
            return {}
        found: dict[str, frozenset[str]] = {}
        for name in self.stacks(environment):
            keys = [self.keys(touch.manifest) if touch.manifest else None for touch in touched[name]]
            known = [one for one in keys if one is not None]
            if len(known) == len(keys):
                found[name] = frozenset().union(*known)
        return found

    @functools.cache  # noqa: B019
    def keys(self, service: str) -> frozenset[str] | None:
        """The keys in which a service's manifest differs, named as in `ci.programs`; None where a side has none."""
        path = MANIFEST.format(service=service)
        try:
            sides = [ServiceManifest.read(text, service=service).flattened() for text in self._sides(path)]
        except SettingsError:
            return None
        old, new = sides if len(sides) == 2 else ({}, {})
        return frozenset(key for key in {*old, *new} if old.get(key, path) != new.get(key, path)) or None

    def _sides(self, path: str) -> list[str]:
        """The text of the file in the commit and now, where it is there."""
        found = [self.found.old.get(path), self.found.now(path)]
        return [text.decode(errors="replace") for text in found if text is not None]

    @functools.cache  # noqa: B019
    def _touched(self, environment: str) -> tuple[list[Touch], dict[str, list[Touch]]]:
        """Why every stack is touched, and why each one is. Raises as `affected` does."""
        if environment not in self.environments:
            hint = f"ENV is one of: {', '.join(self.environments)}"
            raise LeandataError(f"unknown environment {environment!r}", hint=hint)
        everything = [*self._everything(environment), *self._unknown]
        known = self._known(environment)
        return everything, {name: [*everything, *self._touches(name, environment)] for name in known}

    def all_stacks(self, environment: str) -> list[str]:
        """Every stack that the environment has on either side, sorted."""
        return sorted(self._known(environment))

    # -- the stacks and what their programs are ------------------------------------------------------------------------

    @functools.cache  # noqa: B019 - a question lives for one command
    def _discovered(self, environment: str) -> Any:
        root = self.found.root
        if not (root / ENVIRONMENTS / f"{environment}.toml").exists():
            return {}
        return everything(root, environment)

    @functools.cache  # noqa: B019
    def _tables(self, environment: str) -> tuple[tuple[dict[str, Any], ...], bool]:
        """The environment's file on both sides as far as it can be read, and whether it can everywhere."""
        path = f"{ENVIRONMENTS}{environment}.toml"
        texts = [self.found.now(path), self.found.old.get(path)]
        read: list[dict[str, Any]] = []
        for text in (text for text in texts if text is not None):
            try:
                read.append(tomllib.loads(text.decode()))
            except (tomllib.TOMLDecodeError, UnicodeDecodeError):
                return (), False
        return tuple(read), True

    @functools.cache  # noqa: B019
    def _known(self, environment: str) -> dict[str, str]:
        """The program of each stack that the environment has on either side, by name, sorted."""
        tables, readable = self._tables(environment)
        found: dict[str, str] = {}
        for path in sorted(self.tree.paths):
            name = program_of(path)
            if not name:
                continue
            only = {value for key, value in self.tree.facts[path].constants if key == "ONLY_ON"}
            if not only or not readable or any(str(table) in side for table in only for side in tables):
                found[name] = path
        return dict(sorted(found.items()))

    def _made(self, path: str, environment: str) -> Iterator[str]:
        """The modules that make the parts that `path` asks for, on the environment's substrates of either side."""
        components = "infra/components/"
        for part in self.tree.facts[path].parts if path in self.tree.facts else ():
            tables, readable = self._tables(environment)
            sides = [side.get("substrates", {}) for side in tables] if readable and part else []
            if not sides or not all(isinstance(side, dict) for side in sides):
                yield from (
                    other for other in self.tree.paths if re.fullmatch(rf"{components}\w+/{part or '.*'}\.py", other)
                )
            for side in sides:
                yield f"{components}{made_in(side, part)}/{part}.py"
                yield f"{components}{made_in(side, part)}/__init__.py"

    @functools.cache  # noqa: B019
    def program(self, name: str, environment: str) -> dict[str, str]:
        """All files that the stack's program is made of, and through which one each is reached."""

        def edges(path: str) -> set[str]:
            made = {other for other in self._made(path, environment) if other in self.tree.paths}
            return self.tree.imported(path) | made

        return closure([self._known(environment)[name]], edges)

    @functools.cache  # noqa: B019
    def started(self, name: str, environment: str) -> dict[str, str]:
        """The files of what the stack's program only starts: processes, jobs, our provider; not of the program."""
        program = self.program(name, environment)
        kinds = self.tree.defines(_KINDS)
        begun = {other: path for path in program for other in sorted(self.tree.started(path))}
        for path in program:
            for kind in sorted(self.tree.facts[path].kinds if path in self.tree.facts else ()):
                if kind in kinds:
                    begun |= {kinds[kind]: path, _PLUGIN: path}

        def edges(path: str) -> set[str]:
            passed = path.startswith(_PROVIDER) and not path.startswith(_KINDS)
            imported = self.tree.imported(path)
            return {other for other in imported if not (passed and other.startswith(_KINDS))}

        reached = closure(begun, edges) | begun
        return {path: through for path, through in reached.items() if path not in program}

    # -- reasons -------------------------------------------------------------------------------------------------------

    def _everything(self, environment: str) -> Iterator[Touch]:
        """Why every stack is touched: the environment's own file, or what records the programs."""
        changed = self.found.changed
        if f"{ENVIRONMENTS}{environment}.toml" in changed:
            yield Touch(reason=f"{ENVIRONMENTS}{environment}.toml is the file of this environment", outputs=True)
        recorder = closure(_RECORDER, self.tree.imported)
        for path in sorted(changed & set(recorder)):
            yield Touch(reason=f"{path} is part of what records programs ({_arrow(recorder, path)})", outputs=True)
        hidden = importable(self.found.before, self.tree.roots) ^ importable(self.found.after, self.tree.roots)
        for name in sorted(hidden):
            yield Touch(reason=f"the module {name} came or went: it may hide a library of that name", outputs=True)
        yield from self._locks(environment)

    def _locks(self, environment: str) -> Iterator[Touch]:
        if not self.found.changed & set(LOCKS):
            return
        said = self.locked
        if said.everything:
            yield Touch(reason=said.everything, outputs=True)
        tables, _ = self._tables(environment)
        cloud = not tables or any(value != "machine" for side in tables for value in _values(side.get("substrates")))
        for group in ("infra", "cloud") if cloud else ("infra",):
            if group in said.groups:
                packages = _few(said.groups[group])
                yield Touch(reason=f"programs run with the packages of the group {group}: {packages}", outputs=True)

    @functools.cached_property
    def locked(self) -> locked.Locked:
        """What differs in the locked packages."""
        now = {name: self.found.now(name) or b"" for name in LOCKS}
        return locked.differences({name: self.found.old.get(name, now[name]) for name in LOCKS}, now)

    @functools.cached_property
    def _unknown(self) -> tuple[Touch, ...]:
        """Every changed file of which nothing is known: no module of ours, and nobody names it."""
        found: list[Touch] = []
        readers = sorted(path for path in self.tree.facts if path.startswith(("infra/", "services/", "shared/")))
        for path in sorted(self.found.changed):
            if path.endswith(".py") or path in LOCKS or _NOT_READ.fullmatch(path) or path.startswith(ENVIRONMENTS):
                continue
            # What lies in the folder of a service is named by that service's own program, where there is one.
            service = "".join(path.split("/")[1:2])
            words = {"service": service if f"services/{service}/deploy.py" in self.tree.paths else "-"}
            if not naming(self.tree, readers, path, words=words):
                found.append(Touch(reason=f"{path} is a file of which nothing is known", outputs=True))
        return tuple(found)

    def _touches(self, name: str, environment: str) -> Iterator[Touch]:
        """Why this one stack is touched."""
        program, started = self.program(name, environment), self.started(name, environment)
        gone = self._known(environment)[name]
        if gone not in self.found.after:
            yield Touch(reason=f"{gone} is gone: all that the stack has made would be deleted", outputs=True)
        for path in sorted(self.found.changed):
            if path in program:
                yield Touch(reason=f"{path} is its program ({_arrow(program, path)})", outputs=True)
            elif path in started:
                yield Touch(reason=f"{path} is code that it starts ({_arrow(started, path)})", outputs=False)
            yield from self._named(name, environment, path)

    def _named(self, name: str, environment: str, path: str) -> Iterator[Touch]:
        """Whether the stack's program names `path`: as a file that it reads, or as one of a folder that it runs."""
        if path.startswith(ENVIRONMENTS):
            return
        words = {"environment": environment, "service": name}
        program = self.program(name, environment)
        readers = [*program, *self.started(name, environment)]
        named = naming(self.tree, readers, path, words=words)
        if named is None or ("{service}" in named.pattern and not named.file and _NOT_RUN.fullmatch(path)):
            return
        how = "is read by" if named.file else "is code that it runs, by"
        outputs = named.file and named.by in program and path not in LOCKS
        watched = _MANIFEST_OF.fullmatch(path)
        others = [reader for reader in readers if reader not in _MANIFEST_READERS] if watched else readers
        service = watched[1] if watched and naming(self.tree, others, path, words=words) is None else ""
        yield Touch(reason=f"{path} {how} {named.by} ({named.pattern})", outputs=outputs, manifest=service)


def _arrow(reached: Mapping[str, str], path: str) -> str:
    steps = way(reached, path)
    shown = steps if len(steps) <= 4 else [steps[0], "...", *steps[-2:]]
    return " -> ".join(shown)


def _values(table: object) -> list[str]:
    return [str(value) for value in table.values()] if isinstance(table, dict) else []


def _few(packages: tuple[str, ...], *, most: int = 3) -> str:
    more = f" and {len(packages) - most} more" if len(packages) > most else ""
    return ", ".join(packages[:most]) + more
