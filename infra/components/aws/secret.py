"""Secrets in AWS Secrets Manager: pods see them as files, through the CSI driver and their own identity."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pulumi
import pulumi_aws as aws
import pulumi_kubernetes as kubernetes

from infra.components import naming
from infra.components.aws import documents
from infra.components.aws import provider as cloud
from infra.components.aws.place import place_of
from infra.components.kubernetes import pods, provider
from infra.components.kubernetes import secret as in_pods
from infra.components.stack import Stack
from infra.environment import Environment
from infra.provider import resources as machine
from infra.stacks.foundation.outputs import FoundationOutputs

make_rendered_secret = in_pods.make_rendered_secret
_DRIVER = "secrets-store.csi.k8s.io"
_RECOVERY_DAYS = 30


def full_name(environment: Environment, name: str) -> str:
    """The name of a secret in the account: leandata/<environment>/<name>."""
    return f"leandata/{environment.name}/{name}"


def arn(environment: Environment, name: str) -> str:
    """The ARN of our secret `name`, as a pattern: see `documents.secret_arn`."""
    return documents.secret_arn(place_of(environment), full_name(environment, name))


def make_secret(parent: pulumi.Resource, *, name: str, stack: Stack, kind: str) -> pulumi.Output[str]:
    """The secret with a random first value that never enters the program; the path under which pods read it."""
    environment = stack.environment
    secret = aws.secretsmanager.Secret(
        name,
        name=full_name(environment, name),
        description=f"{name} of {environment.name}: its first value is random",
        kms_key_id=FoundationOutputs.of(stack).key_secrets,
        recovery_window_in_days=_RECOVERY_DAYS,
        tags=naming.tags(environment, stack=stack.name, service=naming.secret_homes(environment, name)[0]),
        opts=cloud.options(stack, parent=parent),
    )
    region = place_of(environment).region
    value = machine.AwsSecretValue(
        name, secret=secret.arn, region=region, kind=kind, opts=stack.options(parent=parent, needs=[secret])
    )
    return value.fingerprint.apply(lambda _: f"{pods.SECRETS}/{name}")


def volume(
    parent: pulumi.Resource, *, stack: Stack, owner: str, process: str, names: pulumi.Output[list[str]]
) -> pulumi.Output[dict[str, Any]]:
    """The source of the volume with the secrets `names`, {} when there are none; the class that says which they are."""
    foreign = {name: {"arn": place, "key": key} for name, (place, key) in stack.foreign.items()}
    given: Any = {"foreign": foreign, "names": names}
    objects = pulumi.Output.from_input(given).apply(
        lambda known: json.dumps(secret_objects(stack.environment, known["names"], known["foreign"]), sort_keys=True)
    )
    metadata: Any = provider.metadata(stack, process, owner=owner, process=process)
    made = kubernetes.apiextensions.CustomResource(
        f"{process}-secrets",
        api_version="secrets-store.csi.x-k8s.io/v1",
        kind="SecretProviderClass",
        metadata=metadata,
        spec={
            "parameters": {
                "objects": objects,
                "region": place_of(stack.environment).region,
                "usePodIdentity": "true",
            },
            "provider": "aws",
        },
        opts=provider.options(stack, parent=parent),
    )
    return pulumi.Output.all(names, made.urn).apply(lambda known: csi(process) if known[0] else {})


def csi(process: str) -> dict[str, Any]:
    """The source of a volume that holds what the class `process` says."""
    attributes = {"secretProviderClass": process}
    return {"csi": {"driver": _DRIVER, "readOnly": True, "volumeAttributes": attributes}}


def secret_objects(
    environment: Environment, names: Sequence[str], foreign: Mapping[str, Mapping[str, str]]
) -> list[dict[str, Any]]:
    """What the driver mounts, sorted: one file for each name.

    A secret that AWS itself made (`foreign`: its arn, and the key of its JSON text) gives one value of that text as
    the file `name`; the driver also writes the whole text, as `name`.json.
    """
    found: list[dict[str, Any]] = []
    for name in sorted(names):
        if name in foreign:
            picked = {"objectAlias": name, "path": f'"{foreign[name]["key"]}"'}
            place = {"objectAlias": f"{name}.json", "objectName": foreign[name]["arn"]}
            found.append({**place, "jmesPath": [picked], "objectType": "secretsmanager"})
        else:
            full = full_name(environment, name)
            found.append({"objectAlias": name, "objectName": full, "objectType": "secretsmanager"})
    return found
