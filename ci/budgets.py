"""Budgets of size: a module, a function, a `__main__`, annotations, tests against code. Printed and enforced."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

MODULE_LINES = 400
FUNCTION_LINES = 60
MAIN_LINES = 80
TESTS_PER_CODE = 1.0
FOLDERS = ("ci", "infra", "services", "shared")


@dataclass(frozen=True, kw_only=True, slots=True)
class Module:
    """What counts of one file; `functions` are (name, lines, annotated). Blank lines do not count in `code`."""

    path: str
    lines: int
    code: int
    functions: tuple[tuple[str, int, bool], ...]
    test: bool


def measure(path: Path, *, root: Path) -> Module:
    """Count one file."""
    text = path.read_text(encoding="utf-8")
    name = path.relative_to(root).as_posix()
    tree = ast.parse(text, filename=name)
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    return Module(
        path=name,
        lines=len(text.splitlines()),
        code=sum(bool(line.strip()) for line in text.splitlines()),
        functions=tuple((node.name, (node.end_lineno or 0) - node.lineno + 1, _annotated(node)) for node in functions),
        test="/tests/" in f"/{name}" or name == "conftest.py" or name.startswith("infra/testing/"),
    )


def everything(root: Path) -> list[Module]:
    """All our modules, by path."""
    paths = [path for folder in FOLDERS for path in (root / folder).rglob("*.py") if ".venv" not in path.parts]
    paths += [path for path in (root / "conftest.py",) if path.exists()]
    return [measure(path, root=root) for path in sorted(paths)]


def over(modules: Sequence[Module]) -> list[str]:
    """A sentence for each budget that is exceeded, sorted."""
    code, tests = totals(modules)
    found = [sentence for module in modules if not module.test for sentence in _over(module)]
    if tests < TESTS_PER_CODE * code:
        found.append(f"{tests} lines of tests for {code} lines of code: {TESTS_PER_CODE} times as many are wanted")
    return sorted(found)


def totals(modules: Sequence[Module]) -> tuple[int, int]:
    """Lines of code, and of tests."""
    return sum(m.code for m in modules if not m.test), sum(m.code for m in modules if m.test)


def table(modules: Sequence[Module]) -> str:
    """The budgets and where we are."""
    ours = [module for module in modules if not module.test]
    functions = [function for module in ours for function in module.functions]
    annotated = sum(function[2] for function in functions)
    code, tests = totals(modules)
    rows = [
        ("longest module", max(module.lines for module in ours), MODULE_LINES),
        ("longest function", max(function[1] for function in functions), FUNCTION_LINES),
        ("longest __main__", max(m.lines for m in ours if m.path.endswith("__main__.py")), MAIN_LINES),
        ("annotated functions", f"{annotated}/{len(functions)}", "all"),
        ("test lines per code line", f"{tests / code:.2f} ({tests}/{code})", TESTS_PER_CODE),
    ]
    return "\n".join(f"  {name:<26} {value!s:>20}   budget {budget}" for name, value, budget in rows)


def _over(module: Module) -> Iterator[str]:
    if module.lines > MODULE_LINES:
        yield f"{module.path} has {module.lines} lines (budget {MODULE_LINES})"
    if module.path.endswith("__main__.py") and module.lines > MAIN_LINES:
        yield f"{module.path} has {module.lines} lines (budget {MAIN_LINES})"
    for name, lines, annotated in module.functions:
        if lines > FUNCTION_LINES:
            yield f"{module.path}: {name} has {lines} lines (budget {FUNCTION_LINES})"
        if not annotated:
            yield f"{module.path}: {name} is not annotated"


def _annotated(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
    wanted = [argument for argument in arguments if argument.arg not in ("self", "cls")]
    return node.returns is not None and all(argument.annotation is not None for argument in wanted)
