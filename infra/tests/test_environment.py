"""An environment's file is data: parsed once, checked whole, and refused in one clear line."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from infra.environment import ROOT, Environment, names
from leandata.errors import SettingsError


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    folder = tmp_path / "infra" / "environments"
    folder.mkdir(parents=True)
    shutil.copy(ROOT / "infra" / "environments" / "local.toml", folder)
    return tmp_path


def edit(checkout: Path, old: str, new: str) -> None:
    path = checkout / "infra" / "environments" / "local.toml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def problem(checkout: Path, name: str = "local", **environ: str) -> str:
    with pytest.raises(SettingsError) as caught:
        Environment.load(name, environ=environ, root=checkout)
    text = str(caught.value)
    assert "\n" not in text
    return text


def test_every_environment_in_the_repository_is_well_formed() -> None:
    for name in names():
        assert Environment.load(name, environ={}).name == name


def test_an_unknown_environment_names_the_known_ones(checkout: Path) -> None:
    assert problem(checkout, "prdo") == "unknown environment 'prdo'. ENV is one of: local"


def test_an_environment_name_cannot_leave_its_folder(checkout: Path) -> None:
    assert "unknown environment '../local'" in problem(checkout, "../local")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("workers = 2", "wrokers = 2", "compute.workers: missing key (and 1 more)"),
        ("workers = 2", "workers = 2\ncolour = 1", "compute.colour: unknown key"),
        ("workers = 2", 'workers = "two"', "compute.workers: Input should be a valid integer"),
        ("workers = 2", "workers = 0", "compute.workers: Input should be greater than or equal to 1"),
        ('memory = "1GiB"', 'memory = "1GB"', "compute.memory: '1GB' is not a size: write it like '512MiB'"),
        ('memory = "1GiB"', "memory = 1024", "compute.memory: 1024 is not a size"),
        ('statement_timeout = "30s"', 'statement_timeout = "30"', "shop.statement_timeout: '30' is not a duration"),
        ('until = "today"', 'until = "yesterday"', "shop.until: Invalid isoformat string: 'yesterday'"),
        ('lake = "machine"', 'lake = "floppy"', "substrates.lake: Input should be 'machine' or 's3'"),
        ("base = 16400", "base = 80", "ports.base: Input should be greater than or equal to 1024"),
        ("base = 16400", "base = ", "local.toml is not valid TOML"),
    ],
)
def test_a_mistake_in_the_file_is_named_with_file_and_key(checkout: Path, old: str, new: str, said: str) -> None:
    edit(checkout, old, new)
    text = problem(checkout)
    assert said in text
    assert "local.toml" in text


def test_the_state_folder_and_the_ports_can_be_moved(checkout: Path, tmp_path: Path) -> None:
    environ = {"LEANDATA_STATE": str(tmp_path / "elsewhere"), "LEANDATA_PORT_BASE": "20000"}
    moved = Environment.load("local", environ=environ, root=checkout)
    assert moved.state == tmp_path / "elsewhere"
    assert moved.port("dash") == 20001
    assert Environment.load("local", environ={}, root=checkout).port("dash") == 16401


def test_a_relative_state_folder_becomes_absolute(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    environment = Environment.load("local", environ={"LEANDATA_STATE": "here"}, root=checkout)
    assert environment.state == tmp_path / "here"


def test_a_state_folder_remembers_its_ports_and_its_date(checkout: Path, tmp_path: Path) -> None:
    state = {"LEANDATA_STATE": str(tmp_path / "state")}
    first = {**state, "LEANDATA_PORT_BASE": "21000", "LEANDATA_TODAY": "2026-11-24"}
    Environment.load("local", environ=first, root=checkout).remember()
    later = Environment.load("local", environ=state, root=checkout)
    assert (later.port_base, later.today) == (21000, "2026-11-24")


def test_a_broken_memory_says_what_to_do(checkout: Path, tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    (state / "environment.json").write_text("{")
    assert "Remove it and deploy again" in problem(checkout, LEANDATA_STATE=str(state))


def test_what_is_remembered_is_sorted_json_with_a_version(checkout: Path, tmp_path: Path) -> None:
    Environment.load("local", environ={"LEANDATA_STATE": str(tmp_path)}, root=checkout).remember()
    memory = json.loads((tmp_path / "environment.json").read_text())
    assert list(memory) == sorted(memory)
    assert memory["version"] == 1


@pytest.mark.parametrize("wrong", ["80", "sixteen", "70000", "65500", "-1"])
def test_a_port_base_that_cannot_be_is_refused(checkout: Path, wrong: str) -> None:
    assert f"LEANDATA_PORT_BASE is '{wrong}'" in problem(checkout, LEANDATA_PORT_BASE=wrong)


@pytest.mark.parametrize("wrong", ["today", "24.11.2026", "2026-02-30"])
def test_a_date_that_is_no_day_is_refused(checkout: Path, wrong: str) -> None:
    assert f"LEANDATA_TODAY is '{wrong}'" in problem(checkout, LEANDATA_TODAY=wrong)


def test_a_process_without_a_port_says_where_to_add_it(checkout: Path) -> None:
    environment = Environment.load("local", environ={}, root=checkout)
    with pytest.raises(SettingsError, match="no port for the process 'hologram'"):
        environment.port("hologram")


def test_no_two_processes_share_a_port() -> None:
    offsets = Environment.load("local", environ={}).file.ports.offsets
    assert len(set(offsets.values())) == len(offsets)


@pytest.mark.parametrize(
    ("proxies", "said"),
    [
        ('["*"]', "trusted_proxies.0: '*' is no address and no network"),
        ('["10.0.0.1", "0.0.0.0/0"]', "trusted_proxies.1: '0.0.0.0/0' is everybody"),
        ('"10.0.0.1"', "trusted_proxies: Input should be a valid list"),
    ],
)
def test_trusted_proxies_are_addresses_and_never_everybody(checkout: Path, proxies: str, said: str) -> None:
    edit(checkout, "[substrates]", f"trusted_proxies = {proxies}\n\n[substrates]")
    assert said in problem(checkout)


def test_no_proxy_is_trusted_unless_it_is_named(checkout: Path) -> None:
    assert Environment.load("local", environ={}, root=checkout).file.trusted_proxies == []
    edit(checkout, "[substrates]", 'trusted_proxies = ["10.0.4.0/24"]\n\n[substrates]')
    assert Environment.load("local", environ={}, root=checkout).file.trusted_proxies == ["10.0.4.0/24"]
