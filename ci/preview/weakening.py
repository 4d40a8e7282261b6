"""Which changes of a property weaken, and which resources guard another one: the reviewed table of `risks_weakened`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from ci.preview.model import RiskKind

When = Literal["off", "on", "less", "more", "fewer", "gone", "changed"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Watch:
    """A property, and the way of changing it that weakens.

    `types` matches the whole type, `path` the whole path without what is in brackets, unless it has some of its own.
    """

    types: str
    path: str
    when: When
    said: str
    kind: RiskKind = "protection"


_POD = r".*\.(podS|s)ecurityContext"
_LEVEL = "pod-security.kubernetes.io/"
WATCHED = (
    Watch(types=".*", path=r"options\.protect", when="off", said="the engine no longer refuses to delete it"),
    Watch(types=".*", path=r"options\.retain", when="off", said="it is deleted when it is no longer declared"),
    # AWS: what keeps data
    Watch(types="aws:.*", path="deletionProtection", when="off", said="AWS no longer refuses to delete it"),
    Watch(types="aws:rds/.*", path="backupRetentionPeriod", when="less", said="backups are kept for a shorter time"),
    Watch(types="aws:rds/.*", path="(deleteAutomatedBackups|skipFinalSnapshot)", when="on", said="no backup stays"),
    Watch(types="aws:rds/.*", path="finalSnapshotIdentifier", when="gone", said="no last snapshot is made"),
    Watch(types="aws:rds/.*", path="multiAz", when="off", said="one zone that fails takes it down"),
    Watch(types="aws:rds/.*", path="storageEncrypted", when="off", said="not encrypted"),
    Watch(types="aws:rds/.*", path="copyTagsToSnapshot", when="off", said="snapshots say no longer whose they are"),
    Watch(types="aws:s3/bucketVersioning:.*", path=r"versioningConfiguration\.status", when="changed", said="versions"),
    Watch(types="aws:kms/key:Key", path="(enableKeyRotation|isEnabled)", when="off", said="key rotation, or the key"),
    Watch(types="aws:kms/key:Key", path="deletionWindowInDays", when="less", said="less time to take a deletion back"),
    Watch(types="aws:secretsmanager/.*", path="recoveryWindowInDays", when="less", said="less time to take it back"),
    Watch(types="aws:.*", path="(kmsKeyId|kmsMasterKeyId|masterUserSecretKmsKeyId)", when="gone", said="no own key"),
    Watch(types="aws:eks/cluster:Cluster", path="encryptionConfig", when="gone", said="secrets are not encrypted"),
    Watch(types="aws:ecr/repository:.*", path="imageTagMutability", when="changed", said="tags may be moved"),
    Watch(types="aws:ecr/repository:.*", path=r"imageScanningConfiguration\.scanOnPush", when="off", said="no scan"),
    Watch(
        types="aws:s3/bucketServerSide.*", path=r"rules.*\.(sseAlgorithm|kmsMasterKeyId)", when="changed", said="key"
    ),
    # AWS: what tells us
    Watch(types="aws:eks/cluster:Cluster", path="enabledClusterLogTypes", when="fewer", said="less is logged"),
    Watch(types="aws:rds/.*", path="enabledCloudwatchLogsExports", when="fewer", said="less is logged"),
    Watch(types="aws:rds/parameterGroup:.*", path=r"parameters\[log_.*\]\.value", when="off", said="less is logged"),
    Watch(types="aws:rds/.*", path="monitoringInterval", when="less", said="less is measured"),
    Watch(types="aws:rds/.*", path="monitoringInterval", when="gone", said="less is measured"),
    Watch(types="aws:ec2/flowLog:FlowLog", path="trafficType", when="changed", said="less is logged"),
    Watch(types="aws:budgets/budget:Budget", path="limitAmount", when="more", said="the budget is raised"),
    Watch(
        types="aws:budgets/budget:Budget",
        path=r"notifications(\[.*\])?",
        when="gone",
        said="somebody is told no longer",
    ),
    Watch(
        types="aws:budgets/budget:Budget",
        path=r"notifications\.subscriber(EmailAddresses|SnsTopicArns)",
        when="fewer",
        said="somebody is told no longer",
    ),
    Watch(types="aws:cloudwatch/metricAlarm:.*", path="alarmActions", when="fewer", said="the alarm tells nobody"),
    Watch(types="aws:cloudwatch/metricAlarm:.*", path="actionsEnabled", when="off", said="the alarm tells nobody"),
    # Snowflake
    Watch(types="snowflake:.*:Warehouse", path="resourceMonitor", when="gone", said="no monitor stops it"),
    Watch(types="snowflake:.*:Warehouse", path="statementTimeoutInSeconds", when="more", said="queries run longer"),
    Watch(types="snowflake:.*:Warehouse", path="statementTimeoutInSeconds", when="gone", said="queries run two days"),
    Watch(types="snowflake:.*:ResourceMonitor", path="creditQuota", when="more", said="the quota is raised"),
    Watch(
        types="snowflake:.*:ResourceMonitor", path="suspend(Immediate)?Trigger", when="gone", said="nothing stops it"
    ),
    Watch(types="snowflake:.*:ResourceMonitor", path="suspend(Immediate)?Trigger", when="more", said="it stops later"),
    Watch(types="snowflake:.*:ResourceMonitor", path="notifyTriggers", when="fewer", said="nobody is warned"),
    Watch(types="snowflake:.*:Schema", path="withManagedAccess", when="off", said="owners may grant", kind="access"),
    Watch(types="snowflake:.*:AccountParameter", path="value", when="off", said="the account's guard is off"),
    # Snowflake: how people log in
    Watch(types="snowflake:.*:AuthenticationPolicy", path="mfaEnrollment", when="changed", said="", kind="access"),
    Watch(types="snowflake:.*:AuthenticationPolicy", path="authenticationMethods", when="more", said="", kind="access"),
    Watch(
        types="snowflake:.*:PasswordPolicy",
        path="(minLength|min.*Chars|history)",
        when="less",
        said="weaker passwords",
        kind="access",
    ),
    Watch(
        types="snowflake:.*:PasswordPolicy",
        path="(maxRetries|maxAgeDays)",
        when="more",
        said="more guesses",
        kind="access",
    ),
    Watch(types="snowflake:.*:PasswordPolicy", path="lockoutTimeMins", when="less", said="more guesses", kind="access"),
    Watch(types="snowflake:.*:.*User", path="networkPolicy", when="gone", said="logs in from anywhere", kind="access"),
    # Kubernetes
    Watch(
        types="kubernetes:.*:Namespace",
        path=rf"metadata\.labels\[{_LEVEL}(enforce|audit|warn)\]",
        when="changed",
        said="Pod Security",
    ),
    Watch(types="kubernetes:.*:ResourceQuota", path=r"spec\.hard.*", when="more", said="the quota is raised"),
    Watch(types="kubernetes:.*:ResourceQuota", path=r"spec\.hard.*", when="gone", said="the quota has no limit of it"),
    Watch(types="kubernetes:.*:LimitRange", path=r"spec\.limits.*\.max\..*", when="more", said="the limit is raised"),
    Watch(types="kubernetes:.*:LimitRange", path=r"spec\.limits.*\.max(\..*)?", when="gone", said="no limit"),
    Watch(
        types="kubernetes:.*:PodDisruptionBudget", path=r"spec\.maxUnavailable", when="more", said="more pods may go"
    ),
    Watch(types="kubernetes:.*:PodDisruptionBudget", path=r"spec\.minAvailable", when="less", said="more pods may go"),
    Watch(types="kubernetes:.*", path=rf"{_POD}\.(runAsNonRoot|readOnlyRootFilesystem)", when="off", said="the pod"),
    Watch(types="kubernetes:.*", path=rf"{_POD}\.(privileged|allowPrivilegeEscalation)", when="on", said="the pod"),
    Watch(types="kubernetes:.*", path=rf"{_POD}\.capabilities\.drop", when="fewer", said="the pod keeps rights"),
    Watch(types="kubernetes:.*", path=rf"{_POD}\.capabilities\.add", when="more", said="the pod gets rights"),
    Watch(
        types="kubernetes:.*", path=rf"{_POD}(\.seccompProfile(\.type)?)?", when="gone", said="the pod is less closed"
    ),
    Watch(types="kubernetes:.*", path=r".*\.host(Network|PID|IPC)", when="on", said="the pod sees the node"),
    Watch(types="kubernetes:.*", path=r".*\.volumes.*hostPath.*", when="on", said="the pod reads the node's files"),
    Watch(types="kubernetes:.*", path=r".*\.resources\.limits\.memory", when="gone", said="no limit of memory"),
    Watch(
        types="kubernetes:.*",
        path=r".*\.automountServiceAccountToken",
        when="on",
        kind="access",
        said="its pods hold a token of the Kubernetes API",
    ),
    Watch(
        types="kubernetes:.*:ConfigMap",
        path=r"data\.enable-network-policy-controller",
        when="off",
        kind="network",
        said="network policies are no longer enforced",
    ),
    # The network
    Watch(
        types="aws:eks/cluster:Cluster",
        path=r"vpcConfig\.endpointPrivateAccess",
        when="off",
        kind="network",
        said="the API server is reached from outside only",
    ),
    Watch(types="aws:rds/.*", path="publiclyAccessible", when="on", said="a public address", kind="network"),
    Watch(
        types="aws:ec2/subnet:Subnet", path="mapPublicIpOnLaunch", when="on", said="public addresses", kind="network"
    ),
    Watch(
        types="aws:s3/.*PublicAccessBlock:.*",
        path="(block|ignore|restrict)Public.*",
        when="off",
        kind="network",
        said="what is public is no longer refused",
    ),
    Watch(
        types="aws:rds/parameterGroup:.*",
        path=r"parameters\[rds\.force_ssl\](\.value)?",
        when="off",
        kind="network",
        said="logins without TLS",
    ),
    Watch(
        types="aws:sesv2/.*",
        path=r"deliveryOptions\.tlsPolicy",
        when="changed",
        said="mail in the open",
        kind="network",
    ),
    Watch(
        types="kubernetes:.*:Service", path=r"spec\.type", when="changed", said="reached from outside", kind="network"
    ),
    Watch(types="kubernetes:.*:Service", path=r"spec\.externalIPs", when="more", said="from outside", kind="network"),
    Watch(types="kubernetes:.*:Ingress", path=r"spec\.tls(\[.*\])?", when="gone", said="without TLS", kind="network"),
    Watch(
        types="kubernetes:.*:Ingress",
        path=r"metadata\.annotations\[alb\..*/ssl-policy\]",
        when="changed",
        said="older TLS",
        kind="network",
    ),
    Watch(types="kubernetes:.*:IngressClassParams", path=r"spec\.scheme", when="changed", said="", kind="network"),
    Watch(
        types="kubernetes:.*:IngressClassParams",
        path=r"spec\.(inboundCIDRs|certificateARNs)",
        when="gone",
        said="from anywhere, or without a certificate",
        kind="network",
    ),
    # One machine
    Watch(
        types="machine:index:Directory", path="retain", when="off", said="the folder is deleted with what lies in it"
    ),
    Watch(types="machine:index:(Process|Job)", path="memory_limit", when="gone", said="no limit of memory"),
    Watch(
        types="machine:index:PostgresRole",
        path=r"settings\.default_transaction_read_only",
        when="gone",
        said="it may write",
        kind="access",
    ),
    Watch(types="machine:index:PostgresDatabase", path="owner", when="changed", said="another owner", kind="access"),
)
# Values that are the strong ones: a change away from them weakens.
STRONG = {
    "mfaEnrollment": ("REQUIRED",),
    "imageTagMutability": ("IMMUTABLE",),
    "status": ("Enabled",),
    "trafficType": ("ALL",),
    "tlsPolicy": ("REQUIRE",),
    "spec.type": ("ClusterIP",),
    "spec.scheme": ("internal",),
    "ssl-policy]": ("ELBSecurityPolicy-TLS13-1-2-Res-2021-06", "ELBSecurityPolicy-TLS13-1-3-2021-06"),
    "sseAlgorithm": ("aws:kms", "aws:kms:dsse"),
    "kmsMasterKeyId": (),
    "owner": (),
    f"labels[{_LEVEL}enforce]": ("restricted",),
    f"labels[{_LEVEL}audit]": ("restricted",),
    f"labels[{_LEVEL}warn]": ("restricted",),
}
# What guards another thing, by the property that names it ("" for the whole account, or the namespace).
GUARDS: Mapping[str, tuple[RiskKind, str, str]] = {
    "aws:budgets/budget:Budget": ("protection", "", "nobody is told of the bill"),
    "aws:cloudwatch/metricAlarm:MetricAlarm": ("protection", "", "nobody is told"),
    "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup": ("network", "vpcId", "the default group is open to itself"),
    "aws:s3/accountPublicAccessBlock:AccountPublicAccessBlock": ("network", "", "the account's buckets may be public"),
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": ("network", "bucket", "the bucket may be public"),
    "snowflake:index/networkPolicy:NetworkPolicy": ("network", "", "logins from where it let nobody in"),
    "aws:ec2/flowLog:FlowLog": ("protection", "vpcId", "nobody logs who talked to whom"),
    "aws:s3/bucketLogging:BucketLogging": ("protection", "bucket", "nobody logs who read it"),
    "aws:s3/bucketOwnershipControls:BucketOwnershipControls": ("protection", "bucket", "objects may belong to others"),
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": (
        "protection",
        "bucket",
        "not encrypted by a key of ours",
    ),
    "aws:s3/bucketVersioning:BucketVersioning": ("protection", "bucket", "what is overwritten is gone"),
    "aws:sns/topicSubscription:TopicSubscription": ("protection", "topic", "somebody is told no longer"),
    "kubernetes:LimitRange": ("protection", "namespace", "no limits in the namespace"),
    "kubernetes:PodDisruptionBudget": ("protection", "namespace", "all its pods may be taken at once"),
    "kubernetes:ResourceQuota": ("protection", "namespace", "no quota in the namespace"),
    "snowflake:index/accountAuthenticationPolicyAttachment:AccountAuthenticationPolicyAttachment": (
        "access",
        "",
        "people log in without its policy",
    ),
    "snowflake:index/accountParameter:AccountParameter": ("protection", "", "the account's guard is gone"),
    "snowflake:index/accountPasswordPolicyAttachment:AccountPasswordPolicyAttachment": (
        "access",
        "",
        "passwords may be weak",
    ),
    "snowflake:index/resourceMonitor:ResourceMonitor": ("protection", "", "nothing stops what costs"),
}
