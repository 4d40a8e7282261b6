"""A service connects as itself: with its own user and key on Snowflake, with its rights to the stand-in."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra.components.connections import own_address
from infra.components.kubernetes import pods
from infra.environment import Environment
from leandata.datasets import CATALOG
from leandata.errors import SettingsError, WarehouseError
from leandata.rights import Guard, Rights
from leandata.settings import WarehouseAddress

STANDIN = "snowflake://leandata@fakesnow?host=127.0.0.1&port=16405&protocol=http"


def environment(name: str) -> Environment:
    return Environment.load(name, environ={})


@pytest.mark.parametrize("name", ["dev", "staging", "prod"])
def test_on_snowflake_it_is_a_user_with_a_role_a_warehouse_and_a_key(name: str) -> None:
    text = own_address(environment(name), "airflow", "snowflake://example-leandata-prod")
    assert WarehouseAddress.parse(text) == WarehouseAddress(
        account="example-leandata-prod",
        user="LEANDATA_AIRFLOW",
        role="SERVICE_AIRFLOW",
        warehouse="PIPELINES",
        private_key_file=Path(pods.SECRETS) / "warehouse-airflow",
    )


def test_a_pod_finds_its_secret_in_the_address() -> None:
    text = own_address(environment("prod"), "airflow", "snowflake://example-leandata-prod")
    assert pods.secrets_named([text]) == ["warehouse-airflow"]


def test_on_snowflake_grants_decide_and_not_the_client() -> None:
    text = own_address(environment("prod"), "airflow", "snowflake://example-leandata-prod")
    assert Rights.of(WarehouseAddress.parse(text)) is None


@pytest.mark.parametrize("name", ["local", "cluster"])
def test_the_stand_in_is_asked_for_what_the_manifest_names_and_no_more(name: str) -> None:
    address = WarehouseAddress.parse(own_address(environment(name), "airflow", STANDIN))
    assert (address.host, address.port, address.user) == ("127.0.0.1", 16405, "leandata")
    assert address.role == "SERVICE_AIRFLOW"
    assert address.writes == ("MARTS.FEATURES", "MARTS.SALES", "RAW.QUARANTINE", "RAW.SHOP", "STAGING.SHOP")
    assert address.reads == ("MARTS.LAKE", "RAW.LAKE")


@pytest.mark.parametrize("dataset", sorted(name for name, one in CATALOG.items() if one.layer != "MODELS"))
def test_airflow_may_load_every_dataset_into_the_stand_in(dataset: str) -> None:
    rights = Rights.of(WarehouseAddress.parse(own_address(environment("local"), "airflow", STANDIN)))
    assert rights is not None
    one = CATALOG[dataset]
    Guard(rights=rights).demand(f"COPY INTO {one.warehouse_table} FROM @{one.layer}.LAKE.FILES FILES = ('x')")


def test_airflow_may_make_no_databases_there_and_no_users() -> None:
    rights = Rights.of(WarehouseAddress.parse(own_address(environment("local"), "airflow", STANDIN)))
    assert rights is not None
    for sql in ("CREATE DATABASE X", "CREATE USER X", "SELECT * FROM SNOWFLAKE.ACCOUNT_USAGE.USERS"):
        with pytest.raises(WarehouseError, match="SERVICE_AIRFLOW may not"):
            Guard(rights=rights).demand(sql)


@pytest.mark.parametrize("name", ["local", "prod"])
@pytest.mark.parametrize("service", ["api", "dash", "dask"])
def test_a_service_that_asks_for_nothing_gets_no_address(name: str, service: str) -> None:
    with pytest.raises(SettingsError, match=f"{service} has no business in the warehouse"):
        own_address(environment(name), service, STANDIN)
