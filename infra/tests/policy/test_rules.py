"""Every rule lets its good case pass and not its bad one, says whose it is, and is told apart from the others."""

from __future__ import annotations

import re

import pytest

from infra.policy import RULES, Rule

EVERY = pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)


@EVERY
def test_the_good_case_passes(rule: Rule):
    assert rule.hits(rule.good) == []


@EVERY
def test_the_bad_case_does_not_pass(rule: Rule):
    hits = rule.hits(rule.bad)
    assert hits
    assert all(hit.resource in rule.bad for hit in hits)


@EVERY
def test_a_rule_says_in_one_line_whose_it_is_and_how_to_mend_what_it_finds(rule: Rule):
    for text in (rule.title, rule.source, rule.reason, rule.remedy):
        assert text.strip() == text != ""
        assert "\n" not in text
    assert len(rule.remedy) <= 140
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)+", rule.id)


def test_no_two_rules_have_one_name():
    assert len({rule.id for rule in RULES}) == len(RULES)
