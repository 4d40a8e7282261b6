"""A PostgreSQL server with its logical databases and the roles that may use them."""

from __future__ import annotations

from typing import Any

import pulumi

from infra.components.stack import Stack


class DatabaseServer(pulumi.ComponentResource):
    """One server; `database` and `reader` declare what lies in it."""

    def __init__(self, name: str, *, stack: Stack) -> None:
        super().__init__("leandata:index:DatabaseServer", name)
        self._stack = stack
        self._make = stack.implementation("database")
        self._server: Any = self._make.make_server(self, name=name, stack=stack)
        self.register_outputs({})

    def database(self, name: str, *, owner: str) -> Database:
        """The logical database `name`, owned by the role `owner` (made with a password of its own)."""
        return Database(name, stack=self._stack, server=self._server, owner=owner, parent=self)


class Database(pulumi.ComponentResource):
    """A logical database; `address` is the owner's, `password` the path of the owner's password file."""

    address: pulumi.Output[str]
    password: pulumi.Output[str]

    def __init__(self, name: str, *, stack: Stack, server: Any, owner: str, parent: pulumi.Resource) -> None:
        super().__init__("leandata:index:Database", name, opts=pulumi.ResourceOptions(parent=parent))
        self._stack = stack
        self._server = server
        self._name = name
        self._owner = owner
        self._make = stack.implementation("database")
        self.made: Any
        self.made, self.address, self.password = self._make.make_database(
            self, name=name, stack=stack, server=server, owner=owner
        )
        self.register_outputs({"address": self.address})

    def reader(self, role: str, *, schema: str, statement_timeout: float | None = None) -> pulumi.Output[str]:
        """The address of a read-only role that sees every current and future table of `schema`.

        `statement_timeout` is in seconds; the server ends a longer query of this role.
        """
        return self._make.make_reader(
            self,
            database=self._name,
            made=self.made,
            stack=self._stack,
            server=self._server,
            owner=self._owner,
            role=role,
            schema=schema,
            statement_timeout=statement_timeout,
        )
