"""Every pod passes Pod Security *restricted* where it is enforced, and it is enforced in every namespace of ours."""

from __future__ import annotations

from typing import Any

import pytest

from ci.cluster_test.client import Cluster, RefusedError
from ci.cluster_test.platform import Platform
from ci.cluster_test.watching import Watcher
from infra.components.kubernetes.spaces import owners

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1800)]
TOKEN = "kube-api-access-"


def copy(pod: dict[str, Any], namespace: str) -> dict[str, Any]:
    """The pod as its owner asked for it, without what the cluster added."""
    spec = {
        name: value for name, value in pod["spec"].items() if name not in ("nodeName", "serviceAccount", "priority")
    }
    spec["serviceAccountName"] = "default"
    spec["volumes"] = [one for one in spec.get("volumes", []) if not one["name"].startswith(TOKEN)]
    for kind in ("containers", "initContainers"):
        for container in spec.get(kind, []):
            mounts = container.get("volumeMounts", [])
            container["volumeMounts"] = [one for one in mounts if not one["name"].startswith(TOKEN)]
    metadata = {"name": pod["metadata"]["name"], "namespace": namespace}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def test_every_namespace_of_ours_enforces_restricted(platform: Platform) -> None:
    for owner in owners(platform.environment):
        space = platform.cluster.get("v1", "Namespace", "", platform.namespace(owner))
        assert space is not None
        assert space["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


def test_every_pod_passes_restricted(platform: Platform, seen: Watcher, cluster: Cluster, namespace: str) -> None:
    pods = [pod for owner in owners(platform.environment) for pod in cluster.pods(platform.namespace(owner))]
    pods += seen.pods(platform.namespace("airflow"))
    names = {pod["metadata"]["labels"].get("app.kubernetes.io/name") for pod in pods}
    assert {
        "api",
        "dash",
        "airflow-scheduler",
        "dask-scheduler",
        "dask-worker",
        "postgres",
        "warehouse",
        "mail",
    } <= names
    for pod in pods:
        cluster.apply(copy(pod, namespace), dry=True)


def test_a_pod_that_breaks_restricted_is_refused_in_every_namespace(platform: Platform, image: str) -> None:
    container = {"name": "bad", "image": image, "securityContext": {"privileged": True}}
    for owner in owners(platform.environment):
        metadata = {"name": "bad", "namespace": platform.namespace(owner)}
        bad = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": [container]}}
        with pytest.raises(RefusedError, match=r'violates PodSecurity "restricted:'):
            platform.cluster.apply(bad, dry=True)
