"""PostgreSQL on AWS: reached by pods alone and over TLS alone, kept, watched; its administrator is AWS' own secret."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ci.programs import Program
from ci.testing import environment, manifests, stack_of
from infra.components.aws import logs
from infra.components.database import DatabaseServer

KEY = "arn:aws:kms:eu-central-1:333333333333:key/"
ADMIN = "arn:aws:secretsmanager:eu-central-1:111122223333:secret:rds!leandata-prod-postgres"


@pytest.fixture(scope="module")
def program(ground: dict[str, Any]) -> Program:
    return stack_of("prod", "database", ground)


@pytest.fixture(scope="module")
def server(program: Program) -> dict[str, Any]:
    [found] = program.of("aws:rds/instance:Instance").values()
    return found.properties


def test_everything_that_lies_on_it_is_encrypted_by_the_key_of_databases(server: dict[str, Any]) -> None:
    assert server["storageEncrypted"] is True
    assert server["kmsKeyId"] == server["performanceInsightsKmsKeyId"] == f"{KEY}database"


def test_the_administrators_password_is_made_and_kept_by_aws(server: dict[str, Any]) -> None:
    assert server["manageMasterUserPassword"] is True
    assert server["masterUserSecretKmsKeyId"] == f"{KEY}secrets"
    assert not {"password", "passwordWo"} & set(server)


def test_connections_without_tls_are_refused(program: Program, server: dict[str, Any]) -> None:
    [group] = program.of("aws:rds/parameterGroup:ParameterGroup").values()
    told = {one["name"]: one["value"] for one in group.properties["parameters"]}
    assert told["rds.force_ssl"] == "1"
    assert told["max_connections"] == "200"
    assert group.properties["family"] == "postgres17"
    assert server["parameterGroupName"] == group.properties["name"] == "leandata-prod-postgres-17"
    assert server["caCertIdentifier"] == "rds-ca-rsa2048-g1"


def test_only_pods_of_the_cluster_reach_its_one_port(program: Program, server: dict[str, Any]) -> None:
    [rule] = program.of("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule").values()
    assert rule.properties["referencedSecurityGroupId"] == "sg-pods"
    assert (rule.properties["fromPort"], rule.properties["toPort"]) == (5432, 5432)
    assert not {"cidrIpv4", "cidrIpv6"} & set(rule.properties)
    assert not program.of("aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule"), "it opens no connection itself"
    [door] = program.of("aws:ec2/securityGroup:SecurityGroup").values()
    assert not {"ingress", "egress"} & set(door.properties)
    assert server["publiclyAccessible"] is False


def test_it_lies_in_the_private_half_of_the_network(program: Program) -> None:
    [group] = program.of("aws:rds/subnetGroup:SubnetGroup").values()
    assert group.properties["subnetIds"] == ["subnet-a", "subnet-b", "subnet-c"]


def test_it_can_be_restored_and_is_not_lost_by_accident(program: Program, server: dict[str, Any]) -> None:
    assert server["backupRetentionPeriod"] == 35
    assert server["deletionProtection"] is True
    assert (server["skipFinalSnapshot"], server["deleteAutomatedBackups"]) == (False, False)
    assert server["finalSnapshotIdentifier"] == "leandata-prod-postgres-final"
    assert server["multiAz"] is True
    assert program.of("aws:rds/instance:Instance")["postgres"].protect


def test_an_environment_that_is_not_protected_can_be_taken_down(ground: dict[str, Any]) -> None:
    [found] = stack_of("dev", "database", ground).of("aws:rds/instance:Instance").values()
    assert found.properties["deletionProtection"] is False
    assert found.properties["skipFinalSnapshot"] is True
    assert not found.protect
    assert found.properties["multiAz"] is False


def test_small_versions_come_by_themselves_and_large_ones_do_not(server: dict[str, Any]) -> None:
    assert server["engineVersion"] == "17", "the prefix needs small versions to come by themselves"
    assert server["autoMinorVersionUpgrade"] is True
    assert server["allowMajorVersionUpgrade"] is False
    assert server["applyImmediately"] is False


def test_its_logs_go_where_the_foundation_keeps_them(server: dict[str, Any]) -> None:
    with environment("prod") as prod:
        kept = {name for name in logs.groups(prod).values() if "/rds/" in name}
    sent = {f"/aws/rds/instance/{server['identifier']}/{kind}" for kind in server["enabledCloudwatchLogsExports"]}
    assert sent == kept


def test_it_is_watched(program: Program, server: dict[str, Any]) -> None:
    assert server["performanceInsightsEnabled"] is True
    assert server["monitoringInterval"] == 60
    role = program.of("aws:iam/role:Role")["postgres-monitor"].properties
    [trust] = json.loads(role["assumeRolePolicy"])["Statement"]
    assert trust["Principal"] == {"Service": "monitoring.rds.amazonaws.com"}
    assert trust["Condition"] == {"StringEquals": {"aws:SourceAccount": "333333333333"}}
    assert role["permissionsBoundary"] == "arn:aws:iam::333333333333:policy/leandata-prod-boundary"


def test_alarms_ring_before_it_is_full_or_overrun(program: Program) -> None:
    alarms = {name: one.properties for name, one in program.of("aws:cloudwatch/metricAlarm:MetricAlarm").items()}
    assert sorted(alarms) == ["database-connections", "database-cpu", "database-storage"]
    assert alarms["database-storage"]["threshold"] == 10 * 2**30
    assert alarms["database-storage"]["comparisonOperator"] == "LessThanThreshold"
    assert alarms["database-connections"]["threshold"] == 170
    assert {one["dimensions"]["DBInstanceIdentifier"] for one in alarms.values()} == {"leandata-prod-postgres"}


def test_databases_and_roles_are_made_by_jobs_under_its_administrator(program: Program) -> None:
    jobs = manifests(program, "Job")
    text = json.dumps(jobs)
    for name in ("database-airflow", "database-events", "database-serving", "reader-serving-reader"):
        assert any(found.startswith(name) for found in jobs), name
    address = "postgresql://postgres@leandata-prod-postgres.rds.example:5432/postgres"
    assert f"{address}?password_file=/run/secrets/leandata/database-admin" in text
    assert {job["metadata"]["namespace"] for job in jobs.values()} == {"leandata-system"}


def test_a_job_starts_when_the_server_is_there(program: Program) -> None:
    [made] = program.of("aws:rds/instance:Instance").values()
    jobs = program.of("kubernetes:batch/v1:Job")
    assert jobs
    assert all(made.urn in job.needs for job in jobs.values())


def test_jobs_read_the_administrators_password_from_aws_secret_and_may_read_it(program: Program) -> None:
    for name, found in manifests(program, "SecretProviderClass").items():
        objects = json.loads(found["spec"]["parameters"]["objects"])
        [admin] = [one for one in objects if "jmesPath" in one]
        assert admin["objectName"] == ADMIN, name
        assert admin["jmesPath"] == [{"objectAlias": "database-admin", "path": '"password"'}]
    for name, policy in program.of("aws:iam/rolePolicy:RolePolicy").items():
        found = {one["Sid"]: one for one in json.loads(policy.properties["policy"])["Statement"]}
        assert ADMIN in found["Secrets"]["Resource"], name
        assert "Write0" not in found, "a set-up job touches no file of the lake"


def test_programs_are_given_the_servers_own_address_and_their_own_password(program: Program) -> None:
    for name, database in (("serving_writer", "serving"), ("serving_reader", "serving"), ("events_writer", "events")):
        assert program.outputs[name] == (
            f"postgresql://{name}@leandata-prod-postgres.rds.example:5432/{database}"
            f"?password_file=/run/secrets/leandata/database-{name.replace('_', '-')}"
        )
    assert program.outputs["shop_replica"].startswith("postgresql://shop_replica@shop.prod.example.internal:5432/shop?")


def test_a_second_server_of_another_name_is_another_server(run: Any) -> None:
    program = run(lambda stack: DatabaseServer("reports", stack=stack), stack="database")
    [found] = program.of("aws:rds/instance:Instance").values()
    assert found.properties["identifier"] == "leandata-prod-reports"
