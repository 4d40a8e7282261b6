"""What a provider would have answered, as far as programs look at it: arns, endpoints, names. Nothing is made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

Properties = dict[str, Any]
_OURS: Properties = {"fingerprint": "f" * 16, "identity": "1-2", "state": "running", "granted": True}
_ACCOUNT, _REGION = "111122223333", "eu-central-1"


def answer(type_: str, name: str, inputs: Mapping[str, Any]) -> Properties:
    """The state of a resource of this type that was registered with these inputs."""
    if type_.startswith("machine:"):
        return {**_OURS, **inputs}
    package = type_.partition(":")[0]
    more = {"aws": _aws, "snowflake": _snowflake}.get(package)
    computed = more(type_, name) if more else {}
    special = _SPECIAL.get(type_, lambda _: {})(inputs)
    if package == "snowflake":
        computed["fullyQualifiedName"] = _qualified(inputs)
    return {**computed, **inputs, **special}


def _aws(type_: str, name: str) -> Properties:
    service = type_.split(":")[1].partition("/")[0]
    arn = f"arn:aws:{service}:{_REGION}:{_ACCOUNT}:{type_.rpartition(':')[2].lower()}/{name}"
    return {"arn": arn, "name": name, "region": _REGION}


def _snowflake(type_: str, name: str) -> Properties:
    del type_
    return {"name": name}


def _qualified(inputs: Mapping[str, Any]) -> str:
    parts = [inputs.get("database"), inputs.get("schema"), inputs.get("name")]
    flat = [str(part).replace('"', "") for part in parts if part]
    return ".".join(f'"{part}"' for whole in flat for part in whole.split("."))


def _bucket(inputs: Mapping[str, Any]) -> Properties:
    name = inputs.get("bucket", "bucket")
    return {"bucket": name, "arn": f"arn:aws:s3:::{name}", "bucketRegionalDomainName": f"{name}.s3.amazonaws.com"}


def _role(inputs: Mapping[str, Any]) -> Properties:
    return {"arn": f"arn:aws:iam::{_ACCOUNT}:role/{inputs.get('name', 'role')}"}


def _cluster(inputs: Mapping[str, Any]) -> Properties:
    name = inputs.get("name", "cluster")
    return {
        "arn": f"arn:aws:eks:{_REGION}:{_ACCOUNT}:cluster/{name}",
        "endpoint": f"https://{name}.eks.example",
        "certificateAuthority": {"data": "Y2VydGlmaWNhdGU="},
        "certificateAuthorities": [{"data": "Y2VydGlmaWNhdGU="}],
        "vpcConfig": {**dict(inputs.get("vpcConfig") or {}), "clusterSecurityGroupId": "sg-cluster"},
    }


def _address(inputs: Mapping[str, Any]) -> Properties:
    del inputs
    return {"allocationId": "eipalloc-1"}


def _database(inputs: Mapping[str, Any]) -> Properties:
    name = inputs.get("identifier", "database")
    secret = f"arn:aws:secretsmanager:{_REGION}:{_ACCOUNT}:secret:rds!{name}"
    return {
        "address": f"{name}.rds.example",
        "endpoint": f"{name}.rds.example:5432",
        "port": 5432,
        "masterUserSecrets": [{"secretArn": secret, "secretStatus": "active"}],
    }


def _secret(inputs: Mapping[str, Any]) -> Properties:
    return {"arn": f"arn:aws:secretsmanager:{_REGION}:{_ACCOUNT}:secret:{inputs.get('name', 'secret')}"}


def _repository(inputs: Mapping[str, Any]) -> Properties:
    return {"repositoryUrl": f"{_ACCOUNT}.dkr.ecr.{_REGION}.amazonaws.com/{inputs.get('name', 'repository')}"}


def _log_group(inputs: Mapping[str, Any]) -> Properties:
    return {"arn": f"arn:aws:logs:{_REGION}:{_ACCOUNT}:log-group:{inputs.get('name', 'group')}"}


def _integration(inputs: Mapping[str, Any]) -> Properties:
    user = f"arn:aws:iam::{_ACCOUNT[::-1]}:user/snowflake"
    return {"describeOutputs": [{"iamUserArn": user, "externalId": inputs.get("storageAwsExternalId", "")}]}


_SPECIAL: dict[str, Callable[[Mapping[str, Any]], Properties]] = {
    "aws:ec2/eip:Eip": _address,
    "aws:cloudwatch/logGroup:LogGroup": _log_group,
    "aws:ecr/repository:Repository": _repository,
    "aws:eks/cluster:Cluster": _cluster,
    "aws:iam/role:Role": _role,
    "aws:rds/instance:Instance": _database,
    "aws:s3/bucket:Bucket": _bucket,
    "aws:secretsmanager/secret:Secret": _secret,
    "snowflake:index/storageIntegrationAws:StorageIntegrationAws": _integration,
}
