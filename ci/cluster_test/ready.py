"""Whether an object of a cluster is as it was asked to be, from what the cluster says of it. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

_NEVER = frozenset({"ErrImageNeverPull", "ImagePullBackOff", "InvalidImageName"})
_OF_THE_CLUSTER = frozenset({"generation", "managedFields", "resourceVersion"})
_RESTARTS = 6  # a pod may lose a race against what it needs a few times

Object = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class State:
    """What an object is: ready, not yet (then `why` says what is missing), or never to be."""

    ready: bool
    failed: bool = False
    why: str = ""


READY = State(ready=True)


def state(found: Object) -> State:
    """Whether the object is ready. Kinds that have nothing to wait for are."""
    judge = _JUDGES.get(str(found.get("kind")))
    return judge(found) if judge else READY


def spent(found: Object) -> bool:
    """Whether it has failed for good, so that only a new one of the same name can succeed: a Job is not tried twice."""
    return found.get("kind") == "Job" and state(found).failed


def asked(found: Object) -> dict[str, Any]:
    """The object without what the cluster adds by itself: its status, its versions, who manages which field."""
    kept = {key: value for key, value in found.get("metadata", {}).items() if key not in _OF_THE_CLUSTER}
    return {**found, "metadata": kept, "status": None}


def controlled(found: Object) -> bool:
    """Whether somebody's controller, and none of Kubernetes itself, must agree before the object can go."""
    group = str(found.get("apiVersion", "")).rpartition("/")[0]
    return "." in group and not group.endswith(".k8s.io") and bool(found["metadata"].get("finalizers"))


def held(namespace: Object) -> str:
    """What keeps a namespace that is being removed, in the words of the cluster."""
    said = (namespace.get("status") or {}).get("conditions") or []
    reasons = sorted(str(one["message"]) for one in said if one.get("status") == "True")
    return "; ".join(reasons) or "the cluster does not say why"


def hopeless(pods: Iterable[Object]) -> str:
    """Why waiting for these pods is of no use, "" when it may be: an image that is nowhere, a crash again and again."""
    for pod in pods:
        for container in containers(pod):
            waiting: Object = container.get("state", {}).get("waiting") or {}
            if waiting.get("reason") in _NEVER:
                return f"{_name(pod)}: {waiting['reason']}: {container.get('image', '')}"
            if int(container.get("restartCount", 0)) >= _RESTARTS:
                return f"{_name(pod)}: {container.get('name')} ended {container['restartCount']} times"
    return ""


def containers(pod: Object) -> Iterator[Object]:
    """The states of all containers of a pod, those that initialise it first."""
    status: Object = pod.get("status") or {}
    yield from status.get("initContainerStatuses") or []
    yield from status.get("containerStatuses") or []


def scheduled(found: Object, pods: Iterable[Object]) -> bool:
    """Whether a Dask cluster that its operator calls pending has a scheduler that is ready.

    The operator says "Running" when the scheduler's Service appears and "Pending" when it has made the rest; it does
    not order the two, and does not look again (dask-kubernetes 2026.3.0, `daskcluster_create_components`).
    """
    pending = found.get("kind") == "DaskCluster" and (found.get("status") or {}).get("phase") == "Pending"
    return pending and any(_component(pod) == "scheduler" and bool(condition(pod, "Ready")) for pod in pods)


def troubled(pod: Object) -> list[tuple[str, bool]]:
    """The containers that are not as they should be, and whether each has ended before."""
    return [
        (str(one["name"]), int(one.get("restartCount", 0)) > 0 and "running" not in (one.get("state") or {}))
        for one in containers(pod)
        if not one.get("ready") and (one.get("state", {}).get("terminated") or {}).get("exitCode") != 0
    ]


def selector(found: Object) -> str:
    """The labels by which the pods of a workload are found, "" for what has none."""
    spec: Object = found.get("spec") or {}
    name = (found.get("metadata") or {}).get("name", "")
    if found.get("kind") == "Job":
        return f"batch.kubernetes.io/job-name={name}"
    if found.get("kind") == "DaskCluster":
        return f"dask.org/cluster-name={name}"
    labels: Object = (spec.get("selector") or {}).get("matchLabels") or {} if "template" in spec else {}
    return ",".join(f"{key}={value}" for key, value in sorted(labels.items()))


def condition(found: Object, type_: str) -> Object:
    """The condition of this type when it holds, else {}."""
    all_: list[Object] = (found.get("status") or {}).get("conditions") or []
    return next((one for one in all_ if one.get("type") == type_ and one.get("status") == "True"), {})


def _rollout(found: Object) -> State:
    status, wanted = found.get("status") or {}, int(found["spec"].get("replicas", 1))
    if _unseen(found):
        return State(ready=False, why="not seen by its controller yet")
    late = next((one for one in status.get("conditions", []) if one.get("reason") == "ProgressDeadlineExceeded"), None)
    counts = {name: int(status.get(f"{name}Replicas", 0)) for name in ("updated", "available")}
    all_ = int(status.get("replicas", 0))
    if counts["updated"] == counts["available"] == all_ == wanted:
        return READY
    why = f"{counts['available']} of {wanted} available, {all_ - counts['updated']} old"
    return State(ready=False, failed=late is not None, why=why)


def _stateful(found: Object) -> State:
    status, wanted = found.get("status") or {}, int(found["spec"].get("replicas", 1))
    current = status.get("currentRevision") == status.get("updateRevision") or status.get("updatedReplicas") == wanted
    if not _unseen(found) and current and int(status.get("readyReplicas", 0)) == wanted:
        return READY
    return State(ready=False, why=f"{int(status.get('readyReplicas', 0))} of {wanted} ready")


def _job(found: Object) -> State:
    failed = condition(found, "Failed")
    if failed:
        return State(ready=False, failed=True, why=str(failed.get("message") or failed.get("reason") or "failed"))
    return READY if condition(found, "Complete") else State(ready=False, why="not complete")


def _definition(found: Object) -> State:
    return READY if condition(found, "Established") else State(ready=False, why="not established")


def _namespace(found: Object) -> State:
    phase = (found.get("status") or {}).get("phase", "")
    return READY if phase == "Active" else State(ready=False, why=f"it is {phase or 'new'}")


def _pod(found: Object) -> State:
    phase = (found.get("status") or {}).get("phase", "")
    if phase == "Succeeded" or condition(found, "Ready"):
        return READY
    return State(ready=False, failed=phase == "Failed", why=f"it is {phase or 'new'}")


def _dask(found: Object) -> State:
    phase = (found.get("status") or {}).get("phase", "")
    return READY if phase == "Running" else State(ready=False, failed=phase == "Error", why=f"it is {phase or 'new'}")


def _unseen(found: Object) -> bool:
    seen = int((found.get("status") or {}).get("observedGeneration", 0))
    return seen < int((found.get("metadata") or {}).get("generation", 0))


def _component(pod: Object) -> str:
    return str(((pod.get("metadata") or {}).get("labels") or {}).get("dask.org/component", ""))


def _name(pod: Object) -> str:
    return str((pod.get("metadata") or {}).get("name", ""))


_JUDGES: dict[str, Callable[[Object], State]] = {
    "CustomResourceDefinition": _definition,
    "DaskCluster": _dask,
    "Deployment": _rollout,
    "Job": _job,
    "Namespace": _namespace,
    "Pod": _pod,
    "StatefulSet": _stateful,
}
