"""Airflow on Kubernetes: its four processes, a pod for every task, and upkeep by the clock.

Each process gets what it needs and no more: who decides what runs has the keys, who runs pipelines has none of them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any
from urllib.parse import urlsplit

import pulumi
import pulumi_kubernetes as kubernetes

from infra.components.kubernetes import compute, guard, pods, provider, schedule, service, task_pods
from infra.components.kubernetes.pods import Volume
from infra.components.kubernetes.service import Extra
from infra.components.manifest import ServiceManifest
from infra.components.secret import Kind, RenderedSecret, Secret
from infra.components.service import Job, Program, Task, Texts
from infra.components.stack import Stack

API, PROCESSOR, SCHEDULER, TASK, TRIGGERER = (
    "airflow-api", "airflow-dag-processor", "airflow-scheduler", "airflow-task", "airflow-triggerer",
)  # fmt: skip
CLEANUP, CLEAN = "airflow-cleanup-pods", "airflow-db-clean"
LOGS = "airflow-logs"
_CONNECTION = "airflow-database"
_HOME, _KEPT_LOGS = "/tmp/airflow", "/var/lib/leandata/airflow-logs"  # noqa: S108 - the pod's own
_LOG_BYTES = 2 * 2**30
_KEPT_DAYS = 90  # of runs in the metadata database
_KEPT_MINUTES = 60  # of a failed task's pod, to look at
_CLEAN = (
    'exec python -m airflow db clean --yes --skip-archive --clean-before-timestamp "$(date --utc --date'
    f" '{_KEPT_DAYS} days ago' +%Y-%m-%dT%H:%M:%SZ)\""
)
_FAILURE = ("AIRFLOW_URL", "ENVIRONMENT", "LOG", "MAIL", "OWNER_MAIL", "SERVICE")
"""What is needed to tell the owner of a task whose pod died: the DAG processor does that."""
_EVERYWHERE: Mapping[str, str] = {
    "AIRFLOW_HOME": _HOME,
    "AIRFLOW__CORE__HOSTNAME_CALLABLE": "socket.gethostname",  # by this name a process is asked for its heartbeat
    "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    "AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT": "30",
}
_CONTROL: Mapping[str, str] = {
    "AIRFLOW__CORE__EXECUTOR": "KubernetesExecutor",
    "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
    "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "10",
    "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "60",
    "AIRFLOW__KUBERNETES_EXECUTOR__DELETE_WORKER_PODS_ON_FAILURE": "False",
    "AIRFLOW__KUBERNETES_EXECUTOR__POD_TEMPLATE_FILE": f"{task_pods.FOLDER}/{task_pods.FILE}",
    "AIRFLOW__KUBERNETES_EXECUTOR__TASK_PUBLISH_MAX_RETRIES": "5",
    "AIRFLOW__KUBERNETES_EXECUTOR__WORKER_PODS_CREATION_BATCH_SIZE": "8",
    "AIRFLOW__LOGGING__DAG_PROCESSOR_LOG_TARGET": "stdout",
    "AIRFLOW__SCHEDULER__ENABLE_HEALTH_CHECK": "True",
    "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD": "180",
    "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.5",
    "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT": "1800",
}
RULES: Mapping[str, list[dict[str, Any]]] = {
    SCHEDULER: [
        {
            "apiGroups": [""],
            "resources": ["pods"],
            "verbs": ["create", "delete", "get", "list", "patch", "watch"],
        },
    ],
    API: [
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]},
        {"apiGroups": [""], "resources": ["pods/log"], "verbs": ["get"]},
    ],
    CLEANUP: [{"apiGroups": [""], "resources": ["pods"], "verbs": ["delete", "list"]}],
}
"""What each process may do in the namespace of Airflow; the others may do nothing."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Logs:
    """Where the logs of tasks are kept: what those who write or read them are told, and what they mount."""

    settings: Texts
    volumes: Sequence[Volume] = ()
    made: Sequence[pulumi.Resource] = field(default_factory=list[pulumi.Resource])


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """What each part is told: all of them, those that decide, and by process what nobody else needs."""

    everywhere: Texts
    control: Texts
    database: Texts
    keys: Mapping[str, Texts]
    tasks: Texts

    def of(self, process: str) -> Texts:
        """What one of the deciding processes is told."""
        return {**self.everywhere, **self.control, **self.database, **self.keys.get(process, {})}


def make(
    parent: pulumi.Resource,
    *,
    stack: Stack,
    manifest: ServiceManifest,
    dags: str,
    database_identity: pulumi.Input[str],
    database_password: pulumi.Input[str],
    settings: Texts,
    code: Texts,
) -> tuple[pulumi.Output[str], pulumi.Output[str]]:
    """Secrets, the migrated database, processes, pods of tasks and upkeep; the page and the password's file."""
    password = Secret("airflow-password", stack=stack, parent=parent)
    logs = _logs(parent, stack=stack)
    told = _settings(
        parent, stack=stack, dags=dags, password=password.path, database_password=database_password, tasks=settings
    )
    release: Texts = {"version": version("apache-airflow"), **code}
    migrate = Job(
        "airflow-migrate",
        stack=stack,
        task=Task(
            command=_airflow("db", "migrate"),
            settings={**told.everywhere, **told.database},
            triggers={"database": database_identity, **release},
        ),
        parent=parent,
    )
    rights = [right for process in RULES for right in _rights(parent, stack=stack, process=process)]
    needs = [migrate.run, *rights, *logs.made]
    tasks = task_pods.make_template(
        parent,
        stack=stack,
        manifest=manifest.one(TASK),
        settings={**told.everywhere, **logs.settings, **told.tasks},
        volumes=logs.volumes,
        needs=[migrate.run, *logs.made],
    )
    _processes(parent, stack=stack, manifest=manifest, told=told, logs=logs, needs=[*needs, tasks])
    _upkeep(parent, stack=stack, told=told, needs=needs)
    return pulumi.Output.from_input(stack.page(API)), password.path


def _processes(
    parent: pulumi.Resource,
    *,
    stack: Stack,
    manifest: ServiceManifest,
    told: Settings,
    logs: Logs,
    needs: Sequence[pulumi.Resource],
) -> None:
    """The API server, and when it answers the others: without it every task would fail."""

    def run(process: str, command: list[str], extra: Extra, after: Sequence[pulumi.Resource] = ()) -> pulumi.Resource:
        reading = logs.settings if process in (API, TRIGGERER) else {}
        program = Program(
            manifest=manifest.one(process), command=_airflow(*command), settings={**told.of(process), **reading}
        )
        _budget(parent, stack=stack, process=process)
        return service.make_process(parent, stack=stack, program=program, needs=[*needs, *after], extra=extra)

    api = stack.listen(API)
    server = run(
        API,
        ["api-server", "--host", api.bind, "--port", str(api.port)],
        Extra(api=True, data=False, volumes=[_reading(volume) for volume in logs.volumes]),
    )
    mounted = [task_pods.mounted()]
    run(SCHEDULER, ["scheduler", "--skip-serve-logs"], Extra(api=True, data=False, volumes=mounted), after=[server])
    checked = _checked("DagProcessorJob", start=manifest.one(PROCESSOR).start_timeout)
    run(PROCESSOR, ["dag-processor"], Extra(data=False, probes=checked))
    checked = _checked("TriggererJob", start=manifest.one(TRIGGERER).start_timeout)
    run(TRIGGERER, ["triggerer", "--skip-serve-logs"], Extra(data=False, probes=checked, volumes=logs.volumes))


def _upkeep(parent: pulumi.Resource, *, stack: Stack, told: Settings, needs: Sequence[pulumi.Resource]) -> None:
    """Pods of tasks that are over are removed, and so are old runs in the metadata database."""
    space = provider.namespace(stack, stack.name)
    clean = ["kubernetes", "cleanup-pods", "--namespace", space, "--min-completed-minutes", str(_KEPT_MINUTES)]
    make: Callable[..., pulumi.Resource] = schedule.make_schedule
    task = Task(command=_airflow(*clean), settings=dict(_EVERYWHERE))
    make(parent, name=CLEANUP, stack=stack, task=task, at="*/20 * * * *", needs=needs, api=True)
    task = Task(command=["sh", "-c", _CLEAN], settings={**_EVERYWHERE, **told.database}, timeout=1800)
    make(parent, name=CLEAN, stack=stack, task=task, at="30 3 * * 0", needs=needs)


def _settings(
    parent: pulumi.Resource,
    *,
    stack: Stack,
    dags: str,
    password: pulumi.Input[str],
    database_password: pulumi.Input[str],
    tasks: Texts,
) -> Settings:
    api, scheduler = stack.listen(API), stack.listen(SCHEDULER)
    everywhere: Texts = {
        **_EVERYWHERE,
        "AIRFLOW__CORE__DAGS_FOLDER": in_image(dags, service=stack.name),
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{api.url}/execution/",
    }
    control: Texts = {
        **_CONTROL,
        "AIRFLOW__API__BASE_URL": stack.page(API),
        "AIRFLOW__CORE__PARALLELISM": str(stack.environment.file.orchestrator.parallelism),
        "AIRFLOW__KUBERNETES_EXECUTOR__NAMESPACE": provider.namespace(stack, stack.name),
        "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_SERVER_HOST": scheduler.bind,
        "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_SERVER_PORT": str(scheduler.port),
    }
    keys, database = _secrets(
        parent, stack=stack, password=password, database_password=database_password, server=tasks["LEANDATA_SERVING"]
    )
    keys[PROCESSOR] = {f"LEANDATA_{name}": tasks[f"LEANDATA_{name}"] for name in _FAILURE}
    tls = compute.secured(f"{pods.SECRETS}/{compute.TLS}")
    return Settings(
        everywhere=everywhere,
        control=control,
        database=database,
        keys=keys,
        tasks={**tasks, **tls, "AIRFLOW__CORE__EXECUTOR": "LocalExecutor"},
    )


def _secrets(
    parent: pulumi.Resource,
    *,
    stack: Stack,
    password: pulumi.Input[str],
    database_password: pulumi.Input[str],
    server: pulumi.Input[str],
) -> tuple[dict[str, Texts], Texts]:
    """Options that Airflow reads from a command, which only names a file: by process, and those of the database."""
    template = '{{"admin": "{password}"}}'
    passwords = RenderedSecret(
        "airflow-passwords", stack=stack, template=template, secrets={"password": password}, parent=parent
    )
    secured = "?sslmode=require" if stack.environment.substrate("database") == "rds" else ""
    connection = RenderedSecret(
        _CONNECTION,
        stack=stack,
        template=pulumi.Output.from_input(server).apply(
            lambda address: f"postgresql+psycopg://airflow:{{password}}@{server_of(address)}/airflow{secured}"
        ),
        secrets={"password": database_password},
        parent=parent,
    )

    def made(option: str, kind: Kind) -> Texts:
        name = f"airflow-{option.partition('__')[2].replace('_', '-')}"
        return _read(option, Secret(name, stack=stack, kind=kind, parent=parent).path)

    token, session = made("api_auth__jwt_secret", "hex"), made("api__secret_key", "hex")
    # psycopg does both; Airflow would look for asyncpg by itself.
    database = {
        **_read("database__sql_alchemy_conn", connection.path),
        **_read("database__sql_alchemy_conn_async", connection.path),
        **made("core__fernet_key", "fernet"),
    }
    people: Texts = {
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": passwords.path,
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": "admin:admin",
    }
    return {API: {**token, **session, **people}, SCHEDULER: token}, database


def _read(option: str, path: pulumi.Input[str]) -> dict[str, pulumi.Input[str]]:
    return {f"AIRFLOW__{option.upper()}_CMD": pulumi.Output.concat("cat '", path, "'")}


def server_of(address: str) -> str:
    """Host and port of a database's address: the metadata lies on the same server."""
    return urlsplit(address).netloc.rpartition("@")[2]


def in_image(dags: str, *, service: str) -> str:
    """Where the DAGs' folder lies in the service's image."""
    return f"/app/{dags.removeprefix(f'services/{service}/')}"


def _airflow(*arguments: str) -> list[str]:
    return ["python", "-m", "airflow", *arguments]


def _checked(job: str, *, start: float) -> dict[str, Any]:
    """Probes of a process that listens nowhere: it is asked when its heart last beat. `start` is in seconds."""
    command = ["python", "-m", "pipelines.heartbeat", job, f"{pods.RENDERED}/{_CONNECTION}"]
    asked = {"exec": {"command": command}, "timeoutSeconds": 45}
    return {
        "livenessProbe": {**asked, "failureThreshold": 4, "periodSeconds": 60},
        "readinessProbe": {**asked, "failureThreshold": 2, "periodSeconds": 30},
        "startupProbe": {**asked, "failureThreshold": max(3, round(start / 10)), "periodSeconds": 10},
    }


def _logs(parent: pulumi.Resource, *, stack: Stack) -> Logs:
    """On AWS the lake's zone for logs; elsewhere a volume that API server, triggerer and tasks share."""
    aws = stack.environment.file.aws
    if aws is not None:
        from infra.components.aws import lake

        connection = {"conn_type": "aws", "extra": {"region_name": aws.region}}
        return Logs(
            settings={
                "AIRFLOW_CONN_LOGS": json.dumps(connection, sort_keys=True),
                "AIRFLOW__LOGGING__DELETE_LOCAL_LOGS": "True",
                "AIRFLOW__LOGGING__REMOTE_BASE_LOG_FOLDER": f"{lake.address(stack.environment, lake.LOGS)}/airflow",
                "AIRFLOW__LOGGING__REMOTE_LOGGING": "True",
                "AIRFLOW__LOGGING__REMOTE_LOG_CONN_ID": "logs",
            }
        )
    metadata: Any = provider.metadata(stack, LOGS, owner=stack.name)
    metadata["annotations"] = {"pulumi.com/skipAwait": "true"}  # it is bound when the first pod uses it
    spec: Any = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": str(_LOG_BYTES)}}}
    options = provider.options(stack, parent=parent)
    claim = kubernetes.core.v1.PersistentVolumeClaim(LOGS, metadata=metadata, spec=spec, opts=options)
    volume = Volume(name="logs", path=_KEPT_LOGS, source={"persistentVolumeClaim": {"claimName": LOGS}})
    return Logs(settings={"AIRFLOW__LOGGING__BASE_LOG_FOLDER": _KEPT_LOGS}, volumes=[volume], made=[claim])


def _reading(volume: Volume) -> Volume:
    return Volume(name=volume.name, path=volume.path, source=volume.source, read_only=True)


def _rights(parent: pulumi.Resource, *, stack: Stack, process: str) -> list[pulumi.Resource]:
    metadata: Any = provider.metadata(stack, process, owner=stack.name, process=process)
    rules: Any = RULES[process]
    reference: Any = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": process}
    subjects: Any = [{"kind": "ServiceAccount", "name": process, "namespace": metadata["namespace"]}]
    options, rbac = provider.options(stack, parent=parent), kubernetes.rbac.v1
    return [
        rbac.Role(process, metadata=metadata, rules=rules, opts=options),
        rbac.RoleBinding(process, metadata=metadata, role_ref=reference, subjects=subjects, opts=options),
    ]


def _budget(parent: pulumi.Resource, *, stack: Stack, process: str) -> None:
    """A budget for a process of one pod; make_process gives one to those with more."""
    if service.replicas(stack, stack.name)[1] > 1:
        return
    options = provider.options(stack, parent=parent)
    guard.make_budget(stack, owner=stack.name, process=process, options=options)
