"""Names, labels and tags: from one function each, the same everywhere, and such as the places that hold them take."""

from __future__ import annotations

import re

import pytest

from infra.components import naming
from infra.environment import ROOT, Environment, names
from leandata.errors import SettingsError

CLOUD = [name for name in names() if name != "local"]
LABEL = re.compile(r"([A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?")
DNS = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
TAG = re.compile(r"[\w .:/=+@-]{0,256}")
SERVICES = sorted(naming.services(ROOT))


def environment(name: str) -> Environment:
    return Environment.load(name, environ={})


@pytest.mark.parametrize(
    ("process", "home"),
    [
        ("api", "api"),
        ("airflow-api", "airflow"),
        ("airflow-scheduler", "airflow"),
        ("airflow-task", "airflow"),
        ("dash", "dash"),
        ("dask-scheduler", "dask"),
        ("dask-worker-2", "dask"),
        ("lake", "standins"),
        ("mail", "standins"),
        ("mail-web", "standins"),
        ("postgres", "standins"),
        ("warehouse", "standins"),
        ("compute-operator", "system"),
        ("database-airflow", "system"),
        ("apis", "system"),
        ("dashing", "system"),
    ],
)
def test_every_process_has_a_home(process: str, home: str) -> None:
    assert naming.home(process) == home


def test_every_process_of_a_manifest_is_at_home_in_its_service() -> None:
    for service, manifest in naming.services(ROOT).items():
        for process in manifest.process:
            assert naming.home(process.name) == service


@pytest.mark.parametrize("name", CLOUD)
def test_namespaces_are_names_of_dns_and_each_owner_has_its_own(name: str) -> None:
    owners = [*SERVICES, naming.STANDINS, naming.SYSTEM]
    found = [naming.namespace(environment(name), owner) for owner in owners]
    assert len(set(found)) == len(owners)
    assert all(DNS.fullmatch(one) for one in found)


def test_one_machine_has_no_namespaces_and_says_what_is_missing() -> None:
    with pytest.raises(SettingsError, match=re.escape("Add the table [kubernetes]")):
        naming.namespace(environment("local"), "api")


@pytest.mark.parametrize("name", CLOUD)
def test_a_host_leads_to_the_namespace_of_the_process(name: str) -> None:
    assert naming.host(environment(name), "api") == "api.leandata-api.svc"
    assert naming.host(environment(name), "dask-scheduler") == "dask-scheduler.leandata-dask.svc"


@pytest.mark.parametrize("name", CLOUD)
@pytest.mark.parametrize("service", [*SERVICES, "system"])
def test_labels_are_such_as_kubernetes_takes(name: str, service: str) -> None:
    found = naming.labels(environment(name), stack="any", service=service)
    assert all(LABEL.fullmatch(value) and value for value in found.values())
    assert found["leandata.io/environment"] == name
    assert found["app.kubernetes.io/part-of"] == service


@pytest.mark.parametrize("name", CLOUD)
@pytest.mark.parametrize("service", ["", *SERVICES])
def test_tags_are_such_as_aws_takes_and_say_who_owns_and_who_pays(name: str, service: str) -> None:
    found = naming.tags(environment(name), stack="lake", service=service)
    assert {"owner", "cost-centre", "environment", "stack", "service", "managed-by"} == set(found)
    assert all(TAG.fullmatch(value) and value for value in found.values())
    assert not any(key.startswith("aws:") for key in found)


@pytest.mark.parametrize("service", SERVICES)
def test_what_belongs_to_a_service_belongs_to_its_team(service: str) -> None:
    manifest = naming.services(ROOT)[service]
    assert naming.owner(environment("prod"), service) == (manifest.owner, manifest.cost_centre)


def test_what_belongs_to_no_service_belongs_to_the_environment_s_owner() -> None:
    prod = environment("prod")
    assert naming.owner(prod, "foundation") == (prod.file.owner, prod.file.cost_centre)


def test_names_in_an_account_tell_environments_apart() -> None:
    found = {naming.account_wide(environment(name), "lake", "raw") for name in CLOUD}
    assert len(found) == len(CLOUD)
    assert naming.account_wide(environment("prod"), "lake", "raw") == "leandata-prod-lake-raw"


@pytest.mark.parametrize("name", ["dev", "staging", "prod"])
def test_state_lies_in_a_bucket_whose_name_nobody_else_can_have(name: str) -> None:
    here = environment(name)
    bucket = naming.state_bucket(here)
    assert bucket is not None
    assert here.file.aws is not None
    assert bucket.bucket.endswith(here.file.aws.account)
    assert len(bucket.bucket) <= 63
    assert bucket.url == f"s3://{bucket.bucket}?region={here.file.aws.region}"
    assert bucket.secrets_provider.startswith("awskms:///alias/leandata-")


@pytest.mark.parametrize("name", ["local", "cluster"])
def test_where_there_is_no_account_state_lies_in_the_environment_s_folder(name: str) -> None:
    assert naming.state_bucket(environment(name)) is None


@pytest.mark.parametrize("service", SERVICES)
def test_who_calls_a_process_says_so_in_its_manifest(service: str) -> None:
    manifests = naming.services(ROOT)
    for called in manifests[service].network.calls:
        assert service in naming.callers(environment("cluster"), called)


@pytest.mark.parametrize(
    ("role", "secret"), [("serving_reader", "database-serving-reader"), ("airflow", "database-airflow")]
)
def test_a_role_s_secret_is_named_by_the_role(role: str, secret: str) -> None:
    assert naming.database_secret(role) == secret


@pytest.mark.parametrize("service", SERVICES)
def test_a_role_s_secret_lies_where_the_role_is_used(service: str) -> None:
    for role in naming.services(ROOT)[service].data.database.roles:
        assert service in naming.secret_homes(environment("prod"), naming.database_secret(role))
