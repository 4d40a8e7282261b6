"""What a pod may do on AWS: a role for every service account, with the folders and secrets of its service alone."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

import pulumi
import pulumi_aws as aws

from infra.components import naming
from infra.components.aws import documents, lake, provider, secret
from infra.components.aws.documents import Document, Folders
from infra.components.aws.place import place_of
from infra.components.stack import Stack
from infra.environment import Environment
from infra.stacks.foundation.outputs import FoundationOutputs
from leandata.datasets import CATALOG

_LONGEST_ROLE = 64
_ZONES = {"RAW": "raw", "STAGING": "curated", "MARTS": "curated", "MODELS": "models"}
# Airflow's task logs: those who write them, and the page that shows them.
_TASK_LOGS = "airflow/"
_WRITE_LOGS = ("airflow-task", "airflow-triggerer")
_READ_LOGS = ("airflow-api", *_WRITE_LOGS)


def make_identity(
    parent: pulumi.Resource,
    *,
    stack: Stack,
    owner: str,
    account: str,
    data: bool,
    secrets: pulumi.Output[list[str]],
) -> list[pulumi.Resource]:
    """The role of the service account `account`, its one policy, and what ties them to the pods.

    `data` gives it the lake as the service.toml of `owner` says; `secrets` are the names of those it reads.
    """
    environment = stack.environment
    keys = FoundationOutputs.of(stack)
    tags = naming.tags(environment, stack=stack.name, service=owner)
    name = role_name(environment, owner=owner, account=account)
    space = naming.namespace(environment, owner)
    cluster = naming.account_wide(environment)
    trust = documents.pod_trust(place_of(environment), cluster=cluster, namespace=space, account=account)
    given: Any = {
        "foreign": {known: arn for known, (arn, _) in stack.foreign.items()},
        "keys": {"lake": keys.key_lake, "logs": keys.key_logs, "secrets": keys.key_secrets},
        "secrets": secrets,
    }
    policy = pulumi.Output.from_input(given).apply(
        lambda known: json.dumps(policy_of(environment, owner=owner, account=account, data=data, known=known))
    )
    options = provider.options(stack, parent=parent)
    role = aws.iam.Role(
        f"{account}-identity",
        name=name,
        description=f"The pods of {account} in {space}",
        assume_role_policy=json.dumps(trust, sort_keys=True),
        permissions_boundary=provider.boundary(environment),
        tags=tags,
        opts=options,
    )
    attached = aws.iam.RolePolicy(f"{account}-identity", name=account, role=role.name, policy=policy, opts=options)
    tied = aws.eks.PodIdentityAssociation(
        f"{account}-identity",
        cluster_name=cluster,
        namespace=space,
        service_account=account,
        role_arn=role.arn,
        tags=tags,
        opts=provider.options(stack, parent=parent, needs=[attached]),
    )
    return [role, attached, tied]


def role_name(environment: Environment, *, owner: str, account: str) -> str:
    """The role of a service account: of at most 64 characters, and another one for every account."""
    parts = [account] if account == owner or account.startswith(f"{owner}-") else [owner, account]
    name = naming.account_wide(environment, *parts)
    if len(name) <= _LONGEST_ROLE:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:8]
    return f"{name[: _LONGEST_ROLE - len(digest) - 1].rstrip('-')}-{digest}"


def policy_of(environment: Environment, *, owner: str, account: str, data: bool, known: Mapping[str, Any]) -> Document:
    """The policy document. `known` holds the ARNs of keys by class, of foreign secrets by name; the secrets' names."""
    foreign: Mapping[str, str] = known["foreign"]
    arns = [foreign[name] if name in foreign else secret.arn(environment, name) for name in known["secrets"]]
    found = lake_folders(environment, owner=owner, key=known["keys"]["lake"]) if data else []
    found += log_folders(environment, account=account, key=known["keys"]["logs"])
    return documents.pod_policy(
        place_of(environment), folders=found, secrets=arns, secrets_key=known["keys"]["secrets"]
    )


def lake_folders(environment: Environment, *, owner: str, key: str) -> list[Folders]:
    """What the service `owner` may read and write in the lake, by zone: its datasets' files and manifests."""
    manifest = naming.services(environment.root).get(owner)
    if manifest is None:
        return []
    access = manifest.data.lake
    zones = sorted({zone(name) for name in (*access.reads, *access.writes)})
    return [
        Folders(
            bucket=lake.bucket(environment, place),
            key=key,
            reads=_folders(access.reads, place),
            writes=_folders(access.writes, place),
        )
        for place in zones
    ]


def log_folders(environment: Environment, *, account: str, key: str) -> list[Folders]:
    """Where task logs are written and read; nothing for those who do neither.

    Airflow asks whether a task has a log before it writes one, and gives up when it is not told.
    """
    if account not in _READ_LOGS:
        return []
    writes = [_TASK_LOGS] if account in _WRITE_LOGS else []
    place = lake.bucket(environment, lake.LOGS)
    return [Folders(bucket=place, key=key, probes=True, reads=[_TASK_LOGS], writes=writes)]


def zone(dataset: str) -> str:
    """The zone of the lake that a dataset lies in."""
    return _ZONES[CATALOG[dataset].layer]


def _folders(datasets: Sequence[str], place: str) -> list[str]:
    folders = [name.replace(".", "/") for name in datasets if zone(name) == place]
    return sorted(f"{start}{folder}/" for folder in folders for start in ("", "_manifest/"))
