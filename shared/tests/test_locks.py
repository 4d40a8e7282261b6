"""The numbers of advisory locks: everything that holds one in the serving database says so in one place."""

from __future__ import annotations

import re

from infra.environment import ROOT
from leandata.events import SCHEMA_LOCK_SQL, SCHEMA_SQL
from leandata.serving.locks import Lock

NUMBER = re.compile(r"\b72051\d\d\b")


def test_only_the_events_database_has_numbers_of_its_own() -> None:
    """Locks count within a database, so theirs may be the same."""
    found = {
        path.relative_to(ROOT).as_posix(): sorted(map(int, NUMBER.findall(path.read_text())))
        for folder in ("shared/leandata", "services/airflow/pipelines", "services/api/serving", "services/dash")
        for path in (ROOT / folder).rglob("*.py")
        if NUMBER.search(path.read_text())
    }
    assert found == {
        "services/api/serving/keys.py": [7205120],
        "shared/leandata/events.py": [7205118, 7205119],
        "shared/leandata/serving/locks.py": sorted(Lock),
    }
    assert NUMBER.findall(SCHEMA_LOCK_SQL) != NUMBER.findall(SCHEMA_SQL)
