"""Airflow and Dask in pods on AWS: secrets by the driver, logs in S3, the database over TLS, one identity each."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pulumi
import pytest
import yaml

from ci.programs import Program
from ci.testing import ON_AWS, declared_by, manifests
from infra.components.compute import ComputeCluster
from infra.components.manifest import ServiceManifest
from infra.components.orchestrator import Orchestrator
from infra.components.settings import service_settings
from infra.components.stack import Stack
from infra.tests.components.kubernetes.test_compute_in_pods import schema_of
from infra.tests.components.kubernetes.test_orchestrator_in_pods import AT, PARTS, every_pod, variables

SERVING = f"postgresql://serving_writer@leandata.rds.example:5432/serving?password_file={AT}/database-serving-writer"


@pytest.fixture(scope="module")
def airflow() -> Program:
    def declare(stack: Stack) -> None:
        made = Orchestrator(
            "airflow",
            stack=stack,
            manifest=ServiceManifest.load("airflow"),
            dags="services/airflow/pipelines/dags",
            database_identity="1",
            database_password=f"{AT}/database-airflow",
            settings=service_settings(stack, "airflow", {**PARTS, "SERVING": SERVING}),
            code={},
        )
        pulumi.export("url", made.url)

    return declared_by("prod", declare, stack="airflow", outputs=ON_AWS)


@pytest.fixture(scope="module")
def dask() -> Program:
    def declare(stack: Stack) -> None:
        ComputeCluster("dask", stack=stack, manifest=ServiceManifest.load("dask"))

    return declared_by("prod", declare, stack="dask", outputs=ON_AWS)


def classes(program: Program) -> dict[str, list[str]]:
    """The secrets that each process mounts, by the class that says so."""
    found = manifests(program, "SecretProviderClass")
    return {
        name: sorted(one["objectAlias"] for one in json.loads(found[name]["spec"]["parameters"]["objects"]))
        for name in found
    }


def test_the_cluster_s_object_keeps_to_its_schema_with_the_driver_s_volumes(dask: Program) -> None:
    (found,) = manifests(dask, "DaskCluster").values()
    jsonschema.validate(found["spec"], schema_of("DaskCluster"))
    for side in ("scheduler", "worker"):
        (volume,) = [one for one in found["spec"][side]["spec"]["volumes"] if one["name"] == "secrets"]
        assert volume["csi"]["volumeAttributes"] == {"secretProviderClass": f"dask-{side}"}


def test_the_parts_of_dask_mount_the_certificate_alone(dask: Program) -> None:
    assert classes(dask) == {"dask-scheduler": ["dask-tls"], "dask-worker": ["dask-tls"]}


def test_the_cluster_grows_as_far_as_its_manifest_says(dask: Program) -> None:
    (found,) = manifests(dask, "DaskAutoscaler").values()
    assert (found["spec"]["minimum"], found["spec"]["maximum"]) == (2, 8)
    (cluster,) = manifests(dask, "DaskCluster").values()
    assert cluster["spec"]["worker"]["replicas"] == 4


def test_each_process_reads_the_secrets_that_it_needs_and_no_other(airflow: Program) -> None:
    found = classes(airflow)
    assert found["airflow-scheduler"] == ["airflow-fernet-key", "airflow-jwt-secret", "database-airflow"]
    assert found["airflow-triggerer"] == ["airflow-fernet-key", "database-airflow"]
    assert not [name for name in found["airflow-task"] if name.startswith("airflow-") or name == "database-airflow"]


def test_every_account_has_an_identity_of_its_own(airflow: Program) -> None:
    tied = airflow.of("aws:eks/podIdentityAssociation:PodIdentityAssociation").values()
    accounts = [one.properties["serviceAccount"] for one in tied]
    assert sorted(accounts) == sorted(manifests(airflow, "ServiceAccount"))
    roles = [one.properties["name"] for one in airflow.of("aws:iam/role:Role").values()]
    assert len(set(roles)) == len(roles) == len(accounts)


def document(program: Program, account: str) -> str:
    (found,) = [
        one for one in program.of("aws:iam/rolePolicy:RolePolicy").values() if one.properties["name"] == account
    ]
    return str(found.properties["policy"])


def test_only_tasks_reach_the_data_of_the_lake(airflow: Program) -> None:
    for account in manifests(airflow, "ServiceAccount"):
        assert ("lake-raw" in document(airflow, account)) == (account == "airflow-task"), account


def test_logs_go_to_the_lake_s_zone_for_logs_and_no_volume_is_claimed(airflow: Program) -> None:
    assert manifests(airflow, "PersistentVolumeClaim") == {}
    told = {process: variables(spec) for process, spec in every_pod(airflow).items()}
    for process in ("airflow-api", "airflow-task", "airflow-triggerer"):
        assert told[process]["AIRFLOW__LOGGING__REMOTE_LOGGING"] == "True"
        place = told[process]["AIRFLOW__LOGGING__REMOTE_BASE_LOG_FOLDER"]
        assert place == "s3://leandata-prod-lake-logs-333333333333/airflow"
        connection = json.loads(told[process]["AIRFLOW_CONN_LOGS"])
        assert set(connection) == {"conn_type", "extra"}, "the pod's own identity opens it, no key"


def test_who_writes_logs_may_write_them_and_the_page_may_only_read_them(airflow: Program) -> None:
    for account in ("airflow-task", "airflow-triggerer", "airflow-api"):
        statements = json.loads(document(airflow, account))["Statement"]
        actions = {
            action
            for one in statements
            if "lake-logs" in json.dumps(one["Resource"])
            for action in ([one["Action"]] if isinstance(one["Action"], str) else one["Action"])
        }
        assert "s3:GetObject" in actions
        assert ("s3:PutObject" in actions) == (account != "airflow-api"), account


def test_the_metadata_is_reached_over_tls_alone(airflow: Program) -> None:
    (init,) = every_pod(airflow)["airflow-scheduler"]["initContainers"]
    render = json.loads(next(one["value"] for one in init["env"] if one["name"] == "LEANDATA_RENDER"))
    template = render["/run/rendered/airflow-database"]["template"]
    assert template == "postgresql+psycopg://airflow:{password}@leandata.rds.example:5432/airflow?sslmode=require"


def test_the_page_is_the_one_behind_the_login_and_programs_use_the_one_inside(airflow: Program) -> None:
    assert list(manifests(airflow, "Ingress")) == ["airflow-api"], "the scheduler's port is for its health alone"
    told = variables(every_pod(airflow)["airflow-scheduler"])
    assert told["AIRFLOW__API__BASE_URL"] == airflow.outputs["url"] == "https://airflow-api.leandata.example"
    assert told["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"].startswith("http://airflow-api.leandata-airflow.svc:")


def test_a_task_s_template_is_whole(airflow: Program) -> None:
    template: dict[str, Any] = yaml.safe_load(manifests(airflow, "ConfigMap")["airflow-task-pods"]["data"]["pod.yaml"])
    assert [one["name"] for one in template["spec"]["volumes"]] == ["secrets", "tmp"]
