"""The mark `thorough`: a test takes long and proves the whole again; after a change of something else it is left out.

`make test CHANGED=yes` says by PYTEST_CHANGED what changed, a path a line. A test with the mark is run when one of
these fits one of the mark's patterns, or lies beside the test; without PYTEST_CHANGED always. `main` runs all tests
before anything is deployed (docs/adr/0005).
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from pathlib import PurePosixPath

import pytest

CHANGED = "PYTEST_CHANGED"
"""No name of ours: the services that tests start refuse settings that they do not know."""
_REASON = "the change is of nothing that this proves; `make test` runs it, and `main` before anything is deployed"


def pytest_collection_modifyitems(items: Sequence[pytest.Item]) -> None:
    """Mark as skipped what the change does not concern."""
    said = os.environ.get(CHANGED)
    if said is None:
        return
    changed = said.splitlines()
    for item in items:
        mark = item.get_closest_marker("thorough")
        if mark and not concerned(item.nodeid.partition("::")[0], patterns=mark.args, changed=changed):
            item.add_marker(pytest.mark.skip(reason=_REASON))


def concerned(test: str, *, patterns: Iterable[str], changed: Iterable[str]) -> bool:
    """Whether a change of the paths `changed` concerns the file `test`, whose mark names `patterns`.

    A `*` stands for anything, also for folders. A change of the test itself, or beside it, concerns it always.
    """
    beside = PurePosixPath(test).parent.as_posix()
    wanted = (*patterns, f"{beside}/*")
    return any(fnmatchcase(path, pattern) for path in changed for pattern in wanted)
