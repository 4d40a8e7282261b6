"""Apply what an environment declares to a cluster, wait until it is ready, remove what is wanted no longer."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kubernetes.client import ApiException

from ci.cluster_test import inventory, ready
from ci.cluster_test.bring import Done, Say, bring
from ci.cluster_test.client import Cluster
from ci.cluster_test.objects import OURS, SECRET, Item, Key, built
from ci.cluster_test.ready import State
from infra.provider.kinds.base import World
from infra.provider.kinds.cluster import ClusterSecret, Core
from leandata.errors import LeandataError

_HOME = "default"  # every cluster has it, also before we made any namespace of ours
_NAMESPACE = "Namespace"
_LINES = 15
_DEPARTURE = 300.0
_LAST_SECONDS = 5
_POLL = 0.5
_WORLD = World(state=Path("/nonexistent"))  # a secret of a cluster has no state outside it


class Live:
    """A real cluster as something to bring about."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._answers: dict[str, dict[str, Any]] = {}

    def apply(self, item: Item) -> str:
        if item.key.kind == SECRET:
            return _secret(item, self._cluster)
        key = item.key
        before = self._cluster.get(key.api_version, key.kind, key.namespace, key.name)
        if before is not None and ready.spent(before):
            self._cluster.delete(key.api_version, key.kind, key.namespace, key.name)
            before = None
        after = self._cluster.apply(item.body)
        self._answers[item.urn] = after
        if before is None:
            return "created"
        return "unchanged" if ready.asked(before) == ready.asked(after) else "changed"

    def state(self, item: Item) -> State:
        if item.key.kind == SECRET:
            return ready.READY
        found = self._answers.pop(item.urn, None) or self._read(item)
        if found is None:
            return State(ready=False, why="it is gone")
        answer = ready.state(found)
        if answer.ready or answer.failed:
            return answer
        pods = self._pods(item, found)
        if ready.scheduled(found, pods):
            return ready.READY
        why = ready.hopeless(pods)
        return State(ready=False, failed=True, why=why) if why else answer

    def explain(self, item: Item) -> list[str]:
        found = self._read(item) or item.body
        namespace, lines = item.key.namespace, self._cluster.warnings(item.key.namespace, item.key.name)
        for pod in self._pods(item, found):
            name = pod["metadata"]["name"]
            lines += [f"{name}: {line}" for line in self._cluster.warnings(namespace, name)[-_LINES:]]
            for container, ended in ready.troubled(pod):
                log = self._cluster.log(namespace, name, container, lines=_LINES, previous=ended)
                lines += [f"{name}/{container} | {line}" for line in log]
        return lines

    def _read(self, item: Item) -> dict[str, Any] | None:
        key = item.key
        return self._cluster.get(key.api_version, key.kind, key.namespace, key.name)

    def _pods(self, item: Item, found: Mapping[str, Any]) -> list[dict[str, Any]]:
        labels = ready.selector(found)
        return self._cluster.pods(item.key.namespace, labels) if labels else []


def apply(
    wanted: Mapping[str, Item], cluster: Cluster, *, environment: str, say: Say = print, timeout: float = 0.0
) -> Done:
    """Bring the cluster to `wanted`: make and change, wait until all is ready, then remove what is wanted no longer.

    Raises LeandataError with one line when something is refused, fails or is late (`timeout` seconds for each, 0 for
    what its kind is given), after lines that explain it. It can be repeated after any interruption.
    """
    built(wanted, environment=environment)
    for key in inventory.made(wanted):
        if key.kind == _NAMESPACE:
            _departed(cluster, key)
    before = recorded(cluster, environment=environment)
    _record(cluster, inventory.both(before, wanted), environment=environment)
    done = bring(wanted, Live(cluster), say=say, timeout=timeout)
    for key in inventory.unwanted(before, wanted):
        if remove(cluster, key, environment=environment):
            say(f"{'':<10} {key} removed")
    _record(cluster, inventory.made(wanted), environment=environment)
    say(f"{len(done.created)} created, {len(done.changed)} changed, {len(done.unchanged)} as they were")
    return done


def recorded(cluster: Cluster, *, environment: str) -> list[Key]:
    """What the environment made in the cluster, in that order."""
    return inventory.keys(cluster.get("v1", "ConfigMap", _HOME, inventory.name(environment)))


def clear(cluster: Cluster, *, environment: str) -> None:
    """Remove everything that the environment made, the last first, and wait until its namespaces are gone.

    Pods are not given the time to end their work, which for a task is half an hour: what they work on goes with them.
    Raises LeandataError with what holds a namespace that stays.
    """
    keys = inventory.unwanted(recorded(cluster, environment=environment), {})
    for key in keys:
        if remove(cluster, key, environment=environment) and key.kind == _NAMESPACE:
            _end_pods(cluster, key.name)
    for key in keys:
        if key.kind == _NAMESPACE:
            _departed(cluster, key)
    cluster.delete("v1", "ConfigMap", _HOME, inventory.name(environment))


def remove(cluster: Cluster, key: Key, *, environment: str, patience: float = 30.0) -> bool:
    """Remove one object; whether it was there. What does not carry the environment's label is not ours to remove.

    A custom object with finalizers is waited for: the controller that takes them off is itself among what is removed
    next, and without it the object would hold its namespace for ever. After `patience` seconds they are taken off here.
    """
    found = cluster.get(key.api_version, key.kind, key.namespace, key.name)
    if found is None or (found["metadata"].get("labels") or {}).get(OURS) != environment:
        return False
    cluster.delete(key.api_version, key.kind, key.namespace, key.name)
    if ready.controlled(found) and not _gone(cluster, key, seconds=patience):
        cluster.release(key.api_version, key.kind, key.namespace, key.name)
    return True


def _departed(cluster: Cluster, key: Key) -> None:
    """Wait until a namespace that is being removed is gone. Raises LeandataError with what holds it."""
    found = cluster.get(key.api_version, key.kind, key.namespace, key.name)
    if found is None or not found["metadata"].get("deletionTimestamp") or _gone(cluster, key, seconds=_DEPARTURE):
        return
    found = cluster.get(key.api_version, key.kind, key.namespace, key.name)
    if found is None:
        return
    raise LeandataError(f"{key} is still there {_DEPARTURE:.0f} s after its removal was asked for: {ready.held(found)}")


def _end_pods(cluster: Cluster, namespace: str) -> None:
    """End what runs in a namespace that is being removed; one on its way out is given less time too."""
    for pod in cluster.pods(namespace):
        cluster.delete("v1", "Pod", namespace, pod["metadata"]["name"], grace=_LAST_SECONDS)


def _gone(cluster: Cluster, key: Key, *, seconds: float) -> bool:
    until = time.monotonic() + seconds
    while cluster.get(key.api_version, key.kind, key.namespace, key.name) is not None:
        if time.monotonic() >= until:
            return False
        time.sleep(_POLL)
    return True


def _record(cluster: Cluster, keys: list[Key], *, environment: str) -> None:
    cluster.apply(inventory.config_map(keys, environment=environment, namespace=_HOME))


def _secret(item: Item, cluster: Cluster) -> str:
    """A secret through our provider's own kind: its random value is made once and never seen here."""
    inputs = json.loads(json.dumps(item.body))
    kind = ClusterSecret(lambda: Core(cluster.core, missing=ApiException))
    wrong = kind.check(inputs)
    if wrong:
        raise LeandataError(f"{item.key}: {wrong[0]}", where=f"stack {item.stack}")
    before = kind.read(_WORLD, item.key.name, inputs)
    after = kind.create(_WORLD, inputs).properties
    if before is None:
        return "created"
    return "unchanged" if before["fingerprint"] == after["fingerprint"] else "changed"
