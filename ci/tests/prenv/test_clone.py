"""A copy of an environment's data: links and copies, modes, what is left out, and the proof that nothing is left."""

from __future__ import annotations

from pathlib import Path

import pytest

from ci.prenv.clone import clone, left, standing_still
from infra.provider.supervisor import Supervisor


@pytest.fixture
def source(tmp_path: Path) -> Path:
    state = tmp_path / "local"
    for place, text in {
        "lake/raw/shop/part.parquet": "rows",
        "postgres/PG_VERSION": "17",
        "postgres/base/1": "page",
        "postgres/postmaster.pid": "123",
        "secrets/key": "hush",
        "warehouse/raw.db": "tables",
        "logs/api.log": "lines",
        "engine/passphrase": "of the original",
    }.items():
        path = state / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (state / "secrets" / "key").chmod(0o600)
    (state / "postgres").chmod(0o700)
    return state


@pytest.fixture
def target(tmp_path: Path) -> Path:
    made = tmp_path / "pr-7"
    made.mkdir()
    return made


def test_data_and_secrets_are_there_and_nothing_else(source: Path, target: Path) -> None:
    made = clone(source, target)
    assert sorted(path.name for path in target.iterdir()) == ["lake", "postgres", "secrets", "warehouse"]
    assert (target / "postgres" / "base" / "1").read_text() == "page"
    assert (target / "secrets" / "key").read_text() == "hush"
    assert sorted(made) == ["lake", "postgres", "secrets", "warehouse"]


def test_the_lake_takes_no_space_and_the_rest_is_a_copy(source: Path, target: Path) -> None:
    made = clone(source, target)
    assert made["lake"] == 0
    assert made["postgres"] == len("17") + len("page")
    link, copy = Path("lake", "raw", "shop", "part.parquet"), Path("warehouse", "raw.db")
    assert (target / link).stat().st_ino == (source / link).stat().st_ino
    assert (target / copy).stat().st_ino != (source / copy).stat().st_ino


def test_changing_the_copy_leaves_the_original_as_it_is(source: Path, target: Path) -> None:
    clone(source, target)
    (target / "warehouse" / "raw.db").write_text("other")
    (target / "lake" / "raw" / "shop" / "part.parquet").unlink()
    assert (source / "warehouse" / "raw.db").read_text() == "tables"
    assert (source / "lake" / "raw" / "shop" / "part.parquet").read_text() == "rows"


def test_modes_are_kept_and_the_running_servers_mark_is_left_out(source: Path, target: Path) -> None:
    clone(source, target)
    assert (target / "secrets" / "key").stat().st_mode & 0o777 == 0o600
    assert (target / "postgres").stat().st_mode & 0o777 == 0o700
    assert not (target / "postgres" / "postmaster.pid").exists()


def test_a_copy_that_was_interrupted_is_begun_again(source: Path, target: Path) -> None:
    half = target / "postgres.new" / "base"
    half.mkdir(parents=True)
    (half / "2").write_text("half")
    clone(source, target)
    assert not (target / "postgres.new").exists()
    assert not (target / "postgres" / "base" / "2").exists()


def test_what_the_source_does_not_have_is_not_made(tmp_path: Path, target: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert clone(tmp_path / "empty", target) == {}
    assert list(target.iterdir()) == []


def test_where_nothing_runs_nothing_is_stopped(tmp_path: Path) -> None:
    with standing_still(Supervisor(tmp_path), ["postgres"]):
        assert Supervisor(tmp_path).status() == []


def test_what_is_left_is_said_thing_by_thing(tmp_path: Path) -> None:
    said = left(tmp_path, {"api": 24_002, "mail": 24_010}, listening={24_002: "python (pid 7)"})
    assert said == [f"the folder {tmp_path} is still there", "port 24002 of api is still taken by python (pid 7)"]


def test_when_nothing_is_left_nothing_is_said(tmp_path: Path) -> None:
    assert left(tmp_path / "gone", {"api": 24_002}, listening={24_003: "somebody else"}) == []
