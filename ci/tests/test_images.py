"""What an image is made of, when it is built again, and by what."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ci import images
from ci.images import RECIPES, Recipe
from infra.environment import ROOT
from leandata.errors import SettingsError


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for place, text in {
        "pyproject.toml": "[project]",
        "uv.lock": "version = 1",
        "Dockerfile": "FROM base",
        "service/shop/__init__.py": "",
        "service/shop/page.py": "def show():\n    from leandata import used\n",
        "service/shop/page.html": "<p>",
        "service/shop/tests/test_page.py": "import leandata.unused",
        "service/shop/__pycache__/page.pyc": "x",
        "shared/leandata/__init__.py": "",
        "shared/leandata/used.py": "import leandata.deep.inner",
        "shared/leandata/unused.py": "",
        "shared/leandata/deep/__init__.py": "",
        "shared/leandata/deep/inner.py": "import json",
        "infra/__init__.py": "",
        "infra/tool.py": "",
    }.items():
        path = tmp_path / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return tmp_path


RECIPE = Recipe(
    dockerfile="Dockerfile",
    packages={"shop": "service/shop"},
    locks={"lock/uv.lock": "uv.lock"},
    modules=("infra.tool",),
)


def test_an_image_holds_its_package_and_only_the_modules_that_it_reaches(root: Path) -> None:
    assert list(images.contents(root, RECIPE)) == [
        "code/infra/__init__.py",
        "code/infra/tool.py",
        "code/leandata/__init__.py",
        "code/leandata/deep/__init__.py",
        "code/leandata/deep/inner.py",
        "code/leandata/used.py",
        "code/shop/__init__.py",
        "code/shop/page.html",
        "code/shop/page.py",
        "lock/uv.lock",
    ]


def test_the_tag_changes_with_what_is_in_the_image_and_with_nothing_else(root: Path) -> None:
    def tag(base: str = "") -> str:
        return images.digest(images.contents(root, RECIPE), root / "Dockerfile", base=base)

    first = tag()
    (root / "shared/leandata/unused.py").write_text("changed = 1", encoding="utf-8")
    (root / "service/shop/tests/test_page.py").write_text("changed = 1", encoding="utf-8")
    assert tag() == first
    assert tag(base="other") != first
    for place in ("shared/leandata/deep/inner.py", "service/shop/page.html", "uv.lock", "Dockerfile"):
        before = tag()
        (root / place).write_text("changed = 1", encoding="utf-8")
        assert tag() != before, place


def test_a_module_that_python_cannot_read_is_named_with_its_line(root: Path) -> None:
    (root / "service/shop/page.py").write_text("\ndef (", encoding="utf-8")
    with pytest.raises(SettingsError, match=r"page\.py:2"):
        images.contents(root, RECIPE)


def test_the_assembled_context_holds_exactly_the_listed_files_and_the_dockerfile(root: Path, tmp_path: Path) -> None:
    found, folder = images.contents(root, RECIPE), tmp_path / "context"
    folder.mkdir()
    images.assemble(found, root / "Dockerfile", folder)
    made = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    assert made == sorted([*found, "Dockerfile"])


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_no_image_holds_tests_secrets_programs_or_another_service(name: str) -> None:
    recipe = RECIPES[name]
    found = images.contents(ROOT, recipe)
    others = {"pipelines", "serving", "dashboards", "tasks"} - set(recipe.packages)
    assert {"lock/pyproject.toml", "lock/uv.lock"} <= set(found)
    for place in found:
        parts = place.split("/")
        assert "tests" not in parts or "dbt" in parts, place
        assert parts[1] not in others, place
        assert place.split("/")[1:3] not in (["infra", "components"], ["infra", "stacks"], ["infra", "environments"])


def test_the_image_of_airflow_holds_every_test_of_dbt_because_a_transformation_is_not_published_without() -> None:
    found = images.contents(ROOT, RECIPES["airflow"])
    folder = ROOT / "services" / "airflow" / "pipelines" / "dbt"
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert "tests/generic/not_negative.sql" in files
    assert {place.removeprefix("code/pipelines/dbt/") for place in found if "/dbt/" in place} == files


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_a_dockerfile_takes_its_base_as_an_argument_and_runs_as_nobody_special(name: str) -> None:
    lines = (ROOT / RECIPES[name].dockerfile).read_text(encoding="utf-8").splitlines()
    last = lines[max(number for number, line in enumerate(lines) if line.startswith("FROM")) :]
    assert [line for line in lines if line.startswith("FROM")] == ["FROM ${BASE} AS build", "FROM ${BASE}"]
    assert [line for line in last if line.startswith("USER")] == ["USER 10001"]
    assert not [line for line in last if "uv " in line or "/uv" in line]
    assert [line for line in lines if "--frozen" in line and "--no-install-project" in line]


def test_a_named_builder_is_called_as_a_template_and_an_engine_by_its_own_options() -> None:
    folder = Path("/context")
    assert images.command("make cluster", "api:1", folder, base="b") == [
        "make", "cluster", "image", "api:1", "/context", "/context/Dockerfile", "--network", "--build-arg", "BASE=b",
    ]  # fmt: skip
    assert images.command("podman", "api:1", folder, base="") == [
        "podman", "build", "--tag", "api:1", "--file", "/context/Dockerfile", "/context",
    ]  # fmt: skip


def test_without_an_engine_the_answer_names_what_to_install(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"container engine.*docker, podman, buildah"):
        images.builder({"PATH": str(tmp_path)})
    (tmp_path / "podman").write_text("#!/bin/sh\n", encoding="utf-8")
    (tmp_path / "podman").chmod(0o755)
    assert images.builder({"PATH": str(tmp_path)}) == "podman"
    assert images.builder({"PATH": str(tmp_path), images.COMMAND: "my builder"}) == "my builder"


def test_only_images_of_another_tag_are_built_and_the_record_says_so(tmp_path: Path) -> None:
    path = tmp_path / "releases" / "here.json"
    assert images.changed({"api": "1", "dash": "2"}, {}) == ["api", "dash"]
    images.record(path, {"api": {"repository": "api", "tag": "1"}})
    recorded = json.loads(path.read_text(encoding="utf-8"))["images"]
    assert images.changed({"api": "1", "dash": "2"}, recorded) == ["dash"]
    assert [entry.name for entry in path.parent.iterdir()] == ["here.json"]
