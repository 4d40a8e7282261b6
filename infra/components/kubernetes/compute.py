"""Dask on Kubernetes: a cluster object that our operator turns into a scheduler and workers, all parts behind TLS.

The operator changes nothing of a running cluster but how many workers it has (dask/dask-kubernetes#895). So a cluster
is named by what it is made of: another image or setting is another cluster, made beside the old one, and the stable
name `dask-scheduler` moves to it when it is ready.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_kubernetes as kubernetes

from infra.components import naming
from infra.components.kubernetes import guard, pods, provider, service
from infra.components.kubernetes.pods import Container
from infra.components.manifest import ProcessManifest, ServiceManifest
from infra.components.secret import Secret
from infra.components.settings import service_settings
from infra.components.stack import Stack

API = "kubernetes.dask.org/v1"
OWNER, SCHEDULER, WORKER, DASHBOARD = "dask", "dask-scheduler", "dask-worker", "dask-dashboard"
TLS = "dask-tls"
_COMM, _HTTP = "tcp-comm", "http-dashboard"  # by these names the operator finds the scheduler's ports
_HEALTH_PORT = 8788  # of a worker, asked by its own node alone
_OVERHEAD = 300 * 2**20  # bytes of a worker's pod that are not its data: the interpreter, the allocator's slack
_MARGIN = 15  # seconds between the longest graceful end and the kill
_UNNAMED = "{name}"
_ROUTES = ("distributed.http.scheduler.prometheus", "distributed.http.health", "distributed.http.scheduler.api")
_WORKER_ROUTES = ("distributed.http.worker.prometheus", "distributed.http.health")
SCHEDULER_SETTINGS = {
    "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "3",
    "DASK_DISTRIBUTED__SCHEDULER__BLOCKED_HANDLERS": json.dumps(["run_function"]),
    "DASK_DISTRIBUTED__SCHEDULER__HTTP__ROUTES": json.dumps(_ROUTES),
    "DASK_DISTRIBUTED__SCHEDULER__NO_WORKERS_TIMEOUT": "120s",
    "DASK_DISTRIBUTED__SCHEDULER__WORKER_SATURATION": "inf",
}
RETIRE = (
    "import os; from distributed import Client;"
    " Client(os.environ['DASK_SCHEDULER_ADDRESS'], timeout=20)"
    ".retire_workers(names=[os.environ['DASK_WORKER_NAME']])"
)
"""What a worker does before it ends: its results move to others, so that none is computed again."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Side:
    """The scheduler's pods or the workers': their manifest, their settings, and the source of their secrets."""

    manifest: ProcessManifest
    settings: Mapping[str, str]
    secrets: Mapping[str, Any]


def make(parent: pulumi.Resource, *, stack: Stack, manifest: ServiceManifest) -> pulumi.Output[str]:
    """The cluster with its autoscaler and its stable name; the scheduler's address."""
    secret = Secret(TLS, stack=stack, kind="tls", parent=parent)
    common = service_settings(stack, OWNER, {})
    common.pop("LEANDATA_COMMIT")  # the image says which code runs: a commit that does not change it changes nothing
    first: list[pulumi.Resource] = [secret]
    sides: list[Any] = []
    for process in (SCHEDULER, WORKER):
        settings = {**common, **secured(secret.path), "DASK_TEMPORARY_DIRECTORY": "/tmp/dask"}  # noqa: S108 - the pod's own
        resolved = service.resolve(stack, [], settings, {})
        admitted, known = service.prepare(
            parent, stack=stack, owner=OWNER, process=process, resolved=resolved, data=process == WORKER, named=False
        )
        first += admitted
        sides.append(known)

    def spec(found: Sequence[Sequence[Any]]) -> dict[str, Any]:
        one, other = (
            Side(manifest=manifest.one(process), settings=resolved["env"], secrets=source)
            for process, (resolved, source) in zip((SCHEDULER, WORKER), found, strict=True)
        )
        return named(cluster(stack, one, other))

    made: Any = pulumi.Output.from_input(sides).apply(spec)
    name = made.apply(lambda known: known["name"])
    _objects(parent, stack=stack, name=name, spec=made.apply(lambda known: known["spec"]), first=first)
    return pulumi.Output.from_input(f"tls://{stack.listen(SCHEDULER).address}")


def secured(path: pulumi.Input[str]) -> dict[str, pulumi.Input[str]]:
    """Settings by which scheduler, worker and client trust only those who hold the certificate at `path`.

    There is one for all three: whoever may connect may run code, so several would tell nobody apart.
    """
    start = "DASK_DISTRIBUTED__COMM"
    sides = {f"{start}__TLS__{side}__CERT": path for side in ("CLIENT", "SCHEDULER", "WORKER")}
    fixed = {f"{start}__DEFAULT_SCHEME": "tls", f"{start}__REQUIRE_ENCRYPTION": "True"}
    return {**fixed, f"{start}__TLS__CA_FILE": path, **sides}


def cluster(stack: Stack, scheduler: Side, worker: Side) -> dict[str, Any]:
    """The spec of the DaskCluster; where its own name stands, it says `{name}`."""
    least, most = service.replicas(stack, OWNER)
    comm, page = stack.listen(SCHEDULER), stack.listen(DASHBOARD)
    ports = [
        {"name": name, "port": listen.port, "protocol": "TCP", "targetPort": name}
        for name, listen in ((_COMM, comm), (_HTTP, page))
    ]
    selector = {"dask.org/cluster-name": _UNNAMED, "dask.org/component": "scheduler"}
    return {
        "idleTimeout": 0,
        "scheduler": {
            "metadata": {"labels": _labels(stack, SCHEDULER)},
            "service": {"ports": ports, "selector": selector, "type": "ClusterIP"},
            "spec": _scheduler(stack, scheduler),
        },
        "worker": {
            "metadata": {"labels": _labels(stack, WORKER)},
            "replicas": min(max(stack.environment.file.compute.workers, least), most),
            "spec": _worker(stack, worker),
        },
    }


def named(spec: Mapping[str, Any]) -> dict[str, Any]:
    """The spec with its name, which changes with all that is in it but the number of workers: that is scaled."""
    worker = {key: value for key, value in spec["worker"].items() if key != "replicas"}
    name = f"{OWNER}-{service.content({**spec, 'worker': worker})}"
    return {"name": name, "spec": json.loads(json.dumps(spec).replace(_UNNAMED, name))}


def _scheduler(stack: Stack, side: Side) -> dict[str, Any]:
    comm, page = stack.listen(SCHEDULER), stack.listen(DASHBOARD)
    container = Container(
        name="scheduler",
        image=stack.image(OWNER),
        command=[
            *(stack.python, "-m", "distributed.cli.dask_scheduler", "--protocol", "tls"),
            *("--host", comm.bind, "--port", str(comm.port)),
            *("--dashboard-address", f"{page.bind}:{page.port}", "--no-dashboard"),
        ],
        env={"HOME": "/tmp", **side.settings, **SCHEDULER_SETTINGS},  # noqa: S108 - the pod's own
        cpu=side.manifest.cpu,
        memory=int(side.manifest.memory),
        ports=[comm.port, page.port],
        probes=pods.probes(port=page.port, health="/health", ready="/health", start=side.manifest.start_timeout),
    )
    made = pods.pod(
        [container],
        account=SCHEDULER,
        secrets=side.secrets,
        grace=side.manifest.drain + _MARGIN,
        promised=stack.promised,
    )
    return by_name(made, {comm.port: _COMM, page.port: _HTTP})


def _worker(stack: Stack, side: Side) -> dict[str, Any]:
    size, port = stack.environment.file.compute, stack.listen(WORKER)
    address = f"tls://{_UNNAMED}-scheduler.{provider.namespace(stack, OWNER)}.svc:{stack.listen(SCHEDULER).port}"
    memory = max(int(size.memory) - _OVERHEAD, int(size.memory) // 2)
    container = Container(
        name="worker",
        image=stack.image(OWNER),
        command=[
            *(stack.python, "-m", "distributed.cli.dask_worker", address, "--name", "$(DASK_WORKER_NAME)"),
            *("--worker-port", str(port.port), "--nthreads", str(size.threads), "--memory-limit", str(memory)),
            *("--dashboard-address", f"{port.bind}:{_HEALTH_PORT}", "--no-dashboard"),
            *("--no-nanny", "--death-timeout", "60", "--local-directory", "/tmp/dask"),  # noqa: S108 - the pod's own
        ],
        env={
            "HOME": "/tmp",  # noqa: S108 - the pod's own
            **side.settings,
            "DASK_DISTRIBUTED__WORKER__HTTP__ROUTES": json.dumps(_WORKER_ROUTES),
            "DASK_SCHEDULER_ADDRESS": address,
        },
        cpu=f"{size.threads * 1000}m",
        memory=int(size.memory),
        scratch=int(size.memory),
        ports=[port.port, _HEALTH_PORT],
        probes=pods.probes(port=_HEALTH_PORT, health="/health", ready="/health", start=side.manifest.start_timeout),
        stop=[stack.python, "-c", RETIRE],
    )
    made = pods.pod(
        [container],
        account=WORKER,
        secrets=side.secrets,
        grace=side.manifest.drain + _MARGIN,
        promised=stack.promised,
        spread={"app.kubernetes.io/name": WORKER},
    )
    return by_name(made, {port.port: _COMM, _HEALTH_PORT: _HTTP})


def by_name(spec: dict[str, Any], names: Mapping[int, str]) -> dict[str, Any]:
    """The pod with its ports called by name: the schema of the operator's types knows no ports that are numbers."""
    for container in spec["containers"]:
        container["ports"] = [{**port, "name": names[port["containerPort"]]} for port in container["ports"]]
        for probe in ("livenessProbe", "readinessProbe", "startupProbe"):
            asked = container[probe]["httpGet"]
            container[probe]["httpGet"] = {**asked, "port": names[asked["port"]]}
    return spec


def _labels(stack: Stack, process: str) -> dict[str, str]:
    return naming.labels(stack.environment, stack=stack.name, service=OWNER) | {"app.kubernetes.io/name": process}


def _objects(
    parent: pulumi.Resource, *, stack: Stack, name: pulumi.Output[str], spec: Any, first: list[pulumi.Resource]
) -> None:
    """The cluster's object, its autoscaler where there is something to scale, its stable names, and its budget."""
    metadata: Any = name.apply(lambda known: provider.metadata(stack, known, owner=OWNER))
    options = provider.options(stack, parent=parent, needs=first)
    made = kubernetes.apiextensions.CustomResource(
        OWNER, api_version=API, kind="DaskCluster", metadata=metadata, spec=spec, opts=options
    )
    options = provider.options(stack, parent=parent, needs=[made])
    least, most = service.replicas(stack, OWNER)
    if least < most:
        bounds: Any = {"cluster": name, "maximum": most, "minimum": least}
        kubernetes.apiextensions.CustomResource(
            OWNER + "-autoscaler", api_version=API, kind="DaskAutoscaler", metadata=metadata, spec=bounds, opts=options
        )
    for port in naming.ports(stack.environment, SCHEDULER):
        _stable(stack, port, cluster=name, options=options)
    guard.make_budget(stack, owner=OWNER, process=WORKER, options=options)


def _stable(stack: Stack, port: str, *, cluster: pulumi.Output[str], options: pulumi.ResourceOptions) -> None:
    """The name of a port that outlives the cluster. It is not there before its pods are, so it says when they are."""
    number = stack.environment.port(port)
    selector = {"dask.org/cluster-name": cluster, "dask.org/component": "scheduler"}
    ports = [{"name": port[:15].rstrip("-"), "port": number, "protocol": "TCP", "targetPort": number}]
    spec: Any = {"ports": ports, "selector": selector, "type": "ClusterIP"}
    metadata: Any = provider.metadata(stack, port, owner=OWNER)
    kubernetes.core.v1.Service(port, metadata=metadata, spec=spec, opts=options)
