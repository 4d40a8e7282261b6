"""Policies: what must hold of everything that the programs declare, as plain functions over the recorded graph."""

from __future__ import annotations

from infra.policy.judging import MOST_WAIVERS, RULES, judge
from infra.policy.rule import Finding, Rule

__all__ = ["MOST_WAIVERS", "RULES", "Finding", "Rule", "judge"]
