"""What each declaration becomes on one machine, in this checkout and in changed ones."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ci.graph import discover
from ci.programs import Program, Resource, declared
from infra.components.functions import functions
from infra.components.manifest import ServiceManifest
from infra.components.warehouse import LAYOUT
from infra.environment import ROOT, Environment
from infra.provider.servicer import KINDS
from leandata.datasets import CATALOG
from leandata.errors import LeandataError
from leandata.settings import Settings

pytestmark = pytest.mark.integration
SERVICES = ("airflow", "api", "dash", "dask")
LEFT_OUT = shutil.ignore_patterns(".venv", "__pycache__", ".git", ".leandata", "build", "*.csv", "tests")


def found_in(root: Path, state: Path, **environ: str) -> dict[str, Program]:
    return declared("local", root=root, environ={**os.environ, "LEANDATA_STATE": str(state), **environ})


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Program]:
    return found_in(ROOT, tmp_path_factory.mktemp("state"))


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A second checkout of our programs, to be changed."""
    for folder in ("ci", "infra", "services", "shared"):
        shutil.copytree(ROOT / folder, tmp_path / "second" / folder, ignore=LEFT_OUT)
    return tmp_path / "second"


Edit = Callable[[str, str, str], None]


@pytest.fixture
def edit(checkout: Path) -> Edit:
    def change(place: str, old: str, new: str) -> None:
        path = checkout / place
        text = path.read_text()
        assert old in text, f"{place} does not hold {old!r}"
        path.write_text(text.replace(old, new))

    return change


def everything(programs: dict[str, Program]) -> dict[str, Resource]:
    return {urn: found for program in programs.values() for urn, found in program.resources.items()}


def of(programs: dict[str, Program], kind: str) -> dict[str, Resource]:
    return {name: one for program in programs.values() for name, one in program.of(f"machine:index:{kind}").items()}


def environment_of(process: Resource) -> dict[str, str]:
    return {**process.properties["env"], **process.properties["secret_files"]}


# -- every resource ----------------------------------------------------------------------------------------------------


def test_names_are_unique_within_their_kind_over_all_stacks(programs: dict[str, Program]) -> None:
    seen: set[tuple[str, str]] = set()
    for found in everything(programs).values():
        if found.type.startswith("machine:"):
            assert (found.type, found.name) not in seen, "the provider knows a resource by its name"
            seen.add((found.type, found.name))


def test_every_resource_of_ours_belongs_to_a_component(programs: dict[str, Program]) -> None:
    for found in everything(programs).values():
        if found.type.startswith("machine:"):
            assert "$leandata:index:" in f"${found.urn.split('::')[2]}", found.urn


def test_every_parent_and_every_need_is_there(programs: dict[str, Program]) -> None:
    for program in programs.values():
        for found in program.resources.values():
            assert found.parent == "" or found.parent in program.resources
            own = {need for need in found.needs if "pulumi:pulumi:StackReference" not in need}
            assert own <= set(program.resources)


def test_all_that_is_written_lies_in_the_state_folder(programs: dict[str, Program]) -> None:
    state = programs["lake"].outputs["raw"].removeprefix("file://").removesuffix("/lake/raw")
    for kind in ("Directory", "File", "Secret", "RenderedSecret", "PostgresCluster"):
        for found in of(programs, kind).values():
            assert found.properties["path"].startswith(f"{state}/"), found.name


def test_no_two_resources_write_the_same_path(programs: dict[str, Program]) -> None:
    paths = [
        found.properties["path"]
        for kind in ("Directory", "File", "Secret", "RenderedSecret", "PostgresCluster")
        for found in of(programs, kind).values()
    ]
    assert len(set(paths)) == len(paths)


def test_every_secret_that_is_used_is_made_by_somebody(programs: dict[str, Program]) -> None:
    made = {found.properties["path"] for kind in ("Secret", "RenderedSecret") for found in of(programs, kind).values()}
    text = json.dumps([found.properties for found in everything(programs).values()])
    used = set(re.findall(r"[^\"'?=& ]*/secrets/[a-z0-9-]+", text))
    assert used
    assert used <= made


@pytest.mark.parametrize("type_", sorted(KINDS))
def test_every_kind_that_is_declared_passes_its_check(programs: dict[str, Program], type_: str) -> None:
    for found in everything(programs).values():
        if found.type == type_:
            assert KINDS[type_].check(found.properties) == [], found.name


# -- services ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("service", SERVICES)
def test_every_process_of_a_manifest_runs_with_its_limits(programs: dict[str, Program], service: str) -> None:
    running = programs[service].of("machine:index:Process")
    for process in [one for one in ServiceManifest.load(service).process if not one.only_on]:
        same = [found for name, found in running.items() if name == process.name or name.startswith(f"{process.name}-")]
        assert same, process.name
        for found in same:
            assert found.properties["memory_limit"] == process.memory
            assert found.properties["start_timeout"] == process.start_timeout
            assert found.properties["restart"] == "always"


@pytest.mark.parametrize("service", SERVICES)
def test_a_process_is_told_only_what_its_settings_know(programs: dict[str, Program], service: str) -> None:
    for found in programs[service].of("machine:index:Process").values():
        Settings.load(environment_of(found))


@pytest.mark.parametrize(
    ("service", "never"),
    [
        ("api", ("SHOP", "WAREHOUSE", "LAKE_RAW", "MAIL", "DASK")),
        ("dash", ("SHOP", "WAREHOUSE", "LAKE_RAW", "MAIL", "DASK", "EVENTS")),
        ("dask", ("SHOP", "WAREHOUSE", "MAIL", "EVENTS", "SERVING")),
        ("airflow", ("API_KEY_FILE", "DASH_PASSWORD_FILE")),
    ],
)
def test_a_service_is_not_told_what_is_not_its_business(
    programs: dict[str, Program], service: str, never: tuple[str, ...]
) -> None:
    for found in programs[service].of("machine:index:Process").values():
        assert not {f"LEANDATA_{name}" for name in never} & set(environment_of(found)), found.name


@pytest.mark.parametrize("service", ["api", "dash"])
def test_who_only_reads_gets_a_role_that_cannot_write(programs: dict[str, Program], service: str) -> None:
    (found,) = programs[service].of("machine:index:Process").values()
    assert "//serving_reader@" in environment_of(found)["LEANDATA_SERVING"]
    role = of(programs, "PostgresRole")["serving_reader"]
    assert role.properties["settings"]["default_transaction_read_only"] == "on"


def test_every_process_listens_where_the_environment_says(programs: dict[str, Program]) -> None:
    environment = Environment.load("local", environ={})
    for name, found in of(programs, "Process").items():
        if name in environment.file.ports.offsets:
            assert str(environment.port(name)) in json.dumps(found.properties), name


def test_airflow_s_secrets_are_read_by_commands_that_only_name_files(programs: dict[str, Program]) -> None:
    for found in programs["airflow"].of("machine:index:Process").values():
        environ = environment_of(found)
        for name in ("CORE__FERNET_KEY", "API__SECRET_KEY", "API_AUTH__JWT_SECRET", "DATABASE__SQL_ALCHEMY_CONN"):
            assert f"AIRFLOW__{name}" not in environ
            assert re.fullmatch(r"cat '/.*/secrets/[a-z-]+'", environ[f"AIRFLOW__{name}_CMD"])


def test_another_release_of_airflow_migrates_and_restarts_all_its_parts(programs: dict[str, Program]) -> None:
    release = of(programs, "Job")["airflow-migrate"].properties["triggers"]["version"]
    for found in programs["airflow"].of("machine:index:Process").values():
        assert found.properties["triggers"]["version"] == release == "3.3.2"


# -- data --------------------------------------------------------------------------------------------------------------


def test_the_warehouse_has_a_schema_for_every_dataset(programs: dict[str, Program]) -> None:
    schemas = {
        f"{found.properties['database']}.{found.properties['name']}"
        for found in of(programs, "WarehouseSchema").values()
    }
    wanted = {
        f"{contract.layer}.{contract.name.split('.')[0].upper()}"
        for contract in CATALOG.values()
        if contract.layer != "MODELS"
    }
    assert wanted <= schemas
    assert schemas == {f"{database.name}.{schema}" for database in LAYOUT for schema in database.schemas}


def test_every_stage_reads_a_zone_of_the_lake(programs: dict[str, Program]) -> None:
    zones = {f"{url}/" for url in programs["lake"].outputs.values()}
    stages = of(programs, "WarehouseStage")
    assert sorted(stages) == ["MARTS.LAKE.FILES", "RAW.LAKE.FILES"]
    assert {found.properties["url"] for found in stages.values()} <= zones


def test_the_warehouse_is_started_with_the_functions_of_the_folder(programs: dict[str, Program]) -> None:
    command = of(programs, "Process")["warehouse"].properties["command"]
    assert json.loads(command[command.index("--functions") + 1]) == [one.plain() for one in functions(ROOT)]


def test_every_database_has_an_owner_that_logs_in(programs: dict[str, Program]) -> None:
    roles = of(programs, "PostgresRole")
    databases = of(programs, "PostgresDatabase")
    assert sorted(databases) == ["airflow", "events", "serving", "shop"]
    for found in databases.values():
        assert found.properties["owner"] in roles
        assert found.properties["owner"] not in ("serving_reader", "shop_replica")


def test_no_role_shares_its_password(programs: dict[str, Program]) -> None:
    files = [found.properties["role_password_file"] for found in of(programs, "PostgresRole").values()]
    assert len(set(files)) == len(files)


def test_postgresql_listens_on_loopback_without_a_socket(programs: dict[str, Program]) -> None:
    command = of(programs, "Process")["postgres"].properties["command"]
    assert "listen_addresses=127.0.0.1" in command
    assert "unix_socket_directories=" in command


# -- another environment, another checkout -----------------------------------------------------------------------------


def test_another_port_base_moves_everything_and_changes_nothing_else(tmp_path: Path) -> None:
    first = found_in(ROOT, tmp_path, LEANDATA_PORT_BASE="16400")
    second = found_in(ROOT, tmp_path, LEANDATA_PORT_BASE="26400")
    assert [list(program.resources) for program in first.values()] == [list(p.resources) for p in second.values()]
    ports = "|".join(
        str(16400 + offset) for offset in Environment.load("local", environ={}).file.ports.offsets.values()
    )
    for urn, found in everything(second).items():
        assert not re.search(rf"\b({ports})\b", json.dumps(found.properties)), urn


def test_a_fixed_day_reaches_every_service_and_the_shop(tmp_path: Path) -> None:
    programs = found_in(ROOT, tmp_path, LEANDATA_TODAY="2026-11-24")
    for service in SERVICES:
        for found in programs[service].of("machine:index:Process").values():
            assert environment_of(found)["LEANDATA_TODAY"] == "2026-11-24", found.name
    assert "2026-11-24" in of(programs, "Job")["shop-seed"].properties["command"]


def test_more_workers_are_more_processes(checkout: Path, edit: Edit, tmp_path: Path) -> None:
    edit("infra/environments/local.toml", "workers = 2", "workers = 5")
    names = found_in(checkout, tmp_path)["dask"].of("machine:index:Process")
    assert sorted(names) == ["dask-scheduler", *[f"dask-worker-{number}" for number in range(1, 6)]]


def test_a_change_of_a_service_s_code_changes_that_service_alone(
    programs: dict[str, Program], checkout: Path, edit: Edit, tmp_path: Path
) -> None:
    before = found_in(checkout, tmp_path)
    edit(
        "services/api/serving/events.py",
        "from __future__ import annotations",
        "from __future__ import annotations  # first",
    )
    after = found_in(checkout, tmp_path)
    changed = {urn.split("::")[1] for urn, found in everything(after).items() if everything(before)[urn] != found}
    assert changed == {"api"}
    assert sorted(before) == sorted(programs)


def test_a_change_of_the_shared_library_restarts_all_that_use_it(checkout: Path, edit: Edit, tmp_path: Path) -> None:
    before = found_in(checkout, tmp_path)
    edit("shared/leandata/clock.py", "_DAYS = 7", "_DAYS = 7  # a week")
    after = found_in(checkout, tmp_path)
    changed = {urn.split("::")[1] for urn, found in everything(after).items() if everything(before)[urn] != found}
    assert changed == set(SERVICES)


def test_a_bigger_database_is_seen_in_its_process(checkout: Path, edit: Edit, tmp_path: Path) -> None:
    edit("infra/environments/local.toml", 'shared_buffers = "48MiB"', 'shared_buffers = "1GiB"')
    command = of(found_in(checkout, tmp_path), "Process")["postgres"].properties["command"]
    assert "shared_buffers=1024MB" in command


@pytest.mark.parametrize(
    ("place", "old", "new", "said"),
    [
        ("infra/environments/local.toml", 'lake = "machine"', 'lake = "s3"', "the table [aws] is missing"),
        ("infra/environments/local.toml", "api = 2\n", "", "no port for the process 'api'"),
        ("services/api/service.toml", 'name = "api"\nhealth', 'name = "other"\nhealth', "'api'"),
        ("services/api/service.toml", 'memory = "384MiB"', 'memory = "lots"', "process.0.memory: 'lots' is not a size"),
        ("services/api/deploy.py", '"SERVING": database.serving_reader', '"SERVING": database.nothing', "nothing"),
        ("services/dash/deploy.py", "import Secret", "import Sekret", "Sekret"),
        ("infra/stacks/lake/__main__.py", '"lake", stack', '"lake", stock', "stock"),
    ],
)
def test_a_mistake_in_a_program_or_its_files_is_one_line(
    checkout: Path, edit: Edit, tmp_path: Path, place: str, old: str, new: str, said: str
) -> None:
    edit(place, old, new)
    with pytest.raises(LeandataError) as caught:
        found_in(checkout, tmp_path)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_same_checkout_declares_the_same_whatever_python_s_hash_seed(tmp_path: Path) -> None:
    answers: set[str] = set()
    for seed in ("0", "1", "4242"):
        programs = found_in(ROOT, tmp_path, PYTHONHASHSEED=seed)
        answers.add(json.dumps({urn: found.properties for urn, found in everything(programs).items()}))
    assert len(answers) == 1


def test_stacks_are_declared_in_the_order_of_their_needs(programs: dict[str, Program]) -> None:
    order, stacks = list(programs), discover(ROOT)
    for name, info in stacks.items():
        assert all(order.index(need) < order.index(name) for need in info.needs)


def plain_values(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [leaf for found in value.values() for leaf in plain_values(found)]
    if isinstance(value, list):
        return [leaf for found in value for leaf in plain_values(found)]
    return [value]


def test_whatever_is_declared_is_plain_json(programs: dict[str, Program]) -> None:
    for found in everything(programs).values():
        assert all(isinstance(leaf, str | int | float | bool | None) for leaf in plain_values(found.properties))
