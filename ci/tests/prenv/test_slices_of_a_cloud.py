"""A pull request's environment in the cloud: its own names and tags, the policies hold, clones in SQL, the sweeper."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ci.prenv import sweeping
from ci.prenv.clones import clone_sql, drop_sql
from ci.prenv.cloud_verb import findings, write
from ci.prenv.slice import Slice, sliced
from ci.prenv.sweeping import Tagged
from ci.programs import Program, Resource
from ci.testing import graph
from infra.environment import Environment
from leandata.errors import LeandataError

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
PART = Slice(number=7, until=NOW)


@pytest.fixture(scope="module")
def made() -> dict[str, Program]:
    return sliced(graph("dev"), PART)


def all_of(made: dict[str, Program]) -> list[Resource]:
    return [one for program in made.values() for one in program.resources.values()]


def test_the_policies_find_nothing_in_the_environment_with_the_slice(made: dict[str, Program]) -> None:
    environment = Environment.load("dev", environ={})
    assert findings(environment, graph("dev"), made) == []
    assert len(all_of(made)) > 200


def test_a_slice_that_is_too_open_is_found(made: dict[str, Program]) -> None:
    environment = Environment.load("dev", environ={})
    opened = json.loads(json.dumps({urn: one.properties for urn, one in made["pr-7-api"].resources.items()}))
    for urn, one in made["pr-7-api"].resources.items():
        if one.type == "kubernetes:apps/v1:Deployment":
            opened[urn]["spec"]["template"]["spec"]["containers"][0]["securityContext"]["privileged"] = True
    worse = Program(
        resources={
            urn: Resource(**{**{name: getattr(one, name) for name in Resource.__slots__}, "properties": opened[urn]})
            for urn, one in made["pr-7-api"].resources.items()
        }
    )
    assert findings(environment, graph("dev"), {**made, "pr-7-api": worse})


def test_nothing_of_the_slice_has_the_name_of_the_original(made: dict[str, Program]) -> None:
    for one in all_of(made):
        if one.type == "kubernetes:core/v1:Namespace":
            assert one.properties["metadata"]["name"].startswith("pr-7-")
        elif one.type.startswith("kubernetes:"):
            assert one.properties["metadata"]["namespace"].startswith("pr-7-"), one.urn
        elif one.type == "aws:iam/role:Role":
            assert one.properties["name"].startswith("pr-7-")
        elif one.type in ("snowflake:index/accountRole:AccountRole", "snowflake:index/warehouse:Warehouse"):
            assert one.properties["name"].startswith("PR_7_")


def test_everything_that_can_carries_the_tag(made: dict[str, Program]) -> None:
    for one in all_of(made):
        if one.type == "aws:iam/role:Role":
            assert one.properties["tags"]["leandata.io/pr"] == "7"
        elif one.type.startswith("kubernetes:"):
            assert one.properties["metadata"]["labels"]["leandata.io/until"] == "2026-11-25T1200Z", one.urn
        elif one.type == "snowflake:index/database:Database":
            assert "leandata.io/pr" in one.properties["comment"]


def test_the_lake_is_read_and_written_below_the_prefix_only(made: dict[str, Program]) -> None:
    text = json.dumps([one.properties for one in all_of(made)])
    addresses = re.findall(r"s3://[a-z0-9.-]+([^\"\\,]*)", text)
    arns = re.findall(r"arn:aws:s3:::[a-z0-9.-]+/([^\"\\]*)", text)
    assert addresses
    assert all(address.startswith("/pr-7") for address in addresses), addresses
    assert arns
    assert all(arn.startswith("pr-7/") for arn in arns), arns


def test_every_database_is_cloned_and_granted_again_and_its_stages_are_made_anew(made: dict[str, Program]) -> None:
    sql = clone_sql(made, PART)
    for name in ("RAW", "STAGING", "MARTS"):
        assert f'CREATE DATABASE "PR_7_{name}" CLONE "{name}";' in sql
        assert re.search(rf'GRANT [A-Z, ]*USAGE[A-Z, ]* ON DATABASE "PR_7_{name}" TO ROLE "PR_7_', sql)
    assert 'CREATE OR REPLACE STAGE "PR_7_RAW"."LAKE"."FILES" URL = \'s3://' in sql
    assert "CREATE SCHEMA" not in sql, "the clone brings them"
    assert sql.index("CLONE") < sql.index("CREATE ROLE") < sql.index("GRANT ")


def test_the_clone_names_the_original_only_to_clone_it(made: dict[str, Program]) -> None:
    for line in clone_sql(made, PART).splitlines():
        for name in ("RAW", "STAGING", "MARTS", "PIPELINES"):
            if f'"{name}"' in line:
                assert line == f'CREATE DATABASE "PR_7_{name}" CLONE "{name}";'


def test_the_warehouses_are_small_and_watched(made: dict[str, Program]) -> None:
    lines = [line for line in clone_sql(made, PART).splitlines() if line.startswith("CREATE WAREHOUSE")]
    assert lines
    for line in lines:
        assert "WAREHOUSE_SIZE = 'XSMALL'" in line
        assert 'RESOURCE_MONITOR = "PR_7_' in line
    assert "CREDIT_QUOTA = 5 " in clone_sql(made, PART)


def test_what_is_dropped_is_all_that_was_made_and_nothing_else(made: dict[str, Program]) -> None:
    created = set(
        re.findall(
            r'^CREATE (?:OR REPLACE )?(?:DATABASE|ROLE|USER|WAREHOUSE|RESOURCE MONITOR) (?:IF NOT EXISTS )?("\w+")',
            clone_sql(made, PART),
            re.MULTILINE,
        )
    )
    dropped = set(re.findall(r'^DROP [A-Z ]+ IF EXISTS ("\w+");', drop_sql(made), re.MULTILINE))
    assert dropped == created
    assert all(name.startswith('"PR_7_') for name in dropped)


def test_the_same_environment_gives_the_same_files(made: dict[str, Program], tmp_path: Path) -> None:
    for folder in ("a", "b"):
        write(tmp_path / folder, sliced(graph("dev"), PART), PART)
    for name in ("clone.sql", "drop.sql", "manifests.yaml"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
        assert (tmp_path / "a" / name).stat().st_size > 100


def test_two_slices_have_no_name_in_common(made: dict[str, Program]) -> None:
    other = sliced(graph("dev"), Slice(number=8, until=NOW))
    findings(Environment.load("dev", environ={}), {**graph("dev"), **made}, other)


def thing(kind: str, name: str, number: Any = 7, until: str | None = "2026-11-25T1100Z") -> Tagged:
    tags = {"leandata.io/pr": str(number)} | ({"leandata.io/until": until} if until is not None else {})
    return Tagged(kind=kind, name=name, tags=tags)


def test_the_sweeper_removes_what_has_ended_users_before_what_they_use() -> None:
    listed = [
        thing("role", "r"), thing("database", "d"), thing("namespace", "n"),
        thing("database", "later", until="2026-11-25T1300Z"),
        Tagged(kind="database", name="PR_7_LOOKS_LIKE_IT", tags={}),
    ]  # fmt: skip
    assert [one.name for one in sweeping.ended(listed, now=NOW)] == ["n", "d", "r"]
    assert [one.name for one in sweeping.ended(listed, now=NOW + timedelta(hours=1))] == ["n", "d", "later", "r"]


@pytest.mark.parametrize("until", [None, "", "soon", "2026-11-25", "2026-13-25T1100Z", "2026-11-25T1100Z; DROP"])
def test_what_does_not_say_when_it_ends_is_kept_and_told(until: str | None) -> None:
    listed = [thing("database", "d", until=until)]
    assert sweeping.ended(listed, now=NOW + timedelta(days=9999)) == []
    assert sweeping.unreadable(listed) == listed


@pytest.mark.parametrize("number", ["", "0", "x", "07", "-1", "1234567"])
def test_what_says_no_number_is_nobodys(number: str) -> None:
    listed = [thing("database", "d", number=number)]
    assert sweeping.ended(listed, now=NOW) == []
    assert sweeping.unreadable(listed) == listed


def test_the_proof_is_that_nothing_with_the_tag_is_left() -> None:
    listed = [thing("database", "d", number=8), thing("role", "r", number=7)]
    assert sweeping.of(listed, 7) == [listed[1]]
    assert sweeping.of([listed[0]], 7) == []


@pytest.mark.parametrize("text", ["", "{}", '[{"kind": 1}]', '[{"kind": "a", "name": "b", "tags": 3}]'])
def test_a_list_that_cannot_be_read_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "listed.json").write_text(text)
    with pytest.raises(LeandataError, match=r"what is tagged cannot be read \(.*listed.json\)"):
        sweeping.load(tmp_path / "listed.json")


def test_a_list_is_read(tmp_path: Path) -> None:
    (tmp_path / "listed.json").write_text('[{"kind": "role", "name": "r", "tags": {"leandata.io/pr": "7"}}]')
    assert sweeping.load(tmp_path / "listed.json")[0].number == 7
