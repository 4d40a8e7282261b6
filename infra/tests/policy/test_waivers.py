"""Waivers: somebody answers for each, each ends, and one that waives nothing is itself something to mend."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from infra.environment import ROOT
from infra.policy.rule import Finding
from infra.policy.waivers import LONGEST_DAYS, MOST, Waiver, apply, load
from leandata.errors import SettingsError

TODAY = date(2026, 11, 25)
BUCKET = "urn:pulumi:prod::lake::aws:s3/bucket:Bucket::raw"
FINDING = Finding(
    resource=BUCKET, property="policy", rule="bucket-tls", severity="high", said="plain HTTP", remedy="Deny it"
)
RULES = ["bucket-tls", "bucket-key"]


def waiver(**changes: Any) -> Waiver:
    whole: dict[str, Any] = {
        "rule": "bucket-tls",
        "resource": "*::lake::*::raw",
        "environments": ["prod"],
        "owner": "data-team",
        "reason": "The old loader speaks plain HTTP until it is replaced.",
        "until": TODAY + timedelta(days=30),
    }
    return Waiver.model_validate({**whole, **changes})


def left(*waivers: Waiver, findings: list[Finding] | None = None, environment: str = "prod") -> list[Finding]:
    found = [FINDING] if findings is None else findings
    return apply(found, list(waivers), environment=environment, today=TODAY, known=RULES)


def rules(found: list[Finding]) -> list[str]:
    return sorted(one.rule for one in found)


def test_what_is_waived_is_not_told():
    assert left(waiver()) == []


def test_nothing_is_waived_without_a_waiver():
    assert left() == [FINDING]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"rule": "bucket-key"}, "another rule"),
        ({"resource": "*::lake::*::curated"}, "another resource"),
        ({"resource": "*::warehouse::*"}, "another stack"),
        ({"resource": "raw"}, "only the end of its name"),
    ],
)
def test_a_waiver_waives_just_what_it_names(change: dict[str, str], why: str):
    assert rules(left(waiver(**change))) == ["bucket-tls", "waiver-unused"], why


def test_a_waiver_of_another_environment_neither_waives_nor_bothers():
    assert left(waiver(environments=["dev"])) == [FINDING]
    assert left(waiver(environments=["dev"]), findings=[]) == []


def test_a_waiver_holds_until_the_end_of_its_last_day():
    assert left(waiver(until=TODAY)) == []


def test_a_waiver_that_has_ended_waives_nothing_and_is_found():
    found = left(waiver(until=TODAY - timedelta(days=1)))
    assert rules(found) == ["bucket-tls", "waiver-ended"]
    ended = next(one for one in found if one.rule == "waiver-ended")
    assert "data-team" in ended.remedy
    assert ended.said == "on 2026-11-24"
    assert ended.resource == "infra/policy/waivers.toml"


def test_a_waiver_that_waives_nothing_is_found():
    assert rules(left(waiver(), findings=[])) == ["waiver-unused"]


def test_a_waiver_of_no_rule_is_found():
    assert rules(left(waiver(rule="bucket-tsl"), findings=[])) == ["waiver-of-no-rule"]


def test_a_waiver_ends_within_a_year():
    assert left(waiver(until=TODAY + timedelta(days=LONGEST_DAYS))) == []
    found = left(waiver(until=TODAY + timedelta(days=LONGEST_DAYS + 1)))
    assert rules(found) == ["waiver-too-long"]


def test_there_are_few_waivers():
    many = [waiver(resource=f"*::{number}", environments=["dev"]) for number in range(MOST + 1)]
    assert rules(left(*many, findings=[])) == ["waivers-few"]
    assert left(*many[:MOST], findings=[]) == []


def test_one_waiver_may_waive_several_findings_of_one_rule():
    several = [FINDING, replace(FINDING, property="other")]
    assert left(waiver(), findings=several) == []


def test_a_waiver_of_somebody_else_s_rule_is_left_to_the_scanner():
    assert left(waiver(rule="checkov:CKV_K8S_38"), findings=[]) == []
    ended = left(waiver(rule="checkov:CKV_K8S_38", until=TODAY - timedelta(days=1)), findings=[])
    assert rules(ended) == ["waiver-ended"]


def test_findings_stay_in_order():
    others = [replace(FINDING, resource=name) for name in ("c", "a", "b")]
    assert [one.resource for one in left(findings=others)] == ["a", "b", "c"]


def written(tmp_path: Path, text: str) -> Path:
    place = tmp_path / "infra" / "policy" / "waivers.toml"
    place.parent.mkdir(parents=True)
    place.write_text(text, encoding="utf-8")
    return tmp_path


WHOLE = """
[[waiver]]
rule = "bucket-tls"
resource = "*::raw"
environments = ["prod"]
owner = "data-team"
reason = "The old loader speaks plain HTTP until it is replaced."
until = 2027-03-01
"""


def test_a_file_of_waivers_is_read(tmp_path: Path):
    (found,) = load(written(tmp_path, WHOLE))
    assert (found.rule, found.until, found.scanner) == ("bucket-tls", date(2027, 3, 1), "")


def test_a_file_without_waivers_has_none(tmp_path: Path):
    assert load(written(tmp_path, "# nothing\n")) == []


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ('owner = "data-team"\n', "", "waiver.0.owner"),
        ('owner = "data-team"', 'owner = ""', "waiver.0.owner"),
        ('["prod"]', "[]", "waiver.0.environments"),
        ("until = 2027-03-01\n", "", "waiver.0.until"),
        ("until = 2027-03-01", 'until = "soon"', "waiver.0.until"),
        ('reason = "The old loader speaks plain HTTP until it is replaced."', 'reason = "later"', "waiver.0.reason"),
        ("rule =", "rules =", "waiver.0.rule"),
    ],
)
def test_a_waiver_that_says_too_little_is_refused_with_its_key(tmp_path: Path, old: str, new: str, key: str):
    with pytest.raises(SettingsError) as error:
        load(written(tmp_path, WHOLE.replace(old, new)))
    assert key in str(error.value)
    assert "waivers.toml" in str(error.value)


def test_our_own_waivers_are_well_formed_few_and_not_yet_over():
    ours = load(ROOT)
    assert len(ours) <= MOST
    assert all(len(one.reason) > 20 and one.owner for one in ours)
