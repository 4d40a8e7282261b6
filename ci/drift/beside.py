"""What lies beside the declared things, where our provider can see it: on one machine."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from ci.drift.beside_databases import Resources, in_databases, in_warehouse, of
from ci.drift.model import Found
from infra.environment import Environment
from infra.provider.supervisor import Supervisor

_FOLDERS = (("secret", "secrets", ("Secret", "RenderedSecret", "File")), ("folder", "lake", ("Directory",)))


def beside(environment: Environment, resources: Resources) -> list[Found]:
    """Processes, secrets, zones of the lake, roles, rights, databases, tables that no stack has in its state.

    Nothing where services run in a cluster. What cannot be reached is passed over: its process is the drift then.
    """
    if environment.has("kubernetes"):
        return []
    return [
        *processes(Supervisor(environment.state).names(), resources),
        *files(environment.state, resources),
        *in_databases(resources),
        *in_warehouse(resources),
    ]


def processes(names: Sequence[str], resources: Resources) -> Iterator[Found]:
    """Supervised processes that nobody has declared; they are told in the stack that comes first."""
    declared = {str(one["id"]) for _, one in of(resources, "Process")}
    for name in sorted(set(names) - declared):
        yield Found(
            stack=min(resources), urn="", type="process", name=name, kind="beside", after="supervised",
            by_hand=f"supervisorctl stop {name}, and remove run/processes/{name}.*",
        )  # fmt: skip


def files(state: Path, resources: Resources) -> Iterator[Found]:
    """Files among the secrets and folders among the zones of the lake that nobody has declared."""
    for kind, folder, types in _FOLDERS:
        declared = [(stack, Path(str(one["id"]))) for type_ in types for stack, one in of(resources, type_)]
        owners = [stack for stack, path in declared if path.parent == state / folder]
        if not owners:
            continue
        for path in sorted({*(state / folder).iterdir()} - {path for _, path in declared}):
            undo = f"rm -r {path}"
            yield Found(
                stack=min(owners), urn="", type=kind, name=path.name, kind="beside", after=str(path), by_hand=undo
            )
