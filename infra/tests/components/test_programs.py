"""Every program of the platform, run under mocks: what it declares, and what it must never say."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest

from ci.programs import Program, Resource, declared
from infra.components.manifest import ServiceManifest
from infra.environment import ROOT, Environment
from infra.provider.servicer import KINDS
from leandata.errors import LeandataError, SettingsError
from leandata.settings import DatabaseAddress, MailAddress, Settings, WarehouseAddress


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Program]:
    return declared("local", environ={**os.environ, "LEANDATA_STATE": str(tmp_path_factory.mktemp("state"))})


def processes(programs: dict[str, Program]) -> dict[str, Resource]:
    return {name: one for program in programs.values() for name, one in program.of("machine:index:Process").items()}


def test_every_program_runs_and_exports_just_its_contract(programs: dict[str, Program]) -> None:
    assert {name: sorted(program.outputs) for name, program in programs.items()} == {
        "airflow": ["password_file", "url"],
        "api": ["key_file", "url"],
        "dash": ["editor_password_file", "password_file", "url"],
        "dask": ["scheduler"],
        "database": [
            "airflow_identity", "airflow_password", "events_reader", "events_writer", "serving_reader", "serving_writer",
            "shop_replica", "source_note",
        ],
        "lake": ["curated", "models", "raw"],
        "mail": ["mail", "mail_url"],
        "warehouse": ["address"],
    }  # fmt: skip


def test_every_resource_of_ours_is_of_a_kind_the_provider_knows_and_passes_its_check(
    programs: dict[str, Program],
) -> None:
    for program in programs.values():
        for found in program.resources.values():
            if found.type.startswith("machine:"):
                assert KINDS[found.type].check(found.properties) == [], found.name


def test_these_processes_run(programs: dict[str, Program]) -> None:
    assert sorted(processes(programs)) == [
        "airflow-api", "airflow-dag-processor", "airflow-scheduler", "api", "dash", "dask-scheduler", "dask-worker-1",
        "dask-worker-2", "mail", "postgres", "warehouse",
    ]  # fmt: skip


def test_everything_listens_on_loopback_only(programs: dict[str, Program]) -> None:
    text = json.dumps({name: one.properties for name, one in processes(programs).items()})
    assert "0.0.0.0" not in text
    assert "[::]" not in text
    for asked in re.findall(r"https?://([^:/\"]+)", text):
        assert asked == "127.0.0.1"


def needed(resource: Resource) -> set[str]:
    return {urn.rpartition("::")[2] for urn in resource.needs}


def test_processes_wait_for_what_they_need(programs: dict[str, Program]) -> None:
    found = processes(programs)
    assert "airflow-migrate" in needed(found["airflow-api"])
    assert "airflow-api" in needed(found["airflow-scheduler"])
    assert "dask-scheduler" in needed(found["dask-worker-1"])
    assert "postgres-data" in needed(found["postgres"])
    databases = programs["database"].of("machine:index:PostgresDatabase")
    assert all("postgres" in needed(database) for database in databases.values())


def test_settings_of_every_service_can_be_read_by_the_service(programs: dict[str, Program]) -> None:
    for name, one in processes(programs).items():
        settings = Settings.load({**one.properties["env"], **one.properties["secret_files"]})
        if name in ("mail", "postgres", "warehouse"):
            continue
        assert settings.environment == "local"
        if name.startswith("airflow"):
            assert isinstance(settings.warehouse, WarehouseAddress)
            assert isinstance(settings.mail, MailAddress)
            assert settings.shop.user == "shop_replica"
            assert settings.shop.statement_timeout == 0, "the role itself has the time-out"
            assert settings.serving.user == "serving_writer"
            assert settings.dask.startswith("tcp://127.0.0.1:")
            assert settings.report_recipients
            assert settings.source_note
        if name in ("api", "dash"):
            assert isinstance(settings.serving, DatabaseAddress)
            assert settings.serving.user == "serving_reader", "who only reads is given a role that only reads"


def test_readers_are_read_only_and_bounded_in_time(programs: dict[str, Program]) -> None:
    roles = programs["database"].of("machine:index:PostgresRole")
    assert roles["serving_reader"].properties["settings"] == {"default_transaction_read_only": "on"}
    assert roles["shop_replica"].properties["settings"] == {
        "default_transaction_read_only": "on",
        "statement_timeout": "30000ms",
    }
    assert roles["airflow"].properties["settings"] == {}


def test_each_use_has_a_role_and_a_password_of_its_own(programs: dict[str, Program]) -> None:
    paths = [
        role.properties["role_password_file"] for role in programs["database"].of("machine:index:PostgresRole").values()
    ]
    assert len(set(paths)) == len(paths) == 7


def test_no_program_holds_a_secret_only_the_paths_of_their_files(programs: dict[str, Program], tmp_path: Path) -> None:
    for program in programs.values():
        for secret in program.of("machine:index:Secret").values():
            assert set(secret.properties) <= {"path", "kind"}
            assert "/secrets/" in secret.properties["path"]
        for found in program.resources.values():
            text = json.dumps(found.properties, default=str)
            assert not re.search(r"://[^/\s\"@:?]+:[^@/\s\"{?]+@", text), found.name


def test_what_holds_data_is_kept(programs: dict[str, Program]) -> None:
    assert all(folder.properties["retain"] for folder in programs["lake"].of("machine:index:Directory").values())


def test_a_process_restarts_when_its_code_changes(programs: dict[str, Program]) -> None:
    for name in ("airflow-scheduler", "api", "dash", "dask-worker-1", "mail", "warehouse"):
        assert processes(programs)[name].properties["triggers"]["code"]


def test_every_process_has_a_health_check_or_says_that_running_is_all() -> None:
    for service in ("airflow", "api", "dash", "dask"):
        for process in ServiceManifest.load(service).process:
            assert process.health in ("", "tcp") or process.health.startswith("/")
            assert process.start_timeout >= 60
            assert process.memory >= 2**27


def test_a_manifest_reads_and_writes_only_datasets_that_exist() -> None:
    from leandata.datasets import CATALOG

    for service in ("airflow", "api", "dash", "dask"):
        data = ServiceManifest.load(service).data
        assert set(data.reads) | set(data.writes) <= set(CATALOG), service


def test_a_mistake_in_a_manifest_is_named_with_file_and_key(tmp_path: Path) -> None:
    folder = tmp_path / "services" / "api"
    folder.mkdir(parents=True)
    text = (ROOT / "services" / "api" / "service.toml").read_text()
    (folder / "service.toml").write_text(text.replace('memory = "384MiB"', 'memory = "256MB"'))
    with pytest.raises(SettingsError, match=r"process.0.memory: '256MB' is not a size.*service.toml"):
        ServiceManifest.load("api", root=tmp_path)


def test_the_same_programs_declare_the_same_each_time(programs: dict[str, Program], tmp_path: Path) -> None:
    again = declared("local", environ={**os.environ, "LEANDATA_STATE": str(tmp_path)})
    assert {name: list(program.resources) for name, program in again.items()} == {
        name: list(program.resources) for name, program in programs.items()
    }


def test_urns_are_those_of_the_engine(programs: dict[str, Program]) -> None:
    assert "urn:pulumi:local::lake::leandata:index:Lake$machine:index:Directory::lake-raw" in (
        programs["lake"].resources
    )


def test_a_program_that_fails_says_why(tmp_path: Path) -> None:
    with pytest.raises(LeandataError, match=r"the programs of mars fail: .*unknown environment 'mars'"):
        declared("mars", environ={**os.environ, "LEANDATA_STATE": str(tmp_path)})


def test_a_substrate_without_its_table_is_refused(tmp_path: Path) -> None:
    import shutil

    folder = tmp_path / "infra" / "environments"
    folder.mkdir(parents=True)
    shutil.copy(ROOT / "infra" / "environments" / "local.toml", folder / "local.toml")
    path = folder / "local.toml"
    path.write_text(path.read_text().replace('lake = "machine"', 'lake = "s3"'))
    with pytest.raises(SettingsError, match=r"the table \[aws\] is missing, and substrates name s3 \(.*local.toml\)"):
        Environment.load("local", environ={}, root=tmp_path)
