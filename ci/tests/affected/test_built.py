"""Which images and services a change touches: what is copied, installed and imported."""

from __future__ import annotations

import dataclasses
import functools

import pytest

from ci import images as building
from ci.affected.built import contents, copied, images, services
from ci.affected.stacks import LOCKS, Question
from ci.affected.tree import Tree
from ci.tests.affected.test_stacks import WHOLE
from infra.environment import ROOT

PACKAGED = ("services/", "shared/", "infra/")


@functools.cache
def tree() -> Tree:
    return Tree.of(WHOLE, wanted=lambda path: path.startswith(PACKAGED) and "/tests/" not in path)


def question(*changed: str, **old: bytes) -> Question:
    found = dataclasses.replace(WHOLE, changed=frozenset(changed), old={**WHOLE.old, **old})
    return Question(found, tree=tree())


@pytest.mark.parametrize("name", sorted(building.RECIPES))
def test_an_image_holds_the_code_that_its_build_is_given(name: str) -> None:
    recipe = building.RECIPES[name]
    given = {path.relative_to(ROOT).as_posix() for path in building.contents(ROOT, recipe).values()}
    code = {path for path in given if path in tree().paths and path not in recipe.locks.values()}
    assert code <= set(contents(question(), recipe)), "whatever is built in may not be missed"
    assert {path for path in contents(question(), recipe) if path.endswith(".py")} <= given


@pytest.mark.parametrize(
    ("path", "touched"),
    [
        ("services/api/serving/app.py", {"api"}),
        ("services/api/deploy.py", set()),
        ("services/api/tests/test_api.py", set()),
        ("services/api/Dockerfile", {"api"}),
        ("services/dash/dashboards/assets/style.css", {"dash"}),
        ("services/airflow/pipelines/dbt/tests/sales_are_fresh.sql", {"airflow"}),
        ("infra/standins/snowflake/uv.lock", {"standins"}),
        ("infra/images/platform/Dockerfile", {"platform"}),
        ("shared/leandata/errors.py", set(building.RECIPES)),
        ("docs/cloud.md", set()),
        ("infra/components/naming.py", set()),
    ],
)
def test_a_file_touches_the_images_that_hold_it(path: str, touched: set[str]) -> None:
    assert path in WHOLE.after
    assert set(images(question(path))) == touched


def test_a_newer_package_touches_the_images_that_install_it() -> None:
    now = (ROOT / "uv.lock").read_bytes()
    older = now.replace(b'name = "fastapi"\nversion = "', b'name = "fastapi"\nversion = "0')
    found = images(question("uv.lock", **{"uv.lock": older}))
    assert set(found) == {"api"} | {name for name in found if name not in ("dask", "dash")}
    assert "api" in found
    assert "dask" not in found
    assert "fastapi" in found["api"][0]


def test_a_setting_of_a_tool_touches_no_image() -> None:
    now = (ROOT / "pyproject.toml").read_bytes()
    older = now.replace(b"line-length = 120", b"line-length = 100")
    assert images(question("pyproject.toml", **{"pyproject.toml": older})) == {}


@pytest.mark.parametrize(
    ("dockerfile", "places"),
    [
        ("COPY code ./", ("code",)),
        ("COPY lock/pyproject.toml lock/uv.lock ./", ("lock/pyproject.toml", "lock/uv.lock")),
        ("COPY --from=build /app/.venv /app/.venv", ()),
        ("COPY --chown=10001 code/ /app", ("code",)),
        ("copy a \\\n  b /app", ("a", "b")),
        ("ADD data /data", ("data",)),
        ("# COPY nothing ./", ()),
        ("RUN echo COPY code ./", ()),
    ],
)
def test_what_a_dockerfile_copies_from_its_context(dockerfile: str, places: tuple[str, ...]) -> None:
    assert copied(dockerfile) == places


@pytest.mark.parametrize(
    ("path", "touched"),
    [
        ("services/api/service.toml", {"api"}),
        ("services/api/deploy.py", {"api"}),
        ("services/api/README.md", set()),
        ("services/api/tests/test_api.py", set()),
        ("shared/leandata/errors.py", {"airflow", "api", "dash", "dask"}),
        ("infra/components/naming.py", set()),
    ],
)
def test_a_file_touches_the_services_that_are_made_of_it(path: str, touched: set[str]) -> None:
    asked = question(path)
    assert set(services(asked, images(asked))) == touched


def test_every_reason_is_said() -> None:
    asked = question("shared/leandata/errors.py", "services/api/service.toml")
    said = services(asked, images(asked))
    assert said["api"][0] == "services/api/service.toml is its own"
    assert said["dask"][0].startswith("its image: shared/leandata/errors.py is in it (")


def test_the_locks_are_in_the_recipes() -> None:
    for recipe in building.RECIPES.values():
        assert set(LOCKS) <= set(recipe.locks.values())
