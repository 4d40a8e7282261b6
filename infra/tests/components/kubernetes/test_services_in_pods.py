"""A service of ours on Kubernetes: the very deploy.py of one machine, with pods that keep to *restricted*."""

from __future__ import annotations

import json
from typing import Any

import pulumi
import pytest

from ci.programs import Program
from ci.testing import declared_by, environment, manifests, of_kind, stack_of
from infra.components.kubernetes import pods
from infra.components.kubernetes import service as kubernetes_service
from infra.components.manifest import ProcessManifest
from infra.components.secret import RenderedSecret, Secret
from infra.components.service import Job, Service, Task
from infra.components.service import Program as Process
from infra.components.stack import Stack

SECRET = "/run/secrets/leandata"
DATABASE = {
    name: f"postgresql://{name}@postgres.leandata-standins.svc:16411/x?password_file={SECRET}/database-{dashed}"
    for name, dashed in (("events_writer", "events-writer"), ("serving_reader", "serving-reader"))
}
NOTHING = dict.fromkeys(
    ("airflow_identity", "airflow_password", "events_reader", "serving_writer", "shop_replica", "source_note"),
    "not asked for",
)
OUTPUTS = {"cluster": {"kubeconfig": "", "security_group": ""}, "database": DATABASE | NOTHING}
BARE = {
    "name": "postgres", "health": "tcp", "ready": "", "start_timeout": "60s", "memory": "64MiB", "cpu": "100m",
    "drain": "30s",
}  # fmt: skip


@pytest.fixture(scope="module")
def api() -> Program:
    return stack_of("cluster", "api", OUTPUTS)


@pytest.fixture(scope="module")
def deployment(api: Program) -> dict[str, Any]:
    return manifests(api, "Deployment")["api"]["spec"]


@pytest.fixture(scope="module")
def pod(deployment: dict[str, Any]) -> dict[str, Any]:
    return deployment["template"]["spec"]


def made_by(declare: Any, *, stack: str = "database") -> Program:
    return declared_by("cluster", declare, stack=stack, outputs=OUTPUTS)


def variables(container: dict[str, Any]) -> dict[str, str]:
    return {one["name"]: one["value"] for one in container["env"]}


# -- pods --------------------------------------------------------------------------------------------------------------


def test_a_pod_keeps_to_the_restricted_standard(pod: dict[str, Any]) -> None:
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in pod["containers"]:
        inner = container["securityContext"]
        assert inner["allowPrivilegeEscalation"] is False
        assert inner["capabilities"] == {"drop": ["ALL"]}
        assert inner["readOnlyRootFilesystem"] is True


def test_a_pod_has_no_token_of_kubernetes_and_an_account_of_its_own(api: Program, pod: dict[str, Any]) -> None:
    assert pod["automountServiceAccountToken"] is False
    assert pod["serviceAccountName"] == "api"
    assert manifests(api, "ServiceAccount")["api"]["automountServiceAccountToken"] is False


def test_a_service_grows_at_the_same_load_whatever_its_node_keeps_for_a_pod(api: Program, pod: dict[str, Any]) -> None:
    resources = pod["containers"][0]["resources"]
    assert (resources["limits"]["cpu"], resources["requests"]["cpu"]) == ("500m", "10m")
    metric = manifests(api, "HorizontalPodAutoscaler")["api"]["spec"]["metrics"][0]["resource"]
    assert metric["target"] == {"averageUtilization": 1750, "type": "Utilization"}  # of 10m, so 35% of what it may use


def test_only_the_secrets_that_its_settings_name_are_mounted(pod: dict[str, Any]) -> None:
    (volume,) = [volume for volume in pod["volumes"] if volume["name"] == "secrets"]
    names = [source["secret"]["name"] for source in volume["projected"]["sources"]]
    assert names == ["api-key", "database-events-writer", "database-serving-reader"]


def test_no_setting_holds_a_password(pod: dict[str, Any]) -> None:
    settings = variables(pod["containers"][0])
    assert settings["LEANDATA_API_KEY_FILE"] == f"{SECRET}/api-key"
    assert settings["LEANDATA_EVENTS"].endswith(f"password_file={SECRET}/database-events-writer")


def test_the_three_probes_ask_for_different_things(pod: dict[str, Any]) -> None:
    container = pod["containers"][0]
    assert container["livenessProbe"]["httpGet"] == {"path": "/healthz", "port": 16402}
    assert container["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": 16402}
    startup = container["startupProbe"]
    assert startup["failureThreshold"] * startup["periodSeconds"] == 120, "as long as the manifest gives it"


def test_a_pod_may_end_what_it_has_begun(pod: dict[str, Any]) -> None:
    drain, lingering = 30, pod["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert pod["terminationGracePeriodSeconds"] > drain + lingering


def test_a_rolling_update_never_takes_a_pod_away_before_another_is_ready(deployment: dict[str, Any]) -> None:
    assert deployment["strategy"] == {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}, "type": "RollingUpdate"}


def test_it_scales_as_its_manifest_says_within_what_the_environment_gives(api: Program) -> None:
    scaler = manifests(api, "HorizontalPodAutoscaler")["api"]["spec"]
    assert (scaler["minReplicas"], scaler["maxReplicas"]) == (2, 3)
    assert "replicas" not in manifests(api, "Deployment")["api"]["spec"], "the autoscaler's own"
    assert manifests(api, "PodDisruptionBudget")["api"]["spec"]["maxUnavailable"] == 1


def test_others_find_it_by_name_and_port(api: Program) -> None:
    assert manifests(api, "Service")["api"]["spec"] == {
        "ports": [{"name": "api", "port": 16402, "protocol": "TCP", "targetPort": 16402}],
        "selector": {"app.kubernetes.io/name": "api"},
        "type": "ClusterIP",
    }


def test_every_object_says_whose_it_is(api: Program) -> None:
    for one in api.resources.values():
        if one.type.startswith("kubernetes:"):
            labels = one.properties["metadata"]["labels"]
            assert labels["leandata.io/owner"] == "platform-team"
            assert labels["leandata.io/stack"] == "api"
            assert one.properties["metadata"]["namespace"] == "leandata-api"


def test_its_own_key_is_made_in_its_own_namespace_only(api: Program) -> None:
    (key,) = of_kind(api, "ClusterSecret").values()
    assert key.properties["namespaces"] == ["leandata-api"]
    assert "value" not in key.properties


def test_no_path_of_the_deploying_machine_is_in_a_manifest(api: Program) -> None:
    with environment("cluster") as here:
        text = json.dumps([one.properties for one in api.resources.values() if one.type.startswith("kubernetes:")])
        assert str(here.root) not in text
        assert str(here.state) not in text


def test_the_services_run_from_their_own_images(pod: dict[str, Any]) -> None:
    assert pod["containers"][0]["image"].startswith("leandata-api")
    assert kubernetes_service.image_of("system") == "platform"
    assert kubernetes_service.image_of("standins") == "standins"


# -- jobs --------------------------------------------------------------------------------------------------------------


def job(command: list[str], **settings: str) -> dict[str, Any]:
    def declare(stack: Stack) -> None:
        Job("set-up", stack=stack, task=Task(command=command, settings=settings, timeout=90.0))

    (made,) = manifests(made_by(declare), "Job").values()
    return made


def test_a_job_is_named_by_its_content() -> None:
    first, again, other = job(["true"]), job(["true"]), job(["false"])
    assert first["metadata"]["name"] == again["metadata"]["name"]
    assert first["metadata"]["name"] != other["metadata"]["name"]
    assert job(["true"], A="1")["metadata"]["name"] != first["metadata"]["name"]


def test_a_job_ends_in_time_and_never_restarts_in_place() -> None:
    spec = job(["true"])["spec"]
    assert spec["activeDeadlineSeconds"] == 90
    assert spec["template"]["spec"]["restartPolicy"] == "Never"


def test_work_of_a_stack_that_is_no_service_belongs_to_the_system() -> None:
    made = job(["true"])
    assert made["metadata"]["namespace"] == "leandata-system"
    assert made["spec"]["template"]["spec"]["containers"][0]["image"].startswith("leandata-platform")


# -- what outlives a pod, and what is composed where it starts ----------------------------------------------------------


def test_a_process_with_storage_is_one_pod_with_a_claim() -> None:
    def declare(stack: Stack) -> None:
        manifest = ProcessManifest.model_validate(BARE)
        storage = {stack.folder("postgres"): 2**30}
        Service("server", stack=stack, programs=[Process(manifest=manifest, command=["true"], storage=storage)])

    (made,) = manifests(made_by(declare), "StatefulSet").values()
    (claim,) = made["spec"]["volumeClaimTemplates"]
    assert (claim["metadata"]["name"], claim["spec"]["resources"]["requests"]["storage"]) == ("postgres", str(2**30))
    assert made["spec"]["replicas"] == 1
    spec = made["spec"]["template"]["spec"]
    assert {"mountPath": "/var/lib/leandata/postgres", "name": "postgres"} in spec["containers"][0]["volumeMounts"]
    assert "postgres" not in [volume["name"] for volume in spec["volumes"]], "the claim is its source"
    assert made["metadata"]["namespace"] == "leandata-standins"


def test_a_composed_secret_is_written_into_memory_by_the_pod_that_names_it() -> None:
    def declare(stack: Stack) -> None:
        secret = Secret("database-airflow", stack=stack)
        url = RenderedSecret("url", stack=stack, template="pg://{p}@x", secrets={"p": secret.path})
        command = pulumi.Output.concat("cat ", url.path)
        Job("reads", stack=stack, task=Task(command=["sh", "-c", command]))
        Job("reads-not", stack=stack, task=Task(command=["true"]))

    jobs = {name.rpartition("-")[0]: one for name, one in manifests(made_by(declare), "Job").items()}
    spec = jobs["reads"]["spec"]["template"]["spec"]
    (init,) = spec["initContainers"]
    wanted = json.loads(variables(init)["LEANDATA_RENDER"])
    assert wanted == {"/run/rendered/url": {"secrets": {"p": f"{SECRET}/database-airflow"}, "template": "pg://{p}@x"}}
    volumes = {volume["name"]: volume for volume in spec["volumes"]}
    assert volumes["rendered"]["emptyDir"]["medium"] == "Memory"
    assert volumes["secrets"]["projected"]["sources"][0]["secret"]["name"] == "database-airflow"
    mounts = {mount["name"] for mount in spec["containers"][0]["volumeMounts"]}
    assert "rendered" in mounts, "what runs must see what was rendered"
    other = jobs["reads-not"]["spec"]["template"]["spec"]
    assert "initContainers" not in other
    assert "secrets" not in {volume["name"] for volume in other["volumes"]}


@pytest.mark.parametrize(
    ("texts", "names"),
    [
        ([], []),
        (["/run/secrets/leandata/api-key"], ["api-key"]),
        (["x?password_file=/run/secrets/leandata/b&y", "/run/secrets/leandata/a"], ["a", "b"]),
        (["/run/rendered/airflow-database"], []),
        (["sh -c 'cat /run/secrets/leandata/one /run/secrets/leandata/two'"], ["one", "two"]),
    ],
)
def test_a_pod_s_secrets_are_those_whose_paths_it_is_told(texts: list[str], names: list[str]) -> None:
    assert pods.secrets_named(texts) == names


def test_nothing_is_probed_where_nothing_can_be_asked() -> None:
    assert pods.probes(port=1, health="", ready="", start=60) == {}
    tcp = pods.probes(port=5432, health="tcp", ready="", start=60)
    assert tcp["livenessProbe"]["tcpSocket"] == tcp["readinessProbe"]["tcpSocket"] == {"port": 5432}
