"""Pods that pass Pod Security *restricted*: what is said here holds for every pod of the platform."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

USER = 10001
SECRETS = "/run/secrets/leandata"
RENDERED = "/run/rendered"
_SECRET = re.compile(rf"{SECRETS}/([a-z0-9-]+)")
_MOUNTED_BYTES = "1Mi"


@dataclass(frozen=True, kw_only=True, slots=True)
class Volume:
    """A volume and where it is mounted; `source` is the volume's own part of the pod, such as {"emptyDir": {...}}."""

    name: str
    path: str
    source: Mapping[str, Any]
    read_only: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Container:
    """One container: `memory` and `scratch` are bytes, `cpu` as Kubernetes writes it; `probes` by their kind.

    Before it is told to end, `stop` is run, or it goes on for `linger` seconds until nobody is sent to it any more.
    """

    name: str
    image: str
    command: Sequence[str]
    env: Mapping[str, str]
    cpu: str
    memory: int
    scratch: int = 256 * 2**20
    ports: Sequence[int] = ()
    probes: Mapping[str, Any] = field(default_factory=dict[str, Any])
    stop: Sequence[str] = ()
    linger: int = 0
    volumes: Sequence[Volume] = ()


def pod(
    containers: Sequence[Container],
    *,
    account: str,
    secrets: Mapping[str, Any],
    init: Sequence[Container] = (),
    grace: float = 30.0,
    promised: float = 0.5,
    token: bool = False,
    restart: str = "Always",
    spread: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """A pod's spec. `secrets` is the source of the one volume with the secrets it names, {} when it names none.

    `grace` is seconds; `promised` is what part of the CPU that a container may use its node keeps for it; `token`
    mounts the service account's token; `spread` are the labels to spread over hosts by.
    """
    everything = [*init, *containers]
    volumes = {volume.name: volume.source for one in everything for volume in one.volumes}
    volumes |= {"secrets": secrets} if secrets else {}
    volumes["tmp"] = {"emptyDir": {"sizeLimit": f"{max(one.scratch for one in everything)}"}}
    spec: dict[str, Any] = {
        "automountServiceAccountToken": token,
        "containers": [_container(one, secrets=bool(secrets), promised=promised) for one in containers],
        "enableServiceLinks": False,
        "restartPolicy": restart,
        "securityContext": {
            "fsGroup": USER,
            "runAsGroup": USER,
            "runAsNonRoot": True,
            "runAsUser": USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "serviceAccountName": account,
        "terminationGracePeriodSeconds": round(grace),
        "volumes": [{"name": name, **source} for name, source in sorted(volumes.items())],
    }
    if init:
        spec["initContainers"] = [_container(one, secrets=bool(secrets), promised=promised) for one in init]
    if spread:
        spec["topologySpreadConstraints"] = [
            {
                "labelSelector": {"matchLabels": dict(spread)},
                "maxSkew": 1,
                "topologyKey": key,
                "whenUnsatisfiable": "ScheduleAnyway",
            }
            for key in ("kubernetes.io/hostname", "topology.kubernetes.io/zone")
        ]
    return spec


def secrets_named(texts: Sequence[str]) -> list[str]:
    """The secrets whose paths stand in any of the texts, sorted: a pod mounts just these."""
    return sorted({found for text in texts for found in _SECRET.findall(text)})


def probes(*, port: int, health: str, ready: str, start: float) -> dict[str, Any]:
    """Three different probes: `start` seconds to come up, traffic only when `ready` answers, a restart when hung.

    `health` is a path, "tcp" or "" (nothing can be asked); `ready` is a path, or "" for the same as `health`.
    """
    if not health:
        return {}

    def asked(path: str) -> dict[str, Any]:
        return {"tcpSocket": {"port": port}} if path == "tcp" else {"httpGet": {"path": path, "port": port}}

    return {
        "livenessProbe": {**asked(health), "failureThreshold": 4, "periodSeconds": 15, "timeoutSeconds": 10},
        "readinessProbe": {**asked(ready or health), "failureThreshold": 2, "periodSeconds": 5, "timeoutSeconds": 5},
        "startupProbe": {
            **asked(health),
            "failureThreshold": max(3, round(start / 5)),
            "periodSeconds": 5,
            "timeoutSeconds": 5,
        },
    }


def _container(one: Container, *, secrets: bool, promised: float) -> dict[str, Any]:
    mounts: list[dict[str, Any]] = [{"mountPath": "/tmp", "name": "tmp"}]  # noqa: S108 - the pod's own
    mounts += [{"mountPath": SECRETS, "name": "secrets", "readOnly": True}] if secrets else []
    mounts += [
        {"mountPath": volume.path, "name": volume.name} | ({"readOnly": True} if volume.read_only else {})
        for volume in one.volumes
    ]
    made: dict[str, Any] = {
        "command": list(one.command),
        "env": [{"name": name, "value": value} for name, value in sorted(one.env.items())],
        "image": one.image,
        "imagePullPolicy": "IfNotPresent",
        "name": one.name,
        "resources": {
            "limits": {"cpu": one.cpu, "ephemeral-storage": str(one.scratch), "memory": str(one.memory)},
            "requests": {
                "cpu": _part(one.cpu, promised),
                "ephemeral-storage": _MOUNTED_BYTES,
                "memory": str(one.memory),
            },
        },
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
            "runAsNonRoot": True,
        },
        "volumeMounts": sorted(mounts, key=lambda mount: str(mount["mountPath"])),
        **one.probes,
    }
    if one.ports:
        made["ports"] = [{"containerPort": port} for port in one.ports]
    if one.linger:
        made["lifecycle"] = {"preStop": {"sleep": {"seconds": one.linger}}}
    if one.stop:
        made["lifecycle"] = {"preStop": {"exec": {"command": list(one.stop)}}}
    return made


def _part(cpu: str, promised: float) -> str:
    milli = int(cpu.removesuffix("m")) if cpu.endswith("m") else round(float(cpu) * 1000)
    return f"{max(10, round(milli * promised))}m"
