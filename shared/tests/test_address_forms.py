"""Addresses of every form: what is read out of them, and what is said of those that are wrong."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leandata.errors import LeandataError, SettingsError
from leandata.settings import (
    DatabaseAddress,
    MailAddress,
    Settings,
    WarehouseAddress,
    read_secret,
)

ALL = [
    "AIRFLOW_URL", "API_KEY_FILE", "API_URL", "COMMIT", "DASH_PASSWORD_FILE", "DASH_SESSION_KEY_FILE", "DASH_URL",
    "DASK", "ENVIRONMENT", "EVENTS", "HEALTH_PAGES", "LAKE_CURATED", "LAKE_MODELS", "LAKE_RAW", "LOG", "MAIL", "MAIL_URL",
    "OWNER_MAIL", "REPORT_RECIPIENTS", "SERVICE", "SERVING", "SHOP", "SOURCE_NOTE", "TODAY", "WAREHOUSE",
]  # fmt: skip


@pytest.mark.parametrize("name", ALL)
def test_every_setting_is_known_by_its_name(name: str) -> None:
    assert Settings.load({f"LEANDATA_{name}": "x"}).text(name) == "x"


@pytest.mark.parametrize("name", ALL)
def test_a_setting_with_a_letter_too_many_is_named(name: str) -> None:
    with pytest.raises(SettingsError, match=f"unknown setting LEANDATA_{name}S"):
        Settings.load({f"LEANDATA_{name}S": "x"})


@pytest.mark.parametrize("name", ALL)
def test_an_empty_setting_is_as_good_as_none(name: str) -> None:
    with pytest.raises(SettingsError, match=f"LEANDATA_{name} is not set"):
        Settings.load({f"LEANDATA_{name}": ""}).text(name)


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("postgresql://r@h:1/d", {"host": "h", "port": 1, "user": "r", "database": "d"}),
        ("postgresql://r@h/d", {"port": 5432}),
        ("postgresql://r@/d", {"host": "127.0.0.1"}),
        ("postgresql://r@[::1]:7/d", {"host": "::1", "port": 7}),
        ("postgresql://a%40b@h/d%20e", {"user": "a@b", "database": "d e"}),
        ("postgresql://r@h/d?statement_timeout=250ms", {"statement_timeout": 250}),
        ("postgresql://r@h/d?statement_timeout=30s", {"statement_timeout": 30_000}),
        ("postgresql://r@h/d?statement_timeout=5m", {"statement_timeout": 300_000}),
        ("postgresql://r@h/d?statement_timeout=1h", {"statement_timeout": 3_600_000}),
        ("postgresql://r@h/d?password_file=%2Fa%20b%2Fp", {"password_file": Path("/a b/p")}),
    ],
)
def test_a_database_address_is_read(text: str, fields: dict[str, Any]) -> None:
    found = DatabaseAddress.parse(text)
    assert {name: getattr(found, name) for name in fields} == fields


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "starts with postgresql://, not 'nothing'"),
        ("mysql://r@h/d", "starts with postgresql://, not 'mysql'"),
        ("postgresql://h/d", "names a role and a database"),
        ("postgresql://r@h", "names a role and a database"),
        ("postgresql://r@h/", "names a role and a database"),
        ("postgresql://r@h:99999/d", "the port is no number between 0 and 65535"),
        ("postgresql://r@h:port/d", "the port is no number between 0 and 65535"),
        ("postgresql://r:p@h/d", "a password stands in an address"),
        ("postgresql://r@h/d?sslmode=require", "unknown option 'sslmode'"),
        ("postgresql://r@h/d?statement_timeout=30", "'30' is no duration"),
        ("postgresql://r@h/d?statement_timeout=1d", "'1d' is no duration"),
        ("postgresql://[", "this is no address: Invalid IPv6 URL"),
        ("postgresql://r@h/d?statement_timeout=-1s", "'-1s' is no duration"),
    ],
)
def test_a_database_address_that_is_wrong_is_one_line(text: str, said: str) -> None:
    with pytest.raises(SettingsError) as caught:
        DatabaseAddress.parse(text)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("snowflake://u@acc", {"account": "acc", "user": "u", "port": 443, "protocol": "https", "host": ""}),
        ("snowflake://u@org-acc?role=LOADER", {"account": "org-acc", "role": "LOADER"}),
        ("snowflake://u@a?warehouse=LOAD", {"warehouse": "LOAD"}),
        ("snowflake://u@a?host=127.0.0.1&port=9&protocol=http", {"host": "127.0.0.1", "port": 9, "protocol": "http"}),
        ("snowflake://u@a?private_key_file=/k.p8", {"private_key_file": Path("/k.p8")}),
        ("snowflake://first%20last@a", {"user": "first last"}),
    ],
)
def test_a_warehouse_address_is_read(text: str, fields: dict[str, Any]) -> None:
    found = WarehouseAddress.parse(text)
    assert {name: getattr(found, name) for name in fields} == fields


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("snowflake://acc", "names a user and an account"),
        ("snowflake://u@", "names a user and an account"),
        ("snowflake://u:secret@acc", "a password stands in an address"),
        ("snowflake://u@acc?port=x", "port 'x' is no number"),
        ("snowflake://u@acc?schema=S", "unknown option 'schema'"),
        ("duckdb://u@acc", "starts with snowflake://, not 'duckdb'"),
    ],
)
def test_a_warehouse_address_that_is_wrong_is_one_line(text: str, said: str) -> None:
    with pytest.raises(SettingsError) as caught:
        WarehouseAddress.parse(text)
    assert said in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("smtp://h:2525?sender=a@b", {"host": "h", "port": 2525, "sender": "a@b"}),
        ("smtp://h?sender=a@b", {"port": 25}),
        ("smtp://?sender=a%40b", {"host": "127.0.0.1", "sender": "a@b"}),
    ],
)
def test_a_mail_address_is_read(text: str, fields: dict[str, Any]) -> None:
    found = MailAddress.parse(text)
    assert {name: getattr(found, name) for name in fields} == fields


@pytest.mark.parametrize(
    "text", ["smtp://h", "smtp://h?sender=", "smtp://h?sender=nobody", "smtp://h?from=a@b", "h:25"]
)
def test_a_mail_address_that_is_wrong_is_refused(text: str) -> None:
    with pytest.raises(SettingsError):
        MailAddress.parse(text)


@given(text=st.text(max_size=80))
def test_no_text_at_all_gives_anything_but_an_address_or_a_clear_line(text: str) -> None:
    for scheme in ("", "postgresql://", "snowflake://", "smtp://"):
        for kind in (DatabaseAddress, WarehouseAddress, MailAddress):
            with contextlib.suppress(LeandataError):
                kind.parse(scheme + text)


@pytest.mark.parametrize("password", ["hunter2", "p:q", "a b", "ü"])
@pytest.mark.parametrize("kind", [DatabaseAddress, WarehouseAddress, MailAddress])
def test_a_password_is_in_no_error_and_no_repr(kind: Any, password: str) -> None:
    for scheme in ("postgresql", "snowflake", "smtp", "other"):
        with pytest.raises(SettingsError) as caught:
            kind.parse(f"{scheme}://user:{password}@host/d?sender=a@b")
        assert password not in repr(caught.value)


def test_a_password_is_read_anew_each_time_so_that_a_rotation_is_seen(tmp_path: Path) -> None:
    file = tmp_path / "p"
    file.write_text("old\n")
    address = DatabaseAddress.parse(f"postgresql://r@h/d?password_file={file}")
    assert address.password == "old"
    file.write_text("rotated\n")
    assert address.password == "rotated"
    assert "rotated" not in repr(address)


def test_an_address_without_a_password_file_has_no_password() -> None:
    assert DatabaseAddress.parse("postgresql://r@h/d").password == ""


@pytest.mark.parametrize("kind", ["missing", "folder"])
def test_a_secret_that_cannot_be_read_is_named_with_its_place(tmp_path: Path, kind: str) -> None:
    place = tmp_path / "gone" if kind == "missing" else tmp_path
    with pytest.raises(SettingsError, match=f"cannot read the secret {place.name}: ") as caught:
        read_secret(place)
    assert str(place) in str(caught.value)


@pytest.mark.parametrize(
    ("text", "recipients"),
    [("a@b", ("a@b",)), ("a@b,c@d", ("a@b", "c@d")), (" a@b , , c@d,", ("a@b", "c@d"))],
)
def test_recipients_are_a_list_however_they_are_spaced(text: str, recipients: tuple[str, ...]) -> None:
    assert Settings.load({"LEANDATA_REPORT_RECIPIENTS": text}).report_recipients == recipients


@pytest.mark.parametrize("text", ["2026-13-01", "24.11.2026", "tomorrow", "2026-02-30"])
def test_a_today_that_is_no_day_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(SettingsError, match="It is a day such as 2026-11-24"):
        Settings.load({"LEANDATA_TODAY": text}).today()
