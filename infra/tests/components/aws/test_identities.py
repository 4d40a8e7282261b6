"""What a pod may do on AWS: what its service.toml says, and what its settings name, and nothing else."""

from __future__ import annotations

import json
from typing import Any

import pulumi
import pytest

from ci.programs import Program
from ci.testing import environment, stack_of
from infra.components.aws import identity, lake
from infra.components.manifest import ServiceManifest
from infra.components.service import Job, Task
from leandata.datasets import CATALOG

KEYS = {"lake": "arn:key/lake", "logs": "arn:key/logs", "secrets": "arn:key/secrets"}
SERVICES = ("airflow", "api", "dash", "dask")
BUCKET = "arn:aws:s3:::leandata-prod-lake-{}-333333333333"


def allowed(owner: str, account: str, *, data: bool = True, secrets: list[str] | None = None) -> dict[str, set[str]]:
    """Each action that the account's document allows, and on what."""
    known = {"foreign": {"database-admin": "arn:foreign"}, "keys": KEYS, "secrets": secrets or []}
    with environment("prod") as prod:
        document = identity.policy_of(prod, owner=owner, account=account, data=data, known=known)
    found: dict[str, set[str]] = {}
    for one in document["Statement"]:
        if one["Effect"] == "Allow":
            for action in one["Action"]:
                found.setdefault(action, set()).update(one["Resource"])
    return found


@pytest.fixture(scope="module")
def program(run: Any) -> Program:
    def declare(stack: Any) -> None:
        parent = pulumi.ComponentResource("test:index:Parent", "parent")
        stack.foreign["database-admin"] = (pulumi.Output.from_input("arn:foreign"), "password")
        for owner, account, data in (("airflow", "airflow-task", True), ("api", "api", False)):
            names = pulumi.Output.from_input(["database-admin", f"{owner}-key"])
            made = identity.make_identity(parent, stack=stack, owner=owner, account=account, data=data, secrets=names)
            assert len(made) == 3

    return run(declare, stack="airflow")


def test_a_role_is_tied_to_one_account_in_one_namespace(program: Program) -> None:
    tied = program.of("aws:eks/podIdentityAssociation:PodIdentityAssociation")["airflow-task-identity"].properties
    assert tied["clusterName"] == "leandata-prod"
    assert (tied["namespace"], tied["serviceAccount"]) == ("leandata-airflow", "airflow-task")
    assert tied["roleArn"].endswith(":role/leandata-prod-airflow-task")
    role = program.of("aws:iam/role:Role")["airflow-task-identity"].properties
    [trust] = json.loads(role["assumeRolePolicy"])["Statement"]
    assert trust["Condition"]["StringEquals"]["aws:RequestTag/kubernetes-service-account"] == "airflow-task"
    assert trust["Condition"]["StringEquals"]["aws:RequestTag/kubernetes-namespace"] == "leandata-airflow"
    assert role["tags"]["owner"] == "data-team"


def test_the_pods_may_act_when_their_policy_is_there(program: Program) -> None:
    tied = program.of("aws:eks/podIdentityAssociation:PodIdentityAssociation")["api-identity"]
    assert program.of("aws:iam/rolePolicy:RolePolicy")["api-identity"].urn in tied.needs


def test_the_document_names_the_keys_of_the_foundation(program: Program) -> None:
    policy = json.loads(program.of("aws:iam/rolePolicy:RolePolicy")["airflow-task-identity"].properties["policy"])
    found = {one["Sid"]: one for one in policy["Statement"]}
    key = "arn:aws:kms:eu-central-1:333333333333:key/"
    assert found["Encrypt"]["Resource"] == [f"{key}lake", f"{key}logs"]
    assert found["SecretsKey"]["Resource"] == [f"{key}secrets"]
    assert found["Secrets"]["Resource"] == [
        "arn:aws:secretsmanager:eu-central-1:333333333333:secret:leandata/prod/airflow-key-??????", "arn:foreign",
    ]  # fmt: skip


@pytest.mark.parametrize("service", SERVICES)
def test_every_service_reads_and_writes_just_the_datasets_of_its_manifest(service: str) -> None:
    """The whole matrix: service x dataset x action, files and manifests."""
    access = ServiceManifest.load(service).data.lake
    found = allowed(service, service)
    for name in CATALOG:
        bucket = BUCKET.format(identity.zone(name))
        for folder in (name.replace(".", "/"), f"_manifest/{name.replace('.', '/')}"):
            for action, listed in (("s3:GetObject", access.reads), ("s3:PutObject", access.writes)):
                may = f"{bucket}/{folder}/*" in found.get(action, set())
                assert may == (name in listed), f"{service} {action} {name}"
    for action, listed in (("s3:GetObject", access.reads), ("s3:PutObject", access.writes)):
        assert len(found.get(action, set())) == 2 * len(listed), "and nothing else"


def test_raw_and_curated_datasets_lie_in_zones_of_their_own() -> None:
    assert {identity.zone(name) for name, dataset in CATALOG.items() if dataset.layer == "RAW"} == {"raw"}
    assert identity.zone("features.customer_features") == "curated"


def test_a_process_without_data_reaches_no_bucket() -> None:
    assert allowed("airflow", "airflow-scheduler", data=False) == {}
    assert allowed("system", "postgres-databases", secrets=["database-admin"]) == {
        "kms:Decrypt": {"arn:key/secrets"},
        "secretsmanager:DescribeSecret": {"arn:foreign"},
        "secretsmanager:GetSecretValue": {"arn:foreign"},
    }


def test_task_logs_are_written_by_tasks_and_shown_by_the_page() -> None:
    logs = BUCKET.format("logs") + "/airflow/*"
    assert logs in allowed("airflow", "airflow-task")["s3:PutObject"]
    page = allowed("airflow", "airflow-api", data=False)
    assert page["s3:GetObject"] == {logs}
    assert page["kms:Decrypt"] == {"arn:key/logs"}
    assert "s3:PutObject" not in page


def test_only_the_bucket_of_logs_is_listed_whole() -> None:
    known = {"foreign": {}, "keys": KEYS, "secrets": []}
    with environment("prod") as prod:
        for owner, account in (("airflow", "airflow-task"), ("airflow", "airflow-api"), ("dask", "dask-worker")):
            document = identity.policy_of(prod, owner=owner, account=account, data=True, known=known)
            whole = [
                one["Resource"] for one in document["Statement"]
                if one["Action"] == ["s3:ListBucket"] and "Condition" not in one
            ]  # fmt: skip
            assert whole == ([[BUCKET.format("logs")]] if owner == "airflow" else [])


def test_nobody_removes_what_was_published() -> None:
    for service in SERVICES:
        assert not any("Delete" in action for action in allowed(service, service))


def test_workers_read_the_lake_and_their_scheduler_does_not(ground: dict[str, Any]) -> None:
    program = stack_of("prod", "dask", ground)
    policies = {name: one.properties["policy"] for name, one in program.of("aws:iam/rolePolicy:RolePolicy").items()}
    assert BUCKET.format("raw") in policies["dask-worker-identity"]
    assert "s3:" not in policies["dask-scheduler-identity"]


def test_a_job_of_a_service_touches_no_file_of_the_lake(run: Any) -> None:
    def declare(stack: Any) -> None:
        Job("airflow-migrate", stack=stack, task=Task(command=["airflow", "db", "migrate"]))

    program = run(declare, stack="airflow")
    policy = program.of("aws:iam/rolePolicy:RolePolicy")["airflow-migrate-identity"].properties["policy"]
    assert [one["Sid"] for one in json.loads(policy)["Statement"]] == ["NoOtherRole"]


def test_the_names_of_roles_are_short_enough_and_differ() -> None:
    with environment("prod") as prod:
        assert identity.role_name(prod, owner="api", account="api") == "leandata-prod-api"
        assert identity.role_name(prod, owner="dask", account="dask-worker") == "leandata-prod-dask-worker"
        assert identity.role_name(prod, owner="system", account="shop") == "leandata-prod-system-shop"
        long = [identity.role_name(prod, owner="system", account=f"{'set-up-' * 9}{number}") for number in range(50)]
        assert len(set(long)) == 50
        assert all(len(name) <= 64 and not name.endswith("-") for name in long)


def test_the_buckets_are_those_that_the_lake_makes() -> None:
    with environment("prod") as prod:
        [folders] = identity.lake_folders(prod, owner="dask", key="k")
        assert folders.bucket == lake.bucket(prod, "raw")
        assert folders.reads == ["_manifest/shop/orders/", "shop/orders/"]
        assert identity.lake_folders(prod, owner="system", key="k") == []
