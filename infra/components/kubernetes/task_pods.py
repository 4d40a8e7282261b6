"""The pod that each task of Airflow has of its own: told what its pipeline needs, and no secret of Airflow's own.

A task gets a short-lived token with its work; it needs neither the metadata database nor the keys of Airflow, so a
pipeline cannot read or forge anything there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pulumi
import pulumi_kubernetes as kubernetes
import yaml

from infra.components.kubernetes import pods, provider, service
from infra.components.kubernetes.pods import Container, Volume
from infra.components.manifest import ProcessManifest
from infra.components.service import Texts
from infra.components.stack import Stack

FOLDER, FILE = "/etc/leandata/tasks", "pod.yaml"
CONTAINER = "base"  # the name by which Airflow finds the container that it completes
CONFIG = "airflow-task-pods"
_START = 600  # seconds to fetch an image and start on a new node
_UNDISTURBED = {"cluster-autoscaler.kubernetes.io/safe-to-evict": "false", "karpenter.sh/do-not-disrupt": "true"}


def make_template(
    parent: pulumi.Resource,
    *,
    stack: Stack,
    manifest: ProcessManifest,
    settings: Texts,
    volumes: Sequence[Volume],
    needs: Sequence[pulumi.Resource],
) -> pulumi.Resource:
    """The account and network of the tasks' pods, and the file from which the scheduler makes each of them."""
    owner, process = stack.name, manifest.name
    resolved = service.resolve(stack, [], settings, {})
    first, known = service.prepare(parent, stack=stack, owner=owner, process=process, resolved=resolved)
    text = known.apply(
        lambda both: yaml.safe_dump(template(stack, manifest, both[0], both[1], volumes=volumes), width=120)
    )
    metadata: Any = provider.metadata(stack, CONFIG, owner=owner)
    options = provider.options(stack, parent=parent, needs=[*needs, *first])
    return kubernetes.core.v1.ConfigMap(CONFIG, metadata=metadata, data={FILE: text}, opts=options)


def template(
    stack: Stack,
    manifest: ProcessManifest,
    resolved: Mapping[str, Any],
    secrets: Mapping[str, Any],
    *,
    volumes: Sequence[Volume],
) -> dict[str, Any]:
    """A task's pod without its work. It ends by itself, is not moved while it runs, and is stopped when it hangs."""
    container = Container(
        name=CONTAINER,
        image=stack.image(stack.name),
        command=[],
        env={"HOME": "/tmp", **resolved["env"]},  # noqa: S108 - the pod's own
        cpu=manifest.cpu,
        memory=int(manifest.memory),
        scratch=int(manifest.memory),
        volumes=[*volumes, *([service.rendered_volume()] if resolved["rendered"] else [])],
    )
    spec = pods.pod(
        [container],
        account=manifest.name,
        secrets=secrets,
        init=service.rendering(container, resolved),
        grace=manifest.drain,
        restart="Never",
        promised=stack.promised,
    )
    del spec["containers"][0]["command"]  # the work comes as arguments, which take the place of the image's command
    spec["activeDeadlineSeconds"] = round(manifest.drain) + _START
    labels = service.pod_metadata(stack, stack.name, manifest.name, resolved)["labels"]
    metadata = {"annotations": dict(_UNDISTURBED), "labels": labels, "name": manifest.name}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def mounted() -> Volume:
    """Where the scheduler finds the template. A changed one is there within a minute, without a restart."""
    return Volume(name="tasks", path=FOLDER, source={"configMap": {"name": CONFIG}}, read_only=True)
