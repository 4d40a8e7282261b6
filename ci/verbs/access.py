"""`access`: who may read and write what in an environment, and by which path."""

from __future__ import annotations

from collections.abc import Sequence

from ci.access import Matrix, matrix, model, who_is, words
from ci.cli import Options, emit
from ci.programs import declared
from infra.environment import Environment
from leandata.access import Model, Right, Thing, matching
from leandata.errors import LeandataError


def access(options: Options) -> int:
    """What --who may do, who may do something with --what, both, or without either: whether everything is as asked for.

    1 when something may be done that no service asks for, or the other way round.
    """
    environment = Environment.current()
    programs = declared(environment.name, root=environment.root)
    if not options.who and not options.what:
        return compared(matrix(programs, environment), options)
    facts = model(programs, environment)
    rights = found(facts, who=options.who, what=options.what)
    if options.json:
        emit({"environment": environment.name, "rights": [answer(one) for one in rights]})
        return 0
    for line in table(rights):
        print(line)
    if not rights:
        whom = " ".join(filter(None, (options.who, options.what)))
        print(f"{whom}: nothing is allowed in {environment.name}")
    return 0


def found(facts: Model, *, who: str, what: str) -> list[Right]:
    """The rights asked for. Raises LeandataError for a person or a thing that nobody knows."""
    if not what:
        return facts.rights(who_is(who, facts))
    named = matching(facts.things, what)
    if not named:
        known = sorted({one.name for one in facts.things})
        raise LeandataError(f"nothing is called {what!r}", hint=f"WHAT is one of: {', '.join(known)}")
    if not who:
        return [right for thing in named for right in facts.holders(thing)]
    return [right for right in facts.rights(who_is(who, facts)) if right.thing in named]


def answer(right: Right) -> dict[str, object]:
    """A right for programs."""
    return {
        "action": right.action,
        "object": right.thing.name,
        "path": list(right.path),
        "store": right.thing.store,
        "who": right.who,
    }


def table(rights: Sequence[Right]) -> list[str]:
    """A line for each right: who, may what, to which object, by which path."""
    rows = [(one.who.partition(":")[2], one.action, one.thing.name, words(one)) for one in rights]
    widths = [max((len(row[column]) for row in rows), default=0) for column in range(3)]
    return ["  ".join([*(text.ljust(width) for text, width in zip(row, widths, strict=False)), row[3]]) for row in rows]


def compared(result: Matrix, options: Options) -> int:
    """Say whether what is allowed is what is asked for; 1 when it is not."""
    missing = [_missing(who, action, thing) for who, action, thing in result.missing]
    if options.json:
        emit(
            {
                "allowed": len(result.allowed),
                "asked": result.asked,
                "environment": options.env,
                "missing": missing,
                "ok": result.exact,
                "unexpected": [answer(one) for one in result.unexpected],
            }
        )
        return 0 if result.exact else 1
    for line in table(result.unexpected):
        print(f"not asked for: {line}")
    for one in missing:
        print(f"asked for and not allowed: {one['who']} {one['action']} {one['object']}")
    print(
        f"{options.env}: {result.asked} times service, object and action; {len(result.allowed)} allowed,"
        f" {len(result.unexpected)} that nobody asks for, {len(missing)} missing"
    )
    return 0 if result.exact else 1


def _missing(who: str, action: str, thing: Thing) -> dict[str, str]:
    return {"action": action, "object": thing.name, "store": thing.store, "who": who.partition(":")[2]}
