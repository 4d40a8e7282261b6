"""Every property of every kind: what is taken, what is refused and with which words."""

from __future__ import annotations

from typing import Any

import pytest

from infra.provider.kinds import shapes
from infra.provider.kinds.base import UNKNOWN, Kind
from infra.provider.servicer import KINDS

SERVER = {"host": "127.0.0.1", "port": 5432.0, "user": "postgres", "password_file": "/s/p"}
ADDRESS = "snowflake://leandata@fakesnow?host=127.0.0.1&port=1&protocol=http"
GOOD: dict[str, dict[str, Any]] = {
    "AwsSecretValue": {"secret": "arn:aws:secretsmanager:x", "region": "eu-central-1", "kind": "hex"},
    "ClusterSecret": {"secret": "api-key", "namespaces": ["a"], "kind": "hex", "labels": {"x": "y"}},
    "Directory": {"path": "/a", "mode": "0750", "retain": True},
    "File": {"path": "/a", "mode": "0640", "content": ""},
    "Job": {
        "name": "j", "command": ["true"], "env": {"A": "b"}, "secret_files": {"B": "/s"}, "directory": "/",
        "triggers": {}, "timeout": 10.0,
    },
    "PostgresCluster": {"path": "/pg", "password_file": "/s/p"},
    "PostgresDatabase": {"name": "serving", "server": SERVER, "owner": "serving_writer"},
    "PostgresGrants": {"server": SERVER, "database": "d", "schema": "public", "role": "r", "owner": "o"},
    "PostgresRole": {"name": "r", "server": SERVER, "role_password_file": "/s/r", "settings": {"x": "y"}},
    "Process": {
        "name": "api", "command": ["python", "-m", "serving"], "env": {}, "secret_files": {}, "directory": "/",
        "user": "", "health": {"kind": "running", "url": "", "port": 0.0}, "start_timeout": 60.0,
        "memory_limit": 0.0, "log_max_bytes": 10.0, "log_backups": 3.0, "restart": "always", "stop_signal": "TERM",
        "stop_group": True, "stop_timeout": 1.0, "priority": 500.0, "triggers": {"code": "abc"},
    },
    "RenderedSecret": {"path": "/r", "template": "{p}", "secrets": {"p": "/s/p"}},
    "Secret": {"path": "/s", "kind": "password"},
    "WarehouseDatabase": {"name": "RAW", "address": ADDRESS},
    "WarehouseFileFormat": {"name": "PARQUET", "schema": "RAW.LAKE", "options": "TYPE = PARQUET", "address": ADDRESS},
    "WarehouseSchema": {"name": "LAKE", "database": "RAW", "address": ADDRESS},
    "WarehouseSql": {"execute": "CREATE", "revert": "DROP", "query": "SELECT 1", "address": ADDRESS},
    "WarehouseStage": {"name": "FILES", "schema": "RAW.LAKE", "url": "file:///a/", "address": ADDRESS},
}  # fmt: skip
COMPUTED = {"fingerprint": None, "identity": None, "state": None, "granted": None}


def kind(name: str) -> Kind:
    return KINDS[f"machine:index:{name}"]


def properties() -> list[tuple[str, str]]:
    return [(name, prop) for name, inputs in sorted(GOOD.items()) for prop in sorted(inputs)]


def test_every_kind_has_an_example_here() -> None:
    assert sorted(KINDS) == sorted(f"machine:index:{name}" for name in GOOD)


@pytest.mark.parametrize("name", sorted(GOOD))
def test_good_inputs_are_taken(name: str) -> None:
    assert kind(name).check(GOOD[name]) == []
    assert kind(name).check({**GOOD[name], **COMPUTED}) == [], "outputs that are still empty come along"


@pytest.mark.parametrize("name", sorted(GOOD))
def test_good_inputs_differ_in_nothing_from_themselves(name: str) -> None:
    healthy = kind(name).healthy
    assert kind(name).changes({**GOOD[name], **healthy}, GOOD[name]) == []


@pytest.mark.parametrize("name", sorted(GOOD))
def test_nothing_that_a_preview_does_not_know_is_refused(name: str) -> None:
    assert kind(name).check(dict.fromkeys(GOOD[name], UNKNOWN)) == []


@pytest.mark.parametrize(("name", "prop"), properties())
def test_a_property_that_is_missing_is_named(name: str, prop: str) -> None:
    inputs = {other: value for other, value in GOOD[name].items() if other != prop}
    expected = [] if prop in kind(name).optional else [f"{prop} is missing"]
    assert kind(name).check(inputs) == expected
    assert kind(name).check({**GOOD[name], prop: None}) == expected


@pytest.mark.parametrize(("name", "prop"), properties())
def test_a_property_of_the_wrong_type_is_named_without_its_value(name: str, prop: str) -> None:
    for strange in ([1, 2], {"hunter2": 2}, 7.5, ["hunter2", 3]):
        said = kind(name).check({**GOOD[name], prop: strange})
        if prop in ("start_timeout", "stop_timeout", "timeout") and strange == 7.5:
            assert said == []
        else:
            assert len(said) >= 1
            assert said[0].startswith(f"{prop} ")
            assert "hunter2" not in " ".join(said)


@pytest.mark.parametrize("name", sorted(GOOD))
def test_a_property_that_nobody_knows_is_refused(name: str) -> None:
    assert kind(name).check({**GOOD[name], "colour": "red"}) == ["colour is no property"]


@pytest.mark.parametrize(("name", "prop"), properties())
def test_a_changed_property_is_named_and_replaces_only_with_a_reason(name: str, prop: str) -> None:
    old = {**GOOD[name], **kind(name).healthy, prop: "something else"}
    (change,) = kind(name).changes(old, GOOD[name])
    assert change.name == prop
    assert change.replaces == (prop in kind(name).replaced_by)
    assert bool(change.why) == change.replaces


@pytest.mark.parametrize("name", sorted(GOOD))
def test_what_replaces_is_a_property_of_the_kind(name: str) -> None:
    assert set(kind(name).replaced_by) <= set(kind(name).shapes)
    assert set(kind(name).optional) <= set(kind(name).shapes)
    assert not set(kind(name).shapes) & kind(name).computed()


@pytest.mark.parametrize(
    ("shape", "value", "said"),
    [
        (shapes.text, "a", ""),
        (shapes.text, "", "must be a text that is not empty"),
        (shapes.text, 1.0, "must be a text that is not empty"),
        (shapes.text, None, "must be a text that is not empty"),
        (shapes.any_text, "", ""),
        (shapes.any_text, [], "must be a text"),
        (shapes.flag, True, ""),
        (shapes.flag, 1.0, "must be true or false"),
        (shapes.flag, "true", "must be true or false"),
        (shapes.path, "/", ""),
        (shapes.path, "~/x", "must be an absolute path"),
        (shapes.path, "", "must be an absolute path"),
        (shapes.path, ["/"], "must be an absolute path"),
        (shapes.mode, "0750", ""),
        (shapes.mode, "1777", ""),
        (shapes.mode, "750", 'must be four octal digits, such as "0750"'),
        (shapes.mode, "0o75", 'must be four octal digits, such as "0750"'),
        (shapes.mode, "0758", 'must be four octal digits, such as "0750"'),
        (shapes.mode, 750.0, 'must be four octal digits, such as "0750"'),
        (shapes.seconds, 0.1, ""),
        (shapes.seconds, 60, ""),
        (shapes.seconds, 0.0, "must be a number of seconds above zero"),
        (shapes.seconds, -1.0, "must be a number of seconds above zero"),
        (shapes.seconds, True, "must be a number of seconds above zero"),
        (shapes.seconds, "60s", "must be a number of seconds above zero"),
        (shapes.count, 0.0, ""),
        (shapes.count, 12, ""),
        (shapes.count, 1.5, "must be a whole number, zero or more"),
        (shapes.count, -1.0, "must be a whole number, zero or more"),
        (shapes.count, False, "must be a whole number, zero or more"),
        (shapes.port, 1.0, ""),
        (shapes.port, 65535.0, ""),
        (shapes.port, 0.0, "must be a port from 1 to 65535"),
        (shapes.port, 65536.0, "must be a port from 1 to 65535"),
        (shapes.port, "80", "must be a port from 1 to 65535"),
        (shapes.command, ["a", ""], ""),
        (shapes.command, [], "must name a program"),
        (shapes.command, [""], "must name a program"),
        (shapes.command, ["a", 1.0], "must name a program"),
        (shapes.command, "a b", "must name a program"),
        (shapes.texts, {}, ""),
        (shapes.texts, {"A": ""}, ""),
        (shapes.texts, {"A": 1.0}, "must map names to texts"),
        (shapes.texts, [], "must map names to texts"),
        (shapes.paths, {"A": "/x"}, ""),
        (shapes.paths, {"A": "x"}, "must map names to absolute paths"),
        (shapes.paths, "x", "must map names to absolute paths"),
        (shapes.identifier, "_a1", ""),
        (shapes.identifier, "a" * 63, ""),
        (shapes.identifier, "a" * 64, "must be a name of letters, digits and _"),
        (shapes.identifier, "1a", "must be a name of letters, digits and _"),
        (shapes.identifier, 'a"; DROP', "must be a name of letters, digits and _"),
        (shapes.identifier, "", "must be a name of letters, digits and _"),
        (shapes.qualified, "RAW.LAKE", ""),
        (shapes.qualified, "RAW", "must be DATABASE.SCHEMA"),
        (shapes.qualified, "A.B.C", "must be DATABASE.SCHEMA"),
        (shapes.qualified, "A.B;", "must be DATABASE.SCHEMA"),
        (shapes.qualified, 1.0, "must be DATABASE.SCHEMA"),
        (shapes.warehouse, ADDRESS, ""),
        (shapes.warehouse, "postgresql://x", "must be an address such as snowflake://user@account"),
        (shapes.one_of(("b", "a")), "a", ""),
        (shapes.one_of(("b", "a")), "c", "must be a or b"),
        (shapes.one_of(("c", "b", "a")), ["a"], "must be a, b or c"),
        (shapes.health, {"kind": "running"}, ""),
        (shapes.health, {"kind": "http", "url": "http://127.0.0.1:1/h"}, ""),
        (shapes.health, {"kind": "tcp", "port": 80.0}, ""),
        (shapes.health, {"kind": "http", "url": "ftp://x"}, "must be an address (http), a port (tcp) or running"),
        (shapes.health, {"kind": "tcp", "port": 0.0}, "must be an address (http), a port (tcp) or running"),
        (shapes.health, {"kind": "smell"}, "must be an address (http), a port (tcp) or running"),
        (shapes.health, "running", "must be an address (http), a port (tcp) or running"),
        (shapes.server, SERVER, ""),
        (shapes.server, {**SERVER, "port": 0.0}, "is not whole: port must be a port from 1 to 65535"),
        (shapes.server, {**SERVER, "host": ""}, "is not whole: host must be a text that is not empty"),
        (shapes.server, {**SERVER, "password_file": "p"}, "is not whole: password_file must be an absolute path"),
        (shapes.server, None, "is not whole: host must be a text that is not empty"),
    ],
)
def test_a_shape_takes_what_is_right_and_says_what_it_wants(shape: shapes.Shape, value: Any, said: str) -> None:
    assert shape(value) == said


def test_several_things_that_are_wrong_are_all_told_sorted() -> None:
    said = kind("Process").check({**GOOD["Process"], "restart": "maybe", "directory": "here", "colour": "red"})
    assert said == [
        "colour is no property",
        "directory must be an absolute path",
        "restart must be always, never or on-failure",
    ]
