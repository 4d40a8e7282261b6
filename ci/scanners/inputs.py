"""What scanners look at: the manifests and policies that the programs declare, and files of the checkout."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from ci.programs import Program
from ci.render import manifests_of, to_yaml
from infra.policy.graph import Graph, Setting
from infra.policy.iam import rights

_SKIPPED = frozenset({".git", ".venv", ".leandata", "build", "node_modules", "pins", "__pycache__"})


def files(root: Path) -> dict[str, list[Path]]:
    """The files of the checkout that scanners look at, by what they are, sorted."""
    everything = sorted(path for path in root.rglob("*") if path.is_file() and not _SKIPPED & set(path.parts))
    yaml = [path for path in everything if path.suffix in (".yaml", ".yml")]
    return {
        "dockerfiles": [path for path in everything if path.name == "Dockerfile"],
        "shell": [path for path in everything if path.suffix == ".sh" or _shell(path)],
        "workflows": [path for path in yaml if ".github" in path.parts and "workflows" in path.parts],
        "yaml": yaml,
    }


def _shell(path: Path) -> bool:
    """Whether a file without a suffix says in its first line that a shell runs it."""
    if path.suffix or path.stat().st_size > 100_000:
        return False
    with path.open("rb") as file:
        first = file.readline(80)
    return first.startswith(b"#!") and first.rstrip().endswith((b"sh", b"sh -e"))


def render(programs: Mapping[str, Program], folder: Path) -> dict[str, list[Path]]:
    """Write the manifests of each stack, and each document that gives rights, below `folder`; which files these are."""
    made: dict[str, list[Path]] = {"manifests": [], "policies": []}
    for name, program in programs.items():
        if documents := manifests_of(list(program.resources.values())):
            made["manifests"].append(_write(folder / "manifests" / f"{name}.yaml", to_yaml(documents)))
    for number, found in enumerate(rights(Graph.of(programs, setting=Setting()))):
        name = f"{number:03d}-{found.resource.name.replace('/', '-')}.json"
        made["policies"].append(_write(folder / "policies" / name, json.dumps(found.body, indent=2, sort_keys=True)))
    return made


def _write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path
