"""Airflow on one machine: API server, scheduler with LocalExecutor, and DAG processor.

There is no triggerer: nothing of ours defers, and an idle one costs 180 MB (docs/adr/0002). With
`[orchestrator] dask_workers` there are workers of the Dask cluster besides, for tasks that ask for them.
"""

from __future__ import annotations

from importlib.metadata import version

import pulumi

from infra.components.manifest import ProcessManifest, ServiceManifest
from infra.components.secret import Kind, RenderedSecret, Secret
from infra.components.service import Job, Program, Service, Task, Texts
from infra.components.stack import Stack

_FIXED: dict[str, pulumi.Input[str]] = {
    "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
    "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": "admin:admin",
    "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "10",
    "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "60",
    "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.5",
    "AIRFLOW__SCHEDULER__ENABLE_HEALTH_CHECK": "True",
    "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_SERVER_HOST": "127.0.0.1",
    "AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT": "30",
    "AIRFLOW__API__WORKERS": "1",
    "AIRFLOW__API__HOST": "127.0.0.1",
    "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
}
_LOCAL, _ON_DASK = "LocalExecutor", "DaskExecutor:pipelines.executor.scheduling.DaskExecutor"


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
    """Secrets, the migrated metadata database and the three processes; the address and the password's file."""
    password = Secret("airflow-password", stack=stack, parent=parent)
    secrets = _secrets(parent, stack=stack, password=password.path, database_password=database_password)
    plain = _settings(stack, dags=dags)
    everything: Texts = {**plain, **secrets, **settings}
    airflow = (stack.python, "-m", "airflow")
    release: Texts = {"version": version("apache-airflow")}  # another one migrates first, then restarts all parts
    migrate = Job(
        "airflow-migrate",
        stack=stack,
        task=Task(
            command=[*airflow, "db", "migrate"],
            settings=everything,
            triggers={"database": database_identity, **release},
        ),
        parent=parent,
    )
    api, scheduler = stack.listen("airflow-api"), stack.listen("airflow-scheduler")
    programs = [
        Program(
            manifest=manifest.one("airflow-api"),
            command=[*airflow, "api-server", "--host", api.host, "--port", str(api.port)],
            settings=everything,
            triggers=release,
            health=f"{api.url}/execution/health",
        ),
        Program(
            manifest=manifest.one("airflow-dag-processor"),
            command=[*airflow, "dag-processor"],
            settings=everything,
            triggers=release,
        ),
        Program(
            manifest=manifest.one("airflow-scheduler"),
            command=[*airflow, "scheduler", "--skip-serve-logs"],
            settings=everything,
            start_after=["airflow-api"],
            triggers={**code, **release},
            health=f"{scheduler.url}/health",
        ),
        *_workers(stack, manifest.one("airflow-task"), settings={**plain, **settings}, triggers={**code, **release}),
    ]
    Service("airflow", stack=stack, programs=programs, needs=[migrate.run], parent=parent)
    return pulumi.Output.from_input(api.url), password.path


def _workers(stack: Stack, manifest: ProcessManifest, *, settings: Texts, triggers: Texts) -> list[Program]:
    """Workers of the Dask cluster that run whole tasks, one at a time each; they get none of Airflow's secrets."""
    folder = stack.folder("airflow-dask")
    return [
        Program(
            manifest=manifest.model_copy(update={"name": f"airflow-dask-worker-{number}"}),
            command=[
                *(stack.python, "-m", "distributed.cli.dask_worker", f"tcp://{stack.listen('dask-scheduler').address}"),
                *("--name", f"airflow-{number}", "--host", stack.listen("dask-scheduler").host, "--nthreads", "1"),
                *("--resources", "airflow=1", "--preload", "pipelines.executor.worker"),
                *("--memory-limit", str(manifest.memory), "--no-nanny", "--no-dashboard", "--local-directory", folder),
            ],
            settings={**settings, "DASK_TEMPORARY_DIRECTORY": folder},
            triggers=triggers,
        )
        for number in range(1, stack.environment.file.orchestrator.dask_workers + 1)
    ]


def _settings(stack: Stack, *, dags: str) -> Texts:
    on_dask = stack.environment.file.orchestrator.dask_workers > 0
    api, scheduler = stack.listen("airflow-api"), stack.listen("airflow-scheduler")
    return {
        **_FIXED,
        "AIRFLOW__CORE__EXECUTOR": f"{_LOCAL},{_ON_DASK}" if on_dask else _LOCAL,
        "AIRFLOW_HOME": stack.folder("airflow"),
        "AIRFLOW__API__BASE_URL": api.url,
        "AIRFLOW__API__PORT": str(api.port),
        "AIRFLOW__CORE__DAGS_FOLDER": str(stack.environment.root / dags),
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{api.url}/execution/",
        "AIRFLOW__CORE__PARALLELISM": str(stack.environment.file.orchestrator.parallelism),
        "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_SERVER_PORT": str(scheduler.port),
    }


def _secrets(
    parent: pulumi.Resource,
    *,
    stack: Stack,
    password: pulumi.Input[str],
    database_password: pulumi.Input[str],
) -> Texts:
    """The options that Airflow reads from a command: the secret stays in its file, the command only names it."""
    passwords = RenderedSecret(
        "airflow-passwords",
        stack=stack,
        template='{{"admin": "{password}"}}',
        secrets={"password": password},
        parent=parent,
    )
    server = stack.listen("postgres")
    connection = RenderedSecret(
        "airflow-database",
        stack=stack,
        template=f"postgresql+psycopg://airflow:{{password}}@{server.address}/airflow",
        secrets={"password": database_password},
        parent=parent,
    )
    kinds: dict[str, Kind] = {"core__fernet_key": "fernet", "api__secret_key": "hex", "api_auth__jwt_secret": "hex"}
    made = {
        option: Secret(f"airflow-{option.split('__')[1].replace('_', '-')}", stack=stack, kind=kind, parent=parent)
        for option, kind in kinds.items()
    }
    paths = {option: secret.path for option, secret in made.items()}
    # psycopg does both; Airflow would look for asyncpg by itself.
    paths |= {f"database__sql_alchemy_conn{suffix}": connection.path for suffix in ("", "_async")}
    commands: dict[str, pulumi.Input[str]] = {
        f"AIRFLOW__{option.upper()}_CMD": pulumi.Output.concat("cat '", path, "'") for option, path in paths.items()
    }
    return {**commands, "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": passwords.path}
