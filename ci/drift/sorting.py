"""Is a difference dangerous? Decided by the type of the resource, the property, and what became of it."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase

from ci.drift.model import Found, Sort
from ci.drift.noise import Rule, noisy

_OCTAL = 8
_FOR_OTHERS = 0o007

# Types whose loss is a loss of data.
_STATEFUL = (
    "machine:index:Directory", "machine:index:Job", "machine:index:PostgresCluster", "machine:index:PostgresDatabase",
    "machine:index:WarehouseDatabase", "machine:index:WarehouseSchema", "machine:index:Secret",
    "aws:s3/bucket:Bucket", "aws:rds/*", "aws:kms/*", "aws:secretsmanager/*", "aws:eks/cluster:Cluster",
    "snowflake:index/database:*", "snowflake:index/schema:*", "snowflake:index/table:*",
    "kubernetes:core/v1:PersistentVolumeClaim", "kubernetes:core/v1:Namespace", "kubernetes:core/v1:Secret",
)  # fmt: skip
# Types that say who may do what.
_ACCESS = (
    "machine:index:PostgresRole", "machine:index:PostgresGrants", "machine:index:WarehouseSql",
    "aws:iam/*", "aws:s3/bucketPolicy:*", "aws:s3/bucketPublicAccessBlock:*", "aws:eks/accessEntry:*",
    "aws:eks/podIdentityAssociation:*", "aws:kms/*",
    "snowflake:index/*grant*", "snowflake:index/*role*", "snowflake:index/*user*", "snowflake:index/*Grant*",
    "snowflake:index/*Role*", "snowflake:index/*User*", "snowflake:index/*olicy*",
    "kubernetes:rbac.*", "kubernetes:core/v1:ServiceAccount",
)  # fmt: skip
# Types that say who reaches what.
_NETWORK = (
    "aws:ec2/*ecurityGroup*", "aws:vpc/*", "aws:ec2/route*", "aws:ec2/networkAcl*", "aws:lb/listener:*",
    "kubernetes:networking.k8s.io/*",
)  # fmt: skip
# Of a type, the properties that matter, and why.
_PROPERTIES: dict[str, dict[str, str]] = {
    "machine:index:PostgresDatabase": {
        "owner": "the database belongs to somebody else",
        "identity": "it is another database of the same name: its data is gone",
        "public": "everybody may use the database",
    },
    "machine:index:PostgresCluster": {"identity": "it is another data folder: its data is gone"},
    "machine:index:Job": {"missing": "what the job made is gone: data may be lost"},
    "machine:index:Secret": {
        "fingerprint": "the secret is another one, and those who hold the old one are locked out",
        "mode": "others on this machine can read the secret",
    },
    "machine:index:RenderedSecret": {"mode": "others on this machine can read the secret"},
    "machine:index:WarehouseStage": {"url": "the warehouse reads other files"},
    "machine:index:Process": {
        "command": "another program runs",
        "directory": "another program runs",
        "env": "the program runs with other settings",
        "secret_files": "the program reads other secrets",
        "user": "the program runs as somebody else",
        "definition": "it is started by a script that we did not write",
    },
}
_BESIDE = {
    "role": "somebody may log in whom nobody has declared",
    "grant": "somebody has a right that nobody has declared",
    "process": "a process runs that nobody has declared",
    "secret": "a secret lies there that nobody has declared",
}
_KNOWN = ("aws:", "kubernetes:", "machine:", "snowflake:")


def sort(found: Found, rules: Sequence[Rule]) -> tuple[Sort, str]:
    """The sort of a difference, and why."""
    rule = noisy(found, rules)
    if rule is not None:
        return "noise", f"{rule.reason} (until {rule.until})"
    why = _danger(found)
    return ("dangerous", why) if why else ("harmless", _mild(found))


def _danger(found: Found) -> str:
    """Why the difference is dangerous, "" when it is not."""
    if found.kind == "undeployed":
        return ""
    if found.kind == "beside":
        return _BESIDE.get(found.type, "")
    top = found.property.split(".")[0].split("[")[0]
    said = _PROPERTIES.get(found.type, {}).get(top, "")
    if said:
        return said
    if found.kind == "gone" and _is(found.type, _STATEFUL):
        return "what held data or a secret is gone"
    if top == "mode" and _wider(found):
        return "everybody on this machine may use it"
    if _is(found.type, _ACCESS):
        return "it says who may do what"
    if _is(found.type, _NETWORK):
        return "it says who reaches what"
    return "" if found.type.startswith(_KNOWN) else "nobody has said that it is harmless"


def _mild(found: Found) -> str:
    told = {
        "gone": "it can be made again from what is declared",
        "beside": "nobody has declared it",
        "undeployed": "the program has changed since the last deployment",
    }
    return told.get(found.kind, "no data, no right and no address depends on it")


def _is(type_: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(type_, pattern) for pattern in patterns)


def _wider(found: Found) -> bool:
    try:
        before, after = int(str(found.before), _OCTAL), int(str(found.after), _OCTAL)
    except ValueError:
        return False
    return bool(after & ~before & _FOR_OTHERS)
