"""`render`: what will exist in an environment, as files; no credentials."""

from __future__ import annotations

from pathlib import Path

from ci.cli import Options, emit
from ci.graph import discover
from ci.programs import declared
from ci.render import files, write
from infra.components.naming import services
from infra.environment import Environment


def render(options: Options) -> int:
    """Write the environment's manifests, resources, SQL, diagram and access table to a folder."""
    environment = Environment.current()
    found = files(
        environment,
        stacks=discover(environment.root, environment.name),
        programs=declared(environment.name, root=environment.root),
        manifests=services(environment.root),
    )
    folder = Path(options.out) if options.out else environment.root / ".leandata" / "render" / environment.name
    write(found, folder)
    if options.json:
        emit({"folder": str(folder), "files": sorted(found)})
        return 0
    for name, text in found.items():
        print(f"{len(text.encode()):>9,} B  {folder / name}")
    return 0
