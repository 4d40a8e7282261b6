"""Airflow on one machine with workers of its own on the Dask cluster: only where the environment's file asks for them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ci.programs import Program
from ci.testing import declared_by, of_kind
from infra.components.manifest import ServiceManifest
from infra.components.orchestrator import Orchestrator
from infra.components.stack import Stack
from infra.environment import Environment, EnvironmentFile

EXECUTOR = "AIRFLOW__CORE__EXECUTOR"


def declared(*, workers: int) -> Program:
    def program(stack: Stack) -> None:
        file = stack.environment.file
        size = file.orchestrator.model_copy(update={"dask_workers": workers})
        other = replace(stack.environment, file=file.model_copy(update={"orchestrator": size}))
        Orchestrator(
            "airflow",
            stack=replace(stack, environment=other),
            manifest=ServiceManifest.load("airflow"),
            dags="services/airflow/pipelines/dags",
            database_identity="1",
            database_password="/run/airflow",
            settings={"LEANDATA_DASK": "tcp://127.0.0.1:16413"},
            code={"code": "1"},
        )

    return declared_by("local", program, stack="airflow", outputs={})


def test_by_default_airflow_has_the_usual_executor_and_no_worker() -> None:
    found = of_kind(declared(workers=0), "Process")
    assert sorted(found) == ["airflow-api", "airflow-dag-processor", "airflow-scheduler"]
    assert {one.properties["env"][EXECUTOR] for one in found.values()} == {"LocalExecutor"}


def test_each_worker_runs_one_task_at_a_time_knows_where_airflow_is_and_none_of_its_secrets() -> None:
    found = of_kind(declared(workers=2), "Process")
    workers = [one.properties for name, one in sorted(found.items()) if name.startswith("airflow-dask-worker-")]
    assert len(workers) == 2
    for one in workers:
        assert "airflow=1" in one["command"]
        assert "pipelines.executor.worker" in one["command"]
        assert one["env"]["LEANDATA_DASK"] in one["command"]
        assert "AIRFLOW__CORE__EXECUTION_API_SERVER_URL" in one["env"]
        assert not [name for name in one["env"] if name.endswith("_CMD") or "PASSWORD" in name]


def test_all_parts_of_airflow_know_the_executor_so_that_a_task_may_name_it_and_the_usual_one_is_first() -> None:
    found = of_kind(declared(workers=1), "Process")
    assert {one.properties["env"][EXECUTOR] for one in found.values()} == {
        "LocalExecutor,DaskExecutor:pipelines.executor.scheduling.DaskExecutor"
    }


@pytest.mark.parametrize("name", ["cluster", "dev", "prod", "staging"])
def test_in_pods_there_are_no_such_workers_and_to_ask_for_them_is_refused(name: str) -> None:
    file = Environment.load(name, environ={}).file
    assert file.orchestrator.dask_workers == 0
    asked = file.model_copy(update={"orchestrator": file.orchestrator.model_copy(update={"dask_workers": 1})})
    with pytest.raises(ValueError, match="each task has a pod of its own"):
        EnvironmentFile.model_validate({key: getattr(asked, key) for key in EnvironmentFile.model_fields})
