"""A real cluster for tests; without one they are skipped and say what to set."""

from __future__ import annotations

import gc
import os
import warnings
from collections.abc import Callable, Generator, Iterable
from contextlib import ExitStack
from datetime import date

import pytest

from ci.cluster_test.client import Cluster
from ci.cluster_test.platform import Platform
from ci.cluster_test.watching import Watcher
from infra.components import images
from infra.environment import ROOT, Environment

TODAY = date(2026, 11, 24)

_NO_CLUSTER = "KUBECONFIG is not set: point it to the file of a cluster that may be used for tests"


def pytest_configure(config: pytest.Config) -> None:
    # The Kubernetes client leaves the sockets of its streams to the garbage collector.
    for warning in ("ResourceWarning", "pytest.PytestUnraisableExceptionWarning"):
        config.addinivalue_line("filterwarnings", f"ignore::{warning}")


def pytest_collection_modifyitems(items: Iterable[pytest.Item]) -> None:
    for item in items:
        if item.get_closest_marker("cluster") and not os.environ.get("KUBECONFIG"):
            item.add_marker(pytest.mark.skip(reason=_NO_CLUSTER))


@pytest.fixture(scope="session")
def cluster() -> Generator[Cluster]:
    found = Cluster.current()
    yield found
    found.close()
    with warnings.catch_warnings(action="ignore"):
        gc.collect()


@pytest.fixture(scope="session")
def image() -> str:
    """An image of ours that the cluster has."""
    environment = Environment.load("cluster", environ=os.environ, root=ROOT)
    return images.reference(environment, "api")


@pytest.fixture
def namespace(cluster: Cluster, request: pytest.FixtureRequest) -> Generator[str]:
    """A restricted namespace for one test."""
    name = f"leandata-test-{os.urandom(3).hex()}"
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})
    try:
        yield name
    finally:
        cluster.delete("v1", "Namespace", "", name)


@pytest.fixture(scope="session")
def wanted(cluster: Cluster) -> Platform:
    """What the programs declare, not applied yet."""
    return Platform.declared(cluster, today=TODAY)


@pytest.fixture(scope="session")
def seen(wanted: Platform) -> Generator[Watcher]:
    """All pods of Airflow and Dask that there were since before the first of them."""
    found = Watcher(wanted.cluster.kubeconfig, [wanted.namespace("airflow"), wanted.namespace("dask")])
    yield found
    found.close()


@pytest.fixture(scope="session")
def platform(wanted: Platform, seen: Watcher, request: pytest.FixtureRequest) -> Generator[Platform]:
    """The whole platform, applied and ready; it is removed afterwards unless LEANDATA_CLUSTER_KEEP is set."""
    capture = request.config.pluginmanager.getplugin("capturemanager")

    def say(line: str) -> None:
        with capture.global_and_fixture_disabled():
            print(line, flush=True)

    try:
        wanted.apply(say=say)
        yield wanted
    finally:
        if not os.environ.get("LEANDATA_CLUSTER_KEEP"):
            wanted.clear()


@pytest.fixture(scope="session")
def port(platform: Platform) -> Generator[Callable[[str], int]]:
    """The local port behind which a port of the platform is, by its name."""
    with ExitStack() as stack:
        known: dict[str, int] = {}

        def find(name: str) -> int:
            if name not in known:
                known[name] = stack.enter_context(platform.forwarded(name)).port
            return known[name]

        yield find
