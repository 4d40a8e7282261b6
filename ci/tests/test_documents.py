"""What our documents, workflows and images say is so: commands, folders, ports, dependencies, users."""

from __future__ import annotations

import ast
import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest

from ci import images
from ci.bootstrap import PULUMI
from ci.cli import VERBS
from infra.environment import ROOT, Environment
from leandata.datasets import CATALOG

README = (ROOT / "README.md").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
SERVICES = sorted(path.parent.name for path in (ROOT / "services").glob("*/service.toml"))
DOCUMENTS = [
    ROOT / "README.md",
    ROOT / "CHANGELOG.md",
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "services").glob("*/README.md")),
]
TARGETS = set(re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text(), re.MULTILINE))


def names(requirements: list[Any]) -> set[str]:
    return {re.split(r"[\[<>=! ]", text)[0] for text in requirements if isinstance(text, str)}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_command_that_a_document_names_is_a_target(document: Path) -> None:
    text = document.read_text()
    commands = set(re.findall(r"`make ([a-z-]+)", text)) | set(re.findall(r"^ {4}make ([a-z-]+)", text, re.MULTILINE))
    assert commands <= TARGETS, commands - TARGETS


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_link_inside_the_repository_leads_somewhere(document: Path) -> None:
    for link in re.findall(r"\]\(([^)]+)\)", document.read_text()):
        if not link.startswith(("http://", "https://", "#")):
            assert (document.parent / link.partition("#")[0]).exists(), link


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_document_names_somebody_s_machine(document: Path) -> None:
    text = document.read_text()
    for place in ("/root/", "/home/"):
        assert place not in text


def test_every_verb_is_a_target_and_every_target_a_verb() -> None:
    assert TARGETS - {"help"} == set(VERBS)


@pytest.mark.parametrize(
    "place", re.findall(r"^ {4}((?:infra|shared|services|ci|docs)/[a-z/]*) ", README, re.MULTILINE)
)
def test_every_folder_on_the_map_is_there(place: str) -> None:
    assert (ROOT / place).is_dir()


def test_the_addresses_of_the_readme_are_those_of_the_environment() -> None:
    environment = Environment.load("local", environ={})
    for heading, process in (
        ("Sales dashboard", "dash"),
        ("Mailed reports", "mail-web"),
        ("Airflow", "airflow-api"),
        ("API", "api"),
    ):
        (port,) = set(re.findall(rf"{heading} +http://127\.0\.0\.1:([0-9]+)", README))
        assert int(port) == environment.port(process)


def test_the_readme_says_what_is_not_proven() -> None:
    assert "## What is proven, and what is not" in README
    for word in ("Snowflake", "macOS", "Dockerfiles"):
        assert word in README.split("## What is proven, and what is not")[1]


@pytest.mark.parametrize("group", sorted(PROJECT["dependency-groups"]))
def test_every_dependency_is_named_with_its_reason(group: str) -> None:
    text = (ROOT / "CHANGELOG.md").read_text().lower()
    known = {
        "dask": "distributed",
        "apache-airflow-providers-snowflake": "apache-airflow",
        "apache-airflow-providers-smtp": "apache-airflow",
    }
    tools = {"basedpyright", "import-linter", "pytest-timeout", "ruff", "vulture", "sqlalchemy"}
    for name in names(PROJECT["dependency-groups"][group]) - tools:
        assert known.get(name, name) in text, name


def test_what_is_pinned_together_is_pinned() -> None:
    lock = tomllib.loads((ROOT / "uv.lock").read_text())
    versions = {package["name"]: package["version"] for package in lock["package"] if "version" in package}
    assert versions["pulumi"] == PULUMI
    assert versions["apache-airflow"] == "3.3.2"
    assert versions["dask"] == versions["distributed"] == "2026.8.0"
    assert versions["dash"] == "4.4.1"
    assert versions["snowflake-connector-python"].startswith("4.")
    assert versions["dbt-core"] < "1.12"
    assert versions["sqlalchemy"] < "2.1"


def test_the_engine_that_is_built_is_of_our_version() -> None:
    assert f"github.com/pulumi/pulumi/pkg/v3 v{PULUMI}" in (ROOT / "infra" / "engine" / "go.mod").read_text()


def test_decisions_are_numbered_dated_and_decided() -> None:
    decisions = sorted((ROOT / "docs" / "adr").glob("*.md"))
    for number, path in enumerate(decisions, start=1):
        assert path.name.startswith(f"{number:04}-")
        text = path.read_text()
        assert text.startswith(f"# {number}. ")
        assert re.search(r"^Date: 20\d\d-\d\d-\d\d\. Status: accepted\.$", text, re.MULTILINE)


def test_ci_runs_what_the_readme_gives() -> None:
    lines = (ROOT / ".ci" / "run").read_text().splitlines()
    assert lines.index("make check") < lines.index("make test")


# -- images ------------------------------------------------------------------------------------------------------------


def dockerfile(service: str) -> str:
    return (ROOT / "services" / service / "Dockerfile").read_text()


@pytest.mark.parametrize("service", SERVICES)
def test_an_image_runs_as_nobody_in_particular(service: str) -> None:
    text = dockerfile(service)
    assert re.search(r"^USER [1-9][0-9]{3,}$", text, re.MULTILINE)
    assert text.index("USER") < text.index("CMD" if "CMD" in text else "ENTRYPOINT")


@pytest.mark.parametrize("service", SERVICES)
def test_an_image_holds_the_locked_group_of_its_service_and_nothing_to_build_with(service: str) -> None:
    text = dockerfile(service)
    (group,) = set(re.findall(r"--group ([a-z]+)", text))
    assert group == service
    assert "--frozen" in text
    last = text.split("FROM ")[-1]
    for tool in ("pip install", "uv sync", "apt-get", "gcc"):
        assert tool not in last, tool


@pytest.mark.parametrize("image", sorted(images.RECIPES))
def test_what_an_image_copies_is_in_its_context(image: str) -> None:
    recipe = images.RECIPES[image]
    context = images.contents(ROOT, recipe)
    for line in (ROOT / recipe.dockerfile).read_text().splitlines():
        if line.startswith("COPY ") and "--from" not in line:
            for place in line.split()[1:-1]:
                assert any(file == place or file.startswith(f"{place}/") for file in context), place


# -- code --------------------------------------------------------------------------------------------------------------


def modules() -> list[Path]:
    return [
        path
        for folder in ("ci", "infra", "services", "shared")
        for path in sorted((ROOT / folder).rglob("*.py"))
        if ".venv" not in path.parts and "tests" not in path.parts
    ]


@pytest.mark.parametrize("path", modules(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_module_says_what_it_is_and_every_public_name_what_it_promises(path: Path) -> None:
    tree = ast.parse(path.read_text())
    assert ast.get_docstring(tree), path
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            assert ast.get_docstring(node) or path.parent.name == "dags", f"{path}: {node.name}"


@pytest.mark.parametrize("path", modules(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_module_listens_to_everybody_but_in_its_own_pod(path: Path) -> None:
    if path != ROOT / "infra" / "components" / "stack.py":
        assert '"0.0.0.0"' not in path.read_text()


@pytest.mark.parametrize("contract", CATALOG.values(), ids=lambda found: found.name)
def test_every_mart_is_a_dbt_model_with_its_columns_described_or_computed_elsewhere(contract: Any) -> None:
    if contract.layer != "MARTS" or contract.name.startswith("features."):
        return
    folder = ROOT / "services" / "airflow" / "pipelines" / "dbt" / "models" / "marts"
    sql = (folder / f"{contract.table}.sql").read_text()
    models = re.split(r"^  - name: ", (folder / "marts.yml").read_text(), flags=re.MULTILINE)
    (described,) = [model for model in models if model.startswith(f"{contract.table}\n")]
    for column in contract.key:
        assert column in sql
        assert re.search(rf"name: {column}\b", described), column
        assert "unique" in described


@pytest.mark.parametrize(
    "place",
    [
        ".leandata/local/secrets/api-key",
        ".venv/bin/python",
        "build/screenshots/mail.png",
        "ci/__pycache__/x.pyc",
        ".hypothesis/x",
    ],
)
def test_what_an_environment_owns_is_never_committed(place: str) -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("this is no git checkout; run the tests in a clone to see it")
    answer = subprocess.run(["git", "check-ignore", "-q", place], cwd=ROOT, check=False)
    assert answer.returncode == 0, place


def test_the_seed_says_where_it_is_from() -> None:
    text = (ROOT / "infra" / "standins" / "shop" / "README.md").read_text()
    for said in ("CDNOW", "Fader and B. Hardie", "`lifetimes` 0.11.3 (MIT)"):
        assert said in text
