"""The verdict: every rule over every resource, without what is waived."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime

from infra.environment import Environment
from infra.policy import buckets, cluster, iam, network, protection, restricted, stores, warehouse, workloads
from infra.policy.graph import PRODUCTION, Graph, Program, Setting
from infra.policy.rule import Finding, Rule
from infra.policy.waivers import MOST as MOST_WAIVERS
from infra.policy.waivers import Waiver, apply, load

__all__ = ["MOST_WAIVERS", "RULES", "judge"]
RULES: tuple[Rule, ...] = (
    *buckets.RULES,
    *cluster.RULES,
    *iam.RULES,
    *network.RULES,
    *protection.RULES,
    *restricted.RULES,
    *stores.RULES,
    *warehouse.RULES,
    *workloads.RULES,
)


def judge(
    programs: Mapping[str, Program],
    *,
    environment: Environment | None = None,
    waivers: Sequence[Waiver] | None = None,
    today: date | None = None,
) -> list[Finding]:
    """What is to be mended before the programs are deployed, sorted by resource; nothing when all is well.

    Without an environment they are judged as those of production. `waivers` are those of its checkout unless given,
    `today` is the day in UTC unless given. Raises SettingsError for waivers that are not well formed.
    """
    setting = Setting.of(environment) if environment else PRODUCTION
    graph = Graph.of(programs, setting=setting)
    found = {
        Finding(
            resource=hit.resource.urn,
            property=hit.property,
            rule=rule.id,
            severity=rule.severity,
            said=hit.said,
            remedy=rule.remedy,
        )
        for rule in RULES
        for hit in rule.check(graph)
    }
    if waivers is None:
        waivers = load(environment.root) if environment else load()
    day = today or datetime.now(UTC).date()
    return apply(sorted(found), waivers, environment=setting.name, today=day, known=[rule.id for rule in RULES])
