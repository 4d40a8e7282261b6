"""The provider's resources as programs declare them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import pulumi

Text = pulumi.Input[str]
Options = pulumi.ResourceOptions | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Health:
    """How a process shows that it works: an address that answers 200, or a port on loopback that accepts."""

    kind: Literal["http", "tcp"]
    url: str = ""
    port: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Server:
    """A PostgreSQL server as the provider reaches it: its superuser's password is in `password_file`."""

    host: str
    port: int
    user: str
    password_file: Text

    def properties(self) -> dict[str, Any]:
        """The server as a property; `asdict` would copy outputs, which cannot be copied."""
        return {"host": self.host, "port": self.port, "user": self.user, "password_file": self.password_file}


class Provider(pulumi.ProviderResource):
    """One provider a stack: `state` is the environment's state folder, `marker` what its processes carry."""

    def __init__(self, name: str, *, state: str, marker: str) -> None:
        super().__init__("machine", name, {"state": state, "marker": marker})


class Directory(pulumi.CustomResource):
    """A folder. With `retain` it stays, with all that it holds, when the resource is deleted."""

    path: pulumi.Output[str]

    def __init__(
        self, name: str, *, path: Text, mode: str = "0750", retain: bool = False, opts: Options = None
    ) -> None:
        super().__init__("machine:index:Directory", name, {"path": path, "mode": mode, "retain": retain}, opts)


class File(pulumi.CustomResource):
    """A text file with just this content."""

    path: pulumi.Output[str]

    def __init__(self, name: str, *, path: Text, content: Text, mode: str = "0640", opts: Options = None) -> None:
        super().__init__("machine:index:File", name, {"path": path, "content": content, "mode": mode}, opts)


class Secret(pulumi.CustomResource):
    """A secret made once and kept in a file of mode 0600; outputs are its path and a fingerprint, never its value."""

    path: pulumi.Output[str]
    fingerprint: pulumi.Output[str]

    def __init__(self, name: str, *, path: Text, kind: str = "password", opts: Options = None) -> None:
        super().__init__("machine:index:Secret", name, {"path": path, "kind": kind, "fingerprint": None}, opts)


class RenderedSecret(pulumi.CustomResource):
    """A file of mode 0600: `template` with `{name}` replaced by the secret in the file `secrets[name]`."""

    path: pulumi.Output[str]
    fingerprint: pulumi.Output[str]

    def __init__(
        self, name: str, *, path: Text, template: Text, secrets: Mapping[str, Text], opts: Options = None
    ) -> None:
        properties = {"path": path, "template": template, "secrets": dict(secrets), "fingerprint": None}
        super().__init__("machine:index:RenderedSecret", name, properties, opts)


class AwsSecretValue(pulumi.CustomResource):
    """A random first value of the AWS secret `secret` (its ARN); outputs are never the value."""

    fingerprint: pulumi.Output[str]

    def __init__(self, name: str, *, secret: Text, region: str, kind: str, opts: Options = None) -> None:
        properties = {"secret": secret, "region": region, "kind": kind, "fingerprint": None}
        super().__init__("machine:index:AwsSecretValue", name, properties, opts)


class ClusterSecret(pulumi.CustomResource):
    """The v1 Secret `secret`, of one random value, in each of `namespaces`; outputs are never the value."""

    fingerprint: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        *,
        secret: Text,
        namespaces: Sequence[str],
        kind: str,
        labels: Mapping[str, str],
        opts: Options = None,
    ) -> None:
        properties: dict[str, Any] = {
            "secret": secret,
            "namespaces": sorted(namespaces),
            "kind": kind,
            "labels": dict(labels),
            "fingerprint": None,
        }
        super().__init__("machine:index:ClusterSecret", name, properties, opts)


class Process(pulumi.CustomResource):
    """A supervised process that outlives the command which made it; created when it is healthy.

    `secret_files` maps environment variables to the paths of secrets. `user` is who it runs as ("" = who deploys;
    another one only when root deploys). `start_timeout` and `stop_timeout` are seconds,
    `memory_limit` is bytes (0 = none; shown by status, as a machine without containers cannot enforce it).
    """

    state: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        *,
        command: Sequence[Text],
        env: Mapping[str, Text] | None = None,
        secret_files: Mapping[str, Text] | None = None,
        directory: str,
        user: str = "",
        health: Health | None = None,
        start_timeout: float = 120.0,
        memory_limit: int = 0,
        log_max_bytes: int = 10_000_000,
        log_backups: int = 3,
        restart: Literal["always", "on-failure", "never"] = "always",
        stop_signal: str = "TERM",
        stop_group: bool = True,
        stop_timeout: float = 10.0,
        priority: int = 500,
        triggers: Mapping[str, Text] | None = None,
        opts: Options = None,
    ) -> None:
        properties: dict[str, Any] = {
            "name": name,
            "command": list(command),
            "env": dict(env or {}),
            "secret_files": dict(secret_files or {}),
            "directory": directory,
            "user": user,
            "health": asdict(health) if health else {"kind": "running", "url": "", "port": 0},
            "start_timeout": start_timeout,
            "memory_limit": memory_limit,
            "log_max_bytes": log_max_bytes,
            "log_backups": log_backups,
            "restart": restart,
            "stop_signal": stop_signal,
            "stop_group": stop_group,
            "stop_timeout": stop_timeout,
            "priority": priority,
            "triggers": dict(triggers or {}),
            "state": None,
        }
        super().__init__("machine:index:Process", name, properties, opts)


class Job(pulumi.CustomResource):
    """A command that has run to its end; it runs again when its command, settings or triggers change.

    `leaves` are relations, such as `public.orders`, that it makes in the database at `leaves_in`: it runs again too
    when one of them is gone.
    """

    def __init__(
        self,
        name: str,
        *,
        command: Sequence[Text],
        env: Mapping[str, Text] | None = None,
        secret_files: Mapping[str, Text] | None = None,
        directory: str,
        triggers: Mapping[str, Text] | None = None,
        timeout: float = 600.0,
        leaves: Sequence[str] = (),
        leaves_in: Text = "",
        opts: Options = None,
    ) -> None:
        properties: dict[str, Any] = {
            "name": name,
            "command": list(command),
            "env": dict(env or {}),
            "secret_files": dict(secret_files or {}),
            "directory": directory,
            "triggers": dict(triggers or {}),
            "timeout": timeout,
            **({"leaves": {"address": leaves_in, "relations": sorted(leaves)}} if leaves else {}),
        }
        super().__init__("machine:index:Job", name, properties, opts)


class PostgresCluster(pulumi.CustomResource):
    """The data folder of a PostgreSQL server, kept when the resource is deleted. `identity` is new for a new folder."""

    path: pulumi.Output[str]
    identity: pulumi.Output[str]

    def __init__(self, name: str, *, path: Text, password_file: Text, opts: Options = None) -> None:
        properties = {"path": path, "password_file": password_file, "identity": None}
        super().__init__("machine:index:PostgresCluster", name, properties, opts)


class PostgresRole(pulumi.CustomResource):
    """A role that may log in with the password in `role_password_file`; `settings` are its defaults."""

    def __init__(
        self,
        name: str,
        *,
        server: Server,
        role_password_file: Text,
        settings: Mapping[str, str] | None = None,
        opts: Options = None,
    ) -> None:
        properties = {
            "name": name,
            "server": server.properties(),
            "role_password_file": role_password_file,
            "settings": dict(settings or {}),
            "fingerprint": None,
        }
        super().__init__("machine:index:PostgresRole", name, properties, opts)


class PostgresDatabase(pulumi.CustomResource):
    """A logical database, kept when the resource is deleted. `identity` is new for a new database."""

    identity: pulumi.Output[str]

    def __init__(self, name: str, *, server: Server, owner: Text, opts: Options = None) -> None:
        properties = {"name": name, "server": server.properties(), "owner": owner, "identity": None}
        super().__init__("machine:index:PostgresDatabase", name, properties, opts)


class PostgresGrants(pulumi.CustomResource):
    """`role` may read every current and future table that `owner` has in `schema` of `database`."""

    def __init__(
        self, name: str, *, server: Server, database: Text, schema: str, role: Text, owner: str, opts: Options = None
    ) -> None:
        properties = {
            "server": server.properties(),
            "database": database,
            "schema": schema,
            "role": role,
            "owner": owner,
        }
        super().__init__("machine:index:PostgresGrants", name, {**properties, "granted": None}, opts)


class _WarehouseObject(pulumi.CustomResource):
    def __init__(self, kind: str, name: str, properties: Mapping[str, Any], opts: Options) -> None:
        super().__init__(f"machine:index:{kind}", name, dict(properties), opts)


class WarehouseDatabase(_WarehouseObject):
    """A database of the warehouse, kept when the resource is deleted."""

    def __init__(self, name: str, *, address: Text, opts: Options = None) -> None:
        super().__init__("WarehouseDatabase", name, {"name": name, "address": address}, opts)


class WarehouseSchema(_WarehouseObject):
    """A schema, kept when the resource is deleted."""

    def __init__(self, name: str, *, address: Text, database: Text, schema: str, opts: Options = None) -> None:
        super().__init__("WarehouseSchema", name, {"address": address, "database": database, "name": schema}, opts)


class WarehouseFileFormat(_WarehouseObject):
    """A named format of files; `options` is the text behind its name, such as "TYPE = PARQUET"."""

    def __init__(
        self, name: str, *, address: Text, schema: Text, format_name: str, options: str, opts: Options = None
    ) -> None:
        properties = {"address": address, "schema": schema, "name": format_name, "options": options}
        super().__init__("WarehouseFileFormat", name, properties, opts)


class WarehouseStage(_WarehouseObject):
    """An external stage: the name under which the warehouse reads the files below `url`."""

    def __init__(
        self, name: str, *, address: Text, schema: Text, stage_name: str, url: Text, opts: Options = None
    ) -> None:
        properties = {"address": address, "schema": schema, "name": stage_name, "url": url}
        super().__init__("WarehouseStage", name, properties, opts)


class WarehouseSql(_WarehouseObject):
    """A statement, the one that reverts it, and the query that returns a row while its effect is there."""

    def __init__(
        self, name: str, *, address: Text, execute: str, revert: str, query: str, opts: Options = None
    ) -> None:
        properties = {"address": address, "execute": execute, "revert": revert, "query": query}
        super().__init__("WarehouseSql", name, properties, opts)
