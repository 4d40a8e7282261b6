"""What is written of a workflow is read back by YAML as it was said, and files are written only where they differ."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from ci.workflows.files import differing, wanted, write
from ci.workflows.model import AWS, CHECKOUT, DOWNLOAD, RUNNER, UPLOAD, Job, Right, Step, Workflow
from ci.workflows.steps import checkout, fetch, github_environment, hand_on, matrix, take_role, verb
from ci.workflows.writing import HEADER, text
from infra.environment import ROOT, Environment

HELP = Step(name="Do", run="make help")
SAID = st.text(st.sampled_from("aZ019 .:#-,'\"{}[]$&*!|>%@`\\/~=?_é\t\n"), min_size=1, max_size=12)
WORDS = st.sampled_from(
    ["true", "No", "null", "~", ".5", ".inf", ".NaN", "1e3", "0x1f", "1:30", "<<", "=", "---", "a:"]
)
PROD = Environment.load("prod", environ={}, root=ROOT)
DEV = Environment.load("dev", environ={}, root=ROOT)


def workflow(*, jobs: dict[str, Job] | None = None, **more: Any) -> Workflow:
    whole: dict[str, Any] = {"name": "x", "why": "It must.", "on": {"push": {}}, "group": "x", **more}
    return Workflow(jobs=jobs or {"a": job()}, **whole)


def job(*steps: Step, **more: Any) -> Job:
    return Job(**{"name": "A job", "minutes": 5, "steps": steps or (HELP,), **more})


def read(found: Workflow) -> dict[Any, Any]:
    return yaml.safe_load(text(found))


def the_job(*steps: Step, **more: Any) -> dict[str, Any]:
    return read(workflow(jobs={"a": job(*steps, **more)}))["jobs"]["a"]


@given(SAID | WORDS)
def test_a_text_is_read_back_wherever_it_stands(said: str):
    step = Step(name=said, run=said, only=said, given={"key": said}, env={"A": said})
    found = the_job(step, name=said, only=said, env={"A": said}, environment=said, matrix=({"key": said},))
    assert (found["name"], found["if"], found["env"], found["environment"]) == (said, said, {"A": said}, {"name": said})
    assert found["strategy"]["matrix"]["include"] == [{"key": said}]
    assert found["steps"] == [{"name": said, "run": said, "if": said, "with": {"key": said}, "env": {"A": said}}]


@given(st.lists(SAID | WORDS, min_size=1, max_size=4))
@settings(max_examples=60)
def test_a_list_of_texts_is_read_back(said: list[str]):
    assert read(workflow(on={"push": {"branches": said}}))[True] == {"push": {"branches": said}}


@pytest.mark.parametrize("value", [True, False, 0, 7, 1.5])
def test_a_value_that_is_no_text_keeps_its_type(value: Any):
    (step,) = the_job(Step(name="x", uses=CHECKOUT, given={"key": value}))["steps"]
    assert step["with"] == {"key": value}
    assert type(step["with"]["key"]) is type(value)


def test_a_list_of_tables_and_an_empty_list_are_read_back():
    on = {"schedule": [{"cron": "1 2 * * *"}, {"cron": "3 4 * * 6", "zone": "x"}], "push": {"branches": []}}
    assert read(workflow(on=on))[True] == on


def test_a_file_begins_with_where_it_is_made_and_what_it_is_for():
    first, second, *_ = text(workflow(why="Somebody must.")).splitlines()
    assert (first, second) == (HEADER, "# Somebody must.")
    assert text(workflow()).endswith("\n")
    assert not text(workflow()).endswith("\n\n")


@pytest.mark.parametrize(
    ("cancels", "said"),
    [
        (True, {"group": "x", "cancel-in-progress": True}),
        (False, {"group": "x", "cancel-in-progress": False, "queue": "max"}),
    ],
    ids=["ends the older", "waits"],
)
def test_a_newer_run_ends_the_older_or_all_wait_their_turn(cancels: bool, said: dict[str, Any]):
    assert read(workflow(cancels=cancels))["concurrency"] == said


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        ((), "on:\n"),
        (("dangerous-triggers",), "on:  # zizmor: ignore[dangerous-triggers]\n"),
        (("a", "b"), "on:  # zizmor: ignore[a,b]\n"),
    ],
    ids=["none", "one", "two"],
)
def test_a_rule_that_is_broken_on_purpose_is_named_where_it_is_broken(rules: tuple[str, ...], said: str):
    assert f"\n{said}" in text(workflow(accepted=rules))
    assert read(workflow(accepted=rules)) == read(workflow())


def test_a_job_of_its_least_says_only_its_least():
    assert the_job() == {
        "name": "A job",
        "runs-on": RUNNER,
        "timeout-minutes": 5,
        "permissions": {},
        "steps": [{"name": "Do", "run": "make help"}],
    }


def test_a_job_that_says_everything_is_read_back_whole():
    rights = (Right(scope="contents", access="read", why="code"), Right(scope="issues", access="write", why="talk"))
    found = the_job(
        rights=rights,
        needs=("b", "c"),
        queue="q",
        matrix=({"x": "1"}, {"x": "2"}),
        environment="e",
        runner="self-hosted",
    )
    assert found["permissions"] == {"contents": "read", "issues": "write"}
    assert found["needs"] == ["b", "c"]
    assert found["concurrency"] == {"group": "q", "cancel-in-progress": False, "queue": "max"}
    assert found["strategy"] == {"fail-fast": False, "matrix": {"include": [{"x": "1"}, {"x": "2"}]}}
    assert (found["environment"], found["runs-on"]) == ({"name": "e"}, "self-hosted")


def test_jobs_stand_in_the_order_in_which_they_are_described():
    jobs = {name: job() for name in ("z", "a", "m")}
    assert list(read(workflow(jobs=jobs))["jobs"]) == ["z", "a", "m"]


def test_an_action_is_named_by_its_commit_with_its_version_beside_it():
    said = text(workflow(jobs={"a": job(Step(name="x", uses=UPLOAD))}))
    assert f"        uses: {UPLOAD.name}@{UPLOAD.commit}  # {UPLOAD.version}\n" in said


@pytest.mark.parametrize(
    ("options", "given"),
    [
        ({}, {"persist-credentials": False}),
        ({"ref": "abc"}, {"ref": "abc", "persist-credentials": False}),
        ({"history": True}, {"fetch-depth": 0, "persist-credentials": False}),
    ],
    ids=["plain", "a commit", "with history"],
)
def test_a_checkout_keeps_no_token_whatever_is_asked(options: Any, given: dict[str, Any]):
    assert checkout(**options) == Step(name="Check out", uses=CHECKOUT, given=given)


@pytest.mark.parametrize(
    ("options", "run"),
    [
        ({}, "make preview"),
        ({"ENV": "prod"}, "make preview ENV=prod"),
        ({"BASE": "$BASE"}, 'make preview BASE="$BASE"'),
        ({"ENV": "$ENVIRONMENT", "LIVE": "yes"}, 'make preview ENV="$ENVIRONMENT" LIVE=yes'),
    ],
    ids=["alone", "a word", "a variable", "both"],
)
def test_a_verb_is_a_command_of_make_whose_variables_stand_in_quotes(options: dict[str, str], run: str):
    assert verb("preview", says="Preview", **options) == Step(name="Preview", run=run)


def test_a_role_is_of_one_environment_or_of_the_row_of_the_matrix():
    one, rows = take_role("preview", PROD), take_role("preview")
    assert (one.uses, rows.uses) == (AWS, AWS)
    assert "${{" not in str(one.given)
    assert rows.given == {
        "role-to-assume": "${{ matrix.role }}",
        "aws-region": "${{ matrix.region }}",
        "allowed-account-ids": "${{ matrix.account }}",
    }
    (row,) = matrix({"prod": PROD}, "preview")
    assert one.given == {
        "role-to-assume": row["role"],
        "aws-region": row["region"],
        "allowed-account-ids": row["account"],
    }


def test_the_rows_of_a_matrix_are_sorted_and_each_is_of_its_own_account_and_role():
    rows = matrix({"prod": PROD, "dev": DEV}, "drift")
    assert [row["environment"] for row in rows] == ["dev", "prod"]
    assert all(f":{row['account']}:" in row["role"] for row in rows)
    assert rows[0]["role"] != rows[1]["role"]
    assert rows != matrix({"prod": PROD, "dev": DEV}, "preview")


@pytest.mark.parametrize("role", ["preview", "deploy", "drift"])
def test_the_environment_of_github_is_named_after_environment_and_role(role: str):
    assert github_environment(PROD, role) == f"prod-{role}"


@pytest.mark.parametrize(("always", "missing", "only"), [(False, "error", ""), (True, "warn", "!cancelled()")])
def test_a_folder_is_handed_on_and_its_lack_is_an_error_unless_the_job_failed_before(
    always: bool, missing: str, only: str
):
    found = hand_on("plan", folder="build/x", always=always)
    assert (found.uses, found.only, found.given["if-no-files-found"]) == (UPLOAD, only, missing)
    assert fetch("plan", folder="build/x") == Step(
        name="Fetch it", uses=DOWNLOAD, given={name: found.given[name] for name in ("name", "path")}
    )


def test_a_workflow_is_a_file_of_its_name():
    found = workflow(name="drift")
    assert wanted([found]) == {"drift.yml": text(found)}


def test_where_there_is_no_folder_every_file_is_missing_and_then_written(tmp_path: Path):
    folder, files = tmp_path / "a" / "b", {"b.yml": "two\n", "a.yml": "one\n"}
    assert differing(folder, files) == ["a.yml", "b.yml"]
    write(folder, files, ["a.yml", "b.yml"])
    assert differing(folder, files) == []


@pytest.mark.parametrize(
    "data", [b"one", b"one\n\n", b"one\r\n", b"\xff\xfe", b"", b"\xef\xbb\xbfone\n"],
    ids=["no end", "a line more", "other line ends", "no UTF-8", "empty", "a mark at its begin"],
)  # fmt: skip
def test_a_file_of_other_bytes_differs_and_is_written_anew(data: bytes, tmp_path: Path):
    (tmp_path / "a.yml").write_bytes(data)
    assert differing(tmp_path, {"a.yml": "one\n"}) == ["a.yml"]
    write(tmp_path, {"a.yml": "one\n"}, ["a.yml"])
    assert (tmp_path / "a.yml").read_bytes() == b"one\n"


def test_only_what_is_named_is_written_and_other_kinds_of_files_stay(tmp_path: Path):
    (tmp_path / "README.md").write_text("mine")
    (tmp_path / "a.yml").write_text("kept")
    write(tmp_path, {"a.yml": "one\n", "b.yml": "two\n"}, ["b.yml"])
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {
        "README.md": "mine",
        "a.yml": "kept",
        "b.yml": "two\n",
    }
    assert differing(tmp_path, {"b.yml": "two\n"}) == ["a.yml"]
