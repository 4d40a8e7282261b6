"""Other people's scanners: what they print is read, what is waived is left out, and each is pinned with all it needs."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from ci import cli
from ci.scanners import reading
from ci.scanners.inputs import files, render
from ci.scanners.reading import Found
from ci.scanners.run import Result, without_waived
from ci.scanners.tools import GO, KUBERNETES, NAMES, PINS, TOOLS, pinned, place
from ci.tests.graphs import deployment, graph, resource
from ci.verbs.scan import table
from infra.environment import ROOT
from infra.policy.waivers import Waiver
from leandata.errors import LeandataError

TODAY = date(2026, 11, 25)
FAILED = {"check_id": "CKV_K8S_38", "check_name": "Tokens", "file_path": "/api.yaml", "resource": "Pod.api.api"}


@pytest.mark.parametrize("many", [False, True])
def test_checkov_reports_once_or_in_a_list(many: bool):
    report: Any = {"results": {"failed_checks": [FAILED], "parsing_errors": ["/bad.yaml"]}}
    found = reading.checkov(json.dumps([report, report] if many else report))
    assert sorted(set(found)) == [
        Found(place="/api.yaml Pod.api.api", rule="CKV_K8S_38", said="Tokens"),
        Found(place="/bad.yaml", rule="parse", said="no YAML"),
    ]


def test_checkov_without_anything_to_look_at_finds_nothing():
    assert reading.checkov(json.dumps({"passed": 0, "failed": 0})) == []


def test_hadolint_names_file_and_line():
    text = json.dumps(
        [{"file": "Dockerfile", "line": 3, "code": "DL3008", "message": "Pin versions", "level": "warning"}]
    )
    assert reading.hadolint(text) == [Found(place="Dockerfile:3", rule="DL3008", said="Pin versions")]


def test_what_does_not_fit_its_schema_is_read_from_lines():
    text = (
        "INFO a.yaml passed for resource service/api against version 1.35\n"
        "WARN a.yaml Couldn't find schema for kind DaskCluster\n"
        "ERROR a.yaml did not validate for resource deployment/api against version 1.35: spec: Additional properties\n"
        "ERROR b.yaml could not be validated: 'apiVersion'\n"
    )
    assert reading.kubernetes_validate(text) == [
        Found(place="a.yaml deployment/api", rule="schema 1.35", said="spec: Additional properties"),
        Found(place="b.yaml", rule="schema", said="'apiVersion'"),
    ]


def test_a_version_without_schemas_is_no_silence():
    with pytest.raises(LeandataError, match=r"does not support kubernetes version 1\.99"):
        reading.kubernetes_validate("FATAL kubernetes-validate 1.37.0 does not support kubernetes version 1.99")


def test_parliament_prints_an_object_a_line():
    one = {"issue": "UNKNOWN_ACTION", "title": "Unknown", "detail": ["x"], "location": {"filepath": "a.json"}}
    text = f"warning: something\n{json.dumps(one)}\n"
    assert reading.parliament(text) == [Found(place="a.json", rule="UNKNOWN_ACTION", said='Unknown ["x"]')]


def test_what_our_own_rules_judge_more_closely_is_left_to_them():
    assert reading.parliament(json.dumps({"issue": "RESOURCE_STAR", "title": "Star", "location": {}})) == []


def test_shellcheck_names_file_and_line():
    text = json.dumps([{"file": "run", "line": 2, "code": 2086, "message": "Double quote", "level": "info"}])
    assert reading.shellcheck(text) == [Found(place="run:2", rule="SC2086", said="Double quote")]


def test_yamllint_prints_lines():
    text = "a/b.yml:8:81: [error] line too long (101 > 80 characters) (line-length)\nsomething else\n"
    assert reading.yamllint(text) == [
        Found(place="a/b.yml:8", rule="line-length", said="line too long (101 > 80 characters)")
    ]


def test_zizmor_names_file_and_line():
    location = {
        "symbolic": {"key": {"Local": {"given_path": "ci.yml"}}},
        "concrete": {"location": {"start_point": {"row": 4, "column": 0}}},
    }
    text = json.dumps([{"ident": "artipacked", "desc": "credentials stay", "locations": [location]}])
    assert reading.zizmor(text) == [Found(place="ci.yml:5", rule="artipacked", said="credentials stay")]


@pytest.mark.parametrize("name", ["actionlint", "check_jsonschema", "checkov", "hadolint", "shellcheck", "zizmor"])
def test_what_cannot_be_read_is_an_error_and_not_a_pass(name: str):
    with pytest.raises(LeandataError, match="nothing that can be read"):
        getattr(reading, name)("Traceback (most recent call last)")


@pytest.mark.parametrize(
    "name",
    ["actionlint", "check_jsonschema", "checkov", "hadolint", "parliament", "shellcheck", "yamllint", "zizmor"],
)
def test_silence_is_nothing_found(name: str):
    assert getattr(reading, name)("") == []


def test_actionlint_names_file_line_and_kind():
    text = json.dumps([{"filepath": "ci.yml", "line": 8, "kind": "syntax-check", "message": "unexpected key"}])
    assert reading.actionlint(text) == [Found(place="ci.yml:8", rule="syntax-check", said="unexpected key")]


def test_what_does_not_fit_the_schema_of_workflows_is_told_by_its_deepest_error():
    deep = {"path": "$.jobs.a.steps", "message": "[] should be non-empty"}
    errors = [
        {"filename": "ci.yml", "path": "$", "message": "not valid", "best_deep_match": deep},
        {"filename": "a.yml", "path": "$", "message": "'on' is a required property"},
    ]
    text = json.dumps({"errors": errors, "parse_errors": [{"filename": "b.yml", "message": "no YAML"}]})
    assert reading.check_jsonschema(text) == [
        Found(place="a.yml", rule="schema", said="$: 'on' is a required property"),
        Found(place="b.yml", rule="parse", said="no YAML"),
        Found(place="ci.yml", rule="schema", said="$.jobs.a.steps: [] should be non-empty"),
    ]


FROM_PYPI = tuple(name for name in NAMES if not (GO / name).is_dir())


@pytest.mark.parametrize("name", sorted(set(NAMES) - set(FROM_PYPI)))
def test_what_is_built_from_go_modules_is_pinned_by_their_sums(name: str):
    assert f"/{name}/cmd/{name}\n" in (GO / name / "go.mod").read_text()
    assert f"/{name} v" in (GO / name / "go.sum").read_text()
    assert place(name).name.startswith(f"{name}-")


@pytest.mark.parametrize("name", FROM_PYPI)
def test_each_scanner_is_pinned_with_all_it_needs(name: str):
    found = pinned(name)
    assert any(package.startswith(name) for package in found)
    assert all(version[0].isdigit() for version in found.values())
    assert place(name).name.startswith(f"{name}-")


def test_there_are_no_pins_of_what_is_no_scanner():
    assert sorted(path.stem for path in PINS.glob("*.txt")) == list(FROM_PYPI)


def test_manifests_are_validated_for_three_versions_of_kubernetes():
    versions = [tool.command[-1] for tool in TOOLS if tool.name == "kubernetes-validate"]
    assert versions == list(KUBERNETES)
    assert len(set(KUBERNETES)) == 3


def test_the_files_of_the_checkout_are_found_by_what_they_are():
    found = files(ROOT)
    names = {kind: [path.relative_to(ROOT).as_posix() for path in paths] for kind, paths in found.items()}
    assert "services/api/Dockerfile" in names["dockerfiles"]
    assert ".ci/run" in names["shell"]
    assert "services/airflow/pipelines/dbt/dbt_project.yml" in names["yaml"]
    assert not any(".venv" in path for paths in names.values() for path in paths)


def test_only_a_script_of_a_shell_is_one(tmp_path: Path):
    (tmp_path / "run").write_text("#!/bin/sh\n")
    (tmp_path / "other").write_text("#!/usr/bin/env python3\n")
    (tmp_path / "a.sh").write_text("echo\n")
    (tmp_path / "plain").write_text("no first line of its own\n")
    assert [path.name for path in files(tmp_path)["shell"]] == ["a.sh", "run"]


def test_workflows_are_those_of_github(tmp_path: Path):
    for name in (".github/workflows/ci.yml", ".github/dependabot.yml", "other/workflows/ci.yml"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("on: push\n")
    found = files(tmp_path)
    assert [path.relative_to(tmp_path).as_posix() for path in found["workflows"]] == [".github/workflows/ci.yml"]
    assert len(found["yaml"]) == 3


def test_manifests_and_policies_are_rendered(tmp_path: Path):
    policy = resource("aws:iam/rolePolicy:RolePolicy", "a/b", {"policy": '{"Version": "2012-10-17", "Statement": []}'})
    made = render(graph(deployment("api"), policy), tmp_path)
    assert [path.name for path in made["manifests"]] == ["s.yaml"]
    assert "kind: Deployment" in made["manifests"][0].read_text()
    assert [path.name for path in made["policies"]] == ["000-a-b.json"]
    assert json.loads(made["policies"][0].read_text())["Version"] == "2012-10-17"


def test_what_is_on_one_machine_gives_nothing_to_scan(tmp_path: Path):
    assert render(graph(resource("machine:index:Process", "api")), tmp_path) == {"manifests": [], "policies": []}


FOUND = Found(place="/api.yaml Pod.api.api", rule="CKV_K8S_38", said="Tokens")
RESULT = Result(tool="checkov", subject="prod", files=1, found=(FOUND,), seconds=1.0)


def waiver(**changes: Any) -> Waiver:
    whole: dict[str, Any] = {
        "rule": "checkov:CKV_K8S_38",
        "resource": "/api.yaml *",
        "environments": ["prod"],
        "owner": "data-team",
        "reason": "It talks to the API server of Kubernetes.",
        "until": date(2027, 1, 1),
    }
    return Waiver.model_validate({**whole, **changes})


def left(*waivers: Waiver, result: Result = RESULT) -> Result:
    (found,) = without_waived([result], waivers, environment="prod", today=TODAY)
    return found


def test_what_is_waived_is_counted_and_not_found():
    assert (left(waiver()).found, left(waiver()).waived) == ((), 1)


@pytest.mark.parametrize(
    "other",
    [
        {"rule": "checkov:CKV_K8S_1"},
        {"rule": "hadolint:CKV_K8S_38"},
        {"rule": "pods-token"},
        {"environments": ["dev"]},
        {"resource": "/dash.yaml *"},
        {"until": date(2026, 11, 24)},
    ],
)
def test_other_waivers_waive_nothing(other: dict[str, Any]):
    assert FOUND in left(waiver(**other)).found


def test_a_waiver_that_waives_nothing_is_found():
    (found,) = left(waiver(), result=Result(tool="checkov", subject="prod", files=1, found=(), seconds=1.0)).found
    assert (found.rule, found.said) == ("waiver-unused", "nothing of checkov:CKV_K8S_38")


def test_waivers_of_an_environment_do_not_count_for_the_checkout():
    checkout = Result(tool="checkov", subject="checkout", files=1, found=(FOUND,), seconds=1.0)
    assert left(waiver(), result=checkout) == checkout


def test_the_table_tells_what_each_scanner_found():
    lines = table([RESULT, left(waiver())]).splitlines()
    assert "1 findings" in lines[0]
    assert lines[1].strip() == "/api.yaml Pod.api.api: CKV_K8S_38 Tokens"
    assert lines[2].endswith("nothing found, 1 waived")
    assert table([]) == "nothing to scan"


def test_a_scanner_that_is_none_is_told_with_those_that_are(capsys: pytest.CaptureFixture[str]):
    assert cli.run(["scan", "--only", "clippy"]) == 1
    said = capsys.readouterr().err
    assert "'clippy'" in said
    assert "checkov" in said
