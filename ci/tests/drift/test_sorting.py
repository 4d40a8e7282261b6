"""What is dangerous, what is harmless, what is noise; and which rules are refused."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest

from ci.drift.model import SORTS, Difference, Found, Kind, Sort, StackDrift, exit_code
from ci.drift.noise import FILE, Rule, load, noisy
from ci.drift.remedy import adopt, revert
from ci.drift.sorting import sort
from infra.environment import ROOT
from leandata.errors import SettingsError

TODAY = date(2026, 11, 25)


def found(type_: str = "machine:index:File", kind: Kind = "changed", property: str = "content", **more: Any) -> Found:  # noqa: A002
    return Found(stack="lake", urn="urn:x", type=type_, name="thing", kind=kind, property=property, **more)


@pytest.mark.parametrize(
    ("type_", "kind", "property_", "expected"),
    [
        ("machine:index:File", "changed", "content", "harmless"),
        ("machine:index:File", "gone", "", "harmless"),
        ("machine:index:Directory", "gone", "", "dangerous"),
        ("machine:index:Secret", "gone", "", "dangerous"),
        ("machine:index:Secret", "changed", "mode", "dangerous"),
        ("machine:index:Secret", "changed", "fingerprint", "dangerous"),
        ("machine:index:PostgresDatabase", "gone", "", "dangerous"),
        ("machine:index:PostgresDatabase", "changed", "settings.work_mem", "harmless"),
        ("machine:index:PostgresDatabase", "changed", "public[0]", "dangerous"),
        ("machine:index:PostgresDatabase", "changed", "owner", "dangerous"),
        ("machine:index:PostgresRole", "gone", "", "dangerous"),
        ("machine:index:PostgresRole", "changed", "options", "dangerous"),
        ("machine:index:PostgresGrants", "changed", "excess[0]", "dangerous"),
        ("machine:index:Process", "changed", "state", "harmless"),
        ("machine:index:Process", "changed", "command[2]", "dangerous"),
        ("machine:index:Process", "changed", "env.MODE", "dangerous"),
        ("machine:index:Process", "changed", "definition", "dangerous"),
        ("machine:index:Job", "changed", "missing[0]", "dangerous"),
        ("machine:index:WarehouseSchema", "gone", "", "dangerous"),
        ("machine:index:WarehouseStage", "changed", "url", "dangerous"),
        ("machine:index:WarehouseFileFormat", "gone", "", "harmless"),
        ("aws:s3/bucket:Bucket", "gone", "", "dangerous"),
        ("aws:s3/bucketPolicy:BucketPolicy", "changed", "policy", "dangerous"),
        ("aws:iam/role:Role", "changed", "assumeRolePolicy", "dangerous"),
        ("aws:ec2/securityGroup:SecurityGroup", "changed", "ingress", "dangerous"),
        ("aws:cloudwatch/logGroup:LogGroup", "changed", "retentionInDays", "harmless"),
        ("snowflake:index/grantAccountRole:GrantAccountRole", "gone", "", "dangerous"),
        ("snowflake:index/database:Database", "gone", "", "dangerous"),
        ("snowflake:index/warehouse:Warehouse", "changed", "autoSuspend", "harmless"),
        ("kubernetes:rbac.authorization.k8s.io/v1:RoleBinding", "changed", "subjects", "dangerous"),
        ("kubernetes:networking.k8s.io/v1:NetworkPolicy", "gone", "", "dangerous"),
        ("kubernetes:apps/v1:Deployment", "changed", "spec.replicas", "harmless"),
        ("other:index:Thing", "changed", "x", "dangerous"),
        ("role", "beside", "", "dangerous"),
        ("grant", "beside", "", "dangerous"),
        ("table", "beside", "", "harmless"),
        ("machine:index:PostgresRole", "undeployed", "settings", "harmless"),
    ],
)
def test_the_type_the_property_and_what_became_of_it_decide(
    type_: str, kind: Kind, property_: str, expected: Sort
) -> None:
    sorted_as, why = sort(found(type_, kind, property_), ())
    assert sorted_as == expected
    assert why


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("0640", "0644", "dangerous"),
        ("0644", "0640", "harmless"),
        ("0750", "0700", "harmless"),
        ("0700", "0770", "harmless"),
        ("x", "0777", "harmless"),
    ],
)
def test_a_mode_is_dangerous_when_it_opens_something_to_everybody(before: str, after: str, expected: Sort) -> None:
    assert sort(found(property="mode", before=before, after=after), ())[0] == expected


def rule(**changed: Any) -> Rule:
    known = {
        "stack": "lake",
        "type": "machine:*",
        "name": "*",
        "property": "content",
        "reason": "a job edits it at night",
        "until": TODAY,
    }
    return Rule.model_validate({**known, **changed})


def test_a_rule_makes_noise_of_what_it_covers_and_gives_its_reason() -> None:
    assert sort(found(), (rule(),)) == ("noise", "a job edits it at night (until 2026-11-25)")


@pytest.mark.parametrize("changed", [{"stack": "api"}, {"type": "aws:*"}, {"name": "oth*"}, {"property": "mode"}])
def test_a_rule_covers_only_what_it_names(changed: dict[str, str]) -> None:
    assert noisy(found(), (rule(**changed),)) is None


@pytest.mark.parametrize("kind", ["gone", "beside", "undeployed"])
def test_what_is_gone_or_beside_is_never_noise(kind: Kind) -> None:
    assert noisy(found(kind=kind), (rule(property="*"),)) is None


def checkout(folder: Path, text: str) -> Path:
    (folder / FILE).parent.mkdir(parents=True)
    (folder / FILE).write_text(text)
    return folder


RULE = """[[rule]]
stack = "lake"
type = "machine:index:File"
name = "*"
property = "mode"
reason = "the nightly job changes it"
until = 2026-11-25
"""


def test_a_rule_counts_on_its_last_day_and_is_an_error_on_the_next(tmp_path: Path) -> None:
    root = checkout(tmp_path, RULE)
    assert len(load(TODAY, root=root)) == 1
    with pytest.raises(SettingsError, match="the noise rule for machine:index:File \\* mode ended on 2026-11-25"):
        load(date(2026, 11, 26), root=root)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (RULE.replace('reason = "the nightly job changes it"\n', ""), "rule.0.reason: missing key"),
        (RULE.replace("until = 2026-11-25\n", ""), "rule.0.until: missing key"),
        (RULE.replace("the nightly job changes it", "noise"), "rule.0.reason"),
        (RULE + "colour = 1\n", "rule.0.colour: unknown key"),
        (RULE.replace('"*"', '""'), "rule.0.name"),
        ("[[rules]]\n", "rules: unknown key"),
    ],
)
def test_a_rule_without_reason_or_end_is_refused(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load(TODAY, root=checkout(tmp_path, text))
    assert said in str(caught.value)


def test_the_rules_of_this_checkout_can_be_read() -> None:
    assert len(load(date(2026, 1, 1), root=ROOT)) <= 20


def difference(sorted_as: Sort) -> Difference:
    return Difference(
        stack="lake", type="machine:index:File", name="x", kind="changed", property="content", before="a", after="b",
        sort=sorted_as, why="w", adopt="a", revert="r",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("sorts", "error", "code"),
    [
        ([], "", 0),
        (["noise"], "", 0),
        (["noise", "harmless"], "", 2),
        (["harmless", "dangerous"], "", 3),
        (["dangerous"], "the engine failed", 1),
    ],
)
def test_the_exit_code_says_the_worst(sorts: list[Sort], error: str, code: int) -> None:
    stacks = [
        StackDrift(stack="a", looked_at=1, differences=tuple(map(difference, sorts))),
        StackDrift(stack="b", looked_at=1, error=error),
    ]
    assert exit_code(stacks) == code


def test_the_sorts_are_told_the_worst_first() -> None:
    assert SORTS == ("dangerous", "harmless", "noise")


@pytest.mark.parametrize(
    ("one", "said"),
    [
        (
            found(source="infra/stacks/lake/__main__.py:16"),
            "infra/stacks/lake/__main__.py:16: File 'thing', content: a becomes b",
        ),
        (found(), "the program of the stack lake: File 'thing', content: a becomes b"),
        (found(kind="gone"), "the program of the stack lake: take File 'thing' out of the program"),
        (found("role", "beside"), "the program of the stack lake: declare the role 'thing'"),
        (found(kind="undeployed"), "the program of the stack lake: take the change of File 'thing' back"),
        (
            found(mended=False),
            "nothing: the program does not say it, and the next deployment writes down what is there",
        ),
        (found("machine:index:Process", property="state"), "nothing: no program declares that Process 'thing' is ill"),
        (
            found("machine:index:PostgresGrants", property="excess[0]"),
            "nothing: no program declares that PostgresGrants 'thing' is ill",
        ),
    ],
)
def test_adopting_names_the_line_to_change(one: Found, said: str) -> None:
    assert adopt(one, before="a", after="b") == said


@pytest.mark.parametrize(
    ("one", "said"),
    [
        (found(), "make deploy ENV=prod STACK=lake"),
        (found(kind="gone"), "make deploy ENV=prod STACK=lake"),
        (found("role", "beside", by_hand='DROP ROLE "x"'), 'DROP ROLE "x"'),
        (found(mended=False), "a deployment does not change it: put it back by hand, or restore it from a backup"),
    ],
)
def test_reverting_names_the_command(one: Found, said: str) -> None:
    assert revert(one, environment="prod") == said
