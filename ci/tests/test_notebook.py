"""`make notebook`: what a notebook is told, how JupyterLab is started, and that no outputs are stored."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from ci import notebooks
from ci.verbs import notebook as verb
from infra.components.connections import team_address
from infra.environment import ROOT, Environment
from leandata.errors import LeandataError, SettingsError
from leandata.settings import Settings

OUTPUTS: dict[str, dict[str, Any]] = {
    "lake": {"raw": "file:///lake/raw", "curated": "file:///lake/curated", "models": "file:///lake/models"},
    "database": {"serving_reader": "postgresql://serving_reader@127.0.0.1:1/serving", "serving_writer": "no"},
    "warehouse": {"address": "snowflake://leandata@fakesnow?host=127.0.0.1&port=2&protocol=http"},
    "dask": {"scheduler": "tcp://127.0.0.1:3"},
}
LOCAL = Environment.load("local", environ={})
CELL = {"cell_type": "code", "execution_count": None, "id": "a", "metadata": {}, "outputs": [], "source": ["1"]}
RUN = {**CELL, "execution_count": 7, "metadata": {"execution": {"x": 1}}, "outputs": [{"output_type": "stream"}]}
TEXT = {"cell_type": "markdown", "id": "b", "metadata": {}, "source": ["words"]}


def notebook(*cells: dict[str, Any]) -> dict[str, Any]:
    return {"cells": list(cells), "metadata": {}, "nbformat": 4, "nbformat_minor": 5}


def put(root: Path, name: str, text: str) -> None:
    path = root / notebooks.FOLDER / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_a_notebook_is_told_where_lake_warehouse_serving_and_dask_are() -> None:
    found = Settings.load(verb.settings(LOCAL, OUTPUTS, team="data-team"))
    assert found.lake.raw == "file:///lake/raw"
    assert found.serving.user == "serving_reader"
    assert found.dask == "tcp://127.0.0.1:3"
    assert found.environment == "local"


def test_in_the_warehouse_it_reads_what_the_team_s_people_read_and_writes_nothing() -> None:
    team = Settings.load(verb.settings(LOCAL, OUTPUTS, team="data-team")).warehouse
    others = Settings.load(verb.settings(LOCAL, OUTPUTS, team="data-science")).warehouse
    assert (team.role, team.writes) == ("TEAM_DATA", ())
    assert {"MARTS.SALES", "RAW.SHOP"} <= set(team.reads)
    assert others.role == "TEAM_DATA_SCIENCE"
    assert "MARTS.FEATURES" in others.reads
    assert not {"MARTS.SALES", "RAW.SHOP"} & set(others.reads)


def test_an_unknown_team_is_refused_with_the_known_ones() -> None:
    with pytest.raises(SettingsError, match=r"'marketing' reads nothing.*data-science, data-team"):
        verb.settings(LOCAL, OUTPUTS, team="marketing")


def test_on_snowflake_people_log_in_as_themselves() -> None:
    with pytest.raises(SettingsError, match="Log in as yourself, with the role TEAM_DATA"):
        team_address(Environment.load("dev", environ={}), "data-team", "snowflake://leandata@account")


@pytest.mark.parametrize("stack", sorted(OUTPUTS))
def test_a_part_that_is_not_deployed_is_named(stack: str) -> None:
    with pytest.raises(LeandataError, match=f"{stack} is not deployed.*make deploy STACK={stack}"):
        verb.settings(LOCAL, {**OUTPUTS, stack: {}}, team="data-team")


def test_without_any_deployment_every_part_is_named() -> None:
    with pytest.raises(LeandataError, match="dask, database, lake, warehouse is not deployed"):
        verb.settings(LOCAL, {}, team="data-team")


def test_a_fixed_day_is_told_to_notebooks_too() -> None:
    local = Environment.load("local", environ={"LEANDATA_TODAY": "2026-11-24"})
    assert Settings.load(verb.settings(local, OUTPUTS, team="data-team")).today().isoformat() == "2026-11-24"


def test_jupyterlab_gets_nothing_of_the_deployer_and_writes_into_the_state_folder(tmp_path: Path) -> None:
    before = {"PATH": "/bin", "LEANDATA_STATE": "/x", "LEANDATA_BACKUP_KEY": "secret", "JUPYTER_PATH": "/y"}
    found = verb.variables(before, {"LEANDATA_DASK": "in-process"}, token="t0ken", state=tmp_path)
    assert found["PATH"] == "/bin"
    assert {name for name in found if name.startswith("LEANDATA_")} == {"LEANDATA_DASK"}
    assert found["JUPYTER_TOKEN"] == "t0ken"
    assert "JUPYTER_PATH" not in found
    own = {name for name, value in found.items() if value.startswith(str(tmp_path))}
    assert own == {"IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR"}


def test_jupyterlab_listens_on_loopback_on_the_port_of_the_environment_and_on_no_other() -> None:
    command = verb.command(LOCAL.port("notebook"))
    assert {"--ServerApp.ip=127.0.0.1", "--ServerApp.port=16405", "--ServerApp.port_retries=0"} <= set(command)
    assert f"--ServerApp.root_dir={ROOT / 'services' / 'dask' / 'notebooks'}" in command


def test_no_stored_notebook_holds_outputs(capsys: pytest.CaptureFixture[str]) -> None:
    assert ROOT / notebooks.FOLDER / "weekly_sales.ipynb" in notebooks.stored(ROOT)
    assert verb.checked(ROOT, as_json=False) == 0
    assert "without outputs" in capsys.readouterr().out


def test_a_stored_notebook_with_outputs_is_named_with_its_cells(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put(tmp_path, "a.ipynb", json.dumps(notebook(TEXT, RUN, CELL, {**CELL, "execution_count": 1})))
    put(tmp_path, "b.ipynb", json.dumps(notebook(TEXT, CELL)))
    put(tmp_path, ".ipynb_checkpoints/c.ipynb", json.dumps(notebook(RUN)))
    assert verb.checked(tmp_path, as_json=True) == 1
    sentence = "services/dask/notebooks/a.ipynb holds outputs or counts of a run in the cells 2, 4"
    assert json.loads(capsys.readouterr().out)["filled"] == [sentence]
    assert verb.checked(tmp_path, as_json=False) == 1
    assert capsys.readouterr().out.startswith(sentence)


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"cells": [1]}', '{"cells": [{"cell_type": "code"}]}'])
def test_what_is_no_notebook_is_named(tmp_path: Path, text: str) -> None:
    put(tmp_path, "a.ipynb", text)
    with pytest.raises(LeandataError, match=r"no notebook.*a\.ipynb|a\.ipynb.*no notebook"):
        notebooks.filled(tmp_path)


def test_before_it_is_saved_a_notebook_loses_its_outputs_and_nothing_else() -> None:
    model = {"type": "notebook", "content": notebook(TEXT, {**RUN, "metadata": {"tags": ["x"], "execution": {}}})}
    notebooks.before_saving(model, path="a.ipynb", contents_manager=None)
    assert model["content"] == notebook(TEXT, {**CELL, "metadata": {"tags": ["x"]}})


@pytest.mark.parametrize("model", [{"type": "file", "content": "x"}, {"type": "directory", "content": None}])
def test_other_files_are_saved_as_they_are(model: dict[str, Any]) -> None:
    before = copy.deepcopy(model)
    notebooks.before_saving(model)
    assert model == before
