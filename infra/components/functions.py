"""The warehouse's functions in Python: read from their files, with the types of SQL that their hints mean. Pure.

A file holds one public function of the file's name; what begins with _ is its own. It needs the standard library only
and tells the same for the same values. For NULL in any argument the warehouse answers NULL and does not call it.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from leandata.errors import SettingsError

FOLDER = "services/airflow/pipelines/functions"
DATABASE, SCHEMA = "STAGING", "SHOP"
_TYPES = {"bool": "BOOLEAN", "date": "DATE", "float": "FLOAT", "int": "NUMBER(38, 0)", "str": "VARCHAR"}
_KNOWN = ", ".join(sorted(_TYPES))


@dataclass(frozen=True, kw_only=True, slots=True)
class Argument:
    """An argument: its name and its type as SQL says them."""

    name: str
    type: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Function:
    """A function: SQL's name and types of it, the Python function that answers, and the text of its file."""

    name: str
    arguments: tuple[Argument, ...]
    returns: str
    handler: str
    comment: str
    source: str

    @property
    def full_name(self) -> str:
        """How SQL calls it, wherever it is called from."""
        return f"{DATABASE}.{SCHEMA}.{self.name}"

    def plain(self) -> dict[str, object]:
        """What the stand-in has to know of it."""
        types = [one.type for one in self.arguments]
        return {
            "name": self.full_name,
            "arguments": types,
            "returns": self.returns,
            "handler": self.handler,
            "source": self.source,
        }


def functions(root: Path) -> tuple[Function, ...]:
    """The functions of the checkout at `root`, by name. Raises SettingsError for a file that holds none."""
    found = sorted((root / FOLDER).glob("*.py"))
    return tuple(
        read(path.read_text(encoding="utf-8"), where=f"{FOLDER}/{path.name}")
        for path in found
        if path.name != "__init__.py"
    )


def read(source: str, *, where: str) -> Function:
    """The function in the text of a file. Raises SettingsError for what the warehouse could not run or call."""
    try:
        tree = ast.parse(source)
    except SyntaxError as error:
        raise SettingsError(f"it is no Python: {error.msg}, line {error.lineno}", where=where) from error
    name = where.rpartition("/")[2].removesuffix(".py")
    public = [one for one in tree.body if isinstance(one, ast.FunctionDef) and not one.name.startswith("_")]
    if [one.name for one in public] != [name]:
        raise SettingsError(f"it has to hold one public function, {name}", where=where, hint="Begin others with _")
    strange = sorted(set(_imports(tree)) - sys.stdlib_module_names)
    if strange:
        hint = "A warehouse has the standard library only"
        raise SettingsError(f"it imports {', '.join(strange)}", where=where, hint=hint)
    if "$$" in source:
        raise SettingsError("it holds $$, which ends a function's text in SQL", where=where)
    [function] = public
    said = function.args
    if said.vararg or said.kwarg or said.kwonlyargs or said.posonlyargs or said.defaults:
        raise SettingsError(f"{name} takes more than plain arguments", where=where, hint="SQL gives each of them")
    doc = ast.get_docstring(function) or ""
    if not doc:
        raise SettingsError(f"{name} has no docstring", where=where, hint="It is the comment of the function")
    return Function(
        name=name.upper(),
        arguments=tuple(
            Argument(name=one.arg.upper(), type=_type(one.annotation, f"the argument {one.arg}", where))
            for one in said.args
        ),
        returns=_type(_without_none(function.returns), "what is returned", where),
        handler=name,
        comment=doc.splitlines()[0],
        source=source,
    )


def _type(annotation: ast.expr | None, what: str, where: str) -> str:
    hint = ast.unparse(annotation).removeprefix("datetime.") if annotation is not None else "nothing"
    if hint not in _TYPES:
        raise SettingsError(f"{what} is {hint}, for which SQL has no type here", where=where, hint=f"Known: {_KNOWN}")
    return _TYPES[hint]


def _without_none(annotation: ast.expr | None) -> ast.expr | None:
    """`T` of `T | None`: every function may answer NULL."""
    if isinstance(annotation, ast.BinOp) and ast.unparse(annotation.right) == "None":
        return annotation.left
    return annotation


def _imports(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (name.name.partition(".")[0] for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield "." * node.level + (node.module or "").partition(".")[0]
