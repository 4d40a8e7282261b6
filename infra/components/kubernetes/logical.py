"""Logical databases and roles on a server that only the cluster reaches: made by Jobs, for RDS and stand-in alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import quote

import pulumi

from infra.components import naming
from infra.components.database import Database, DatabaseServer
from infra.components.machine.database import SOURCE_NOTE
from infra.components.secret import Secret
from infra.components.service import Job, Task
from infra.components.stack import Stack

_JOB = ("python", "-m", "infra.jobs.databases")


@dataclass(frozen=True, kw_only=True, slots=True)
class Server:
    """How the server is reached: `admin` is who makes databases and roles, its password in the file that is named.

    `identity` is new when the server is: then everything in it is made again.
    """

    host: pulumi.Input[str]
    port: int
    admin: str
    admin_password: pulumi.Input[str]
    needs: Sequence[pulumi.Resource] = field(default_factory=list[pulumi.Resource])
    identity: pulumi.Input[str] = ""

    @property
    def address(self) -> pulumi.Output[str]:
        """The administrator's address of the database `postgres`."""
        return _address(self, role=self.admin, database="postgres", password=self.admin_password)


@dataclass(frozen=True, kw_only=True, slots=True)
class Made:
    """A logical database that is there: another `identity` is another database; `job` has made it."""

    identity: pulumi.Output[str]
    job: pulumi.Resource


def make_database(
    parent: Database, *, name: str, stack: Stack, server: Server, owner: str
) -> tuple[Made, pulumi.Output[str], pulumi.Output[str]]:
    """A role with a password of its own and the database it owns; the owner's address and password file."""
    password = Secret(naming.database_secret(owner), stack=stack, parent=parent).path
    command = [*_JOB, "owner", "--server", server.address, "--database", name, "--owner", owner]
    job = _job(f"database-{name}", [*command, "--password-file", password], parent=parent, stack=stack, server=server)
    known = pulumi.Output.all(server.host, server.identity, job.urn)
    identity = known.apply(lambda parts: f"{parts[0]}/{name}/{parts[1]}".rstrip("/"))
    address = _address(server, role=owner, database=name, password=password)
    return Made(identity=identity, job=job), _known_after(address, job), password


def make_reader(
    parent: pulumi.Resource,
    *,
    database: str,
    made: Made,
    stack: Stack,
    server: Server,
    owner: str,
    role: str,
    schema: str,
    statement_timeout: float | None,
) -> pulumi.Output[str]:
    """A role whose every transaction is read-only, and its grants; its address."""
    password = Secret(naming.database_secret(role), stack=stack, parent=parent).path
    command = [
        *(*_JOB, "reader", "--server", server.address, "--database", database, "--owner", owner),
        *("--role", role, "--schema", schema, "--password-file", password),
        *("--statement-timeout", str(round((statement_timeout or 0) * 1000))),
    ]
    name = f"reader-{role.replace('_', '-')}"
    job = _job(name, command, parent=parent, stack=stack, server=server, needs=[made.job])
    return _known_after(_address(server, role=role, database=database, password=password), job)


def make_shop(
    parent: pulumi.Resource, *, name: str, stack: Stack, server: DatabaseServer
) -> tuple[pulumi.Output[str], str]:
    """The read-only address of the shop's own replica; without one, of a database seeded with real sales."""
    source = stack.environment.file.shop
    if source.replica:
        password = Secret(naming.database_secret("shop_replica"), stack=stack, parent=parent).path
        return password.apply(lambda path: f"{source.replica}?password_file={quote(path)}"), ""
    shop = server.database(name, owner="shop_owner")
    until = stack.environment.today or source.until
    seeded = Job(
        "shop-seed",
        stack=stack,
        task=Task(
            command=["python", "-m", "infra.standins.shop", "--database", shop.address, "--until", until],
            triggers={"database": shop.made.identity},
            owner=naming.SYSTEM,
        ),
        parent=parent,
        needs=[shop.made.job],
    )
    replica = shop.reader("shop_replica", schema="public", statement_timeout=source.statement_timeout)
    return _known_after(replica, seeded.run), SOURCE_NOTE


def _job(
    name: str,
    command: Sequence[pulumi.Input[str]],
    *,
    parent: pulumi.Resource,
    stack: Stack,
    server: Server,
    needs: Sequence[pulumi.Resource] = (),
) -> pulumi.Resource:
    task = Task(command=command, triggers={"server": server.identity}, owner=naming.SYSTEM)
    return Job(name, stack=stack, task=task, needs=[*server.needs, *needs], parent=parent).run


def _address(server: Server, *, role: str, database: str, password: pulumi.Input[str]) -> pulumi.Output[str]:
    def address(known: Sequence[str]) -> str:
        return f"postgresql://{role}@{known[0]}:{server.port}/{database}?password_file={quote(known[1])}"

    return pulumi.Output.all(server.host, password).apply(address)


def _known_after(value: pulumi.Output[str], resource: pulumi.Resource) -> pulumi.Output[str]:
    """The value, known when the resource is made."""
    return pulumi.Output.all(value, resource.urn).apply(lambda known: str(known[0]))
