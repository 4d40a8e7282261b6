"""What policies say: a table for people, JSON for programs, a refusal for a deployment."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ci import cli
from ci.policy import answer, demand_policies, place, summary, table
from ci.programs import Program
from ci.tests.graphs import deployment, graph, resource
from infra.environment import Environment
from infra.policy import RULES, Finding, judge
from leandata.errors import LeandataError

URN = "urn:pulumi:prod::lake::leandata:index:Lake$aws:s3/bucket:Bucket::raw"
HIGH = Finding(resource=URN, property="policy", rule="bucket-tls", severity="high", said="no policy", remedy="Deny it")
LOW = Finding(resource=URN, property="tags", rule="objects-tags", severity="low", said="", remedy="Give it tags")
LOCAL = Environment.load("local", environ={})


def test_a_finding_is_placed_by_stack_kind_and_name():
    assert place(HIGH) == "lake: Bucket raw policy"


def test_a_finding_of_a_file_is_placed_by_its_path():
    found = Finding(
        resource="infra/policy/waivers.toml",
        property="x",
        rule="waiver-unused",
        severity="high",
        said="",
        remedy="Remove it",
    )
    assert place(found) == "infra/policy/waivers.toml x"


def test_the_table_begins_with_the_worst_and_says_how_to_mend_each():
    lines = table([LOW, HIGH], environment="prod", resources=7).splitlines()
    assert [line.split()[0] for line in lines[:-1:2]] == ["high", "low"]
    assert [line.strip() for line in lines[1:-1:2]] == ["-> Deny it", "-> Give it tags"]
    assert "bucket-tls" in lines[0]
    assert "(no policy)" in lines[0]
    assert "()" not in lines[2]


def test_the_last_line_counts():
    assert table([LOW, HIGH], environment="prod", resources=7).splitlines()[-1] == (
        f"prod: 7 resources, {len(RULES)} rules: 1 high, 1 low"
    )
    assert summary([], environment="dev", resources=3).endswith("rules: no findings")


def test_programs_are_answered_with_every_part_of_a_finding():
    found = answer([HIGH], environment="prod", resources=7)
    assert not found["ok"]
    assert json.loads(json.dumps(found))["findings"] == [
        {
            "property": "policy",
            "remedy": "Deny it",
            "resource": URN,
            "rule": "bucket-tls",
            "said": "no policy",
            "severity": "high",
        }
    ]
    assert answer([], environment="prod", resources=7)["ok"]


def test_a_deployment_is_refused_in_one_line_that_names_the_worst():
    programs = graph(deployment("api"))
    with pytest.raises(LeandataError) as error:
        demand_policies(LOCAL, programs)
    text = str(error.value)
    assert "\n" not in text
    assert "make policy ENV=local" in text
    assert "Deployment" in text
    worst = [one for one in judge(programs, environment=LOCAL) if one.severity == "high"]
    assert worst[0].rule in text


def test_a_deployment_is_not_refused_when_nothing_is_found():
    demand_policies(LOCAL, graph(resource("machine:index:Process", "api")))
    demand_policies(LOCAL, {"empty": Program()})


def test_findings_are_sorted_by_resource_and_property():
    found = judge(graph(deployment("b"), deployment("a")), environment=LOCAL)
    keys = [(one.resource, one.property, one.rule) for one in found]
    assert keys == sorted(keys)
    assert len(set(found)) == len(found)


def test_what_a_finding_says_fits_a_line():
    for one in judge(graph(deployment("api")), environment=LOCAL):
        assert "\n" not in str(one)
        assert one.resource in str(one)


@pytest.mark.integration
def test_the_verb_judges_one_environment(capsys: pytest.CaptureFixture[str]):
    assert cli.run(["policy", "--env", "local"]) == 0
    assert capsys.readouterr().out.rstrip().endswith("no findings")


@pytest.mark.integration
def test_the_verb_answers_programs(capsys: pytest.CaptureFixture[str]):
    assert cli.run(["policy", "--env", "local", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["ok"], found["findings"], found["environment"]) == (True, [], "local")


def test_an_environment_that_is_none_is_told_in_one_line(capsys: pytest.CaptureFixture[str]):
    assert cli.run(["policy", "--env", "nowhere"]) == 1
    assert "unknown environment 'nowhere'" in capsys.readouterr().err


def test_waivers_lie_where_the_docs_say():
    assert Path(LOCAL.root, "infra", "policy", "waivers.toml").exists()
