"""The mark `stacks`: a module of tests says which stacks it deploys at most, and is run for changes of these only.

What it says is held to: a stack with resources that it does not name fails the module. With LEANDATA_WHOLE_PLATFORM=yes
modules may deploy all.
"""

from __future__ import annotations

import json
import os
from collections.abc import Generator, Iterable
from pathlib import Path

import pytest

_STATES = "*/*/engine/backend/.pulumi/stacks/*/*.json"


@pytest.fixture(scope="module", autouse=True)
def confined(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Generator[None]:
    """Fail a module that deployed more than it names."""
    said = request.node.get_closest_marker("stacks")
    before = set(tmp_path_factory.getbasetemp().glob(_STATES)) if said else set[Path]()
    yield
    if said and os.environ.get("LEANDATA_WHOLE_PLATFORM") != "yes":
        more = deployed(set(tmp_path_factory.getbasetemp().glob(_STATES)) - before) - {*said.args}
        assert not more, f"its mark `stacks` does not name {', '.join(sorted(more))}"


def deployed(states: Iterable[Path]) -> set[str]:
    """The stacks that have more than their own resource, by the state files of an engine: `STACK/ENVIRONMENT.json`."""
    return {path.parent.name for path in states if len(_resources(path)) > 1}


def _resources(state: Path) -> list[object]:
    latest = json.loads(state.read_text(encoding="utf-8"))["checkpoint"]["latest"] or {}
    return latest.get("resources") or []
