"""Settings are parsed once; what is wrong is named, and a secret is never shown."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from leandata.errors import SettingsError
from leandata.settings import DatabaseAddress, MailAddress, Settings, WarehouseAddress


def test_an_unknown_setting_is_an_error_that_names_it() -> None:
    with pytest.raises(SettingsError, match="unknown setting LEANDATA_WAREHOSUE"):
        Settings.load({"LEANDATA_WAREHOSUE": "x"})


def test_what_is_not_ours_is_ignored() -> None:
    assert Settings.load({"PATH": "/bin", "LEANDATA": "x"}).values == {}


@pytest.mark.parametrize("name", ["ENV", "STATE", "CACHE", "PORT_BASE", "MARKER", "PG_BIN"])
def test_what_belongs_to_the_deployer_is_tolerated(name: str) -> None:
    Settings.load({f"LEANDATA_{name}": "x"})


@pytest.mark.parametrize(
    "part",
    [
        "environment",
        "warehouse",
        "serving",
        "events",
        "shop",
        "dask",
        "mail",
        "owner_mail",
        "report_recipients",
        "lake",
    ],
)
def test_a_missing_setting_is_named_when_it_is_asked_for(part: str) -> None:
    settings = Settings.load({})
    with pytest.raises(SettingsError, match=r"LEANDATA_[A-Z_]+ is not set"):
        getattr(settings, part)


def test_what_may_be_missing_is_empty() -> None:
    settings = Settings.load({})
    assert (settings.service, settings.commit, settings.source_note, settings.log_format) == ("", "", "", "text")
    assert settings.links.dash == settings.links.api == settings.links.mail == settings.links.airflow == ""


def test_the_lake_has_three_zones() -> None:
    names = {f"LEANDATA_LAKE_{zone.upper()}": f"file:///{zone}" for zone in ("raw", "curated", "models")}
    lake = Settings.load(names).lake
    assert (lake.raw, lake.curated, lake.models) == ("file:///raw", "file:///curated", "file:///models")


def test_a_database_address_is_read_with_its_timeout_in_milliseconds(tmp_path: Path) -> None:
    secret = tmp_path / "pass word"
    secret.write_text("s3cret\n")
    address = DatabaseAddress.parse(
        f"postgresql://reader@db.example:6000/shop?password_file={secret}&statement_timeout=30s"
    )
    assert (address.host, address.port, address.user, address.database) == ("db.example", 6000, "reader", "shop")
    assert address.statement_timeout == 30_000
    assert address.password == "s3cret"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("mysql://a@b/c", "the address starts with postgresql://, not 'mysql'"),
        ("nonsense", "the address starts with postgresql://, not 'nothing'"),
        ("postgresql://b/c", "names a role and a database"),
        ("postgresql://a@b", "names a role and a database"),
        ("postgresql://a@b:port/c", "the port is no number"),
        ("postgresql://a@b/c?colour=red", "unknown option 'colour'"),
        ("postgresql://a@b/c?statement_timeout=30", "'30' is no duration"),
        ("postgresql://a@b/c?statement_timeout=30 s", "'30 s' is no duration"),
    ],
)
def test_a_database_address_that_is_wrong_says_why(text: str, said: str) -> None:
    with pytest.raises(SettingsError) as caught:
        DatabaseAddress.parse(text)
    assert said in str(caught.value)


def test_a_password_in_an_address_is_refused_and_not_shown() -> None:
    with pytest.raises(SettingsError, match="a password stands in an address") as caught:
        DatabaseAddress.parse("postgresql://user:hunter2@host/db")
    assert "hunter2" not in str(caught.value)


def test_an_address_is_shown_without_its_password_whatever_else_is_wrong() -> None:
    with pytest.raises(SettingsError) as caught:
        DatabaseAddress.parse("mysql://user:hunter2@host/db")
    assert "hunter2" not in str(caught.value)


def test_a_lost_password_file_is_named() -> None:
    address = DatabaseAddress.parse("postgresql://a@b/c?password_file=/nowhere/secret")
    with pytest.raises(SettingsError, match="cannot read the secret secret: No such file"):
        _ = address.password


def test_a_warehouse_address_is_read() -> None:
    text = "snowflake://loader@ab12345.eu-west-1?role=LOADER&warehouse=LOAD&private_key_file=/run/key"
    address = WarehouseAddress.parse(text)
    assert (address.user, address.account, address.role, address.warehouse) == (
        "loader",
        "ab12345.eu-west-1",
        "LOADER",
        "LOAD",
    )
    assert address.private_key_file == Path("/run/key")
    assert (address.host, address.port, address.protocol) == ("", 443, "https")


@pytest.mark.parametrize(
    "text", ["snowflake://account", "snowflake://a@b?port=x", "snowflake://a@b?zone=1", "http://a@b"]
)
def test_a_warehouse_address_that_is_wrong_is_refused(text: str) -> None:
    with pytest.raises(SettingsError):
        WarehouseAddress.parse(text)


def test_a_mail_address_names_its_sender() -> None:
    assert MailAddress.parse("smtp://mail:2525?sender=a@b.example").port == 2525
    with pytest.raises(SettingsError, match="names its sender"):
        MailAddress.parse("smtp://mail:2525")


def test_recipients_are_separated_by_commas() -> None:
    settings = Settings.load({"LEANDATA_REPORT_RECIPIENTS": "a@x.example, b@x.example,"})
    assert settings.report_recipients == ("a@x.example", "b@x.example")


def test_the_day_can_be_fixed() -> None:
    assert Settings.load({"LEANDATA_TODAY": "2026-11-24"}).today() == date(2026, 11, 24)
    assert isinstance(Settings.load({}).today(), date)
    with pytest.raises(SettingsError, match="LEANDATA_TODAY is 'soon'"):
        Settings.load({"LEANDATA_TODAY": "soon"}).today()


def test_ages_are_counted_to_the_clock_or_to_noon_of_the_day_that_is_fixed() -> None:
    clock = datetime(2026, 11, 24, 3, 30, tzinfo=UTC)
    assert Settings.load({}).moment(clock) == clock
    assert Settings.load({"LEANDATA_TODAY": "2026-11-24"}).moment(clock) == clock
    for text, day in (("2026-10-05", 5), ("2026-10-31", 31)):
        assert Settings.load({"LEANDATA_TODAY": text}).moment(clock) == datetime(2026, 10, day, 12, tzinfo=UTC)
    with pytest.raises(SettingsError, match="LEANDATA_TODAY is 'soon'"):
        Settings.load({"LEANDATA_TODAY": "soon"}).moment(clock)


def test_a_secret_is_read_without_the_white_space_around_it(tmp_path: Path) -> None:
    (tmp_path / "key").write_text(" k \n")
    assert Settings.load({"LEANDATA_API_KEY_FILE": str(tmp_path / "key")}).secret("API_KEY_FILE") == "k"


def test_services_say_how_they_are_on_pages_of_their_own() -> None:
    assert Settings.load({}).health_pages == {}
    pages = Settings.load({"LEANDATA_HEALTH_PAGES": "api=http://h:1/readyz, dash=https://d.example/healthz?a=b,"})
    assert pages.health_pages == {"api": "http://h:1/readyz", "dash": "https://d.example/healthz?a=b"}


@pytest.mark.parametrize(("text", "name"), [("api", "api"), ("=http://h/", ""), ("api=tcp://h:1", "api"), ("a=", "a")])
def test_a_service_without_a_page_is_named(text: str, name: str) -> None:
    with pytest.raises(SettingsError, match=f"LEANDATA_HEALTH_PAGES names no page of '{name}'"):
        assert Settings.load({"LEANDATA_HEALTH_PAGES": f"dash=http://h/,{text}"}).health_pages
