"""What stands in the way of a cloud deployment: each one line, each with the command that mends it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ci.preflight_cloud import (
    ADDRESSES,
    CLUSTERS,
    CPUS,
    DATABASES,
    NETWORKS,
    Aws,
    Bucket,
    Quota,
    demand_cloud,
    exceeded,
    needed,
    problems,
)
from ci.programs import Program, Resource
from ci.tests.graphs import deployment, graph, resource
from infra.components.images import NOT_BUILT
from infra.environment import Environment
from leandata.errors import LeandataError

PROD = Environment.load("prod", environ={})
CLUSTER = Environment.load("cluster", environ={})
LOCAL = Environment.load("local", environ={})
LOGIN = {"SNOWFLAKE_PRIVATE_KEY_PATH": "/keys/deploy.p8"}
GOOD = "sha256:" + "ab" * 32


class Account:
    """An account as it is told."""

    def __init__(self, number: str = "333333333333", *, bucket: Bucket = "there", limit: float | None = 1000) -> None:
        self.number, self._bucket, self._limit = number, bucket, limit
        self.asked: list[str] = []

    def identity(self) -> str:
        self.asked.append("identity")
        if not self.number:
            raise LeandataError("no credentials for AWS: Unable to locate credentials", hint="aws sso login")
        return self.number

    def bucket(self, name: str) -> Bucket:
        self.asked.append(name)
        return self._bucket

    def quota(self, quota: Quota) -> float | None:
        self.asked.append(quota.code)
        return self._limit


def user(name: str, **properties: Any) -> Resource:
    return resource("snowflake:index/serviceUser:ServiceUser", name, {"name": name.upper(), **properties})


def pod(image: str) -> Resource:
    containers = {"containers": [{"name": "x", "image": image}]}
    return resource(
        "kubernetes:apps/v1:Deployment", image, {"metadata": {"name": "x"}, "spec": {"template": {"spec": containers}}}
    )


WHOLE = graph(
    pod(f"registry/leandata/api@{GOOD}"),
    user("airflow", rsaPublicKey="MIIB"),
    resource("aws:eks/cluster:Cluster", "c"),
    resource("aws:ec2/eip:Eip", "a"),
)


def lines(
    programs: dict[str, Program], account: Account | None = None, environ: dict[str, str] | None = None
) -> list[str]:
    found = problems(PROD, programs, account=account or Account(), environ=LOGIN if environ is None else environ)
    said = [str(problem) for problem in found]
    assert all("\n" not in line for line in said)
    return said


def test_nothing_stands_in_the_way_of_a_whole_plan() -> None:
    assert lines(WHOLE) == []
    demand_cloud(PROD, programs=WHOLE, account=Account(), environ=LOGIN)


def test_an_image_without_a_digest_is_named_once() -> None:
    image = f"333333333333.dkr.ecr.eu-central-1.amazonaws.com/leandata/dash@{NOT_BUILT}"
    assert lines(graph(pod(image), resource("kubernetes:batch/v1:Job", "j", {"spec": {"image": [image]}}))) == [
        "the image dash has no digest (infra/releases/prod.json). python -m ci images --env prod"
    ]


def test_a_snowflake_user_without_a_key_is_named() -> None:
    assert lines(graph(user("dash", rsaPublicKey=""), user("api", rsaPublicKey2="MIIB"))) == [
        "the Snowflake user DASH has no key (infra/keys/prod.json). make rotate ENV=prod USER=DASH"
    ]


def test_missing_credentials_for_snowflake_are_named() -> None:
    assert lines(WHOLE, environ={}) == [
        "no credentials for Snowflake (prod). export SNOWFLAKE_PRIVATE_KEY_PATH=<the key of the user that deploys>"
    ]


def test_missing_credentials_for_aws_are_named_and_nothing_more_is_asked() -> None:
    account = Account("")
    assert lines(WHOLE, account) == ["no credentials for AWS: Unable to locate credentials. aws sso login"]
    assert account.asked == ["identity"]


def test_a_wrong_account_is_named_and_nothing_in_it_is_asked() -> None:
    account = Account("111111111111")
    assert lines(WHOLE, account) == [
        (
            "the credentials are of account 111111111111, not of 333333333333 (infra/environments/prod.toml, aws.account)."
            " aws sso login --profile prod, and export AWS_PROFILE=prod"
        )
    ]
    assert account.asked == ["identity"]


@pytest.mark.parametrize(
    ("bucket", "said"),
    [
        (
            "missing",
            "the environment has no state bucket yet (leandata-prod-state-333333333333). python -m ci bootstrap --env prod, once",
        ),
        (
            "forbidden",
            "these credentials may not use the state bucket (leandata-prod-state-333333333333). Take the role that deploys prod",
        ),
    ],
)
def test_a_state_bucket_that_is_not_there_for_us_is_named(bucket: Bucket, said: str) -> None:
    assert lines(WHOLE, Account(bucket=bucket)) == [said]


def test_a_quota_that_is_too_small_is_named_with_the_command_that_raises_it() -> None:
    addresses = [resource("aws:ec2/eip:Eip", str(number)) for number in range(6)]
    assert lines(graph(*addresses), Account(limit=None)) == [
        (
            "prod needs 6 Elastic IP addresses, and the account has a quota of 5 (ec2 L-0263D0A3)."
            " aws service-quotas request-service-quota-increase --service-code ec2 --quota-code L-0263D0A3"
            " --desired-value 6 --region eu-central-1"
        )
    ]
    assert lines(graph(*addresses), Account(limit=6)) == []


def test_what_a_plan_needs_is_counted_with_its_pods_at_their_most() -> None:
    scaler = {"minReplicas": 1, "maxReplicas": 10, "scaleTargetRef": {"name": "api"}}
    plan = graph(
        resource("aws:eks/cluster:Cluster", "c"),
        resource("aws:ec2/vpc:Vpc", "v"),
        resource("aws:rds/instance:Instance", "d"),
        deployment("api", cpu="500m"),
        deployment("dash", cpu="250m"),
        resource(
            "kubernetes:autoscaling/v2:HorizontalPodAutoscaler",
            "s",
            {"metadata": {"name": "s", "namespace": "ns"}, "spec": scaler},
        ),
    )
    assert needed(plan) == {CLUSTERS: 1, NETWORKS: 1, DATABASES: 1, CPUS: 6}
    assert needed(graph(deployment("api"))) == {}, "pods of somebody else's cluster take no quota"


def test_a_quota_is_exceeded_only_above_it() -> None:
    assert [*exceeded(PROD, {ADDRESSES: 5}, {})] == []
    assert len([*exceeded(PROD, {ADDRESSES: 6, CPUS: 6}, {ADDRESSES: 5, CPUS: None})]) == 2


def test_what_needs_no_network_is_said_first() -> None:
    account = Account("")
    with pytest.raises(LeandataError, match="the image api has no digest"):
        demand_cloud(PROD, programs=graph(pod(f"x/api@{NOT_BUILT}")), account=account, environ={})
    assert account.asked == []


def test_one_machine_needs_none_of_it() -> None:
    demand_cloud(LOCAL, environ={})


def test_a_cluster_needs_a_kubeconfig(tmp_path: Path) -> None:
    with pytest.raises(
        LeandataError, match=r"no kubeconfig names a cluster \(.*\.kube/config\)\. export KUBECONFIG=<file>"
    ):
        demand_cloud(CLUSTER, programs={}, environ={"HOME": str(tmp_path)})
    (tmp_path / "config").write_text("{}")
    demand_cloud(CLUSTER, programs={}, environ={"KUBECONFIG": f"/nowhere:{tmp_path / 'config'}"})


# -- AWS' own answers --------------------------------------------------------------------------------------------------


class RefusalError(Exception):
    def __init__(self, code: str = "", said: str = "it went\nwrong") -> None:
        super().__init__(said)
        self.response = {"Error": {"Code": code}}


class Service:
    """A client whose every method gives `answer`, or raises it."""

    def __init__(self, answer: Any) -> None:
        self._answer = answer

    def __getattr__(self, name: str) -> Any:
        def method(**named: Any) -> Any:
            if isinstance(self._answer, Exception):
                raise self._answer
            return self._answer

        return method


def aws(answer: Any) -> Aws:
    return Aws(client=lambda name: Service(answer))


def test_the_account_is_who_the_credentials_belong_to() -> None:
    assert aws({"Account": "333333333333"}).identity() == "333333333333"
    with pytest.raises(LeandataError, match=r"^no credentials for AWS: it went wrong\. aws sso login"):
        aws(RefusalError()).identity()


@pytest.mark.parametrize(
    ("answer", "state"),
    [
        ({}, "there"),
        (RefusalError("404"), "missing"),
        (RefusalError("NoSuchBucket"), "missing"),
        (RefusalError("403"), "forbidden"),
    ],
)
def test_a_bucket_is_there_missing_or_forbidden(answer: Any, state: str) -> None:
    assert aws(answer).bucket("b") == state


def test_a_quota_is_its_value_or_unknown_where_it_may_not_be_read() -> None:
    assert aws({"Quota": {"Value": 32.0}}).quota(CPUS) == 32
    assert aws(RefusalError("AccessDeniedException")).quota(CPUS) is None


@pytest.mark.parametrize("ask", [lambda found: found.bucket("b"), lambda found: found.quota(CPUS)])
def test_an_account_that_does_not_answer_is_one_line(ask: Any) -> None:
    with pytest.raises(LeandataError, match=r"^AWS does not answer: connection lost\. Try again$"):
        ask(aws(OSError("connection\nlost")))


def test_the_real_client_is_made_without_asking_anybody() -> None:
    assert callable(Aws.of(PROD).client)
