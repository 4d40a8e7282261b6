"""Which tests a change can affect: what they import, ask for, name, run and look through; what is unknown is all."""

from __future__ import annotations

import argparse
import dataclasses
import functools

import pytest

from ci.affected.changes import Changes
from ci.affected.choosing import _WHOLE, Choosing, choose
from ci.affected.tree import Tree
from ci.commands import VERBS
from ci.tests.affected.test_stacks import WHOLE
from ci.verbs import test as testing

pytestmark = pytest.mark.thorough("ci/*", "infra/*", "shared/*", "conftest.py", "pyproject.toml")


@functools.cache
def tree() -> Tree:
    return Tree.of(WHOLE)


def changed(*paths: str, **more: frozenset[str]) -> Changes:
    return dataclasses.replace(WHOLE, changed=frozenset(paths), **more)


@functools.cache
def files(path: str) -> frozenset[str]:
    return frozenset(choose(changed(path), tree=tree()).files)


@functools.cache
def every() -> frozenset[str]:
    return frozenset(Choosing(WHOLE, tree=tree()).tests())


def test_the_tests_are_those_that_pytest_collects() -> None:
    assert "shared/tests/test_lake.py" in every()
    assert "services/api/tests/test_api.py" in every()
    assert not any(path.startswith("ci/cluster_test/") for path in every()), "they are no testpath"
    assert not any(path.endswith(("/conftest.py", "/graphs.py")) for path in every())


@pytest.mark.parametrize("part", range(12))
def test_a_changed_test_is_run(part: int) -> None:
    for test in sorted(every())[12 * part :: 144]:
        assert test in files(test)


@pytest.mark.parametrize(
    ("path", "run", "not_run"),
    [
        ("services/api/serving/app.py", "services/api/tests/test_api.py", "services/dask/tests/test_features.py"),
        ("services/dask/tasks/features.py", "services/dask/tests/test_features.py", "services/api/tests/test_api.py"),
        ("services/airflow/pipelines/dbt/models/sources.yml", "services/airflow/tests/test_models.py", "services/dask/tests/test_features.py"),
        ("services/airflow/pipelines/dags/transform.py", "services/airflow/tests/test_dags_loaded.py", "services/api/tests/test_api.py"),
        ("shared/leandata/lake.py", "shared/tests/test_lake.py", "shared/tests/test_clock.py"),
        ("infra/tests/components/aws/conftest.py", "infra/tests/components/aws/test_keys.py", "infra/tests/parts/test_aws.py"),
        ("infra/tests/snapshots/prod.txt", "infra/tests/test_snapshots.py", "shared/tests/test_clock.py"),
        ("infra/standins/shop/cdnow.csv", "infra/tests/standins/test_shop.py", "shared/tests/test_clock.py"),
        ("infra/environments/prod.toml", "infra/tests/test_environment.py", "shared/tests/test_clock.py"),
        ("infra/components/machine/mail.py", "infra/tests/test_snapshots.py", "shared/tests/test_clock.py"),
        ("infra/policy/iam.py", "infra/tests/policy/test_rights.py", "shared/tests/test_clock.py"),
        ("ci/cli.py", "ci/tests/test_command_line.py", "shared/tests/test_clock.py"),
        ("ci/commands.py", "ci/tests/test_command_line.py", "ci/tests/test_access.py"),
        ("ci/owners/teams.py", "ci/tests/owners/test_teams.py", "infra/tests/test_units.py"),
        ("owners.toml", "ci/tests/owners/test_teams.py", "infra/tests/test_units.py"),
        ("README.md", "ci/tests/test_documents.py", "infra/tests/test_units.py"),
        ("docs/cloud.md", "ci/tests/test_documents.py", "infra/tests/e2e/test_platform.py"),
        ("Makefile", "infra/tests/e2e/test_platform.py", "infra/tests/test_units.py"),
    ],
)  # fmt: skip
def test_what_a_test_is_made_of_runs_it_and_nothing_else_does(path: str, run: str, not_run: str) -> None:
    assert {run, not_run} <= every()
    assert run in files(path)
    assert not_run not in files(path)


@pytest.mark.parametrize("path", ["services/api/serving/app.py", "infra/units.py", "ci/programs.py", "Makefile"])
def test_the_whole_platform_is_tested_for_whatever_it_is_made_of(path: str) -> None:
    assert "infra/tests/e2e/test_platform.py" in files(path)


SERVICES_OWN = [
    "services/airflow/pipelines/report/render.py",
    "services/api/serving/customers.py",
    "services/dash/dashboards/app.py",
    "services/dask/tasks/features.py",
]


@pytest.mark.parametrize("path", SERVICES_OWN)
@pytest.mark.parametrize(
    "declares", ["infra/tests/test_snapshots.py", "infra/tests/stacks/test_whole_account.py", "ci/tests/test_cost.py"]
)
def test_what_a_program_only_says_to_start_runs_no_test_of_declarations(path: str, declares: str) -> None:
    assert path in WHOLE.after
    assert declares in every()
    assert declares not in files(path)


@pytest.mark.parametrize("path", ["services/dash/dashboards/cohorts.py", "services/dash/dashboards/pages/sales.py"])
@pytest.mark.parametrize("loads", ["test_pages.py", "test_login.py", "test_in_chromium.py"])
def test_what_loads_every_page_is_run_for_what_any_of_them_is_made_of(path: str, loads: str) -> None:
    assert f"services/dash/tests/{loads}" in files(path)


@pytest.mark.parametrize("path", SERVICES_OWN)
def test_what_deploys_the_whole_platform_is_run_for_the_code_of_every_service(path: str) -> None:
    assert "infra/tests/e2e/test_platform.py" in files(path)


@pytest.mark.parametrize("path", SERVICES_OWN[1:])  # of the report there is a verb
@pytest.mark.parametrize(
    "deploys",
    ["ci/tests/release/test_rollback.py", "ci/tests/test_deploying.py", "ci/tests/drift/test_by_hand_on_a_platform.py"],
)
def test_what_deploys_a_few_stacks_is_not_run_for_the_code_of_others(path: str, deploys: str) -> None:
    assert deploys in every()
    assert deploys not in files(path)


@pytest.mark.parametrize(
    ("path", "stack"),
    [
        ("infra/standins/mail/__main__.py", "mail"),
        ("infra/components/machine/lake.py", "lake"),
        ("infra/components/machine/mail.py", "mail"),
        ("infra/environments/local.toml", "lake"),
    ],
)
def test_what_deploys_a_few_stacks_is_run_for_what_these_are_made_of(path: str, stack: str) -> None:
    assert path in WHOLE.after
    found = choose(changed(path), tree=tree()).files["ci/tests/release/test_rollback.py"]
    assert found.startswith(f"ci/tests/release/test_rollback.py deploys the stack {stack}: {path}")


@pytest.mark.parametrize("path", ["ci/deploy.py", "ci/verbs/deploy.py", "infra/provider/supervisor.py", "ci/engine.py"])
def test_what_deploys_a_few_stacks_is_run_for_what_the_verb_itself_is_made_of(path: str) -> None:
    assert path in WHOLE.after
    assert "ci/tests/test_deploying.py" in files(path)


@pytest.mark.parametrize("path", SERVICES_OWN)
def test_one_file_of_a_service_runs_at_most_a_fifth_of_all(path: str) -> None:
    assert len(files(path)) <= len(every()) / 5


@pytest.mark.parametrize(
    ("path", "says_it", "does_not"),
    [
        ("ci/verbs/access.py", "ci/tests/test_access.py", "ci/tests/test_cost.py"),
        ("ci/verbs/smoke.py", "ci/tests/test_smoke.py", "ci/tests/test_access.py"),
        ("ci/bench/cloud.py", "ci/tests/test_command_line.py", "ci/tests/test_key.py"),
    ],
)
def test_a_verb_runs_the_tests_that_say_its_name_or_take_the_whole_table(
    path: str, says_it: str, does_not: str
) -> None:
    assert path in WHOLE.after
    assert {says_it, does_not} <= every()
    assert says_it in files(path)
    assert does_not not in files(path)


def test_the_verbs_that_start_or_read_all_are_verbs() -> None:
    assert set(VERBS) > _WHOLE


def test_why_a_platform_is_deployed_anew_names_the_verb() -> None:
    found = choose(changed("services/api/serving/customers.py"), tree=tree())
    test = "infra/tests/e2e/test_whole_platform_on_demand.py"
    assert found.files[test] == f"{test} runs all that a checkout holds by `deploy`: services/api/serving/customers.py"


@pytest.mark.parametrize("path", ["uv.lock", "pyproject.toml", "conftest.py"])
def test_what_every_test_stands_on_runs_all(path: str) -> None:
    assert files(path) == every()


def test_a_file_that_nobody_names_runs_all_and_says_why() -> None:
    found = choose(changed("strange.bin", after=WHOLE.after | {"strange.bin"}), tree=tree())
    assert frozenset(found.files) == every()
    assert found.why_all == "strange.bin is a file that nobody names"


def test_a_new_name_that_can_be_imported_runs_all() -> None:
    found = choose(changed("yaml.py", after=WHOLE.after | {"yaml.py"}), tree=tree())
    assert found.why_all == "the module yaml came or went: it may hide a library"


def test_a_deleted_test_is_not_run() -> None:
    gone = "shared/tests/test_clock.py"
    found = choose(changed(gone, after=WHOLE.after - {gone}), tree=tree())
    assert gone not in found.files
    assert found.all_ == len(every()) - 1


def test_without_a_change_nothing_is_run() -> None:
    found = choose(changed(), tree=tree())
    assert (dict(found.files), found.all_) == ({}, len(every()))


def test_every_file_that_is_run_has_its_reason() -> None:
    found = choose(changed("shared/leandata/clock.py"), tree=tree())
    assert found.files["shared/tests/test_clock.py"] == "shared/tests/test_clock.py -> shared/leandata/clock.py"
    assert all(found.files.values())
    assert 0 < len(found.files) < len(every())


def test_shared_fixtures_count_for_those_that_ask_for_them() -> None:
    asked = Choosing(changed(), tree=tree())
    assert "infra/testing/fixtures.py" in asked._starts("services/airflow/tests/test_pipelines.py")
    assert "infra/testing/fixtures.py" not in asked._starts("shared/tests/test_clock.py")
    assert files("infra/testing/fixtures.py") == every(), "every run of pytest loads it"


def test_the_verb_prints_how_many_of_how_many(capsys: pytest.CaptureFixture[str]) -> None:
    options = argparse.Namespace(service="api", fast=True, changed=True, base="HEAD", dry=True)
    assert testing.test(options) == 0
    said = capsys.readouterr().out
    assert "files differ from" in said
    assert " test files can be\naffected" in said
