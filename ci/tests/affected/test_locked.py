"""What a change of the lock file means: which packages, and which groups hold them."""

from __future__ import annotations

import pytest

from ci.affected.locked import Locked, differences, group_of
from infra.environment import ROOT

PROJECT = """
[project]
name = "own"
version = "1"
[dependency-groups]
api = ["web"]
dash = ["chart"]
[tool.ruff]
line-length = 120
"""
LOCK = """
[[package]]
name = "own"
version = "1"
source = { editable = "." }
[package.dev-dependencies]
api = [{ name = "web", extra = ["fast"] }]
dash = [{ name = "chart" }]
[[package]]
name = "web"
version = "1.0"
dependencies = [{ name = "base" }]
[package.optional-dependencies]
fast = [{ name = "loop" }]
[[package]]
name = "chart"
version = "2.0"
[[package]]
name = "base"
version = "3.0"
[[package]]
name = "loop"
version = "4.0"
"""


def compared(*, project: str = PROJECT, lock: str = LOCK) -> Locked:
    old = {"pyproject.toml": PROJECT.encode(), "uv.lock": LOCK.encode()}
    return differences(old, {"pyproject.toml": project.encode(), "uv.lock": lock.encode()})


def test_the_same_locks_differ_in_nothing() -> None:
    assert compared() == Locked(groups={})


@pytest.mark.parametrize(
    ("old", "new", "groups"),
    [
        ('version = "2.0"', 'version = "2.1"', {"dash": ("chart 2.0 -> 2.1",)}),
        ('version = "3.0"', 'version = "3.1"', {"api": ("base 3.0 -> 3.1",)}),
        ('version = "4.0"', 'version = "4.1"', {"api": ("loop 4.0 -> 4.1",)}),
        (', extra = ["fast"]', "", {"api": ("loop 4.0",)}),
        ('dash = [{ name = "chart" }]', "dash = []", {"dash": ("chart 2.0",)}),
        ('dash = [{ name = "chart" }]', 'dash = [{ name = "chart" }, { name = "base" }]', {"dash": ("base 3.0",)}),
    ],
)
def test_a_package_that_differs_is_said_for_every_group_that_holds_it(old: str, new: str, groups: dict) -> None:
    assert LOCK.count(old) == 1
    assert compared(lock=LOCK.replace(old, new)).groups == groups


def test_our_own_version_is_no_package() -> None:
    assert compared(lock=LOCK.replace('name = "own"\nversion = "1"', 'name = "own"\nversion = "2"')).groups == {}


def test_settings_of_tools_change_no_package() -> None:
    assert compared(project=PROJECT.replace("120", "100")) == Locked(groups={})


def test_what_is_said_of_the_project_itself_is_for_everybody() -> None:
    assert "the project itself" in compared(project=PROJECT.replace('version = "1"', 'version = "2"')).everything


@pytest.mark.parametrize("lock", ["= broken", "package = 3", "[[package]]\nversion = '1'", "\udcff"])
def test_a_lock_that_cannot_be_read_is_for_everybody(lock: str) -> None:
    old = {"pyproject.toml": PROJECT.encode(), "uv.lock": LOCK.encode()}
    now = {**old, "uv.lock": lock.encode(errors="surrogateescape")}
    assert differences(old, now).everything == "pyproject.toml or uv.lock cannot be read"


@pytest.mark.parametrize(
    ("text", "group"),
    [
        ("RUN uv sync --group api && rm x", "api"),
        ("RUN uv sync --group=airflow-kubernetes", "airflow-kubernetes"),
        ("RUN uv sync --no-default-groups", ""),
        ("", ""),
    ],
)
def test_the_group_of_an_image_is_read_from_its_dockerfile(text: str, group: str) -> None:
    assert group_of(text) == group


def test_our_own_lock_is_read_whole() -> None:
    now = {name: (ROOT / name).read_bytes() for name in ("pyproject.toml", "uv.lock")}
    newer = now["uv.lock"].replace(b'name = "fastapi"\nversion = "', b'name = "fastapi"\nversion = "9')
    assert newer != now["uv.lock"]
    assert set(differences(now, {**now, "uv.lock": newer}).groups) >= {"api", "dev"}
    assert "dask" not in differences(now, {**now, "uv.lock": newer}).groups
