"""A real Airflow with tasks on a real Dask cluster, for tests: each process can be killed and started again."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from infra.environment import ROOT
from infra.provider import health
from infra.testing import parts

PASSWORD = "for-tests"
EXECUTORS = "LocalExecutor,DaskExecutor:pipelines.executor.scheduling.DaskExecutor"


@dataclass(slots=True)
class Airflow:
    """API server, DAG processor, scheduler; a Dask scheduler and its workers. All state is under `folder`.

    `settings` are what tasks of the usual executor are told besides.
    """

    folder: Path
    database: str
    port: int
    settings: dict[str, str] = field(default_factory=dict[str, str])
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    _stack: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)
    _client: httpx.Client | None = None

    @property
    def dask(self) -> str:
        return f"tcp://127.0.0.1:{self.port + 2}"

    @property
    def plain(self) -> dict[str, str]:
        """What a worker is told: nothing of it is secret."""
        return {
            "AIRFLOW_HOME": str(self.folder),
            "AIRFLOW__API__BASE_URL": f"http://127.0.0.1:{self.port}",
            "AIRFLOW__API__HOST": "127.0.0.1",
            "AIRFLOW__API__PORT": str(self.port),
            "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
            "AIRFLOW__CORE__DAGS_FOLDER": str(self.folder / "dags"),
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{self.port}/execution/",
            "AIRFLOW__CORE__EXECUTOR": EXECUTORS,
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__PARALLELISM": "2",
            "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.5",
            "AIRFLOW__SCHEDULER__ENABLE_HEALTH_CHECK": "True",
            "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_SERVER_HOST": "127.0.0.1",
            "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_SERVER_PORT": str(self.port + 1),
            "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_SEC": "2",
            "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
            "AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT": "60",
            "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
            "LEANDATA_DASK": self.dask,
        }

    @property
    def secret(self) -> dict[str, str]:
        """What only Airflow's own processes are told."""
        return {
            "AIRFLOW__API_AUTH__JWT_SECRET": "0123456789abcdef" * 4,
            "AIRFLOW__API__SECRET_KEY": "0123456789abcdef" * 2,
            "AIRFLOW__API__WORKERS": "1",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(self.folder / "passwords"),
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": "admin:admin",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": self.database,
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_ASYNC": self.database,
            "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "5",
        }

    def start(self, name: str) -> None:
        """Start one process and wait until it answers: api, processor, scheduler, dask, or worker-N."""
        airflow, url = (sys.executable, "-m", "airflow"), f"http://127.0.0.1:{self.port}"
        environ, ready = {**self.plain, **self.secret}, None
        if name == "api":
            command, ready = (*airflow, "api-server"), f"{url}/execution/health"
        elif name == "scheduler":
            command, ready = (*airflow, "scheduler", "--skip-serve-logs"), f"http://127.0.0.1:{self.port + 1}/health"
            environ |= self.settings
        elif name == "processor":
            command = (*airflow, "dag-processor")
        elif name == "dask":
            address = ("--host", "127.0.0.1", "--port", str(self.port + 2))
            command = (sys.executable, "-m", "distributed.cli.dask_scheduler", *address, "--no-dashboard")
            command = (*command, "--dashboard-address", f"127.0.0.1:{self.port + 3}")
            environ, ready = {}, f"http://127.0.0.1:{self.port + 3}/health"
        else:
            command = (sys.executable, "-m", "distributed.cli.dask_worker", self.dask, "--name", name)
            options = ("--host", "127.0.0.1", "--nthreads", "1", "--no-nanny", "--no-dashboard")
            command = (*command, *options, "--resources", "airflow=1", "--preload", "pipelines.executor.worker")
            environ = {**self.plain, "DASK_TEMPORARY_DIRECTORY": str(self.folder / "dask")}
        inherited = {key: value for key, value in os.environ.items() if not key.startswith(("AIRFLOW", "LEANDATA"))}
        command = ("env", "-i", *(f"{key}={value}" for key, value in {**inherited, **environ}.items()), *command)
        asked = {"kind": "http", "url": ready, "port": 0}
        log = self.folder / f"{name}.log"
        begun = parts.running(command, ready=lambda: not ready or health.healthy(asked), log=log, seconds=180)
        self.processes[name] = self._stack.enter_context(begun)

    def kill(self, name: str, *, children: bool = False) -> None:
        """End one process at once, with `children` also those that it began, as a power cut would."""
        if children:
            parts.kill_tree(self.processes[name].pid)
        self.processes[name].kill()
        self.processes[name].wait()

    def stop(self) -> None:
        self._stack.close()

    def ask(self, method: str, path: str, **body: Any) -> Any:
        """What Airflow's API says to a person who is signed in. `path` starts after /api/v2."""
        if self._client is None:
            base = f"http://127.0.0.1:{self.port}"
            said = httpx.post(f"{base}/auth/token", json={"username": "admin", "password": PASSWORD}, timeout=60)
            headers = {"Authorization": f"Bearer {said.raise_for_status().json()['access_token']}"}
            self._client = self._stack.enter_context(httpx.Client(base_url=base, headers=headers, timeout=60))
        said = self._client.request(method, f"/api/v2{path}", json=body or None)
        return said.raise_for_status().json()

    def run(self, dag: str) -> str:
        """Start a run of a DAG; its path."""
        known = parts.eventually(lambda: self._knows(dag), seconds=120)
        assert known, dag
        said = self.ask("POST", f"/dags/{dag}/dagRuns", logical_date=None)
        return f"/dags/{dag}/dagRuns/{said['dag_run_id']}"

    def state(self, run: str) -> str:
        return str(self.ask("GET", run)["state"])

    def tasks(self, run: str) -> dict[str, dict[str, Any]]:
        return {one["task_id"]: one for one in self.ask("GET", f"{run}/taskInstances")["task_instances"]}

    def log(self, run: str, task: str, *, attempt: int = 1) -> str:
        """What a person reads of one try, from the page's own route."""
        return str(self.ask("GET", f"{run}/taskInstances/{task}/logs/{attempt}?full_content=true"))

    def ends(self, run: str, *, seconds: float = 120) -> str:
        """The state of a run that is over."""
        return parts.eventually(
            lambda: state if (state := self.state(run)) in ("failed", "success") else "", seconds=seconds
        )

    def _knows(self, dag: str) -> bool:
        found = self.ask("GET", "/dags")["dags"]
        return any(one["dag_id"] == dag for one in found)


@contextlib.contextmanager
def airflow(
    folder: Path, *, database: str, dags: str, workers: int, settings: dict[str, str] | None = None
) -> Generator[Airflow]:
    """All of it, with `dags` as the text of its one file of DAGs."""
    (folder / "dags").mkdir(parents=True)
    (folder / "dags" / "made.py").write_text(dags)
    (folder / "passwords").write_text(f'{{"admin": "{PASSWORD}"}}')
    found = Airflow(folder=folder, database=database, port=parts.free_port(count=4), settings=settings or {})
    known = {**os.environ, **found.plain, **found.secret}
    subprocess.run(
        [sys.executable, "-m", "airflow", "db", "migrate"], env=known, cwd=ROOT, check=True, capture_output=True
    )
    try:
        for name in (
            "dask",
            "api",
            "processor",
            *(f"worker-{number}" for number in range(1, workers + 1)),
            "scheduler",
        ):
            found.start(name)
        yield found
    finally:
        found.stop()
