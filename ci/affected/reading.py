"""What one Python file says of others: modules it imports or starts, files and folders it names. Read, never run."""

from __future__ import annotations

import ast
import functools
import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

_MODULE = re.compile(r"[a-z_][a-z0-9_]*(\.[a-z_][a-z0-9_]*)*")
_SPOKEN = frozenset({"help", "hint", "match", "where"})
"""Keywords whose texts are for people."""
_RESOURCES = "infra.provider.resources"


@dataclass(frozen=True, kw_only=True, slots=True)
class Facts:
    """What a file says of others.

    `imports` are absolute names, of `from a import b` both a and a.b; a.* is all that is in a, loaded by names
    that are only known when it runs. `parts` are what it asks `implementation` for, "" where that is only known
    when it runs. `names` are paths from the root that it names: `*` stands for what is not
    known, `{environment}` and `{service}` for what the words say. `beside` are texts that may be names of files beside
    it, of a file that knows its own place. `texts` are all its short texts: they may be modules that it starts. `kinds`
    are the resources of our own provider that it declares, `classes` what it defines, `constants` its plain assignments
    of texts and numbers on top. `hashed` are those of `names` whose content only makes a trigger. `walks` are the
    patterns by which it looks through folders of the repository that are known only when it runs. `fixtures` are those
    of pytest that it defines, `asked` all names of arguments. `runs` are the verbs of ours that it runs as commands, ""
    for one that is only known when it runs. `marks` are the marks of pytest that it names. `deploys` are what
    its mark `stacks` on the module names, and "" where it has this mark.
    """

    imports: frozenset[str] = frozenset()
    parts: frozenset[str] = frozenset()
    names: frozenset[str] = frozenset()
    beside: frozenset[str] = frozenset()
    texts: frozenset[str] = frozenset()
    kinds: frozenset[str] = frozenset()
    classes: frozenset[str] = frozenset()
    constants: tuple[tuple[str, object], ...] = ()
    hashed: frozenset[str] = frozenset()
    walks: frozenset[str] = frozenset()
    fixtures: frozenset[str] = frozenset()
    asked: frozenset[str] = frozenset()
    runs: frozenset[str] = frozenset()
    marks: frozenset[str] = frozenset()
    deploys: frozenset[str] = frozenset()

    def __or__(self, other: Facts) -> Facts:
        """What either says: the file before and after a change."""
        return Facts(
            imports=self.imports | other.imports,
            parts=self.parts | other.parts,
            names=self.names | other.names,
            beside=self.beside | other.beside,
            texts=self.texts | other.texts,
            kinds=self.kinds | other.kinds,
            classes=self.classes | other.classes,
            constants=self.constants + other.constants,
            hashed=self.hashed & other.hashed,
            walks=self.walks | other.walks,
            fixtures=self.fixtures | other.fixtures,
            asked=self.asked | other.asked,
            runs=self.runs | other.runs,
            marks=self.marks | other.marks,
            deploys=self.deploys | other.deploys,
        )


@functools.lru_cache(maxsize=4096)
def read(source: bytes, *, path: str) -> Facts:
    """The facts of a file; none of one that Python cannot read (whatever reaches it is touched by it all the same)."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError):
        return Facts()
    reader = _Reader(package=".".join(PurePosixPath(path).parent.parts))
    reader.visit(tree)
    constants = [
        (target.id, node.value.value)
        for node in tree.body
        if isinstance(node, ast.Assign)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str | int | float)
        for target in node.targets
        if isinstance(target, ast.Name)
    ]
    return Facts(
        imports=frozenset(reader.imports | (reader.by_name if "importlib" in reader.imports else set())),
        parts=frozenset(reader.parts),
        names=frozenset(reader.names),
        beside=frozenset(reader.texts if reader.knows_its_place else ()),
        texts=frozenset(reader.texts),
        kinds=frozenset(name for alias, name in reader.attributes if alias in reader.providers),
        classes=frozenset(reader.classes),
        constants=tuple(constants),
        hashed=frozenset(reader.hashed),
        walks=frozenset(reader.walks),
        fixtures=frozenset(reader.fixtures),
        asked=frozenset(reader.asked | reader.texts),
        runs=frozenset(reader.runs),
        marks=frozenset(reader.marks),
        deploys=frozenset(_deployed(tree)),
    )


def _deployed(tree: ast.Module) -> Iterator[str]:
    """The stacks of `pytestmark = ... pytest.mark.stacks("lake", ...)`, and ""; nothing without this mark."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and [ast.unparse(target) for target in node.targets] == ["pytestmark"]:
            for call in ast.walk(node.value):
                if isinstance(call, ast.Call) and ast.unparse(call.func) == "pytest.mark.stacks":
                    yield from ("", *map(_text, call.args))


@dataclass(slots=True)
class _Reader(ast.NodeVisitor):
    package: str
    imports: set[str] = field(default_factory=set[str])
    by_name: set[str] = field(default_factory=set[str])
    parts: set[str] = field(default_factory=set[str])
    names: set[str] = field(default_factory=set[str])
    texts: set[str] = field(default_factory=set[str])
    classes: set[str] = field(default_factory=set[str])
    providers: set[str] = field(default_factory=set[str])
    attributes: set[tuple[str, str]] = field(default_factory=set[tuple[str, str]])
    hashed: set[str] = field(default_factory=set[str])
    walks: set[str] = field(default_factory=set[str])
    fixtures: set[str] = field(default_factory=set[str])
    asked: set[str] = field(default_factory=set[str])
    runs: set[str] = field(default_factory=set[str])
    marks: set[str] = field(default_factory=set[str])
    knows_its_place: bool = False

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        if any("fixture" in ast.unparse(decorator) for decorator in node.decorator_list):
            self.fixtures.add(node.name)
        self.asked.update(argument.arg for argument in (*node.args.args, *node.args.kwonlyargs))
        self.generic_visit(node)

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            self.imports.add(alias.name)
            if alias.name == _RESOURCES:
                self.providers.add(alias.asname or alias.name)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        module = node.module or ""
        if node.level:
            above = self.package.split(".")[: len(self.package.split(".")) - node.level + 1]
            module = ".".join([*above, *([module] if module else [])])
        self.imports.add(module)
        for alias in node.names:
            name = f"{module}.{alias.name}"
            self.imports.add(name)
            if name == _RESOURCES:
                self.providers.add(alias.asname or alias.name)
            elif module == _RESOURCES:
                self.providers.add(_RESOURCES)
                self.attributes.add((_RESOURCES, alias.name))

    def visit_Expr(self, node: ast.Expr) -> None:
        if not isinstance(node.value, ast.Constant):  # a text that stands alone is a docstring
            self.generic_visit(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self.classes.add(node.name)
        self.generic_visit(node)

    def visit_Name(self, node: ast.Name) -> None:
        self.knows_its_place |= node.id == "__file__"

    def visit_Attribute(self, node: ast.Attribute) -> None:
        if isinstance(node.value, ast.Name):
            self.attributes.add((node.value.id, node.attr))
        elif isinstance(node.value, ast.Attribute) and node.value.attr == "mark":
            self.marks.add(node.attr)
        self.generic_visit(node)

    def visit_Assert(self, node: ast.Assert) -> None:
        self.visit(node.test)
        message = node.msg.values if isinstance(node.msg, ast.JoinedStr) else [node.msg] if node.msg else []
        for part in message:
            if not isinstance(part, ast.Constant):  # what is said to people of a failure
                self.visit(part)

    def visit_keyword(self, node: ast.keyword) -> None:
        if node.arg not in _SPOKEN:
            self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> None:
        if isinstance(node.value, str):
            self._name([node.value])

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        text = _text(node)
        if text.endswith(".*") and is_module(text.removesuffix(".*")):  # f"pages.{name}", for importlib
            self.by_name.add(text)
        self._name([text])
        self.generic_visit(node)

    def visit_BinOp(self, node: ast.BinOp) -> None:
        if not isinstance(node.op, ast.Div):
            self.generic_visit(node)
            return
        start, pieces = _chain(node)
        self._name([*pieces, "."] if len(pieces) == 1 else pieces)
        self.texts.update(piece for piece in pieces if "*" not in piece)
        self.visit(start)

    def visit_List(self, node: ast.List) -> None:
        self._command(node.elts)
        self.generic_visit(node)

    def visit_Tuple(self, node: ast.Tuple) -> None:
        self._command(node.elts)
        self.generic_visit(node)

    def _command(self, words: Sequence[ast.expr]) -> None:
        """Remember the verb of a command of ours: `[python, "-m", "ci", VERB, ...]` or `["make", VERB, ...]`."""
        said = [_text(word) for word in words]
        pairs = list(itertools.pairwise(said))
        after = 1 if said[:1] == ["make"] else pairs.index(("-m", "ci")) + 2 if ("-m", "ci") in pairs else 0
        if after:
            verb = next((one for one in said[after:] if not one.startswith("-")), "")
            self.runs.add("" if "*" in verb else verb)

    def visit_Call(self, node: ast.Call) -> None:
        called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if called == "implementation":
            first = node.args[0] if node.args else None
            self.parts.add(first.value if isinstance(first, ast.Constant) and isinstance(first.value, str) else "")
        if called == "code":
            self.hashed.update(_text(argument) for argument in node.args)
        if called in ("glob", "rglob", "iterdir", "walk") and isinstance(node.func, ast.Attribute):
            start, pieces = _chain(node.func.value)
            more = _text(node.args[0]) if node.args else "*"
            if (not pieces or "*" in pieces[0]) and "root" in ast.unparse(start).lower():
                self.walks.add(more)
            self._name([*pieces, "**", more] if called == "rglob" else [*pieces, more])
            self.visit(start)
            return
        if called in ("Path", "PurePosixPath", "joinpath"):
            self._name([_text(argument) for argument in node.args])
        self.generic_visit(node)

    def _name(self, pieces: Sequence[str]) -> None:
        """Remember a path; a text that no path begins with is only a text."""
        whole = "/".join(piece.strip("/") for piece in pieces if piece)
        if len(whole) > 200 or "\n" in whole or not whole:
            return
        if len(pieces) == 1 and "*" not in whole and "{" not in whole:
            self.texts.add(whole)
        first = whole.split("/")[0]
        if "*" not in first and "{" not in first:
            self.names.add(whole.partition(", ")[0])


def _chain(node: ast.expr) -> tuple[ast.expr, list[str]]:
    """What a chain of `/` starts with, and its pieces."""
    pieces: list[str] = []
    while isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
        pieces.insert(0, _text(node.right))
        node = node.left
    if isinstance(node, ast.Constant | ast.JoinedStr):
        pieces.insert(0, _text(node))
    return node, pieces


def _text(node: ast.expr) -> str:
    """The text of an expression as a pattern of paths."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(_text(value) for value in node.values)
    if isinstance(node, ast.FormattedValue):
        said = ast.unparse(node.value)
        if said == "environment.name" or said.endswith(".environment.name"):
            return "{environment}"
        return "{service}" if said == "service" else "*"
    return "*"


def is_module(text: str) -> bool:
    """Whether a text could name a module."""
    return bool(_MODULE.fullmatch(text))
