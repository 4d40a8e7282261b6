"""`cost`: what an environment costs a month by list price, by stack and service, before and after a change."""

from __future__ import annotations

from collections.abc import Iterator

from ci.cli import Options, emit
from ci.preview.document import cents, of_money
from ci.preview.graphs import Cache, Wanted, demand, pairs
from ci.preview.making import given
from ci.preview.money import money, over_budget
from ci.preview.report import Money
from ci.preview.sources import Repository
from ci.progress import say
from ci.verbs.preview import asked
from infra.environment import ROOT


def cost(options: Options) -> int:
    """Say the estimates and their difference; 3 when the change takes a service over its budget."""
    environments = tuple(asked(options.env))
    repository, common = Repository(root=ROOT), given(ROOT)
    sources = repository.sources(options.base)
    both = pairs(repository, sources, Wanted(environments=environments), store=Cache.of(ROOT), say=say)
    found: dict[str, Money] = {}
    for name, pair in both.items():
        demand(pair.head, name)
        found[name] = money(
            name, pair.base.programs, pair.head.programs, prices=common.prices, manifests=common.manifests
        )
    risks = {name: list(over_budget(one, teams=common.teams)) for name, one in found.items()}
    if options.json:
        answer = {name: {**of_money(one), "over": [risk.why for risk in risks[name]]} for name, one in found.items()}
        emit({"base": sources.base.id if sources.base else "", "head": sources.head.id, "environments": answer})
    else:
        print(f"base: {sources.base.short if sources.base else 'none'} ({sources.how}); head: {sources.head.short}")
        for name, one in found.items():
            print("\n".join([f"{name}, US dollars a month:", *table(one)]))
            print("\n".join(f"  SIGN-OFF {' + '.join(risk.teams)}: {risk.name} {risk.why}" for risk in risks[name]))
    return 3 if any(risks.values()) else 0


def table(found: Money) -> Iterator[str]:
    """The lines of stacks and services, the sums, the budgets, and what is not priced."""
    if not found.lines and not found.not_priced:
        yield "  nothing that costs money"
        return
    yield f"  {'stack':<12} {'service':<12} {'before':>10} {'after':>10} {'difference':>11}"
    for line in found.lines:
        sums = f"{line.base:>10,.2f} {line.head:>10,.2f} {cents(line.difference):>+11,.2f}"
        yield f"  {line.stack:<12} {line.service:<12} {sums}"
    yield f"  {'all':<25} {found.base:>10,.2f} {found.head:>10,.2f} {cents(found.difference):>+11,.2f}"
    for budget in found.budgets:
        yield f"  budget of {budget.service}: {budget.head:,.2f} of {budget.allowed:,.2f}" + (
            " OVER" if budget.over else ""
        )
    yield from (f"  not priced: {sentence}" for sentence in found.not_priced)
    yield f"  An estimate: {found.origin}."
