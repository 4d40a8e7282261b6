"""Work that is done by the clock in the cluster, each run in a pod of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pulumi
import pulumi_kubernetes as kubernetes

from infra.components.kubernetes import provider, service
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
    first, known = service.prepare(
        parent, stack=stack, owner=owner, process=name, resolved=resolved, data=False, api=api
    )

    def spec(both: Sequence[Any]) -> dict[str, Any]:
        job = {
            "activeDeadlineSeconds": round(task.timeout),
            "backoffLimit": 1,
            "template": service.ending(stack, owner, name, both[0], both[1], cpu=_CPU, memory=_MEMORY, token=api),
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

    made: Any = known.apply(spec)
    metadata: Any = provider.metadata(stack, name, owner=owner, process=name)
    options = provider.options(stack, parent=parent, needs=[*needs, *first])
    return kubernetes.batch.v1.CronJob(name, metadata=metadata, spec=made, opts=options)
