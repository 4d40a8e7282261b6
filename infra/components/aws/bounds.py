"""The most that any role of the environment may ever do, whatever policies say: the permissions boundary."""

from __future__ import annotations

from infra.components import naming
from infra.components.aws import documents, provider, rights
from infra.components.aws.documents import Document
from infra.components.aws.place import table
from infra.environment import Environment

# What the platform's roles use, directly or through AWS' own policies for clusters and nodes.
_SERVICES = (
    "acm", "autoscaling", "cloudwatch", "cognito-idp", "ec2", "ecr", "eks", "eks-auth", "elasticloadbalancing", "iam",
    "kms", "logs", "pricing", "rds", "s3", "secretsmanager", "servicequotas", "ses", "shield", "sns", "ssm", "sts",
    "tag", "waf-regional", "wafv2", "xray",
)  # fmt: skip
_GLOBAL = ("iam", "pricing", "shield", "sts")
_IDENTITIES = (
    "iam:AddUserToGroup", "iam:AttachGroupPolicy", "iam:AttachUserPolicy", "iam:CreateAccessKey", "iam:CreateGroup",
    "iam:CreateLoginProfile", "iam:CreateOpenIDConnectProvider", "iam:CreatePolicyVersion", "iam:CreateSAMLProvider",
    "iam:CreateUser", "iam:DeleteOpenIDConnectProvider", "iam:DeletePolicy", "iam:DeletePolicyVersion",
    "iam:DeleteRolePermissionsBoundary", "iam:PutGroupPolicy", "iam:PutUserPolicy", "iam:SetDefaultPolicyVersion",
    "iam:UpdateAccountPasswordPolicy", "iam:UpdateLoginProfile", "iam:UpdateOpenIDConnectProviderThumbprint",
    "iam:UpdateSAMLProvider",
)  # fmt: skip
_UNBOUNDED = ("iam:AttachRolePolicy", "iam:CreateRole", "iam:PutRolePermissionsBoundary", "iam:PutRolePolicy")
_OWN_ROLES = (
    "iam:AttachRolePolicy", "iam:DeleteRole", "iam:DeleteRolePolicy", "iam:DetachRolePolicy",
    "iam:PutRolePermissionsBoundary", "iam:PutRolePolicy", "iam:TagRole", "iam:UntagRole",
    "iam:UpdateAssumeRolePolicy", "iam:UpdateRole",
)  # fmt: skip
_STATE = (
    "s3:DeleteBucket", "s3:DeleteBucketPolicy", "s3:DeleteObjectVersion", "s3:PutBucketAcl",
    "s3:PutBucketOwnershipControls", "s3:PutBucketPolicy", "s3:PutBucketPublicAccessBlock", "s3:PutBucketVersioning",
    "s3:PutEncryptionConfiguration", "s3:PutLifecycleConfiguration",
)  # fmt: skip
_STATE_KEY = (
    "kms:CreateGrant", "kms:DeleteAlias", "kms:DisableKey", "kms:DisableKeyRotation", "kms:PutKeyPolicy",
    "kms:ScheduleKeyDeletion", "kms:TagResource", "kms:UntagResource", "kms:UpdateAlias",
)  # fmt: skip


def boundary(environment: Environment) -> Document:
    """The document. It gives nothing by itself.

    Within it nobody makes people or keys, a role without this boundary, or another boundary; nobody changes the roles
    of CI, the state's bucket and key, or anything in another region.
    """
    found = naming.state_bucket(environment)
    assert found is not None
    bucket = f"arn:aws:s3:::{found.bucket}"
    here = {"StringNotEquals": {"aws:RequestedRegion": table(environment).region}}
    unbounded = {"StringNotEquals": {"iam:PermissionsBoundary": provider.boundary(environment)}}
    own_key = {"ForAnyValue:StringEquals": {"kms:ResourceAliases": found.alias}}
    roles = [rights.role_arn(environment, role) for role in rights.ROLES]
    elsewhere = documents.statement("OtherRegions", [], ["*"], effect="Deny", condition=here)
    del elsewhere["Action"]
    elsewhere["NotAction"] = [*(f"{service}:*" for service in _GLOBAL), "s3:ListAllMyBuckets"]
    return documents.document(
        [
            documents.statement("Most", [f"{service}:*" for service in _SERVICES], ["*"]),
            documents.statement("NoIdentities", _IDENTITIES, ["*"], effect="Deny"),
            documents.statement("NoRoleWithout", _UNBOUNDED, ["*"], effect="Deny", condition=unbounded),
            documents.statement("OwnRoles", _OWN_ROLES, roles, effect="Deny"),
            documents.statement("State", _STATE, [bucket, f"{bucket}/*"], effect="Deny"),
            documents.statement("StateKey", _STATE_KEY, ["*"], effect="Deny", condition=own_key),
            elsewhere,
        ]
    )
