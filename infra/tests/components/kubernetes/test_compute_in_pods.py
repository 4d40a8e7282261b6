"""Dask on Kubernetes: one object that the operator's types accept, named by its content, closed to strangers."""

from __future__ import annotations

import copy
import json
from typing import Any

import jsonschema
import pulumi
import pytest

from ci.programs import Program
from ci.testing import declared_by, manifests, of_kind
from infra.components.compute import ComputeCluster
from infra.components.kubernetes import compute, operator, pods
from infra.components.manifest import ServiceManifest
from infra.components.stack import Stack

OUTPUTS = {"cluster": {"kubeconfig": "", "security_group": ""}}
SECRET = "/run/secrets/leandata/dask-tls"


def declared() -> Program:
    def program(stack: Stack) -> None:
        cluster = ComputeCluster("dask", stack=stack, manifest=ServiceManifest.load("dask"))
        pulumi.export("scheduler", cluster.scheduler)

    return declared_by("cluster", program, stack="dask", outputs=OUTPUTS)


@pytest.fixture(scope="module")
def program() -> Program:
    return declared()


@pytest.fixture(scope="module")
def cluster(program: Program) -> dict[str, Any]:
    (found,) = manifests(program, "DaskCluster").values()
    return found


@pytest.fixture(scope="module")
def scheduler(cluster: dict[str, Any]) -> dict[str, Any]:
    return cluster["spec"]["scheduler"]["spec"]["containers"][0]


@pytest.fixture(scope="module")
def worker(cluster: dict[str, Any]) -> dict[str, Any]:
    return cluster["spec"]["worker"]["spec"]["containers"][0]


def variables(container: dict[str, Any]) -> dict[str, str]:
    return {one["name"]: one["value"] for one in container["env"]}


def closed(schema: Any) -> Any:
    """The schema as the API server takes it with strict validation: a field that it does not know is an error."""
    if isinstance(schema, list):
        return [closed(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: closed(value) for key, value in schema.items()}
    known = isinstance(schema.get("properties"), dict) and schema.get("type", "object") == "object"
    if known and "additionalProperties" not in schema and not schema.get("x-kubernetes-preserve-unknown-fields"):
        made["additionalProperties"] = False
    return made


def schema_of(kind: str) -> dict[str, Any]:
    (found,) = [one for one in operator.definitions() if one["spec"]["names"]["kind"] == kind]
    (version,) = found["spec"]["versions"]
    return closed(version["schema"]["openAPIV3Schema"]["properties"]["spec"])


# -- what the operator's types accept ----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["DaskCluster", "DaskAutoscaler"])
def test_every_object_keeps_to_the_schema_in_the_wheel_without_a_field_it_would_drop(
    program: Program, kind: str
) -> None:
    (found,) = manifests(program, kind).values()
    jsonschema.validate(found["spec"], schema_of(kind))


@pytest.mark.parametrize(
    "broken",
    [
        lambda spec: spec["worker"]["spec"]["containers"][0]["livenessProbe"]["httpGet"].update(port=8788),
        lambda spec: spec["scheduler"]["service"]["ports"][0].update(targetPort=16413),
        lambda spec: spec["worker"]["spec"].update(hostUsers=False),
        lambda spec: spec["worker"]["spec"]["containers"][0]["lifecycle"].update(preStop={"sleep": {"seconds": 5}}),
        lambda spec: spec["scheduler"].pop("service"),
        lambda spec: spec["worker"].update(replicas="two"),
    ],
)
def test_the_schema_refuses_what_the_api_server_would(cluster: dict[str, Any], broken: Any) -> None:
    spec = copy.deepcopy(cluster["spec"])
    broken(spec)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(spec, schema_of("DaskCluster"))


def test_the_name_is_short_enough_for_the_operator(cluster: dict[str, Any]) -> None:
    name = cluster["metadata"]["name"]
    assert name.startswith("dask-")
    assert len(name) <= 53


def test_the_restart_policy_is_the_one_that_deployments_allow(cluster: dict[str, Any]) -> None:
    for side in ("scheduler", "worker"):
        assert cluster["spec"][side]["spec"]["restartPolicy"] == "Always"


# -- a name by content -------------------------------------------------------------------------------------------------


def spec(**changes: Any) -> dict[str, Any]:
    worker = {"replicas": 2, "spec": {"image": "one", "address": "tls://{name}-scheduler"}}
    return {"scheduler": {"selector": {"cluster": "{name}"}}, "worker": {**worker, **changes}}


def test_the_same_content_has_the_same_name() -> None:
    assert compute.named(spec()) == compute.named(spec())


def test_another_image_is_another_cluster() -> None:
    assert compute.named(spec())["name"] != compute.named(spec(spec={"image": "two"}))["name"]


def test_more_workers_are_the_same_cluster() -> None:
    assert compute.named(spec())["name"] == compute.named(spec(replicas=7))["name"]
    assert compute.named(spec(replicas=7))["spec"]["worker"]["replicas"] == 7


def test_a_cluster_calls_itself_by_its_name() -> None:
    made = compute.named(spec())
    assert made["spec"]["scheduler"]["selector"] == {"cluster": made["name"]}
    assert made["spec"]["worker"]["spec"]["address"] == f"tls://{made['name']}-scheduler"
    assert "{name}" not in json.dumps(made)


def test_a_commit_that_changes_no_image_changes_no_cluster(cluster: dict[str, Any]) -> None:
    assert "LEANDATA_COMMIT" not in json.dumps(cluster)


def test_declaring_it_twice_is_the_same(cluster: dict[str, Any]) -> None:
    (again,) = manifests(declared(), "DaskCluster").values()
    assert again == cluster


# -- addresses ---------------------------------------------------------------------------------------------------------


def test_clients_are_given_a_name_that_outlives_the_cluster(program: Program) -> None:
    assert program.outputs["scheduler"] == "tls://dask-scheduler.leandata-dask.svc:16413"


@pytest.mark.parametrize(("name", "port"), [("dask-scheduler", 16413), ("dask-dashboard", 16404)])
def test_the_stable_names_lead_to_this_cluster_s_scheduler(
    program: Program, cluster: dict[str, Any], name: str, port: int
) -> None:
    found = manifests(program, "Service")[name]["spec"]
    assert found["selector"] == {
        "dask.org/cluster-name": cluster["metadata"]["name"],
        "dask.org/component": "scheduler",
    }
    assert [one["targetPort"] for one in found["ports"]] == [port]


def test_the_stable_names_move_only_when_the_cluster_is_there(program: Program) -> None:
    (made,) = [urn for urn, one in program.resources.items() if one.type.endswith(":DaskCluster")]
    for one in program.of("kubernetes:core/v1:Service").values():
        assert made in one.needs
        assert "annotations" not in one.properties["metadata"], "the engine waits until its pods answer"


def test_workers_call_the_scheduler_of_their_own_cluster(cluster: dict[str, Any], worker: dict[str, Any]) -> None:
    name = cluster["metadata"]["name"]
    address = f"tls://{name}-scheduler.leandata-dask.svc:16413"
    assert address in worker["command"]
    assert variables(worker)["DASK_SCHEDULER_ADDRESS"] == address


def test_the_operator_finds_the_ports_by_the_names_it_looks_for(
    cluster: dict[str, Any], scheduler: dict[str, Any]
) -> None:
    service = cluster["spec"]["scheduler"]["service"]
    assert {one["name"]: one["port"] for one in service["ports"]} == {"tcp-comm": 16413, "http-dashboard": 16404}
    assert {one["name"] for one in scheduler["ports"]} == {one["targetPort"] for one in service["ports"]}


def test_a_worker_keeps_the_name_by_which_the_operator_retires_it(worker: dict[str, Any]) -> None:
    command = worker["command"]
    assert command[command.index("--name") + 1] == "$(DASK_WORKER_NAME)"


# -- behaviour ---------------------------------------------------------------------------------------------------------


def test_the_commands_are_those_that_still_exist(scheduler: dict[str, Any], worker: dict[str, Any]) -> None:
    assert scheduler["command"][:3] == ["python", "-m", "distributed.cli.dask_scheduler"]
    assert worker["command"][:3] == ["python", "-m", "distributed.cli.dask_worker"]


def test_a_worker_hands_on_its_results_before_it_ends(cluster: dict[str, Any], worker: dict[str, Any]) -> None:
    python, option, text = worker["lifecycle"]["preStop"]["exec"]["command"]
    assert (python, option) == ("python", "-c")
    compile(text, "preStop", "exec")
    assert "retire_workers(names=[os.environ['DASK_WORKER_NAME']])" in text
    drain = ServiceManifest.load("dask").one("dask-worker").drain
    assert cluster["spec"]["worker"]["spec"]["terminationGracePeriodSeconds"] > drain


def test_a_worker_s_data_is_less_than_its_pod_may_hold(worker: dict[str, Any]) -> None:
    command, limits = worker["command"], worker["resources"]["limits"]
    limit = int(command[command.index("--memory-limit") + 1])
    assert limit == int(limits["memory"]) - 300 * 2**20
    assert int(limits["ephemeral-storage"]) >= limit, "what does not fit in memory is spilled"


def test_there_is_no_second_process_that_restarts_a_worker(worker: dict[str, Any]) -> None:
    assert "--no-nanny" in worker["command"]


def test_the_autoscaler_keeps_between_what_manifest_and_environment_allow(
    program: Program, cluster: dict[str, Any]
) -> None:
    (found,) = manifests(program, "DaskAutoscaler").values()
    assert found["spec"] == {"cluster": cluster["metadata"]["name"], "maximum": 3, "minimum": 2}
    assert found["spec"]["minimum"] <= cluster["spec"]["worker"]["replicas"] <= found["spec"]["maximum"]


def test_an_idle_cluster_stays(cluster: dict[str, Any]) -> None:
    assert cluster["spec"]["idleTimeout"] == 0


def test_not_all_workers_are_taken_away_at_once(program: Program) -> None:
    budget = manifests(program, "PodDisruptionBudget")["dask-worker"]["spec"]
    assert budget["maxUnavailable"] == 1
    assert budget["selector"]["matchLabels"] == {"app.kubernetes.io/name": "dask-worker"}


@pytest.mark.parametrize("side", ["scheduler", "worker"])
def test_three_probes_ask_for_health_and_judge_it_differently(cluster: dict[str, Any], side: str) -> None:
    (container,) = cluster["spec"][side]["spec"]["containers"]
    probes = [container[name] for name in ("livenessProbe", "readinessProbe", "startupProbe")]
    assert all(probe["httpGet"] == {"path": "/health", "port": "http-dashboard"} for probe in probes)
    assert len({json.dumps(probe) for probe in probes}) == 3


# -- who may do what ---------------------------------------------------------------------------------------------------


def test_all_parts_trust_only_who_holds_the_certificate(scheduler: dict[str, Any], worker: dict[str, Any]) -> None:
    for container in (scheduler, worker):
        told = variables(container)
        assert told["DASK_DISTRIBUTED__COMM__DEFAULT_SCHEME"] == "tls"
        assert told["DASK_DISTRIBUTED__COMM__REQUIRE_ENCRYPTION"] == "True"
        assert {value for name, value in told.items() if "__TLS__" in name} == {SECRET}
        assert not [value for value in [*container["command"], *told.values()] if "tcp://" in value]


def test_the_certificate_is_made_once_for_the_cluster_and_those_who_call_it(program: Program) -> None:
    made = of_kind(program, "ClusterSecret")["dask-tls"].properties
    assert made["kind"] == "tls"
    assert made["namespaces"] == ["leandata-airflow", "leandata-dask"]


def test_the_pods_mount_the_certificate_and_no_other_secret(cluster: dict[str, Any]) -> None:
    for side in ("scheduler", "worker"):
        (volume,) = [one for one in cluster["spec"][side]["spec"]["volumes"] if one["name"] == "secrets"]
        assert [one["secret"]["name"] for one in volume["projected"]["sources"]] == ["dask-tls"]


def test_nobody_runs_a_function_on_the_scheduler(scheduler: dict[str, Any]) -> None:
    assert json.loads(variables(scheduler)["DASK_DISTRIBUTED__SCHEDULER__BLOCKED_HANDLERS"]) == ["run_function"]


def test_over_http_there_are_health_metrics_and_what_the_operator_asks_for(
    scheduler: dict[str, Any], worker: dict[str, Any]
) -> None:
    routes = json.loads(variables(scheduler)["DASK_DISTRIBUTED__SCHEDULER__HTTP__ROUTES"])
    assert {route.rpartition(".")[2] for route in routes} == {"api", "health", "prometheus"}
    routes = json.loads(variables(worker)["DASK_DISTRIBUTED__WORKER__HTTP__ROUTES"])
    assert {route.rpartition(".")[2] for route in routes} == {"health", "prometheus"}
    assert "--no-dashboard" in scheduler["command"]
    assert "--no-dashboard" in worker["command"]


def test_scheduler_and_workers_have_accounts_of_their_own_without_a_token(
    program: Program, cluster: dict[str, Any]
) -> None:
    accounts = manifests(program, "ServiceAccount")
    assert sorted(accounts) == ["dask-scheduler", "dask-worker"]
    for side in ("scheduler", "worker"):
        inner = cluster["spec"][side]["spec"]
        assert inner["serviceAccountName"] == f"dask-{side}"
        assert inner["automountServiceAccountToken"] is False


def test_the_network_policies_select_the_pods_that_the_operator_makes(
    program: Program, cluster: dict[str, Any]
) -> None:
    for side in ("scheduler", "worker"):
        wanted = manifests(program, "NetworkPolicy")[f"dask-{side}"]["spec"]["podSelector"]["matchLabels"]
        assert wanted.items() <= cluster["spec"][side]["metadata"]["labels"].items()


def test_the_operator_and_those_who_call_it_reach_the_scheduler_and_nobody_else(program: Program) -> None:
    rules = manifests(program, "NetworkPolicy")["dask-scheduler"]["spec"]["ingress"]
    callers = {
        one["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"] for rule in rules for one in rule["from"]
    }
    assert callers == {"leandata-airflow", "leandata-dask", "leandata-system"}


def test_workers_are_reached_by_the_cluster_alone_on_one_port(program: Program, worker: dict[str, Any]) -> None:
    (rule,) = manifests(program, "NetworkPolicy")["dask-worker"]["spec"]["ingress"]
    assert rule["ports"] == [{"port": 16416, "protocol": "TCP"}]
    assert worker["command"][worker["command"].index("--worker-port") + 1] == "16416"
    (caller,) = rule["from"]
    assert caller["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"] == "leandata-dask"


@pytest.mark.parametrize("side", ["scheduler", "worker"])
def test_the_pods_keep_to_the_restricted_standard(cluster: dict[str, Any], side: str) -> None:
    inner = cluster["spec"][side]["spec"]
    assert inner["securityContext"]["runAsNonRoot"] is True
    assert inner["securityContext"]["runAsUser"] == pods.USER
    assert inner["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in inner["containers"]:
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
            "runAsNonRoot": True,
        }
