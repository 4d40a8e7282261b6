"""The graph of stacks, derived from the programs: who imports whose `outputs` needs it.

A program's own imports count, and those of the modules that make its components on the environment's substrates: a
service in pods needs the cluster because `infra.components.kubernetes` imports the cluster's outputs.
"""

from __future__ import annotations

import ast
import functools
import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from infra.components.stack import FOLDERS
from leandata.errors import LeandataError

_BY_HAND = "BY_HAND"
_ONLY_ON = "ONLY_ON"


@dataclass(frozen=True, kw_only=True, slots=True)
class StackInfo:
    """A stack: its name, the module whose `program()` declares it, its folder, and the stacks it needs, sorted."""

    name: str
    module: str
    folder: Path
    needs: tuple[str, ...]


def discover(root: Path, environment: str = "local", *, by_hand: bool = False) -> dict[str, StackInfo]:
    """Every stack that `environment` has in the checkout at `root`, by name.

    With `by_hand` those that a person deploys by a command of their own (`BY_HAND = True` in the program), and only
    those. Raises LeandataError for a cycle or a need that is no stack.
    """
    substrates, tables = _chosen(root, environment)
    programs = {path.parent.name: path for path in (root / "infra" / "stacks").glob("*/__main__.py")}
    programs |= {path.parent.name: path for path in (root / "services").glob("*/deploy.py")}
    here = {name: path for name, path in programs.items() if _belongs(path, tables, by_hand=by_hand)}
    stacks: dict[str, StackInfo] = {}
    for name, path in sorted(here.items()):
        module = ".".join(path.relative_to(root).with_suffix("").parts)
        needs = _needs(root, path, substrates) - {name}
        missing = sorted(needs - set(programs))
        if missing:
            raise LeandataError(f"the stack {name} needs {missing[0]}, which is no stack", where=str(path))
        stacks[name] = StackInfo(name=name, module=module, folder=path.parent, needs=tuple(sorted(needs & set(here))))
    order(stacks)
    return stacks


def everything(root: Path, environment: str) -> dict[str, StackInfo]:
    """Every stack that `environment` has, those that a person deploys by hand too. Raises as `discover` does."""
    return discover(root, environment) | discover(root, environment, by_hand=True)


def order(stacks: Mapping[str, StackInfo]) -> list[str]:
    """The stacks so that each comes after those it needs; otherwise by name. Raises LeandataError for a cycle."""
    done: list[str] = []
    while len(done) < len(stacks):
        free = [name for name, stack in sorted(stacks.items()) if name not in done and set(stack.needs) <= set(done)]
        if not free:
            left = sorted(set(stacks) - set(done))
            raise LeandataError(f"the stacks need each other in a circle: {', '.join(left)}")
        done += free
    return done


def select(stacks: Mapping[str, StackInfo], names: Collection[str]) -> dict[str, StackInfo]:
    """The stacks of these names, all when there are none. Raises LeandataError for a name that is no stack."""
    strange = sorted(set(names) - set(stacks))
    if strange:
        raise LeandataError(f"unknown stack {strange[0]!r}", hint=f"STACK is one of: {', '.join(sorted(stacks))}")
    return {name: stack for name, stack in stacks.items() if not names or name in names}


def dependents(stacks: Mapping[str, StackInfo], name: str) -> set[str]:
    """The stacks that need `name`, themselves or through others."""
    found: set[str] = set()
    while True:
        more = {other for other, stack in stacks.items() if set(stack.needs) & (found | {name})} - found
        if not more:
            return found
        found |= more


def _chosen(root: Path, environment: str) -> tuple[dict[str, str], set[str]]:
    """The substrate of each part, and the tables of the environment's file; nothing where there is no such file."""
    path = root / "infra" / "environments" / f"{environment}.toml"
    if not path.exists():
        return {}, set()
    try:
        read = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise LeandataError(f"{path.name} is not valid TOML: {error}", where=str(path)) from error
    substrates = read.get("substrates")
    return dict(substrates) if isinstance(substrates, dict) else {}, set(read)  # pyright: ignore[reportUnknownVariableType]


def _belongs(program: Path, tables: set[str], *, by_hand: bool) -> bool:
    """Whether the environment has the stack: its `ONLY_ON` names a table of the environment's file."""
    said = {_ONLY_ON: "", _BY_HAND: False}
    for node in _tree(program).body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant):
            said |= {name.id: node.value.value for name in node.targets if isinstance(name, ast.Name)}
    return bool(said[_BY_HAND]) == by_hand and (not said[_ONLY_ON] or said[_ONLY_ON] in tables)


def _needs(root: Path, program: Path, substrates: Mapping[str, str]) -> set[str]:
    """The stacks whose outputs are imported by the program's folder, or by what makes its components."""
    names: set[str] = set()
    waiting = sorted(program.parent.glob("*.py"))
    seen = set(waiting)
    components = root / "infra" / "components"
    while waiting:
        file = waiting.pop()
        read = _read(file, file.stat().st_mtime_ns)
        names |= read.stacks
        more = [root.joinpath(*module.split(".")).with_suffix(".py") for module in read.components]
        if file.is_relative_to(components):
            more += [components / made_in(substrates, part) / f"{part}.py" for part in read.parts]
        for other in more:
            if other not in seen and other.exists():
                seen.add(other)
                waiting.append(other)
    return names


@dataclass(frozen=True, kw_only=True, slots=True)
class _Read:
    """What a file imports: outputs of these stacks, modules that may be components; and the parts that it asks for."""

    stacks: frozenset[str]
    components: tuple[str, ...]
    parts: tuple[str, ...]


@functools.cache
def _read(file: Path, changed: int) -> _Read:
    modules: list[str] = []
    names: list[str] = []
    parts: list[str] = []
    for node in ast.walk(_readable(file, changed)):
        if isinstance(node, ast.ImportFrom):
            modules.append(node.module or "")
            names += [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            modules += [alias.name for alias in node.names]
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "implementation":
            parts += [str(one.value) for one in node.args if isinstance(one, ast.Constant)]
    outputs = [found for found in (module.split(".") for module in modules) if found[-1] == "outputs"]
    return _Read(
        stacks=frozenset(found[-2] for found in outputs if found[:-2] in (["infra", "stacks"], ["services"])),
        components=tuple(dict.fromkeys(one for one in [*modules, *names] if one.startswith("infra.components."))),
        parts=tuple(parts),
    )


def made_in(substrates: Mapping[str, str], part: str) -> str:
    """The folder of `infra.components` that makes `part`, as `infra.components.stack.folder` finds it."""
    chosen = substrates.get(part, "machine")
    if chosen == "machine" and part != "secret":
        chosen = substrates.get("service", "machine")
    return FOLDERS.get(chosen, chosen)


def _readable(path: Path, changed: int) -> ast.Module:
    """The file's syntax tree; an empty one where Python cannot read it: whoever runs it is told so."""
    try:
        return _parsed(path, changed)
    except SyntaxError:
        return ast.Module(body=[], type_ignores=[])


@functools.cache
def _parsed(path: Path, changed: int) -> ast.Module:
    del changed
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def _tree(path: Path) -> ast.Module:
    return _parsed(path, path.stat().st_mtime_ns)
