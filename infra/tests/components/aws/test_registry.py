"""The registry, logs and alarms of an account."""

from __future__ import annotations

from typing import Any

import pytest

from ci.programs import Program
from ci.testing import environment
from infra.components import images
from infra.components.aws import registry
from infra.components.aws.registry import Registry

REPOSITORY = "aws:ecr/repository:Repository"


@pytest.fixture(scope="module")
def program(run: Any) -> Program:
    return run(lambda stack: Registry("registry", stack=stack, key="key-images"), stack="foundation")


def test_every_image_that_runs_on_aws_has_a_repository_and_stand_ins_have_none(program: Program) -> None:
    names = {one.properties["name"] for one in program.of(REPOSITORY).values()}
    assert names == {f"leandata/{name}" for name in ("airflow", "api", "dash", "dask", "platform")}


def test_repositories_are_where_releases_look_for_images() -> None:
    with environment("prod") as prod:
        for image, name in registry.repositories(prod).items():
            assert images.repository(prod, image) == f"{registry.address(prod)}/{name}"


def test_the_host_is_that_of_the_environments_account_and_region() -> None:
    with environment("dev") as dev:
        assert registry.address(dev) == "111111111111.dkr.ecr.eu-central-1.amazonaws.com"


def test_a_tag_stands_for_one_image_for_ever(program: Program) -> None:
    assert {one.properties["imageTagMutability"] for one in program.of(REPOSITORY).values()} == {"IMMUTABLE"}


def test_every_image_is_scanned_when_it_arrives(program: Program) -> None:
    for one in program.of(REPOSITORY).values():
        assert one.properties["imageScanningConfiguration"] == {"scanOnPush": True}


def test_images_are_encrypted_with_the_key_that_is_given(program: Program) -> None:
    for one in program.of(REPOSITORY).values():
        assert one.properties["encryptionConfigurations"] == [{"encryptionType": "KMS", "kmsKey": "key-images"}]


def test_a_repository_with_images_is_not_deleted(program: Program) -> None:
    assert all(one.protect and not one.properties["forceDelete"] for one in program.of(REPOSITORY).values())


def test_a_repository_belongs_to_the_team_of_its_service(program: Program) -> None:
    tags = {name: one.properties["tags"]["service"] for name, one in program.of(REPOSITORY).items()}
    assert tags["images-api"] == "api"
    assert tags["images-platform"] == "foundation"


def test_every_repository_forgets_old_images(program: Program) -> None:
    policies = program.of("aws:ecr/lifecyclePolicy:LifecyclePolicy")
    assert {one.properties["repository"] for one in policies.values()} == {
        one.properties["name"] for one in program.of(REPOSITORY).values()
    }


def test_what_lost_its_tag_goes_first_and_the_rule_for_all_comes_last() -> None:
    untagged, every = registry.lifecycle()["rules"]
    assert untagged["selection"]["tagStatus"] == "untagged"
    assert every["selection"]["tagStatus"] == "any"
    assert untagged["rulePriority"] < every["rulePriority"]  # ECR wants "any" to have the highest number


def test_enough_images_are_kept_to_go_back_by_weeks() -> None:
    assert registry.lifecycle()["rules"][1]["selection"]["countNumber"] == 30
