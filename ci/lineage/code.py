"""What functions of the services refer to, read from their syntax: names of other functions, and texts."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from ci.affected.tree import closure
from leandata.errors import LeandataError

_PLACES = ("shared/leandata", "services/*/*")
_METHODS = frozenset({"get", "post", "put", "patch", "delete"})


@dataclass(slots=True)
class Function:
    """A function, a class, or ("module.<module>") what a module does by itself.

    `refers` are full names such as `leandata.serving.weekly_sales`, `texts` all texts in it; `route` is such as
    "GET /v1/sales/weekly".
    """

    module: str
    path: str
    refers: set[str] = field(default_factory=set[str])
    texts: set[str] = field(default_factory=set[str])
    route: str = ""
    whole: bool = False
    """Whether it is what a module does by itself."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Code:
    """All functions by full name, and for names that a module passes on where they come from."""

    functions: Mapping[str, Function]
    passed_on: Mapping[str, str]

    def real(self, name: str) -> str:
        """The name where it is defined, be it imported through other modules."""
        seen: set[str] = set()
        while name not in seen:
            seen.add(name)
            if name not in self.functions and name in self.passed_on:
                name = self.passed_on[name]
        return name

    def reached(self, starts: set[str]) -> set[str]:
        """Every function that these refer to, through others too."""
        return set(closure(self._known(starts), lambda name: self._known(self.functions[name].refers)))

    def _known(self, names: set[str]) -> set[str]:
        return {self.real(name) for name in names} & self.functions.keys()


def code(root: Path) -> Code:
    """Read the code of the library and the services in the checkout at `root`, without their tests.

    Raises LeandataError for a file that is no Python.
    """
    functions: dict[str, Function] = {}
    passed_on: dict[str, str] = {}
    for path, module in _modules(root):
        try:
            tree = ast.parse((root / path).read_text(encoding="utf-8"))
        except SyntaxError as error:
            raise LeandataError(f"not Python: {error.msg}, line {error.lineno}", where=path) from error
        names = _names(tree, module)
        passed_on |= {f"{module}.{name}": real for name, real in names.items()}
        functions |= _functions(tree, module=module, path=path, names=names)
    return Code(functions=functions, passed_on=passed_on)


def _modules(root: Path) -> Iterator[tuple[str, str]]:
    """Each file from the root with the name it is imported by."""
    for pattern in _PLACES:
        for folder in sorted(path for path in root.glob(pattern) if path.is_dir() and path.name != "tests"):
            for file in sorted(folder.rglob("*.py")):
                inside = PurePosixPath(file.relative_to(folder.parent).as_posix()).with_suffix("")
                parts = inside.parts[:-1] if inside.name == "__init__" else inside.parts
                yield file.relative_to(root).as_posix(), ".".join(parts)


def _names(tree: ast.Module, module: str) -> dict[str, str]:
    """What the names of a module stand for: what it imports, wherever in it, and what it defines."""
    found: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {
                (one.asname or one.name.partition(".")[0]): (one.asname and one.name) or one.name.partition(".")[0]
                for one in node.names
            }
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found |= {one.asname or one.name: f"{node.module}.{one.name}" for one in node.names}
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found[node.name] = f"{module}.{node.name}"
    return found


def _functions(tree: ast.Module, *, module: str, path: str, names: Mapping[str, str]) -> dict[str, Function]:
    constants = _constants(tree)
    prefixes = _prefixes(tree)
    own = Function(module=module, path=path, whole=True)
    found = {f"{module}.<module>": own}
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            one = Function(module=module, path=path, route=_route(node, prefixes))
            _read(node, one, names=names, constants=constants)
            found[f"{module}.{node.name}"] = one
        elif not isinstance(node, ast.Import | ast.ImportFrom):
            _read(node, own, names=names, constants=constants)
    return found


def _read(node: ast.AST, into: Function, *, names: Mapping[str, str], constants: Mapping[str, set[str]]) -> None:
    into.texts |= _texts(node)
    for one in ast.walk(node):
        if isinstance(one, ast.Name):
            into.texts |= constants.get(one.id, set())
            if one.id in names:
                into.refers.add(names[one.id])
        elif isinstance(one, ast.Attribute):
            dotted = _dotted(one)
            first, _, rest = dotted.partition(".")
            if rest and first in names:
                into.refers.add(f"{names[first]}.{rest}")


def _dotted(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        before = _dotted(node.value)
        return f"{before}.{node.attr}" if before else ""
    return node.id if isinstance(node, ast.Name) else ""


def _constants(tree: ast.Module) -> dict[str, set[str]]:
    """The texts of each name that a module gives a value once, be it one of several in a line."""
    found: dict[str, set[str]] = {}
    for node in (one for one in tree.body if isinstance(one, ast.Assign)):
        for target in node.targets:
            pairs = [(target, node.value)]
            if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
                pairs = list(zip(target.elts, node.value.elts, strict=False))
            found |= {name.id: _texts(value) for name, value in pairs if isinstance(name, ast.Name)}
    return found


def _texts(node: ast.AST) -> set[str]:
    return {one.value for one in ast.walk(node) if isinstance(one, ast.Constant) and isinstance(one.value, str)}


def _prefixes(tree: ast.Module) -> dict[str, str]:
    """The path that each router of a module puts before its routes."""
    return {
        target.id: next((_text(word.value) for word in node.value.keywords if word.arg == "prefix"), "")
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call)
        for target in node.targets
        if isinstance(target, ast.Name)
    }


def _route(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef, prefixes: Mapping[str, str]) -> str:
    for found in node.decorator_list:
        if not isinstance(found, ast.Call) or not isinstance(found.func, ast.Attribute) or not found.args:
            continue
        router = found.func.value
        if found.func.attr in _METHODS and isinstance(router, ast.Name) and router.id in prefixes:
            return f"{found.func.attr.upper()} {prefixes[router.id]}{_text(found.args[0])}"
    return ""


def _text(node: ast.expr) -> str:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""
