"""Which stacks a change of our own tree touches: file by file, for every environment, with its reason."""

from __future__ import annotations

import dataclasses
import functools
import json
import shutil
from pathlib import Path

import pytest

from ci import cli
from ci.affected.changes import Changes
from ci.affected.stacks import ENVIRONMENTS, LOCKS, Question, affected, program_of
from ci.affected.tree import Tree
from ci.graph import discover, made_in
from ci.tests.affected.test_changes import git
from ci.verbs.owners import tracked
from infra.components.stack import folder
from infra.environment import ROOT, Environment, names
from leandata.errors import LeandataError

pytestmark = pytest.mark.thorough(
    "ci/*", "infra/*", "shared/*", "pyproject.toml", "services/*/deploy.py", "services/*/service.toml", "*Dockerfile"
)
PATHS = frozenset(tracked(ROOT))
OLD = {path: (ROOT / path).read_bytes() for path in (*LOCKS, *(p for p in PATHS if p.startswith(ENVIRONMENTS)))}
WHOLE = Changes(root=ROOT, commit="0" * 40, before=PATHS, after=PATHS, changed=frozenset(), old=OLD)


@functools.cache
def tree() -> Tree:
    return Tree.of(WHOLE, wanted=lambda path: "/tests/" not in path)


def question(*changed: str) -> Question:
    return Question(dataclasses.replace(WHOLE, changed=frozenset(changed)), tree=tree())


def stacks(path: str, environment: str = "local") -> set[str]:
    return set(question(path).stacks(environment))


ALL = {name: set(question().all_stacks(name)) for name in names()}
SERVICES = {"airflow", "api", "dash", "dask"}


@pytest.mark.parametrize(
    ("path", "touched"),
    [
        ("services/api/serving/app.py", {"api"}),
        ("services/api/Dockerfile", {"api"}),
        ("services/dash/dashboards/assets/style.css", {"dash"}),
        ("services/airflow/pipelines/dbt/models/sources.yml", {"airflow"}),
        ("services/airflow/pipelines/dbt/tests/sales_are_fresh.sql", {"airflow"}),
        ("services/api/deploy.py", {"api"}),
        ("services/dask/deploy.py", {"dask", "airflow"}),
        ("services/api/tests/test_api.py", set()),
        ("services/api/README.md", set()),
        ("infra/stacks/mail/__main__.py", {"mail", "airflow"}),
        ("infra/stacks/lake/__main__.py", {"lake", "warehouse", "airflow"}),
        ("infra/stacks/foundation/__main__.py", set()),
        ("infra/components/mail.py", {"mail", "airflow"}),
        ("infra/components/machine/mail.py", {"mail", "airflow"}),
        ("infra/components/aws/network.py", set()),
        ("infra/standins/mail/smtp.py", {"mail"}),
        ("infra/standins/shop/cdnow.csv", {"database"}),
        ("infra/standins/snowflake/launcher.py", {"warehouse", "airflow"}),
        ("services/airflow/pipelines/functions/segment.py", {"warehouse", "airflow"}),
        ("infra/provider/kinds/warehouse.py", {"warehouse", "airflow"}),
        ("infra/keys/prod.json", set()),
        ("infra/policy/iam.py", set()),
        ("infra/policy/waivers.toml", set()),
        ("ci/prices.toml", set()),
        ("docs/cloud.md", set()),
        ("Makefile", set()),
        ("owners.toml", set()),
        ("infra/tests/snapshots/local.txt", set()),
        ("infra/units.py", ALL["local"]),
        ("infra/components/naming.py", ALL["local"]),
        ("services/api/service.toml", ALL["local"]),
        ("ci/mocked.py", ALL["local"]),
        ("ci/programs.py", ALL["local"]),
    ],
)  # fmt: skip
def test_a_file_touches_the_stacks_that_it_makes_on_one_machine(path: str, touched: set[str]) -> None:
    assert path in PATHS
    assert stacks(path) == touched


@pytest.mark.parametrize(
    ("path", "environment", "touched"),
    [
        ("infra/components/aws/network.py", "prod", ALL["prod"] - {"bootstrap"}),
        ("infra/components/aws/network.py", "cluster", set()),
        ("infra/keys/prod.json", "dev", set()),
        ("infra/components/machine/mail.py", "prod", set()),
        ("infra/standins/mail/smtp.py", "prod", set()),
        ("infra/standins/mail/smtp.py", "cluster", {"mail"}),
        ("services/api/serving/app.py", "prod", {"api"}),
        ("infra/components/aws/money.py", "prod", {"bootstrap"}),
        ("infra/components/aws/money.py", "local", set()),
        ("infra/units.py", "staging", ALL["staging"]),
    ],
)
def test_a_file_touches_other_stacks_elsewhere(path: str, environment: str, touched: set[str]) -> None:
    assert path in PATHS
    assert stacks(path, environment) == touched


def test_the_keys_of_an_environment_are_read_by_its_warehouse_only_there() -> None:
    assert "warehouse" in stacks("infra/keys/prod.json", "prod")
    assert stacks("infra/keys/prod.json", "staging") == set()


@pytest.mark.parametrize("environment", names())
def test_an_environment_s_file_touches_all_of_it_and_nothing_else(environment: str) -> None:
    asked = question(f"{ENVIRONMENTS}{environment}.toml")
    for name in names():
        assert set(asked.stacks(name)) == (ALL[name] if name == environment else set())


@pytest.mark.parametrize(
    "path", ["strange.bin", "infra/components/extra.yaml", "services/new/data.csv", "scripts/x.sh"]
)
def test_a_file_of_which_nothing_is_known_touches_all(path: str) -> None:
    found = dataclasses.replace(WHOLE, after=PATHS | {path}, changed=frozenset({path}))
    for name in names():
        touched = Question(found, tree=tree()).stacks(name)
        assert set(touched) == ALL[name]
        assert touched["api"] == (f"{path} is a file of which nothing is known",)


@pytest.mark.parametrize("path", ["yaml.py", "shared/pulumi/__init__.py", "services/api/requests.py"])
def test_a_module_that_may_hide_a_library_touches_all(path: str) -> None:
    found = dataclasses.replace(WHOLE, after=PATHS | {path}, changed=frozenset({path}))
    asked = Question(found, tree=dataclasses.replace(tree(), paths=tree().paths | {path}))
    assert set(asked.stacks("local")) == ALL["local"]
    assert "may hide a library" in asked.stacks("local")["api"][0]


def test_a_stack_that_is_gone_is_touched_with_those_that_needed_it() -> None:
    gone = "services/dask/deploy.py"
    found = dataclasses.replace(WHOLE, after=PATHS - {gone}, changed=frozenset({gone}))
    touched = Question(found, tree=tree()).stacks("local")
    assert touched["dask"][0] == f"{gone} is gone: all that the stack has made would be deleted"


def test_every_reason_names_a_file_or_a_stack() -> None:
    for path in ("services/api/serving/app.py", "infra/units.py", "infra/stacks/lake/__main__.py"):
        for reasons in question(path).stacks("prod").values():
            assert reasons
            assert all(path in reason or reason.startswith("needs ") for reason in reasons)


def test_a_way_of_imports_is_shown() -> None:
    reasons = question("infra/components/machine/mail.py").stacks("local")
    steps = "infra/stacks/mail/__main__.py -> infra/components/mail.py -> infra/components/machine/mail.py"
    assert reasons["mail"][0] == f"infra/components/machine/mail.py is its program ({steps})"
    assert reasons["airflow"] == ("needs mail, whose outputs may change",)


def test_no_change_touches_nothing() -> None:
    assert [question().stacks(name) for name in names()] == [{} for _ in names()]


def test_an_unknown_environment_is_told() -> None:
    with pytest.raises(LeandataError, match="unknown environment 'prdo'"):
        question().stacks("prdo")


@pytest.mark.parametrize("environment", names())
def test_all_stacks_are_those_that_deploy_and_bootstrap_have(environment: str) -> None:
    known = {**discover(ROOT, environment), **discover(ROOT, environment, by_hand=True)}
    assert question().all_stacks(environment) == sorted(known)


@pytest.mark.parametrize("environment", names())
@pytest.mark.parametrize(
    "part", ["service", "compute", "orchestrator", "lake", "warehouse", "database", "mail", "secret"]
)
def test_a_part_is_looked_for_where_programs_find_it(environment: str, part: str) -> None:
    loaded = Environment.load(environment, environ={})
    assert made_in(loaded.file.substrates.model_dump(), part) == folder(loaded, part)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("infra/stacks/lake/__main__.py", "lake"),
        ("services/api/deploy.py", "api"),
        ("infra/stacks/lake/outputs.py", ""),
        ("infra/stacks/a/b/__main__.py", ""),
        ("services/deploy.py", ""),
    ],
)
def test_which_stack_a_program_is(path: str, name: str) -> None:
    assert program_of(path) == name


def test_on_average_at_most_half_of_all_stacks_is_touched() -> None:
    """Over every file of source, environments and data, in every environment."""
    files = [
        path for path in sorted(PATHS) if path.startswith(("infra/", "services/", "shared/")) and "/tests/" not in path
    ]
    shares = [len(stacks(path, name)) / len(ALL[name]) for path in files[::4] for name in ("local", "prod")]
    share = sum(shares) / len(shares)
    print(f"{len(files[::4])} files: {share:.0%} of all stacks on average")
    assert len(shares) >= 100
    assert share <= 0.5


# -- in a checkout of its own, with git --------------------------------------------------------------------------------


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    for place in ("infra", "services", "shared", "ci"):
        shutil.copytree(ROOT / place, tmp_path / place, ignore=shutil.ignore_patterns("tests", ".venv", "__pycache__"))
    for name in (*LOCKS, ".gitignore"):
        shutil.copy(ROOT / name, tmp_path / name)
    git(tmp_path, "init", "-q", "-b", "main")
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-q", "-m", "one")
    return tmp_path


@pytest.mark.integration
def test_uncommitted_untracked_deleted_and_renamed_files_count(checkout: Path) -> None:
    assert affected(checkout, "HEAD", "local") == {}
    (checkout / "services/api/serving/extra.txt").write_text("x")
    assert set(affected(checkout, "HEAD", "local")) == {"api"}
    (checkout / "services/api/serving/extra.txt").unlink()
    (checkout / "services/dash/dashboards/formats.py").rename(checkout / "services/dash/dashboards/sold.py")
    touched = affected(checkout, "HEAD", "local")
    assert set(touched) == {"dash"}
    for name in ("formats.py", "sold.py"):
        assert any(f"services/dash/dashboards/{name} is code" in reason for reason in touched["dash"]), touched["dash"]
    git(checkout, "add", "-A")
    git(checkout, "commit", "-qm", "two")
    assert affected(checkout, "HEAD~1", "local") == touched
    (checkout / "infra/components/machine/mail.py").write_text("def broken(:\n")
    assert set(affected(checkout, "HEAD", "local")) == {"airflow", "mail"}, "a file that Python cannot read"


@pytest.mark.integration
def test_an_environment_that_loses_a_place_touches_the_stacks_that_it_loses(checkout: Path) -> None:
    file = checkout / "infra/environments/cluster.toml"
    shutil.copy(checkout / "infra/environments/local.toml", file)
    touched = affected(checkout, "HEAD", "cluster")
    assert "cluster" in touched, "it was there before"
    file.write_text("= broken")
    with pytest.raises(LeandataError, match="not valid TOML"):
        affected(checkout, "HEAD", "cluster")


def test_the_verb_answers_for_machines(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["affected", "--base", "HEAD", "--only-env", "local", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["version"] == 1
    assert answer["all_stacks"] == {"local": sorted(ALL["local"])}
    assert {"base", "changed", "images", "services", "stacks"} <= set(answer)


def test_the_verb_answers_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["affected", "--base", "HEAD"]) == 0
    said = capsys.readouterr().out
    assert "files differ from" in said
    for name in names():
        assert f"of {len(ALL[name])} stacks" in said
