"""What stands in the way of a deployment to a cloud is one line, said before anything is touched."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from infra.environment import ROOT
from infra.testing.checkout import Checkout, free_base

pytestmark = [pytest.mark.integration, pytest.mark.stacks()]
SECRETS = ("AWS_", "SNOWFLAKE_", "KUBECONFIG")


def deploy(state: Path, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(SECRETS)}
    own = {"LEANDATA_STATE": str(state), "HOME": str(state.parent), "CI": "true", **environ}
    cache = {"LEANDATA_CACHE": os.environ.get("LEANDATA_CACHE", str(Path.home() / ".cache" / "leandata"))}
    return subprocess.run(
        [sys.executable, "-m", "ci", "deploy", *arguments],
        cwd=ROOT,
        env={**kept, **cache, **own},
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )


@pytest.mark.parametrize("environment", ["cluster", "prod"])
def test_an_image_that_nobody_built_is_told_with_the_command_that_builds_it(tmp_path: Path, environment: str) -> None:
    releases = tmp_path / "none.json"
    result = deploy(tmp_path / "state", "--env", environment, LEANDATA_RELEASES=str(releases))
    assert result.returncode == 1
    assert result.stderr.startswith("error: the image ")
    assert f"images --env {environment}" in result.stderr
    assert result.stderr.count("\n") == 1
    assert not (tmp_path / "state" / "engine").exists(), "nothing was begun"


def test_without_a_cluster_there_is_nothing_to_deploy_to(tmp_path: Path) -> None:
    digest = "sha256:" + "a" * 64
    images = {name: {"repository": f"example/{name}", "digest": digest} for name in
              ("airflow", "api", "dash", "dask", "platform", "standins")}  # fmt: skip
    releases = tmp_path / "releases.json"
    releases.write_text(json.dumps({"version": 1, "images": images}))
    result = deploy(tmp_path / "state", "--env", "cluster", LEANDATA_RELEASES=str(releases))
    assert result.returncode == 1
    assert result.stderr.startswith("error: no kubeconfig names a cluster")
    assert "export KUBECONFIG" in result.stderr
    assert not (tmp_path / "state" / "engine").exists()


def test_a_releases_file_that_is_damaged_is_named(tmp_path: Path) -> None:
    releases = tmp_path / "releases.json"
    releases.write_text("{")
    result = deploy(tmp_path / "state", "--env", "cluster", LEANDATA_RELEASES=str(releases))
    assert result.returncode == 1
    assert "the releases file is damaged" in result.stderr
    assert "Traceback" not in result.stderr


def test_one_machine_asks_for_none_of_it(tmp_path: Path) -> None:
    checkout = Checkout(state=tmp_path / "state", base=free_base())
    result = checkout.run("deploy", "--dry", "--stack", "lake", LEANDATA_RELEASES=str(tmp_path / "none.json"))
    assert result.returncode == 0, result.stderr
    assert "Nothing was changed." in result.stdout
