"""The registry of images: a tag names one image for ever, every image is scanned, and old ones end."""

from __future__ import annotations

import json
from typing import Any

import pulumi
import pulumi_aws as aws

from infra.components import images, naming
from infra.components.aws import provider
from infra.components.aws.place import place_of
from infra.components.stack import Stack
from infra.environment import Environment

_KEPT = 30
_UNTAGGED_DAYS = 7


def repositories(environment: Environment) -> dict[str, str]:
    """The repository of each image that runs on AWS, by the image's name; stand-ins never do."""
    host = address(environment)
    names = [name for name in images.NAMES if name != "standins"]
    return {name: images.repository(environment, name).removeprefix(f"{host}/") for name in names}


def address(environment: Environment) -> str:
    """The host of the account's registry."""
    place = place_of(environment)
    return f"{place.account}.dkr.ecr.{place.region}.amazonaws.com"


def lifecycle() -> dict[str, Any]:
    """What is kept: the newest 30 images; what lost its tag goes after a week. Environments run the newest ones."""

    def rule(priority: int, says: str, **selection: Any) -> dict[str, Any]:
        return {
            "action": {"type": "expire"},
            "description": says,
            "rulePriority": priority,
            "selection": selection,
        }

    untagged = rule(
        1, "untagged", tagStatus="untagged", countType="sinceImagePushed", countUnit="days", countNumber=_UNTAGGED_DAYS
    )
    return {"rules": [untagged, rule(2, "newest", tagStatus="any", countType="imageCountMoreThan", countNumber=_KEPT)]}


class Registry(pulumi.ComponentResource):
    """A repository for every image, encrypted with `key`; `host` is where they lie."""

    host: str

    def __init__(self, name: str, *, stack: Stack, key: pulumi.Input[str]) -> None:
        super().__init__("leandata:index:Registry", name)
        environment = stack.environment
        self.host = address(environment)
        for image, repository in repositories(environment).items():
            service = image if image in naming.services(environment.root) else ""
            encryption = aws.ecr.RepositoryEncryptionConfigurationArgs(encryption_type="KMS", kms_key=key)
            made = aws.ecr.Repository(
                f"images-{image}",
                name=repository,
                image_tag_mutability="IMMUTABLE",
                image_scanning_configuration=aws.ecr.RepositoryImageScanningConfigurationArgs(scan_on_push=True),
                encryption_configurations=[encryption],
                force_delete=False,
                tags=naming.tags(environment, stack=stack.name, service=service),
                opts=provider.options(stack, parent=self, protect=True),
            )
            aws.ecr.LifecyclePolicy(
                f"images-{image}",
                repository=made.name,
                policy=json.dumps(lifecycle(), sort_keys=True),
                opts=provider.options(stack, parent=made),
            )
        self.register_outputs({"host": self.host})
