"""What stands in for paid services on ENV=cluster: pods with claims, and Jobs that set up what lies in them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pulumi
import pytest

from ci.graph import discover
from ci.programs import Program
from ci.testing import declared_by, environment, manifests, of_kind, stack_of
from infra.components import naming
from infra.components.functions import functions
from infra.components.kubernetes import logical, pods
from infra.components.kubernetes.warehouse import statements
from infra.components.stack import Stack
from infra.components.warehouse import LAYOUT
from infra.environment import ROOT
from infra.jobs import databases
from leandata.settings import DatabaseAddress, LakeAddress, MailAddress, WarehouseAddress

CLUSTER = {"kubeconfig": "", "security_group": ""}
ZONES = {zone: f"s3://{zone}?endpoint=http://lake.leandata-standins.svc:16415" for zone in ("curated", "models", "raw")}
OUTPUTS: Mapping[str, Mapping[str, Any]] = {"cluster": CLUSTER, "lake": ZONES}
STACKS = {"database": "postgres", "lake": "lake", "mail": "mail", "warehouse": "warehouse"}
SECRETS = "/run/secrets/leandata"


@pytest.fixture(scope="module")
def programs() -> dict[str, Program]:
    return {stack: stack_of("cluster", stack, OUTPUTS) for stack in STACKS}


@pytest.fixture(scope="module")
def database(programs: dict[str, Program]) -> Program:
    return programs["database"]


def workload(programs: dict[str, Program], stack: str) -> dict[str, Any]:
    return manifests(programs[stack], "StatefulSet")[STACKS[stack]]


def pod(programs: dict[str, Program], stack: str) -> dict[str, Any]:
    return workload(programs, stack)["spec"]["template"]["spec"]


def command(programs: dict[str, Program], stack: str) -> list[str]:
    return pod(programs, stack)["containers"][0]["command"]


def jobs(program: Program) -> dict[str, dict[str, Any]]:
    """The Jobs by their name without the mark of their content."""
    return {name.rpartition("-")[0]: job for name, job in manifests(program, "Job").items()}


def works(program: Program) -> dict[str, list[str]]:
    found = jobs(program)
    return {name: job["spec"]["template"]["spec"]["containers"][0]["command"] for name, job in found.items()}


# -- every stand-in ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stack", sorted(STACKS))
def test_a_standin_is_one_pod_with_a_claim_that_outlives_it(programs: dict[str, Program], stack: str) -> None:
    made = workload(programs, stack)
    [claim] = made["spec"]["volumeClaimTemplates"]
    assert made["spec"]["replicas"] == 1
    assert made["metadata"]["namespace"] == "leandata-standins"
    assert int(claim["spec"]["resources"]["requests"]["storage"]) >= 2**30


@pytest.mark.parametrize("stack", sorted(STACKS))
def test_a_standin_writes_to_its_claim_and_to_tmp_only(programs: dict[str, Program], stack: str) -> None:
    [container] = pod(programs, stack)["containers"]
    writable = [mount["mountPath"] for mount in container["volumeMounts"] if not mount.get("readOnly")]
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert sorted(writable) == ["/tmp", f"/var/lib/leandata/{STACKS[stack]}"]


@pytest.mark.parametrize("stack", sorted(STACKS))
def test_a_standin_listens_for_its_own_pod_at_the_port_that_others_ask(
    programs: dict[str, Program], stack: str
) -> None:
    asked = command(programs, stack)
    process = STACKS[stack]
    assert asked[asked.index("--host") + 1] == "0.0.0.0"
    found = manifests(programs[stack], "Service")[process]
    with environment("cluster") as known:
        port = known.port(process)
    assert str(port) in asked
    assert [one["port"] for one in found["spec"]["ports"]] == [port]


@pytest.mark.parametrize("stack", sorted(STACKS))
def test_a_standin_is_the_user_without_rights_and_runs_from_its_image(programs: dict[str, Program], stack: str) -> None:
    made = pod(programs, stack)
    assert made["securityContext"]["runAsUser"] == pods.USER
    assert made["containers"][0]["image"].startswith("leandata-standins")


@pytest.mark.parametrize("stack", sorted(STACKS))
def test_a_standin_takes_no_connection_but_from_services_that_call_it(programs: dict[str, Program], stack: str) -> None:
    policy = manifests(programs[stack], "NetworkPolicy")[STACKS[stack]]["spec"]
    coming = {
        source["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"].removeprefix("leandata-")
        for rule in policy["ingress"]
        for source in rule["from"]
    }
    callers = {name for name, found in naming.services().items() if STACKS[stack] in found.network.calls}
    assert callers <= coming <= callers | {"standins", "system"}


@pytest.mark.parametrize("stack", sorted(STACKS))
def test_a_standin_has_time_to_write_what_it_holds(programs: dict[str, Program], stack: str) -> None:
    assert pod(programs, stack)["terminationGracePeriodSeconds"] >= 20


# -- PostgreSQL --------------------------------------------------------------------------------------------------------


def test_the_server_makes_its_data_in_a_folder_of_its_own_on_the_claim(programs: dict[str, Program]) -> None:
    asked = command(programs, "database")
    assert asked[:3] == ["python", "-m", "infra.standins.postgres"]
    assert asked[asked.index("--data") + 1] == "/var/lib/leandata/postgres/data"
    assert asked[asked.index("--password-file") + 1] == f"{SECRETS}/database-admin"
    assert "max_connections=120" in asked


def test_every_logical_database_is_made_by_a_job_of_the_system(database: Program) -> None:
    found = jobs(database)
    assert {name for name in found if name.startswith("database-")} == {
        "database-airflow", "database-events", "database-serving", "database-shop",
    }  # fmt: skip
    assert {job["metadata"]["namespace"] for job in found.values()} == {"leandata-system"}
    images = {job["spec"]["template"]["spec"]["containers"][0]["image"].partition(":")[0] for job in found.values()}
    assert {image.partition("@")[0] for image in images} == {"leandata-platform"}


def test_jobs_say_what_the_program_in_the_image_understands(database: Program) -> None:
    asked = {name: words for name, words in works(database).items() if "infra.jobs.databases" in words}
    assert len(asked) == 7
    for words in asked.values():
        options = databases.parser().parse_args(words[words.index("infra.jobs.databases") + 1 :])
        server = DatabaseAddress.parse(options.server)
        assert (server.host, server.user, server.database) == ("postgres.leandata-standins.svc", "postgres", "postgres")
        assert str(server.password_file) == f"{SECRETS}/database-admin"


def test_a_reader_is_made_after_its_database_and_reads_for_as_long_as_declared(database: Program) -> None:
    words = works(database)["reader-shop-replica"]
    options = databases.parser().parse_args(words[3:])
    assert (options.database, options.owner, options.role, options.schema) == (
        "shop", "shop_owner", "shop_replica", "public",
    )  # fmt: skip
    assert options.statement_timeout == 30_000
    made = {one.name: one for one in database.resources.values() if one.type == "kubernetes:batch/v1:Job"}
    assert any("database-shop" in need for need in made["reader-shop-replica"].needs)
    assert any("StatefulSet::postgres" in need for need in made["database-shop"].needs)


def test_the_shop_is_seeded_with_real_sales_once_its_database_is_there(database: Program) -> None:
    words = works(database)["shop-seed"]
    assert words[:3] == ["python", "-m", "infra.standins.shop"]
    address = DatabaseAddress.parse(words[words.index("--database") + 1])
    assert (address.user, address.database) == ("shop_owner", "shop")
    made = {one.name: one for one in database.resources.values() if one.type == "kubernetes:batch/v1:Job"}
    assert any("database-shop" in need for need in made["shop-seed"].needs)


def test_addresses_name_a_role_and_the_file_of_its_password(database: Program) -> None:
    roles = {"serving_writer", "serving_reader", "events_reader", "events_writer", "shop_replica"}
    for role in sorted(roles):
        address = DatabaseAddress.parse(database.outputs[role])
        assert (address.host, address.user, address.nearby) == ("postgres.leandata-standins.svc", role, True)
        assert str(address.password_file) == f"{SECRETS}/{naming.database_secret(role)}"
    assert "CDNOW" in database.outputs["source_note"]


def test_a_password_is_put_where_its_role_is_used(database: Program) -> None:
    homes = {name: one.properties["namespaces"] for name, one in of_kind(database, "ClusterSecret").items()}
    assert homes["database-serving-reader"] == [
        "leandata-api", "leandata-dash", "leandata-standins", "leandata-system",
    ]  # fmt: skip
    assert homes["database-shop-owner"] == ["leandata-standins", "leandata-system"]
    assert homes["database-admin"] == ["leandata-standins", "leandata-system"]


def test_a_job_mounts_the_two_secrets_that_it_names_and_no_other(database: Program) -> None:
    for name, job in jobs(database).items():
        volumes = {one["name"]: one for one in job["spec"]["template"]["spec"]["volumes"]}
        mounted = {source["secret"]["name"] for source in volumes["secrets"]["projected"]["sources"]}
        words = " ".join(works(database)[name])
        assert mounted == set(pods.secrets_named([words]))
        assert len(mounted) == (1 if name == "shop-seed" else 2)


def test_everything_is_made_again_in_a_new_server() -> None:
    def made(identity: str) -> Program:
        def declare(stack: Stack) -> None:
            server = logical.Server(host="db.example", port=5432, admin="root", admin_password="/x", identity=identity)
            parent: Any = pulumi.ComponentResource("leandata:index:Database", "parent")
            found, _, _ = logical.make_database(
                parent, name="serving", stack=stack, server=server, owner="serving_writer"
            )
            pulumi.export("identity", found.identity)

        return declared_by("cluster", declare, stack="database", outputs=OUTPUTS)

    one, same, other = made("1"), made("1"), made("2")
    assert list(manifests(one, "Job")) == list(manifests(same, "Job")) != list(manifests(other, "Job"))
    assert one.outputs == same.outputs != other.outputs


def test_no_secret_has_a_value_in_the_program(database: Program) -> None:
    for one in of_kind(database, "ClusterSecret").values():
        assert "value" not in one.properties


# -- the lake ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("zone", ["curated", "models", "raw"])
def test_a_zone_is_a_bucket_of_the_one_server(programs: dict[str, Program], zone: str) -> None:
    address = LakeAddress.parse(programs["lake"].outputs[zone])
    assert (address.place, address.plain_http) == (f"s3://{zone}", True)
    assert address.endpoint == "http://lake.leandata-standins.svc:16415"
    assert list(manifests(programs["lake"], "StatefulSet")) == ["lake"]


# -- the warehouse -----------------------------------------------------------------------------------------------------


def test_the_warehouse_reads_the_lakes_claim_and_cannot_change_it(programs: dict[str, Program]) -> None:
    made = pod(programs, "warehouse")
    volume = {one["name"]: one for one in made["volumes"]}["lake"]
    [claim] = workload(programs, "lake")["spec"]["volumeClaimTemplates"]
    assert volume["persistentVolumeClaim"] == {"claimName": f"{claim['metadata']['name']}-lake-0", "readOnly": True}
    mount = {one["name"]: one for one in made["containers"][0]["volumeMounts"]}["lake"]
    assert mount == {"mountPath": "/var/lib/leandata/lake", "name": "lake", "readOnly": True}


def test_the_warehouse_runs_on_the_node_that_has_the_lakes_claim(programs: dict[str, Program]) -> None:
    [rule] = pod(programs, "warehouse")["affinity"]["podAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    labels = workload(programs, "lake")["spec"]["template"]["metadata"]["labels"]
    assert rule["labelSelector"]["matchLabels"].items() <= labels.items()
    assert rule["topologyKey"] == "kubernetes.io/hostname"


def test_the_warehouse_lays_itself_out_before_it_is_ready(programs: dict[str, Program]) -> None:
    asked = command(programs, "warehouse")
    said = json.loads(asked[asked.index("--first") + 1])
    assert said == list(statements(LAYOUT, lake="/var/lib/leandata/lake"))
    assert "CREATE OR REPLACE STAGE RAW.LAKE.FILES URL = 'file:///var/lib/leandata/lake/raw/'" in said
    for database in LAYOUT:
        assert said.index(f"CREATE DATABASE IF NOT EXISTS {database.name}") < min(
            said.index(f"CREATE SCHEMA IF NOT EXISTS {database.name}.{schema}") for schema in database.schemas
        )


def test_the_warehouse_in_a_pod_has_the_functions_of_the_folder(programs: dict[str, Program]) -> None:
    asked = command(programs, "warehouse")
    assert json.loads(asked[asked.index("--functions") + 1]) == [one.plain() for one in functions(ROOT)]


def test_the_warehouses_address_is_one_that_programs_read(programs: dict[str, Program]) -> None:
    address = WarehouseAddress.parse(programs["warehouse"].outputs["address"])
    assert (address.host, address.port, address.protocol) == ("warehouse.leandata-standins.svc", 16412, "http")


# -- mail --------------------------------------------------------------------------------------------------------------


def test_mail_is_taken_at_one_port_and_shown_at_another(programs: dict[str, Program]) -> None:
    address = MailAddress.parse(programs["mail"].outputs["mail"])
    page = urlsplit(programs["mail"].outputs["mail_url"])
    services = manifests(programs["mail"], "Service")
    assert (address.host, address.port) == ("mail.leandata-standins.svc", 16410)
    assert parse_qs(urlsplit(programs["mail"].outputs["mail"]).query) == {"sender": ["platform@leandata.example"]}
    assert {name: one["spec"]["ports"][0]["port"] for name, one in services.items()} == {
        "mail": 16410,
        "mail-web": page.port,
    }
    assert {one["spec"]["selector"]["app.kubernetes.io/name"] for one in services.values()} == {"mail"}


# -- together ----------------------------------------------------------------------------------------------------------


def test_standins_need_the_cluster_and_nothing_else_of_each_other_but_the_lake() -> None:
    stacks = discover(ROOT, "cluster")
    assert {name: stacks[name].needs for name in STACKS} == {
        "database": ("cluster",),
        "lake": ("cluster",),
        "mail": ("cluster",),
        "warehouse": ("cluster", "lake"),
    }


@pytest.mark.parametrize("name", ["cluster", "dev", "staging", "prod"])
def test_only_the_standins_environment_keeps_them(name: str) -> None:
    with environment(name) as known:
        parts = [part for part in ("database", "lake", "mail", "warehouse") if known.substrate(part) == "machine"]
    assert parts == (["database", "lake", "mail", "warehouse"] if name == "cluster" else [])
