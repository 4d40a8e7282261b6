"""Services and jobs on one machine: supervised processes, commands that end."""

from __future__ import annotations

from collections.abc import Sequence

import pulumi

from infra.components.service import Program, Task
from infra.components.stack import Stack
from infra.provider import resources as machine

_PRIORITY = 500  # supervisord starts lower numbers first and stops them last; PostgreSQL has 100


def make_process(
    parent: pulumi.Resource, *, stack: Stack, program: Program, needs: Sequence[pulumi.Resource]
) -> pulumi.Resource:
    """A supervised process that is healthy before anything that needs it starts."""
    manifest = program.manifest
    return machine.Process(
        manifest.name,
        command=list(program.command),
        env=dict(program.settings),
        secret_files=dict(program.secret_files),
        directory=str(stack.environment.root),
        health=_health(stack, program),
        start_timeout=manifest.start_timeout,
        memory_limit=manifest.memory,
        priority=_PRIORITY + len(program.start_after),
        triggers=dict(program.triggers),
        opts=stack.options(parent=parent, needs=list(needs)),
    )


def make_job(
    parent: pulumi.Resource, *, name: str, stack: Stack, task: Task, needs: Sequence[pulumi.Resource]
) -> pulumi.Resource:
    """A command that runs to its end."""
    return machine.Job(
        name,
        command=list(task.command),
        env=dict(task.settings),
        secret_files=dict(task.secret_files),
        directory=str(stack.environment.root),
        triggers=dict(task.triggers),
        timeout=task.timeout,
        leaves=task.leaves,
        leaves_in=task.leaves_in,
        opts=stack.options(parent=parent, needs=list(needs)),
    )


def _health(stack: Stack, program: Program) -> machine.Health | None:
    asked = program.health or program.manifest.health
    if not asked:
        return None
    if asked.startswith("http://"):
        return machine.Health(kind="http", url=asked)
    listen = stack.listen(program.manifest.name)
    if asked == "tcp":
        return machine.Health(kind="tcp", port=listen.port)
    return machine.Health(kind="http", url=f"{listen.url}{asked}")
