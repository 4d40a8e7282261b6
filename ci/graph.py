"""The graph of stacks, derived from the programs: who imports whose `outputs` needs it."""

from __future__ import annotations

import ast
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from leandata.errors import LeandataError


@dataclass(frozen=True, kw_only=True, slots=True)
class StackInfo:
    """A stack: its name, the module whose `program()` declares it, its folder, and the stacks it needs, sorted."""

    name: str
    module: str
    folder: Path
    needs: tuple[str, ...]


def discover(root: Path) -> dict[str, StackInfo]:
    """Every stack of the checkout at `root`, by name. Raises LeandataError for a cycle or a need that is no stack."""
    programs = {path.parent.name: path for path in (root / "infra" / "stacks").glob("*/__main__.py")}
    programs |= {path.parent.name: path for path in (root / "services").glob("*/deploy.py")}
    stacks: dict[str, StackInfo] = {}
    for name, path in sorted(programs.items()):
        module = ".".join(path.relative_to(root).with_suffix("").parts)
        needs = _needs(path) - {name}
        missing = sorted(needs - set(programs))
        if missing:
            raise LeandataError(f"the stack {name} needs {missing[0]}, which is no stack", where=str(path))
        stacks[name] = StackInfo(name=name, module=module, folder=path.parent, needs=tuple(sorted(needs)))
    order(stacks)
    return stacks


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


def _needs(program: Path) -> set[str]:
    names: set[str] = set()
    for file in sorted(program.parent.glob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"), filename=str(file))):
            modules = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            modules += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            for module in modules:
                parts = module.split(".")
                if parts[-1] == "outputs" and parts[:-2] in (["infra", "stacks"], ["services"]):
                    names.add(parts[-2])
    return names
