"""The files of tests that take longest come first: what is left at the end is short, and no process waits for another.

Tests that run the platform (`e2e`) take longer than those with a real part (`integration`), and these longer than
the others. A file stays together, in its own order: fixtures of a module are made once.
"""

from __future__ import annotations

from collections.abc import Iterable

import pytest

_LONGEST_FIRST = ("e2e", "integration")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Order the files by their longest kind of test; those of one kind stay in the order of the folders."""
    ranks: dict[str, int] = {}
    for item in items:
        file = item.nodeid.partition("::")[0]
        own = rank(mark.name for mark in item.iter_markers())
        ranks[file] = min(own, ranks.get(file, own))
    items.sort(key=lambda item: ranks[item.nodeid.partition("::")[0]])


def rank(marks: Iterable[str]) -> int:
    """The place of a test with these marks among the kinds of tests, the longest first."""
    found = set(marks)
    return next((place for place, name in enumerate(_LONGEST_FIRST) if name in found), len(_LONGEST_FIRST))
