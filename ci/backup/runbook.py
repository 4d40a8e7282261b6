"""How an environment in the cloud is backed up and restored: the commands, with the real names of what it declares."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ci.backup.manifest import BackupError
from ci.programs import Program, Resource

MOMENT = "2026-01-31T12:00:00Z"


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """One thing that holds data: what keeps it, the command that looks or copies, the command that brings it back."""

    stack: str
    kind: str
    name: str
    kept_by: str
    backup: str
    restore: str


def _rds(name: str, properties: Mapping[str, object]) -> tuple[str, str, str]:
    days = properties.get("backupRetentionPeriod", "?")
    return (
        f"automatic backups: any second of the last {days} days",
        f"aws rds create-db-snapshot --db-instance-identifier {name} --db-snapshot-identifier {name}-$(date +%s)",
        (
            f"aws rds restore-db-instance-to-point-in-time --source-db-instance-identifier {name}"
            f" --target-db-instance-identifier {name}-restored --restore-time {MOMENT}"
        ),
    )


def _bucket(name: str, properties: Mapping[str, object]) -> tuple[str, str, str]:
    del properties
    return (
        "versions of every object",
        f"aws s3api get-bucket-versioning --bucket {name}",
        (
            f"aws s3api list-object-versions --bucket {name} --output text"
            " --query 'DeleteMarkers[?IsLatest].[Key,VersionId]'"
            f" | while IFS=$'\\t' read -r key version; do"
            f'  aws s3api delete-object --bucket {name} --key "$key"'
            ' --version-id "$version"; done'
        ),
    )


def _secret(name: str, properties: Mapping[str, object]) -> tuple[str, str, str]:
    days = properties.get("recoveryWindowInDays", "?")
    return (
        f"deletion waits {days} days; the value before stays as AWSPREVIOUS",
        f"aws secretsmanager list-secret-version-ids --secret-id {name}",
        f"aws secretsmanager restore-secret --secret-id {name}",
    )


def _key(name: str, properties: Mapping[str, object]) -> tuple[str, str, str]:
    del properties
    return (
        "deletion waits; without the key what it encrypts cannot be read",
        f'aws kms list-keys  # "{name}"',
        "aws kms cancel-key-deletion --key-id KEY && aws kms enable-key --key-id KEY",
    )


def _images(name: str, properties: Mapping[str, object]) -> tuple[str, str, str]:
    del properties
    return (
        "built from the commit again",
        f"aws ecr describe-images --repository-name {name}",
        "make images  # builds what the release names",
    )


def _cluster(name: str, properties: Mapping[str, object]) -> tuple[str, str, str]:
    del properties
    return (
        "made from the programs again; holds no data of ours",
        f"aws eks describe-cluster --name {name}",
        "make deploy STACK=cluster  # then the services",
    )


def _logs(name: str, properties: Mapping[str, object]) -> tuple[str, str, str]:
    del properties
    return (
        "not backed up: logs that are deleted are lost",
        f"aws logs describe-log-groups --log-group-name-prefix {name}",
        "-",
    )


def _database(name: str, properties: Mapping[str, object]) -> tuple[str, str, str]:
    days = properties.get("dataRetentionTimeInDays", "?")
    return (
        f"Time Travel of {days} days, then Fail-safe",
        f"CREATE BACKUP SET {name}_BACKUPS FOR DATABASE {name}; ALTER BACKUP SET {name}_BACKUPS ADD BACKUP;",
        (
            f"UNDROP DATABASE {name};  -- or: CREATE DATABASE {name}_RESTORED CLONE {name}"
            f" AT (TIMESTAMP => '{MOMENT}'::TIMESTAMP_TZ);"
        ),
    )


def _schema(name: str, properties: Mapping[str, object]) -> tuple[str, str, str]:
    name = f"{properties.get('database')}.{name}"
    return (
        "Time Travel of its database",
        f"SHOW SCHEMAS HISTORY LIKE '{name.rpartition('.')[2]}' IN DATABASE {properties.get('database')};",
        (
            f"UNDROP SCHEMA {name};  -- or: CREATE SCHEMA {name}_RESTORED CLONE {name}"
            f" AT (TIMESTAMP => '{MOMENT}'::TIMESTAMP_TZ);"
        ),
    )


Lines = Callable[[str, Mapping[str, object]], tuple[str, str, str]]
COVERED: Mapping[str, tuple[str, Lines]] = {
    "aws:cloudwatch/logGroup:LogGroup": ("name", _logs),
    "aws:ecr/repository:Repository": ("name", _images),
    "aws:eks/cluster:Cluster": ("name", _cluster),
    "aws:kms/key:Key": ("description", _key),
    "aws:rds/instance:Instance": ("identifier", _rds),
    "aws:s3/bucket:Bucket": ("bucket", _bucket),
    "aws:secretsmanager/secret:Secret": ("name", _secret),
    "snowflake:index/database:Database": ("name", _database),
    "snowflake:index/schema:Schema": ("name", _schema),
}
"""The types that hold data, the property that names one, and its lines."""


def entries(programs: Mapping[str, Program]) -> list[Entry]:
    """A row for everything that holds data, by stack and name."""
    found = [
        _entry(stack, resource)
        for stack, program in programs.items()
        for resource in program.resources.values()
        if resource.type in COVERED
    ]
    return sorted(found, key=lambda one: (one.stack, one.kind, one.name))


def text(environment: str, programs: Mapping[str, Program]) -> str:
    """The runbook as Markdown. Raises BackupError for an environment whose data lies in stand-ins only."""
    found = entries(programs)
    if not found:
        raise BackupError(
            f"{environment} holds only stand-ins, whose data is not backed up", hint="ENV=prod, or ENV=local"
        )
    lines = [
        f"# How {environment} is backed up and restored",
        "",
        (
            "Written by `make backup` from what the programs declare. No command was run. The moment to go back to is"
            f" {MOMENT}: put yours. What is restored beside the original is looked at first, then takes its name."
        ),
        "Order: keys, secrets, engine's state (bucket `state`), database, lake, warehouse, then `make deploy`.",
    ]
    stack = ""
    for one in found:
        if one.stack != stack:
            stack = one.stack
            lines += ["", f"## {stack}"]
        lines += [
            "",
            f"### {one.kind} {one.name}",
            "",
            f"Kept by: {one.kept_by}.",
            "",
            "```sh",
            one.backup,
            one.restore,
            "```",
        ]
    return "\n".join([*lines, ""])


def _entry(stack: str, resource: Resource) -> Entry:
    names, lines = COVERED[resource.type]
    name = str(resource.properties.get(names) or resource.name)
    kept_by, backup, restore = lines(name, resource.properties)
    kind = resource.type.rpartition(":")[2]
    return Entry(stack=stack, kind=kind, name=name, kept_by=kept_by, backup=backup, restore=restore)
