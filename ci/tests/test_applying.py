"""What is applied to a cluster, in which order, when it counts as ready, and what is removed: without any cluster."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from urllib3.exceptions import MaxRetryError, NewConnectionError

from ci.cluster_test import inventory, ready
from ci.cluster_test.bring import bring
from ci.cluster_test.client import Cluster, refused
from ci.cluster_test.objects import Item, Key, built, images, items, order
from ci.cluster_test.ready import READY, State
from ci.graph import StackInfo
from ci.programs import Program
from ci.tests.graphs import deployment, graph, resource
from leandata.errors import LeandataError


def config_map(name: str, **options: Any) -> Any:
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "ns"}}
    return resource("kubernetes:core/v1:ConfigMap", name, body, **options)


def stacks(**needs: tuple[str, ...]) -> dict[str, StackInfo]:
    return {name: StackInfo(name=name, module="m", folder=Path(), needs=found) for name, found in needs.items()}


def wanted(programs: dict[str, Program], **needs: tuple[str, ...]) -> dict[str, Item]:
    known = dict.fromkeys(programs, ()) | needs
    return items(programs, stacks(**known), environment="test")


def names(found: dict[str, Item]) -> list[str]:
    return [item.key.name for item in found.values()]


class FakeCluster:
    """Everything is ready when it was asked for `slow` times; what is applied is written down."""

    def __init__(self, *, slow: dict[str, int] | None = None, broken: str = "") -> None:
        self.slow, self.broken, self.said = dict(slow or {}), broken, list[str]()

    def apply(self, item: Item) -> str:
        self.said.append(f"apply {item.key.name}")
        return "created"

    def state(self, item: Item) -> State:
        name = item.key.name
        if name == self.broken:
            return State(ready=False, failed=True, why="BackoffLimitExceeded")
        if self.slow.get(name, 0):
            self.slow[name] -= 1
            return State(ready=False, why="0 of 1 ready")
        self.said.append(f"ready {name}")
        return READY

    def explain(self, item: Item) -> list[str]:
        return [f"{item.key.name}-x/main | no such database"]


class FakeClock:
    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> float:
        return self.seconds

    def wait(self, seconds: float) -> None:
        self.seconds += seconds


def brought(found: dict[str, Item], target: FakeCluster, **options: Any) -> list[str]:
    said: list[str] = []
    try:
        bring(found, target, say=said.append, clock=FakeClock(), **options)
    finally:
        target.said += said
    return target.said


def test_an_item_is_applied_when_what_it_needs_is_ready_and_no_sooner() -> None:
    first = config_map("z-first")
    found = wanted(graph(config_map("second", needs=(first.urn,)), first))
    said = brought(found, FakeCluster(slow={"z-first": 2}))
    assert said.index("ready z-first") < said.index("apply second")


def test_items_that_need_nothing_do_not_wait_for_each_other() -> None:
    said = brought(wanted(graph(config_map("slow"), config_map("quick"))), FakeCluster(slow={"slow": 3}))
    assert said.index("ready quick") < said.index("ready slow")


def test_what_needs_a_component_needs_all_that_lies_under_it() -> None:
    outer = resource("leandata:index:Service", "outer", custom=False)
    inner = resource("leandata:index:Part", "inner", custom=False, parent=outer.urn)
    leaf = config_map("leaf", parent=inner.urn)
    found = wanted(graph(config_map("after", needs=(outer.urn,)), outer, inner, leaf))
    assert names(found) == ["leaf", "after"]


def test_a_child_is_applied_after_its_parent() -> None:
    space = resource("kubernetes:core/v1:Namespace", "z-space", {"apiVersion": "v1", "kind": "Namespace"})
    found = wanted(graph(config_map("inside", parent=space.urn), space))
    assert names(found) == ["z-space", "inside"]


def test_a_stack_begins_after_those_it_needs_and_after_no_other() -> None:
    programs = (
        graph(config_map("a1"), stack="a") | graph(config_map("b1"), stack="b") | graph(config_map("c1"), stack="c")
    )
    found = {item.key.name: item for item in wanted(programs, b=("a",)).values()}
    assert found["b1"].needs == {found["a1"].urn}
    assert found["c1"].needs == frozenset()


def test_providers_and_references_to_other_stacks_are_nothing_to_apply() -> None:
    found = graph(resource("pulumi:providers:kubernetes", "k"), resource("pulumi:pulumi:StackReference", "s"))
    assert wanted(found) == {}


def test_what_lies_in_no_cluster_is_refused_by_its_type_and_stack() -> None:
    with pytest.raises(LeandataError, match=r"aws:s3/bucket:Bucket lies in no cluster \(stack s, raw\)"):
        wanted(graph(resource("aws:s3/bucket:Bucket", "raw")))


def test_two_resources_of_one_name_are_refused() -> None:
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "same", "namespace": "ns"}}
    both = (resource("kubernetes:core/v1:ConfigMap", name, body) for name in ("one", "two"))
    with pytest.raises(LeandataError, match="two resources are ConfigMap ns/same"):
        wanted(graph(*both))


def test_needs_in_a_circle_are_told_by_name() -> None:
    found = wanted(graph(config_map("one"), config_map("two")))
    first, second = found.values()
    circle = {
        one.urn: Item(urn=one.urn, stack="s", key=one.key, makes=one.makes, body=one.body, needs=frozenset({other.urn}))
        for one, other in ((first, second), (second, first))
    }
    with pytest.raises(LeandataError, match="in a circle: ConfigMap ns/one, ConfigMap ns/two"):
        order(circle)


def test_every_object_carries_the_label_of_its_environment_and_no_status() -> None:
    body = {"metadata": {"name": "x", "namespace": "ns", "labels": {"a": "b"}}, "status": {"phase": "Active"}}
    (item,) = wanted(graph(resource("kubernetes:core/v1:ConfigMap", "x", body))).values()
    assert item.body["metadata"]["labels"] == {"a": "b", "leandata.io/environment": "test"}
    assert "status" not in item.body
    assert (item.body["apiVersion"], item.body["kind"]) == ("v1", "ConfigMap")


def test_a_secret_of_ours_makes_one_object_in_each_namespace() -> None:
    inputs = {"secret": "key", "namespaces": ["b", "a"], "kind": "token", "labels": {}}
    (item,) = wanted(graph(resource("machine:index:ClusterSecret", "key", inputs))).values()
    assert [str(key) for key in item.makes] == ["Secret a/key", "Secret b/key"]
    assert item.body["labels"] == {"leandata.io/environment": "test"}


def test_an_image_that_was_never_built_is_told_before_anything_is_applied() -> None:
    one = deployment("api")
    one.properties["spec"]["template"]["spec"]["containers"][0]["image"] = "leandata-api@sha256:" + "0" * 64
    found = wanted(graph(one))
    assert len(images(found)) == 1
    with pytest.raises(LeandataError, match=r"^not built: leandata-api\. make images ENV=cluster$"):
        built(found, environment="cluster")


def test_what_fails_is_told_in_one_line_after_lines_that_explain_it() -> None:
    target = FakeCluster(broken="job")
    with pytest.raises(LeandataError, match=r"^ConfigMap ns/job has failed: BackoffLimitExceeded \(stack s\)$"):
        brought(wanted(graph(config_map("job"))), target)
    assert [line.strip() for line in target.said[-1:]] == ["job-x/main | no such database"]


def test_what_is_late_is_told_with_what_is_missing() -> None:
    with pytest.raises(LeandataError, match=r"is not ready after 30 s: 0 of 1 ready"):
        brought(wanted(graph(config_map("slow"))), FakeCluster(slow={"slow": 99}), timeout=30)


def rollout(**status: Any) -> dict[str, Any]:
    return {
        "kind": "Deployment",
        "metadata": {"name": "api", "generation": 3},
        "spec": {"replicas": 2, "selector": {"matchLabels": {"b": "2", "a": "1"}}, "template": {}},
        "status": {"observedGeneration": 3, **status},
    }


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ({"observedGeneration": 2, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2}, False),
        ({"replicas": 3, "updatedReplicas": 2, "availableReplicas": 3}, False),
        ({"replicas": 2, "updatedReplicas": 2, "availableReplicas": 1}, False),
        ({"replicas": 2, "updatedReplicas": 2, "availableReplicas": 2}, True),
    ],
)
def test_a_rollout_is_ready_when_its_controller_saw_it_and_only_new_pods_are_there(status: Any, expected: bool) -> None:
    assert ready.state(rollout(**status)).ready is expected


def test_a_rollout_that_made_no_progress_has_failed() -> None:
    late = rollout(conditions=[{"type": "Progressing", "reason": "ProgressDeadlineExceeded", "status": "False"}])
    assert ready.state(late).failed


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ({"kind": "ConfigMap"}, (True, False)),
        ({"kind": "Namespace", "status": {"phase": "Terminating"}}, (False, False)),
        ({"kind": "Namespace", "status": {"phase": "Active"}}, (True, False)),
        ({"kind": "Job", "status": {"conditions": [{"type": "Complete", "status": "True"}]}}, (True, False)),
        ({"kind": "Job", "status": {"conditions": [{"type": "Complete", "status": "False"}]}}, (False, False)),
        ({"kind": "Job", "status": {"conditions": [{"type": "Failed", "status": "True"}]}}, (False, True)),
        ({"kind": "DaskCluster", "status": {"phase": "Pending"}}, (False, False)),
        ({"kind": "DaskCluster", "status": {"phase": "Running"}}, (True, False)),
        ({"kind": "DaskCluster", "status": {"phase": "Error"}}, (False, True)),
        ({"kind": "Pod", "status": {"phase": "Failed"}}, (False, True)),
        ({"kind": "Pod", "status": {"phase": "Succeeded"}}, (True, False)),
        ({"kind": "CustomResourceDefinition", "status": {}}, (False, False)),
        (
            {"kind": "CustomResourceDefinition", "status": {"conditions": [{"type": "Established", "status": "True"}]}},
            (True, False),
        ),
        ({"kind": "StatefulSet", "spec": {"replicas": 1}, "status": {"readyReplicas": 1}}, (True, False)),
        ({"kind": "StatefulSet", "spec": {"replicas": 1}, "status": {}}, (False, False)),
    ],
)
def test_every_kind_says_itself_when_it_is_ready_and_when_it_failed(found: Any, expected: Any) -> None:
    answer = ready.state(found)
    assert (answer.ready, answer.failed) == expected
    assert bool(answer.why) is not answer.ready


@pytest.mark.parametrize(
    ("phase", "component", "is_ready", "expected"),
    [
        ("Pending", "scheduler", "True", True),
        ("Pending", "scheduler", "False", False),
        ("Pending", "worker", "True", False),
        ("Error", "scheduler", "True", False),
    ],
)
def test_a_dask_cluster_that_is_called_pending_for_ever_is_ready_with_its_scheduler(
    phase: str, component: str, is_ready: str, expected: bool
) -> None:
    found = {"kind": "DaskCluster", "status": {"phase": phase}}
    conditions = [{"type": "Ready", "status": is_ready}]
    one = {"metadata": {"labels": {"dask.org/component": component}}, "status": {"conditions": conditions}}
    assert ready.scheduled(found, [one]) is expected
    assert not ready.scheduled(found, [])
    assert not ready.scheduled({**found, "kind": "Deployment"}, [one])


def pod(*containers: dict[str, Any]) -> dict[str, Any]:
    return {"metadata": {"name": "api-1"}, "status": {"containerStatuses": list(containers)}}


def test_waiting_is_of_no_use_for_an_image_that_is_nowhere_and_after_many_crashes() -> None:
    pulling = pod({"name": "api", "image": "x:1", "state": {"waiting": {"reason": "ErrImageNeverPull"}}})
    assert ready.hopeless([pulling]) == "api-1: ErrImageNeverPull: x:1"
    assert ready.hopeless([pod({"name": "api", "restartCount": 7})]) == "api-1: api ended 7 times"
    assert ready.hopeless([pod({"name": "api", "restartCount": 1, "state": {"waiting": {}}})]) == ""


def test_only_containers_in_trouble_are_explained_and_a_crashed_one_by_what_it_last_wrote() -> None:
    found = pod(
        {"name": "good", "ready": True},
        {"name": "done", "ready": False, "state": {"terminated": {"exitCode": 0}}},
        {"name": "starting", "ready": False, "state": {"running": {}}},
        {"name": "crashed", "ready": False, "restartCount": 2, "state": {"waiting": {"reason": "CrashLoopBackOff"}}},
    )
    assert ready.troubled(found) == [("starting", False), ("crashed", True)]


def test_what_the_cluster_adds_by_itself_is_no_change() -> None:
    def found(**metadata: Any) -> dict[str, Any]:
        return {"kind": "ResourceQuota", "metadata": {"name": "share", **metadata}, "spec": {"hard": {"pods": "1"}}}

    late = {**found(resourceVersion="2", managedFields=[{}], generation=2), "status": {"used": {"pods": "1"}}}
    assert ready.asked(found(resourceVersion="1")) == ready.asked(late)
    assert ready.asked(found()) != ready.asked(found(labels={"a": "b"}))


def test_pods_of_a_workload_are_found_by_its_own_labels() -> None:
    assert ready.selector(rollout()) == "a=1,b=2"
    assert ready.selector({"kind": "Job", "metadata": {"name": "j"}}) == "batch.kubernetes.io/job-name=j"
    assert ready.selector({"kind": "DaskCluster", "metadata": {"name": "d"}}) == "dask.org/cluster-name=d"
    assert ready.selector({"kind": "Service", "spec": {"selector": {"a": "1"}}}) == ""


@pytest.mark.parametrize(
    ("version", "finalizers", "expected"),
    [
        ("kubernetes.dask.org/v1", ["kopf.zalando.org/KopfFinalizerMarker"], True),
        ("kubernetes.dask.org/v1", None, False),
        ("v1", ["kubernetes.io/pvc-protection"], False),
        ("apps/v1", ["foregroundDeletion"], False),
        ("apiextensions.k8s.io/v1", ["customresourcecleanup.apiextensions.k8s.io"], False),
    ],
)
def test_only_what_a_foreign_controller_must_let_go_is_waited_for(
    version: str, finalizers: Any, expected: bool
) -> None:
    found = {"apiVersion": version, "kind": "Thing", "metadata": {"name": "x", "finalizers": finalizers}}
    assert ready.controlled(found) is expected


def test_a_namespace_that_stays_is_told_by_what_holds_it() -> None:
    conditions = [
        {"type": "NamespaceContentRemaining", "status": "True", "message": "daskautoscalers has 1 resource instances"},
        {"type": "NamespaceDeletionContentFailure", "status": "False", "message": "All content deleted"},
    ]
    assert ready.held({"status": {"conditions": conditions}}) == "daskautoscalers has 1 resource instances"
    assert ready.held({"status": {}}) == "the cluster does not say why"


def test_a_job_that_failed_is_made_anew_and_nothing_else_is() -> None:
    failed = {"conditions": [{"type": "Failed", "status": "True"}]}
    assert ready.spent({"kind": "Job", "status": failed})
    assert not ready.spent({"kind": "Pod", "status": {"phase": "Failed"}})
    assert not ready.spent({"kind": "Job", "status": {}})


def test_the_inventory_comes_back_as_it_was_written() -> None:
    keys = [Key(api_version="apps/v1", kind="Deployment", namespace="ns", name="api")]
    assert inventory.keys(inventory.config_map(keys, environment="test", namespace="default")) == keys
    assert inventory.keys(None) == []


def test_a_damaged_inventory_is_told_in_one_line() -> None:
    with pytest.raises(LeandataError, match=r"^the inventory of the cluster is damaged \(ConfigMap x\)$"):
        inventory.keys({"metadata": {"name": "x"}, "data": {"objects": "{"}})


def test_what_is_wanted_no_longer_is_removed_the_last_first() -> None:
    found = wanted(graph(config_map("kept")))
    old = [Key(api_version="v1", kind="ConfigMap", namespace="ns", name=name) for name in ("one", "kept", "two")]
    assert [key.name for key in inventory.unwanted(old, found)] == ["two", "one"]
    assert [key.name for key in inventory.both(old, found)] == ["one", "kept", "two"]


def test_without_a_kubeconfig_one_line_says_what_to_set() -> None:
    with pytest.raises(LeandataError, match=r"^no cluster is named\. Set KUBECONFIG to the file of your cluster"):
        Cluster.current({})


def test_a_kubeconfig_that_is_none_is_told_by_its_path(tmp_path: Path) -> None:
    with pytest.raises(LeandataError, match=r"^KUBECONFIG names no cluster \(.*/missing\)"):
        Cluster.current({"KUBECONFIG": str(tmp_path / "missing")})


def test_a_cluster_that_does_not_answer_is_told_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text(
        "apiVersion: v1\nkind: Config\ncurrent-context: c\n"
        "clusters: [{name: c, cluster: {server: 'http://127.0.0.1:1'}}]\n"
        "contexts: [{name: c, context: {cluster: c, user: u}}]\nusers: [{name: u, user: {token: t}}]\n"
    )
    with pytest.raises(LeandataError, match=r"^the cluster does not answer: .*\(.*/config\)"):
        Cluster.current({"KUBECONFIG": str(path)})


def test_a_cluster_that_goes_away_is_told_in_one_line_and_not_by_its_connection_s_stack() -> None:
    lost = refused(MaxRetryError(None, "/apis", NewConnectionError(None, "Connection refused")), "Pod ns/x")  # type: ignore[arg-type]
    assert str(lost).count("\n") == 0
    assert str(lost).endswith("(Pod ns/x)")
    assert lost.status == 0
