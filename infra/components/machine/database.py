"""PostgreSQL on one machine: a supervised server on loopback, databases and roles; and the shop that lies in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import quote

import pulumi

from infra.components.database import Database, DatabaseServer
from infra.components.secret import Secret
from infra.components.service import Job, Task
from infra.components.stack import Stack
from infra.environment import Environment
from infra.provider import resources as machine
from infra.provider.postgres_binaries import find_pg_bin, unprivileged

SOURCE_NOTE = (
    "The sales are real: 69,659 purchases at the shop CDNOW, made in 1997 and 1998. Their dates were moved forward by"
    " whole weeks; amounts, customers and rhythm are untouched. They end on a Tuesday, so the last week is a short one."
)


def make_server(parent: DatabaseServer, *, name: str, stack: Stack) -> tuple[machine.Server, pulumi.Resource]:
    """The server's data folder and process; how the provider reaches it, and what must run before that."""
    password = Secret("postgres-password", stack=stack, parent=parent)
    data = Path(stack.folder("postgres"))
    cluster = machine.PostgresCluster(
        f"{name}-data", path=str(data), password_file=password.path, opts=stack.options(parent=parent)
    )
    binaries, listen = find_pg_bin(), stack.listen("postgres")
    settings = [f"listen_addresses={listen.host}", *server_settings(stack.environment)]
    options = [part for setting in settings for part in ("-c", setting)]
    process = machine.Process(
        "postgres",
        command=[
            *unprivileged(data, binaries).prefix,
            *(str(binaries / "postgres"), "-D", str(data), "-p", str(listen.port)),
            *options,
        ],
        directory="/",
        health=machine.Health(kind="tcp", port=listen.port),
        stop_signal="INT",
        stop_group=False,
        stop_timeout=30.0,
        priority=100,
        memory_limit=512 * 2**20,
        triggers={"data": cluster.identity},
        opts=stack.options(parent=parent, needs=[cluster]),
    )
    server = machine.Server(host=listen.host, port=listen.port, user="postgres", password_file=password.path)
    return server, process


def server_settings(environment: Environment) -> list[str]:
    """What a server of ours is told, as NAME=VALUE, sorted."""
    size = environment.file.database
    settings = {
        "jit": "off",
        "log_timezone": "UTC",
        "max_connections": size.max_connections,
        "max_wal_size": "512MB",
        "shared_buffers": f"{size.shared_buffers // 2**20}MB",
        "timezone": "UTC",
        "unix_socket_directories": "",
        "wal_compression": "on",
    }
    return [f"{name}={value}" for name, value in settings.items()]


def make_database(
    parent: Database, *, name: str, stack: Stack, server: Any, owner: str
) -> tuple[machine.PostgresDatabase, pulumi.Output[str], pulumi.Output[str]]:
    """A role with a password of its own and the database it owns; the owner's address and password file."""
    reach, process = server
    password = _role(parent, stack=stack, server=server, role=owner)
    database = machine.PostgresDatabase(
        name, server=reach, owner=owner, opts=stack.options(parent=parent, needs=[process, password[0]])
    )
    return database, _address(stack, role=owner, database=name, made=database, password=password[1]), password[1]


def make_reader(
    parent: pulumi.Resource,
    *,
    database: str,
    made: machine.PostgresDatabase,
    stack: Stack,
    server: Any,
    owner: str,
    role: str,
    schema: str,
    statement_timeout: float | None,
) -> pulumi.Output[str]:
    """A role whose every transaction is read-only, and its grants; its address."""
    reach, _ = server
    settings = {"default_transaction_read_only": "on"}
    if statement_timeout is not None:
        settings["statement_timeout"] = f"{round(statement_timeout * 1000)}ms"
    reader, password = _role(parent, stack=stack, server=server, role=role, settings=settings)
    grants = machine.PostgresGrants(
        f"{role}-grants",
        server=reach,
        database=made.identity.apply(lambda _: database),
        schema=schema,
        role=role,
        owner=owner,
        opts=stack.options(parent=parent, needs=[made, reader]),
    )
    return _address(stack, role=role, database=database, made=grants, password=password)


def make_shop(
    parent: pulumi.Resource, *, name: str, stack: Stack, server: DatabaseServer
) -> tuple[pulumi.Output[str], str]:
    """The shop's database, seeded with real sales; the read-only address, and what to say of the data."""
    shop = server.database(name, owner="shop_owner")
    source = stack.environment.file.shop
    until = stack.environment.today or source.until
    address = shop.address
    seeded = Job(
        "shop-seed",
        stack=stack,
        task=Task(
            command=[stack.python, "-m", "infra.standins.shop", "--database", address, "--until", until],
            triggers={"database": shop.made.identity},
            leaves=["public.customers", "public.orders", "public.seed"],
            leaves_in=address,
        ),
        parent=parent,
    )
    del seeded
    replica = shop.reader("shop_replica", schema="public", statement_timeout=source.statement_timeout)
    return replica, SOURCE_NOTE


def _role(
    parent: pulumi.Resource, *, stack: Stack, server: Any, role: str, settings: dict[str, str] | None = None
) -> tuple[machine.PostgresRole, pulumi.Output[str]]:
    reach, process = server
    secret = Secret(f"database-{role.replace('_', '-')}", stack=stack, parent=parent)
    made = machine.PostgresRole(
        role,
        server=reach,
        role_password_file=secret.path,
        settings=settings,
        opts=stack.options(parent=parent, needs=[process]),
    )
    return made, secret.path


def _address(
    stack: Stack, *, role: str, database: str, made: pulumi.Resource, password: pulumi.Output[str]
) -> pulumi.Output[str]:
    """The role's address, known when what it leads to is made."""
    place = stack.listen("postgres").address

    def address(values: list[str]) -> str:
        return f"postgresql://{role}@{place}/{database}?password_file={quote(values[0])}"

    return pulumi.Output.all(password, made.urn).apply(address)
