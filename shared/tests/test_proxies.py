"""Whose request it is: only what trusted proxies say of it counts, and nobody else's word."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leandata.errors import SettingsError
from leandata.proxies import networks, visitor

TRUSTED = networks("10.0.0.1, 10.1.0.0/16, fd00::/8")
MINE = "203.0.113.7"


@pytest.mark.parametrize(
    ("peer", "forwarded", "whose"),
    [
        ("10.0.0.1", [MINE], MINE),
        ("10.0.0.1", [f"1.2.3.4, {MINE}"], MINE),
        ("10.0.0.1", ["1.2.3.4", MINE], MINE),
        ("10.0.0.1", [f"1.2.3.4, {MINE}, 10.1.7.7"], MINE),
        ("10.0.0.1", ["10.0.0.1, 10.1.0.1"], "10.0.0.1"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", [""], "10.0.0.1"),
        ("10.0.0.1", ["unknown"], "10.0.0.1"),
        ("10.0.0.1", [f"{MINE}, unknown"], "10.0.0.1"),
        ("10.0.0.1", [f"{MINE}:4711"], MINE),
        ("fd00::1", ["[2001:db8::7]:443"], "2001:db8::7"),
        ("::ffff:10.0.0.1", [MINE], MINE),
        ("10.0.0.2", [MINE], "10.0.0.2"),
        (MINE, ["10.0.0.1"], MINE),
        (MINE, ["127.0.0.1, 10.0.0.1"], MINE),
        ("", [MINE], ""),
        ("10.0.0.1", [f" {MINE} "], MINE),
    ],
)
def test_the_first_from_the_right_that_is_no_trusted_proxy_is_the_visitor(
    peer: str, forwarded: list[str], whose: str
) -> None:
    assert visitor(peer, forwarded, trusted=TRUSTED) == whose


@given(forged=st.text(max_size=200), mine=st.ip_addresses(v=4).map(str))
def test_whatever_a_visitor_writes_himself_changes_nothing(forged: str, mine: str) -> None:
    told = visitor("10.0.0.1", [f"{forged}, {mine}"], trusted=networks("10.0.0.1"))
    assert told == (mine if mine != "10.0.0.1" else told)
    assert visitor(mine, [forged], trusted=networks("10.0.0.1")) == mine or mine == "10.0.0.1"


@given(peer=st.text(max_size=50), forwarded=st.lists(st.text(max_size=300), max_size=5))
def test_without_trusted_proxies_only_the_connection_counts(peer: str, forwarded: list[str]) -> None:
    assert visitor(peer, forwarded, trusted=()) == visitor(peer, [], trusted=())


def test_a_header_without_end_costs_no_time() -> None:
    assert visitor("10.0.0.1", ["10.1.0.1," * 100_000 + "10.1.0.2"], trusted=TRUSTED) == "10.1.0.1"


def test_nothing_is_trusted_where_nothing_is_said() -> None:
    assert networks("") == networks(" , ") == ()


@pytest.mark.parametrize(
    "text", ["*", "everybody", "10.0.0.300", "10.0.0.1/8", "10.0.0.1 10.0.0.2", "https://10.0.0.1"]
)
def test_what_is_no_network_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="is no address and no network"):
        networks(text)


@pytest.mark.parametrize("text", ["0.0.0.0/0", "::/0", "10.0.0.1, 0.0.0.0/0"])
def test_everybody_is_no_proxy(text: str) -> None:
    with pytest.raises(SettingsError, match="is everybody"):
        networks(text)
