"""A real cluster for tests; without one they are skipped and say what to set."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterable

import pytest

from ci.cluster_test.client import Cluster
from infra.components import images
from infra.environment import ROOT, Environment

_NO_CLUSTER = "KUBECONFIG is not set: point it to the file of a cluster that may be used for tests"


def pytest_collection_modifyitems(items: Iterable[pytest.Item]) -> None:
    for item in items:
        if item.get_closest_marker("cluster") and not os.environ.get("KUBECONFIG"):
            item.add_marker(pytest.mark.skip(reason=_NO_CLUSTER))


@pytest.fixture(scope="session")
def cluster() -> Generator[Cluster]:
    found = Cluster.current()
    yield found
    found.close()


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
