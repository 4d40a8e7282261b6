"""`lineage`: where a column comes from, and who shows it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ci.affected.tree import closure
from ci.cli import Options, emit
from ci.lineage.graph import Lineage, lineage, tables_of
from infra.environment import ROOT
from leandata.errors import LeandataError

_MOST = 40
"""So many columns are shown at once; more of them are told by their tables."""
_SEEN = ("mail ", "page ", "route ")


def lineage_of(options: Options) -> int:
    """Print what `--what` is made from and what is made from it; without one, every step between tables."""
    found = lineage(ROOT)
    if not options.what:
        if options.json:
            emit({"tables": [list(pair) for pair in tables_of(found.edges)]})
        else:
            print("\n".join(f"{source}  ->  {made}" for source, made in tables_of(found.edges)))
        return 0
    asked = found.named(options.what)
    if len(asked) > _MOST:
        raise LeandataError(f"{options.what!r} names {len(asked)} columns", hint=f"Say more of it, such as {asked[0]}")
    if options.json:
        emit({"nodes": [answer(found, node) for node in asked]})
    else:
        print("\n\n".join(told(found, node) for node in asked))
    return 0


def answer(found: Lineage, node: str) -> dict[str, object]:
    """Everything before and after a node, for machines."""
    return {
        "name": node,
        "made_from": sorted(reached(node, found.before)),
        "goes_into": sorted(reached(node, found.after)),
    }


def told(found: Lineage, node: str) -> str:
    """Both directions as indented lines."""
    before, after = list(_tree(node, found.before)), list(_tree(node, found.after))
    end = "  people see it" if node.startswith(_SEEN) else "  goes into nothing: nobody shows it"
    return "\n".join(
        [
            node,
            *(["  made from", *before] if before else ["  made from nothing that is known: it begins here"]),
            *(["  goes into", *after] if after else [end]),
        ]
    )


def reached(node: str, step: Callable[[str], list[str]]) -> set[str]:
    """Every node on the way in one direction."""
    return set(closure(step(node), step))


def _tree(node: str, step: Callable[[str], list[str]]) -> Iterator[str]:
    """One line a node, deeper is further; what was shown before is not gone through again."""
    seen: set[str] = set()
    waiting = [(one, 2) for one in reversed(step(node))]
    while waiting:
        one, depth = waiting.pop()
        more = step(one)
        again = " (see above)" if one in seen and more else ""
        yield f"{'  ' * depth}{one}{again}"
        if not again:
            waiting += [(each, depth + 1) for each in reversed(more)]
        seen.add(one)
