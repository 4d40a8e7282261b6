"""Airflow on Kubernetes: who has which keys and rights, in which order it starts, what is done by the clock."""

from __future__ import annotations

import json
import re
from typing import Any

import pulumi
import pytest
import yaml

from ci.programs import Program
from ci.testing import declared_by, manifests, of_kind
from infra.components.kubernetes import orchestrator
from infra.components.manifest import ServiceManifest
from infra.components.orchestrator import Orchestrator
from infra.components.settings import service_settings
from infra.components.stack import Stack

OUTPUTS = {"cluster": {"kubeconfig": "", "security_group": ""}}
AT = "/run/secrets/leandata"
SERVING = f"postgresql://serving_writer@postgres.leandata-standins.svc:16411/serving?password_file={AT}/database-serving-writer"
PARTS = {
    "DASK": "tls://dask-scheduler.leandata-dask.svc:16413",
    "LAKE_CURATED": "s3://curated",
    "LAKE_MODELS": "s3://models",
    "LAKE_RAW": "s3://raw",
    "MAIL": "smtp://mail.leandata-standins.svc:16410?sender=platform@leandata.example",
    "OWNER_MAIL": "data-team@leandata.example",
    "REPORT_RECIPIENTS": "management@leandata.example",
    "SERVING": SERVING,
    "SHOP": SERVING.replace("serving", "shop"),
    "SOURCE_NOTE": "",
    "WAREHOUSE": f"snowflake://airflow@account?private_key_file={AT}/warehouse-airflow",
}
PROCESSES = [orchestrator.API, orchestrator.PROCESSOR, orchestrator.SCHEDULER, orchestrator.TRIGGERER]
KEYS = {
    "airflow-api": {"airflow-fernet-key", "airflow-jwt-secret", "airflow-password", "airflow-secret-key"},
    "airflow-cleanup-pods": set(),
    "airflow-dag-processor": {"airflow-fernet-key"},
    "airflow-db-clean": {"airflow-fernet-key"},
    "airflow-migrate": {"airflow-fernet-key"},
    "airflow-scheduler": {"airflow-fernet-key", "airflow-jwt-secret"},
    "airflow-triggerer": {"airflow-fernet-key"},
}


def declared(**changes: str) -> Program:
    def program(stack: Stack) -> None:
        made = Orchestrator(
            "airflow",
            stack=stack,
            manifest=ServiceManifest.load("airflow"),
            dags="services/airflow/pipelines/dags",
            database_identity=changes.get("identity", "1"),
            database_password=f"{AT}/database-airflow",
            settings=service_settings(stack, "airflow", PARTS),
            code=stack.code("services/airflow/pipelines"),
        )
        pulumi.export("url", made.url)
        pulumi.export("password_file", made.password_file)

    return declared_by("cluster", program, stack="airflow", outputs=OUTPUTS)


@pytest.fixture(scope="module")
def program() -> Program:
    return declared()


@pytest.fixture(scope="module")
def task(program: Program) -> dict[str, Any]:
    return yaml.safe_load(manifests(program, "ConfigMap")["airflow-task-pods"]["data"]["pod.yaml"])


def every_pod(program: Program) -> dict[str, dict[str, Any]]:
    """The spec of every pod that is declared, by its process."""
    found = {name: one["spec"]["template"]["spec"] for name, one in manifests(program, "Deployment").items()}
    for name, one in manifests(program, "CronJob").items():
        found[name] = one["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    for one in manifests(program, "Job").values():
        found[one["spec"]["template"]["spec"]["serviceAccountName"]] = one["spec"]["template"]["spec"]
    template = yaml.safe_load(manifests(program, "ConfigMap")["airflow-task-pods"]["data"]["pod.yaml"])
    return {**found, "airflow-task": template["spec"]}


def variables(spec: dict[str, Any]) -> dict[str, str]:
    return {one["name"]: one["value"] for one in spec["containers"][0]["env"]}


def mounted(spec: dict[str, Any]) -> set[str]:
    volumes = [one for one in spec["volumes"] if one["name"] == "secrets"]
    return {source["secret"]["name"] for one in volumes for source in one["projected"]["sources"]}


# -- what there is -----------------------------------------------------------------------------------------------------


def test_every_process_of_the_manifest_has_a_deployment_and_tasks_a_template(program: Program) -> None:
    known = {process.name for process in ServiceManifest.load("airflow").process}
    assert known == {*PROCESSES, orchestrator.TASK}
    assert sorted(manifests(program, "Deployment")) == sorted(PROCESSES)


def test_each_pod_has_the_limits_of_its_manifest(program: Program) -> None:
    for process in ServiceManifest.load("airflow").process:
        limits = every_pod(program)[process.name]["containers"][0]["resources"]["limits"]
        assert int(limits["memory"]) == process.memory
        assert limits["cpu"] == process.cpu


def test_all_objects_lie_in_airflow_s_own_namespace(program: Program) -> None:
    for found in program.resources.values():
        if found.type.startswith("kubernetes:"):
            assert found.properties["metadata"]["namespace"] == "leandata-airflow", found.urn


def test_people_and_programs_are_given_the_page_and_the_password_s_file(program: Program) -> None:
    assert program.outputs["url"] == "http://airflow-api.leandata-airflow.svc:16400"
    assert program.outputs["password_file"] == f"{AT}/airflow-password"


def test_one_image_runs_everything(program: Program) -> None:
    images = {
        container["image"]
        for spec in every_pod(program).values()
        for container in [*spec["containers"], *spec.get("initContainers", [])]
    }
    assert len(images) == 1


# -- keys --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("process", sorted(KEYS))
def test_a_process_has_the_keys_that_it_needs_and_no_other(program: Program, process: str) -> None:
    database = set() if process == orchestrator.CLEANUP else {"database-airflow"}
    assert mounted(every_pod(program)[process]) == KEYS[process] | database


def test_no_process_but_the_task_is_told_where_the_data_is(program: Program) -> None:
    for process, spec in every_pod(program).items():
        told = {name for name in variables(spec) if name.startswith("LEANDATA_")}
        if process == orchestrator.TASK:
            assert {f"LEANDATA_{name}" for name in PARTS} <= told
        elif process == orchestrator.PROCESSOR:
            assert told == {
                f"LEANDATA_{name}" for name in ("AIRFLOW_URL", "ENVIRONMENT", "LOG", "MAIL", "OWNER_MAIL", "SERVICE")
            }
        else:
            assert told == set(), process


def test_a_secret_is_read_by_a_command_that_only_names_its_file(program: Program) -> None:
    for spec in every_pod(program).values():
        for name, value in variables(spec).items():
            if name.endswith("_CMD"):
                assert re.fullmatch(r"cat '/run/(secrets/leandata|rendered)/[a-z-]+'", value), name


def test_the_database_s_address_is_composed_where_the_pod_starts(program: Program) -> None:
    (init,) = every_pod(program)["airflow-scheduler"]["initContainers"]
    (render,) = [one["value"] for one in init["env"] if one["name"] == "LEANDATA_RENDER"]
    assert json.loads(render) == {
        "/run/rendered/airflow-database": {
            "secrets": {"password": f"{AT}/database-airflow"},
            "template": "postgresql+psycopg://airflow:{password}@postgres.leandata-standins.svc:16411/airflow",
        }
    }


@pytest.mark.parametrize(
    ("address", "server"),
    [
        (SERVING, "postgres.leandata-standins.svc:16411"),
        ("postgresql://serving_writer@db.example:5432/serving", "db.example:5432"),
        ("postgresql://db.example/serving", "db.example"),
    ],
)
def test_the_metadata_lies_on_the_server_that_serves(address: str, server: str) -> None:
    assert orchestrator.server_of(address) == server


def test_every_secret_that_is_mounted_is_made_here_or_is_another_stack_s(program: Program) -> None:
    used = {name for spec in every_pod(program).values() for name in mounted(spec)}
    made = {one.properties["secret"] for one in of_kind(program, "ClusterSecret").values()}
    assert {name for name in used if name.startswith("airflow-")} == made


# -- rights ------------------------------------------------------------------------------------------------------------


def test_only_those_who_ask_the_api_server_of_kubernetes_have_a_token(program: Program) -> None:
    with_token = {name for name, spec in every_pod(program).items() if spec["automountServiceAccountToken"]}
    assert with_token == {orchestrator.API, orchestrator.CLEANUP, orchestrator.SCHEDULER}
    assert with_token == set(manifests(program, "Role"))


def test_the_scheduler_manages_pods_and_nothing_else(program: Program) -> None:
    (rule,) = manifests(program, "Role")["airflow-scheduler"]["rules"]
    assert rule["resources"] == ["pods"]
    assert set(rule["verbs"]) == {"create", "delete", "get", "list", "patch", "watch"}


def test_the_api_server_reads_logs_and_changes_nothing(program: Program) -> None:
    rules = manifests(program, "Role")["airflow-api"]["rules"]
    assert {verb for rule in rules for verb in rule["verbs"]} == {"get", "list"}
    assert {name for rule in rules for name in rule["resources"]} == {"pods", "pods/log"}


def test_each_right_is_bound_to_the_account_of_its_process(program: Program) -> None:
    for name, found in manifests(program, "RoleBinding").items():
        assert found["roleRef"] == {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name}
        assert [one["name"] for one in found["subjects"]] == [name]
        assert name in manifests(program, "ServiceAccount")


def test_nobody_s_rights_reach_out_of_the_namespace(program: Program) -> None:
    assert manifests(program, "ClusterRole") == {}
    assert manifests(program, "ClusterRoleBinding") == {}


def test_every_pod_has_an_account_of_its_own(program: Program) -> None:
    accounts = [spec["serviceAccountName"] for spec in every_pod(program).values()]
    assert len(set(accounts)) == len(accounts)
    assert set(accounts) == set(manifests(program, "ServiceAccount"))


def test_every_pod_has_a_network_policy_of_its_own(program: Program) -> None:
    selected = {
        one["spec"]["podSelector"]["matchLabels"]["app.kubernetes.io/name"]
        for one in manifests(program, "NetworkPolicy").values()
    }
    assert selected == set(every_pod(program))


def test_who_has_no_token_has_no_way_to_the_api_server_either(program: Program) -> None:
    for process, spec in every_pod(program).items():
        ports = {
            port["port"]
            for rule in manifests(program, "NetworkPolicy")[process]["spec"]["egress"]
            for port in rule["ports"]
        }
        assert (443 in ports) == spec["automountServiceAccountToken"], process


def test_every_pod_keeps_to_the_restricted_standard(program: Program) -> None:
    for process, spec in every_pod(program).items():
        assert spec["securityContext"]["runAsNonRoot"] is True, process
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in [*spec["containers"], *spec.get("initContainers", [])]:
            assert container["securityContext"]["allowPrivilegeEscalation"] is False
            assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
            assert container["securityContext"]["readOnlyRootFilesystem"] is True
            assert {"cpu", "memory", "ephemeral-storage"} <= set(container["resources"]["limits"])


# -- order and change --------------------------------------------------------------------------------------------------


def test_nothing_starts_before_the_database_is_migrated(program: Program) -> None:
    (job,) = [urn for urn, one in program.resources.items() if one.properties.get("kind") == "Job"]
    for kind in ("apps/v1:Deployment", "batch/v1:CronJob"):
        for name, one in program.of(f"kubernetes:{kind}").items():
            assert job in one.needs, name


def test_the_scheduler_starts_when_the_api_server_answers_and_the_template_is_there(program: Program) -> None:
    deployments = program.of("kubernetes:apps/v1:Deployment")
    needs = deployments["airflow-scheduler"].needs
    assert deployments["airflow-api"].urn in needs
    assert program.of("kubernetes:core/v1:ConfigMap")["airflow-task-pods"].urn in needs


def test_the_migration_is_named_by_its_content(program: Program) -> None:
    (name,) = manifests(program, "Job")
    assert re.fullmatch(r"airflow-migrate-[0-9a-f]{8}", name)
    assert list(manifests(declared(), "Job")) == [name]


def test_a_new_database_is_migrated_again(program: Program) -> None:
    assert set(manifests(declared(identity="2"), "Job")).isdisjoint(manifests(program, "Job"))


def test_another_commit_restarts_no_process(program: Program) -> None:
    for process, spec in every_pod(program).items():
        assert ("LEANDATA_COMMIT" in variables(spec)) == (process == orchestrator.TASK)


# -- life --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("process", PROCESSES)
def test_three_probes_judge_each_process_differently(program: Program, process: str) -> None:
    (container,) = every_pod(program)[process]["containers"]
    probes = [container[name] for name in ("livenessProbe", "readinessProbe", "startupProbe")]
    assert len({json.dumps(probe) for probe in probes}) == 3


@pytest.mark.parametrize(
    ("process", "job"), [("airflow-dag-processor", "DagProcessorJob"), ("airflow-triggerer", "TriggererJob")]
)
def test_who_listens_nowhere_is_judged_by_its_own_heartbeat(program: Program, process: str, job: str) -> None:
    (container,) = every_pod(program)[process]["containers"]
    for name in ("livenessProbe", "readinessProbe", "startupProbe"):
        command = container[name]["exec"]["command"]
        assert command == ["python", "-m", "pipelines.heartbeat", job, "/run/rendered/airflow-database"]


def test_a_process_has_the_name_in_the_database_by_which_it_is_asked_for(program: Program) -> None:
    for process in PROCESSES:
        assert variables(every_pod(program)[process])["AIRFLOW__CORE__HOSTNAME_CALLABLE"] == "socket.gethostname"


def test_whoever_starts_slowly_is_given_the_time_of_its_manifest(program: Program) -> None:
    for process in PROCESSES:
        probe = every_pod(program)[process]["containers"][0]["startupProbe"]
        start = ServiceManifest.load("airflow").one(process).start_timeout
        assert probe["failureThreshold"] * probe["periodSeconds"] >= start


def test_every_process_is_given_longer_to_end_than_it_may_take(program: Program) -> None:
    for process in ServiceManifest.load("airflow").process:
        assert every_pod(program)[process.name]["terminationGracePeriodSeconds"] >= process.drain


@pytest.mark.parametrize("process", PROCESSES)
def test_every_process_has_a_budget_that_can_be_kept(program: Program, process: str) -> None:
    budget = manifests(program, "PodDisruptionBudget")[process]["spec"]
    assert budget["maxUnavailable"] == 1
    assert budget["selector"]["matchLabels"] == {"app.kubernetes.io/name": process}


def test_logs_outlive_the_pods_that_wrote_them(program: Program, task: dict[str, Any]) -> None:
    assert list(manifests(program, "PersistentVolumeClaim")) == ["airflow-logs"]
    writers = {"airflow-task": task["spec"], "airflow-triggerer": every_pod(program)["airflow-triggerer"]}
    for spec in [*writers.values(), every_pod(program)["airflow-api"]]:
        (volume,) = [one for one in spec["volumes"] if one["name"] == "logs"]
        assert volume["persistentVolumeClaim"] == {"claimName": "airflow-logs"}
        folder = variables(spec)["AIRFLOW__LOGGING__BASE_LOG_FOLDER"]
        (mount,) = [one for one in spec["containers"][0]["volumeMounts"] if one["name"] == "logs"]
        assert mount["mountPath"] == folder
        assert mount.get("readOnly", False) == (spec not in writers.values())


# -- upkeep ------------------------------------------------------------------------------------------------------------


def test_pods_of_tasks_that_are_over_are_removed(program: Program) -> None:
    command = every_pod(program)["airflow-cleanup-pods"]["containers"][0]["command"]
    assert command[3:6] == ["kubernetes", "cleanup-pods", "--namespace"]
    assert "leandata-airflow" in command


def test_old_runs_are_removed_from_the_database(program: Program) -> None:
    shell, option, text = every_pod(program)["airflow-db-clean"]["containers"][0]["command"]
    assert (shell, option) == ("sh", "-c")
    assert "db clean --yes --skip-archive --clean-before-timestamp" in text
    assert "90 days ago" in text


def test_work_by_the_clock_never_runs_twice_at_a_time_and_leaves_nothing(program: Program) -> None:
    for found in manifests(program, "CronJob").values():
        spec = found["spec"]
        assert spec["concurrencyPolicy"] == "Forbid"
        assert spec["timeZone"] == "Etc/UTC"
        assert spec["jobTemplate"]["spec"]["ttlSecondsAfterFinished"] > 0
        assert spec["jobTemplate"]["spec"]["activeDeadlineSeconds"] > 0
        assert len(spec["schedule"].split()) == 5
