"""What somebody did by hand to files, secrets of a cluster and objects of a warehouse: seen by its name, and mended."""

from __future__ import annotations

import base64
import getpass
import os
import stat
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.provider.kinds.base import UNKNOWN, Change, HalfMadeError, ProviderError, World, explain, unknown
from infra.provider.kinds.cluster import ClusterSecret, Core
from infra.provider.kinds.files import Directory, File, RenderedSecret, Secret, mark, write
from infra.provider.kinds.postgres import PostgresRole
from infra.provider.kinds.processes import Job, Process
from infra.provider.kinds.shapes import left, one_of, server
from infra.provider.kinds.warehouse import (
    WarehouseDatabase,
    WarehouseFileFormat,
    WarehouseObject,
    WarehouseSchema,
    WarehouseSql,
    WarehouseStage,
)

ADDRESS = "snowflake://u@a"
NAMES = st.text("abc", min_size=1, max_size=2)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(state=tmp_path / "state")


def named(changes: list[Change]) -> list[str]:
    return [change.name for change in changes]


# -- files ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["0600", "0640", "0755", "1777", "2750", "0000"])
def test_the_mode_that_is_declared_is_the_one_that_is_read(world: World, tmp_path: Path, mode: str) -> None:
    made = Directory().create(world, {"path": str(tmp_path / "d"), "mode": mode})
    seen = Directory().read(world, made.id, made.properties)
    assert seen == made.properties
    assert Directory().changes(seen, made.properties) == []


@pytest.mark.parametrize("mode", [0o700, 0o777, 0o1750])
def test_a_folder_that_was_opened_by_hand_is_seen_by_its_mode_and_mended(
    world: World, tmp_path: Path, mode: int
) -> None:
    inputs = {"path": str(tmp_path / "d"), "mode": "0750"}
    made = Directory().create(world, inputs)
    Path(made.id).chmod(mode)
    seen = Directory().read(world, made.id, made.properties)
    assert seen is not None
    assert named(Directory().changes(seen, inputs)) == ["mode"]
    Directory().update(world, made.id, seen, inputs)
    assert Directory().read(world, made.id, seen) == inputs


def test_a_file_where_a_folder_was_declared_is_a_folder_that_is_gone(world: World, tmp_path: Path) -> None:
    (tmp_path / "d").write_text("no folder")
    assert Directory().read(world, str(tmp_path / "d"), {}) is None


def test_a_folder_where_a_file_or_secret_was_declared_is_one_that_is_gone(world: World, tmp_path: Path) -> None:
    assert File().read(world, str(tmp_path), {}) is None
    assert Secret().read(world, str(tmp_path), {}) is None
    assert RenderedSecret().read(world, str(tmp_path), {"fingerprint": "x"}) is None


def test_a_file_that_is_no_text_any_more_is_drift_and_not_an_error(world: World, tmp_path: Path) -> None:
    inputs = {"path": str(tmp_path / "f"), "mode": "0640", "content": "text"}
    File().create(world, inputs)
    (tmp_path / "f").write_bytes(b"\xff\xfe")
    seen = File().read(world, inputs["path"], inputs)
    assert seen is not None
    assert named(File().changes(seen, inputs)) == ["content"]


@pytest.mark.parametrize("kind", ["secret", "rendered"])
@pytest.mark.parametrize(("mode", "seen"), [(0o600, None), (0o644, "0644"), (0o400, "0400"), (0o660, "0660")])
def test_a_secret_s_mode_is_told_only_where_it_is_another(
    world: World, tmp_path: Path, kind: str, mode: int, seen: str | None
) -> None:
    (tmp_path / "part").write_text("value")
    path = str(tmp_path / "s")
    inputs = {"path": path, "kind": "hex"} if kind == "secret" else {}
    inputs = inputs or {"path": path, "template": "a=${part}", "secrets": {"part": str(tmp_path / "part")}}
    one = Secret() if kind == "secret" else RenderedSecret()
    made = one.create(world, inputs)
    Path(path).chmod(mode)
    found = one.read(world, path, made.properties)
    assert found is not None
    assert found.get("mode") == seen
    assert named(one.changes(found, inputs)) == ([] if seen is None else ["mode"])
    assert "mode" not in one.update(world, path, found, inputs)
    assert stat.S_IMODE(Path(path).stat().st_mode) == 0o600


def test_a_secret_that_was_exchanged_by_hand_is_kept_and_seen_by_its_mark(world: World, tmp_path: Path) -> None:
    inputs = {"path": str(tmp_path / "s"), "kind": "hex"}
    made = Secret().create(world, inputs)
    (tmp_path / "s").write_text("another one")
    found = Secret().read(world, made.id, made.properties)
    assert found is not None
    assert found["fingerprint"] == mark(b"another one") != made.properties["fingerprint"]
    assert Secret().changes(found, inputs) == [], "the one that is in use is never replaced"
    Secret().create(world, inputs)
    assert (tmp_path / "s").read_text() == "another one"


def test_a_rendered_secret_that_was_edited_counts_as_gone_and_is_made_again(world: World, tmp_path: Path) -> None:
    (tmp_path / "part").write_text("value\n")
    inputs = {"path": str(tmp_path / "r"), "template": "a=${part}", "secrets": {"part": str(tmp_path / "part")}}
    made = RenderedSecret().create(world, inputs)
    text = (tmp_path / "r").read_text()
    (tmp_path / "r").write_text(text + "# by hand")
    assert RenderedSecret().read(world, made.id, made.properties) is None
    assert RenderedSecret().create(world, inputs) == made
    assert (tmp_path / "r").read_text() == text


def test_what_a_file_held_stays_when_the_new_text_cannot_be_put_in_place(tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "inside").write_text("x")
    with pytest.raises(ProviderError) as raised:
        write(tmp_path / "taken", "text", mode=0o600)
    assert str(raised.value) == f"cannot write taken: Is a directory ({tmp_path / 'taken'})"
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["inside", "taken"]


# -- how two states are compared -----------------------------------------------------------------------------------


@given(old=st.dictionaries(NAMES, st.integers(0, 2)), new=st.dictionaries(NAMES, st.none() | st.integers(0, 2)))
@settings(deadline=None, max_examples=50)
def test_changes_are_those_inputs_that_are_not_so_already(old: dict[str, Any], new: dict[str, Any]) -> None:
    told = {change.name: change.kind for change in File().changes(old, new)}
    assert list(told) == sorted(told)
    expected = {name for name, value in new.items() if old.get(name) != value}
    assert set(told) == expected
    for name, kind in told.items():
        assert kind == ("delete" if new[name] is None else "update" if name in old else "add")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (UNKNOWN, True),
        ([1, [UNKNOWN]], True),
        ({"a": {"b": [UNKNOWN]}}, True),
        ({UNKNOWN: 1}, False),
        (f"{UNKNOWN}x", False),
    ],
)
def test_a_value_is_unknown_when_anything_in_it_is(value: Any, expected: bool) -> None:
    assert unknown(value) is expected


def test_several_reasons_to_replace_stand_before_what_only_changes() -> None:
    changes = [Change(name=name, kind="update", replaces=name < "c", why=f"of {name}") for name in "abcd"]
    assert explain(changes) == "replaced because a: of a, b: of b; changed: c, d"


def test_something_half_made_says_what_it_is_and_why() -> None:
    error = HalfMadeError("web", {"state": "unhealthy"}, "the process web keeps ending")
    assert (str(error), error.id, error.properties) == ("the process web keeps ending", "web", {"state": "unhealthy"})


@pytest.mark.parametrize(
    ("drift", "said"),
    [
        ({}, ""),
        ({"login": "refused"}, "changed: login"),
        ({"member_of": ["admins"], "options": "LOGIN SUPERUSER"}, "changed: member_of, options"),
        ({"login": "accepted", "member_of": []}, ""),
    ],
)
def test_a_role_that_may_more_than_we_give_differs_by_that(drift: dict[str, Any], said: str) -> None:
    inputs = {"name": "r", "server": {}, "role_password_file": "/p", "settings": {}}
    assert explain(PostgresRole().changes({**inputs, "fingerprint": "x", **drift}, inputs)) == said


@pytest.mark.parametrize(
    ("user", "said"),
    [
        ("", []),
        (UNKNOWN, []),
        (getpass.getuser(), []),
        ("nobody-of-that-name", ["user 'nobody-of-that-name' is nobody on this machine"]),
        (7.0, ["user must be a text"]),
    ],
)
def test_a_process_runs_only_as_somebody_who_is_there(user: Any, said: list[str]) -> None:
    assert [one for one in Process().check({"user": user}) if one.startswith("user ")] == said


@pytest.mark.skipif(os.geteuid() == 0, reason="root starts processes as anybody")
def test_only_root_starts_a_process_as_somebody_else() -> None:
    assert "only root starts a process as another user (root)" in Process().check({"user": "root"})


def test_a_job_that_leaves_nothing_is_never_missing_anything(world: World) -> None:
    properties = {"name": "seed", "command": ["true"]}
    assert Job().read(world, "seed", properties) == properties
    assert Job().changes(properties, {"name": "seed"}) == []
    assert named(Job().changes({**properties, "missing": ["raw.sales"]}, {"name": "seed"})) == ["missing"]


LEFT = {"address": "postgresql://h/d", "relations": ["a.b"]}
SERVER = {"host": "h", "port": 5432.0, "user": "u", "password_file": "/p"}


@pytest.mark.parametrize(
    "changed", [{"address": "mysql://h"}, {"address": 7}, {"relations": []}, {"relations": [""]}, {"more": 1}], ids=str
)
def test_what_a_job_leaves_is_an_address_and_names(changed: dict[str, Any]) -> None:
    assert left(LEFT) == ""
    said = "must be the address of a database (postgresql://...) and the relations in it"
    assert left({**LEFT, **changed}) == left(None) == left([]) == said


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({}, ""),
        ({"port": 0.0}, "is not whole: port must be a port from 1 to 65535"),
        ({"host": None, "user": ""}, "is not whole: host must be a text that is not empty"),
        ({"password_file": "p"}, "is not whole: password_file must be an absolute path"),
    ],
)
def test_of_a_server_the_first_thing_that_is_wrong_is_told(changed: dict[str, Any], said: str) -> None:
    assert server({**SERVER, **changed}) == said


@pytest.mark.parametrize("value", ["d", "", None, 1, ["a"], "A"])
def test_a_word_that_is_none_of_those_allowed_is_refused_with_all_of_them(value: Any) -> None:
    assert one_of(("c", "a", "b"))(value) == "must be a, b or c"
    assert [one_of({"a", "b"})(word) for word in ("a", "b")] == ["", ""]


# -- secrets of a cluster ------------------------------------------------------------------------------------------


class RefusedError(Exception):
    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


class Api:
    """The core API of a cluster, as far as secrets go; `forbids` is the status with which it refuses everything."""

    def __init__(self, held: dict[tuple[str, str], Any] | None = None, *, forbids: int = 0) -> None:
        self.held = held or {}
        self.forbids = forbids

    def _ask(self, place: tuple[str, str], *, there: bool) -> None:
        if self.forbids:
            raise RefusedError(self.forbids, "Forbidden")
        if (place in self.held) != there:
            raise RefusedError(404 if there else 409, "Not Found" if there else "Conflict")

    def read_namespaced_secret(self, name: str, namespace: str, **_: Any) -> Any:
        self._ask((namespace, name), there=True)
        return SimpleNamespace(data=self.held[namespace, name])

    def create_namespaced_secret(self, namespace: str, body: Any, **_: Any) -> None:
        self._ask((namespace, body["metadata"]["name"]), there=False)
        self.held[namespace, body["metadata"]["name"]] = body["data"]

    def replace_namespaced_secret(self, name: str, namespace: str, body: Any, **_: Any) -> None:
        self._ask((namespace, name), there=True)
        self.held[namespace, name] = body["data"]

    def delete_namespaced_secret(self, name: str, namespace: str, **_: Any) -> None:
        self._ask((namespace, name), there=True)
        del self.held[namespace, name]


def core(api: Api) -> Core:
    return Core(api, missing=RefusedError)


def held(text: bytes) -> dict[str, str]:
    return {"value": base64.b64encode(text).decode()}


def test_a_secret_is_put_read_replaced_and_removed_twice_without_harm() -> None:
    api = Api()
    there = core(api)
    assert there.get("api", "key") is None
    for value in (b"one", b"\xff\x00two"):
        there.put("api", "key", value, {"a": "b"})
        assert there.get("api", "key") == value
    there.remove("api", "key")
    there.remove("api", "key")
    assert api.held == {}


@pytest.mark.parametrize("emptied", [None, {}, {"other": "eA=="}, {"value": ""}], ids=str)
def test_a_secret_that_was_emptied_by_hand_counts_as_gone_and_gets_a_value_again(world: World, emptied: Any) -> None:
    api = Api({("api", "key"): emptied, ("dash", "key"): held(b"kept")})
    kind = ClusterSecret(lambda: core(api))
    inputs = {"secret": "key", "namespaces": ["dash", "api"], "kind": "hex", "labels": {}}
    seen = kind.read(world, "key", inputs)
    assert seen is not None
    assert (seen["namespaces"], seen["fingerprint"]) == (["dash"], mark(b"kept"))
    kind.create(world, inputs)
    assert api.held == {("api", "key"): held(b"kept"), ("dash", "key"): held(b"kept")}


@pytest.mark.parametrize("act", ["get", "put", "remove"])
@pytest.mark.parametrize("status", [401, 403, 500])
def test_a_cluster_that_refuses_is_one_line_with_the_place_and_without_the_value(act: str, status: int) -> None:
    there = core(Api(forbids=status))
    asked = {"get": (), "put": (b"hunter2", {}), "remove": ()}[act]
    with pytest.raises(ProviderError) as raised:
        getattr(there, act)("api", "key", *asked)
    assert str(raised.value) == f"the cluster refuses the secret api/key: {status} Forbidden"


# -- objects of a warehouse ----------------------------------------------------------------------------------------


class Shown:
    """A warehouse that answers every query with these rows, and keeps what it was asked."""

    def __init__(self, *rows: dict[str, Any]) -> None:
        self.rows = list(rows)
        self.asked: list[str] = []

    def query(self, sql: str) -> list[dict[str, Any]]:
        self.asked.append(sql)
        return self.rows


OBJECTS: list[tuple[WarehouseObject, dict[str, Any], str, str, str]] = [
    (WarehouseDatabase(), {"name": "RAW"}, "RAW", "CREATE DATABASE IF NOT EXISTS RAW", "SHOW DATABASES"),
    (
        WarehouseSchema(), {"name": "LAKE", "database": "RAW"}, "RAW.LAKE",
        "CREATE SCHEMA IF NOT EXISTS RAW.LAKE", "SHOW SCHEMAS IN DATABASE RAW",
    ),
    (
        WarehouseFileFormat(), {"name": "PQ", "schema": "RAW.LAKE", "options": "TYPE = PARQUET"}, "RAW.LAKE.PQ",
        "CREATE OR REPLACE FILE FORMAT RAW.LAKE.PQ TYPE = PARQUET", "SHOW FILE FORMATS IN SCHEMA RAW.LAKE",
    ),
    (
        WarehouseStage(), {"name": "ST", "schema": "RAW.LAKE", "url": "s3://it's"}, "RAW.LAKE.ST",
        "CREATE OR REPLACE STAGE RAW.LAKE.ST URL = 's3://it''s'", "SHOW STAGES IN SCHEMA RAW.LAKE",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "inputs", "name", "made", "asked"), OBJECTS, ids=[row[2] for row in OBJECTS])
def test_an_object_is_made_and_found_by_its_whole_name_in_any_case(
    kind: WarehouseObject, inputs: dict[str, Any], name: str, made: str, asked: str
) -> None:
    inputs = {**inputs, "address": ADDRESS}
    assert (kind.identity(inputs), kind.make(inputs), kind.check(inputs)) == (name, made, [])
    for shown, there in ((inputs["name"].lower(), True), (inputs["name"], True), (f"{inputs['name']}X", False)):
        warehouse: Any = Shown({"name": "OTHER"}, {"name": shown}, {})
        assert kind.found(warehouse, inputs) == (inputs if there else None)
        assert warehouse.asked == [asked]


def test_a_stage_that_leads_elsewhere_is_seen_by_its_url() -> None:
    inputs = {"name": "ST", "schema": "RAW.LAKE", "url": "s3://ours", "address": ADDRESS}
    warehouse: Any = Shown({"name": "st", "url": "s3://theirs"})
    seen = WarehouseStage().found(warehouse, inputs)
    assert seen is not None
    assert explain(WarehouseStage().changes(seen, inputs)) == "changed: url"


@pytest.mark.parametrize(("rows", "there"), [([{"x": 1}], True), ([], False)])
def test_a_statement_holds_while_its_query_returns_a_row(rows: list[dict[str, Any]], there: bool) -> None:
    inputs = {"execute": "GRANT A", "revert": "REVOKE A", "query": "SHOW A", "address": ADDRESS}
    warehouse: Any = Shown(*rows)
    assert WarehouseSql().found(warehouse, inputs) == (inputs if there else None)
    assert warehouse.asked == ["SHOW A"]


def test_an_address_that_is_none_is_refused_before_anything_is_asked() -> None:
    said = "address must be an address such as snowflake://user@account"
    assert WarehouseDatabase().check({"name": "RAW", "address": "postgresql://h"}) == [said]
