"""Pod Security Standards, *restricted* in full: every field that the standard names, for every container of every pod.

The controls, their fields and their allowed values are those of the standard as of Kubernetes 1.35, which is the
version that our namespaces enforce. What the standard lets Windows pods leave out is not left out: we run none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from infra.policy.cases import Node, deployment
from infra.policy.graph import Object, at, items, mapping, objects, texts
from infra.policy.pods import Pod, every_container, every_pod, unreadable
from infra.policy.rule import Check, Rule

VERSION = "v1.35"
SOURCE = "Pod Security Standards"
_VOLUMES = frozenset(
    {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}
)
_SYSCTLS = frozenset(
    {
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
    }
)
_SELINUX = frozenset({"", "container_engine_t", "container_init_t", "container_kvm_t", "container_t"})
_PROFILES = ("RuntimeDefault", "Localhost")
_PROBES = ("livenessProbe", "readinessProbe", "startupProbe", "lifecycle.postStart", "lifecycle.preStop")
_APPARMOR = "container.apparmor.security.beta.kubernetes.io/"

_Broken = Iterator[tuple[str, str]]


def _host_process(context: Object) -> _Broken:
    if at(context, "windowsOptions.hostProcess"):
        yield "windowsOptions.hostProcess", "true"


def _host_namespaces(pod: Pod) -> _Broken:
    for key in ("hostIPC", "hostNetwork", "hostPID"):
        if pod.spec.get(key):
            yield key, "true"


def _privileged(container: Object) -> _Broken:
    if at(container, "securityContext.privileged"):
        yield "securityContext.privileged", "true"


def _capabilities(container: Object) -> _Broken:
    if "ALL" not in items(container, "securityContext.capabilities.drop"):
        yield "securityContext.capabilities.drop", "ALL is missing"
    added = sorted(set(texts(container, "securityContext.capabilities.add")) - {"NET_BIND_SERVICE"})
    if added:
        yield "securityContext.capabilities.add", ", ".join(added)


def _host_paths(pod: Pod) -> _Broken:
    for volume in objects(pod.spec, "volumes"):
        if "hostPath" in volume:
            yield f"volumes[{volume.get('name')}].hostPath", str(at(volume, "hostPath.path", ""))


def _volume_types(pod: Pod) -> _Broken:
    for volume in objects(pod.spec, "volumes"):
        for kind in sorted(set(volume) - {"name"} - _VOLUMES):
            yield f"volumes[{volume.get('name')}].{kind}", "no core type"


def _host_ports(container: Object) -> _Broken:
    for port in objects(container, "ports"):
        if port.get("hostPort"):
            yield "ports.hostPort", str(port["hostPort"])


def _hosts_asked(container: Object) -> _Broken:
    for probe in _PROBES:
        for kind in ("httpGet", "tcpSocket"):
            if host := at(container, f"{probe}.{kind}.host"):
                yield f"{probe}.{kind}.host", str(host)


def _apparmor(context: Object) -> _Broken:
    found = at(context, "appArmorProfile.type")
    if found is not None and found not in _PROFILES:
        yield "appArmorProfile.type", str(found)


def _apparmor_annotations(pod: Pod) -> _Broken:
    for key, value in sorted(mapping(pod.metadata, "annotations").items()):
        allowed = value in ("", "runtime/default") or str(value).startswith("localhost/")
        if key.startswith(_APPARMOR) and not allowed:
            yield f"metadata.annotations[{key}]", str(value)


def _selinux(context: Object) -> _Broken:
    options = mapping(context, "seLinuxOptions")
    if str(options.get("type", "")) not in _SELINUX:
        yield "seLinuxOptions.type", str(options["type"])
    for key in ("role", "user"):
        if options.get(key):
            yield f"seLinuxOptions.{key}", str(options[key])


def _proc_mount(container: Object) -> _Broken:
    found = at(container, "securityContext.procMount", "Default")
    if found != "Default":
        yield "securityContext.procMount", str(found)


def _sysctls(pod: Pod) -> _Broken:
    for one in objects(pod.spec, "securityContext.sysctls"):
        if str(one.get("name")) not in _SYSCTLS:
            yield "securityContext.sysctls", str(one.get("name"))


def _escalation(container: Object) -> _Broken:
    if at(container, "securityContext.allowPrivilegeEscalation") is not False:
        yield "securityContext.allowPrivilegeEscalation", "not false"


def _non_root(pod: Pod) -> _Broken:
    """The pod says so and no container says otherwise, or every container says so."""
    of_pod = at(pod.spec, "securityContext.runAsNonRoot")
    if of_pod is False:
        yield "securityContext.runAsNonRoot", "false"
    for place, container in pod.containers():
        own = at(container, "securityContext.runAsNonRoot")
        if own is False or (own is None and of_pod is not True):
            yield f"{place}.securityContext.runAsNonRoot", "not true"


def _user(context: Object) -> _Broken:
    if at(context, "runAsUser") == 0:
        yield "runAsUser", "0"


def _seccomp(pod: Pod) -> _Broken:
    """The pod has a profile, or every container has; nobody is unconfined."""
    path = "securityContext.seccompProfile.type"
    of_pod = at(pod.spec, path)
    if of_pod is not None and of_pod not in _PROFILES:
        yield path, str(of_pod)
    for place, container in pod.containers():
        own = at(container, path)
        if own not in _PROFILES and (own is not None or of_pod not in _PROFILES):
            yield f"{place}.{path}", str(own or "missing")


def _of_contexts(judge: Callable[[Object], _Broken]) -> Check:
    """A check of the security context of the pod, and of each of its containers."""

    def of_pod(pod: Pod) -> _Broken:
        places = [("securityContext", mapping(pod.spec, "securityContext"))]
        places += [(f"{path}.securityContext", mapping(one, "securityContext")) for path, one in pod.containers()]
        for place, context in places:
            for path, said in judge(context):
                yield f"{place}.{path}", said

    return every_pod(of_pod)


def _both(*checks: Check) -> Check:
    return lambda graph: (hit for check in checks for hit in check(graph))


def _rule(
    control: str,
    check: Check,
    remedy: str,
    *,
    reason: str,
    pod: Mapping[str, Any] | None = None,
    container: Mapping[str, Any] | None = None,
) -> Rule:
    """A control; `pod` and `container` are what its bad case changes in a good pod."""
    return Rule(
        id="restricted-" + control.lower().replace(" ", "-").replace("/", ""),
        title=control,
        source=f"{SOURCE}, {control}",
        reason=reason,
        remedy=remedy,
        severity="high",
        check=check,
        good=(deployment(),),
        bad=(deployment(pod, container),),
    )


_ROOT = "What breaks out of the process is root on the node"
_NODE = "It reaches the node and every pod on it"

RULES: tuple[Rule, ...] = (
    Rule(
        id="pods-known",
        title="Every pod can be judged",
        source="this project",
        reason="A pod that is not known when it is reviewed may be anything",
        remedy="Make the pod's spec from values that are known before anything is made",
        severity="high",
        check=unreadable,
        good=(deployment(),),
        bad=(Node(type="kubernetes:apps/v1:Deployment", properties={"spec": {"template": {"spec": "[unknown]"}}}),),
    ),
    _rule(
        "HostProcess", _of_contexts(_host_process), "Remove hostProcess", reason=_NODE,
        pod={"securityContext.windowsOptions": {"hostProcess": True}},
    ),
    _rule(
        "Host Namespaces", every_pod(_host_namespaces), "Remove hostNetwork, hostPID and hostIPC", reason=_NODE,
        pod={"hostNetwork": True},
    ),
    _rule(
        "Privileged Containers", every_container(_privileged), "Remove privileged", reason=_ROOT,
        container={"securityContext.privileged": True},
    ),
    _rule(
        "Capabilities", every_container(_capabilities),
        'Drop ["ALL"] and add nothing but NET_BIND_SERVICE', reason=_ROOT,
        container={"securityContext.capabilities": {"drop": ["NET_RAW"]}},
    ),
    _rule(
        "HostPath Volumes", every_pod(_host_paths), "Mount a claim, an emptyDir or a ConfigMap instead", reason=_NODE,
        pod={"volumes": [{"name": "host", "hostPath": {"path": "/"}}]},
    ),
    _rule(
        "Volume Types", every_pod(_volume_types), f"Use one of {', '.join(sorted(_VOLUMES))}", reason=_NODE,
        pod={"volumes": [{"name": "share", "nfs": {"server": "nfs.example", "path": "/"}}]},
    ),
    _rule(
        "Host Ports", every_container(_host_ports), "Remove hostPort and use a Service", reason=_NODE,
        container={"ports": [{"containerPort": 8080, "hostPort": 8080}]},
    ),
    _rule(
        "Host Probes and Lifecycle Hooks", every_container(_hosts_asked), "Remove host: the pod itself is asked",
        reason="The node's kubelet is made to open connections to any host",
        container={"livenessProbe.httpGet.host": "169.254.169.254"},
    ),
    _rule(
        "AppArmor", _both(_of_contexts(_apparmor), every_pod(_apparmor_annotations)),
        "Use RuntimeDefault, or leave the profile out", reason=_ROOT,
        container={"securityContext.appArmorProfile": {"type": "Unconfined"}},
    ),
    _rule(
        "SELinux", _of_contexts(_selinux), "Use a container type, without user and role", reason=_ROOT,
        pod={"securityContext.seLinuxOptions": {"type": "spc_t"}},
    ),
    _rule(
        "/proc Mount Type", every_container(_proc_mount), "Remove procMount", reason=_ROOT,
        container={"securityContext.procMount": "Unmasked"},
    ),
    _rule(
        "Sysctls", every_pod(_sysctls), "Remove it: only those of the pod's own namespace are safe", reason=_NODE,
        pod={"securityContext.sysctls": [{"name": "kernel.msgmax", "value": "65536"}]},
    ),
    _rule(
        "Privilege Escalation", every_container(_escalation), "Set allowPrivilegeEscalation to false", reason=_ROOT,
        container={"securityContext.allowPrivilegeEscalation": None},
    ),
    _rule(
        "Running as Non-root", every_pod(_non_root), "Set runAsNonRoot of the pod to true", reason=_ROOT,
        pod={"securityContext.runAsNonRoot": None},
    ),
    _rule(
        "Running as Non-root user", _of_contexts(_user), "Run as a user of its own, such as 10001", reason=_ROOT,
        container={"securityContext.runAsUser": 0},
    ),
    _rule(
        "Seccomp", every_pod(_seccomp), "Set seccompProfile of the pod to RuntimeDefault", reason=_ROOT,
        pod={"securityContext.seccompProfile": {"type": "Unconfined"}},
    ),
)  # fmt: skip
