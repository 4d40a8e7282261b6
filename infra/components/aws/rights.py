"""What the roles of CI may do, as plain data: preview and drift look, deploy makes what programs declare.

All three read by AWS' own ReadOnlyAccess, and are blind for values: of secrets, of files, of logs. What deploy writes
is listed here action by action, and on our own names wherever AWS can tell them. A test compares this list with the
types that the programs declare.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from infra.components import naming
from infra.components.aws import documents, logs, provider
from infra.components.aws.documents import Document
from infra.components.aws.place import place_of, table
from infra.environment import Environment

ROLES = ("deploy", "drift", "preview")
_NETWORK = (
    "AllocateAddress", "AssociateRouteTable", "AttachInternetGateway", "AuthorizeSecurityGroupEgress",
    "AuthorizeSecurityGroupIngress", "CreateFlowLogs", "CreateInternetGateway", "CreateNatGateway", "CreateRoute",
    "CreateRouteTable", "CreateSecurityGroup", "CreateSubnet", "CreateTags", "CreateVpc", "CreateVpcEndpoint",
    "DeleteFlowLogs", "DeleteInternetGateway", "DeleteNatGateway", "DeleteRoute", "DeleteRouteTable",
    "DeleteSecurityGroup", "DeleteSubnet", "DeleteTags", "DeleteVpc", "DeleteVpcEndpoints", "DetachInternetGateway",
    "DisassociateAddress", "DisassociateRouteTable", "ModifySecurityGroupRules", "ModifySubnetAttribute",
    "ModifyVpcAttribute", "ModifyVpcEndpoint", "ReleaseAddress", "ReplaceRoute", "ReplaceRouteTableAssociation",
    "RevokeSecurityGroupEgress", "RevokeSecurityGroupIngress", "UpdateSecurityGroupRuleDescriptionsEgress",
    "UpdateSecurityGroupRuleDescriptionsIngress",
)  # fmt: skip
_CLUSTER = (
    "CreateAccessEntry", "CreateAddon", "CreateCluster", "CreatePodIdentityAssociation", "DeleteCluster", "TagResource",
    "UntagResource", "UpdateClusterConfig", "UpdateClusterVersion",
)  # fmt: skip
_IN_CLUSTER = (
    "DeleteAddon", "DeletePodIdentityAssociation", "TagResource", "UntagResource", "UpdateAddon",
    "UpdatePodIdentityAssociation",
)  # fmt: skip
_ENTRIES = (
    "DeleteAccessEntry", "DisassociateAccessPolicy", "TagResource", "UntagResource", "UpdateAccessEntry",
)  # fmt: skip
_DATABASE = (
    "AddTagsToResource", "CreateDBInstance", "CreateDBParameterGroup", "CreateDBSnapshot", "CreateDBSubnetGroup",
    "DeleteDBInstance", "DeleteDBParameterGroup", "DeleteDBSubnetGroup", "ModifyDBInstance", "ModifyDBParameterGroup",
    "ModifyDBSubnetGroup", "RebootDBInstance", "RemoveTagsFromResource", "ResetDBParameterGroup", "StartDBInstance",
    "StopDBInstance",
)  # fmt: skip
_BUCKETS = (
    "CreateBucket", "DeleteBucket", "DeleteBucketPolicy", "PutBucketLogging", "PutBucketOwnershipControls",
    "PutBucketPolicy", "PutBucketPublicAccessBlock", "PutBucketTagging", "PutBucketVersioning",
    "PutEncryptionConfiguration", "PutLifecycleConfiguration", "TagResource", "UntagResource",
)  # fmt: skip
_SECRETS = (
    "CreateSecret", "DeleteSecret", "PutSecretValue", "RestoreSecret", "TagResource", "UntagResource", "UpdateSecret",
)  # fmt: skip
_KEYS = (
    "CancelKeyDeletion", "CreateAlias", "DeleteAlias", "EnableKeyRotation", "PutKeyPolicy", "ScheduleKeyDeletion",
    "UntagResource", "UpdateAlias", "UpdateKeyDescription",
)  # fmt: skip
_IMAGES = (
    "BatchCheckLayerAvailability", "BatchGetImage", "CompleteLayerUpload", "CreateRepository", "DeleteLifecyclePolicy",
    "DeleteRepository", "InitiateLayerUpload", "PutImage", "PutImageScanningConfiguration", "PutImageTagMutability",
    "PutLifecyclePolicy", "TagResource", "UntagResource", "UploadLayerPart",
)  # fmt: skip
_LOG_GROUPS = (
    "AssociateKmsKey", "CreateLogGroup", "DeleteLogGroup", "DeleteRetentionPolicy", "DisassociateKmsKey",
    "PutRetentionPolicy", "TagResource", "UntagResource",
)  # fmt: skip
_TOPICS = ("CreateTopic", "DeleteTopic", "SetTopicAttributes", "Subscribe", "TagResource", "UntagResource")
_MAIL = (
    "CreateConfigurationSet", "CreateConfigurationSetEventDestination", "CreateEmailIdentity", "DeleteConfigurationSet",
    "DeleteConfigurationSetEventDestination", "DeleteEmailIdentity", "PutConfigurationSetDeliveryOptions",
    "PutConfigurationSetReputationOptions", "PutConfigurationSetSuppressionOptions",
    "PutEmailIdentityConfigurationSetAttributes", "PutEmailIdentityDkimAttributes",
    "PutEmailIdentityDkimSigningAttributes", "TagResource", "UntagResource", "UpdateConfigurationSetEventDestination",
)  # fmt: skip
_BOUNDED = (
    "AttachRolePolicy", "CreateRole", "DeleteRolePolicy", "DetachRolePolicy", "PutRolePermissionsBoundary",
    "PutRolePolicy",
)  # fmt: skip
_PASSED_TO = (
    "ec2.amazonaws.com", "eks.amazonaws.com", "monitoring.rds.amazonaws.com", "pods.eks.amazonaws.com",
    "vpc-flow-logs.amazonaws.com",
)  # fmt: skip
# Services whose own roles AWS makes when they are first used: see "service-linked roles" of each.
_LINKED = ("eks.amazonaws.com", "elasticloadbalancing.amazonaws.com", "rds.amazonaws.com", "spot.amazonaws.com")
_VALUES = (
    "dynamodb:GetItem", "dynamodb:Query", "dynamodb:Scan", "ec2:GetConsoleOutput", "ec2:GetPasswordData",
    "logs:FilterLogEvents", "logs:GetLogEvents", "logs:GetLogRecord", "logs:GetQueryResults", "logs:StartQuery",
    "rds:DownloadDBLogFilePortion", "secretsmanager:BatchGetSecretValue", "secretsmanager:GetSecretValue",
    "ssm:GetParameter", "ssm:GetParameterHistory", "ssm:GetParameters", "ssm:GetParametersByPath",
)  # fmt: skip


def role_arn(environment: Environment, role: str) -> str:
    """The ARN of a role of CI."""
    return f"arn:aws:iam::{table(environment).account}:role/{naming.account_wide(environment, role)}"


def subject(environment: Environment, role: str) -> str:
    """The subject of GitHub that may take a role: jobs of one CI environment of one repository, by name."""
    github = table(environment).github
    return f"repo:{github.organization}/{github.repository}:environment:{environment.name}-{role}"


def trust(environment: Environment, role: str, *, issuer: str, provider_arn: str) -> Document:
    """Who may take a role of CI: whoever holds GitHub's token with that very subject, made for AWS."""
    equal = {f"{issuer}:aud": "sts.amazonaws.com", f"{issuer}:sub": subject(environment, role)}
    statement = {
        "Sid": "Assume",
        "Effect": "Allow",
        "Principal": {"Federated": provider_arn},
        "Action": ["sts:AssumeRoleWithWebIdentity"],
        "Condition": {"StringEquals": equal},
    }
    return documents.document([statement])


def blind(environment: Environment) -> Document:
    """What no role of CI may do, although AWS' ReadOnlyAccess would let it: see values, of secrets, logs or files."""
    files = documents.statement(
        "NoFiles", ["s3:GetObject", "s3:GetObjectVersion"], [f"{_state(environment)}/*"], effect="Deny"
    )
    files["NotResource"] = files.pop("Resource")
    return documents.document([documents.statement("NoValues", _VALUES, ["*"], effect="Deny"), files])


def state(environment: Environment, role: str, *, key: str) -> Document:
    """What a role may do with the state: deploy writes it, with the engine's locks; the others read it.

    `key` encrypts it (an ARN). That previews and looks for drift write nothing is seen in a test of the engine.
    """
    bucket = _state(environment)
    uses = ["kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey"] if role == "deploy" else ["kms:Decrypt"]
    statements = [
        documents.statement("List", ["s3:ListBucket"], [bucket]),
        documents.statement("Read", ["s3:GetObject", "s3:GetObjectVersion"], [f"{bucket}/*"]),
        documents.statement("Key", uses, [key]),
    ]
    if role == "deploy":
        statements.append(documents.statement("Write", ["s3:DeleteObject", "s3:PutObject"], [f"{bucket}/*"]))
    return documents.document(statements)


def deploy(environment: Environment) -> dict[str, Document]:
    """What deploy may write, by the name of the policy; each is short enough to be a managed policy."""
    return {
        "data": documents.document(_data(environment)),
        "ground": documents.document([*_ground(environment), *_keys(environment)]),
        "roles": documents.document(_roles(environment)),
        "services": documents.document(_services(environment)),
    }


def _ground(environment: Environment) -> list[Document]:
    place = place_of(environment)
    groups = [place.arn("logs", f"log-group:{name}") for name in logs.groups(environment).values()]
    watched = {"logs": _LOG_GROUPS, "cloudwatch": ("DeleteAlarms", "PutMetricAlarm", "TagResource", "UntagResource")}
    return [
        _here(environment, "Network", _of("ec2", _NETWORK)),
        documents.statement("Logs", _of("logs", watched["logs"]), [arn + end for arn in groups for end in ("", ":*")]),
        documents.statement("Alarms", _of("cloudwatch", watched["cloudwatch"]), [_ours(environment, "alarm:")]),
        documents.statement("Topics", _of("sns", _TOPICS), [place.arn("sns", _prefix(environment))]),
        _here(environment, "Subscriptions", ["sns:SetSubscriptionAttributes", "sns:Unsubscribe"]),
    ]


def _keys(environment: Environment) -> list[Document]:
    place = place_of(environment)
    every, alias = place.arn("kms", "key/*"), place.arn("kms", f"alias/{_prefix(environment)}")
    asked = {"StringEquals": {"aws:RequestTag/environment": environment.name}}
    services = [place.via(service) for service in ("ecr", "eks", "logs", "rds", "s3", "secretsmanager", "sns")]
    used = {"StringEquals": {"kms:ViaService": services, **_tag(environment)}}
    grants = {"Bool": {"kms:GrantIsForAWSResource": "true"}, "StringEquals": _tag(environment)}
    return [
        documents.statement("MakeKeys", ["kms:CreateKey", "kms:TagResource"], ["*"], condition=asked),
        documents.statement("Keys", _of("kms", _KEYS), [every], condition={"StringEquals": _tag(environment)}),
        documents.statement("Aliases", _of("kms", ("CreateAlias", "DeleteAlias", "UpdateAlias")), [alias]),
        documents.statement("Use", _of("kms", ("Decrypt", "GenerateDataKey")), [every], condition=used),
        documents.statement("Grants", ["kms:CreateGrant"], [every], condition=grants),
    ]


def _data(environment: Environment) -> list[Document]:
    place = place_of(environment)
    kinds = ("db", "pg", "snapshot", "subgrp")
    servers = [place.arn("rds", f"{kind}:{_prefix(environment)}") for kind in kinds]
    options = place.arn("rds", "og:default:postgres-*")
    lake = f"arn:{place.partition}:s3:::{naming.account_wide(environment, 'lake')}-*"
    ours = place.arn("secretsmanager", f"secret:leandata/{environment.name}/*")
    of_rds = place.arn("secretsmanager", "secret:rds!*")
    return [
        documents.statement("Database", _of("rds", _DATABASE), [*servers, options]),
        documents.statement(
            "DatabasePassword", _of("secretsmanager", ("CreateSecret", "TagResource")), [of_rds],
        ),
        documents.statement("Lake", _of("s3", _BUCKETS), [lake]),
        _here(environment, "AccountClosed", ["s3:PutAccountPublicAccessBlock"]),
        documents.statement("Secrets", _of("secretsmanager", _SECRETS), [ours]),
    ]  # fmt: skip


def _services(environment: Environment) -> list[Document]:
    place, name = place_of(environment), naming.account_wide(environment)
    admins = [arn.rpartition("/")[2] for arn in table(environment).cluster.admins]
    entries = sorted({*admins, *(naming.account_wide(environment, role) for role in ROLES)})
    people = [place.arn("eks", f"access-entry/{name}/role/{place.account}/{who}/*") for who in entries]
    inside = [place.arn("eks", f"{kind}/{name}/*") for kind in ("addon", "podidentityassociation")]
    sender = environment.file.mail.sender.rpartition("@")[2]
    mail = [place.arn("ses", f"configuration-set/{_prefix(environment)}"), place.arn("ses", f"identity/{sender}")]
    return [
        documents.statement("Cluster", _of("eks", _CLUSTER), [place.arn("eks", f"cluster/{name}")]),
        documents.statement("InCluster", _of("eks", _IN_CLUSTER), inside),
        documents.statement("Entries", _of("eks", _ENTRIES), people),
        documents.statement(
            "Access", ["eks:AssociateAccessPolicy"], people, condition={"StringEquals": _tag(environment)}
        ),
        documents.statement("Images", _of("ecr", _IMAGES), [place.arn("ecr", "repository/leandata/*")]),
        documents.statement("Login", ["ecr:GetAuthorizationToken"], ["*"]),
        documents.statement("Mail", _of("ses", _MAIL), mail),
    ]


def _roles(environment: Environment) -> list[Document]:
    ours = f"arn:aws:iam::{table(environment).account}:role/{_prefix(environment)}"
    linked = f"arn:aws:iam::{table(environment).account}:role/aws-service-role/*"
    bounded = {"StringEquals": {"iam:PermissionsBoundary": provider.boundary(environment)}}
    passed = {"StringEquals": {"iam:PassedToService": list(_PASSED_TO)}}
    services = {"StringEquals": {"iam:AWSServiceName": list(_LINKED)}}
    changed = ("DeleteRole", "TagRole", "UntagRole", "UpdateRole", "UpdateRoleDescription")
    return [
        documents.statement("Bounded", _of("iam", _BOUNDED), [ours], condition=bounded),
        documents.statement("Roles", _of("iam", changed), [ours]),
        documents.statement(
            "Trust", ["iam:UpdateAssumeRolePolicy"], [ours], condition={"StringEquals": _tag(environment)}
        ),
        documents.statement("Pass", ["iam:PassRole"], [ours], condition=passed),
        documents.statement("Linked", ["iam:CreateServiceLinkedRole"], [linked], condition=services),
    ]


def _of(service: str, actions: Collection[str]) -> list[str]:
    return [f"{service}:{action}" for action in actions]


def _here(environment: Environment, sid: str, actions: Collection[str]) -> Document:
    """Actions that AWS cannot narrow to names of ours: in the environment's region, in an account that is its own."""
    where: Mapping[str, Any] = {"StringEquals": {"aws:RequestedRegion": table(environment).region}}
    return documents.statement(sid, actions, ["*"], condition=where)


def _tag(environment: Environment) -> dict[str, str]:
    return {"aws:ResourceTag/environment": environment.name}


def _prefix(environment: Environment) -> str:
    return f"{naming.account_wide(environment)}-*"


def _ours(environment: Environment, kind: str) -> str:
    return place_of(environment).arn("cloudwatch", f"{kind}{_prefix(environment)}")


def _state(environment: Environment) -> str:
    found = naming.state_bucket(environment)
    assert found is not None
    return f"arn:aws:s3:::{found.bucket}"
