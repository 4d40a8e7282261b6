"""What must be true before anything is touched in a cloud environment: one clear line, with the command that mends it.

What can be told from the graph and this machine is told first, without the network; then the account is asked.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from ci.pods import pods, vcpus
from ci.programs import Program, declared
from infra.components.images import NOT_BUILT
from infra.components.naming import state_bucket
from infra.environment import Environment
from leandata.errors import LeandataError

Bucket = Literal["there", "missing", "forbidden"]
_LOGINS = ("SNOWFLAKE_PRIVATE_KEY", "SNOWFLAKE_PRIVATE_KEY_PATH", "SNOWFLAKE_TOKEN", "SNOWFLAKE_TOKEN_FILE_PATH")


@dataclass(frozen=True, kw_only=True, slots=True)
class Quota:
    """A quota of AWS: what is counted, its codes in Service Quotas, and what a new account is given."""

    what: str
    service: str
    code: str
    default: float


ADDRESSES = Quota(what="Elastic IP addresses", service="ec2", code="L-0263D0A3", default=5)
CPUS = Quota(what="vCPUs of on-demand standard instances", service="ec2", code="L-1216C47A", default=5)
NETWORKS = Quota(what="VPCs", service="vpc", code="L-F678F1CE", default=5)
CLUSTERS = Quota(what="EKS clusters", service="eks", code="L-1194D53C", default=100)
DATABASES = Quota(what="RDS instances", service="rds", code="L-7B6409FD", default=40)
_COUNTED = {
    "aws:ec2/eip:Eip": ADDRESSES,
    "aws:ec2/vpc:Vpc": NETWORKS,
    "aws:eks/cluster:Cluster": CLUSTERS,
    "aws:rds/instance:Instance": DATABASES,
}


class Account(Protocol):
    """What is asked of AWS, with the credentials of whoever deploys."""

    def identity(self) -> str:
        """The number of the account that the credentials belong to. Raises LeandataError without any."""
        ...

    def bucket(self, name: str) -> Bucket:
        """Whether the bucket is there for us."""
        ...

    def quota(self, quota: Quota) -> float | None:
        """The account's limit; None when it does not tell."""
        ...


def demand_cloud(
    environment: Environment,
    *,
    programs: Mapping[str, Program] | None = None,
    account: Account | None = None,
    environ: Mapping[str, str] | None = None,
) -> None:
    """Raises LeandataError for the first thing that stands in the way; nothing for an environment on one machine."""
    if not environment.has("kubernetes") and not environment.has("aws") and not environment.has("snowflake"):
        return
    environ = os.environ if environ is None else environ
    if programs is None:
        programs = declared(environment.name, root=environment.root)
    for problem in problems(environment, programs, account=account, environ=environ):
        raise problem


def problems(
    environment: Environment, programs: Mapping[str, Program], *, account: Account | None, environ: Mapping[str, str]
) -> Iterator[LeandataError]:
    """All that stands in the way, what needs no network first; without credentials AWS is not asked further."""
    yield from unbuilt(environment, programs)
    yield from keyless(environment, programs)
    if environment.has("snowflake") and not any(environ.get(name) for name in _LOGINS):
        hint = f"export {_LOGINS[0]}_PATH=<the key of the user that deploys>"
        yield LeandataError("no credentials for Snowflake", where=environment.name, hint=hint)
    if environment.has("aws"):
        yield from _of_account(environment, programs, account or Aws.of(environment))
    elif environment.has("kubernetes"):
        yield from _without_cluster(environment, environ)


def unbuilt(environment: Environment, programs: Mapping[str, Program]) -> Iterator[LeandataError]:
    """Images that pods name and that no release has built, each once."""
    found = {
        text.partition("@")[0].rpartition("/")[2]
        for program in programs.values()
        for resource in program.resources.values()
        for text in _texts(resource.properties)
        if text.endswith(f"@{NOT_BUILT}")
    }
    for name in sorted(found):
        where = f"infra/releases/{environment.name}.json"
        yield LeandataError(
            f"the image {name} has no digest", where=where, hint=f"python -m ci images --env {environment.name}"
        )


def keyless(environment: Environment, programs: Mapping[str, Program]) -> Iterator[LeandataError]:
    """Service users of Snowflake that have no public key, so that nobody could log in as them."""
    for program in programs.values():
        for name, resource in program.of("snowflake:index/serviceUser:ServiceUser").items():
            if not any(resource.properties.get(slot) for slot in ("rsaPublicKey", "rsaPublicKey2")):
                user = str(resource.properties.get("name", name))
                where = f"infra/keys/{environment.name}.json"
                hint = f"make rotate ENV={environment.name} USER={user}"
                yield LeandataError(f"the Snowflake user {user} has no key", where=where, hint=hint)


def needed(programs: Mapping[str, Program]) -> dict[Quota, int]:
    """How much of each quota the environment takes by itself, its pods at their most."""
    found: dict[Quota, int] = {}
    for program in programs.values():
        for resource in program.resources.values():
            if quota := _COUNTED.get(resource.type):
                found[quota] = found.get(quota, 0) + 1
    if CLUSTERS in found:
        found[CPUS] = vcpus(pods(programs, largest=True))
    return found


def exceeded(
    environment: Environment, wanted: Mapping[Quota, int], limits: Mapping[Quota, float | None]
) -> Iterator[LeandataError]:
    """A line for each quota that is too small; one that the account does not tell counts as a new account's."""
    for quota, count in sorted(wanted.items(), key=lambda found: found[0].code):
        told = limits.get(quota)
        limit = quota.default if told is None else told
        if count > limit:
            assert environment.file.aws is not None
            yield LeandataError(
                f"{environment.name} needs {count} {quota.what}, and the account has a quota of {limit:g}",
                where=f"{quota.service} {quota.code}",
                hint=f"aws service-quotas request-service-quota-increase --service-code {quota.service}"
                f" --quota-code {quota.code} --desired-value {count} --region {environment.file.aws.region}",
            )


def _of_account(environment: Environment, programs: Mapping[str, Program], account: Account) -> Iterator[LeandataError]:
    wanted, bucket = environment.file.aws, state_bucket(environment)
    assert wanted is not None
    assert bucket is not None
    where = f"infra/environments/{environment.name}.toml, aws.account"
    try:
        found = account.identity()
        if found != wanted.account:
            hint = f"aws sso login --profile {environment.name}, and export AWS_PROFILE={environment.name}"
            yield LeandataError(
                f"the credentials are of account {found}, not of {wanted.account}", where=where, hint=hint
            )
            return
        state = account.bucket(bucket.bucket)
        if state == "missing":
            hint = f"python -m ci bootstrap --env {environment.name}, once"
            yield LeandataError("the environment has no state bucket yet", where=bucket.bucket, hint=hint)
        elif state == "forbidden":
            hint = f"Take the role that deploys {environment.name}"
            yield LeandataError("these credentials may not use the state bucket", where=bucket.bucket, hint=hint)
        asked = needed(programs)
        yield from exceeded(environment, asked, {quota: account.quota(quota) for quota in asked})
    except LeandataError as error:
        yield error


def _without_cluster(environment: Environment, environ: Mapping[str, str]) -> Iterator[LeandataError]:
    places = [Path(place) for place in environ.get("KUBECONFIG", "").split(os.pathsep) if place]
    places = places or [Path(environ.get("HOME", "/"), ".kube", "config")]
    if not any(place.is_file() for place in places):
        hint = "export KUBECONFIG=<file>; kind, k3d and minikube write one"
        yield LeandataError(
            "no kubeconfig names a cluster", where=str(places[0]), hint=f"{hint} (for {environment.name})"
        )


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)


@dataclass(frozen=True, kw_only=True, slots=True)
class Aws:
    """AWS itself, by boto3's usual credentials; `client` makes a client of a service."""

    client: Any

    @classmethod
    def of(cls, environment: Environment) -> Aws:
        """The environment's region."""
        import boto3

        assert environment.file.aws is not None
        session = boto3.Session(region_name=environment.file.aws.region)
        return cls(client=session.client)

    def identity(self) -> str:
        """See Account."""
        try:
            return str(self.client("sts").get_caller_identity()["Account"])
        except Exception as error:
            said = " ".join(str(error).split())[:160]
            raise LeandataError(
                f"no credentials for AWS: {said}", hint="aws sso login, or export AWS_PROFILE=<name>"
            ) from error

    def bucket(self, name: str) -> Bucket:
        """See Account."""
        try:
            self.client("s3").head_bucket(Bucket=name)
        except Exception as error:
            code = _code(error)
            if code in ("404", "NoSuchBucket", "NotFound"):
                return "missing"
            if code in ("403", "AccessDenied", "Forbidden"):
                return "forbidden"
            raise LeandataError(
                f"AWS does not answer: {' '.join(str(error).split())[:160]}", hint="Try again"
            ) from error
        return "there"

    def quota(self, quota: Quota) -> float | None:
        """See Account."""
        try:
            answer = self.client("service-quotas").get_service_quota(ServiceCode=quota.service, QuotaCode=quota.code)
        except Exception as error:
            if _code(error):
                return None
            raise LeandataError(
                f"AWS does not answer: {' '.join(str(error).split())[:160]}", hint="Try again"
            ) from error
        return float(answer["Quota"]["Value"])


def _code(error: Exception) -> str:
    return str((getattr(error, "response", None) or {}).get("Error", {}).get("Code", ""))
