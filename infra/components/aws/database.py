"""PostgreSQL on AWS: RDS, reached by the cluster's pods alone and over TLS alone; its administrator is AWS' secret."""

from __future__ import annotations

import json
from typing import Any

import pulumi
import pulumi_aws as aws

from infra.components import naming
from infra.components.aws import documents, provider, watch
from infra.components.aws.place import place_of, table
from infra.components.aws.watch import Watch
from infra.components.database import DatabaseServer
from infra.components.kubernetes import logical, pods
from infra.components.stack import Stack
from infra.stacks.cluster.outputs import ClusterOutputs
from infra.stacks.foundation.outputs import FoundationOutputs

make_database = logical.make_database
make_reader = logical.make_reader
make_shop = logical.make_shop

ADMIN = "postgres"
ADMIN_SECRET = "database-admin"  # noqa: S105 - a name
PORT = 5432
_GIB = 2**30
_SLOW_MILLISECONDS = 1000
_MONITORING = "arn:aws:iam::aws:policy/service-role/AmazonRDSEnhancedMonitoringRole"
_LOGS = ("postgresql", "upgrade")


def make_server(parent: DatabaseServer, *, name: str, stack: Stack) -> logical.Server:
    """The server; how the Jobs that make databases in it reach it, with the password that AWS made and keeps."""
    environment = stack.environment
    made = _instance(parent, name, stack)
    said = table(environment).database
    watched = [
        Watch(
            name="database-storage", says="The database has less than a tenth of its storage left",
            metric="FreeStorageSpace", threshold=said.storage * _GIB / 10, below=True, statistic="Minimum",
        ),
        Watch(name="database-cpu", says="The database is busy", metric="CPUUtilization", threshold=85, periods=6),
        Watch(
            name="database-connections", says="The database has few connections left",
            metric="DatabaseConnections", threshold=environment.file.database.max_connections * 0.85,
        ),
    ]  # fmt: skip
    dimensions = {"DBInstanceIdentifier": made.identifier}
    watch.make_alarms(made, stack=stack, namespace="AWS/RDS", dimensions=dimensions, watched=watched)
    secret = made.master_user_secrets.apply(lambda found: (found[0].secret_arn or "") if found else "")
    stack.foreign[ADMIN_SECRET] = (secret, "password")
    password = secret.apply(lambda _: f"{pods.SECRETS}/{ADMIN_SECRET}")
    return logical.Server(
        host=made.address,
        port=PORT,
        admin=ADMIN,
        admin_password=password,
        needs=[made],
        identity=made.resource_id.apply(lambda known: known or ""),
    )


def settings(stack: Stack) -> dict[str, str]:
    """What the server is told. Connections without TLS are refused."""
    return {
        "log_connections": "1",
        "log_disconnections": "1",
        "log_min_duration_statement": str(_SLOW_MILLISECONDS),
        "max_connections": str(stack.environment.file.database.max_connections),
        "rds.force_ssl": "1",
        "timezone": "UTC",
    }


def _instance(parent: pulumi.Resource, name: str, stack: Stack) -> aws.rds.Instance:
    environment, keys = stack.environment, FoundationOutputs.of(stack)
    said, protected = table(environment).database, table(environment).protected
    full = naming.account_wide(environment, name)
    group, parameters, door = _around(parent, name, stack)
    monitor, attached = _monitor(parent, name, stack)
    return aws.rds.Instance(
        name,
        identifier=full,
        engine="postgres",
        engine_version=said.version,
        instance_class=said.instance,
        allocated_storage=said.storage,
        max_allocated_storage=said.storage_at_most,
        storage_type="gp3",
        storage_encrypted=True,
        kms_key_id=keys.key_database,
        username=ADMIN,
        manage_master_user_password=True,
        master_user_secret_kms_key_id=keys.key_secrets,
        port=PORT,
        db_subnet_group_name=group.name,
        parameter_group_name=parameters.name,
        vpc_security_group_ids=[door.id],
        publicly_accessible=False,
        multi_az=said.standby,
        ca_cert_identifier="rds-ca-rsa2048-g1",
        iam_database_authentication_enabled=True,
        auto_minor_version_upgrade=True,
        allow_major_version_upgrade=False,
        apply_immediately=False,
        backup_retention_period=said.backup_days,
        backup_window="01:00-02:00",
        maintenance_window="sun:02:30-sun:03:30",
        copy_tags_to_snapshot=True,
        delete_automated_backups=False,
        deletion_protection=protected,
        skip_final_snapshot=not protected,
        final_snapshot_identifier=f"{full}-final",
        enabled_cloudwatch_logs_exports=list(_LOGS),
        monitoring_interval=60,
        monitoring_role_arn=monitor.arn,
        performance_insights_enabled=True,
        performance_insights_kms_key_id=keys.key_database,
        performance_insights_retention_period=7,
        tags=naming.tags(environment, stack=stack.name),
        opts=provider.options(stack, parent=parent, needs=[attached], protect=True),
    )


def _around(
    parent: pulumi.Resource, name: str, stack: Stack
) -> tuple[aws.rds.SubnetGroup, aws.rds.ParameterGroup, aws.ec2.SecurityGroup]:
    """Where the server lies, what it is told, and who may reach it: the cluster's pods, on its one port."""
    environment, ground = stack.environment, FoundationOutputs.of(stack)
    full, tags = naming.account_wide(environment, name), naming.tags(environment, stack=stack.name)
    options = provider.options(stack, parent=parent)
    subnets: Any = ground.private_subnets
    group = aws.rds.SubnetGroup(name, name=full, subnet_ids=subnets, tags=tags, opts=options)
    version = table(environment).database.version
    parameters = aws.rds.ParameterGroup(
        name,
        name=f"{full}-{version}",
        family=f"postgres{version}",
        parameters=[
            aws.rds.ParameterGroupParameterArgs(name=key, value=value, apply_method="pending-reboot")
            for key, value in sorted(settings(stack).items())
        ],
        tags=tags,
        opts=options,
    )
    door = aws.ec2.SecurityGroup(
        name, name=full, description="PostgreSQL for the pods", vpc_id=ground.vpc, tags=tags, opts=options
    )
    aws.vpc.SecurityGroupIngressRule(
        name,
        security_group_id=door.id,
        referenced_security_group_id=ClusterOutputs.of(stack).security_group,
        ip_protocol="tcp",
        from_port=PORT,
        to_port=PORT,
        description="From the pods of the cluster",
        tags=tags,
        opts=provider.options(stack, parent=door),
    )
    return group, parameters, door


def _monitor(parent: pulumi.Resource, name: str, stack: Stack) -> tuple[aws.iam.Role, aws.iam.RolePolicyAttachment]:
    """The role under which RDS reports what the server's machine does."""
    environment = stack.environment
    trust = documents.trust("monitoring.rds.amazonaws.com", condition=documents.source(place_of(environment)))
    role = aws.iam.Role(
        f"{name}-monitor",
        name=naming.account_wide(environment, name, "monitor"),
        assume_role_policy=json.dumps(trust, sort_keys=True),
        permissions_boundary=provider.boundary(environment),
        tags=naming.tags(environment, stack=stack.name),
        opts=provider.options(stack, parent=parent),
    )
    attached = aws.iam.RolePolicyAttachment(
        f"{name}-monitor", role=role.name, policy_arn=_MONITORING, opts=provider.options(stack, parent=role)
    )
    return role, attached
