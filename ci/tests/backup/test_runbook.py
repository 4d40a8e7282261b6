"""Everything in the cloud that holds data has its lines in the runbook, with its real name."""

from __future__ import annotations

import pytest

from ci.backup.runbook import COVERED, entries, text
from ci.programs import Program, Resource
from ci.testing import graph
from infra.policy.protection import STATEFUL

CLOUD = ("dev", "prod", "staging")


@pytest.mark.parametrize("name", CLOUD)
def test_everything_that_holds_data_is_covered_by_a_line(name: str) -> None:
    declared = [one for program in graph(name).values() for one in program.resources.values()]
    stateful = [one for one in declared if one.type in STATEFUL]
    assert len(stateful) > 20
    assert sorted({one.type for one in stateful} - set(COVERED)) == []
    covered = entries(graph(name))
    assert len(covered) == sum(one.type in COVERED for one in declared)
    assert all(one.backup and one.restore and one.kept_by for one in covered)


@pytest.mark.parametrize("name", CLOUD)
def test_the_commands_carry_the_real_names(name: str) -> None:
    said = text(name, graph(name))
    assert f"--source-db-instance-identifier leandata-{name}-postgres " in said
    assert f"--bucket leandata-{name}-lake-raw-" in said
    assert f"restore-secret --secret-id leandata/{name}/api-key" in said
    assert "UNDROP DATABASE RAW;" in said
    assert said == text(name, graph(name))


def test_two_things_of_one_kind_each_have_a_line() -> None:
    def bucket(name: str) -> Resource:
        return next(
            one
            for program in graph("prod").values()
            for one in program.resources.values()
            if one.type == "aws:s3/bucket:Bucket" and name in one.properties["bucket"]
        )

    two = {name: bucket(name) for name in ("lake-raw", "lake-curated")}
    assert [one.name.split("-lake-")[1].split("-")[0] for one in entries({"lake": Program(resources=two)})] == [
        "curated",
        "raw",
    ]
