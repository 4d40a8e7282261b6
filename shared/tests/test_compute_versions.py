"""Which versions work together: a cluster is used only where it holds what its client holds, package by package."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from infra.testing import dask
from leandata import compute
from leandata.errors import ComputeError


def distribution(folder: Path, name: str, version: str) -> str:
    """A folder that holds one installed distribution and nothing else."""
    place = folder / f"{name}-{version}.dist-info"
    place.mkdir(parents=True)
    (place / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    return str(folder)


@contextmanager
def cluster(folder: Path, *, path: str = "") -> Generator[str]:
    """A real scheduler and a worker that finds packages in `path` too; the scheduler's address."""
    with dask.cluster(folder, environ={"PYTHONPATH": path}) as found:
        yield found.address


def test_what_is_installed_is_told_by_normal_names_and_without_our_own_code() -> None:
    found = compute.installed()
    assert list(found) == sorted(found)
    assert {"dask", "distributed", "pyarrow", "typing-extensions"} <= set(found)
    assert "leandata" not in found


def test_of_two_installed_versions_the_one_that_is_imported_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(distribution(tmp_path / "old", "Hum.Bug", "1.0"))
    monkeypatch.syspath_prepend(distribution(tmp_path / "new", "hum_bug", "2.0"))
    assert compute.installed()["hum-bug"] == "2.0"


def test_a_fingerprint_is_of_names_and_versions_in_any_order() -> None:
    one = compute.fingerprint({"a": "1", "b": "2"})
    assert one == compute.fingerprint({"b": "2", "a": "1"})
    assert len({one, compute.fingerprint({"a": "1", "b": "3"}), compute.fingerprint({"a": "1"})}) == 3
    assert len(one) == 16


def test_where_it_is_asked_for_the_work_is_done_in_this_process() -> None:
    with compute.connect("in-process") as here:
        assert here.map(abs, [-2, 1]) == [2, 1]
        assert here.call("weakref:ref")() is here, "a task gets the compute"


@pytest.mark.integration
def test_a_cluster_that_holds_the_same_packages_is_used(tmp_path: Path) -> None:
    with cluster(tmp_path) as address, compute.connect(address) as found:
        assert found.map(abs, [-3, 2]) == [3, 2]


@pytest.mark.integration
def test_a_worker_with_another_version_of_any_package_is_refused_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(distribution(tmp_path / "ours", "humbug", "1.0"))
    theirs = distribution(tmp_path / "theirs", "humbug", "2.0")
    with (
        cluster(tmp_path, path=theirs) as address,
        pytest.raises(ComputeError, match=r"client, scheduler and workers differ .*humbug: 1.0, 2.0"),
        compute.connect(address),
    ):
        pass
