"""A service: long-running processes, health-checked and restarted, with the settings and secrets they are given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pulumi

from infra.components.manifest import ProcessManifest
from infra.components.stack import Stack

Texts = Mapping[str, pulumi.Input[str]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Program:
    """One process of a service: what it is by its manifest, and how it is started here.

    `settings` are environment variables. `secret_files` maps a variable to the path of the secret it names.
    `start_after` names processes of the same service that must be healthy before this one starts. A change in
    `triggers` (a content hash, say) restarts it. `storage` maps folders that outlive the process in a cluster to
    their size in bytes; on one machine every folder does. `shared` maps folders to the process of the same owner whose
    storage of the same name they are, to be read only.
    """

    manifest: ProcessManifest
    command: Sequence[pulumi.Input[str]]
    settings: Texts = field(default_factory=dict[str, pulumi.Input[str]])
    secret_files: Texts = field(default_factory=dict[str, pulumi.Input[str]])
    start_after: Sequence[str] = ()
    triggers: Texts = field(default_factory=dict[str, pulumi.Input[str]])
    health: str | None = None
    storage: Mapping[str, int] = field(default_factory=dict[str, int])
    shared: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, kw_only=True, slots=True)
class Task:
    """Work that runs to its end, once, and again when its command, settings or triggers change.

    `owner` says whose work it is in a cluster: a service, "standins" or "system"; "" is the stack's own service.
    On one machine it is also done again when one of the relations that it `leaves` in the database `leaves_in` is gone.
    """

    command: Sequence[pulumi.Input[str]]
    settings: Texts = field(default_factory=dict[str, pulumi.Input[str]])
    secret_files: Texts = field(default_factory=dict[str, pulumi.Input[str]])
    triggers: Texts = field(default_factory=dict[str, pulumi.Input[str]])
    timeout: float = 600.0
    owner: str = ""
    leaves: Sequence[str] = ()
    leaves_in: pulumi.Input[str] = ""


class Service(pulumi.ComponentResource):
    """The processes of one service, each started when those it needs are healthy."""

    def __init__(
        self,
        name: str,
        *,
        stack: Stack,
        programs: Sequence[Program],
        needs: Sequence[pulumi.Resource] = (),
        parent: pulumi.Resource | None = None,
    ) -> None:
        super().__init__("leandata:index:Service", name, opts=pulumi.ResourceOptions(parent=parent))
        self.processes: dict[str, pulumi.Resource] = {}
        make = stack.implementation("service").make_process
        for program in programs:
            earlier = [self.processes[other] for other in program.start_after]
            self.processes[program.manifest.name] = make(self, stack=stack, program=program, needs=[*needs, *earlier])
        self.register_outputs({})


class Job(pulumi.ComponentResource):
    """A task that has run to its end before anything that needs it starts."""

    def __init__(
        self,
        name: str,
        *,
        stack: Stack,
        task: Task,
        needs: Sequence[pulumi.Resource] = (),
        parent: pulumi.Resource | None = None,
    ) -> None:
        super().__init__("leandata:index:Job", name, opts=pulumi.ResourceOptions(parent=parent))
        make = stack.implementation("service").make_job
        self.run: pulumi.Resource = make(self, name=name, stack=stack, task=task, needs=list(needs))
        self.register_outputs({})
