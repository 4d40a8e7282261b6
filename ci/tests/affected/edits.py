"""Edits of a tree as people make them, generated: a value, a line, a new file, a deletion, another name."""

from __future__ import annotations

import ast
import json
import random
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PLACES = ("infra/", "services/", "shared/")
CLOUD = re.compile(
    r"infra/(components/(aws|kubernetes|snowflake|[a-z]+\.py)|stacks|parts|keys|environments/(cluster|dev|prod))"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Edit:
    """One edit: its number, what is done, and to which file."""

    number: int
    kind: str
    path: str

    def __str__(self) -> str:
        return f"{self.number:03} {self.kind} {self.path}"


def generated(root: Path, count: int, *, seed: int = 5, cloud: bool = False) -> list[Edit]:
    """`count` edits of the files of source, environments and data that git tracks; the same every time."""
    listed = subprocess.run(["git", "-C", str(root), "ls-files", "-z"], capture_output=True, text=True, check=True)
    paths = sorted(path for path in listed.stdout.split("\0") if path.startswith(PLACES))
    files = [path for path in paths if "/tests/" not in path and not path.endswith((".md", ".lock", "go.sum"))]
    files = [path for path in files if CLOUD.match(path)] if cloud else files
    chance = random.Random(seed)
    found: list[Edit] = []
    while len(found) < count:
        path = chance.choice(files)
        kinds = ["value", "value", "value", "value", "line", "new", "delete", "rename"]
        kind = chance.choice(kinds if (root / path).stat().st_size else ["line"])
        found.append(Edit(number=len(found), kind=kind, path=path))
    return found


def apply(edit: Edit, root: Path) -> None:
    """Make the edit in the tree at `root`."""
    chance = random.Random(edit.number)
    file = root / edit.path
    if edit.kind == "delete":
        file.unlink()
    elif edit.kind == "rename":
        file.rename(file.with_name(f"renamed_{file.name}"))
    elif edit.kind == "new":
        beside = file.with_name(f"new_{file.name}")
        beside.write_bytes(file.read_bytes())
    elif edit.kind == "value" and file.suffix == ".py":
        file.write_text(_other_value(file.read_text(), chance))
    elif edit.kind == "value" and file.suffix in (".toml", ".json"):
        file.write_text(_other_text(file.read_text(), chance))
    else:
        with file.open("a") as opened:
            opened.write("\n")


def _other_value(text: str, chance: random.Random) -> str:
    """One constant of the code is another; a file without any gets a line."""
    constants = list(_constants(ast.parse(text)))
    if not constants:
        return text + "\nNEW = 1\n"
    node = chance.choice(constants)
    lines = text.encode().split(b"\n")
    line = lines[node.lineno - 1]
    assert node.end_col_offset is not None
    value = node.value
    other = not value if isinstance(value, bool) else value + 1 if isinstance(value, int) else f"{value}x"
    new = json.dumps(other) if isinstance(other, str) else repr(other)
    lines[node.lineno - 1] = line[: node.col_offset] + new.encode() + line[node.end_col_offset :]
    changed = b"\n".join(lines).decode()
    try:
        ast.parse(changed)
    except SyntaxError:
        return text + "\nNEW = 1\n"
    return changed


def _constants(tree: ast.Module) -> Iterator[ast.Constant]:
    """Numbers, words and truths on one line: no docstrings, and none inside f-strings."""
    aside = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    aside |= {id(inner) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for inner in ast.walk(node)}
    for node in ast.walk(tree):
        plain = isinstance(node, ast.Constant) and isinstance(node.value, int | str) and id(node) not in aside
        if plain and node.lineno == node.end_lineno:
            yield node


def _other_text(text: str, chance: random.Random) -> str:
    """One number of the file is one more, or one word longer."""
    found = list(re.finditer(r"(?<=[= \[])\d+(?=[\s,\]])|(?<=\")[A-Za-z][\w .-]*(?=\"[\s,\]])", text))
    if not found:
        return text + "\n"
    match = chance.choice(found)
    new = str(int(match[0]) + 1) if match[0].isdecimal() else f"{match[0]}x"
    return text[: match.start()] + new + text[match.end() :]
