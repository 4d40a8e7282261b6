"""The TOML files that people write: every key, every kind of mistake, and the one line that it gives."""

from __future__ import annotations

import json
import shutil
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from infra.components.manifest import ServiceManifest
from infra.environment import ROOT, Environment, names
from infra.units import format_size, parse_duration, parse_size
from leandata.datasets import CATALOG
from leandata.errors import LeandataError, SettingsError

SERVICES = sorted(path.parent.name for path in (ROOT / "services").glob("*/service.toml"))
LOCAL = (ROOT / "infra" / "environments" / "local.toml").read_text()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "infra" / "environments").mkdir(parents=True)
    (tmp_path / "infra" / "environments" / "local.toml").write_text(LOCAL)
    for service in SERVICES:
        (tmp_path / "services" / service).mkdir(parents=True)
        shutil.copy(ROOT / "services" / service / "service.toml", tmp_path / "services" / service / "service.toml")
    return tmp_path


def load(root: Path, text: str | None = None, **environ: str) -> Environment:
    if text is not None:
        (root / "infra" / "environments" / "local.toml").write_text(text)
    return Environment.load("local", environ={"LEANDATA_STATE": str(root / "state"), **environ}, root=root)


def toml(value: Any) -> str:
    return json.dumps(value)


def written(table: dict[str, Any], prefix: str = "") -> str:
    """The mapping as TOML."""
    plain = "".join(f"{key} = {toml(value)}\n" for key, value in table.items() if not _nested(value))
    parts = [f"[{prefix}]\n{plain}" if prefix else plain]
    for key, value in table.items():
        name = f"{prefix}.{key}" if prefix else key
        if isinstance(value, dict):
            parts.append(written(value, name))
        elif _nested(value):
            parts += [f"[[{name}]]\n" + "".join(f"{k} = {toml(v)}\n" for k, v in item.items()) for item in value]
    return "\n".join(parts)


def _nested(value: Any) -> bool:
    return isinstance(value, dict) or (isinstance(value, list) and bool(value) and isinstance(value[0], dict))


def leaves(table: dict[str, Any], path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The place of every value."""
    for key, value in table.items():
        if isinstance(value, dict):
            yield from leaves(value, (*path, key))
        elif _nested(value):
            for number, item in enumerate(value):
                yield from leaves(item, (*path, key, number))
        else:
            yield (*path, key)


def changed(table: dict[str, Any], path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    copy = json.loads(json.dumps(table))
    place = copy
    for key in path[:-1]:
        place = place[key]
    if value is None:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return copy


ENVIRONMENT = tomllib.loads(LOCAL)
KEYS = [pytest.param(path, id=".".join(map(str, path))) for path in leaves(ENVIRONMENT)]
DEFAULTED = {("backup", "keep")}
OFFSETS = {("ports", "offsets", name) for name in ENVIRONMENT["ports"]["offsets"]}


def dotted(path: tuple[Any, ...]) -> str:
    return ".".join(map(str, path))


def test_the_file_as_it_is_can_be_read_and_written(root: Path) -> None:
    assert tomllib.loads(written(ENVIRONMENT)) == ENVIRONMENT
    assert load(root, written(ENVIRONMENT)).file == load(root, LOCAL).file


@pytest.mark.parametrize("path", KEYS)
def test_every_key_is_needed_and_its_absence_named(root: Path, path: tuple[str, ...]) -> None:
    text = written(changed(ENVIRONMENT, path, None))
    if path in OFFSETS:
        with pytest.raises(SettingsError, match=f"no port for the process {path[-1]!r}"):
            load(root, text).port(path[-1])
    elif path in DEFAULTED:
        assert load(root, text).file.backup.keep == 7
    else:
        with pytest.raises(SettingsError, match=rf"^{dotted(path)}: missing key \(.*local\.toml\)$"):
            load(root, text)


@pytest.mark.parametrize("path", KEYS)
def test_a_key_of_the_wrong_type_is_named_with_its_file(root: Path, path: tuple[str, ...]) -> None:
    for strange in (1.5, True, {"a": 1}, [[1]]):
        with pytest.raises(SettingsError) as caught:
            load(root, written(changed(ENVIRONMENT, path, strange)))
        said = str(caught.value)
        assert said.startswith(dotted(path)), said
        assert "local.toml" in said
        assert "\n" not in said


@pytest.mark.parametrize("path", KEYS)
def test_a_misspelt_key_is_named(root: Path, path: tuple[str, ...]) -> None:
    if path in OFFSETS:
        return
    misspelt = (*path[:-1], f"{path[-1]}z")
    text = written(changed(ENVIRONMENT, misspelt, "x"))
    with pytest.raises(SettingsError, match=f"{dotted(misspelt)}: unknown key"):
        load(root, text)


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (("ports", "base"), 80, "ports.base: "),
        (("ports", "base"), 70_000, "ports.base: "),
        (("ports", "offsets", "api"), -1, "ports.offsets.api: "),
        (("ports", "offsets", "api"), 1000, "ports.offsets.api: "),
        (("database", "max_connections"), 5, "database.max_connections: "),
        (("database", "shared_buffers"), "48", "database.shared_buffers: '48' is not a size: write it like '512MiB'"),
        (("database", "shared_buffers"), "48MB", "is not a size: write it like '512MiB', in one of B, KiB, MiB"),
        (("compute", "workers"), 0, "compute.workers: "),
        (("compute", "memory"), "1 GiB", "compute.memory: '1 GiB' is not a size"),
        (("orchestrator", "parallelism"), 0, "orchestrator.parallelism: "),
        (("shop", "until"), "soon", "shop.until: "),
        (("shop", "statement_timeout"), "30", "shop.statement_timeout: '30' is not a duration: write it like '60s'"),
        (("mail", "recipients"), [], "mail.recipients: "),
        (("substrates", "lake"), "hdfs", "substrates.lake: "),
        (("substrates", "service"), "s3", "substrates.service: "),
    ],
)
def test_a_value_that_makes_no_sense_is_named(root: Path, path: tuple[str, ...], value: Any, said: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load(root, written(changed(ENVIRONMENT, path, value)))
    assert said in str(caught.value)


@pytest.mark.parametrize("text", ["", "=", "[ports", "a = 1\na = 2", "\x00", 'x = "', "[a]\n[a]"])
def test_a_file_that_is_no_toml_is_named(root: Path, text: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load(root, text)
    assert "local.toml" in str(caught.value)


def test_a_file_in_another_encoding_is_named(root: Path) -> None:
    (root / "infra" / "environments" / "local.toml").write_bytes(b"description = '\xff\xfe'")
    with pytest.raises(SettingsError, match=r"local\.toml is not valid TOML"):
        load(root)


JSONS = st.recursive(
    st.booleans() | st.integers(-10, 10**6) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=4,
)


@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(path=st.sampled_from(list(leaves(ENVIRONMENT))), value=JSONS)
def test_no_value_at_any_place_gives_a_traceback(root: Path, path: tuple[str, ...], value: Any) -> None:
    try:
        load(root, written(changed(ENVIRONMENT, path, value)))
    except LeandataError as error:
        said = str(error)
    else:
        said = "local.toml"
    assert "local.toml" in said


@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(text=st.text(max_size=60))
def test_no_text_at_all_gives_a_traceback(root: Path, text: str) -> None:
    with pytest.raises(SettingsError):
        load(root, text.replace("\r", ""))


# -- the state folder's memory -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["", "x", "80", "99999", "-1", "16400.5", "１６４００"])
def test_a_port_base_that_is_none_is_refused_with_an_example(root: Path, text: str) -> None:
    if not text:
        assert load(root, LEANDATA_PORT_BASE=text).port_base == 16400
        return
    if text == "１６４００":
        assert load(root, LEANDATA_PORT_BASE=text).port_base == 16400
        return
    with pytest.raises(SettingsError, match="It is a number between 1024 and 65435, such as 16400"):
        load(root, LEANDATA_PORT_BASE=text)


def test_what_a_state_folder_was_deployed_with_is_remembered(root: Path) -> None:
    load(root, LEANDATA_PORT_BASE="17400", LEANDATA_TODAY="2026-01-05").remember()
    again = load(root)
    assert (again.port_base, again.today) == (17400, "2026-01-05")
    assert load(root, LEANDATA_PORT_BASE="18400").port_base == 18400, "who says it again is heard"


@pytest.mark.parametrize("text", ["", "{", "[1"])
def test_a_memory_that_is_damaged_is_named_with_what_to_do(root: Path, text: str) -> None:
    (root / "state").mkdir()
    (root / "state" / "environment.json").write_text(text)
    with pytest.raises(SettingsError, match=r"cannot read environment\.json .*Remove it and deploy again"):
        load(root)


@pytest.mark.parametrize("text", ["2026-13-01", "today", "24.11.2026"])
def test_a_today_that_is_no_day_is_refused(root: Path, text: str) -> None:
    with pytest.raises(SettingsError, match="It is a day such as 2026-11-24"):
        load(root, LEANDATA_TODAY=text)


def test_the_state_lies_beside_the_checkout_unless_somebody_says_where(root: Path, monkeypatch: Any) -> None:
    assert Environment.load("local", environ={}, root=root).state == root / ".leandata" / "local"
    monkeypatch.chdir(root)
    assert Environment.load("local", environ={"LEANDATA_STATE": "here"}, root=root).state == root / "here"


def test_environments_are_the_files_that_are_there(root: Path) -> None:
    assert names(root=root) == ["local"]
    (root / "infra" / "environments" / "second.toml").write_text(LOCAL)
    assert names(root=root) == ["local", "second"]
    assert Environment.load("second", environ={}, root=root).name == "second"


def test_no_two_processes_share_a_port(root: Path) -> None:
    environment = load(root)
    ports = [environment.port(name) for name in environment.file.ports.offsets]
    assert len(set(ports)) == len(ports)
    assert max(ports) - environment.port_base < 20, "a second platform finds its own twenty ports beside these"


# -- manifests ---------------------------------------------------------------------------------------------------------


def manifests() -> list[Any]:
    found = []
    for service in SERVICES:
        table = tomllib.loads((ROOT / "services" / service / "service.toml").read_text())
        found += [pytest.param(service, table, path, id=f"{service}:{dotted(path)}") for path in leaves(table)]
    return found


def manifest(root: Path, service: str, table: dict[str, Any]) -> ServiceManifest:
    (root / "services" / service / "service.toml").write_text(written(table))
    return ServiceManifest.load(service, root=root)


@pytest.mark.parametrize(("service", "table", "path"), manifests())
def test_every_key_of_a_manifest_is_needed_and_typed(
    root: Path, service: str, table: dict[str, Any], path: tuple[Any, ...]
) -> None:
    assert manifest(root, service, table).name == service
    if path[-1] in ("metering", "only_on"):  # said of the few that read what was metered, or that a substrate lacks
        assert manifest(root, service, changed(table, path, None)).name == service
    else:
        with pytest.raises(SettingsError, match=rf"^{dotted(path)}: missing key"):
            manifest(root, service, changed(table, path, None))
    for strange in ("much" if path[-1] == "monthly_usd" else 1.5, [[1]]):
        with pytest.raises(SettingsError) as caught:
            manifest(root, service, changed(table, path, strange))
        assert str(caught.value).startswith(dotted(path))
        assert "service.toml" in str(caught.value)


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_is_called_like_its_folder_and_its_processes_have_ports_of_their_own(service: str) -> None:
    found = ServiceManifest.load(service)
    assert found.name == service
    assert found.scaling.minimum <= found.scaling.maximum
    assert found.description.endswith(".")
    for process in found.process:
        assert process.name == service or process.name.startswith(f"{service}-")


@pytest.mark.parametrize("service", SERVICES)
def test_what_a_service_reads_and_writes_are_datasets(service: str) -> None:
    data = ServiceManifest.load(service).data
    assert data.reads == sorted(set(data.reads))
    assert data.writes == sorted(set(data.writes))
    assert set(data.reads) | set(data.writes) <= set(CATALOG)


def test_every_dataset_is_written_by_somebody() -> None:
    written_ = {name for service in SERVICES for name in ServiceManifest.load(service).data.writes}
    assert written_ == set(CATALOG)


def test_a_manifest_that_is_not_there_is_named(root: Path) -> None:
    with pytest.raises(SettingsError, match=r"cannot read service\.toml: No such file"):
        ServiceManifest.load("nobody", root=root)


def test_a_process_that_a_service_has_not_is_a_key_error() -> None:
    with pytest.raises(KeyError, match="nothing"):
        ServiceManifest.load("api").one("nothing")


# -- units -------------------------------------------------------------------------------------------------------------


@given(st.integers(0, 10**6), st.sampled_from(["B", "KiB", "MiB", "GiB", "TiB"]))
def test_a_size_is_its_number_times_its_unit(number: int, unit: str) -> None:
    power = ["B", "KiB", "MiB", "GiB", "TiB"].index(unit)
    assert parse_size(f"{number}{unit}") == number * 1024**power


@given(st.integers(0, 10**6), st.sampled_from([("ms", 0.001), ("s", 1), ("m", 60), ("h", 3600), ("d", 86400)]))
def test_a_duration_is_its_number_times_its_unit(number: int, unit: tuple[str, float]) -> None:
    assert parse_duration(f"{number}{unit[0]}") == number * unit[1]


@given(st.integers(0, 2**55))
def test_a_size_that_is_shown_is_near_the_size(size: int) -> None:
    shown = format_size(size)
    assert abs(parse_size(shown) - size) <= max(1, size * 0.06)


@given(st.one_of(st.text(max_size=10), st.integers(), st.none(), st.floats()))
def test_what_is_no_size_and_no_duration_says_so(value: Any) -> None:
    for parse in (parse_size, parse_duration):
        try:
            assert parse(value) >= 0
        except ValueError as error:
            assert "write it like" in str(error)  # noqa: PT017 - most values are refused, some happen to be good
