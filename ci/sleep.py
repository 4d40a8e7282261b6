"""Sleep and wake: what of an environment is stopped and how it comes back, as a pure plan from its graph.

Asleep, the Kubernetes control plane, gateways, keys and everything stored stay, and cost; pods, nodes, the database
server and warehouses do not. RDS starts a stopped instance again after seven days, by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from ci.pods import key, scaled_replicas
from ci.programs import Program, Resource
from leandata.errors import LeandataError

Action = Literal["scale", "workers", "suspend", "database", "warehouse"]
# Who is asked for last goes first: what uses a database is stopped before it, and started after it.
_ORDER: tuple[Action, ...] = ("suspend", "workers", "scale", "warehouse", "database")


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """One thing to stop or start: `count` is the replicas it shall have; 0 or 1 for what only runs or does not."""

    action: Action
    kind: str
    namespace: str
    name: str
    count: int

    def __str__(self) -> str:
        place = f"{self.namespace}/{self.name}" if self.namespace else self.name
        verbs = {
            "scale": f"scale to {self.count}",
            "workers": f"set workers to {self.count}",
            "suspend": "resume the schedule" if self.count else "suspend the schedule",
            "database": "start" if self.count else "stop",
            "warehouse": "resume by the next query" if self.count else "suspend",
        }
        return f"{self.kind} {place}: {verbs[self.action]}"


class Edge(Protocol):
    """Where steps are carried out. Each raises LeandataError with one clear line when it cannot."""

    def scale(self, kind: str, namespace: str, name: str, *, count: int) -> None: ...

    def workers(self, namespace: str, name: str, *, count: int) -> None: ...

    def suspend(self, namespace: str, name: str, *, suspended: bool) -> None: ...

    def database(self, name: str, *, running: bool) -> None: ...

    def warehouse(self, name: str, *, running: bool) -> None: ...


def asleep(programs: Mapping[str, Program]) -> list[Step]:
    """What is done to put the environment to sleep, in its order."""
    steps = [step for program in programs.values() for step in _steps(program, awake=False)]
    return sorted(steps, key=lambda step: (_ORDER.index(step.action), step.kind, step.namespace, step.name))


def awake(programs: Mapping[str, Program]) -> list[Step]:
    """What is done to wake it: the same things the other way round, to what the programs declare."""
    steps = [step for program in programs.values() for step in _steps(program, awake=True)]
    return sorted(steps, key=lambda step: (-_ORDER.index(step.action), step.kind, step.namespace, step.name))


def _steps(program: Program, *, awake: bool) -> Iterator[Step]:
    smallest = scaled_replicas(program)
    for _, resource in sorted(program.resources.items()):
        properties, kind = resource.properties, resource.type.rpartition(":")[2]
        spec = properties.get("spec") or {}
        if resource.type.startswith("kubernetes:apps/v1:") and kind in ("Deployment", "StatefulSet"):
            count = smallest.get(key(resource), int(spec.get("replicas", 1)))
            if count:
                yield _step("scale", resource, count=count if awake else 0)
        elif kind == "DaskCluster":
            yield _step("workers", resource, count=_workers(resource, smallest) if awake else 0)
        elif kind == "CronJob" and not spec.get("suspend"):
            yield _step("suspend", resource, count=int(awake))
        elif resource.type == "aws:rds/instance:Instance":
            name = str(properties.get("identifier", resource.name))
            yield Step(action="database", kind="RDS instance", namespace="", name=name, count=int(awake))
        elif resource.type == "snowflake:index/warehouse:Warehouse":
            name = str(properties.get("name", resource.name))
            yield Step(action="warehouse", kind="Warehouse", namespace="", name=name, count=int(awake))


def _workers(resource: Resource, smallest: Mapping[tuple[str, str], int]) -> int:
    declared = int(((resource.properties.get("spec") or {}).get("worker") or {}).get("replicas", 0))
    return smallest.get(key(resource), declared)


def _step(action: Action, resource: Resource, *, count: int) -> Step:
    namespace, name = key(resource)
    kind = resource.type.rpartition(":")[2]
    return Step(action=action, kind=kind, namespace=namespace, name=name, count=count)


def carry_out(steps: Sequence[Step], edge: Edge, *, said: Callable[[str], None]) -> list[str]:
    """Do every step, each said when it is done; what failed does not stop the others. The problems, one line each.

    Every step sets a state and none depends on what was before, so that the same command may be run again.
    """
    problems: list[str] = []
    for step in steps:
        try:
            _do(step, edge)
        except LeandataError as error:
            problems.append(f"{step.kind} {step.name}: {error}")
        else:
            said(str(step))
    return problems


def _do(step: Step, edge: Edge) -> None:
    if step.action == "scale":
        edge.scale(step.kind, step.namespace, step.name, count=step.count)
    elif step.action == "workers":
        edge.workers(step.namespace, step.name, count=step.count)
    elif step.action == "suspend":
        edge.suspend(step.namespace, step.name, suspended=not step.count)
    elif step.action == "database":
        edge.database(step.name, running=bool(step.count))
    else:
        edge.warehouse(step.name, running=bool(step.count))
