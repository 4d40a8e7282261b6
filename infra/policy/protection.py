"""What must not be lost, who pays, and that nobody is surprised by the bill."""

from __future__ import annotations

from collections.abc import Iterator

from infra.policy.cases import Node, aws, snowflake
from infra.policy.graph import Graph, Object, at, items, mapping, objects, true
from infra.policy.rule import Hit, Rule
from infra.policy.warehouse import token

TAGS = ("cost-centre", "environment", "owner", "stack")
# What holds data that nothing else can make again, or without which such data cannot be read.
STATEFUL = frozenset(
    {
        "aws:dynamodb/table:Table",
        "aws:ecr/repository:Repository",
        "aws:eks/cluster:Cluster",
        "aws:kms/key:Key",
        "aws:rds/cluster:Cluster",
        "aws:rds/instance:Instance",
        "aws:s3/bucket:Bucket",
        *map(token, ("Database", "Schema", "Table")),
    }
)
# Types of AWS that have no tags: parts of another resource, or links between two.
UNTAGGED = frozenset(
    {
        "aws:cloudwatch/logResourcePolicy:LogResourcePolicy",
        "aws:ec2/mainRouteTableAssociation:MainRouteTableAssociation",
        "aws:ec2/route:Route",
        "aws:ec2/routeTableAssociation:RouteTableAssociation",
        "aws:ec2/vpcEndpointRouteTableAssociation:VpcEndpointRouteTableAssociation",
        "aws:ecr/lifecyclePolicy:LifecyclePolicy",
        "aws:ecr/repositoryPolicy:RepositoryPolicy",
        "aws:eks/accessPolicyAssociation:AccessPolicyAssociation",
        "aws:iam/rolePolicy:RolePolicy",
        "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
        "aws:kms/alias:Alias",
        "aws:kms/keyPolicy:KeyPolicy",
        "aws:s3/accountPublicAccessBlock:AccountPublicAccessBlock",
        "aws:secretsmanager/secretPolicy:SecretPolicy",
        "aws:sns/topicPolicy:TopicPolicy",
        "aws:sns/topicSubscription:TopicSubscription",
    }
)
_PARTS = ("aws:s3/bucket", "aws:sesv2/", "aws:ses/")
_PROVIDER = "pulumi:providers:aws"


def tagged(type_: str) -> bool:
    """Whether resources of this type of AWS carry tags."""
    part = type_.startswith(_PARTS) and type_ != "aws:s3/bucket:Bucket"
    return type_.startswith("aws:") and type_ not in UNTAGGED and not part


def _tags(graph: Graph) -> Iterator[Hit]:
    """Every resource that can carries the tags, itself or by what its stack's provider gives to all."""
    given = {one.urn.split("::")[1]: set(mapping(one.properties, "defaultTags.tags")) for one in graph.every(_PROVIDER)}
    for one in graph.of_package("aws"):
        if tagged(one.type):
            there = set(mapping(one.properties, "tags")) | given.get(one.urn.split("::")[1], set())
            if missing := sorted(set(TAGS) - there):
                yield Hit(resource=one, property="tags", said=f"no {', '.join(missing)}")


def _protected(graph: Graph) -> Iterator[Hit]:
    for one in graph.resources if graph.setting.protected else ():
        if one.type in STATEFUL and not one.protect:
            yield Hit(resource=one, property="protect", said="not true")


def _deletion(graph: Graph) -> Iterator[Hit]:
    types = ("aws:rds/instance:Instance", "aws:rds/cluster:Cluster", "aws:eks/cluster:Cluster")
    for one in graph.every(*types) if graph.setting.protected else ():
        if not true(one.properties.get("deletionProtection")):
            yield Hit(resource=one, property="deletionProtection", said="not true")


def _forced(graph: Graph) -> Iterator[Hit]:
    for one in graph.every("aws:s3/bucket:Bucket", "aws:ecr/repository:Repository"):
        for key in ("forceDelete", "forceDestroy"):
            if true(one.properties.get(key)) and graph.setting.protected:
                yield Hit(resource=one, property=key, said="it is deleted with all that lies in it")


def _budget(graph: Graph) -> Iterator[Hit]:
    """Where there is a budget, somebody is told before it is spent, and when it will be."""
    for one in graph.every("aws:budgets/budget:Budget"):
        told = objects(one.properties, "notifications")
        for kind in ("ACTUAL", "FORECASTED"):
            if not any(at(found, "notificationType") == kind and _somebody(found) for found in told):
                yield Hit(resource=one, property="notifications", said=f"none of what is {kind.lower()}")
        if not one.properties.get("limitAmount"):
            yield Hit(resource=one, property="limitAmount", said="missing")


def _somebody(notification: Object) -> bool:
    return bool(items(notification, "subscriberEmailAddresses") or items(notification, "subscriberSnsTopicArns"))


def _budgeted(graph: Graph) -> Iterator[Hit]:
    """An account whose buckets, databases and clusters are declared has a budget, made once by its bootstrap."""
    costly = list(graph.every("aws:eks/cluster:Cluster", "aws:rds/instance:Instance", "aws:ec2/natGateway:NatGateway"))
    if costly and not any(graph.every("aws:budgets/budget:Budget")):
        yield Hit(resource=costly[0], property="budget", said="the account has none")


def _budget_of(*kinds: str) -> Node:
    told = [{"notificationType": kind, "subscriberEmailAddresses": ["data@example.com"]} for kind in kinds]
    return aws("budgets/budget:Budget", {"limitAmount": "100", "notifications": told})


_ALL = {"tags": dict.fromkeys(TAGS, "it")}

RULES: tuple[Rule, ...] = (
    Rule(
        id="objects-tags", title="Every resource says whose it is", check=_tags, severity="medium",
        source="this project",
        reason="Nobody knows whom to ask, and nobody pays", remedy="Give it tags by naming.tags(...)",
        good=(aws("s3/bucket:Bucket", _ALL),), bad=(aws("s3/bucket:Bucket", {"tags": {"owner": "it"}}),),
    ),
    Rule(
        id="stateful-protected", title="Production's data is deleted by nobody by mistake", check=_protected,
        severity="high", source="Pulumi, protect; pulumi/pulumi#1420", reason="A renamed bucket is an empty bucket",
        remedy="Give it protect=True by provider.options(..., protect=True)",
        good=(snowflake("Database", protect=True),), bad=(snowflake("Database"),),
    ),
    Rule(
        id="stateful-deletion", title="AWS too refuses to delete production's data", check=_deletion, severity="high",
        source="Security Hub RDS.8", reason="The console knows nothing of our protection",
        remedy="Set deletionProtection", bad=(aws("rds/instance:Instance"),),
        good=(aws("rds/instance:Instance", {"deletionProtection": True}),),
    ),
    Rule(
        id="stateful-emptied", title="Production's buckets are deleted only when empty", check=_forced, severity="high",
        source="this project", reason="Everything in it goes with it", remedy="Leave forceDestroy out",
        good=(aws("s3/bucket:Bucket"),), bad=(aws("s3/bucket:Bucket", {"forceDestroy": True}),),
    ),
    Rule(
        id="budget-told", title="Somebody is told of the budget in time", check=_budget, severity="medium",
        source="AWS Well-Architected, cost", reason="The bill is the first to say it",
        remedy="Add a notification of ACTUAL and one of FORECASTED, with a subscriber",
        good=(_budget_of("ACTUAL", "FORECASTED"),), bad=(_budget_of("ACTUAL"),),
    ),
    Rule(
        id="budget-there", title="What costs has a budget", check=_budgeted, severity="medium",
        source="AWS Well-Architected, cost", reason="Nobody notices for a month", remedy="Add aws.budgets.Budget",
        good=(aws("rds/instance:Instance"), _budget_of("ACTUAL", "FORECASTED")), bad=(aws("rds/instance:Instance"),),
    ),
)  # fmt: skip
