"""What is said to those who ask for a pull request's environment, or for its end; and the SQL of its part of Snowflake."""

from __future__ import annotations

import json
import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ci.cli import Options, parser
from ci.owners.signing import Row, Signed
from ci.prenv import tags
from ci.prenv.clone import left
from ci.prenv.clones import clone_sql, drop_sql
from ci.prenv.cloud_verb import in_the_cloud
from ci.prenv.slice import Slice
from ci.programs import Program, Resource
from ci.verbs.pr_env import down, pr_env, proof, sweep
from ci.verbs.signoff import lines, teams_of
from ci.verbs.test import folders
from infra.environment import ROOT, Environment
from leandata.errors import LeandataError

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
PART = Slice(number=7, until=NOW)


def asked(*arguments: str) -> Options:
    return parser().parse_args(["pr-env", *arguments])


@pytest.fixture
def local(tmp_path: Path) -> Environment:
    return Environment.load("local", environ={"LEANDATA_STATE": str(tmp_path / "local")})


@pytest.fixture
def dev() -> Environment:
    return Environment.load("dev", environ={})


@pytest.mark.parametrize(
    "flags",
    [(), ("--up", "--down"), ("--up", "--sweep"), ("--down", "--sweep"), ("--up", "--down", "--sweep")],
    ids=" ".join,
)
def test_exactly_one_thing_is_asked_for(flags: tuple[str, ...]) -> None:
    with pytest.raises(LeandataError) as raised:
        pr_env(asked("--number", "7", *flags))
    assert str(raised.value) == "say one of UP=yes, DOWN=yes, SWEEP=yes"


@pytest.mark.parametrize("flag", ["--up", "--down"])
@pytest.mark.parametrize("number", ["", "0", "../local", "7;rm"])
def test_an_environment_is_neither_made_nor_taken_away_without_a_number(
    flag: str, number: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LEANDATA_ENV", "local")
    with pytest.raises(LeandataError) as raised:
        pr_env(asked(flag, "--number", number))
    assert str(raised.value) == f"{number!r} is no pull request. N is its number, such as N=7"


def test_an_environment_that_is_not_there_cannot_be_taken_away(local: Environment) -> None:
    with pytest.raises(LeandataError) as raised:
        down(local, 7)
    assert str(raised.value) == f"pr-7 has no environment ({local.state.parent / 'pr-7'})"


def test_an_environment_whose_time_is_not_over_is_not_swept(local: Environment) -> None:
    place = tags.folder(local.state, 7)
    place.mkdir(parents=True)
    tag = tags.Tag(number=7, commit="abc", port_base=24_000, until=NOW)
    (place / tags.FILE).write_text(tag.text())
    assert sweep(local, now=NOW - timedelta(seconds=1)) == []
    assert (place / tags.FILE).read_text() == tag.text()


def test_the_proof_names_a_port_that_is_still_taken(local: Environment, tmp_path: Path) -> None:
    name, offset = min(local.file.ports.offsets.items())
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        port = listening.getsockname()[1]
        said = proof(local, tmp_path / "pr-7", port - offset)
    assert any(line.startswith(f"port {port} of {name} is still taken by ") for line in said)


def test_what_is_left_is_told_by_port_name(tmp_path: Path) -> None:
    ports = {"web": 2, "api": 1, "mail": 3}
    found = left(tmp_path / "none", ports, listening={2: "nginx", 1: "python", 9: "ssh"})
    assert found == ["port 1 of api is still taken by python", "port 2 of web is still taken by nginx"]


TAGGED = [
    {"kind": "role", "name": "r7", "tags": {"leandata.io/pr": "7", "leandata.io/until": "2020-01-01T0000Z"}},
    {"kind": "namespace", "name": "n7", "tags": {"leandata.io/pr": "7", "leandata.io/until": "2020-01-01T0000Z"}},
    {"kind": "role", "name": "r8", "tags": {"leandata.io/pr": "8", "leandata.io/until": "2999-01-01T0000Z"}},
    {"kind": "role", "name": "r9", "tags": {"leandata.io/pr": "9"}},
    {"kind": "role", "name": "ours", "tags": {}},
]
UNCLEAR = "unclear role        r9: its tag does not say until when"


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--sweep",), ["remove namespace    n7", "remove role         r7", UNCLEAR]),
        (("--down", "--number", "8"), ["remove role         r8", UNCLEAR]),
        (("--down", "--number", "70"), [UNCLEAR, "nothing with such a tag is left"]),
    ],
    ids=["sweep", "one", "none"],
)
def test_in_the_cloud_it_is_said_what_is_to_be_removed_and_what_is_unclear(
    dev: Environment, tmp_path: Path, capsys: pytest.CaptureFixture[str], flags: tuple[str, ...], said: list[str]
) -> None:
    (tmp_path / "tagged.json").write_text(json.dumps(TAGGED))
    assert in_the_cloud(asked(*flags, "--tagged", str(tmp_path / "tagged.json")), dev) == 0
    assert capsys.readouterr().out.splitlines() == said


def test_the_same_is_told_to_programs(dev: Environment, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "tagged.json").write_text(json.dumps(TAGGED))
    assert in_the_cloud(asked("--sweep", "--json", "--tagged", str(tmp_path / "tagged.json")), dev) == 0
    answer = json.loads(capsys.readouterr().out)
    assert [one["name"] for one in answer["remove"]] == ["n7", "r7"]
    assert [one["name"] for one in answer["unreadable"]] == ["r9"]


@pytest.mark.parametrize("flags", [("--sweep",), ("--down", "--number", "7")], ids=" ".join)
def test_in_the_cloud_nothing_is_removed_by_guess(dev: Environment, flags: tuple[str, ...]) -> None:
    with pytest.raises(LeandataError) as raised:
        in_the_cloud(asked(*flags), dev)
    assert str(raised.value) == "what lies in the cloud is not known. TAGGED=file, a list of {kind, name, tags}"


def on_snowflake(*objects: tuple[str, dict[str, Any]]) -> dict[str, Program]:
    made: dict[str, Resource] = {}
    for place, (kind, properties) in enumerate(objects):
        type_ = f"snowflake:index/{kind[0].lower()}{kind[1:]}:{kind}"
        urn = f"urn:pulumi:dev::warehouse::{type_}::{place}"
        made[urn] = Resource(
            urn=urn, type=type_, name=str(place), parent="", custom=True, properties=properties, needs=(),
            protect=False, retain=False, ignore=(),
        )  # fmt: skip
    return {"pr-7-warehouse": Program(resources=made)}


def test_a_database_is_cloned_from_the_one_without_the_prefix_and_kept_a_day() -> None:
    text = clone_sql(on_snowflake(("Database", {"name": "PR_7_RAW"})), PART)
    assert text.splitlines()[:3] == [
        "-- pr-7: zero-copy clones",
        'CREATE DATABASE "PR_7_RAW" CLONE "RAW";',
        (
            'ALTER DATABASE "PR_7_RAW" SET DATA_RETENTION_TIME_IN_DAYS = 1 '
            "COMMENT = 'leandata.io/pr=7 leandata.io/until=2026-11-25T1200Z';"
        ),
    ]
    assert text.count("CREATE DATABASE") == 1


def test_a_stage_that_came_with_the_clone_leads_to_the_original_s_files_and_is_dropped_first() -> None:
    stage = {"database": "PR_7_RAW", "schema": "LAKE", "name": "FILES", "url": "s3://lake/pr-7/raw"}
    text = clone_sql(on_snowflake(("StageExternalS3", stage), ("Database", {"name": "PR_7_RAW"})), PART)
    dropped = text.index('DROP STAGE IF EXISTS "PR_7_RAW"."LAKE"."FILES";')
    assert text.index(' CLONE "RAW"') < dropped < text.index("CREATE OR REPLACE STAGE")


def test_what_a_clone_brings_is_not_made_again_and_what_may_be_there_is_no_error() -> None:
    text = clone_sql(
        on_snowflake(
            ("Schema", {"database": "PR_7_RAW", "name": "LAKE"}), ("AccountRole", {"name": "PR_7_READER"}),
            ("Warehouse", {"name": "PR_7_SMALL"}), ("Database", {"name": "PR_7_RAW"}),
        ),
        PART,
    )  # fmt: skip
    assert "CREATE SCHEMA" not in text
    assert 'CREATE ROLE IF NOT EXISTS "PR_7_READER"' in text
    assert 'CREATE WAREHOUSE IF NOT EXISTS "PR_7_SMALL"' in text


def test_users_are_dropped_before_what_they_use_and_roles_last() -> None:
    kinds = ("AccountRole", "Database", "ResourceMonitor", "ServiceUser", "Warehouse")
    text = drop_sql(on_snowflake(*((kind, {"name": f"PR_7_{kind}"}) for kind in kinds), ("Schema", {"name": "LAKE"})))
    assert text.splitlines() == [
        'DROP USER IF EXISTS "PR_7_ServiceUser";',
        'DROP DATABASE IF EXISTS "PR_7_Database";',
        'DROP WAREHOUSE IF EXISTS "PR_7_Warehouse";',
        'DROP RESOURCE MONITOR IF EXISTS "PR_7_ResourceMonitor";',
        'DROP ROLE IF EXISTS "PR_7_AccountRole";',
    ]


def test_a_name_with_a_quote_stays_one_name() -> None:
    text = drop_sql(on_snowflake(("Database", {"name": 'PR_7_A"; DROP DATABASE RAW; --'})))
    assert text == 'DROP DATABASE IF EXISTS "PR_7_A; DROP DATABASE RAW; --";\n'


def test_a_line_says_who_signed_and_who_is_missing() -> None:
    row = Row(kind="data", stack="lake", name="raw", teams=("core", "data"))
    whole = Signed(row=row, by={"data": ("ann",), "core": ("bob", "eve")}, missing=())
    lacking = Signed(row=row, by={"data": ("ann",), "core": ()}, missing=("core",))
    assert lines([whole, lacking]) == [
        "signed   data        lake  raw  (core: bob, eve; data: ann)",
        "MISSING  data        lake  raw  (data: ann; core: missing)",
    ]


@pytest.mark.parametrize("commit", ["0" * 40, "--output=/tmp/x", "no-such-branch"])
def test_owners_of_a_commit_that_git_does_not_know_are_told_in_one_line(commit: str) -> None:
    with pytest.raises(LeandataError) as raised:
        teams_of(ROOT, commit)
    said = str(raised.value)
    assert said.startswith(f"git cannot show the owners of {commit}: ")
    assert "\n" not in said


def test_the_tests_of_a_service_are_found_and_those_of_none_are_refused_with_the_names() -> None:
    assert folders("") == []
    assert folders("api") == ["services/api/tests"]
    with pytest.raises(LeandataError, match=r"^no service 'apis'\. SERVICE is one of: .*api, "):
        folders("apis")
