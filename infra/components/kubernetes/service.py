"""Services and jobs in the cluster: each process a Deployment with an identity, a network and limits of its own."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import pulumi
import pulumi_kubernetes as kubernetes

from infra.components import naming
from infra.components.kubernetes import guard, pods, provider
from infra.components.kubernetes.pods import Container, Volume
from infra.components.service import Program, Task
from infra.components.stack import Stack

_LINGER = 5  # seconds that load balancers and other pods take to hear that a pod is going
_PROGRESS = 300  # seconds beyond the longest start until a rolling update has failed
_MARGIN = 10  # seconds between the longest graceful end and the kill
_BUSY = 0.35  # of the CPU that a pod may use: a service grows before it is slow
_JOB_CPU, _JOB_MEMORY = "500m", 1024 * 2**20
_RENDER_CPU, _RENDER_MEMORY = "100m", 128 * 2**20
_RETRIES = 4


@dataclass(frozen=True, kw_only=True, slots=True)
class Extra:
    """What only pods know of, for processes that are close to the cluster itself.

    `api` gives the account's token and the way to the API server. Without `data` the process has no business in the
    lake. `probes` stand for those derived from the manifest. `alone` ends the old pod before the new one starts.
    """

    volumes: Sequence[Volume] = ()
    api: bool = False
    data: bool = True
    probes: Mapping[str, Any] = field(default_factory=dict[str, Any])
    alone: bool = False


_NOTHING = Extra()


def make_process(
    parent: pulumi.Resource,
    *,
    stack: Stack,
    program: Program,
    needs: Sequence[pulumi.Resource],
    extra: Extra = _NOTHING,
) -> pulumi.Resource:
    """A process' pods, with whatever lets them be found, scaled and guarded; ready before anything that needs it."""
    process = program.manifest.name
    owner = naming.home(process, root=stack.environment.root)
    resolved = resolve(stack, program.command, {**program.settings, **program.secret_files}, program.triggers)
    first, known = prepare(
        parent, stack=stack, owner=owner, process=process, resolved=resolved, data=extra.data, api=extra.api
    )
    options = provider.options(stack, parent=parent, needs=[*needs, *first])
    template: Any = known.apply(lambda both: _template(stack, program, owner, both[0], both[1], extra))
    return _workload(stack, program, owner, template, options, extra)


def make_job(
    parent: pulumi.Resource, *, name: str, stack: Stack, task: Task, needs: Sequence[pulumi.Resource]
) -> pulumi.Resource:
    """A Job named by its content: another command, image, setting or trigger is another Job. None touches the lake."""
    services = naming.services(stack.environment.root)
    owner = task.owner or (stack.name if stack.name in services else naming.SYSTEM)
    resolved = resolve(stack, task.command, {**task.settings, **task.secret_files}, task.triggers)
    first, known = prepare(parent, stack=stack, owner=owner, process=name, resolved=resolved, data=False)

    def spec(both: Sequence[Any]) -> dict[str, Any]:
        return {
            "activeDeadlineSeconds": round(task.timeout),
            "backoffLimit": _RETRIES,
            "template": ending(stack, owner, name, both[0], both[1], cpu=_JOB_CPU, memory=_JOB_MEMORY),
        }

    made: Any = known.apply(spec)
    metadata: Any = made.apply(lambda found: provider.metadata(stack, f"{name}-{content(found)}", owner=owner))
    options = provider.options(stack, parent=parent, needs=[*needs, *first])
    return kubernetes.batch.v1.Job(name, metadata=metadata, spec=made, opts=options)


def prepare(
    parent: pulumi.Resource,
    *,
    stack: Stack,
    owner: str,
    process: str,
    resolved: pulumi.Output[dict[str, Any]],
    data: bool = True,
    api: bool = False,
    named: bool = True,
) -> tuple[list[pulumi.Resource], pulumi.Output[Sequence[Any]]]:
    """What must be there before the pods (see `guard.admit`), and what they are made of once it is known.

    That is `resolved` and the source of the volume with the secrets it names, {} when it names none.
    """
    names = resolved.apply(_secrets_of)
    first = guard.admit(
        parent, stack=stack, owner=owner, process=process, secrets=names, data=data, api=api, named=named
    )
    source = stack.implementation("secret").volume(parent, stack=stack, owner=owner, process=process, names=names)
    known: Any = pulumi.Output.all(resolved, source)
    return first, known


def ending(
    stack: Stack,
    owner: str,
    name: str,
    resolved: Mapping[str, Any],
    secrets: Mapping[str, Any],
    *,
    cpu: str,
    memory: int,
    token: bool = False,
) -> dict[str, Any]:
    """The template of a pod that runs its command to the end, once. `memory` is bytes; `token` as in `pods.pod`."""
    container = Container(
        name=name,
        image=stack.image(image_of(owner)),
        command=resolved["command"],
        env={"HOME": "/tmp", **resolved["env"]},  # noqa: S108 - the pod's own
        cpu=cpu,
        memory=memory,
        volumes=[rendered_volume()] if resolved["rendered"] else [],
    )
    spec = pods.pod(
        [container],
        account=name,
        secrets=secrets,
        init=rendering(container, resolved),
        restart="Never",
        promised=stack.promised,
        token=token,
    )
    return {"metadata": pod_metadata(stack, owner, name, resolved), "spec": spec}


def image_of(owner: str) -> str:
    """The image that pods of `owner` run from."""
    return "platform" if owner == naming.SYSTEM else owner


def content(value: Any) -> str:
    """Eight characters that change with the value."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()[:8]


def resolve(
    stack: Stack,
    command: Sequence[pulumi.Input[str]],
    settings: Mapping[str, pulumi.Input[str]],
    triggers: Mapping[str, pulumi.Input[str]],
) -> pulumi.Output[dict[str, Any]]:
    """Command, environment and triggers as they will be, and the rendered secrets that these name."""
    rendered = {
        path: {"secrets": secrets, "template": template} for path, (template, secrets) in stack.rendered.items()
    }
    given: Any = {
        "command": list(command), "env": dict(settings), "rendered": rendered, "triggers": dict(triggers)
    }  # fmt: skip
    return pulumi.Output.from_input(given).apply(_named)


def rendering(container: Container, resolved: Mapping[str, Any]) -> list[Container]:
    """The init container that composes what `container` names of rendered secrets; none when it names none."""
    if not resolved["rendered"]:
        return []
    return [
        Container(
            name="render",
            image=container.image,
            command=["python", "-m", "leandata.rendering"],
            env={"LEANDATA_RENDER": json.dumps(resolved["rendered"], sort_keys=True)},
            cpu=_RENDER_CPU,
            memory=_RENDER_MEMORY,
            volumes=[rendered_volume()],
        )
    ]


def rendered_volume() -> Volume:
    """Where rendered secrets lie: in memory, and gone with the pod."""
    return Volume(name="rendered", path=pods.RENDERED, source={"emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}})


def _named(given: Mapping[str, Any]) -> dict[str, Any]:
    text = "\n".join([*given["command"], *given["env"].values()])
    return {**given, "rendered": {path: found for path, found in given["rendered"].items() if path in text}}


def _secrets_of(resolved: Mapping[str, Any]) -> list[str]:
    """The secrets that command, environment and rendered files name, sorted."""
    texts = [*resolved["command"], *resolved["env"].values()]
    texts += [path for found in resolved["rendered"].values() for path in found["secrets"].values()]
    return pods.secrets_named(texts)


def pod_metadata(stack: Stack, owner: str, process: str, resolved: Mapping[str, Any]) -> dict[str, Any]:
    """Labels and annotations of a pod: whose it is, and what changes when it is to be replaced."""
    labels = naming.labels(stack.environment, stack=stack.name, service=owner) | {"app.kubernetes.io/name": process}
    said = {"leandata.io/triggers": content(resolved["triggers"])} if resolved["triggers"] else {}
    return {"annotations": said, "labels": labels}


def _template(
    stack: Stack, program: Program, owner: str, resolved: Mapping[str, Any], source: Mapping[str, Any], extra: Extra
) -> dict[str, Any]:
    manifest, ports = program.manifest, naming.ports(stack.environment, program.manifest.name)
    volumes = [Volume(name=_claim(folder), path=folder, source={}) for folder in program.storage]
    volumes += [
        Volume(
            name=_claim(folder),
            path=folder,
            source={"persistentVolumeClaim": {"claimName": f"{_claim(folder)}-{other}-0", "readOnly": True}},
            read_only=True,
        )
        for folder, other in program.shared.items()
    ]
    container = Container(
        name=manifest.name,
        image=stack.image(image_of(owner)),
        command=resolved["command"],
        env={"HOME": "/tmp", **resolved["env"]},  # noqa: S108 - the pod's own
        cpu=manifest.cpu,
        memory=int(manifest.memory),
        ports=list(ports.values()),
        probes=extra.probes or _probes(stack, program),
        linger=_LINGER if ports else 0,
        volumes=[*volumes, *extra.volumes, *([rendered_volume()] if resolved["rendered"] else [])],
    )
    spec = pods.pod(
        [container],
        account=manifest.name,
        secrets=source,
        init=rendering(container, resolved),
        grace=manifest.drain + _LINGER + _MARGIN,
        promised=stack.promised,
        token=extra.api,
        spread=None if program.storage else {"app.kubernetes.io/name": manifest.name},
    )
    claimed = {_claim(folder) for folder in program.storage}
    spec["volumes"] = [volume for volume in spec["volumes"] if volume["name"] not in claimed]
    if program.shared:
        spec["affinity"] = {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": _beside(program)}}
    return {"metadata": pod_metadata(stack, owner, manifest.name, resolved), "spec": spec}


def _probes(stack: Stack, program: Program) -> dict[str, Any]:
    manifest = program.manifest
    asked = program.health or manifest.health
    if not asked:
        return {}
    if asked.startswith("http://"):
        where = urlsplit(asked)
        port, path = where.port or 0, where.path
    else:
        port, path = stack.environment.port(manifest.name), asked
    return pods.probes(port=port, health=path, ready=manifest.ready or path, start=manifest.start_timeout)


def _workload(
    stack: Stack, program: Program, owner: str, template: Any, options: pulumi.ResourceOptions, extra: Extra
) -> pulumi.Resource:
    process = program.manifest.name
    labels = {"app.kubernetes.io/name": process}
    metadata: Any = provider.metadata(stack, process, owner=owner, process=process)
    made: Any = {"selector": {"matchLabels": labels}, "template": template}
    if program.storage:
        claims = [
            {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "metadata": {"name": _claim(folder), "labels": metadata["labels"]},
                "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": str(size)}}},
            }
            for folder, size in sorted(program.storage.items())
        ]
        made |= {"replicas": 1, "serviceName": process, "volumeClaimTemplates": claims}
        return kubernetes.apps.v1.StatefulSet(process, metadata=metadata, spec=made, opts=options)
    least, most = replicas(stack, owner)
    if least == most:
        made |= {"replicas": least}
    rolling = {"maxSurge": 0, "maxUnavailable": 1} if extra.alone else {"maxSurge": 1, "maxUnavailable": 0}
    made |= {
        "minReadySeconds": 1,
        "progressDeadlineSeconds": round(program.manifest.start_timeout) + _PROGRESS,
        "revisionHistoryLimit": 3,
        "strategy": {"rollingUpdate": rolling, "type": "RollingUpdate"},
    }
    deployment = kubernetes.apps.v1.Deployment(process, metadata=metadata, spec=made, opts=options)
    if most > 1:
        _elastic(stack, owner, process, least=least, most=most, options=options)
    return deployment


def replicas(stack: Stack, owner: str) -> tuple[int, int]:
    """Between how many pods the service scales: by its manifest, and by what the environment is given at most."""
    manifest = naming.services(stack.environment.root).get(owner)
    table = stack.environment.file.kubernetes
    if manifest is None or table is None:
        return 1, 1
    return min(manifest.scaling.minimum, table.replicas), min(manifest.scaling.maximum, table.replicas_at_most)


def _elastic(stack: Stack, owner: str, process: str, *, least: int, most: int, options: pulumi.ResourceOptions) -> None:
    if least < most:
        metadata: Any = provider.metadata(stack, process, owner=owner, process=process)
        busy = round(100 * _BUSY / stack.promised)  # percent of what is promised
        scaler: Any = {
            "maxReplicas": most,
            "metrics": [
                {
                    "resource": {"name": "cpu", "target": {"averageUtilization": busy, "type": "Utilization"}},
                    "type": "Resource",
                }
            ],
            "minReplicas": least,
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": process},
        }
        kubernetes.autoscaling.v2.HorizontalPodAutoscaler(process, metadata=metadata, spec=scaler, opts=options)
    guard.make_budget(stack, owner=owner, process=process, options=options)


def _beside(program: Program) -> list[dict[str, Any]]:
    """On the node of whose storage it reads: a volume is mounted on one node."""
    return [
        {
            "labelSelector": {"matchLabels": {"app.kubernetes.io/name": other}},
            "topologyKey": "kubernetes.io/hostname",
        }
        for other in sorted(set(program.shared.values()))
    ]


def _claim(folder: str) -> str:
    return folder.rstrip("/").rpartition("/")[2]
