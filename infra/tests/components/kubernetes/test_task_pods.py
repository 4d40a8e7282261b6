"""The pod that each task of Airflow has of its own, as the scheduler finds it in its file."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import yaml

from ci.programs import Program
from ci.testing import manifests
from infra.components.kubernetes import pods, task_pods
from infra.environment import ROOT
from infra.tests.components.kubernetes.test_orchestrator_in_pods import declared, every_pod, mounted, variables
from pipelines.dag_defaults import DEFAULTS


@pytest.fixture(scope="module")
def program() -> Program:
    return declared()


@pytest.fixture(scope="module")
def task(program: Program) -> dict[str, Any]:
    return yaml.safe_load(manifests(program, "ConfigMap")["airflow-task-pods"]["data"]["pod.yaml"])


def test_a_task_holds_no_secret_of_airflow_s_own(task: dict[str, Any]) -> None:
    assert mounted(task["spec"]) == {
        "dask-tls", "database-serving-writer", "database-shop-writer", "warehouse-airflow",
    }  # fmt: skip
    assert not [name for name in variables(task["spec"]) if name.endswith("_CMD")]
    assert not re.search("SQL_ALCHEMY|FERNET|JWT|SECRET_KEY|SIMPLE_AUTH", json.dumps(task))


def test_the_scheduler_finds_the_template_where_it_is_told(program: Program) -> None:
    spec = every_pod(program)["airflow-scheduler"]
    place = variables(spec)["AIRFLOW__KUBERNETES_EXECUTOR__POD_TEMPLATE_FILE"]
    (mount,) = [one for one in spec["containers"][0]["volumeMounts"] if one["name"] == "tasks"]
    assert place == f"{mount['mountPath']}/{task_pods.FILE}"
    assert mount["readOnly"] is True
    assert "subPath" not in mount, "then a changed template would not be seen"


def test_a_task_s_pod_is_one_that_airflow_completes(task: dict[str, Any]) -> None:
    (container,) = task["spec"]["containers"]
    assert container["name"] == "base"
    assert "command" not in container, "the work is given as arguments"
    assert task["spec"]["restartPolicy"] == "Never"


def test_the_longest_task_may_run_to_its_end_when_its_node_goes(task: dict[str, Any]) -> None:
    longest = DEFAULTS["execution_timeout"].total_seconds()
    assert task["spec"]["terminationGracePeriodSeconds"] > longest
    assert task["spec"]["activeDeadlineSeconds"] > task["spec"]["terminationGracePeriodSeconds"]


def test_a_running_task_is_not_moved_to_save_a_node(task: dict[str, Any]) -> None:
    assert task["metadata"]["annotations"] == {
        "cluster-autoscaler.kubernetes.io/safe-to-evict": "false",
        "karpenter.sh/do-not-disrupt": "true",
    }


def test_a_task_opens_the_compute_cluster_with_its_certificate(task: dict[str, Any]) -> None:
    told = variables(task["spec"])
    assert told["DASK_DISTRIBUTED__COMM__TLS__CLIENT__CERT"] == f"{pods.SECRETS}/dask-tls"
    assert told["LEANDATA_DASK"].startswith("tls://")


def test_the_dags_lie_in_the_image(program: Program) -> None:
    place = variables(every_pod(program)["airflow-dag-processor"])["AIRFLOW__CORE__DAGS_FOLDER"]
    assert place == "/app/pipelines/dags"
    assert (ROOT / "services" / "airflow" / place.removeprefix("/app/")).is_dir()
