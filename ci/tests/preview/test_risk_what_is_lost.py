"""Data, protection, secrets and the order of steps: what loses something is flagged, what keeps or gains it is not."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ci.programs import Resource
from ci.tests.graphs import resource
from ci.tests.preview.judged import risks

BUCKET, DATABASE, CLUSTER = "aws:s3/bucket:Bucket", "aws:rds/instance:Instance", "aws:eks/cluster:Cluster"
LOGS = "aws:cloudwatch/logGroup:LogGroup"
LIFECYCLE = "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration"
IMAGES, BUDGET = "aws:ecr/lifecyclePolicy:LifecyclePolicy", "aws:budgets/budget:Budget"
TABLE, MONITOR = "snowflake:index/table:Table", "snowflake:index/resourceMonitor:ResourceMonitor"
PASSWORDS, PARAMETER = (
    "snowflake:index/passwordPolicy:PasswordPolicy",
    "snowflake:index/accountParameter:AccountParameter",
)
DEPLOYMENT, DISRUPTION = "kubernetes:apps/v1:Deployment", "kubernetes:policy/v1:PodDisruptionBudget"
QUOTA, NAMESPACE = "kubernetes:core/v1:ResourceQuota", "kubernetes:core/v1:Namespace"
SECRET, PROCESS, SHARED = "machine:index:Secret", "machine:index:Process", "machine:index:ClusterSecret"
USER = "snowflake:index/serviceUser:ServiceUser"
PLACE = {"name": "api", "namespace": "a"}
ENFORCE = "pod-security.kubernetes.io/enforce"


def it(type_: str, **said: Any) -> list[Resource]:
    return [resource(type_, "it", said)]


def rules(*said: tuple[str, int, int | None]) -> list[Resource]:
    """Files under a prefix are deleted after so many days, and old versions after so many."""
    made = []
    for number, (prefix, days, versions) in enumerate(said):
        old = {"noncurrentVersionExpiration": {"noncurrentDays": versions}} if versions else {}
        made.append({"id": f"r{number}", "status": "Enabled", "filter": {"prefix": prefix},
                     "expiration": {"days": days}, **old})  # fmt: skip
    return it(LIFECYCLE, bucket="b", rules=made)


def images(*said: tuple[str, int]) -> list[Resource]:
    made = [
        {"rulePriority": n, "selection": {"tagStatus": status, "countType": "imageCountMoreThan", "countNumber": count}}
        for n, (status, count) in enumerate(said)
    ]
    return it(IMAGES, repository="r", policy=json.dumps({"rules": made}))


def pod(**spec: Any) -> list[Resource]:
    return it(DEPLOYMENT, metadata=PLACE, spec={"template": {"spec": spec}})


def container(**said: Any) -> list[Resource]:
    return pod(containers=[{"name": "main", **said}])


def space(**labels: str) -> list[Resource]:
    return it(
        NAMESPACE, metadata={"name": "a", "labels": {f"pod-security.kubernetes.io/{k}": v for k, v in labels.items()}}
    )


def told(*people: str) -> list[Resource]:
    return it(BUDGET, name="b", notifications=[{"threshold": 80, "subscriberEmailAddresses": list(people)}])


LESS: dict[str, tuple[str, list[Resource], list[Resource]]] = {
    "logs that were for ever": ("data", it(LOGS, name="l"), it(LOGS, name="l", retentionInDays=30)),
    "logs for fewer days": ("data", it(LOGS, name="l", retentionInDays=30), it(LOGS, name="l", retentionInDays=7)),
    "fewer days to undrop a table": (
        "data", it(TABLE, name="T", dataRetentionTimeInDays="7"), it(TABLE, name="T", dataRetentionTimeInDays="1")),
    "fewer days in the account": (
        "data", it(PARAMETER, key="DATA_RETENTION_TIME_IN_DAYS", value="90"),
        it(PARAMETER, key="DATA_RETENTION_TIME_IN_DAYS", value="1")),
    "a bucket that may go with its files": (
        "data", it(BUCKET, bucket="a"), it(BUCKET, bucket="a", forceDestroy=True)),
    "files for fewer days": ("data", rules(("a/", 90, None)), rules(("a/", 30, None))),
    "files of the whole bucket": ("data", rules(("a/", 30, None)), rules(("a/", 30, None), ("", 30, None))),
    "old versions": ("data", rules(("a/", 90, None)), rules(("a/", 90, 7))),
    "fewer images": ("data", images(("any", 30)), images(("any", 5))),
    "images that were kept": ("data", images(("untagged", 5)), images(("untagged", 5), ("any", 5))),
    "backups": (
        "protection", it(DATABASE, backupRetentionPeriod=35), it(DATABASE, backupRetentionPeriod=1)),
    "a last snapshot": (
        "protection", it(DATABASE, skipFinalSnapshot=False), it(DATABASE, skipFinalSnapshot=True)),
    "what measures a database": ("protection", it(DATABASE, monitoringInterval=60), it(DATABASE)),
    "somebody who is told": ("protection", told("a@x", "b@x"), told("a@x")),
    "a quota of money": (
        "protection", it(MONITOR, name="M", creditQuota=10), it(MONITOR, name="M", creditQuota=100)),
    "what stops a warehouse": (
        "protection", it(MONITOR, name="M", suspendTrigger=90), it(MONITOR, name="M")),
    "a quota of memory": (
        "protection", it(QUOTA, metadata=PLACE, spec={"hard": {"limits.memory": "900Mi"}}),
        it(QUOTA, metadata=PLACE, spec={"hard": {"limits.memory": "1Gi"}})),
    "a quota at all": (
        "protection", it(QUOTA, metadata=PLACE, spec={"hard": {"pods": "10", "limits.cpu": "1"}}),
        it(QUOTA, metadata=PLACE, spec={"hard": {"pods": "10"}})),
    "more pods at once": (
        "protection", it(DISRUPTION, metadata=PLACE, spec={"maxUnavailable": 1}),
        it(DISRUPTION, metadata=PLACE, spec={"maxUnavailable": 2})),
    "a share of the pods": (
        "protection", it(DISRUPTION, metadata=PLACE, spec={"minAvailable": "75%"}),
        it(DISRUPTION, metadata=PLACE, spec={"minAvailable": "50%"})),
    "Pod Security": ("protection", space(enforce="restricted"), space(enforce="baseline")),
    "a user that is not root": (
        "protection", pod(securityContext={"runAsNonRoot": True}), pod(securityContext={})),
    "a closed container": (
        "protection", container(securityContext={"privileged": False}), container(securityContext={"privileged": True})),
    "dropped rights": (
        "protection", container(securityContext={"capabilities": {"drop": ["ALL"]}}),
        container(securityContext={"capabilities": {"drop": []}})),
    "the node's network": ("protection", pod(hostNetwork=False), pod(hostNetwork=True)),
    "a second container that is open": (
        "protection", pod(containers=[{"name": "a"}]),
        pod(containers=[{"name": "a"}, {"name": "b", "securityContext": {"allowPrivilegeEscalation": True}}])),
    "the node's files": ("protection", pod(), pod(volumes=[{"name": "v", "hostPath": {"path": "/"}}])),
    "the node's files beside others": (
        "protection", pod(volumes=[{"name": "w", "emptyDir": {}}]),
        pod(volumes=[{"name": "w", "emptyDir": {}}, {"name": "v", "hostPath": {"path": "/"}}])),
    "somebody who is told at all": ("protection", told("a@x"), it(BUDGET, name="b", notifications=[])),
    "a limit of memory": (
        "protection", container(resources={"limits": {"memory": "1Gi"}}), container(resources={"limits": {}})),
    "longer passwords": (
        "access", it(PASSWORDS, name="P", minLength=14), it(PASSWORDS, name="P", minLength=8)),
    "fewer guesses": ("access", it(PASSWORDS, name="P", maxRetries=5), it(PASSWORDS, name="P", maxRetries=10)),
    "a token of the API": (
        "access", pod(automountServiceAccountToken=False), pod(automountServiceAccountToken=True)),
}  # fmt: skip


@pytest.mark.parametrize("what", LESS)
def test_what_is_lost_is_flagged_at_its_resource_and_what_is_won_is_not(what: str) -> None:
    kind, more, less = LESS[what]
    (found,) = risks(more, less)
    assert (found.kind, found.name, found.teams, found.confirm) == (kind, "it", ("s", kind), False)
    assert risks(less, more) == []


# -- data --------------------------------------------------------------------------------------------------------------

HOLDS = [
    (BUCKET, {"bucket": "a"}), (DATABASE, {"identifier": "a"}), (LOGS, {"name": "a"}), (TABLE, {"name": "T"}),
    ("aws:kms/key:Key", {"description": "k"}), ("aws:ecr/repository:Repository", {"name": "r"}),
    ("snowflake:index/database:Database", {"name": "D"}), ("kubernetes:apps/v1:StatefulSet", {"metadata": PLACE}),
    ("kubernetes:core/v1:PersistentVolumeClaim", {"metadata": PLACE}), (NAMESPACE, {"metadata": {"name": "n"}}),
    ("machine:index:Directory", {"path": "/d"}), ("machine:index:PostgresDatabase", {"name": "d"}),
]  # fmt: skip


@pytest.mark.parametrize(("type_", "said"), HOLDS, ids=[type_.rpartition(":")[2] for type_, _ in HOLDS])
def test_deleting_what_holds_data_is_confirmed_by_its_name(type_: str, said: dict[str, Any]) -> None:
    (found,) = risks(it(type_, **said), [], "data")
    assert (found.name, found.why, found.confirm) == ("it", "deleted, with all that it holds", True)
    assert risks([], it(type_, **said), "data") == []


@pytest.mark.parametrize(("type_", "said"), HOLDS, ids=[type_.rpartition(":")[2] for type_, _ in HOLDS])
def test_another_name_in_the_program_empties_what_holds_data_unless_an_alias_says_that_it_is_the_same(
    type_: str, said: dict[str, Any]
) -> None:
    old = resource(type_, "old", said)
    (found,) = risks([old], [resource(type_, "new", said)], "data")
    assert (found.name, found.why, found.confirm) == ("new", "replaced by an empty one: urn changed", True)
    assert risks([old], [resource(type_, "new", said, aliases=(old.urn,))]) == []


@pytest.mark.parametrize(
    "type_", ["aws:iam/role:Role", "aws:sns/topic:Topic", "kubernetes:core/v1:ConfigMap", PROCESS, DEPLOYMENT]
)
def test_what_holds_nothing_may_go(type_: str) -> None:
    assert risks(it(type_, name="a"), [], "data") == []


def test_an_unknown_change_is_not_confirmed_by_a_name() -> None:
    (found,) = risks(it(BUCKET, bucket="a", odd=1), it(BUCKET, bucket="a", odd=2))
    assert (found.kind, found.why, found.confirm) == ("data", "may be replaced by an empty one: odd changed", False)


def test_a_new_rule_of_deletion_for_a_bucket_says_after_how_many_days() -> None:
    (found,) = risks([], rules(("", 7, None)))
    assert (found.kind, found.why) == ("data", "what lies in the bucket is deleted after 7.0 days")
    assert risks([], it(LIFECYCLE, bucket="b", rules=[])) == []


@given(st.integers(1, 3650), st.integers(1, 3650))
def test_logs_are_lost_exactly_when_they_are_kept_for_fewer_days(before: int, after: int) -> None:
    found = risks(it(LOGS, name="l", retentionInDays=before), it(LOGS, name="l", retentionInDays=after))
    assert [one.kind for one in found] == (["data"] if after < before else [])


# -- protection --------------------------------------------------------------------------------------------------------

GUARDS = [
    ("aws:s3/bucketVersioning:BucketVersioning", {"bucket": "raw"}, "protection"),
    ("aws:s3/bucketLogging:BucketLogging", {"bucket": "raw"}, "protection"),
    ("aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock", {"bucket": "raw"}, "network"),
    ("aws:sns/topicSubscription:TopicSubscription", {"topic": "arn:aws:sns:eu:1:raw"}, "protection"),
    (QUOTA, {"metadata": {"name": "q", "namespace": "raw"}}, "protection"),
    ("kubernetes:core/v1:LimitRange", {"metadata": {"name": "l", "namespace": "raw"}}, "protection"),
]


@pytest.mark.parametrize(("type_", "said", "kind"), GUARDS, ids=[type_.rpartition(":")[2] for type_, _, _ in GUARDS])
def test_a_guard_goes_with_what_it_guards_and_no_sooner(type_: str, said: dict[str, Any], kind: str) -> None:
    stays = resource("aws:sns/topic:Topic", "raw", {"name": "raw"})
    (found,) = risks([stays, *it(type_, **said)], [stays])
    assert (found.kind, found.name) == (kind, "it")
    assert found.why.startswith("removed: ")
    assert risks(it(type_, **said), []) == []


@pytest.mark.parametrize("type_", [BUDGET, MONITOR, "aws:cloudwatch/metricAlarm:MetricAlarm"])
def test_a_guard_of_the_whole_account_is_missed_whatever_else_stays(type_: str) -> None:
    assert [one.kind for one in risks(it(type_, name="a"), [])] == ["protection"]


def test_a_first_word_on_security_that_opens_is_a_risk_and_one_that_closes_is_none() -> None:
    (found,) = risks(container(), container(securityContext={"privileged": True}))
    assert found.why == "the pod: spec.template.spec.containers[main].securityContext.privileged [absent] -> True"
    assert risks(container(), container(securityContext={"privileged": False, "runAsNonRoot": True})) == []


def test_numbers_and_shares_of_pods_are_not_compared_with_each_other() -> None:
    sides = [it(DISRUPTION, metadata=PLACE, spec={"maxUnavailable": much}) for much in (2, "10%")]
    assert risks(*sides) == risks(*reversed(sides)) == []


def test_taking_off_the_protection_is_said_before_anything_is_deleted() -> None:
    locked = [resource("aws:iam/role:Role", "it", {"name": "a"}, protect=True)]
    (off,) = risks(locked, it("aws:iam/role:Role", name="a"))
    assert off.why == "the engine no longer refuses to delete it: options.protect True -> False"
    (gone,) = risks(locked, [])
    assert gone.why == "protected: the engine refuses until its protection is taken off"


def test_a_container_that_is_weakened_is_found_by_its_name_wherever_it_stands() -> None:
    def two(*names: str, **closed: bool) -> list[Resource]:
        return pod(containers=[{"name": n, "securityContext": {"runAsNonRoot": closed.get(n, True)}} for n in names])

    assert risks(two("a", "b"), two("b", "a")) == []
    (found,) = risks(two("a", "b"), two("b", "a", a=False))
    assert found.why == "the pod: spec.template.spec.containers[a].securityContext.runAsNonRoot True -> False"


# -- secrets -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("type_", [SECRET, SHARED, "machine:index:AwsSecretValue", "aws:secretsmanager/secret:Secret"])
def test_a_secret_that_goes_locks_out_who_holds_it(type_: str) -> None:
    (found,) = risks(it(type_, name="s", path="/s"), [], "secret")
    assert found.why == "its value is deleted: who holds the old one is locked out"
    assert risks([], it(type_, name="s", path="/s"), "secret") == []


def test_a_value_that_was_read_from_a_secret_and_is_written_down_is_a_risk() -> None:
    def env(**said: Any) -> list[Resource]:
        return container(env=[{"name": "PASSWORD", **said}])

    safe = env(valueFrom={"secretKeyRef": {"name": "db", "key": "p"}})
    (found,) = risks(safe, env(value="hunter2"), "secret")
    assert found.why == "spec.template.spec.containers[main].env[PASSWORD] was read from a secret and is plain text"
    assert risks(safe, container(env=[]), "secret") == []
    assert "hunter2" not in str(found)


def test_the_pods_that_newly_read_a_known_secret_are_named() -> None:
    def two(*readers: str) -> list[Resource]:
        def reads(name: str) -> dict[str, Any]:
            return {"envFrom": [{"secretRef": {"name": "db"}}]} if name in readers else {}

        return [
            resource(DEPLOYMENT, name, {"metadata": {"name": name, "namespace": "a"},
                     "spec": {"template": {"spec": {"containers": [{"name": "m", **reads(name)}]}}}})
            for name in ("one", "two")
        ]  # fmt: skip

    (found,) = risks(two("one"), two("one", "two"), "secret")
    assert (found.name, found.why) == ("two", "new: the pods of a/two reads db")
    assert risks(two("one", "two"), two("one"), "secret") == risks(two(), two("one"), "secret") == []


def test_a_secret_for_another_namespace_is_read_there() -> None:
    sides = [it(SHARED, secret="db", namespaces=spaces) for spaces in (["a"], ["a", "b"])]
    assert [one.why for one in risks(*sides, "secret")] == ["new: the namespace b reads db"]
    assert risks(*reversed(sides), "secret") == []


# -- order -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [("1.33", "1.34", []), ("1.33", "1.33", []), ("1.33", "1.35", ["skips"]), ("1.33", "1.32", ["goes back"]),
     ("1.33", "2.0", ["skips"]), ("odd", "1.34", [])],
)  # fmt: skip
def test_a_cluster_goes_up_one_version_at_a_time(old: str, new: str, found: list[str]) -> None:
    sides = [it(CLUSTER, name="c", version=one, vpcConfig={"endpointPublicAccess": False}) for one in (old, new)]
    said = [one.why for one in risks(*sides, "order")]
    assert len(said) == len(found)
    assert all(word in why for word, why in zip(found, said, strict=True))


@pytest.mark.parametrize(
    ("before", "after", "locked"),
    [(("A", None), ("B", None), True), (("A", None), ("A", "B"), False), (("A", "B"), (None, "B"), False),
     (("A", None), (None, "A"), False), (("A", "B"), ("C", "D"), True), ((None, None), ("A", None), False),
     (("A", None), (None, None), True)],
)  # fmt: skip
def test_a_user_keeps_a_key_of_before(before: tuple[Any, Any], after: tuple[Any, Any], *, locked: bool) -> None:
    sides = [it(USER, name="U", rsaPublicKey=one, rsaPublicKey2=two) for one, two in (before, after)]
    assert bool(risks(*sides, "order")) is locked


@pytest.mark.parametrize(
    ("before", "after", "found"),
    [("a@sha256:1", "a:1", True), ("a:1", "a:2", False), ("a:1", "b:1", True), ("[unknown]", "a@sha256:2", False),
     ("a@sha256:1", "[unknown]", False), ("h:5000/a:1", "h:5000/a:2", False)],
)  # fmt: skip
def test_an_image_by_its_tag_is_a_risk_where_it_is_new(before: str, after: str, *, found: bool) -> None:
    assert bool(risks(container(image=before), container(image=after), "order")) is found
