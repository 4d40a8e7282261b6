"""Secrets in a Kubernetes cluster: made once, the same in every namespace that uses one."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Protocol

from infra.provider.kinds import shapes
from infra.provider.kinds.base import Kind, Made, Properties, ProviderError, World
from infra.provider.kinds.files import MAKERS, mark
from infra.provider.kinds.shapes import Shape

_KEY = "value"
_TIMEOUT = 30


class Secrets(Protocol):
    """The v1 Secrets of a cluster, as far as they are needed here. Each method raises ProviderError."""

    def get(self, namespace: str, name: str) -> bytes | None:
        """The value, None where there is no such secret."""
        ...

    def put(self, namespace: str, name: str, value: bytes, labels: Mapping[str, str]) -> None:
        """Make the secret, or give it this value and these labels."""
        ...

    def remove(self, namespace: str, name: str) -> None:
        """Remove it; no error when it is gone."""
        ...


class ClusterSecret(Kind):
    """The same v1 Secret, with the one key `value`, in each of `namespaces`. The value never leaves the provider.

    It is made once: a secret found in any of the namespaces is copied to the others, never replaced by another.
    """

    shapes: ClassVar[dict[str, Shape]] = {
        "secret": shapes.text,
        "namespaces": shapes.names,
        "kind": shapes.one_of(MAKERS),
        "labels": shapes.texts,
    }
    replaced_by: ClassVar[dict[str, str]] = {
        "secret": "a secret is not renamed",
        "kind": "another kind needs another value",
    }

    def __init__(self, secrets: Callable[[], Secrets] | None = None) -> None:
        self._secrets = secrets or _cluster

    def create(self, world: World, inputs: Properties) -> Made:
        del world
        there, name, homes = self._secrets(), inputs["secret"], sorted(inputs["namespaces"])
        found = [value for home in homes if (value := there.get(home, name)) is not None]
        value = found[0] if found else MAKERS[inputs["kind"]]().encode()
        for home in homes:
            there.put(home, name, value, inputs["labels"])
        return Made(id=name, properties={**inputs, "namespaces": homes, "fingerprint": mark(value)})

    def read(self, world: World, id_: str, properties: Properties) -> Properties | None:
        del world
        there = self._secrets()
        values = {home: there.get(home, id_) for home in properties["namespaces"]}
        whole = {home: value for home, value in values.items() if value is not None}
        if not whole:
            return None
        same = {mark(value) for value in whole.values()}
        return {**properties, "fingerprint": same.pop() if len(same) == 1 else "differs", "namespaces": sorted(whole)}

    def update(self, world: World, id_: str, old: Properties, inputs: Properties) -> Properties:
        there = self._secrets()
        kept = [value for home in old["namespaces"] if (value := there.get(home, id_)) is not None]
        homes = sorted(inputs["namespaces"])
        if kept and homes:
            there.put(homes[0], id_, kept[0], inputs["labels"])
        made = self.create(world, inputs)
        for home in set(old["namespaces"]) - set(homes):
            there.remove(home, id_)
        return made.properties

    def delete(self, world: World, id_: str, properties: Properties) -> None:
        del world
        there = self._secrets()
        for home in properties["namespaces"]:
            there.remove(home, id_)


def _cluster() -> Secrets:
    """The secrets of the cluster that KUBECONFIG names. Raises ProviderError when it names none."""
    from kubernetes import client, config
    from kubernetes.config.config_exception import ConfigException

    try:
        config.load_kube_config()
    except ConfigException as error:
        raise ProviderError("no cluster is named", hint="Set KUBECONFIG to the file of your cluster") from error
    return Core(client.CoreV1Api(), missing=client.ApiException)


class Core:
    """The secrets of one cluster, through its core API; `missing` is the error that the API raises."""

    def __init__(self, api: Any, *, missing: Any) -> None:
        self._api = api
        self._error = missing

    def get(self, namespace: str, name: str) -> bytes | None:
        try:
            found = self._api.read_namespaced_secret(name, namespace, _request_timeout=_TIMEOUT)
        except self._error as error:
            if error.status == 404:
                return None
            raise _refused(error, namespace, name) from error
        value = (found.data or {}).get(_KEY)
        return base64.b64decode(value) if value else None

    def put(self, namespace: str, name: str, value: bytes, labels: Mapping[str, str]) -> None:
        body = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"labels": dict(labels), "name": name, "namespace": namespace},
            "data": {_KEY: base64.b64encode(value).decode()},
            "type": "Opaque",
        }
        try:
            try:
                self._api.create_namespaced_secret(namespace, body, _request_timeout=_TIMEOUT)
            except self._error as error:
                if error.status != 409:  # there, perhaps without a value: only its name counts
                    raise
                self._api.replace_namespaced_secret(name, namespace, body, _request_timeout=_TIMEOUT)
        except self._error as error:
            raise _refused(error, namespace, name) from error

    def remove(self, namespace: str, name: str) -> None:
        try:
            self._api.delete_namespaced_secret(name, namespace, _request_timeout=_TIMEOUT)
        except self._error as error:
            if error.status != 404:
                raise _refused(error, namespace, name) from error


def _refused(error: Any, namespace: str, name: str) -> ProviderError:
    return ProviderError(f"the cluster refuses the secret {namespace}/{name}: {error.status} {error.reason}")
