"""Tests that a change leaves out pass whatever the change is: shown by a change that breaks everything that meets it.

LEANDATA_ALL_JOBS=yes runs it (a quarter of an hour on two cores): each file is made to fail as soon as it is imported, and
the unit tests that are not chosen for it are run.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from ci.affected.changes import changes
from ci.affected.choosing import Choosing, choose
from ci.tests.clones import copied
from leandata.settings import foreign

pytestmark = [
    pytest.mark.integration,
    pytest.mark.timeout(3600),
    pytest.mark.skipif(
        os.environ.get("LEANDATA_ALL_JOBS") != "yes", reason="LEANDATA_ALL_JOBS=yes runs it: a quarter of an hour"
    ),
]
BROKEN = 'raise RuntimeError("broken on purpose")\n'


@pytest.mark.parametrize(
    "path",
    [
        "services/api/serving/limits.py",
        "services/airflow/pipelines/volumes.py",
        "services/dash/dashboards/cohorts.py",
        "ci/release/lease.py",
    ],
)
def test_what_is_not_chosen_does_not_meet_the_change(tmp_path: Path, path: str) -> None:
    place = copied(tmp_path / "leandata")
    (place / path).write_text(BROKEN + (place / path).read_text())
    found = changes(place, "main")
    chosen = choose(found)
    assert not chosen.why_all
    left = sorted(set(Choosing(found).tests()) - set(chosen.files))
    assert len(left) > len(chosen.files)
    # Ours before what is installed, which is the code that this test itself is of.
    folders = [place, place / "shared", *(place / "services" / name for name in ("airflow", "api", "dash", "dask"))]
    command = [str(place / ".venv/bin/python"), "-m", "pytest", "-q", "-n", "2", "--dist", "loadfile"]
    result = subprocess.run(
        [*command, "--maxfail", "20", "-m", "not integration and not e2e and not cluster", *left],
        cwd=place,
        env={**foreign(os.environ), "PYTHONPATH": os.pathsep.join(map(str, folders))},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout[-5000:]
