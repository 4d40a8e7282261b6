"""The files of the workflows: what they should say, what differs, and the writing of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from ci.workflows.model import Workflow
from ci.workflows.writing import text


def wanted(workflows: Sequence[Workflow]) -> dict[str, str]:
    """The text of each file by its name."""
    return {f"{workflow.name}.yml": text(workflow) for workflow in workflows}


def differing(folder: Path, files: Mapping[str, str]) -> list[str]:
    """The names of files that are missing, differ or should not be there, sorted."""
    there = {path.name for path in folder.glob("*") if path.suffix in (".yml", ".yaml")} if folder.is_dir() else set()
    wrong = {name for name, said in files.items() if name not in there or (folder / name).read_bytes() != said.encode()}
    return sorted(wrong | (there - set(files)))


def write(folder: Path, files: Mapping[str, str], names: Sequence[str]) -> None:
    """Write these files; one that no workflow describes is removed."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        if name in files:
            (folder / name).write_text(files[name], encoding="utf-8")
        else:
            (folder / name).unlink()
