"""The environment of a pull request on this machine: a copy of the data, and nothing is left when it is taken away."""

from __future__ import annotations

import json
from collections.abc import Generator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ci.prenv import tags
from ci.prenv.tags import Tag
from infra.provider import health
from infra.provider.supervisor import Supervisor
from infra.testing.checkout import Checkout, free_base
from leandata.database import connect
from leandata.settings import DatabaseAddress

pytestmark = [pytest.mark.integration, pytest.mark.stacks("database", "lake", "mail")]
SLICE = "lake,database"


@pytest.fixture
def checkout(tmp_path: Path) -> Generator[Checkout]:
    found = Checkout(state=tmp_path / "local", base=free_base())
    yield found
    for state in [found.state, *tmp_path.glob("pr-*")]:
        Supervisor(state).shutdown()
        assert Supervisor(state).marked() == [], "a test has left a process"


def orders(state: Path, base: int) -> int:
    secret = state / "secrets" / "database-shop-owner"
    address = DatabaseAddress(
        host="127.0.0.1", port=base + 11, user="shop_owner", database="shop", password_file=secret
    )
    with connect(address) as connection:
        row = connection.execute("SELECT count(*) FROM orders").fetchone()
    return int(row[0]) if row else 0


def test_it_has_a_copy_of_the_data_its_own_ports_and_leaves_nothing(checkout: Checkout, tmp_path: Path) -> None:
    assert checkout.json("deploy", "--stack", SLICE)["ok"]
    kept = checkout.state / "lake" / "raw" / "part.parquet"
    kept.write_bytes(b"rows")
    secret = checkout.state / "secrets" / "database-shop-owner"
    address = DatabaseAddress(
        host="127.0.0.1", port=checkout.base + 11, user="shop_owner", database="shop", password_file=secret
    )
    with connect(address, autocommit=True) as connection:
        connection.execute("INSERT INTO orders VALUES (1, '2026-11-01', 1, 9.99)")

    made = checkout.run("pr-env", "--number", "7", "--up", "--stack", SLICE)
    assert made.returncode == 0, made.stdout + made.stderr
    state = tmp_path / "pr-7"
    tag = Tag.parse((state / tags.FILE).read_text(), place="")
    assert tag.number == 7
    assert tag.until > datetime.now(UTC) + timedelta(days=2)
    assert tag.port_base != checkout.base
    assert (state / "lake" / "raw" / "part.parquet").stat().st_ino == kept.stat().st_ino, "a second name, no copy"
    assert orders(state, tag.port_base) == 69_660, "the row that only the original has is in the copy"

    own = DatabaseAddress(
        host="127.0.0.1", port=tag.port_base + 11, user="shop_owner", database="shop",
        password_file=state / "secrets" / "database-shop-owner",
    )  # fmt: skip
    with connect(own, autocommit=True) as connection:
        connection.execute("DELETE FROM orders")
    assert orders(checkout.state, checkout.base) == 69_660, "the original is not touched"

    removed = checkout.json("pr-env", "--number", "7", "--down")
    assert removed["ok"], removed
    assert removed["removed"] == [{"number": 7, "left": []}]
    assert not state.exists()
    assert not health.accepts(tag.port_base + 11)
    assert Supervisor(state).marked() == []
    assert kept.read_bytes() == b"rows"
    assert orders(checkout.state, checkout.base) == 69_660


def test_the_sweeper_takes_away_what_has_ended_and_nothing_else(checkout: Checkout, tmp_path: Path) -> None:
    for number, days in ((7, -1), (8, 1)):
        made = checkout.run("pr-env", "--number", str(number), "--up", "--stack", "mail", "--json")
        assert made.returncode == 0, made.stdout + made.stderr
        place = tmp_path / f"pr-{number}" / tags.FILE
        written = {**json.loads(place.read_text()), "until": (datetime.now(UTC) + timedelta(days=days)).isoformat()}
        place.write_text(json.dumps(written))
    base = json.loads((tmp_path / "pr-8" / tags.FILE).read_text())["port_base"]
    swept = checkout.json("pr-env", "--sweep")
    assert swept["removed"] == [{"number": 7, "left": []}]
    assert not (tmp_path / "pr-7").exists()
    assert health.accepts(base + 10), "the other one goes on"
    assert checkout.json("pr-env", "--sweep")["removed"] == []
    assert checkout.json("pr-env", "--number", "8", "--down")["ok"]
