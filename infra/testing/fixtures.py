"""Fixtures of real parts for everybody's integration tests."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pytest

from infra.environment import Environment
from infra.standins.shop.seed import seed
from infra.testing import parts
from leandata.database import connect
from leandata.settings import DatabaseAddress, Settings

TODAY = date(2026, 11, 24)


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Generator[parts.Postgres]:
    """A real PostgreSQL server."""
    with parts.postgres(tmp_path_factory.mktemp("postgres")) as found:
        yield found


@pytest.fixture(scope="session")
def mail_server(tmp_path_factory: pytest.TempPathFactory) -> Generator[parts.MailCatcher]:
    """A real mail catcher."""
    with parts.mail_catcher(tmp_path_factory.mktemp("mail")) as found:
        yield found


@dataclass(frozen=True, kw_only=True, slots=True)
class Platform:
    """The data's way without its services: shop, lake, warehouse, serving, mail; and the settings that lead there."""

    settings: Settings
    shop_owner: DatabaseAddress
    warehouse: parts.Warehouse
    mail: parts.MailCatcher
    folder: Path


@pytest.fixture(scope="session")
def shop_owner(postgres_server: parts.Postgres) -> DatabaseAddress:
    """The shop's database, seeded with the real sales; its owner's address."""
    owner = postgres_server.database("shop", owner="shop_owner")
    with connect(owner) as connection:
        seed(connection, until=TODAY)
    return owner


def made_zones(folder: Path) -> dict[str, str]:
    """The zones of an empty lake under `folder`, by name."""
    zones = {zone: folder / "lake" / zone for zone in ("raw", "curated", "models")}
    for place in zones.values():
        place.mkdir(parents=True)
    return {zone: f"file://{place}" for zone, place in zones.items()}


def settings_of(
    zones: Mapping[str, str],
    *,
    shop: DatabaseAddress,
    serving: DatabaseAddress,
    standin: parts.Warehouse,
    **more: str,
) -> Settings:
    """What the pipelines are told; in the warehouse they may what Airflow may."""
    from infra.components.connections import own_address

    return Settings.load(
        {
            "LEANDATA_ENVIRONMENT": "trial",
            "LEANDATA_TODAY": TODAY.isoformat(),
            **{f"LEANDATA_LAKE_{zone.upper()}": address for zone, address in zones.items()},
            "LEANDATA_WAREHOUSE": own_address(Environment.load("local", environ={}), "airflow", standin.url),
            "LEANDATA_SERVING": url_of(serving),
            "LEANDATA_SHOP": url_of(shop),
            **{f"LEANDATA_{name}": value for name, value in more.items()},
        }
    )


@pytest.fixture(scope="session")
def platform(
    postgres_server: parts.Postgres,
    mail_server: parts.MailCatcher,
    shop_owner: DatabaseAddress,
    tmp_path_factory: pytest.TempPathFactory,
) -> Generator[Platform]:
    """Everything that the pipelines need, once for all tests; in the warehouse they may what Airflow may."""
    folder = tmp_path_factory.mktemp("platform")
    zones = made_zones(folder)
    replica = postgres_server.reader("shop_replica", database="shop", schema="public", owner="shop_owner")
    serving = postgres_server.database("serving", owner="serving_writer")
    with parts.warehouse(folder, zones=zones) as standin:
        settings = settings_of(
            zones,
            shop=replica,
            serving=serving,
            standin=standin,
            MAIL=f"smtp://127.0.0.1:{mail_server.smtp_port}?sender=platform@leandata.example",
            REPORT_RECIPIENTS="management@leandata.example",
            OWNER_MAIL="data-team@leandata.example",
            COMMIT="0123456789ab",
            SOURCE_NOTE="Dates were moved.",
            DASH_URL="http://127.0.0.1:1/",
        )
        yield Platform(settings=settings, shop_owner=shop_owner, warehouse=standin, mail=mail_server, folder=folder)


def url_of(address: DatabaseAddress) -> str:
    """The address as a setting."""
    place = f"{address.user}@{address.host}:{address.port}/{address.database}"
    return f"postgresql://{place}?password_file={address.password_file}"
