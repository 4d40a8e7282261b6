"""A new source has all that a team needs: declaration, contract, rights, and a test that passes."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from ci.programs import module_path
from ci.tests.affected.missing import clone
from ci.verbs.new_source import KINDS, allowed, scaffold
from infra.environment import ROOT
from leandata.errors import LeandataError

MANIFEST = (ROOT / "services" / "airflow" / "service.toml").read_text()


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "services" / "airflow").mkdir(parents=True)
    (tmp_path / "services" / "airflow" / "service.toml").write_text(MANIFEST)
    return tmp_path


@pytest.mark.integration
@pytest.mark.timeout(300)
def test_a_new_source_of_each_kind_passes_its_own_test_and_is_a_pipeline(tmp_path: Path) -> None:
    tree = clone(tmp_path)
    made = [path for kind in KINDS for path in scaffold(f"new_{kind}.rows", kind, root=tree)]
    tests = [path for path in made if "/tests/" in path]
    own = {"PYTHONPATH": module_path(tree), "AIRFLOW_HOME": str(tmp_path / "airflow")}
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests],
        cwd=tree, env={**os.environ, **own}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "6 passed" in ran.stdout, ran.stdout + ran.stderr
    loading = (
        "from airflow.dag_processing.dagbag import DagBag\n"
        "bag = DagBag('services/airflow/pipelines/dags')\n"
        "print('RESULT', sorted(name for name in bag.dags if name.startswith('collect_new')), bag.import_errors)"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", loading],
        cwd=tree,
        env={**os.environ, **own},
        capture_output=True,
        text=True,
        check=False,
    )
    assert f"RESULT {[f'collect_new_{kind}' for kind in KINDS]} {{}}" in loaded.stdout, loaded.stdout + loaded.stderr


def test_it_may_read_and_write_what_it_collects_and_nothing_else_changes(place: Path) -> None:
    made = scaffold("ads.spend", "files", root=place)
    assert len(made) == 4
    after = tomllib.loads((place / "services" / "airflow" / "service.toml").read_text())
    before = tomllib.loads(MANIFEST)
    for store in ("lake", "warehouse"):
        for word in ("reads", "writes"):
            rights = after["data"][store][word]
            assert rights == sorted({*before["data"][store].pop(word), "ads.spend"})
            del after["data"][store][word]
    assert before == after
    assert allowed(allowed(MANIFEST, "ads.spend"), "ads.spend") == allowed(MANIFEST, "ads.spend")


def test_a_source_that_is_there_is_not_written_over(place: Path) -> None:
    scaffold("ads.spend", "sql", root=place)
    written = {path: path.read_bytes() for path in place.rglob("*") if path.is_file()}
    with pytest.raises(LeandataError, match=r"there is .*ads\.toml already"):
        scaffold("ads.clicks", "sql", root=place)
    assert {path: path.read_bytes() for path in place.rglob("*") if path.is_file()} == written


@pytest.mark.parametrize("name", ["", "ads", "Ads.spend", "ads.", ".spend", "../ads.spend", "ads.spend.x", "1.x"])
def test_a_name_that_cannot_be_a_dataset_is_refused(place: Path, name: str) -> None:
    with pytest.raises(LeandataError, match="cannot name a source"):
        scaffold(name, "sql", root=place)


def test_a_kind_that_there_is_not_is_refused(place: Path) -> None:
    with pytest.raises(LeandataError, match=r"no kind 'ftp'.*files, http, sql"):
        scaffold("ads.spend", "ftp", root=place)
