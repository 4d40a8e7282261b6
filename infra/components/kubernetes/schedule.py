"""Work that is done by the clock in the cluster, each run in a pod of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pulumi
import pulumi_kubernetes as kubernetes

from infra.components.kubernetes import guard, pods, provider, service
from infra.components.kubernetes.pods import Container
from infra.components.service import Task
from infra.components.stack import Stack

_CPU, _MEMORY = "500m", 768 * 2**20
_KEPT_SECONDS = 3600  # a run that is over can be looked at for so long


def make_schedule(
    parent: pulumi.Resource,
    *,
    name: str,
    stack: Stack,
    task: Task,
    at: str,
    needs: Sequence[pulumi.Resource],
    api: bool = False,
) -> pulumi.Resource:
    """Run `task` at the times of the cron expression `at`, in UTC, never two runs at once.

    `api` gives it the account's token and the way to the API server of Kubernetes.
    """
    owner = task.owner or stack.name
    resolved = service.resolve(stack, task.command, {**task.settings, **task.secret_files}, task.triggers)
    names = resolved.apply(service.secrets_of)
    first = guard.admit(parent, stack=stack, owner=owner, process=name, secrets=names, data=False, api=api)
    source = stack.implementation("secret").volume(parent, stack=stack, owner=owner, process=name, names=names)

    def spec(both: Sequence[Any]) -> dict[str, Any]:
        volumes = [service.rendered_volume()] if both[0]["rendered"] else []
        container = Container(
            name=name,
            image=stack.image(service.image_of(owner)),
            command=both[0]["command"],
            env={"HOME": "/tmp", **both[0]["env"]},  # noqa: S108 - the pod's own
            cpu=_CPU,
            memory=_MEMORY,
            volumes=volumes,
        )
        inner = pods.pod(
            [container],
            account=name,
            secrets=both[1],
            init=service.rendering(container, both[0]),
            restart="Never",
            promised=stack.promised,
            token=api,
        )
        job = {
            "activeDeadlineSeconds": round(task.timeout),
            "backoffLimit": 1,
            "template": {"metadata": service.pod_metadata(stack, owner, name, both[0]), "spec": inner},
            "ttlSecondsAfterFinished": _KEPT_SECONDS,
        }
        return {
            "concurrencyPolicy": "Forbid",
            "failedJobsHistoryLimit": 1,
            "jobTemplate": {"spec": job},
            "schedule": at,
            "startingDeadlineSeconds": _KEPT_SECONDS,
            "successfulJobsHistoryLimit": 1,
            "timeZone": "Etc/UTC",
        }

    made: Any = pulumi.Output.all(resolved, source).apply(spec)
    metadata: Any = provider.metadata(stack, name, owner=owner, process=name)
    options = provider.options(stack, parent=parent, needs=[*needs, *first])
    return kubernetes.batch.v1.CronJob(name, metadata=metadata, spec=made, opts=options)
