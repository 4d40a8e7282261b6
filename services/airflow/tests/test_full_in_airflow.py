"""FULL=yes in a real Airflow: from the run that is asked for to the task, and on to the pipeline that follows."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from infra.testing import parts
from pipelines import dag_defaults
from services.airflow.tests.airflows import Airflow, airflow

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]
FOLDER = Path(dag_defaults.__file__).parent / "dags"
# The DAGs as they are; what their tasks do only writes down what it was told.
DAGS = f"""
import sys, types
from pathlib import Path

def told(name):
    def act(settings, *, full, **_):
        with (Path(__file__).parent.parent / name).open("a") as file:
            file.write(f"{{full}}\\n")
        return {{}}
    return act

sys.modules["pipelines.transform"] = types.SimpleNamespace(build=told("built"))
sys.modules["pipelines.publish"] = types.SimpleNamespace(publish=told("published"), version_name=str)
for name in ("transform", "publish_serving"):
    exec(compile((Path({str(FOLDER)!r}) / f"{{name}}.py").read_text(), name, "exec"))
"""


@dataclass(frozen=True, kw_only=True)
class World:
    """A running Airflow, and what the tasks were told."""

    airflow: Airflow
    folder: Path

    def run(self, dag: str, **conf: Any) -> None:
        """Start a run as `make run` does, and wait for its end."""
        assert parts.eventually(lambda: dag in str(self.airflow.ask("GET", "/dags")), seconds=120)
        said = self.airflow.ask("POST", f"/dags/{dag}/dagRuns", logical_date=None, conf=conf)
        assert self.airflow.ends(f"/dags/{dag}/dagRuns/{said['dag_run_id']}") == "success"

    def told(self, name: str, *, times: int) -> list[str]:
        """What the task was told each of so many times."""

        def lines() -> list[str]:
            file = self.folder / name
            return file.read_text().split() if file.exists() else []

        return parts.eventually(lambda: found if len(found := lines()) >= times else [], seconds=120)


@pytest.fixture(scope="module")
def world(postgres_server: parts.Postgres, tmp_path_factory: pytest.TempPathFactory) -> Generator[World]:
    found = postgres_server.database("airflow_full", owner="airflow")
    address = f"postgresql+psycopg://{found.user}:{found.password}@{found.host}:{found.port}/{found.database}"
    folder = tmp_path_factory.mktemp("airflow")
    with airflow(folder, database=address, dags=DAGS, workers=0, settings={"LEANDATA_ENVIRONMENT": "test"}) as started:
        yield World(airflow=started, folder=folder)


def test_a_full_transformation_is_followed_by_a_full_publication_and_a_usual_one_by_a_usual_one(world: World) -> None:
    world.run("transform", full=True)
    assert world.told("built", times=1) == ["True"]
    assert world.told("published", times=1) == ["True"]
    world.run("transform")
    assert world.told("built", times=2) == ["True", "False"]
    assert world.told("published", times=2) == ["True", "False"]
    world.run("publish_serving", full=True)
    assert world.told("published", times=3) == ["True", "False", "True"]


def test_airflow_says_of_a_pipeline_whether_it_can_do_everything(world: World) -> None:
    assert world.airflow.ask("GET", "/dags/transform/details")["params"]["full"]["value"] is False
