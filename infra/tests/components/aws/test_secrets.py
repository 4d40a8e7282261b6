"""Secrets in AWS: a value that the program never holds, seen by pods as a file of its name."""

from __future__ import annotations

import json
from typing import Any

import pulumi
import pytest

from ci.programs import Program
from ci.testing import environment, manifests
from infra.components.aws import secret
from infra.components.secret import RenderedSecret, Secret

FOREIGN = "arn:aws:secretsmanager:eu-central-1:333333333333:secret:rds!db-1"


def declare(stack: Any) -> None:
    """Two secrets, and a pod of the API that uses one of ours and one that AWS made."""
    stack.foreign["database-admin"] = (pulumi.Output.from_input(FOREIGN), "password")
    Secret("api-key", stack=stack, kind="hex")
    Secret("airflow-fernet-key", stack=stack, kind="fernet")
    parent = pulumi.ComponentResource("test:index:Parent", "parent")
    names = pulumi.Output.from_input(["database-admin", "api-key"])
    pulumi.export("volume", secret.volume(parent, stack=stack, owner="api", process="api", names=names))
    none = pulumi.Output.from_input(list[str]())
    pulumi.export("nothing", secret.volume(parent, stack=stack, owner="dash", process="dash", names=none))


@pytest.fixture(scope="module")
def program(run: Any) -> Program:
    return run(declare, stack="api")


def test_a_secret_is_named_by_its_environment_and_encrypted_by_our_key(program: Program) -> None:
    found = program.of("aws:secretsmanager/secret:Secret")["api-key"]
    assert found.properties["name"] == "leandata/prod/api-key"
    assert found.properties["kmsKeyId"] == "arn:aws:kms:eu-central-1:333333333333:key/secrets"
    assert found.properties["recoveryWindowInDays"] == 30


def test_a_secret_belongs_to_the_service_that_uses_it(program: Program) -> None:
    found = program.of("aws:secretsmanager/secret:Secret")
    assert found["api-key"].properties["tags"]["owner"] == "platform-team"
    assert found["airflow-fernet-key"].properties["tags"]["service"] == "airflow"


def test_the_value_is_made_where_it_lies_and_never_in_the_program(program: Program) -> None:
    value = program.of("machine:index:AwsSecretValue")["api-key"]
    assert value.properties == {
        "kind": "hex", "region": "eu-central-1",
        "secret": "arn:aws:secretsmanager:eu-central-1:111122223333:secret:leandata/prod/api-key",
    }  # fmt: skip
    kept = program.of("aws:secretsmanager/secret:Secret")["api-key"]
    assert kept.urn in value.needs
    assert not program.of("aws:secretsmanager/secretVersion:SecretVersion")


def test_programs_are_given_the_path_under_which_pods_read_it(run: Any) -> None:
    seen: dict[str, str] = {}

    def paths(stack: Any) -> None:
        Secret("api-key", stack=stack).path.apply(lambda text: seen.update(plain=text))
        made = RenderedSecret("airflow-url", stack=stack, template="{password}", secrets={"password": "x"})
        made.path.apply(lambda text: seen.update(rendered=text))
        assert stack.rendered["/run/rendered/airflow-url"] == ("{password}", {"password": "x"})

    run(paths, stack="airflow")
    assert seen == {"plain": "/run/secrets/leandata/api-key", "rendered": "/run/rendered/airflow-url"}


def test_a_pod_mounts_the_class_of_its_process_read_only(program: Program) -> None:
    assert program.outputs["volume"] == {
        "csi": {
            "driver": "secrets-store.csi.k8s.io",
            "readOnly": True,
            "volumeAttributes": {"secretProviderClass": "api"},
        }
    }


def test_a_pod_that_names_no_secret_mounts_nothing(program: Program) -> None:
    assert program.outputs["nothing"] == {}
    assert json.loads(manifests(program, "SecretProviderClass")["dash"]["spec"]["parameters"]["objects"]) == []


def test_the_class_lies_where_the_pod_does_and_uses_the_pods_own_identity(program: Program) -> None:
    found = manifests(program, "SecretProviderClass")["api"]
    assert found["apiVersion"] == "secrets-store.csi.x-k8s.io/v1"
    assert found["metadata"]["namespace"] == "leandata-api"
    assert found["metadata"]["labels"]["app.kubernetes.io/part-of"] == "api"
    assert found["spec"]["provider"] == "aws"
    assert found["spec"]["parameters"]["usePodIdentity"] == "true"
    assert found["spec"]["parameters"]["region"] == "eu-central-1"


def test_each_secret_is_a_file_of_its_name(program: Program) -> None:
    found = manifests(program, "SecretProviderClass")["api"]
    ours, theirs = json.loads(found["spec"]["parameters"]["objects"])
    assert ours == {
        "objectAlias": "api-key", "objectName": "leandata/prod/api-key", "objectType": "secretsmanager",
    }  # fmt: skip
    assert theirs == {
        "jmesPath": [{"objectAlias": "database-admin", "path": '"password"'}],
        "objectAlias": "database-admin.json", "objectName": FOREIGN, "objectType": "secretsmanager",
    }  # fmt: skip


def test_names_are_given_in_order_whatever_order_they_came_in() -> None:
    with environment("prod") as prod:
        first = secret.secret_objects(prod, ["b", "a"], {})
        assert first == secret.secret_objects(prod, ["a", "b"], {})
        assert [found["objectAlias"] for found in first] == ["a", "b"]


def test_an_environment_without_an_account_has_no_such_secrets() -> None:
    from leandata.errors import SettingsError

    with environment("local") as local, pytest.raises(SettingsError, match=r"no AWS account .*local.toml"):
        secret.arn(local, "api-key")
