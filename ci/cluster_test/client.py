"""The cluster that KUBECONFIG names: read, applied to, asked for logs and events, commands run in its pods."""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kubernetes import client as api
from kubernetes import config, stream
from kubernetes.config.config_exception import ConfigException
from kubernetes.dynamic import DynamicClient
from kubernetes.dynamic.exceptions import DynamicApiError, ResourceNotFoundError
from urllib3.exceptions import HTTPError

from leandata.errors import LeandataError, SettingsError

MANAGER = "leandata"
_TIMEOUT = 60
_OUT, _ERR = 1, 2  # the channels of a command that runs in a pod
_STRICT = [("fieldValidation", "Strict")]
_DISCOVERY_SECONDS = 30
_HINT = "Set KUBECONFIG to the file of your cluster, of kind, k3d or EKS for example"


class RefusedError(LeandataError):
    """The cluster refuses a request; `status` is the HTTP status, 0 where there was no answer."""

    def __init__(self, what: str, *, status: int, where: str = "", hint: str = "") -> None:
        super().__init__(what, where=where, hint=hint)
        self.status = status


@dataclass(frozen=True, kw_only=True, slots=True)
class Ran:
    """A command that ran in a pod."""

    code: int
    out: str
    err: str


class Cluster:
    """One cluster. Every method raises RefusedError with the cluster's own reason."""

    def __init__(self, kubeconfig: str) -> None:
        self.kubeconfig = kubeconfig
        try:
            self._client: Any = config.new_client_from_config(config_file=kubeconfig)
        except (ConfigException, OSError, ValueError) as error:
            raise SettingsError("KUBECONFIG names no cluster", where=kubeconfig, hint=_HINT) from error
        self.core: Any = api.CoreV1Api(self._client)
        self._cache = Path(tempfile.mkdtemp(prefix="discovery-")) / "resources.json"
        try:
            self._client.configuration.retries = 2
            self._dynamic: Any = DynamicClient(self._client, cache_file=str(self._cache))
        except (HTTPError, DynamicApiError, api.ApiException) as error:
            reason = str(error).splitlines()[0][:200]
            raise SettingsError(f"the cluster does not answer: {reason}", where=kubeconfig, hint=_HINT) from error

    @classmethod
    def current(cls, environ: Mapping[str, str] = os.environ) -> Cluster:
        """The cluster that KUBECONFIG names. Raises SettingsError when it names none."""
        named = environ.get("KUBECONFIG", "")
        if not named:
            raise SettingsError("no cluster is named", hint=_HINT)
        return cls(named)

    def close(self) -> None:
        """Close the connections to the cluster."""
        self._client.close()
        self._client.rest_client.pool_manager.clear()

    def apply(self, body: Mapping[str, Any], *, dry: bool = False) -> dict[str, Any]:
        """Server-side apply, every field checked; what the cluster made of it. A warning of the cluster is an error."""
        kind = self._kind(body["apiVersion"], body["kind"])
        options: dict[str, Any] = {"dry_run": "All"} if dry else {}
        where = f"{body['kind']} {body['metadata'].get('namespace', '')}/{body['metadata']['name']}"
        try:
            answer: Any = self._dynamic.server_side_apply(
                kind,
                body=dict(body),
                field_manager=MANAGER,
                force_conflicts=False,
                query_params=list(_STRICT),
                serialize=False,
                _request_timeout=_TIMEOUT,
                **options,
            )
        except (DynamicApiError, HTTPError) as error:
            raise refused(error, where) from error
        if warning := answer.headers.get("Warning"):
            raise RefusedError(f"the cluster warns: {warning}", status=299, where=where)
        return json.loads(answer.data)

    def get(self, api_version: str, kind: str, namespace: str, name: str) -> dict[str, Any] | None:
        """The object, None when there is none or the cluster knows no such kind."""
        try:
            answer: Any = self._kind(api_version, kind, patient=False).get(
                name=name, namespace=namespace or None, serialize=False, _request_timeout=_TIMEOUT
            )
        except ResourceNotFoundError:
            return None
        except (DynamicApiError, HTTPError) as error:
            if getattr(error, "status", 0) == 404:
                return None
            raise refused(error, f"{kind} {namespace}/{name}") from error
        return json.loads(answer.data)

    def all(self, api_version: str, kind: str, namespace: str = "", selector: str = "") -> list[dict[str, Any]]:
        """The objects of a kind in a namespace ("" is everywhere) with these labels, by name."""
        options: dict[str, Any] = {"namespace": namespace} if namespace else {}
        options |= {"label_selector": selector} if selector else {}
        try:
            answer: Any = self._kind(api_version, kind).get(serialize=False, _request_timeout=_TIMEOUT, **options)
        except (DynamicApiError, HTTPError) as error:
            raise refused(error, f"{kind} of {namespace}") from error
        return sorted(json.loads(answer.data)["items"], key=lambda one: str(one["metadata"]["name"]))

    def delete(self, api_version: str, kind: str, namespace: str, name: str, *, grace: int | None = None) -> None:
        """Ask for the removal of the object and of all that it owns; no error when it is gone."""
        options: dict[str, Any] = {"propagation_policy": "Background"}
        options |= {} if grace is None else {"grace_period_seconds": grace}
        try:
            self._kind(api_version, kind, patient=False).delete(
                name=name, namespace=namespace or None, serialize=False, _request_timeout=_TIMEOUT, **options
            )
        except ResourceNotFoundError:
            return
        except (DynamicApiError, HTTPError) as error:
            if getattr(error, "status", 0) != 404:
                raise refused(error, f"{kind} {namespace}/{name}") from error

    def release(self, api_version: str, kind: str, namespace: str, name: str) -> None:
        """Take all finalizers off an object that is being removed; no error when it is gone."""
        try:
            self._kind(api_version, kind, patient=False).patch(
                body={"metadata": {"finalizers": None}},
                name=name,
                namespace=namespace or None,
                content_type="application/merge-patch+json",
                serialize=False,
                _request_timeout=_TIMEOUT,
            )
        except (DynamicApiError, HTTPError) as error:
            if getattr(error, "status", 0) != 404:
                raise refused(error, f"{kind} {namespace}/{name}") from error

    def images(self) -> set[str]:
        """The images that every node holds, as pods name them."""
        held: list[set[str]] = [
            {
                name.removeprefix("docker.io/library/")
                for one in node["status"].get("images", [])
                for name in one["names"]
            }
            for node in self.all("v1", "Node")
        ]
        return set.intersection(*held) if held else set()

    def pods(self, namespace: str, selector: str = "") -> list[dict[str, Any]]:
        """The pods of a namespace with these labels, by name."""
        return self.all("v1", "Pod", namespace, selector)

    def log(self, namespace: str, pod: str, container: str, *, lines: int, previous: bool = False) -> list[str]:
        """The end of a container's log; [] when it has none."""
        try:
            answer: Any = self.core.read_namespaced_pod_log(
                pod,
                namespace,
                container=container,
                tail_lines=lines,
                previous=previous,
                _preload_content=False,
                _request_timeout=_TIMEOUT,
            )
        except api.ApiException:
            return []
        return bytes(answer.data).decode(errors="replace").splitlines()

    def warnings(self, namespace: str, name: str) -> list[str]:
        """What the cluster warned of for the object of that name, the oldest first."""
        fields = f"involvedObject.name={name},type=Warning"
        try:
            found: Any = self.core.list_namespaced_event(namespace, field_selector=fields, _request_timeout=_TIMEOUT)
        except api.ApiException:
            return []
        return [f"{one.reason}: {' '.join(str(one.message).split())}" for one in found.items]

    def run(self, namespace: str, pod: str, command: Sequence[str], *, container: str = "", seconds: int = 60) -> Ran:
        """Run a command in a pod to its end."""
        options: dict[str, Any] = {"container": container} if container else {}
        try:
            running: Any = stream.stream(
                self.streaming().connect_get_namespaced_pod_exec,
                pod,
                namespace,
                command=list(command),
                stderr=True,
                stdout=True,
                stdin=False,
                tty=False,
                _preload_content=False,
                **options,
            )
        except api.ApiException as error:
            raise refused(error, f"pod {namespace}/{pod}") from error
        until = time.monotonic() + seconds
        while running.is_open() and time.monotonic() < until:
            running.update(timeout=1)
        late = running.is_open()
        # Only now: whoever looks at one channel takes what comes in, of the other and of the end as well.
        out, err = (str(running.read_channel(channel, timeout=0)) for channel in (_OUT, _ERR))
        try:
            code = -1 if late else int(running.returncode or 0)
        except ValueError as error:  # the cluster's reason stands where the exit code does: the container is gone
            code, err = -1, str(error)
        running.close()
        if running.sock is not None:
            running.sock.shutdown()
        return Ran(code=code, out=out, err="it did not end in time" if late else err)

    def streaming(self) -> Any:
        """The core API on a client of its own: a stream changes its client while it begins, and others use ours."""
        return api.CoreV1Api(api.ApiClient(self._client.configuration))

    def may(self, account: str, verb: str, *, resource: str, namespace: str, group: str = "", sub: str = "") -> bool:
        """Whether a service account (`namespace:name`) may do that, by the cluster's own answer."""
        attributes = {"group": group, "namespace": namespace, "resource": resource, "verb": verb, "subresource": sub}
        home = account.partition(":")[0]
        groups = ["system:serviceaccounts", f"system:serviceaccounts:{home}", "system:authenticated"]
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "spec": {"groups": groups, "resourceAttributes": attributes, "user": f"system:serviceaccount:{account}"},
        }
        answer: Any = api.AuthorizationV1Api(self._client).create_subject_access_review(
            review, _request_timeout=_TIMEOUT
        )
        return bool(answer.status.allowed)

    def _kind(self, api_version: str, kind: str, *, patient: bool = True) -> Any:
        """The kind as the cluster knows it; one defined a moment ago is waited for."""
        until = time.monotonic() + (_DISCOVERY_SECONDS if patient else 0)
        while True:
            try:
                return self._dynamic.resources.get(api_version=api_version, kind=kind)
            except ResourceNotFoundError:
                if time.monotonic() >= until:
                    if patient:
                        raise RefusedError(f"the cluster knows no {kind} of {api_version}", status=404) from None
                    raise
                time.sleep(1)
                self._dynamic.resources.invalidate_cache()


def refused(error: Any, where: str) -> RefusedError:
    """The cluster's own reason as one line."""
    try:
        reason = str(json.loads(error.body)["message"])
    except (AttributeError, TypeError, ValueError, KeyError):
        reason = str(getattr(error, "reason", "") or error)
    return RefusedError(" ".join(reason.split())[:600], status=int(getattr(error, "status", 0) or 0), where=where)
