"""The DAG files as they are written: what the scheduler reads every minute has to be light, owned and chained."""

from __future__ import annotations

import ast
import re
from datetime import timedelta
from pathlib import Path

import pytest

from leandata.datasets import CATALOG
from pipelines import dag_defaults, failure, publish

FOLDER = Path(dag_defaults.__file__).parent
# Of the sources that teams declare, one file makes a DAG each.
DAGS = sorted(path for path in (FOLDER / "dags").glob("*.py") if path.stem != "sources")
MODELS = sorted((FOLDER / "dbt" / "models").rglob("*.sql"))
LIGHT = {"__future__", "os", "datetime", "typing", "airflow", "pipelines"}


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def dag_function(path: Path) -> ast.FunctionDef:
    (found,) = [node for node in tree(path).body if isinstance(node, ast.FunctionDef)]
    return found


def options(path: Path) -> dict[str, str]:
    (decorator,) = dag_function(path).decorator_list
    assert isinstance(decorator, ast.Call)
    return {word.arg: ast.unparse(word.value) for word in decorator.keywords if word.arg}


def tasks(path: Path) -> list[ast.FunctionDef]:
    return [node for node in dag_function(path).body if isinstance(node, ast.FunctionDef)]


def outlets(path: Path) -> set[str]:
    text = "\n".join(ast.unparse(decorator) for task in tasks(path) for decorator in task.decorator_list)
    return {name for found in re.findall(r"outlets=\[([A-Z, ]*)\]", text) for name in found.replace(" ", "").split(",")}


@pytest.mark.parametrize("path", DAGS, ids=lambda path: path.stem)
def test_a_dag_is_called_like_its_file_and_says_what_it_is_for(path: Path) -> None:
    assert dag_function(path).name == path.stem
    assert ast.get_docstring(tree(path))
    assert options(path)["doc_md"] == "__doc__"


@pytest.mark.parametrize("path", DAGS, ids=lambda path: path.stem)
def test_a_dag_has_our_defaults_and_never_runs_beside_itself(path: Path) -> None:
    found = options(path)
    assert found["default_args"] == "DEFAULTS"
    assert found["max_active_runs"] == "1"
    assert found["catchup"] == "False"
    assert found["tags"] != "[]"


@pytest.mark.parametrize("path", DAGS, ids=lambda path: path.stem)
def test_parsing_a_dag_loads_nothing_heavy_and_touches_nothing(path: Path) -> None:
    for node in tree(path).body:
        modules = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        modules += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        assert {module.split(".")[0] for module in modules} <= LIGHT
        assert {module for module in modules if module.startswith("pipelines")} <= {"pipelines.dag_defaults"}


@pytest.mark.parametrize("path", DAGS, ids=lambda path: path.stem)
def test_every_task_reads_its_settings_when_it_runs(path: Path) -> None:
    for task in tasks(path):
        assert "Settings.load(os.environ)" in ast.unparse(task), task.name


def test_the_dags_are_one_chain_from_the_shop_to_the_mail() -> None:
    schedules = {path.stem: set(re.findall(r"[A-Z]{3,}", options(path)["schedule"])) for path in DAGS}
    made = {path.stem: outlets(path) for path in DAGS}
    assert made == {
        "checks": set(), "health": set(),
        "collect_shop": {"RAW"}, "customer_features": {"FEATURES"}, "drain_events": {"EVENTS"}, "publish_serving": {"SERVING"}, "transform": {"MARTS"},
        "train_model": set(), "weekly_sales_report": set(),
    }  # fmt: skip
    assert schedules["transform"] == {"RAW", "EVENTS", "SOURCES"}
    assert schedules["publish_serving"] == {"MARTS"}
    assert schedules["weekly_sales_report"] == schedules["customer_features"] == {"SERVING"}
    assert "CronTriggerTimetable" in options(FOLDER / "dags" / "collect_shop.py")["schedule"]
    assert "CronTriggerTimetable" in options(FOLDER / "dags" / "checks.py")["schedule"]
    assert "CronTriggerTimetable" in options(FOLDER / "dags" / "drain_events.py")["schedule"]


def test_a_task_is_tried_again_later_and_later_and_its_owner_is_told_at_the_end() -> None:
    found = dag_defaults.DEFAULTS
    assert found["retries"] == 3
    assert found["retry_delay"] == timedelta(seconds=10)
    assert found["retry_exponential_backoff"] == 2.0
    assert found["max_retry_delay"] <= timedelta(minutes=5)
    assert found["execution_timeout"] <= timedelta(hours=1)
    assert found["on_failure_callback"][0] is failure.mail_owner


def test_assets_have_names_of_their_own() -> None:
    assets = [dag_defaults.RAW, dag_defaults.EVENTS, dag_defaults.MARTS, dag_defaults.SERVING, dag_defaults.FEATURES]
    assert len({asset.uri for asset in assets}) == 5
    assert all(asset.uri.startswith("leandata://") for asset in assets)


# -- the models --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", MODELS, ids=lambda path: path.stem)
def test_a_model_names_its_columns_and_reads_by_reference_only(path: Path) -> None:
    sql = re.sub(r"--.*", "", path.read_text().lower())
    assert not re.search(r"select\s+(?:distinct\s+)?\*|\w\.\*", sql), "a new column upstream must not change a mart"
    own = {*re.findall(r"\b(\w+) as \(", sql), "numbers", "span"}
    for source in re.findall(r"\b(?:from|join)\s+(\S+)", sql):
        assert source.startswith(("{{", "(")) or source.strip("(),") in own, source


@pytest.mark.parametrize("path", MODELS, ids=lambda path: path.stem)
def test_a_model_is_described_owned_and_tested(path: Path) -> None:
    text = (path.parent / f"{'marts' if path.parent.name == 'marts' else 'staging'}.yml").read_text()
    (described,) = [
        part for part in re.split(r"^  - name: ", text, flags=re.MULTILINE) if part.startswith(f"{path.stem}\n")
    ]
    assert "description:" in described
    assert "owner:" in described
    assert "data_tests:" in described
    assert "unique" in described


@pytest.mark.parametrize("name", sorted(publish.MARTS))
def test_a_mart_has_just_the_columns_of_its_contract(name: str) -> None:
    contract = CATALOG[name]
    sql = (FOLDER / "dbt" / "models" / "marts" / f"{contract.table}.sql").read_text()
    sql += (FOLDER / "dbt" / "macros" / "sales_figures.sql").read_text() if "sales_figures" in sql else ""
    for column in contract.columns:
        assert re.search(rf"\b{column.name}\b", sql), column.name


@pytest.mark.parametrize("path", MODELS, ids=lambda path: path.stem)
def test_money_is_never_cast_to_a_float(path: Path) -> None:
    assert not re.search(r"\b(float|double|real)\b", path.read_text().lower())
