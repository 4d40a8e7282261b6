"""What a file may say of an AWS account: what is wrong is told in one line that names the key."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from infra.environment import ROOT, Environment, EnvironmentFile, parse_toml
from leandata.errors import SettingsError

ON_AWS = ("dev", "prod", "staging")


def changed(tmp_path: Path, pattern: str, replacement: str) -> Path:
    """prod.toml, with the first line that matches replaced."""
    text = (ROOT / "infra" / "environments" / "prod.toml").read_text()
    other = re.sub(f"^{pattern}$", replacement, text, count=1, flags=re.MULTILINE)
    assert other != text
    path = tmp_path / "prod.toml"
    path.write_text(other)
    return path


@pytest.mark.parametrize(
    ("line", "other", "said"),
    [
        ('account = ".*"', 'account = "123"', "aws.account"),
        ("account = .*", "account = 333333333333", "aws.account"),
        ('region = ".*"', 'region = "frankfurt"', "aws.region"),
        ('domain = ".*"', 'domain = "https://leandata.example"', "aws.domain"),
        ('cidr = ".*"', 'cidr = "10.30.0.0/24"', "aws.cidr: 10.30.0.0/24 is not between a /16 and a /20"),
        ('cidr = ".*"', 'cidr = "8.8.0.0/16"', "aws.cidr: 8.8.0.0/16 is not a range of private addresses"),
        ('cidr = ".*"', 'cidr = "10.30.0.7/16"', "aws.cidr"),
        ('cidr = ".*"', 'cidr = "everything"', "aws.cidr"),
        ("zones = .*", 'zones = ["a"]', "aws.zones"),
        ("zones = .*", 'zones = ["b", "a"]', "aws.zones: not sorted"),
        ("zones = .*", 'zones = ["a", "a", "b"]', "aws.zones: not sorted, or something is named twice"),
        ("zones = .*", "zones = 3", "aws.zones"),
        ('nat = ".*"', 'nat = "none"', "aws.nat"),
        ("protected = .*", 'protected = "yes"', "aws.protected"),
        ("log_days = .*", "log_days = 31", "aws.log_days"),
        ("flow_log_days = .*", "flow_log_days = 0", "aws.flow_log_days"),
        ("alerts = .*", "alerts = []", "aws.alerts"),
        ("alerts = .*", 'alerts = ["somebody"]', "aws.alerts"),
        ("foreign_buckets = .*", 'foreign_buckets = ["*"]', "aws.foreign_buckets"),
        ("monthly = .*", "monthly = 0", "aws.budget.monthly"),
        ("monthly = .*", 'monthly = "1000"', "aws.budget.monthly"),
        ("told_at = .*", "told_at = []", "aws.budget.told_at"),
        ("told_at = .*", "told_at = [50, 80, 100, 110, 120]", "aws.budget.told_at"),
        ('organization = "leandata-example"', 'organization = "*"', "aws.github.organization"),
        ('repository = ".*"', 'repository = "a:b"', "aws.github.repository"),
        ('repository = ".*"', 'repositry = "leandata"', "aws.github.repositry: unknown key|aws.github.repository: missing key"),
        ("admins = .*", 'admins = ["arn:aws:iam::999999999999:role/x"]', "cluster.admins names arn:aws:iam::999999999999:role/x"),
        ('certificate = "arn:aws:acm:eu-central-1', 'certificate = "arn:aws:acm:us-east-1', "login.certificate names"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_the_key_that_has_to_be_mended(
    tmp_path: Path, line: str, other: str, said: str
) -> None:
    pattern = line if not line.startswith("certificate") else f"({line})(.*)"
    replacement = other if not line.startswith("certificate") else f"{other}\\2"
    path = changed(tmp_path, pattern, replacement)
    with pytest.raises(SettingsError) as caught:
        parse_toml(path, EnvironmentFile)
    assert re.search(said, str(caught.value))
    assert "\n" not in str(caught.value)
    assert "prod.toml" in str(caught.value)


@pytest.mark.parametrize("missing", ["account", "cidr", "domain", "log_days", "nat", "protected", "region"])
def test_nothing_of_an_account_is_guessed(tmp_path: Path, missing: str) -> None:
    with pytest.raises(SettingsError, match=f"aws.{missing}: missing key"):
        parse_toml(changed(tmp_path, f"{missing} = .*", ""), EnvironmentFile)


def test_foreign_buckets_may_be_left_out(tmp_path: Path) -> None:
    file = parse_toml(changed(tmp_path, "foreign_buckets = .*", ""), EnvironmentFile)
    assert file.aws is not None
    assert file.aws.foreign_buckets == []


@pytest.mark.parametrize("name", ON_AWS)
def test_every_environment_on_aws_has_a_budget_and_somebody_who_hears_of_it(name: str) -> None:
    aws = Environment.load(name, environ={}).file.aws
    assert aws is not None
    assert aws.budget.monthly > 0
    assert aws.alerts
    assert max(aws.budget.told_at) == 100


def test_environments_differ_in_account_range_and_domain() -> None:
    told: list[dict[str, Any]] = [
        tomllib.loads((ROOT / "infra" / "environments" / f"{name}.toml").read_text())["aws"] for name in ON_AWS
    ]
    for key in ("account", "cidr", "domain"):
        assert len({one[key] for one in told}) == len(ON_AWS), key


def test_what_must_not_be_lost_is_protected_and_what_is_small_is_not() -> None:
    protected = {}
    for name in ON_AWS:
        aws = Environment.load(name, environ={}).file.aws
        assert aws is not None
        protected[name] = aws.protected
    assert protected == {"dev": False, "prod": True, "staging": True}


def test_production_survives_a_zone_and_a_small_environment_need_not() -> None:
    nats = {}
    for name in ON_AWS:
        aws = Environment.load(name, environ={}).file.aws
        assert aws is not None
        nats[name] = aws.nat
    assert nats == {"dev": "one", "prod": "regional", "staging": "one"}
