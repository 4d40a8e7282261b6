"""Who may do what in an environment, from what its programs declare: just what services ask for, and by which path."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from ci.access import asked_for, matrix, model, things, who_is, words, workshops
from ci.cli import Options
from ci.programs import Program, Resource
from ci.testing import graph
from ci.verbs import access as verb
from infra.components.manifest import DataAccess, ServiceManifest
from infra.components.naming import services
from infra.environment import Environment
from leandata.access import READ, USE, WRITE, Action, Model, Thing, matching
from leandata.datasets import CATALOG
from leandata.errors import LeandataError

CLOUDS = ("dev", "staging", "prod")
SERVICES = tuple(services())
PROD = Environment.load("prod", environ={})
THINGS = things(PROD)
CELLS = [(service, thing, action) for service in SERVICES for thing in THINGS for action in thing.actions]
TABLES = sorted(name for name, one in CATALOG.items() if one.layer != "MODELS")


@pytest.fixture(scope="module")
def programs() -> dict[str, Program]:
    """What prod declares."""
    return graph("prod")


@pytest.fixture(scope="module")
def facts(programs: dict[str, Program]) -> Model:
    """The facts of prod."""
    return model(programs, PROD)


def asks(service: str, action: Action, thing: Thing) -> bool:
    """Whether the service's manifest says so, read here once more, by hand."""
    data = services()[service].data
    if thing.store == "database":
        return thing.name in data.database.roles
    if thing.store == "lake":
        folder = thing.name.partition("/")[2].removeprefix("_manifest/").strip("/").replace("/", ".")
        return folder in (data.lake.reads if action == READ else data.lake.writes)
    if thing.name == "STAGING.SHOP":
        return "shop.orders" in data.warehouse.reads and "sales.daily_sales" in data.warehouse.writes
    dataset = ".".join(thing.name.lower().split(".")[1:])
    return dataset in data.warehouse.writes or (action == READ and dataset in data.warehouse.reads)


def without(programs: Mapping[str, Program], type_: str, *, name: str = "") -> dict[str, Program]:
    """The programs without the resources of that type, or the one of that name."""
    return {
        stack: Program(
            resources={
                urn: one
                for urn, one in program.resources.items()
                if not (one.type.endswith(type_) and name in ("", one.name))
            },
            outputs=program.outputs,
        )
        for stack, program in programs.items()
    }


def with_(programs: Mapping[str, Program], type_: str, name: str, properties: dict[str, Any]) -> dict[str, Program]:
    """The programs with one more resource."""
    urn = f"urn:pulumi:prod::more::{type_}::{name}"
    one = Resource(
        urn=urn, type=type_, name=name, parent="", custom=True, properties=properties, needs=(), protect=False,
        retain=False, ignore=(),
    )  # fmt: skip
    return {**programs, "more": Program(resources={urn: one})}


def grant(programs: Mapping[str, Program], role: str, privileges: list[str], **on: Any) -> dict[str, Program]:
    """The programs with one more grant."""
    properties = {"accountRoleName": role, "privileges": privileges, **on}
    return with_(programs, "snowflake:index/grantPrivilegesToAccountRole:GrantPrivilegesToAccountRole", "x", properties)


def policy(programs: Mapping[str, Program], role: str, action: str, resource: str) -> dict[str, Program]:
    """The programs with one more policy of a cloud role."""
    said = {"Statement": {"Effect": "Allow", "Action": action, "Resource": resource}}
    properties = {"role": role, "policy": json.dumps(said)}
    return with_(programs, "aws:iam/rolePolicy:RolePolicy", "x", properties)


def options(**values: Any) -> Options:
    """What somebody typed."""
    return Options(**{"env": "prod", "json": False, "who": "", "what": "", **values})


# -- the whole matrix --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("service", "thing", "action"), CELLS, ids=[f"{service}-{action}-{thing.name}" for service, thing, action in CELLS]
)
def test_a_service_may_do_just_what_its_manifest_says(facts: Model, service: str, thing: Thing, action: Action) -> None:
    assert bool(facts.may(f"service:{service}", action, thing)) == asks(service, action, thing)


@pytest.mark.parametrize("name", CLOUDS)
def test_in_every_cloud_nothing_is_unexpected_and_nothing_is_missing(name: str) -> None:
    found = matrix(graph(name), Environment.load(name, environ={}))
    assert found.unexpected == ()
    assert found.missing == ()
    assert found.exact
    assert found.asked == len(CELLS)


def test_the_matrix_is_about_every_service_and_every_object() -> None:
    assert len(CELLS) == len(SERVICES) * sum(len(thing.actions) for thing in THINGS)
    assert {thing.name for thing in THINGS} >= {CATALOG[name].warehouse_table for name in TABLES}


@pytest.mark.parametrize("name", sorted(CATALOG))
def test_every_dataset_is_a_table_and_two_folders(name: str) -> None:
    folder = name.replace(".", "/")
    found = [thing for thing in THINGS if thing.store == "lake" and f"{folder}/" in thing.name]
    assert len(found) == 2
    assert (CATALOG[name].warehouse_table in [thing.name for thing in THINGS]) == (name in TABLES)


def test_the_zone_of_models_has_the_folders_of_its_models_and_no_table() -> None:
    folders = ["models/_manifest/models/purchase/", "models/models/purchase/"]
    assert [thing.name for thing in THINGS if thing.name.startswith("models/")] == folders


def test_the_schema_between_raw_and_marts_is_a_thing_of_its_own() -> None:
    assert workshops() == ["STAGING.SHOP"]


# -- what is wrong is found --------------------------------------------------------------------------------------------


def test_a_role_that_reads_too_much_is_unexpected(programs: dict[str, Program]) -> None:
    more = policy(programs, "leandata-prod-dash", "s3:GetObject", "*")
    found = matrix(more, PROD)
    assert {right.who for right in found.unexpected} == {"service:dash"}
    assert {right.action for right in found.unexpected} == {"read"}
    assert len(found.unexpected) == len([thing for thing in THINGS if thing.store == "lake"])


def test_a_role_that_writes_too_much_is_unexpected(programs: dict[str, Program]) -> None:
    more = policy(programs, "leandata-prod-dask-worker", "s3:Put*", "arn:aws:s3:::leandata-prod-lake-models-*")
    assert [(right.who, right.action, right.thing.name) for right in matrix(more, PROD).unexpected] == [
        ("service:dask", "write", "models/_manifest/models/purchase/"),
        ("service:dask", "write", "models/models/purchase/"),
    ]


def test_a_key_of_somebody_else_gives_all_that_he_may(programs: dict[str, Program]) -> None:
    arn = "arn:aws:secretsmanager:eu-central-1:333333333333:secret:leandata/prod/warehouse-airflow-??????"
    more = policy(programs, "leandata-prod-api", "secretsmanager:GetSecretValue", arn)
    found = matrix(more, PROD)
    assert {right.thing.store for right in found.unexpected} == {"warehouse", "lake"}
    assert all("user:LEANDATA_AIRFLOW" in right.path for right in found.unexpected)


def test_a_password_of_somebody_else_is_unexpected(programs: dict[str, Program]) -> None:
    arn = "arn:aws:secretsmanager:*:*:secret:leandata/prod/database-*"
    found = matrix(policy(programs, "leandata-prod-dash", "secretsmanager:*", arn), PROD)
    assert {right.thing.name for right in found.unexpected} == {
        "airflow", "events_reader", "events_writer", "serving_writer", "shop_replica",
    }  # fmt: skip


def test_a_role_that_is_granted_to_a_service_too_much_is_unexpected(programs: dict[str, Program]) -> None:
    fewer = without(programs, "GrantAccountRole", name="STAGING_SHOP_WRITE-to-SERVICE_AIRFLOW")
    assert [(action, thing.name) for _, action, thing in matrix(fewer, PROD).missing] == [
        ("read", "STAGING.SHOP"),
        ("write", "STAGING.SHOP"),
    ]


@pytest.mark.parametrize(
    ("type_", "stores"),
    [
        (":PodIdentityAssociation", {"database", "lake", "warehouse"}),
        (":RolePolicy", {"database", "lake", "warehouse"}),
        (":Secret", {"database", "warehouse"}),
        (":ServiceUser", {"warehouse"}),
        (":GrantAccountRole", {"warehouse"}),
        (":GrantPrivilegesToAccountRole", {"warehouse"}),
    ],
)
def test_what_is_left_out_is_missing(programs: dict[str, Program], type_: str, stores: set[str]) -> None:
    found = matrix(without(programs, type_), PROD)
    assert {thing.store for _, _, thing in found.missing} == stores
    assert not found.exact


@pytest.mark.parametrize(
    "on",
    [
        {"onSchemaObject": {"all": {"objectTypePlural": "TABLES", "inDatabase": '"RAW"'}}},
        {"onSchemaObject": {"future": {"objectTypePlural": "TABLES", "inSchema": '"RAW"."SHOP"'}}},
        {"onSchemaObject": {"objectType": "TABLE", "objectName": '"RAW"."SHOP"."ORDERS"'}},
        {"onSchemaObject": {"objectType": "VIEW", "objectName": "RAW.SHOP.ORDERS"}},
    ],
)
def test_grants_of_every_form_are_understood(programs: dict[str, Program], on: dict[str, Any]) -> None:
    more = grant(programs, "TEAM_DATA_SCIENCE", ["SELECT"], **on)
    way = {
        "onAccountObject": {"objectType": "DATABASE", "objectName": "RAW"},
        "onSchema": {"futureSchemasInDatabase": "RAW"},
    }
    more |= {f"{stack}-way": program for stack, program in grant({}, "TEAM_DATA_SCIENCE", ["USAGE"], **way).items()}
    orders = matching(THINGS, "RAW.SHOP.ORDERS")[0]
    assert model(more, PROD).may("team:data-science", READ, orders)
    assert not model(programs, PROD).may("team:data-science", READ, orders)


# -- paths and people --------------------------------------------------------------------------------------------------


def test_the_path_to_a_table_leads_from_a_pod_by_a_key_through_roles(facts: Model) -> None:
    right = next(one for one in facts.holders(matching(THINGS, "MARTS.WEEKLY_SALES")[0]) if one.action == "read")
    assert words(right) == (
        "process airflow-task > iam leandata-prod-airflow-task > secret warehouse-airflow > user LEANDATA_AIRFLOW"
        " > role SERVICE_AIRFLOW > role MARTS_SALES_WRITE > role MARTS_SALES_READ > SELECT on future tables in MARTS.SALES"
    )


@pytest.mark.parametrize("team", ["data-team", "data-science"])
def test_a_team_reads_and_never_writes(facts: Model, team: str) -> None:
    rights = facts.rights(f"team:{team}")
    assert rights
    assert {right.action for right in rights} == {"read"}


@pytest.mark.parametrize("process", ["airflow-api", "airflow-scheduler", "airflow-dag-processor", "airflow-triggerer"])
def test_no_process_of_airflow_but_its_tasks_comes_to_the_warehouse(facts: Model, process: str) -> None:
    assert not [right for right in facts.rights(f"process:{process}") if right.thing.store == "warehouse"]


@pytest.mark.parametrize("service", ["api", "dash", "dask"])
def test_services_that_ask_for_no_table_reach_none(facts: Model, service: str) -> None:
    assert not [right for right in facts.rights(f"service:{service}") if right.thing.store == "warehouse"]


@pytest.mark.parametrize("role", ["ACCOUNTADMIN", "SECURITYADMIN", "ORGADMIN"])
def test_no_service_comes_to_an_administrator(facts: Model, role: str) -> None:
    assert not [service for service in SERVICES if f"role:{role}" in facts.reached(f"service:{service}")]


def test_no_service_comes_to_sysadmin_which_has_everything(facts: Model) -> None:
    assert not [service for service in SERVICES if "role:SYSADMIN" in facts.reached(f"service:{service}")]
    tables = [thing for thing in THINGS if thing.store == "warehouse"]
    assert all(facts.may("role:SYSADMIN", WRITE, table) for table in tables)


@pytest.mark.parametrize(
    ("text", "node"),
    [
        ("api", "service:api"), ("data-team", "team:data-team"), ("airflow-task", "process:airflow-task"),
        ("leandata_airflow", "user:LEANDATA_AIRFLOW"), ("service_airflow", "role:SERVICE_AIRFLOW"),
        ("role:SYSADMIN", "role:SYSADMIN"), ("leandata-prod-api", "iam:leandata-prod-api"),
    ],
)  # fmt: skip
def test_whoever_is_meant_is_found(facts: Model, text: str, node: str) -> None:
    assert who_is(text, facts) == node


@pytest.mark.parametrize("text", ["nobody", "service:nobody", "*", "api ", "AIRFLOW-TASK"])
def test_a_stranger_is_told_who_there_is(facts: Model, text: str) -> None:
    with pytest.raises(LeandataError, match=r"nobody is called .* WHO is one of: airflow, api, dash, dask"):
        who_is(text, facts)


@pytest.mark.parametrize("name", ["local", "cluster"])
def test_an_environment_of_stand_ins_knows_no_roles(name: str) -> None:
    with pytest.raises(LeandataError, match=f"{name} stands in for AWS and Snowflake, and knows no roles"):
        model({}, Environment.load(name, environ={}))


# -- what services ask for ---------------------------------------------------------------------------------------------


def asked(manifest: ServiceManifest) -> set[tuple[Action, str]]:
    return {(action, thing.name) for action, thing in asked_for(manifest, THINGS)}


def manifest_of(**data: Any) -> ServiceManifest:
    """The manifest of dash, which asks for these data instead."""
    nothing = {"reads": [], "writes": []}
    access = DataAccess.model_validate({"lake": nothing, "warehouse": nothing, "database": {"roles": []}, **data})
    return services()["dash"].model_copy(update={"data": access})


def test_a_service_that_asks_for_nothing_is_to_get_nothing() -> None:
    assert asked(manifest_of()) == set()


@pytest.mark.parametrize("name", TABLES)
def test_whoever_writes_a_table_is_to_read_it(name: str) -> None:
    table = CATALOG[name].warehouse_table
    found = asked(manifest_of(warehouse={"reads": [], "writes": [name]}))
    assert {(READ, table), (WRITE, table)} <= found
    assert asked(manifest_of(warehouse={"reads": [name], "writes": []})) == {(READ, table)}


@pytest.mark.parametrize("name", sorted(CATALOG))
def test_folders_are_asked_for_by_dataset_each_way_by_itself(name: str) -> None:
    reads = asked(manifest_of(lake={"reads": [name], "writes": []}))
    writes = asked(manifest_of(lake={"reads": [], "writes": [name]}))
    assert {action for action, _ in reads} == {READ}
    assert {action for action, _ in writes} == {WRITE}
    assert {folder for _, folder in reads} == {folder for _, folder in writes}
    assert len(reads) == 2


def test_the_workshop_is_for_those_who_make_marts_of_raw() -> None:
    both = {"reads": ["shop.orders"], "writes": ["sales.daily_sales"]}
    assert (WRITE, "STAGING.SHOP") in asked(manifest_of(warehouse=both))
    assert (WRITE, "STAGING.SHOP") not in asked(manifest_of(warehouse={**both, "writes": []}))
    assert (WRITE, "STAGING.SHOP") not in asked(manifest_of(warehouse={**both, "reads": []}))


def test_roles_of_the_database_are_used() -> None:
    assert asked(manifest_of(database={"roles": ["serving_reader"]})) == {(USE, "serving_reader")}


# -- the verb ----------------------------------------------------------------------------------------------------------


def lines(capsys: pytest.CaptureFixture[str]) -> Iterator[str]:
    yield from capsys.readouterr().out.splitlines()


def test_what_is_found_is_by_person_by_thing_or_both(facts: Model) -> None:
    assert {one.who for one in verb.found(facts, who="api", what="")} == {"service:api"}
    assert {one.who for one in verb.found(facts, who="", what="serving_reader")} == {
        "service:api", "service:dash", "service:system",
    }  # fmt: skip
    both = verb.found(facts, who="data-team", what="weekly_sales")
    assert [(one.action, one.thing.name) for one in both] == [("read", "MARTS.SALES.WEEKLY_SALES")]


def test_a_thing_that_is_none_is_told_which_there_are(facts: Model) -> None:
    with pytest.raises(
        LeandataError, match=r"nothing is called 'x'\. WHAT is one of: MARTS\.FEATURES.CUSTOMER_FEATURES"
    ):
        verb.found(facts, who="", what="x")


def test_a_table_for_people_has_its_columns_in_line(facts: Model) -> None:
    shown = verb.table(facts.rights("service:api"))
    assert len({line.index("process api") for line in shown}) == 1
    assert verb.table([]) == []


def test_the_answer_for_programs_names_every_step(facts: Model) -> None:
    found = verb.answer(facts.rights("service:dash")[0])
    assert found["path"] == [
        "service:dash", "process:dash", "iam:leandata-prod-dash", "secret:database-serving-reader",
        "database:serving_reader",
    ]  # fmt: skip
    assert json.loads(json.dumps(found)) == found


def test_the_matrix_is_told_in_a_line(programs: dict[str, Program], capsys: pytest.CaptureFixture[str]) -> None:
    assert verb.compared(matrix(programs, PROD), options()) == 0
    assert list(lines(capsys)) == [
        f"prod: {len(CELLS)} times service, object and action; 71 allowed, 0 that nobody asks for, 0 missing"
    ]


def test_what_is_wrong_is_told_line_by_line(programs: dict[str, Program], capsys: pytest.CaptureFixture[str]) -> None:
    wrong = without(policy(programs, "leandata-prod-api", "s3:*", "*"), ":ServiceUser")
    assert verb.compared(matrix(wrong, PROD), options()) == 1
    told = list(lines(capsys))
    assert any(line.startswith("not asked for: api") for line in told)
    assert any(line == "asked for and not allowed: airflow read MARTS.SALES.CUSTOMERS" for line in told)


def test_the_matrix_for_programs_says_whether_it_is_exact(
    programs: dict[str, Program], capsys: pytest.CaptureFixture[str]
) -> None:
    assert verb.compared(matrix(without(programs, ":ServiceUser"), PROD), options(json=True)) == 1
    answer = json.loads(capsys.readouterr().out)
    assert answer["ok"] is False
    assert answer["unexpected"] == []
    assert {one["store"] for one in answer["missing"]} == {"warehouse"}


def test_rights_can_be_sorted_and_compared(facts: Model) -> None:
    rights = facts.rights("service:airflow")
    assert sorted(rights, key=lambda one: (one.thing, one.action)) == rights
    assert dataclasses.replace(rights[0]) == rights[0]
