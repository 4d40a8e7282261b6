"""The stored notebook, run from end to end over real parts, by what `make notebook` tells it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ci import notebooks
from ci.bootstrap import add_group
from ci.verbs import notebook as verb
from infra.environment import ROOT, Environment
from infra.provider import health
from infra.testing import dask
from infra.testing.fixtures import Platform, url_of
from infra.testing.parts import Postgres, free_port, running
from leandata.database import connect
from leandata.errors import WarehouseError
from leandata.settings import Settings
from leandata.warehouse import Warehouse
from pipelines import collect, publish, transform

pytestmark = pytest.mark.integration
STORED = ROOT / notebooks.FOLDER / "weekly_sales.ipynb"
TOKEN = "a-token-of-the-test"


@dataclass(frozen=True, kw_only=True, slots=True)
class Told:
    """What a notebook is told of a platform with all of history, and the folder of its own files."""

    settings: dict[str, str]
    folder: Path

    @property
    def variables(self) -> dict[str, str]:
        return verb.variables(os.environ, self.settings, token=TOKEN, state=self.folder)


@pytest.fixture(scope="module")
def told(platform: Platform, postgres_server: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Generator[Told]:
    add_group("notebook")
    settings, folder = platform.settings, tmp_path_factory.mktemp("notebook")
    for part, chunk in enumerate(collect.chunks(collect.source_days(settings))):
        collect.collect(settings, chunk, run=collect.run_name("notebook", part=part))
    collect.collect_customers(settings, run="notebook")
    collect.load(settings)
    transform.build(settings, folder=platform.folder / "dbt-notebook")
    publish.publish(settings, version="notebook")
    reader = postgres_server.reader("serving_reader", database="serving", schema="serving", owner="serving_writer")
    with dask.cluster(folder, workers=2) as cluster:
        lake = {"curated": settings.lake.curated, "models": settings.lake.models, "raw": settings.lake.raw}
        outputs: dict[str, dict[str, Any]] = {
            "lake": lake,
            "database": {"serving_reader": url_of(reader)},
            "warehouse": {"address": platform.warehouse.url},
            "dask": {"scheduler": cluster.address},
        }
        found = verb.settings(Environment.load("local", environ={}), outputs, team="data-team")
        yield Told(settings=found, folder=folder)


@pytest.fixture(scope="module")
def executed(told: Told) -> list[dict[str, Any]]:
    """The cells of the notebook after a run, in a kernel of its own."""
    copy = told.folder / STORED.name
    copy.write_bytes(STORED.read_bytes())
    command = [str(Path(sys.executable).with_name("jupyter-execute")), str(copy), "--inplace", "--timeout=300"]
    result = subprocess.run(command, env=told.variables, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr[-3000:]
    return json.loads(copy.read_text())["cells"]


def printed(cells: list[dict[str, Any]]) -> str:
    streams = [output for cell in cells for output in cell.get("outputs", []) if output["output_type"] == "stream"]
    return "".join("".join(output["text"]) for output in streams)


def test_lake_warehouse_and_serving_agree_in_the_notebook_to_the_cent(executed: list[dict[str, Any]]) -> None:
    found = re.search(r"([0-9]+) weeks agree, ([0-9,.]+) US dollars", printed(executed))
    assert found is not None
    assert int(found[1]) >= 78
    assert float(found[2].replace(",", "")) > 2_000_000


def test_the_workers_of_dask_computed_the_features_of_every_customer(executed: list[dict[str, Any]]) -> None:
    found = re.search(r"([0-9]+) customers, ([0-9]+)% of them came back", printed(executed))
    assert found is not None
    assert int(found[1]) == 23_570


def test_the_notebook_drew_one_picture(executed: list[dict[str, Any]]) -> None:
    outputs = [output for cell in executed for output in cell.get("outputs", [])]
    pictures = [output for output in outputs if "image/png" in output.get("data", {})]
    assert len(pictures) == 1
    assert not [output for output in outputs if output["output_type"] == "error"]


def test_whoever_writes_a_notebook_may_write_nowhere_but_in_the_lake_s_folder(told: Told) -> None:
    import psycopg

    settings = Settings.load(told.settings)
    with Warehouse.connect(settings.warehouse) as warehouse:
        for sql in ("DELETE FROM MARTS.SALES.WEEKLY_SALES", "CREATE TABLE RAW.SHOP.MINE (a INT)"):
            with pytest.raises(WarehouseError, match="TEAM_DATA may not"):
                warehouse.execute(sql)
    with connect(settings.serving) as connection, pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        connection.execute("DELETE FROM serving.freshness")


def test_jupyterlab_listens_on_loopback_for_whoever_has_the_token_and_saves_without_outputs(
    told: Told, executed: list[dict[str, Any]]
) -> None:
    port, folder = free_port(), told.folder / "served"
    folder.mkdir()
    given = [f"{name}={value}" for name, value in told.variables.items()]
    started = [f"--ServerApp.root_dir={folder}" if "root_dir" in word else word for word in verb.command(port)]
    url = f"http://127.0.0.1:{port}"
    ready = {"kind": "http", "url": f"{url}/login", "port": 0}
    with running(
        ["/usr/bin/env", *given, *started], ready=lambda: health.healthy(ready), log=told.folder / "jupyter.log"
    ) as process:
        assert TOKEN not in " ".join(verb.command(port))
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(f"{url}/api/contents")
        notebook = {**json.loads(STORED.read_text()), "cells": executed}
        asked = urllib.request.Request(
            f"{url}/api/contents/mine.ipynb",
            data=json.dumps({"type": "notebook", "format": "json", "content": notebook}).encode(),
            headers={"Authorization": f"token {TOKEN}", "Content-Type": "application/json"},
            method="PUT",
        )
        with urllib.request.urlopen(asked) as answer:
            assert answer.status == 201
        saved = json.loads((folder / "mine.ipynb").read_text())
        assert process.poll() is None
    assert all(not cell["outputs"] for cell in saved["cells"] if cell["cell_type"] == "code")
    assert any(cell["outputs"] for cell in executed if cell["cell_type"] == "code")
