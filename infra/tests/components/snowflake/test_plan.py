"""Roles follow from the layout, the contracts and the manifests: nothing is left out, nothing is added."""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.components import naming
from infra.components.manifest import DataAccess, DatabaseRoles, Datasets, ServiceManifest, WarehouseData
from infra.components.snowflake.plan import (
    ADMIN,
    Access,
    Place,
    Plan,
    plan,
    service_access,
    service_role,
    team_role,
    user,
)
from infra.components.warehouse import LAYOUT, DatabaseLayout
from leandata.contract import Dataset
from leandata.datasets import CATALOG
from leandata.errors import SettingsError

SCHEMAS = sorted({one.warehouse_table.rpartition(".")[0] for one in CATALOG.values() if one.layer != "MODELS"})


def manifest(name: str, *, reads: list[str], writes: list[str], lake: list[str] | None = None) -> ServiceManifest:
    """A service that asks for these datasets in the warehouse, and for reading `lake` in the lake."""
    like = naming.services()["airflow"]
    data = DataAccess(
        lake=Datasets(reads=lake or [], writes=[]),
        warehouse=WarehouseData(reads=reads, writes=writes),
        database=DatabaseRoles(roles=[]),
    )
    return like.model_copy(update={"name": name, "owner": f"{name}-team", "data": data})


def of(schema: str) -> list[str]:
    """The datasets of a schema of the warehouse."""
    return sorted(name for name, one in CATALOG.items() if one.warehouse_table.startswith(f"{schema}."))


def planned(*manifests: ServiceManifest) -> Plan:
    return plan(LAYOUT, manifests={one.name: one for one in manifests}, catalog=CATALOG)


def access_of(found: Plan, service: str) -> set[str]:
    return {role for one in found.services if one.service == service for role in one.access}


def held(found: Plan, role: str) -> set[str]:
    """The role and all that it has through others."""
    below: dict[str, set[str]] = {}
    for member, holder in found.memberships():
        below.setdefault(holder, set()).add(member)
    seen, ahead = {role}, [role]
    while ahead:
        for member in below.get(ahead.pop(), set()) - seen:
            seen.add(member)
            ahead.append(member)
    return seen


# -- the services that there are ---------------------------------------------------------------------------------------


def real() -> Plan:
    return plan(LAYOUT, manifests=naming.services(), catalog=CATALOG)


def test_only_a_service_that_asks_for_something_has_a_role() -> None:
    assert [one.service for one in real().services] == ["airflow"]
    assert [one.role for one in real().services] == ["SERVICE_AIRFLOW"]


def test_airflow_writes_what_its_manifest_names_and_reads_the_stages_that_it_loads_from() -> None:
    assert access_of(real(), "airflow") == {
        "MARTS_FEATURES_WRITE",
        "MARTS_LAKE_READ",
        "MARTS_SALES_WRITE",
        "RAW_LAKE_READ",
        "RAW_QUARANTINE_WRITE",
        "RAW_SHOP_WRITE",
        "STAGING_SHOP_WRITE",
    }


def test_teams_only_read_and_only_what_is_theirs() -> None:
    teams = {one.role: set(one.access) for one in real().functional if not one.service}
    assert teams["TEAM_DATA_SCIENCE"] == {"MARTS_FEATURES_READ"}
    assert all(role.endswith("_READ") for roles in teams.values() for role in roles)


def test_every_schema_has_a_role_to_read_and_every_schema_of_tables_one_to_write() -> None:
    roles = {one.role for one in real().access}
    for database in LAYOUT:
        for schema in database.schemas:
            assert f"{database.name}_{schema}_READ" in roles
            assert (f"{database.name}_{schema}_WRITE" in roles) == (schema != "LAKE")


def test_every_role_has_a_way_up_to_sysadmin_and_none_to_another_administrator() -> None:
    found = real()
    everything = {one.role for one in found.access} | {one.role for one in found.functional}
    assert held(found, ADMIN) == everything | {ADMIN}
    assert {holder for _, holder in found.memberships()} <= everything | {ADMIN}


def test_no_role_has_itself() -> None:
    found = real()
    below = {holder: held(found, holder) for _, holder in found.memberships()}
    assert all(holder not in below[member] for member, holder in found.memberships() if member in below)


def test_no_functional_role_has_another_one() -> None:
    found = real()
    functional = {one.role for one in found.functional}
    for one in functional:
        assert held(found, one) & functional == {one}


def test_names_of_roles_are_unique_and_are_identifiers() -> None:
    found = real()
    names = [one.role for one in (*found.access, *found.functional)]
    assert len(set(names)) == len(names)
    assert all(name.replace("_", "").isalnum() and name == name.upper() for name in names)


# -- services as they might be -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("schema", SCHEMAS)
def test_whoever_reads_a_schema_may_not_write_it(schema: str) -> None:
    role = schema.replace(".", "_")
    assert access_of(planned(manifest("reader", reads=of(schema), writes=[])), "reader") == {f"{role}_READ"}


@pytest.mark.parametrize("schema", SCHEMAS)
def test_whoever_writes_a_schema_may_read_it_as_well(schema: str) -> None:
    role = schema.replace(".", "_")
    found = planned(manifest("writer", reads=[], writes=of(schema)))
    assert access_of(found, "writer") == {f"{role}_WRITE"}
    assert {f"{role}_READ", f"{role}_WRITE"} <= held(found, "SERVICE_WRITER")


@pytest.mark.parametrize("schema", [schema for schema in SCHEMAS if len(of(schema)) > 1])
def test_part_of_a_schema_is_refused_with_what_is_missing(schema: str) -> None:
    for names in itertools.combinations(of(schema), len(of(schema)) - 1):
        [missing] = set(of(schema)) - set(names)
        with pytest.raises(SettingsError, match=f"{missing} is missing") as told:
            planned(manifest("some", reads=list(names), writes=[]))
        assert "services/some/service.toml" in str(told.value)


def test_a_dataset_without_a_contract_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"names the dataset shop\.secrets, which has no contract"):
        planned(manifest("odd", reads=["shop.secrets"], writes=[]))


def test_a_dataset_outside_the_layout_is_refused() -> None:
    layout = [DatabaseLayout(name="RAW", schemas=("LAKE",), stage_zone="raw")]
    asking = manifest("lost", reads=of("RAW.SHOP"), writes=[])
    with pytest.raises(SettingsError, match="whose schema is not in the layout"):
        plan(layout, manifests={"lost": asking}, catalog=CATALOG)


def test_a_stage_is_opened_for_who_loads_what_it_reads_in_the_lake() -> None:
    writes = of("RAW.QUARANTINE")
    without = planned(manifest("writer", reads=[], writes=writes))
    with_ = planned(manifest("writer", reads=[], writes=writes, lake=writes))
    assert access_of(with_, "writer") - access_of(without, "writer") == {"RAW_LAKE_READ"}


def test_a_workshop_is_for_who_turns_raw_data_into_marts() -> None:
    raw, marts = of("RAW.SHOP"), of("MARTS.SALES")
    assert "STAGING_SHOP_WRITE" in access_of(planned(manifest("dbt", reads=raw, writes=marts)), "dbt")
    assert "STAGING_SHOP_WRITE" not in access_of(planned(manifest("raw", reads=raw, writes=[])), "raw")
    assert "STAGING_SHOP_WRITE" not in access_of(planned(manifest("marts", reads=[], writes=marts)), "marts")


def test_a_second_service_changes_nothing_for_the_first() -> None:
    one, two = manifest("one", reads=of("MARTS.SALES"), writes=[]), manifest("two", reads=[], writes=of("RAW.SHOP"))
    assert access_of(planned(one), "one") == access_of(planned(one, two), "one")


def test_a_new_contract_in_a_schema_is_asked_of_all_who_use_the_schema() -> None:
    more = dataclasses.replace(CATALOG["sales.weekly_sales"], name="sales.hourly_sales")
    grown: dict[str, Dataset] = {**CATALOG, "sales.hourly_sales": more}
    reader = manifest("reader", reads=of("MARTS.SALES"), writes=[])
    with pytest.raises(SettingsError, match=r"sales\.hourly_sales is missing"):
        plan(LAYOUT, manifests={"reader": reader}, catalog=grown)


choice: Any = st.lists(st.sampled_from(SCHEMAS), unique=True)


@given(wanted=st.lists(st.tuples(choice, choice), max_size=4))
def test_the_matrix_of_service_and_schema_is_as_the_manifests_say(wanted: list[tuple[list[str], list[str]]]) -> None:
    services = [
        manifest(f"s{place}", reads=[n for one in reads for n in of(one)], writes=[n for one in writes for n in of(one)])
        for place, (reads, writes) in enumerate(wanted)
    ]  # fmt: skip
    found = planned(*services)
    for place, (reads, writes) in enumerate(wanted):
        mine = held(found, f"SERVICE_S{place}")
        for schema in SCHEMAS:
            role = schema.replace(".", "_")
            assert (f"{role}_READ" in mine) == (schema in reads or schema in writes)
            assert (f"{role}_WRITE" in mine) == (schema in writes)


@given(st.permutations(sorted(naming.services())))
def test_the_order_of_manifests_does_not_matter(order: list[str]) -> None:
    services = naming.services()
    assert plan(LAYOUT, manifests={name: services[name] for name in order}, catalog=CATALOG) == real()


# -- names -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "users", "role"),
    [("airflow", "LEANDATA_AIRFLOW", "SERVICE_AIRFLOW"), ("price-list", "LEANDATA_PRICE_LIST", "SERVICE_PRICE_LIST")],
)
def test_a_service_has_a_user_and_a_role_of_its_name(name: str, users: str, role: str) -> None:
    assert (user(name), service_role(name)) == (users, role)


@pytest.mark.parametrize(
    ("team", "role"), [("data-team", "TEAM_DATA"), ("data-science", "TEAM_DATA_SCIENCE"), ("ops", "TEAM_OPS")]
)
def test_a_team_is_not_called_a_team_twice(team: str, role: str) -> None:
    assert team_role(team) == role


def test_an_access_role_says_what_it_opens() -> None:
    found = Access(place=Place(database="RAW", schema="SHOP"), level="READ")
    assert (found.role, found.place.name) == ("RAW_SHOP_READ", "RAW.SHOP")


def test_a_service_that_asks_for_nothing_is_given_nothing() -> None:
    assert service_access(LAYOUT, manifest=manifest("idle", reads=[], writes=[]), catalog=CATALOG) == set()
