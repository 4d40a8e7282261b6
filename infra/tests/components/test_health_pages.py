"""Which services pipelines look at: those that they may call, where these say that they are ready."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, cast

import pytest

from infra.components.settings import health_pages
from infra.components.stack import Stack
from infra.environment import Environment
from leandata.settings import Settings


@dataclass(frozen=True, kw_only=True)
class Told:
    """As much of a stack as is asked."""

    environment: Environment

    def listen(self, process: str) -> Any:
        return SimpleNamespace(url=f"http://{process}.example:{self.environment.port(process)}")


def told(name: str, service: str) -> dict[str, str]:
    stack = cast("Stack", Told(environment=Environment.load(name, environ={"LEANDATA_PORT_BASE": "20000"})))
    return dict(Settings.load({"LEANDATA_HEALTH_PAGES": health_pages(stack, service)}).health_pages)


@pytest.mark.parametrize("name", ["local", "cluster", "prod"])
def test_the_pipelines_look_at_the_api_and_the_dashboards(name: str) -> None:
    pages = told(name, "airflow")
    assert sorted(pages) == ["api", "dash"]
    assert pages["api"].startswith("http://api.example:")
    assert pages["api"].endswith("/readyz"), "whether it is ready says more than whether it lives"
    assert pages["dash"].endswith("/healthz"), "it says nothing else"


def test_who_calls_no_service_looks_at_none() -> None:
    assert told("local", "dash") == {}
