"""Where else data lies on AWS: databases, keys, images, secrets, logs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from infra.policy.cases import Node, aws, changed
from infra.policy.graph import Graph, Object, Setting, at, number, objects, true
from infra.policy.rule import Case, Check, Hit, Rule, Severity

INSTANCE = "aws:rds/instance:Instance"
RDS = "Security Hub RDS"
_FORCE_TLS = "rds.force_ssl"
_RETENTION = 7


def _of(type_: str, wanted: Any) -> Check:
    """A check of each resource of a type: `wanted` gives the paths that are wrong, with what is there."""

    def check(graph: Graph) -> Iterator[Hit]:
        for one in graph.every(type_):
            for path, said in wanted(one.properties, graph.setting):
                yield Hit(resource=one, property=path, said=said)

    return check


def _switch(path: str, *, on: bool = True, production: bool = False) -> Any:
    """The switch at the path is on (off); with `production` it has to be in production only."""

    def wanted(properties: Object, setting: Setting) -> Iterator[tuple[str, str]]:
        if true(at(properties, path)) is not on and (setting.production or not production):
            yield path, str(at(properties, path, "missing"))

    return wanted


def _login(properties: Object, _: Setting) -> Iterator[tuple[str, str]]:
    if not true(properties.get("manageMasterUserPassword")):
        yield "manageMasterUserPassword", "not true"
    for key in ("password", "passwordWo"):
        if properties.get(key):
            yield key, "there is one"


def _kept(properties: Object, setting: Setting) -> Iterator[tuple[str, str]]:
    days = number(properties.get("backupRetentionPeriod"))
    if days < (_RETENTION if setting.production else 1):
        yield "backupRetentionPeriod", f"{days} days"
    if setting.protected and (
        true(properties.get("skipFinalSnapshot")) or not properties.get("finalSnapshotIdentifier")
    ):
        yield "finalSnapshotIdentifier", "no last snapshot"


def _forced_tls(graph: Graph) -> Iterator[Hit]:
    groups = list(graph.every("aws:rds/parameterGroup:ParameterGroup"))
    for database in graph.every(INSTANCE):
        mine = [
            one
            for one in groups
            if database.properties.get("parameterGroupName") in (one.name, one.properties.get("name"))
        ]
        values = {
            str(one.get("name")): str(one.get("value"))
            for group in mine
            for one in objects(group.properties, "parameters")
        }
        if values.get(_FORCE_TLS) != "1":
            yield Hit(resource=database, property="parameterGroupName", said=f"{_FORCE_TLS} is not 1")


def _key(properties: Object, setting: Setting) -> Iterator[tuple[str, str]]:
    if not true(properties.get("enableKeyRotation")) and properties.get("keyUsage") in (None, "ENCRYPT_DECRYPT"):
        yield "enableKeyRotation", "not true"
    days = number(properties.get("deletionWindowInDays"), 30)
    if setting.production and days < 30:
        yield "deletionWindowInDays", f"{days} days"


def _repository(properties: Object, _: Setting) -> Iterator[tuple[str, str]]:
    if properties.get("imageTagMutability") != "IMMUTABLE":
        yield "imageTagMutability", "not IMMUTABLE"
    if not true(at(properties, "imageScanningConfiguration.scanOnPush")):
        yield "imageScanningConfiguration.scanOnPush", "not true"
    if at(properties, "encryptionConfigurations.encryptionType") != "KMS":
        yield "encryptionConfigurations", "not KMS"


def _cleaned(graph: Graph) -> Iterator[Hit]:
    for one in graph.every("aws:ecr/repository:Repository"):
        if not any(graph.beside(one, "aws:ecr/lifecyclePolicy:LifecyclePolicy", "repository")):
            yield Hit(resource=one, property="name", said="no LifecyclePolicy")


def _with_key(graph: Graph) -> Iterator[Hit]:
    """What holds texts of ours is encrypted by a key of ours."""
    keys = {
        "aws:cloudwatch/logGroup:LogGroup": "kmsKeyId",
        "aws:secretsmanager/secret:Secret": "kmsKeyId",
        "aws:sns/topic:Topic": "kmsMasterKeyId",
        "aws:sqs/queue:Queue": "kmsMasterKeyId",
    }
    for type_, path in keys.items():
        for one in graph.every(type_):
            if not one.properties.get(path):
                yield Hit(resource=one, property=path, said="missing")
    for one in graph.every(INSTANCE):
        if not one.properties.get("kmsKeyId"):
            yield Hit(resource=one, property="kmsKeyId", said="missing")


def _logs(properties: Object, _: Setting) -> Iterator[tuple[str, str]]:
    if not properties.get("retentionInDays"):
        yield "retentionInDays", "for ever"


def _rule(
    id_: str, title: str, check: Check, remedy: str, *, reason: str, source: str, good: Case, bad: Case,
    severity: Severity = "high",
) -> Rule:  # fmt: skip
    return Rule(
        id=id_, title=title, source=source, reason=reason, remedy=remedy, severity=severity, check=check,
        good=good, bad=bad,
    )  # fmt: skip


def _instance(changes: Object) -> Node:
    good = {
        "backupRetentionPeriod": 14, "deletionProtection": True, "finalSnapshotIdentifier": "it-last", "kmsKeyId": "it",
        "manageMasterUserPassword": True, "multiAz": True, "parameterGroupName": "it", "publiclyAccessible": False,
        "storageEncrypted": True, "autoMinorVersionUpgrade": True, "enabledCloudwatchLogsExports": ["postgresql"],
    }  # fmt: skip
    return aws("rds/instance:Instance", changed(good, changes))


_REPOSITORY = {
    "imageTagMutability": "IMMUTABLE",
    "imageScanningConfiguration": {"scanOnPush": True},
    "encryptionConfigurations": [{"encryptionType": "KMS"}],
}
_FORCED = aws("rds/parameterGroup:ParameterGroup", {"parameters": [{"name": _FORCE_TLS, "value": "1"}]})

RULES: tuple[Rule, ...] = (
    _rule(
        "database-encrypted", "Databases are encrypted", _of(INSTANCE, _switch("storageEncrypted")),
        "Set storageEncrypted; it cannot be set later", source=f"{RDS}.3", reason="A copied snapshot is readable",
        good=(_instance({}),), bad=(_instance({"storageEncrypted": False}),),
    ),
    _rule(
        "database-private", "Databases have no public address", _of(INSTANCE, _switch("publiclyAccessible", on=False)),
        "Set publiclyAccessible to false", source=f"{RDS}.2", reason="The whole world tries passwords",
        good=(_instance({}),), bad=(_instance({"publiclyAccessible": True}),),
    ),
    _rule(
        "database-login", "AWS makes and turns the administrator's password", _of(INSTANCE, _login),
        "Set manageMasterUserPassword, and no password", source="Control Tower CT.RDS",
        reason="The password lies in the state", good=(_instance({}),), bad=(_instance({"password": "[secret]"}),),
    ),
    _rule(
        "database-backups", "Databases are backed up, and once more at their end", _of(INSTANCE, _kept),
        "Set backupRetentionPeriod (7 days in production), finalSnapshotIdentifier", source=f"{RDS}.11",
        reason="Nothing can be taken back", good=(_instance({}),), bad=(_instance({"backupRetentionPeriod": 0}),),
    ),
    _rule(
        "database-zones", "Production's databases survive a zone", _of(INSTANCE, _switch("multiAz", production=True)),
        "Set multiAz", source=f"{RDS}.5", reason="One data centre takes it away", severity="medium",
        good=(_instance({}),), bad=(_instance({"multiAz": False}),),
    ),
    _rule(
        "database-patched", "Databases get their patches", _of(INSTANCE, _switch("autoMinorVersionUpgrade")),
        "Set autoMinorVersionUpgrade", source=f"{RDS}.13", reason="Known holes stay open", severity="medium",
        good=(_instance({}),), bad=(_instance({"autoMinorVersionUpgrade": False}),),
    ),
    _rule(
        "database-tls", "Databases refuse connections without TLS", _forced_tls,
        f"Set {_FORCE_TLS} to 1 in its parameter group",
        source="Security Hub RDS, encryption in transit", reason="Passwords and data are read on the way",
        good=(_instance({}), _FORCED), bad=(_instance({}),),
    ),
    _rule(
        "key-rotated", "Keys are turned every year, and not deleted at once", _of("aws:kms/key:Key", _key),
        "Set enableKeyRotation, and deletionWindowInDays to 30", source="Security Hub KMS.4",
        reason="One stolen key reads everything ever written", good=(aws("kms/key:Key", {"enableKeyRotation": True}),),
        bad=(aws("kms/key:Key"),),
    ),
    _rule(
        "images-kept", "Images cannot be replaced, and are scanned", _of("aws:ecr/repository:Repository", _repository),
        "Set imageTagMutability IMMUTABLE, scanOnPush and KMS", source="Security Hub ECR.1, ECR.2",
        reason="A name stands for another image than before", good=(aws("ecr/repository:Repository", _REPOSITORY),),
        bad=(aws("ecr/repository:Repository", changed(_REPOSITORY, {"imageTagMutability": "MUTABLE"})),),
    ),
    _rule(
        "images-cleaned", "Old images end", _cleaned, "Add a LifecyclePolicy", source="Security Hub ECR.3",
        severity="low",
        reason="They are paid for ever", bad=(aws("ecr/repository:Repository", _REPOSITORY),),
        good=(
            aws("ecr/repository:Repository", _REPOSITORY),
            aws("ecr/lifecyclePolicy:LifecyclePolicy", {"repository": "it"}),
        ),
    ),
    _rule(
        "encrypted-by-us", "Logs, secrets, messages and databases are encrypted by a key of ours", _with_key,
        "Name the key of their data class", source="EKS best practices guide, KMS for secrets", severity="medium",
        reason="Nobody can take the right to read away", good=(aws("sns/topic:Topic", {"kmsMasterKeyId": "it"}),),
        bad=(aws("sns/topic:Topic"),),
    ),
    _rule(
        "logs-end", "Logs end", _of("aws:cloudwatch/logGroup:LogGroup", _logs), "Set retentionInDays",
        source="Security Hub CloudWatch.16", severity="low", reason="They are paid for ever",
        good=(aws("cloudwatch/logGroup:LogGroup", {"kmsKeyId": "it", "retentionInDays": 90}),),
        bad=(aws("cloudwatch/logGroup:LogGroup", {"kmsKeyId": "it"}),),
    ),
)  # fmt: skip
