"""Where sleep and wake are carried out: Kubernetes, RDS, Snowflake by their clients, one machine by its supervisor."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from infra.environment import Environment
from infra.provider import health
from infra.provider.supervisor import Supervisor
from leandata.errors import LeandataError

_ALREADY = ("InvalidDBInstanceState", "InvalidDBInstanceStateFault")
_WAREHOUSE_SUSPENDED = 90064  # "invalid state: warehouse cannot be suspended", for one that is suspended


@dataclass(slots=True)
class Cloud:
    """The edge of an environment in the cloud; each client is made when it is first asked for."""

    kubernetes: Callable[[], Any]
    custom: Callable[[], Any]
    batch: Callable[[], Any]
    rds: Callable[[], Any]
    snowflake: Callable[[], Any]
    _made: dict[str, Any] = field(default_factory=dict[str, Any])

    @classmethod
    def of(cls, environment: Environment) -> Cloud:
        """The real clients: the current kubectl context, AWS' usual credentials, Snowflake's default connection."""
        return cls(
            kubernetes=lambda: _kubernetes().AppsV1Api(),
            custom=lambda: _kubernetes().CustomObjectsApi(),
            batch=lambda: _kubernetes().BatchV1Api(),
            rds=lambda: _rds(environment),
            snowflake=_snowflake,
        )

    def scale(self, kind: str, namespace: str, name: str, *, count: int) -> None:
        """Set the replicas of a Deployment or StatefulSet; an autoscaler leaves one of 0 replicas alone."""
        call = "patch_namespaced_deployment_scale" if kind == "Deployment" else "patch_namespaced_stateful_set_scale"
        self._ask("kubernetes", call, name, namespace, {"spec": {"replicas": count}})

    def workers(self, namespace: str, name: str, *, count: int) -> None:
        """Set the workers of a DaskCluster, and keep its autoscaler, if there is one, from making others."""
        group = ("kubernetes.dask.org", "v1", namespace)
        body = {"spec": {"worker": {"replicas": count}}}
        self._ask("custom", "patch_namespaced_custom_object", *group, "daskclusters", name, body)
        listed = self._ask("custom", "list_namespaced_custom_object", *group, "daskautoscalers")
        for scaler in listed.get("items", []):
            if scaler["spec"].get("cluster") == name:
                bounds = _bounds(scaler, count=count)
                own = scaler["metadata"]["name"]
                self._ask("custom", "patch_namespaced_custom_object", *group, "daskautoscalers", own, bounds)

    def suspend(self, namespace: str, name: str, *, suspended: bool) -> None:
        """Suspend or resume a CronJob."""
        self._ask("batch", "patch_namespaced_cron_job", name, namespace, {"spec": {"suspend": suspended}})

    def database(self, name: str, *, running: bool) -> None:
        """Start or stop an RDS instance; one that is so already is left alone."""
        call = "start_db_instance" if running else "stop_db_instance"
        try:
            getattr(self._client("rds"), call)(DBInstanceIdentifier=name)
        except Exception as error:
            code = (getattr(error, "response", None) or {}).get("Error", {}).get("Code", "")
            if code not in _ALREADY:
                raise _refused(error, "AWS") from error

    def warehouse(self, name: str, *, running: bool) -> None:
        """Suspend a warehouse; awake, the next query resumes it, so nothing is done."""
        if running:
            return
        quoted = '"' + name.replace('"', '""') + '"'
        try:
            self._client("snowflake").cursor().execute(f"ALTER WAREHOUSE {quoted} SUSPEND")
        except Exception as error:
            if getattr(error, "errno", None) != _WAREHOUSE_SUSPENDED:
                raise _refused(error, "Snowflake") from error

    def _client(self, name: str) -> Any:
        if name not in self._made:
            self._made[name] = getattr(self, name)()
        return self._made[name]

    def _ask(self, name: str, call: str, *arguments: Any) -> Any:
        try:
            return getattr(self._client(name), call)(*arguments)
        except LeandataError:
            raise
        except Exception as error:
            raise _refused(error, "Kubernetes") from error


def _bounds(scaler: dict[str, Any], *, count: int) -> dict[str, Any]:
    """The autoscaler's bounds: none asleep; awake those that it had, which an annotation has kept."""
    kept = (scaler["metadata"].get("annotations") or {}).get("leandata.io/awake")
    low, high = int(scaler["spec"]["minimum"]), int(scaler["spec"]["maximum"])
    if count == 0 and high > 0:
        return {
            "metadata": {"annotations": {"leandata.io/awake": f"{low}-{high}"}},
            "spec": {"minimum": 0, "maximum": 0},
        }
    if count and kept:
        low, high = (int(number) for number in kept.split("-"))
        return {"metadata": {"annotations": {"leandata.io/awake": None}}, "spec": {"minimum": low, "maximum": high}}
    return {"spec": {"minimum": low, "maximum": high}}


def _refused(error: Exception, who: str) -> LeandataError:
    said = getattr(error, "reason", None) or str(error) or type(error).__name__
    return LeandataError(f"{who} refuses: {' '.join(str(said).split())[:200]}")


def _kubernetes() -> Any:
    import kubernetes

    try:
        kubernetes.config.load_kube_config()
    except kubernetes.config.ConfigException as error:
        hint = "aws eks update-kubeconfig --name <cluster>"
        raise LeandataError("no kubectl context leads to the cluster", hint=hint) from error
    return kubernetes.client


def _rds(environment: Environment) -> Any:
    import boto3

    assert environment.file.aws is not None
    return boto3.client("rds", region_name=environment.file.aws.region)


def _snowflake() -> Any:
    import snowflake.connector

    return snowflake.connector.connect()


# -- one machine -------------------------------------------------------------------------------------------------------


def stop(supervisor: Supervisor) -> list[str]:
    """Stop every process that the supervisor runs, those that need others first; their names, sorted."""
    running = sorted(status.name for status in supervisor.status() if status.pid)
    supervisor.stop_all()
    return running


def start(supervisor: Supervisor, *, said: Callable[[str], None]) -> list[str]:
    """Start what is stopped, those that others need first, each until it is healthy. The problems, one line each."""
    supervisor.ensure()
    problems: list[str] = []
    for name in starting_order(supervisor):
        status = supervisor.one(name)
        if status is not None and status.pid:
            continue
        started = time.monotonic()
        supervisor.restart(name)
        specification = supervisor.specification(name) or {}
        asked = specification.get("health", {"kind": "running"})
        if health.wait(asked, alive=lambda: True, timeout=specification.get("start_timeout", 60.0)):
            said(f"{name} runs ({time.monotonic() - started:.1f}s)")
        else:
            last = " | ".join(health.last_lines(supervisor.log_path(name)))
            problems.append(f"{name} is not healthy; its log ends: {last}")
    return problems


def starting_order(supervisor: Supervisor) -> list[str]:
    """The processes, those that others need first."""
    return sorted(
        supervisor.names(), key=lambda name: ((supervisor.specification(name) or {}).get("priority", 0), name)
    )
