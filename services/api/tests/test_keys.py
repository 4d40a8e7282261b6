"""Keys over the real API: hashed, scoped, limited, rotated with two valid at once, revoked within seconds."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Generator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import httpx
import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.testing import parts
from infra.testing.api import Api, event, running
from leandata.database import connect
from leandata.errors import DatabaseError, LeandataError
from serving.access import Bucket, Keyring, KeysUnknownError
from serving.keys import SCOPES, Key, Keys, digest, id_of, parsed_scopes, parser, run, told


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Generator[Api]:
    with running(tmp_path_factory.mktemp("keys")) as found:
        yield found


def made(api: Api, *words: str) -> dict[str, Any]:
    """What the command line answers."""
    command = [sys.executable, "-m", "serving.keys", "--json", *words]
    environ = {**os.environ, **api.settings}
    result = subprocess.run(command, capture_output=True, text=True, check=False, env=environ)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def status(api: Api, key: str, path: str = "/v1/freshness") -> int:
    return httpx.get(f"{api.url}{path}", headers={"X-API-Key": key}).status_code


@pytest.mark.integration
def test_a_new_key_is_valid_at_once_and_only_its_hash_is_kept(api: Api) -> None:
    text = made(api, "create", "dash", "--scopes", "figures:read", "--rate", "0")["key"]["text"]
    assert parts.eventually(lambda: status(api, text) == 200)
    with connect(api.events) as connection:
        kept = connection.execute("SELECT * FROM access.keys WHERE id = %s", [id_of(text)]).fetchall()
    assert text.split("_", 2)[2] not in str(kept)
    assert bytes(kept[0][2]) == digest(text)


@pytest.mark.integration
def test_a_key_may_do_what_its_scopes_say_and_is_told_which_it_lacks(api: Api) -> None:
    text = made(api, "create", "reader", "--scopes", "figures:read", "--rate", "0")["key"]["text"]
    assert parts.eventually(lambda: status(api, text) == 200)
    one = event()
    answer = httpx.post(f"{api.url}/v1/events", json=one, headers={"X-API-Key": text})
    assert answer.status_code == 403
    assert answer.headers["content-type"] == "application/problem+json"
    assert "events:write" in answer.json()["detail"]
    assert one["event_id"] not in api.kept()


@pytest.mark.integration
@pytest.mark.parametrize(
    "spoil", [lambda t: t[:-1], lambda t: t + "x", lambda t: t.replace("ldk_", ""), lambda t: t.upper()]
)
def test_a_key_that_is_nearly_right_is_wrong(api: Api, spoil: Any) -> None:
    text = made(api, "create", "nearly", "--scopes", "figures:read", "--rate", "0")["key"]["text"]
    assert parts.eventually(lambda: status(api, text) == 200)
    assert status(api, spoil(text)) == 401


@pytest.mark.integration
def test_while_a_key_is_rotated_both_are_valid_and_then_only_the_new_one(api: Api) -> None:
    old = made(api, "create", "shop", "--scopes", "figures:read", "--rate", "0")["key"]
    new = made(api, "rotate", old["id"], "--hours", "1")["key"]
    assert parts.eventually(lambda: status(api, new["text"]) == 200)
    assert status(api, old["text"]) == 200
    listed = {one["id"]: one for one in made(api, "list")["keys"]}
    assert (listed[old["id"]]["state"], listed[old["id"]]["successor"]) == ("expiring", new["id"])
    assert listed[new["id"]]["scopes"] == ["figures:read"]
    with connect(api.events) as connection:
        connection.execute("UPDATE access.keys SET expires_at = now() WHERE id = %s", [old["id"]])
    assert parts.eventually(lambda: status(api, old["text"]) == 401)
    assert status(api, new["text"]) == 200


@pytest.mark.integration
def test_a_revoked_key_is_refused_within_seconds(api: Api) -> None:
    key = made(api, "create", "gone", "--scopes", "figures:read", "--rate", "0")["key"]
    assert parts.eventually(lambda: status(api, key["text"]) == 200)
    assert made(api, "revoke", key["id"])["key"]["state"] == "revoked"
    assert parts.eventually(lambda: status(api, key["text"]) == 401)


@pytest.mark.integration
def test_a_key_that_asks_too_often_is_told_when_to_come_again(api: Api) -> None:
    text = made(api, "create", "hasty", "--scopes", "figures:read", "--rate", "1")["key"]["text"]
    assert parts.eventually(lambda: status(api, text) in (200, 429))
    answers = [httpx.get(f"{api.url}/v1/freshness", headers={"X-API-Key": text}) for _ in range(20)]
    refused = [answer for answer in answers if answer.status_code == 429]
    assert len(refused) > 10
    assert all(answer.headers["retry-after"] == "1" for answer in refused)
    assert api.client.get("/v1/freshness").status_code == 200, "other keys do not suffer"


@pytest.mark.integration
def test_a_dry_run_changes_nothing(api: Api) -> None:
    before = made(api, "list")
    assert made(api, "--dry", "create", "no", "--scopes", "figures:read")["would"] == "create"
    assert made(api, "list") == before


@pytest.mark.integration
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["create", "x", "--scopes", "all"], "no scope 'all'. SCOPES is one or more of: events:write"),
        (["create", "x", "--scopes", ""], "a key needs a scope"),
        (["create", "a b", "--scopes", "figures:read"], "'a b' cannot name a client"),
        (["create", "x", "--scopes", "figures:read", "--rate", "-1"], "a rate is 0 to"),
        (["rotate", "nothing"], "no key 'nothing'. LIST=yes shows the ids"),
        (["rotate", "nothing", "--hours", "1e99"], "both keys are valid for 0 to 2160 hours"),
        (["revoke", "'; --"], "no key"),
    ],
)
def test_what_cannot_be_done_is_one_clear_line(api: Api, words: list[str], said: str) -> None:
    command = [sys.executable, "-m", "serving.keys", *words]
    result = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **api.settings})
    assert result.returncode == 1
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1
    assert said in result.stderr


@pytest.mark.integration
def test_a_key_is_replaced_once_and_an_ended_one_not_at_all(api: Api) -> None:
    with connect(api.events) as connection:
        keys = Keys(connection)
        old, _ = keys.create("twice", scopes=frozenset({"figures:read"}))
        new, _ = keys.rotate(old.id, grace=timedelta(hours=1))
        with pytest.raises(DatabaseError, match=f"being replaced by {new.id}"):
            keys.rotate(old.id, grace=timedelta(hours=1))
        keys.revoke(new.id)
        with pytest.raises(DatabaseError, match="is revoked"):
            keys.rotate(new.id, grace=timedelta(hours=1))
        with pytest.raises(DatabaseError, match="is revoked"):
            keys.revoke(new.id)


@pytest.mark.integration
def test_people_read_what_was_done(api: Api) -> None:
    with connect(api.events) as connection:
        create = parser().parse_args(["create", "people", "--scopes", "figures:read"])
        said = told(run(create, connection))
        assert "of people is valid: figures:read" in said
        assert "shown this once" in said
        assert "people" in told(run(parser().parse_args(["list"]), connection))
        assert "would create" in told(run(argparse.Namespace(**{**vars(create), "dry": True}), connection))
    assert told({"keys": []}) == "no keys but the one in the file"


NOW = datetime(2026, 11, 24, tzinfo=UTC)


@pytest.mark.parametrize(
    ("changed", "state"),
    [
        ({}, "valid"),
        ({"expires_at": NOW + timedelta(seconds=1)}, "expiring"),
        ({"expires_at": NOW}, "expired"),
        ({"revoked_at": NOW}, "revoked"),
        ({"revoked_at": NOW, "expires_at": NOW + timedelta(days=1)}, "revoked"),
    ],
)
def test_the_state_of_a_key(changed: dict[str, Any], state: str) -> None:
    key = Key(id="a", name="n", digest=b"", scopes=frozenset(), rate=1, created_at=NOW, **changed)
    assert key.state(NOW) == state


@pytest.mark.parametrize("text", ["", "ldk", "ldx_a_b", "a_b_c", "_", "the-key"])
def test_what_is_no_key_names_no_id(text: str) -> None:
    assert id_of(text) == ""


def test_scopes_are_parsed_and_all_of_them_are_told() -> None:
    assert parsed_scopes(" events:write , figures:read,") == {"events:write", "figures:read"}
    with pytest.raises(LeandataError) as error:
        parsed_scopes("everything")
    assert all(scope in str(error.value) for scope in SCOPES)


@given(rate=st.integers(1, 200), gaps=st.lists(st.floats(0, 3), min_size=1, max_size=100))
def test_no_key_ever_gets_more_than_its_rate_and_its_burst(rate: int, gaps: list[float]) -> None:
    bucket, now, taken = Bucket(rate=rate), 1000.0, 0
    for gap in gaps:
        now += gap
        taken += bucket.take(now) == 0.0
    assert taken <= rate * (now - 1000.0 - gaps[0]) + 2 * rate + 1


@given(rate=st.integers(1, 200))
def test_whoever_waits_as_long_as_told_is_served(rate: int) -> None:
    bucket, now = Bucket(rate=rate), 50.0
    while (wait := bucket.take(now)) == 0.0:
        pass
    assert 0 < wait <= 1 / rate
    assert bucket.take(now + wait + 1e-6) == 0.0


def test_a_rate_of_nothing_is_no_limit() -> None:
    bucket = Bucket(rate=0)
    assert [bucket.take(1.0) for _ in range(10_000)] == [0.0] * 10_000


class Table:
    """A table of keys that can be down, behind a pool."""

    def __init__(self, *keys: Key) -> None:
        self.keys, self.asked, self.error = list(keys), 0, None

    def connection(self) -> Any:
        return self

    async def __aenter__(self) -> Any:
        self.asked += 1
        if self.error:
            raise self.error
        return self

    async def __aexit__(self, *ended: object) -> None: ...

    async def execute(self, query: str) -> Any:
        async def fetchall() -> list[Any]:
            return [
                (
                    k.id,
                    k.name,
                    k.digest,
                    sorted(k.scopes),
                    k.rate,
                    k.created_at,
                    k.expires_at,
                    k.revoked_at,
                    k.successor,
                )
                for k in self.keys
            ]

        return SimpleNamespace(fetchall=fetchall)


TEXT = "ldk_abc_secret"
KEY = Key(id="abc", name="n", digest=digest(TEXT), scopes=frozenset({"figures:read"}), rate=1, created_at=NOW)


def ring(table: Table) -> tuple[Keyring, list[float]]:
    now = [0.0]
    return Keyring(table, bootstrap="first", clock=lambda: now[0]), now


def find(keyring: Keyring, text: str) -> Key | None:
    return asyncio.run(keyring.find(text))


def test_known_keys_stay_valid_while_the_database_is_down_but_not_for_ever() -> None:
    table = Table(KEY)
    keyring, now = ring(table)
    assert find(keyring, TEXT) == KEY
    table.error = psycopg.OperationalError("down")
    now[0] = 600.0
    assert find(keyring, TEXT) == KEY
    now[0] = 3700.0
    with pytest.raises(KeysUnknownError):
        find(keyring, TEXT)
    assert find(keyring, "first") is not None, "the key in the file needs no database"


def test_a_key_that_cannot_be_looked_up_is_neither_valid_nor_refused_until_it_can() -> None:
    table = Table(KEY)
    table.error = psycopg.OperationalError("down")
    keyring, now = ring(table)
    with pytest.raises(KeysUnknownError):
        find(keyring, TEXT)
    assert find(keyring, "no key at all") is None
    table.error, now[0] = None, 2.0
    assert find(keyring, TEXT) == KEY
    assert find(keyring, "ldk_other_secret") is None


def test_guessing_keys_asks_the_database_once_a_second_at_most() -> None:
    table = Table()
    keyring, now = ring(table)
    for number in range(1000):
        now[0] = number / 100
        assert find(keyring, f"ldk_{number}_x") is None
    assert table.asked <= 11


def test_before_the_first_key_was_made_there_are_none() -> None:
    table = Table()
    table.error = psycopg.errors.UndefinedTable("no table")
    keyring, _ = ring(table)
    assert find(keyring, TEXT) is None
