"""How the warehouse reads the lake: a storage integration, the cloud role that it takes, a file format and a stage.

The trust is a circle: Snowflake's own user may take our role, and the integration names the role. It is cut by names:
the role's ARN is composed, the integration is made with it, and the role then trusts the user that it was given.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence

import pulumi
import pulumi_aws as aws
import pulumi_snowflake as snowflake

from infra.components import naming
from infra.components.aws import documents, identity, lake
from infra.components.aws import provider as cloud
from infra.components.aws.place import place_of
from infra.components.manifest import ServiceManifest
from infra.components.snowflake import provider
from infra.components.snowflake.plan import ADMIN, STAGES, Place
from infra.components.stack import Stack
from infra.components.warehouse import DatabaseLayout
from infra.environment import Environment
from infra.stacks.foundation.outputs import FoundationOutputs

FORMAT = "PARQUET"
STAGE = "FILES"


def role_name(environment: Environment, zone: str) -> str:
    """The cloud role by which the warehouse reads a zone."""
    return naming.account_wide(environment, "warehouse", zone)


def role_arn(environment: Environment, zone: str) -> str:
    """The ARN of that role, before it exists."""
    place = place_of(environment)
    return f"arn:{place.partition}:iam::{place.account}:role/{role_name(environment, zone)}"


def external_id(environment: Environment, zone: str) -> str:
    """What Snowflake says when it takes the role, so that no other account of it can: ours alone, and no secret."""
    said = provider.table(environment)
    digest = hashlib.sha256(f"{said.organization}\0{said.account}\0{zone}".encode()).hexdigest()
    return f"leandata-{environment.name}-{zone}-{digest[:16]}"


def folders(services: Iterable[ServiceManifest], zone: str) -> list[str]:
    """The folders of a zone that services load into the warehouse, sorted."""
    found = {
        name
        for manifest in services
        for name in manifest.data.warehouse.writes
        if name in (*manifest.data.lake.reads, *manifest.data.lake.writes) and identity.zone(name) == zone
    }
    return sorted(f"{name.replace('.', '/')}/" for name in found)


def trust(user: str, external: str) -> documents.Document:
    """Snowflake's user of our account may take the role when it says the external id."""
    return documents.document(
        [
            {
                "Sid": "Assume",
                "Effect": "Allow",
                "Principal": {"AWS": user},
                "Action": ["sts:AssumeRole"],
                "Condition": {"StringEquals": {"sts:ExternalId": external}},
            }
        ]
    )


def policy(environment: Environment, zone: str, *, key: str, reads: list[str]) -> documents.Document:
    """What the role may do: read these folders of the zone, and nothing else."""
    bucket = lake.bucket(environment, zone)
    arn = f"arn:aws:s3:::{bucket}"
    made = documents.pod_policy(place_of(environment), folders=[documents.Folders(bucket=bucket, key=key, reads=reads)])
    versions = documents.statement("Versions", ["s3:GetObjectVersion"], [f"{arn}/{folder}*" for folder in reads])
    return {
        **made,
        "Statement": [*made["Statement"], documents.statement("Where", ["s3:GetBucketLocation"], [arn]), versions],
    }


def make_integration(
    parent: pulumi.Resource, *, stack: Stack, layout: Sequence[DatabaseLayout], zones: Mapping[str, pulumi.Input[str]]
) -> dict[str, list[pulumi.Resource]]:
    """For every zone that a database reads: the integration, the role, and the right to make stages with it."""
    made: dict[str, list[pulumi.Resource]] = {}
    for zone in sorted({one.stage_zone for one in layout} - {""}):
        integration = _integration(parent, stack=stack, zone=zone, place=_address(zones[zone]))
        usable = snowflake.GrantPrivilegesToAccountRole(
            f"{ADMIN}-on-integration-{zone}",
            account_role_name=ADMIN,
            privileges=["USAGE"],
            on_account_object=snowflake.GrantPrivilegesToAccountRoleOnAccountObjectArgs(
                object_type="INTEGRATION", object_name=integration.name
            ),
            opts=provider.options(stack, admin="ACCOUNTADMIN", parent=parent, replaced=True),
        )
        made[zone] = [integration, *_role(parent, stack=stack, zone=zone, integration=integration), usable]
    return made


def make_stage(
    parent: pulumi.Resource,
    *,
    stack: Stack,
    database: DatabaseLayout,
    schemas: Mapping[Place, snowflake.Schema],
    zones: Mapping[str, pulumi.Input[str]],
    reader: snowflake.AccountRole,
    needs: Mapping[str, list[pulumi.Resource]],
) -> list[pulumi.Resource]:
    """The stage of a database and its file format; what was granted on things that will be is among `needs`."""
    zone, schema = database.stage_zone, schemas[Place(database=database.name, schema=STAGES)]
    options = provider.options(stack, parent=parent, needs=[reader, *needs[zone]])
    file_format = snowflake.FileFormatParquet(
        f"{database.name}.{STAGES}.{FORMAT}",
        database=schema.database,
        schema=schema.name,
        name=FORMAT,
        comment="Files of the lake",
        opts=options,
    )
    stage = snowflake.StageExternalS3(
        f"{database.name}.{STAGES}.{STAGE}",
        database=schema.database,
        schema=schema.name,
        name=STAGE,
        url=_address(zones[zone]),
        storage_integration=integration_name(zone),
        file_format=snowflake.StageExternalS3FileFormatArgs(format_name=file_format.fully_qualified_name),
        comment=f"The zone {zone} of the lake",
        opts=options,
    )
    return [file_format, stage]


def integration_name(zone: str) -> str:
    """The integration by which the warehouse reads a zone."""
    return f"LAKE_{zone.upper()}"


def _address(zone: pulumi.Input[str]) -> pulumi.Output[str]:
    return pulumi.Output.from_input(zone).apply(lambda url: f"{url.partition('?')[0].rstrip('/')}/")


def _integration(
    parent: pulumi.Resource, *, stack: Stack, zone: str, place: pulumi.Output[str]
) -> snowflake.StorageIntegrationAws:
    environment = stack.environment
    return snowflake.StorageIntegrationAws(
        f"integration-{zone}",
        name=integration_name(zone),
        enabled=True,
        storage_provider="S3",
        storage_aws_role_arn=role_arn(environment, zone),
        storage_aws_external_id=external_id(environment, zone),
        storage_allowed_locations=[place],
        comment=f"Reads the zone {zone} of the lake",
        opts=provider.options(stack, admin="ACCOUNTADMIN", parent=parent),
    )


def _role(
    parent: pulumi.Resource, *, stack: Stack, zone: str, integration: snowflake.StorageIntegrationAws
) -> list[pulumi.Resource]:
    environment = stack.environment
    services = naming.services(environment.root).values()
    key = pulumi.Output.from_input(FoundationOutputs.of(stack).key_lake)
    options = cloud.options(stack, parent=parent)
    role = aws.iam.Role(
        f"warehouse-{zone}",
        name=role_name(environment, zone),
        description=f"Snowflake reads the zone {zone} of the lake",
        assume_role_policy=integration.describe_outputs.apply(
            lambda found: json.dumps(trust(str(found[0].iam_user_arn), external_id(environment, zone)), sort_keys=True)
        ),
        permissions_boundary=cloud.boundary(environment),
        tags=naming.tags(environment, stack=stack.name),
        opts=options,
    )
    reads = folders(services, zone)
    document = key.apply(lambda arn: json.dumps(policy(environment, zone, key=arn, reads=reads), sort_keys=True))
    attached = aws.iam.RolePolicy(f"warehouse-{zone}", name="lake", role=role.name, policy=document, opts=options)
    return [role, attached]
