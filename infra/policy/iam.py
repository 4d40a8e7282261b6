"""Rights on AWS: no wildcard, no way to more rights than were given, and nobody trusted whom we did not name.

Every policy document of the graph is judged: those of roles and users, inline or managed, and whom roles trust.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from infra.policy.buckets import principals, statements
from infra.policy.cases import Node, aws
from infra.policy.graph import Graph, Object, Resource, document, items, mapping, objects
from infra.policy.rule import Case, Check, Hit, Rule

CIS = "CIS AWS Foundations"
POLICY = "aws:iam/policy:Policy"
ROLE = "aws:iam/role:Role"
# Where the documents lie that give rights to an identity: type and property.
_RIGHTS = {
    "aws:iam/groupPolicy:GroupPolicy": "policy",
    POLICY: "policy",
    "aws:iam/rolePolicy:RolePolicy": "policy",
    "aws:iam/userPolicy:UserPolicy": "policy",
}
_ATTACHMENTS = (
    "aws:iam/groupPolicyAttachment:GroupPolicyAttachment",
    "aws:iam/policyAttachment:PolicyAttachment",
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
    "aws:iam/userPolicyAttachment:UserPolicyAttachment",
)
_PEOPLE = (
    "aws:iam/accessKey:AccessKey",
    "aws:iam/group:Group",
    "aws:iam/user:User",
    "aws:iam/userLoginProfile:UserLoginProfile",
)
# AWS' own policies that are what their name says and not more; anything else is written by us.
MANAGED = frozenset(
    {
        "AmazonEC2ContainerRegistryPullOnly",
        "AmazonEKSBlockStoragePolicy",
        "AmazonEKSClusterPolicy",
        "AmazonEKSComputePolicy",
        "AmazonEKSLoadBalancingPolicy",
        "AmazonEKSNetworkingPolicy",
        "AmazonEKSWorkerNodeMinimalPolicy",
        "CloudWatchAgentServerPolicy",
        "service-role/AmazonRDSEnhancedMonitoringRole",
        "ReadOnlyAccess",
    }
)
# Actions that AWS lets nobody narrow to a resource, and that give away nothing: the reviewed list.
UNNARROWED = frozenset(
    {
        "cloudwatch:PutMetricData",
        "ecr:GetAuthorizationToken",
        "sts:GetCallerIdentity",
        "xray:PutTelemetryRecords",
        "xray:PutTraceSegments",
    }
)
# Actions by which an identity comes to more rights than it was given (Rhino Security Labs' list, and what EKS added).
ESCALATION = frozenset(
    {
        "cloudformation:CreateStack",
        "codestar:CreateProject",
        "ec2:AssociateIamInstanceProfile",
        "eks:AssociateAccessPolicy",
        "eks:CreateAccessEntry",
        "eks:CreatePodIdentityAssociation",
        "glue:UpdateDevEndpoint",
        "iam:AddUserToGroup",
        "iam:AttachGroupPolicy",
        "iam:AttachRolePolicy",
        "iam:AttachUserPolicy",
        "iam:CreateAccessKey",
        "iam:CreateLoginProfile",
        "iam:CreatePolicyVersion",
        "iam:CreateRole",
        "iam:DeleteRolePermissionsBoundary",
        "iam:PassRole",
        "iam:PutGroupPolicy",
        "iam:PutRolePermissionsBoundary",
        "iam:PutRolePolicy",
        "iam:PutUserPolicy",
        "iam:SetDefaultPolicyVersion",
        "iam:UpdateAssumeRolePolicy",
        "iam:UpdateLoginProfile",
        "kms:CreateGrant",
        "kms:PutKeyPolicy",
        "lambda:UpdateFunctionCode",
        "lambda:UpdateFunctionConfiguration",
        "s3:PutBucketPolicy",
        "ssm:SendCommand",
        "ssm:StartSession",
        "sts:AssumeRole",
    }
)
_GITHUB = "token.actions.githubusercontent.com"
_SUBJECT = "repo:{}/{}:environment:{}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Document:
    """A policy document that gives rights: what declares it, under which property, and its statements that allow."""

    resource: Resource
    property: str
    body: Object | None

    def allows(self) -> Iterator[Object]:
        """The statements that allow something."""
        yield from (one for one in statements(self.body) if one.get("Effect") == "Allow")

    def hit(self, path: str, said: str) -> Hit:
        """A hit at this path of the document."""
        return Hit(resource=self.resource, property=f"{self.property}.Statement.{path}", said=said)


def rights(graph: Graph) -> Iterator[Document]:
    """Every document that gives rights to an identity. A permissions boundary gives none: it says what is the most."""
    bounds = {str(one.properties.get("permissionsBoundary")).rpartition("/")[2] for one in graph.every(ROLE)}
    attached = {str(one.properties.get("policyArn")).rpartition("/")[2] for one in graph.every(*_ATTACHMENTS)}
    for type_, path in _RIGHTS.items():
        for one in graph.every(type_):
            if type_ != POLICY or one.properties.get("name") not in bounds - attached:
                yield Document(resource=one, property=path, body=document(one.properties.get(path)))
    for one in graph.every(ROLE):
        for inline in objects(one.properties, "inlinePolicies"):
            yield Document(resource=one, property="inlinePolicies", body=document(inline.get("policy")))


def trusts(graph: Graph) -> Iterator[Document]:
    """Every document that says who may take a role."""
    for one in graph.every(ROLE):
        path = "assumeRolePolicy"
        yield Document(resource=one, property=path, body=document(one.properties.get(path)))


def _wellformed(graph: Graph) -> Iterator[Hit]:
    for one in (*rights(graph), *trusts(graph)):
        if one.body is None or not statements(one.body):
            yield Hit(resource=one.resource, property=one.property, said="no document that can be read")
        elif one.body.get("Version") != "2012-10-17":
            yield Hit(resource=one.resource, property=f"{one.property}.Version", said=str(one.body.get("Version")))


def _actions(graph: Graph) -> Iterator[Hit]:
    for one in rights(graph):
        for statement in one.allows():
            for action in items(statement, "Action"):
                if "*" in str(action) or "?" in str(action):
                    yield one.hit("Action", str(action))
            for key in ("NotAction", "NotResource"):
                if key in statement:
                    yield one.hit(key, "everything but")


def _resources(graph: Graph) -> Iterator[Hit]:
    """A resource is named, unless AWS cannot narrow the action and it gives away nothing, or a condition narrows it."""
    for one in rights(graph):
        for statement in one.allows():
            free = [str(action) for action in items(statement, "Action") if str(action) not in UNNARROWED]
            reads = all(action.partition(":")[2].startswith(("Describe", "List")) for action in free)
            if "*" in items(statement, "Resource") and free and not reads and not statement.get("Condition"):
                yield one.hit("Resource", f"* for {', '.join(sorted(free)[:3])}")


def escalations(statement: Object) -> list[str]:
    """The actions that a statement allows and that lead to more rights, sorted; by wildcards as well.

    Passing or taking a role is none where the roles are named, nor is an action on IAM that holds only inside a
    permissions boundary or on what bears our tag, nor one on named or tagged resources of other services.
    """
    patterns = [str(action).lower() for action in items(statement, "Action")]
    found = [one for one in sorted(ESCALATION) if any(fnmatchcase(one.lower(), pattern) for pattern in patterns)]
    named = all(_named(str(resource)) for resource in items(statement, "Resource")) and "Resource" in statement
    conditions = json.dumps(statement.get("Condition", {})).lower()
    bounded = "iam:permissionsboundary" in conditions
    passed = "iam:passedtoservice" in conditions
    tagged = "aws:resourcetag/" in conditions

    def harmless(action: str) -> bool:
        if action == "iam:PassRole":
            return named and passed
        if action.startswith("iam:"):
            return named and (bounded or tagged)
        return named or tagged or (action == "kms:CreateGrant" and "kms:grantisforawsresource" in conditions)

    return [action for action in found if not harmless(action)]


def _named(resource: str) -> bool:
    """Whether a resource is named, by at least the start of its own name: not all of a service or of a kind."""
    last = resource.rpartition(":")[2].rpartition("/")[2]
    return resource.startswith("arn:") and not last.startswith("*") and "*" not in ":".join(resource.split(":")[:3])


def _escalation(graph: Graph) -> Iterator[Hit]:
    for one in rights(graph):
        for statement in one.allows():
            if found := escalations(statement):
                yield one.hit("Action", ", ".join(found))


def _attached(graph: Graph) -> Iterator[Hit]:
    for one in graph.every(*_ATTACHMENTS):
        arn = str(one.properties.get("policyArn", ""))
        name = arn.removeprefix("arn:aws:iam::aws:policy/")
        if name != arn and name not in MANAGED:
            yield Hit(resource=one, property="policyArn", said=name)
    for one in graph.every(ROLE):
        for arn in items(one.properties, "managedPolicyArns"):
            if str(arn).removeprefix("arn:aws:iam::aws:policy/") not in MANAGED:
                yield Hit(resource=one, property="managedPolicyArns", said=str(arn))


def _people(graph: Graph) -> Iterator[Hit]:
    for one in graph.every(*_PEOPLE):
        yield Hit(resource=one, property="name", said=one.type.rpartition(":")[2])


def _trusted(graph: Graph) -> Iterator[Hit]:
    """Nobody is trusted but services, named roles, accounts with an external id, and providers by subject."""
    for one in trusts(graph):
        for statement in one.allows():
            who = principals(statement)
            conditions = json.dumps(statement.get("Condition", {})).lower()
            if "*" in who:
                yield one.hit("Principal", "*")
            if "pods.eks.amazonaws.com" in who and "aws:sourceaccount" not in conditions:
                yield one.hit("Condition", "pods of any account: aws:SourceAccount is missing")
            foreign = [arn for arn in who if ":user/" in arn or arn.endswith(":root") or arn.isdigit()]
            if foreign and "sts:externalid" not in conditions and "aws:principalarn" not in conditions:
                yield one.hit("Condition", "sts:ExternalId is missing")


def _github(graph: Graph) -> Iterator[Hit]:
    for one in trusts(graph):
        for statement in one.allows():
            if not any(_GITHUB in who for who in principals(statement)):
                continue
            equal = mapping(statement, "Condition").get("StringEquals", {})
            if items(equal.get(f"{_GITHUB}:aud")) != ["sts.amazonaws.com"]:
                yield one.hit("Condition", "the audience is not sts.amazonaws.com")
            subjects = [str(subject) for subject in items(equal.get(f"{_GITHUB}:sub"))]
            if not subjects:
                yield one.hit("Condition", "StringEquals names no subject")
            for subject in subjects:
                if not _bound(subject):
                    yield one.hit("Condition", subject)


def _bound(subject: str) -> bool:
    """Whether a subject of GitHub is one repository's CI environment, without a pattern."""
    parts = subject.split(":")
    repository = parts[1].split("/") if len(parts) > 1 else []
    return (
        len(parts) == 4
        and parts[0] == "repo"
        and parts[2] == "environment"
        and len(repository) == 2
        and "*" not in subject
    )


def _rule(id_: str, title: str, check: Check, remedy: str, *, reason: str, source: str, good: Case, bad: Case) -> Rule:
    return Rule(
        id=id_, title=title, source=source, reason=reason, remedy=remedy, severity="high", check=check, good=good,
        bad=bad
    )  # fmt: skip


def _policy(action: str, resource: str, condition: Object | None = None) -> Node:
    one = {
        "Effect": "Allow",
        "Action": [action],
        "Resource": resource,
        **({"Condition": condition} if condition else {}),
    }
    return aws("iam/rolePolicy:RolePolicy", {"policy": json.dumps({"Version": "2012-10-17", "Statement": [one]})})


def _trust(principal: Any, condition: Object | None = None, *, actions: Sequence[str] = ("sts:AssumeRole",)) -> Node:
    one = {"Effect": "Allow", "Action": list(actions), "Principal": principal, "Condition": condition or {}}
    return aws("iam/role:Role", {"assumeRolePolicy": json.dumps({"Version": "2012-10-17", "Statement": [one]})})


def _ci(subject: str) -> Node:
    provider = f"arn:aws:iam::111122223333:oidc-provider/{_GITHUB}"
    condition = {"StringEquals": {f"{_GITHUB}:aud": "sts.amazonaws.com", f"{_GITHUB}:sub": subject}}
    return _trust({"Federated": provider}, condition, actions=["sts:AssumeRoleWithWebIdentity"])


def _attachment(policy: str) -> Node:
    return aws("iam/rolePolicyAttachment:RolePolicyAttachment", {"policyArn": f"arn:aws:iam::aws:policy/{policy}"})


_OBJECTS = "arn:aws:s3:::lake/shop/*"
_PODS = {"Service": "pods.eks.amazonaws.com"}
_ROLES = "arn:aws:iam::111122223333:role/leandata-prod-node"

RULES: tuple[Rule, ...] = (
    _rule(
        "iam-document", "Policy documents can be read", _wellformed, "Write a document of version 2012-10-17",
        source="IAM reference", reason="What cannot be read is not judged", good=(_policy("s3:GetObject", _OBJECTS),),
        bad=(aws("iam/rolePolicy:RolePolicy", {"policy": "[unknown]"}),),
    ),
    _rule(
        "iam-action", "Rights are named", _actions, "List the actions one by one, with Action",
        source=f"{CIS} 1.16", reason="What AWS adds later is allowed as well",
        good=(_policy("s3:GetObject", _OBJECTS),),
        bad=(_policy("s3:*", _OBJECTS),),
    ),
    _rule(
        "iam-resource", "What rights are on is named", _resources,
        "Name the resource by its ARN, or narrow it by a condition",
        source="EKS best practices guide, one role per app",
        reason="A right on everything is a right on the neighbour's",
        good=(_policy("ecr:GetAuthorizationToken", "*"),), bad=(_policy("s3:GetObject", "*"),),
    ),
    _rule(
        "iam-escalation", "No right leads to more rights", _escalation,
        "Name the roles and the service (iam:PassedToService), or demand a permissions boundary",
        source="Rhino Security Labs, AWS privilege escalation", reason="Whoever holds it makes himself administrator",
        good=(_policy("iam:PassRole", _ROLES, {"StringEquals": {"iam:PassedToService": "eks.amazonaws.com"}}),),
        bad=(_policy("iam:PassRole", "*"),),
    ),
    _rule(
        "iam-managed", "Only reviewed policies of AWS are attached", _attached, "Write a document with what is needed",
        source=f"{CIS} 1.16", reason="AWS changes them, and most allow far more",
        good=(_attachment("AmazonEKSClusterPolicy"),),
        bad=(_attachment("AdministratorAccess"),),
    ),
    _rule(
        "iam-no-users", "Nobody has a user or a key of AWS", _people, "Use a role, and whoever takes it",
        source=f"{CIS} 1.14", reason="Keys are copied, and never end", good=(_policy("s3:GetObject", _OBJECTS),),
        bad=(aws("iam/accessKey:AccessKey"),),
    ),
    _rule(
        "iam-trust", "Only who is named may take a role", _trusted,
        "Name the principal, and the condition that it needs",
        source="EKS best practices guide, Pod Identity", reason="Somebody else's account takes the role",
        good=(_trust(_PODS, {"StringEquals": {"aws:SourceAccount": "111122223333"}}),), bad=(_trust(_PODS),),
    ),
    _rule(
        "github-subject", "CI takes a role from one environment of one repository", _github,
        f"Name the subject {_SUBJECT.format('OWNER', 'NAME', 'ENVIRONMENT')} by StringEquals",
        source="GitHub, OpenID Connect hardening", reason="Any branch, fork or pull request takes the role",
        good=(_ci(_SUBJECT.format("example", "leandata", "prod")),), bad=(_ci("repo:example/leandata:*"),),
    ),
)  # fmt: skip
