"""A secret of the cluster: made once, the same wherever it is used, its value told to nobody."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from infra.provider.kinds.base import World
from infra.provider.kinds.cluster import ClusterSecret

LABELS = {"leandata.io/stack": "api"}


class Cluster:
    """The v1 Secrets of a cluster, in memory."""

    def __init__(self) -> None:
        self.held: dict[tuple[str, str], bytes] = {}
        self.labels: dict[tuple[str, str], Mapping[str, str]] = {}

    def get(self, namespace: str, name: str) -> bytes | None:
        return self.held.get((namespace, name))

    def put(self, namespace: str, name: str, value: bytes, labels: Mapping[str, str]) -> None:
        self.held[namespace, name] = value
        self.labels[namespace, name] = labels

    def remove(self, namespace: str, name: str) -> None:
        self.held.pop((namespace, name), None)


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


@pytest.fixture
def kind(cluster: Cluster) -> ClusterSecret:
    return ClusterSecret(lambda: cluster)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(state=tmp_path)


def inputs(*namespaces: str, kind: str = "password") -> dict[str, Any]:
    return {"secret": "api-key", "namespaces": list(namespaces), "kind": kind, "labels": LABELS}


def test_it_is_the_same_in_every_namespace(kind: ClusterSecret, cluster: Cluster, world: World) -> None:
    kind.create(world, inputs("b", "a"))
    assert cluster.held["a", "api-key"] == cluster.held["b", "api-key"]
    assert cluster.labels["a", "api-key"] == LABELS


def test_its_value_is_in_no_property(kind: ClusterSecret, cluster: Cluster, world: World) -> None:
    made = kind.create(world, inputs("a"))
    assert cluster.held["a", "api-key"].decode() not in str(made)


def test_making_it_again_keeps_its_value(kind: ClusterSecret, cluster: Cluster, world: World) -> None:
    kind.create(world, inputs("a"))
    before = dict(cluster.held)
    kind.create(world, inputs("a", "b"))
    assert cluster.held["a", "api-key"] == before["a", "api-key"] == cluster.held["b", "api-key"]


def test_another_service_gets_it_and_one_that_needs_it_no_more_loses_it(
    kind: ClusterSecret, cluster: Cluster, world: World
) -> None:
    old = kind.create(world, inputs("a", "b")).properties
    value = cluster.held["a", "api-key"]
    kind.update(world, "api-key", old, inputs("b", "c"))
    assert cluster.held == {("b", "api-key"): value, ("c", "api-key"): value}


def test_moving_it_altogether_keeps_its_value(kind: ClusterSecret, cluster: Cluster, world: World) -> None:
    old = kind.create(world, inputs("a")).properties
    value = cluster.held["a", "api-key"]
    kind.update(world, "api-key", old, inputs("z"))
    assert cluster.held == {("z", "api-key"): value}


def test_one_that_is_gone_everywhere_is_gone(kind: ClusterSecret, cluster: Cluster, world: World) -> None:
    made = kind.create(world, inputs("a")).properties
    cluster.held.clear()
    assert kind.read(world, "api-key", made) is None


def test_one_that_is_missing_somewhere_is_drift(kind: ClusterSecret, cluster: Cluster, world: World) -> None:
    made = kind.create(world, inputs("a", "b")).properties
    del cluster.held["a", "api-key"]
    found = kind.read(world, "api-key", made)
    assert found is not None
    assert [change.name for change in kind.changes(found, inputs("a", "b"))] == ["namespaces"]


def test_one_that_somebody_changed_in_one_place_is_told(kind: ClusterSecret, cluster: Cluster, world: World) -> None:
    made = kind.create(world, inputs("a", "b")).properties
    cluster.held["a", "api-key"] = b"another"
    found = kind.read(world, "api-key", made)
    assert found is not None
    assert found["fingerprint"] == "differs"


def test_deleting_it_removes_it_everywhere(kind: ClusterSecret, cluster: Cluster, world: World) -> None:
    made = kind.create(world, inputs("a", "b")).properties
    kind.delete(world, "api-key", made)
    kind.delete(world, "api-key", made)
    assert cluster.held == {}


@pytest.mark.parametrize("wanted", ["fernet", "hex", "password", "rsa", "urlsafe64"])
def test_it_is_of_the_kind_that_is_asked_for(kind: ClusterSecret, cluster: Cluster, world: World, wanted: str) -> None:
    kind.create(world, inputs("a", kind=wanted))
    value = cluster.held["a", "api-key"].decode()
    assert value.startswith("-----BEGIN PRIVATE KEY-----") == (wanted == "rsa")
    assert len(value) >= 24


def test_without_a_cluster_the_reason_and_the_remedy_are_told(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("kubernetes", reason="make deploy ENV=cluster installs the group cloud")
    monkeypatch.setenv("KUBECONFIG", "/nowhere/config")
    monkeypatch.setenv("HOME", "/nowhere")
    with pytest.raises(Exception, match="no cluster is named"):
        ClusterSecret().create(world, inputs("a"))
