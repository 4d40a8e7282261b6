"""The first value of a secret in AWS: put once, never read, kept when somebody changes it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError, NoCredentialsError

from infra.provider.kinds.aws import AwsSecretValue, Manager, first_version
from infra.provider.kinds.base import ProviderError, World
from infra.provider.servicer import KINDS, describe

ARN = "arn:aws:secretsmanager:eu-central-1:111111111111:secret:leandata/dev/api-key-AbCdEf"
INPUTS = {"secret": ARN, "region": "eu-central-1", "kind": "password"}


def refused(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "no"}}, "DescribeSecret")


class FakeClient:
    """Secrets Manager as boto3 shows it: it answers about versions, and has no call that gives a value."""

    def __init__(self, *names: str) -> None:
        self.values: dict[str, dict[str, str]] = {name: {} for name in names}
        self.deleted: set[str] = set()
        self.fails: Exception | None = None

    def describe_secret(self, *, SecretId: str) -> dict[str, Any]:  # noqa: N803 - the client's own name
        if self.fails:
            raise self.fails
        if SecretId not in self.values:
            raise refused("ResourceNotFoundException")
        versions = list(self.values[SecretId])
        stages = {version: ["AWSPREVIOUS"] for version in versions[:-1]}
        stages |= {version: ["AWSCURRENT"] for version in versions[-1:]}
        return {"VersionIdsToStages": stages} | ({"DeletedDate": "today"} if SecretId in self.deleted else {})

    def put_secret_value(self, *, SecretId: str, SecretString: str, ClientRequestToken: str) -> None:  # noqa: N803
        if self.fails:
            raise self.fails
        versions = self.values[SecretId]
        if versions.get(ClientRequestToken, SecretString) != SecretString:
            raise refused("ResourceExistsException")
        versions[ClientRequestToken] = SecretString


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(state=tmp_path)


@pytest.fixture
def client() -> FakeClient:
    return FakeClient(ARN)


@pytest.fixture
def kind(client: FakeClient) -> AwsSecretValue:
    return AwsSecretValue(lambda region: Manager(client, refused=(ClientError, NoCredentialsError)))


def test_a_secret_without_a_value_gets_a_random_one(world: World, client: FakeClient, kind: AwsSecretValue) -> None:
    made = kind.create(world, INPUTS)
    [value] = client.values[ARN].values()
    assert len(value) == 24
    assert made.id == ARN
    assert made.properties == {**INPUTS, "fingerprint": first_version(ARN)}
    assert value not in str(made)


def test_a_value_that_is_there_is_kept(world: World, client: FakeClient, kind: AwsSecretValue) -> None:
    client.values[ARN]["by-a-person-0001"] = "chosen by a person"
    made = kind.create(world, INPUTS)
    assert client.values[ARN] == {"by-a-person-0001": "chosen by a person"}
    assert made.properties["fingerprint"] == "by-a-person-0001"


def test_making_it_twice_puts_one_value(world: World, client: FakeClient, kind: AwsSecretValue) -> None:
    first = kind.create(world, INPUTS)
    assert kind.create(world, INPUTS) == first
    assert len(client.values[ARN]) == 1


def test_two_deployments_at_once_put_one_value(client: FakeClient) -> None:
    manager = Manager(client, refused=(ClientError,))
    manager.put(ARN, "the first", version=first_version(ARN))
    manager.put(ARN, "the second", version=first_version(ARN))
    assert list(client.values[ARN].values()) == ["the first"]


def test_the_id_of_the_first_version_is_one_that_aws_takes() -> None:
    assert 32 <= len(first_version(ARN)) <= 64
    assert first_version(ARN) != first_version(f"{ARN}x")


def test_a_new_value_is_seen_and_is_no_change(world: World, client: FakeClient, kind: AwsSecretValue) -> None:
    made = kind.create(world, INPUTS)
    client.values[ARN]["rotated-by-a-person"] = "another"
    found = kind.read(world, made.id, made.properties)
    assert found is not None
    assert found["fingerprint"] == "rotated-by-a-person"
    assert kind.changes(found, INPUTS) == []


def test_a_secret_that_is_gone_or_waits_for_its_end_is_gone(world: World, client: FakeClient) -> None:
    kind = AwsSecretValue(lambda region: Manager(client, refused=(ClientError,)))
    made = kind.create(world, INPUTS)
    client.deleted.add(ARN)
    assert kind.read(world, made.id, made.properties) is None
    with pytest.raises(ProviderError, match="there is no such secret"):
        kind.create(world, {**INPUTS, "secret": f"{ARN}-other"})


def test_a_secret_that_lost_its_value_is_made_again(world: World, client: FakeClient, kind: AwsSecretValue) -> None:
    made = kind.create(world, INPUTS)
    client.values[ARN].clear()
    assert kind.read(world, made.id, made.properties) is None
    kind.create(world, INPUTS)
    assert len(client.values[ARN]) == 1


def test_deleting_leaves_the_value_to_the_secret(world: World, client: FakeClient, kind: AwsSecretValue) -> None:
    made = kind.create(world, INPUTS)
    kind.delete(world, made.id, made.properties)
    assert len(client.values[ARN]) == 1


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (refused("AccessDeniedException"), r"the secret cannot be used: AccessDeniedException \(arn:aws"),
        (NoCredentialsError(), r"the secret cannot be used: NoCredentialsError .*Sign in to the environment's account"),
    ],
)
def test_a_refusal_is_one_line_that_names_the_secret(
    world: World, client: FakeClient, kind: AwsSecretValue, error: Exception, said: str
) -> None:
    client.fails = error
    with pytest.raises(ProviderError, match=said):
        kind.create(world, INPUTS)
    with pytest.raises(ProviderError, match=said):
        Manager(client, refused=(ClientError, NoCredentialsError)).put(ARN, "value", version="v" * 32)


def test_the_provider_knows_the_kind_and_what_it_must_be_told() -> None:
    known = KINDS["machine:index:AwsSecretValue"]
    assert known.check(dict(INPUTS)) == []
    assert known.check({**INPUTS, "kind": "blue"}) == ["kind must be fernet, hex, password, rsa, tls or urlsafe64"]
    assert known.check({"secret": "", "kind": "hex"}) == [
        "region is missing",
        "secret must be a text that is not empty",
    ]


def test_another_secret_is_another_value() -> None:
    said = describe("machine:index:AwsSecretValue", {**INPUTS, "fingerprint": "x"}, {**INPUTS, "secret": f"{ARN}2"})
    assert said == "replaced because secret: a value is not copied to another secret"
