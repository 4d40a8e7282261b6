"""Every field of Pod Security *restricted*: what the standard allows passes, what it forbids does not, wherever a pod is.

The values are those of the standard's own table. Each line is a pod that differs from a good one in one place.
"""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from infra.policy import restricted
from infra.policy.cases import LABELS, Node, changed, deployment, manifest, pod_spec
from infra.policy.graph import PRODUCTION, Graph
from infra.policy.pods import pods

ALLOWED_SYSCTLS = [
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.ping_group_range",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_rmem",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.tcp_wmem",
]
ALLOWED_VOLUMES = [
    {"configMap": {"name": "it"}},
    {"csi": {"driver": "secrets-store.csi.k8s.io"}},
    {"downwardAPI": {"items": []}},
    {"emptyDir": {}},
    {"ephemeral": {"volumeClaimTemplate": {}}},
    {"persistentVolumeClaim": {"claimName": "it"}},
    {"projected": {"sources": []}},
    {"secret": {"secretName": "it"}},
]
FORBIDDEN_VOLUMES = [
    "awsElasticBlockStore",
    "azureDisk",
    "azureFile",
    "cephfs",
    "cinder",
    "fc",
    "flexVolume",
    "flocker",
    "gcePersistentDisk",
    "gitRepo",
    "glusterfs",
    "iscsi",
    "nfs",
    "photonPersistentDisk",
    "portworxVolume",
    "quobyte",
    "rbd",
    "scaleIO",
    "storageos",
    "vsphereVolume",
]
PROBES = ["livenessProbe", "readinessProbe", "startupProbe", "lifecycle.postStart", "lifecycle.preStop"]


def broken(*resources: Any) -> list[str]:
    """The rules of *restricted* that these resources break, sorted."""
    graph = Graph.from_resources(resources, PRODUCTION)
    return sorted({rule.id for rule in restricted.RULES if any(True for _ in rule.check(graph))})


def of_pod(**changes: Any) -> list[str]:
    return broken(deployment({path.replace("__", "."): value for path, value in changes.items()}))


def of_container(**changes: Any) -> list[str]:
    return broken(deployment(None, {path.replace("__", "."): value for path, value in changes.items()}))


def test_a_good_pod_breaks_nothing():
    assert broken(deployment()) == []


@pytest.mark.parametrize("key", ["hostNetwork", "hostPID", "hostIPC"])
def test_the_namespaces_of_the_host_are_not_shared(key: str):
    assert of_pod(**{key: True}) == ["restricted-host-namespaces"]
    assert of_pod(**{key: False}) == []


def test_no_container_is_privileged():
    assert "restricted-privileged-containers" in of_container(securityContext__privileged=True)
    assert of_container(securityContext__privileged=False) == []


@pytest.mark.parametrize("where", ["pod", "container"])
def test_no_process_of_windows_runs_on_the_host(where: str):
    of = of_pod if where == "pod" else of_container
    assert of(securityContext__windowsOptions={"hostProcess": True}) == ["restricted-hostprocess"]
    assert of(securityContext__windowsOptions={"hostProcess": False}) == []
    assert of(securityContext__windowsOptions={"runAsUserName": "ContainerUser"}) == []


@pytest.mark.parametrize(
    ("drop", "add"),
    [
        (None, None),
        ([], []),
        (["NET_RAW"], []),
        (["all"], []),
        (["CAP_ALL"], []),
        (["ALL"], ["SYS_ADMIN"]),
        (["ALL"], ["NET_BIND_SERVICE", "NET_RAW"]),
        (["ALL"], ["CHOWN"]),
        (["ALL"], ["ALL"]),
    ],
)
def test_all_capabilities_are_dropped_and_none_but_one_is_added(drop: Any, add: Any):
    found = {key: value for key, value in (("drop", drop), ("add", add)) if value is not None}
    assert of_container(securityContext__capabilities=found) == ["restricted-capabilities"]


@pytest.mark.parametrize("add", [None, [], ["NET_BIND_SERVICE"]])
def test_low_ports_may_be_bound(add: Any):
    found = {"drop": ["ALL"], **({"add": add} if add is not None else {})}
    assert of_container(securityContext__capabilities=found) == []


@pytest.mark.parametrize("path", ["/", "/var/run/docker.sock", "/proc", "/etc"])
def test_nothing_of_the_host_is_mounted(path: str):
    found = of_pod(volumes=[{"name": "host", "hostPath": {"path": path}}])
    assert found == ["restricted-hostpath-volumes", "restricted-volume-types"]


@pytest.mark.parametrize("kind", FORBIDDEN_VOLUMES)
def test_volumes_of_other_types_are_forbidden(kind: str):
    assert of_pod(volumes=[{"name": "data", kind: {}}]) == ["restricted-volume-types"]


@pytest.mark.parametrize("source", ALLOWED_VOLUMES, ids=lambda source: next(iter(source)))
def test_volumes_of_the_core_types_are_allowed(source: dict[str, Any]):
    assert of_pod(volumes=[{"name": "data", **source}]) == []


def test_a_second_volume_is_looked_at_as_well():
    both = [{"name": "tmp", "emptyDir": {}}, {"name": "share", "nfs": {"server": "nfs.example", "path": "/"}}]
    assert of_pod(volumes=both) == ["restricted-volume-types"]


def test_ports_of_the_host_are_not_taken():
    assert of_container(ports=[{"containerPort": 80, "hostPort": 80}]) == ["restricted-host-ports"]
    assert of_container(ports=[{"containerPort": 1}, {"containerPort": 2, "hostPort": 2}]) == ["restricted-host-ports"]
    assert of_container(ports=[{"containerPort": 80, "hostPort": 0}]) == []
    assert of_container(ports=[{"containerPort": 80}]) == []


@pytest.mark.parametrize("probe", PROBES)
@pytest.mark.parametrize("kind", ["httpGet", "tcpSocket"])
def test_the_kubelet_is_not_sent_to_another_host(probe: str, kind: str):
    asked = {kind: {"port": 8080, "host": "169.254.169.254"}}
    assert of_container(**{probe.replace(".", "__"): asked}) == ["restricted-host-probes-and-lifecycle-hooks"]
    assert of_container(**{probe.replace(".", "__"): {kind: {"port": 8080, "host": ""}}}) == []
    assert of_container(**{probe.replace(".", "__"): {kind: {"port": 8080}}}) == []


@pytest.mark.parametrize("where", ["pod", "container"])
@pytest.mark.parametrize("profile", ["Unconfined", "", "anything"])
def test_apparmor_is_not_switched_off(where: str, profile: str):
    of = of_pod if where == "pod" else of_container
    assert of(securityContext__appArmorProfile={"type": profile}) == ["restricted-apparmor"]


@pytest.mark.parametrize("profile", ["RuntimeDefault", "Localhost"])
def test_profiles_of_apparmor_are_allowed(profile: str):
    assert of_pod(securityContext__appArmorProfile={"type": profile, "localhostProfile": "it"}) == []


@pytest.mark.parametrize(
    ("value", "allowed"),
    [("unconfined", False), ("other", False), ("runtime/default", True), ("localhost/it", True), ("", True)],
)
def test_the_old_annotation_of_apparmor_counts(value: str, allowed: bool):
    made = deployment()
    key = "container.apparmor.security.beta.kubernetes.io/it"
    template = {"metadata": {"annotations": {key: value}, "labels": LABELS}, "spec": pod_spec()}
    spec = changed(made.properties["spec"], {"template": template})
    found = broken(Node(type=made.type, properties={**made.properties, "spec": spec}))
    assert found == ([] if allowed else ["restricted-apparmor"])


@pytest.mark.parametrize("where", ["pod", "container"])
@pytest.mark.parametrize(
    "options",
    [
        {"type": "spc_t"},
        {"type": "unconfined_t"},
        {"user": "system_u"},
        {"role": "system_r"},
        {"type": "container_t", "user": "root"},
    ],
)
def test_selinux_is_not_loosened(where: str, options: dict[str, str]):
    of = of_pod if where == "pod" else of_container
    assert of(securityContext__seLinuxOptions=options) == ["restricted-selinux"]


@pytest.mark.parametrize("type_", ["", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"])
def test_types_of_containers_are_allowed_in_selinux(type_: str):
    assert of_pod(securityContext__seLinuxOptions={"type": type_, "level": "s0:c1,c2", "user": "", "role": ""}) == []


@pytest.mark.parametrize(("mount", "allowed"), [("Unmasked", False), ("other", False), ("Default", True), (None, True)])
def test_proc_stays_masked(mount: str | None, allowed: bool):
    assert of_container(securityContext__procMount=mount) == ([] if allowed else ["restricted-proc-mount-type"])


@pytest.mark.parametrize("name", ALLOWED_SYSCTLS)
def test_safe_sysctls_are_allowed(name: str):
    assert of_pod(securityContext__sysctls=[{"name": name, "value": "1"}]) == []


@pytest.mark.parametrize(
    "name", ["kernel.msgmax", "kernel.sem", "net.core.somaxconn", "vm.swappiness", "fs.mqueue.msg_max"]
)
def test_other_sysctls_are_not(name: str):
    both = [{"name": ALLOWED_SYSCTLS[0], "value": "1"}, {"name": name, "value": "1"}]
    assert of_pod(securityContext__sysctls=both) == ["restricted-sysctls"]


@pytest.mark.parametrize("value", [None, True])
def test_privileges_are_not_escalated(value: bool | None):
    assert of_container(securityContext__allowPrivilegeEscalation=value) == ["restricted-privilege-escalation"]


@pytest.mark.parametrize(
    ("pod", "container", "allowed"),
    [
        (True, None, True),
        (True, True, True),
        (None, True, True),
        (None, None, False),
        (False, None, False),
        (True, False, False),
        (False, True, False),
        (None, False, False),
    ],
)
def test_pods_run_as_somebody_else_than_root(pod: bool | None, container: bool | None, allowed: bool):
    made = deployment({"securityContext.runAsNonRoot": pod}, {"securityContext.runAsNonRoot": container})
    assert broken(made) == ([] if allowed else ["restricted-running-as-non-root"])


@pytest.mark.parametrize("where", ["pod", "container"])
def test_the_user_is_not_zero(where: str):
    of = of_pod if where == "pod" else of_container
    assert of(securityContext__runAsUser=0) == ["restricted-running-as-non-root-user"]
    assert of(securityContext__runAsUser=1) == []
    assert of(securityContext__runAsUser=None) == []


@pytest.mark.parametrize(
    ("pod", "container", "allowed"),
    [
        ("RuntimeDefault", None, True),
        ("Localhost", None, True),
        (None, "RuntimeDefault", True),
        (None, "Localhost", True),
        ("RuntimeDefault", "Localhost", True),
        (None, None, False),
        ("Unconfined", None, False),
        ("Unconfined", "RuntimeDefault", False),
        ("RuntimeDefault", "Unconfined", False),
        (None, "Unconfined", False),
        (None, "", False),
    ],
)
def test_system_calls_are_filtered(pod: str | None, container: str | None, allowed: bool):
    made = deployment(
        {"securityContext.seccompProfile": {"type": pod} if pod is not None else None},
        {"securityContext.seccompProfile": {"type": container} if container is not None else None},
    )
    assert broken(made) == ([] if allowed else ["restricted-seccomp"])


BAD_CONTAINER = {"name": "bad", "image": "it", "securityContext": {"privileged": True, "runAsUser": 0}}


@pytest.mark.parametrize("key", ["initContainers", "ephemeralContainers"])
def test_init_and_ephemeral_containers_are_looked_at_as_well(key: str):
    assert broken(deployment({key: [BAD_CONTAINER]})) == [
        "restricted-capabilities",
        "restricted-privilege-escalation",
        "restricted-privileged-containers",
        "restricted-running-as-non-root-user",
    ]


def test_one_bad_container_among_good_ones_is_found_and_named():
    spec = pod_spec()
    spec["containers"] = [*spec["containers"], BAD_CONTAINER]
    graph = Graph.from_resources([manifest("Pod", {"spec": spec})], PRODUCTION)
    hits = [hit for rule in restricted.RULES for hit in rule.check(graph)]
    assert hits
    assert all("containers[bad]" in hit.property for hit in hits)


BAD = pod_spec({"hostNetwork": True})
PLACES = {
    "Pod": {"spec": BAD},
    "Deployment": {"spec": {"template": {"spec": BAD}}},
    "StatefulSet": {"spec": {"template": {"spec": BAD}}},
    "DaemonSet": {"spec": {"template": {"spec": BAD}}},
    "ReplicaSet": {"spec": {"template": {"spec": BAD}}},
    "ReplicationController": {"spec": {"template": {"spec": BAD}}},
    "Job": {"spec": {"template": {"spec": BAD}}},
    "CronJob": {"spec": {"jobTemplate": {"spec": {"template": {"spec": BAD}}}}},
    "PodTemplate": {"template": {"spec": BAD}},
    "DaskCluster": {"spec": {"scheduler": {"spec": BAD}, "worker": {"spec": pod_spec()}}},
    "DaskWorkerGroup": {"spec": {"worker": {"spec": BAD}}},
    "DaskJob": {"spec": {"job": {"spec": BAD}, "cluster": {"spec": {"scheduler": {"spec": pod_spec()}}}}},
}


@pytest.mark.parametrize("kind", sorted(PLACES))
def test_pods_are_found_wherever_they_are_described(kind: str):
    assert broken(manifest(kind, PLACES[kind])) == ["restricted-host-namespaces"]


def test_the_workers_of_a_dask_cluster_are_pods_too():
    spec = {"scheduler": {"spec": pod_spec()}, "worker": {"spec": BAD}}
    graph = Graph.from_resources([manifest("DaskCluster", {"spec": spec})], PRODUCTION)
    (hit,) = [hit for rule in restricted.RULES for hit in rule.check(graph)]
    assert hit.property == "spec.worker.spec.hostNetwork"


def test_the_pod_template_of_airflow_is_a_pod():
    text = yaml.safe_dump({"apiVersion": "v1", "kind": "Pod", "metadata": {"labels": LABELS}, "spec": BAD})
    graph = Graph.from_resources([manifest("ConfigMap", {"data": {"pod_template_file.yaml": text}})], PRODUCTION)
    (hit,) = [hit for rule in restricted.RULES for hit in rule.check(graph)]
    assert hit.property == "data[pod_template_file.yaml].spec.hostNetwork"


def test_a_good_pod_template_of_airflow_breaks_nothing():
    text = yaml.safe_dump({"apiVersion": "v1", "kind": "Pod", "spec": pod_spec()})
    assert broken(manifest("ConfigMap", {"data": {"pod_template_file.yaml": text, "airflow.cfg": "[core]"}})) == []


def test_several_pods_of_one_text_are_all_found():
    text = yaml.safe_dump_all([{"kind": "Pod", "spec": pod_spec()}, {"kind": "Pod", "spec": BAD}])
    assert broken(manifest("ConfigMap", {"data": {"pods.yml": text}})) == ["restricted-host-namespaces"]


@pytest.mark.parametrize("text", ["{", "- a: [", "just words", ""])
def test_a_template_that_nobody_can_read_is_a_finding(text: str):
    assert broken(manifest("ConfigMap", {"data": {"pod.yaml": text}})) == ["pods-known"]


def test_a_pod_that_is_not_known_is_a_finding():
    made = manifest("Deployment", {"spec": {"template": {"spec": "[unknown]"}}})
    assert "pods-known" in broken(made)
    assert broken(manifest("Deployment", {"spec": {"template": {"spec": pod_spec({"volumes": "[unknown]"})}}}))


def test_what_is_no_pod_is_not_looked_at():
    made = [manifest("Service", {"spec": {"hostNetwork": True}}), manifest("ConfigMap", {"data": {"a.txt": "spec"}})]
    assert not list(pods(Graph.from_resources(made, PRODUCTION)))
