"""What a change costs: base and head by stack and service, against the budget of each service."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ci.cost import attributed, by_place
from ci.preview.model import Risk, Signers
from ci.preview.report import Budget, Money, MoneyLine
from ci.prices import Prices
from ci.programs import Program
from infra.components.manifest import ServiceManifest

_CENT = 0.005


def money(
    environment: str,
    base: Mapping[str, Program],
    head: Mapping[str, Program],
    *,
    prices: Prices,
    manifests: Mapping[str, ServiceManifest],
) -> Money:
    """The estimates of both, with today's prices for both; a budget for each service whose manifest at head has one."""
    before, after = attributed(environment, base, prices), attributed(environment, head, prices)
    old, new = by_place(before), by_place(after)
    lines = tuple(
        MoneyLine(stack=place[0], service=place[1], base=old.get(place, 0.0), head=new.get(place, 0.0))
        for place in sorted({*old, *new})
    )
    budgets = tuple(
        Budget(
            service=name,
            allowed=manifest.budget.monthly_usd,
            base=sum(line.base for line in lines if line.service == name),
            head=sum(line.head for line in lines if line.service == name),
        )
        for name, manifest in sorted(manifests.items())
        if manifest.budget is not None
    )
    return Money(lines=lines, budgets=budgets, not_priced=after.not_priced, origin=prices.origin)


def over_budget(found: Money, *, teams: Signers) -> Iterator[Risk]:
    """A risk for each service that the change takes over its budget, or further over it."""
    for budget in found.budgets:
        if budget.over and budget.head > budget.base + _CENT:
            why = (
                f"costs {budget.head:,.2f} US dollars a month, {budget.head - budget.base:,.2f} more than before;"
                f" its budget is {budget.allowed:,.2f}"
            )
            yield Risk(
                kind="cost", stack=budget.service, urn="", type="budget", name=budget.service, why=why,
                teams=teams.signers("cost", budget.service),
            )  # fmt: skip
