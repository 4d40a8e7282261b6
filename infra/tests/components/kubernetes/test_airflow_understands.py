"""What pods of Airflow are given, as Airflow itself reads it: its options, the template of its tasks' pods."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from ci.programs import Program
from ci.testing import manifests
from infra.tests.components.kubernetes.test_orchestrator_in_pods import declared, every_pod, variables

pytestmark = pytest.mark.integration
OPTIONS = """
import json, os
from airflow.configuration import conf, retrieve_configuration_description
known = retrieve_configuration_description(include_providers=True)
asked = json.loads(os.environ["ASKED"])
strange = [name for name in asked
           if name.partition("__")[2].lower() not in known.get(name.partition("__")[0].lower(), {"options": {}})["options"]]
values = {name: conf.get(*name.lower().split("__")) for name in asked}
print("ANSWER" + json.dumps({"strange": strange, "values": values}))
"""
POD = """
import datetime, json, sys
from kubernetes.client import ApiClient
from airflow.providers.cncf.kubernetes.kube_config import KubeConfig
from airflow.providers.cncf.kubernetes.pod_generator import PodGenerator
config = KubeConfig()
pod = PodGenerator.construct_pod(
    dag_id="transform", task_id="build", pod_id="transform-build-1", try_number=1, kube_image=config.kube_image,
    date=datetime.datetime(2026, 11, 24, tzinfo=datetime.timezone.utc), args=["python", "-m", "work", "--json-string", "{}"],
    pod_override_object=None, base_worker_pod=PodGenerator.deserialize_model_file(config.pod_template_file),
    namespace=config.executor_namespace, scheduler_job_id="7", run_id="scheduled",
)
print("ANSWER" + json.dumps({
    "pod": ApiClient().sanitize_for_serialization(pod), "batch": config.worker_pods_creation_batch_size,
    "kept": not config.delete_worker_pods_on_failure, "parallelism": config.parallelism,
}))
"""


def asked(program: str, home: Path, environ: dict[str, str]) -> dict[str, Any]:
    """What a program says that runs with these settings and no others of Airflow's."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "LEANDATA"))}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program],
        env={**clean, **environ, "AIRFLOW_HOME": str(home), "HOME": str(home)},
        capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    (answer,) = [line for line in done.stdout.splitlines() if line.startswith("ANSWER")] or [done.stderr]
    assert done.returncode == 0, answer
    return json.loads(answer.removeprefix("ANSWER"))


@pytest.fixture(scope="module")
def program() -> Program:
    return declared()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, program: Program) -> Path:
    made = tmp_path_factory.mktemp("airflow")
    (made / "secret").write_text(f"sqlite:///{made / 'airflow.db'}")
    (made / "secret_async").write_text(f"sqlite+aiosqlite:///{made / 'airflow.db'}")
    (made / "pod.yaml").write_text(manifests(program, "ConfigMap")["airflow-task-pods"]["data"]["pod.yaml"])
    return made


def settings(program: Program, process: str, folder: Path) -> dict[str, str]:
    """What the process is told, with the files that it would find in its pod."""
    told = {
        name: value for name, value in variables(every_pod(program)[process]).items() if name.startswith("AIRFLOW__")
    }
    for name in [name for name in told if name.endswith("_CMD")]:
        told[name] = f"cat '{folder / ('secret_async' if 'ASYNC' in name else 'secret')}'"
    if "AIRFLOW__KUBERNETES_EXECUTOR__POD_TEMPLATE_FILE" in told:
        told["AIRFLOW__KUBERNETES_EXECUTOR__POD_TEMPLATE_FILE"] = str(folder / "pod.yaml")
    return told


@pytest.fixture(scope="module")
def constructed(program: Program, folder: Path) -> dict[str, Any]:
    return asked(POD, folder, settings(program, "airflow-scheduler", folder))


def options(told: dict[str, str]) -> list[str]:
    """The options that are set, as SECTION__KEY, sorted."""
    return sorted({name.removeprefix("AIRFLOW__").removesuffix("_CMD") for name in told})


@pytest.mark.parametrize("process", ["airflow-api", "airflow-scheduler", "airflow-dag-processor", "airflow-task"])
def test_airflow_knows_every_option_that_a_process_is_given(program: Program, folder: Path, process: str) -> None:
    told = settings(program, process, folder)
    answer = asked(OPTIONS, folder, {**told, "ASKED": json.dumps(options(told))})
    assert answer["strange"] == []
    for name in options(told):
        plain = told.get(f"AIRFLOW__{name}")
        read = answer["values"][name]
        assert read == plain if plain is not None else read.startswith("sqlite"), name


def test_airflow_makes_a_task_s_pod_of_the_template(program: Program, constructed: dict[str, Any]) -> None:
    template = yaml.safe_load(manifests(program, "ConfigMap")["airflow-task-pods"]["data"]["pod.yaml"])
    pod = constructed["pod"]
    assert pod["metadata"]["namespace"] == "leandata-airflow"
    (container,) = pod["spec"]["containers"]
    (wanted,) = template["spec"]["containers"]
    assert container["args"] == ["python", "-m", "work", "--json-string", "{}"]
    assert container["image"] == wanted["image"]
    for name in ("resources", "securityContext", "volumeMounts"):
        assert container[name] == wanted[name]
    for name in ("securityContext", "serviceAccountName", "terminationGracePeriodSeconds", "volumes", "restartPolicy"):
        assert pod["spec"][name] == template["spec"][name]


def test_the_pod_that_airflow_makes_is_still_selected_by_its_network_policy(
    program: Program, constructed: dict[str, Any]
) -> None:
    wanted = manifests(program, "NetworkPolicy")["airflow-task"]["spec"]["podSelector"]["matchLabels"]
    assert wanted.items() <= constructed["pod"]["metadata"]["labels"].items()


def test_the_pod_that_airflow_makes_holds_no_key_either(constructed: dict[str, Any]) -> None:
    names = {one["name"] for one in constructed["pod"]["spec"]["containers"][0]["env"]}
    assert not [name for name in names if name.endswith("_CMD") or "SQL_ALCHEMY" in name]
    assert constructed["pod"]["spec"]["automountServiceAccountToken"] is False


def test_airflow_starts_several_pods_at_once_and_keeps_those_that_failed(constructed: dict[str, Any]) -> None:
    assert constructed["batch"] == 8
    assert constructed["kept"] is True
    assert constructed["parallelism"] == 3
