"""Everything in the cloud that holds data has its lines in the runbook, with its real name.

What each environment declares is read from the reviewed snapshots; two real programs of one of them give the names.
"""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from ci import snapshot
from ci.backup.manifest import BackupError
from ci.backup.runbook import COVERED, MOMENT, Entry, entries, text
from ci.programs import Program
from ci.testing import ON_AWS, stack_of
from ci.tests.graphs import graph, resource
from infra.policy.protection import STATEFUL

CLOUD = ("dev", "prod", "staging")
SECRET = "aws:secretsmanager/secret:Secret"
BUCKET = "aws:s3/bucket:Bucket"
DATABASE = "snowflake:index/database:Database"
SCHEMA = "snowflake:index/schema:Schema"


@pytest.fixture(scope="module")
def programs() -> Mapping[str, Program]:
    """Two real stacks of production that hold data."""
    return {stack: stack_of("prod", stack, ON_AWS) for stack in ("lake", "database")}


def one(type_: str, name: str, /, **properties: object) -> Entry:
    """The lines of one thing."""
    [found] = entries(graph(resource(type_, name, dict(properties))))
    return found


# -- what environments really declare ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CLOUD)
def test_everything_that_holds_data_is_covered_by_a_line(name: str) -> None:
    rows = snapshot.path(name).read_text(encoding="utf-8").splitlines()[1:]
    declared = [row.split()[1] for row in rows]
    covered = {snapshot.short(type_) for type_ in COVERED}
    stateful = [type_ for type_ in declared if type_ in {snapshot.short(one) for one in STATEFUL}]
    assert len(stateful) > 20
    assert sorted(set(stateful) - covered) == []
    assert covered <= set(declared), "a line for what nobody declares"


def test_each_thing_of_a_real_stack_that_holds_data_has_its_own_lines(programs: Mapping[str, Program]) -> None:
    declared = [one for program in programs.values() for one in program.resources.values() if one.type in COVERED]
    found = entries(programs)
    assert len(found) == len(declared) > 10
    assert all(one.backup and one.restore and one.kept_by for one in found)
    assert "?" not in "".join(one.kept_by for one in found), "a number of days that nobody declares"
    buckets = [one.name.removeprefix("leandata-prod-lake-") for one in found if one.kind == "Bucket"]
    assert {"raw-333333333333", "curated-333333333333"} <= set(buckets)


def test_the_commands_carry_the_real_names(programs: Mapping[str, Program]) -> None:
    said = text("prod", programs)
    assert "--source-db-instance-identifier leandata-prod-postgres " in said
    assert "--bucket leandata-prod-lake-raw-333333333333" in said
    assert "restore-secret --secret-id leandata/prod/database-airflow" in said


def test_the_runbook_is_the_same_whatever_the_order_of_stacks(programs: Mapping[str, Program]) -> None:
    backwards = dict(reversed(list(programs.items())))
    assert list(backwards) != list(programs)
    assert text("prod", backwards) == text("prod", programs)
    assert text("prod", programs).index("\n## database\n") < text("prod", programs).index("\n## lake\n")


# -- the lines of each kind --------------------------------------------------------------------------------------------


def test_a_database_server_goes_back_to_any_second_beside_the_original() -> None:
    found = one("aws:rds/instance:Instance", "r", identifier="shop", backupRetentionPeriod=7)
    assert found == Entry(
        stack="s",
        kind="Instance",
        name="shop",
        kept_by="automatic backups: any second of the last 7 days",
        backup="aws rds create-db-snapshot --db-instance-identifier shop --db-snapshot-identifier shop-$(date +%s)",
        restore=(
            "aws rds restore-db-instance-to-point-in-time --source-db-instance-identifier shop"
            f" --target-db-instance-identifier shop-restored --restore-time {MOMENT}"
        ),
    )


def test_objects_of_a_bucket_come_back_by_removing_their_delete_markers_only() -> None:
    found = one(BUCKET, "r", bucket="lake")
    assert found.backup == "aws s3api get-bucket-versioning --bucket lake"
    assert found.restore == (
        "aws s3api list-object-versions --bucket lake --output text"
        " --query 'DeleteMarkers[?IsLatest].[Key,VersionId]' | while IFS=$'\\t' read -r key version; do"
        '  aws s3api delete-object --bucket lake --key "$key" --version-id "$version"; done'
    )


def test_a_secret_that_was_deleted_comes_back_within_its_window() -> None:
    found = one(SECRET, "r", name="leandata/prod/api-key", recoveryWindowInDays=30)
    assert found.kept_by == "deletion waits 30 days; the value before stays as AWSPREVIOUS"
    assert found.restore == "aws secretsmanager restore-secret --secret-id leandata/prod/api-key"


def test_a_warehouse_database_is_undropped_or_cloned_at_the_moment() -> None:
    found = one(DATABASE, "r", name="RAW", dataRetentionTimeInDays=14)
    assert found.kept_by == "Time Travel of 14 days, then Fail-safe"
    assert found.backup == ("CREATE BACKUP SET RAW_BACKUPS FOR DATABASE RAW; ALTER BACKUP SET RAW_BACKUPS ADD BACKUP;")
    assert found.restore == (
        "UNDROP DATABASE RAW;  -- or: CREATE DATABASE RAW_RESTORED CLONE RAW"
        f" AT (TIMESTAMP => '{MOMENT}'::TIMESTAMP_TZ);"
    )


def test_a_schema_is_named_with_its_database() -> None:
    found = one(SCHEMA, "r", name="LAKE", database="RAW")
    assert found.backup == "SHOW SCHEMAS HISTORY LIKE 'LAKE' IN DATABASE RAW;"
    assert found.restore.startswith("UNDROP SCHEMA RAW.LAKE;  -- or: CREATE SCHEMA RAW.LAKE_RESTORED CLONE RAW.LAKE ")


@pytest.mark.parametrize(
    ("type_", "names", "kept_by", "command"),
    [
        ("aws:kms/key:Key", "description", "deletion waits; ", "aws kms cancel-key-deletion --key-id KEY"),
        ("aws:ecr/repository:Repository", "name", "built from the commit again", "make images "),
        ("aws:eks/cluster:Cluster", "name", "made from the programs again", "make deploy STACK=cluster"),
        ("aws:cloudwatch/logGroup:LogGroup", "name", "not backed up: logs that are deleted are lost", "-"),
    ],
)
def test_what_holds_no_data_of_ours_says_how_it_is_made_again(
    type_: str, names: str, kept_by: str, command: str
) -> None:
    found = one(type_, "r", **{names: "real"})
    assert found.name == "real"
    assert "real" in found.backup
    assert found.kept_by.startswith(kept_by)
    assert found.restore.startswith(command)


@pytest.mark.parametrize("type_", sorted(COVERED))
def test_what_is_named_by_aws_only_later_goes_by_its_name_in_the_program(type_: str) -> None:
    for properties in ({}, {COVERED[type_][0]: ""}):
        found = one(type_, "in-the-program", **properties)
        assert found.name == "in-the-program"
        assert "in-the-program" in found.backup


@pytest.mark.parametrize("type_", ["aws:rds/instance:Instance", SECRET, DATABASE])
def test_days_that_are_not_declared_are_not_made_up(type_: str) -> None:
    assert " ? days" in one(type_, "r").kept_by


# -- the page ----------------------------------------------------------------------------------------------------------


def test_two_things_of_one_kind_each_have_a_line_in_the_order_of_their_names() -> None:
    two = graph(resource(BUCKET, "b", {"bucket": "raw"}), resource(BUCKET, "a", {"bucket": "curated"}))
    assert [found.name for found in entries(two)] == ["curated", "raw"]
    said = text("prod", two)
    assert said.count("\n### Bucket ") == 2
    assert said.count("\n## s\n") == 1


def test_stacks_are_headed_once_each_and_those_without_data_not_at_all() -> None:
    programs = {
        **graph(resource(SECRET, "z"), resource(BUCKET, "z"), stack="two"),
        **graph(resource("aws:ec2/vpc:Vpc", "v"), stack="none"),
        **graph(resource(SECRET, "y"), stack="one"),
    }
    heads = [line for line in text("prod", programs).splitlines() if line.startswith("#")]
    assert heads == [
        "# How prod is backed up and restored",
        "## one",
        "### Secret y",
        "## two",
        "### Bucket z",
        "### Secret z",
    ]


def test_the_page_is_markdown_whose_fences_are_closed_and_which_ends_with_a_newline() -> None:
    said = text("prod", graph(resource(SECRET, "a"), resource(BUCKET, "b")))
    assert said.count("```sh\n") == 2
    assert said.count("\n```\n") == 2
    assert said.endswith("\n```\n")
    assert f"The moment to go back to is {MOMENT}: put yours." in said


@pytest.mark.parametrize("programs", [{}, graph(resource("machine:index:File", "f")), {"empty": Program()}])
def test_an_environment_of_stand_ins_has_no_runbook(programs: dict[str, Program]) -> None:
    assert entries(programs) == []
    with pytest.raises(BackupError) as told:
        text("cluster", programs)
    assert str(told.value) == ("cluster holds only stand-ins, whose data is not backed up. ENV=prod, or ENV=local")
