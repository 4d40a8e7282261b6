"""The workflows: as described, with few rights, pinned, and nothing of a stranger's text in a command."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from ci.workflows.described import FOLDER, described
from ci.workflows.files import differing, wanted, write
from ci.workflows.model import ACTIONS, Job, Right, Step, Workflow
from ci.workflows.writing import text
from infra.components.aws import rights
from infra.environment import ROOT, Environment, names

WORKFLOWS = {workflow.name: workflow for workflow in described(ROOT)}
READ: dict[str, Any] = {name: yaml.safe_load(text(workflow)) for name, workflow in WORKFLOWS.items()}
JOBS = {f"{name}.{key}": job for name, read in READ.items() for key, job in read["jobs"].items()}
TRUSTED = ("comment", "deploy", "drift", "images", "restore-drill", "sweep")
# What may stand in a command: a verb with options whose values are plain, or a variable in quotes.
COMMAND = re.compile(r'make [a-z-]+( [A-Z]+=([A-Za-z0-9./_-]+|"\$[A-Z_]+"))*')


def test_what_is_committed_is_what_is_described():
    assert differing(ROOT / FOLDER, wanted(list(WORKFLOWS.values()))) == []


def test_the_same_description_gives_the_same_bytes():
    assert wanted(described(ROOT)) == wanted(described(ROOT))


@pytest.mark.parametrize("name", WORKFLOWS)
def test_a_workflow_begins_without_any_right(name: str):
    assert READ[name]["permissions"] == {}


@pytest.mark.parametrize("name", WORKFLOWS)
def test_nothing_runs_on_a_request_with_rights_of_the_target(name: str):
    assert "pull_request_target" not in READ[name][True]


@pytest.mark.parametrize("name", JOBS)
def test_a_job_says_what_it_may_and_how_long(name: str):
    assert "permissions" in JOBS[name]
    assert 1 <= JOBS[name]["timeout-minutes"] <= 120


@pytest.mark.parametrize("name", JOBS)
def test_a_command_is_a_verb_with_plain_options(name: str):
    commands = [step["run"] for step in JOBS[name]["steps"] if "run" in step]
    assert commands
    assert [one for one in commands if not COMMAND.fullmatch(one)] == []


@pytest.mark.parametrize("name", JOBS)
def test_an_action_is_pinned_by_the_id_of_a_commit(name: str):
    known = {f"{one.name}@{one.commit}" for one in ACTIONS}
    assert {step["uses"] for step in JOBS[name]["steps"] if "uses" in step} <= known
    assert all(re.fullmatch(r"[a-z-]+/[a-z-]+@[0-9a-f]{40}", one) for one in known)


@pytest.mark.parametrize("name", JOBS)
def test_a_checkout_leaves_no_token_behind(name: str):
    checkouts = [step["with"] for step in JOBS[name]["steps"] if step.get("uses", "").startswith("actions/checkout@")]
    assert checkouts
    assert all(given["persist-credentials"] is False for given in checkouts)


@pytest.mark.parametrize("job", READ["pull-request"]["jobs"])
def test_the_code_of_a_fork_gets_no_secret_and_a_token_that_reads(job: str):
    assert READ["pull-request"]["jobs"][job]["permissions"] == {"contents": "read"}
    assert "environment" not in READ["pull-request"]["jobs"][job]
    assert "secrets." not in text(WORKFLOWS["pull-request"])


@pytest.mark.parametrize("name", TRUSTED)
def test_what_holds_rights_runs_no_code_of_a_request(name: str):
    assert "pull_request" not in READ[name][True]
    assert "pull_request.head" not in text(WORKFLOWS[name])
    assert not any("ref" in step.get("with", {}) for job in READ[name]["jobs"].values() for step in job["steps"])


def test_a_role_is_taken_only_for_branches_of_the_repository():
    job = READ["live-preview"]["jobs"]["preview"]
    assert job["if"] == "github.event.pull_request.head.repo.full_name == github.repository"
    assert "secrets." not in text(WORKFLOWS["live-preview"])


@pytest.mark.parametrize("name", ["dev", "staging", "prod"])
@pytest.mark.parametrize(
    ("workflow", "job", "role"), [("live-preview", "preview", "preview"), ("drift", "compare", "drift")]
)
def test_a_job_runs_in_the_environment_that_the_role_trusts(name: str, workflow: str, job: str, role: str):
    found = READ[workflow]["jobs"][job]
    (row,) = [row for row in found["strategy"]["matrix"]["include"] if row["environment"] == name]
    environment = Environment.load(name, environ={}, root=ROOT)
    entered = found["environment"]["name"].replace("${{ matrix.environment }}", name)
    assert rights.subject(environment, role).endswith(f":environment:{entered}")
    assert row["role"] == rights.role_arn(environment, role)


@pytest.mark.parametrize("name", ["dev", "staging", "prod"])
def test_a_deployment_waits_its_turn_and_is_never_cancelled(name: str):
    job = READ["deploy"]["jobs"][f"deploy-{name}"]
    assert job["concurrency"] == {"group": f"deploy-{name}", "cancel-in-progress": False, "queue": "max"}
    assert job["environment"] == {"name": f"{name}-deploy"}


@pytest.mark.parametrize("name", ["dev", "staging", "prod"])
def test_what_was_previewed_is_deployed_canary_first_and_looked_at(name: str):
    commands = [step["run"] for step in READ["deploy"]["jobs"][f"deploy-{name}"]["steps"] if "run" in step]
    assert commands == [
        "make approve PLAN=build/preview/plan.json",
        f"make deploy ENV={name} PLAN=build/preview/plan.json CANARY=dash",
        f"make smoke ENV={name}",
    ]


def test_environments_are_deployed_one_after_the_other_and_after_all_checks_and_tests():
    jobs = READ["deploy"]["jobs"]
    each = [f"{what}-{name}" for name in ("dev", "staging", "prod") for what in ("preview", "deploy")]
    assert list(jobs) == ["test", *each]
    assert [step["run"] for step in jobs["test"]["steps"] if "run" in step] == ["make check", "make test"]
    assert jobs["test"]["permissions"] == {"contents": "read"}
    assert [jobs[name].get("needs", []) for name in jobs] == [[], *([name] for name in list(jobs)[:-1])]


def test_a_newer_push_ends_the_older_preview():
    for name in ("live-preview", "pull-request"):
        assert READ[name]["concurrency"]["cancel-in-progress"] is True


def test_every_environment_is_previewed_for_every_request():
    rows = READ["pull-request"]["jobs"]["preview"]["strategy"]["matrix"]["include"]
    assert [row["environment"] for row in rows] == sorted(names(root=ROOT))


def job(**changes: Any) -> Job:
    return Job(**{"name": "A job", "minutes": 5, "steps": (Step(name="Do", run="make help"),), **changes})


def workflow(*, on: Any = None, **changes: Any) -> Workflow:
    return Workflow(name="x", why="It must.", on=on or {"push": {}}, group="x", jobs={"a": job(**changes)})


@pytest.mark.parametrize(
    "said",
    [
        "plain",
        "a: b",
        "a #b",
        "true",
        "on",
        "17 2 * * *",
        "'quoted'",
        '"quoted"',
        "with, comma",
        "ends:",
        "${{ a }}",
        "-",
    ],
)
def test_whatever_is_said_is_read_back_as_it_was(said: str):
    read = yaml.safe_load(text(workflow(name=said, env={"A": said}, only=said)))
    found = read["jobs"]["a"]
    assert (found["name"], found["env"], found["if"]) == (said, {"A": said}, said)


def test_lists_and_empty_tables_are_read_back():
    on: dict[str, Any] = {
        "push": {"branches": ["a,b", "main"]},
        "workflow_dispatch": {},
        "schedule": [{"cron": "1 * * * *"}],
    }
    read = yaml.safe_load(text(workflow(on=on)))[True]
    assert read == {
        "push": {"branches": ["a,b", "main"]},
        "workflow_dispatch": None,
        "schedule": [{"cron": "1 * * * *"}],
    }


def test_a_right_says_what_it_is_for():
    said = text(workflow(rights=(Right(scope="contents", access="read", why="the checkout"),)))
    assert "      contents: read  # the checkout\n" in said


def test_what_differs_is_named_written_and_removed(tmp_path: Path):
    files = {"a.yml": "one\n", "b.yml": "two\n"}
    (tmp_path / "a.yml").write_text("other\n")
    (tmp_path / "old.yaml").write_text("gone\n")
    assert differing(tmp_path, files) == ["a.yml", "b.yml", "old.yaml"]
    write(tmp_path, files, differing(tmp_path, files))
    assert differing(tmp_path, files) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.yml", "b.yml"]
