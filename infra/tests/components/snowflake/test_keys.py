"""The public keys of service users are data in two slots; a file that is damaged is told by its name and place."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.components.naming import services
from infra.components.snowflake.keys import NONE, Number, Slots, body, load, pem, place, text
from infra.environment import Environment
from leandata.errors import SettingsError

CLOUDS = ("dev", "staging", "prod")


@pytest.mark.parametrize("name", CLOUDS)
def test_every_environment_on_snowflake_has_keys_for_its_users_and_no_private_one(name: str) -> None:
    path = place(Environment.load(name, environ={}))
    found = load(path)
    asking = {one for one, manifest in services().items() if manifest.data.warehouse.reads}
    assert set(found) == asking
    assert all(slots.slot(slots.active) for slots in found.values())
    assert "PRIVATE" not in path.read_text()


@pytest.mark.parametrize("name", CLOUDS)
def test_every_key_on_file_is_an_rsa_key_of_4096_bits(name: str) -> None:
    from cryptography.hazmat.primitives import serialization

    for slots in load(place(Environment.load(name, environ={}))).values():
        for key in filter(None, (slots.first, slots.second)):
            loaded: Any = serialization.load_der_public_key(base64.b64decode(key))
            assert loaded.key_size == 4096


def test_environments_do_not_share_a_key() -> None:
    keys = [
        key
        for name in CLOUDS
        for slots in load(place(Environment.load(name, environ={}))).values()
        for key in (slots.first, slots.second)
        if key
    ]
    assert len(set(keys)) == len(keys)


@given(
    st.dictionaries(
        st.sampled_from(["airflow", "api", "dask"]),
        st.builds(
            Slots,
            active=st.sampled_from([1, 2]),
            first=st.text("ABCabc+/=", max_size=9),
            second=st.text("ABCabc+/=", max_size=9),
        ),
    )
)
def test_what_is_written_is_read_again_and_sorted(tmp_path_factory: pytest.TempPathFactory, found: Any) -> None:
    path = tmp_path_factory.mktemp("keys") / "it.json"
    path.write_text(text(found))
    assert load(path) == found
    assert text(load(path)) == text(dict(reversed(found.items())))


def test_without_a_file_there_are_no_keys(tmp_path: Path) -> None:
    assert load(tmp_path / "none.json") == {}


@pytest.mark.parametrize(
    "damaged",
    [
        "",
        "{",
        "[]",
        "null",
        '{"version": 2, "users": {}}',
        '{"version": 1}',
        '{"version": 1, "users": {"airflow": {}}}',
        '{"version": 1, "users": {"airflow": {"active": 3, "slots": {"1": "", "2": ""}}}}',
        '{"version": 1, "users": {"airflow": {"active": 1, "slots": {"1": ""}}}}',
        '{"version": 1, "users": {"airflow": {"active": 1, "slots": {"1": 7, "2": ""}}}}',
        '{"version": 1, "users": {"airflow": {"active": 1, "slots": {"1": "", "2": "", "3": ""}}}}',
        '{"version": 1, "users": ["airflow"]}',
    ],
)
def test_a_damaged_file_is_told_in_one_line_with_its_place(tmp_path: Path, damaged: str) -> None:
    path = tmp_path / "prod.json"
    path.write_text(damaged)
    with pytest.raises(SettingsError, match=r"prod\.json") as told:
        load(path)
    assert str(path) in str(told.value)
    assert "\n" not in str(told.value)


@given(st.binary(max_size=80))
def test_any_bytes_give_keys_or_one_clear_line(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.mktemp("keys") / "it.json"
    path.write_bytes(content)
    try:
        found = load(path)
    except SettingsError as error:
        found = {}
        said = str(error)
    else:
        said = ""
    assert "Traceback" not in said
    assert isinstance(found, dict)


@pytest.mark.parametrize(("active", "idle"), [(1, 2), (2, 1)])
def test_the_idle_slot_is_the_other_one(active: Number, idle: Number) -> None:
    assert Slots(active=active).idle == idle


def test_a_key_comes_into_one_slot_and_leaves_the_other_alone() -> None:
    both = NONE.holding(1, "A").holding(2, "B")
    assert (both.slot(1), both.slot(2), both.active) == ("A", "B", 1)
    assert both.using(2) == Slots(active=2, first="A", second="B")


def test_a_pem_text_becomes_one_line_and_comes_back() -> None:
    key = base64.b64encode(bytes(range(200))).decode()
    whole = pem(key)
    assert whole.startswith("-----BEGIN PUBLIC KEY-----\n")
    assert max(map(len, whole.splitlines())) <= 64
    assert body(whole) == key
    assert body(f"\n  {whole}\n") == key


@pytest.mark.parametrize("wrong", ["", "MIIB", "-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----"])
def test_what_is_no_public_key_is_refused_and_not_repeated(wrong: str) -> None:
    with pytest.raises(SettingsError, match="no public key in PEM") as told:
        body(wrong)
    assert "MIIB" not in str(told.value)


def test_the_file_is_json_that_a_person_reads() -> None:
    read = json.loads(text({"airflow": Slots(active=2, second="B")}))
    assert read == {"version": 1, "users": {"airflow": {"active": 2, "slots": {"1": "", "2": "B"}}}}
