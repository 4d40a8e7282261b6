"""Secrets where masking is hard: in parts of keys, behind quotes, in nested names; and that texts stay what they are."""

from __future__ import annotations

import base64
import json
import string
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ci.drift.hiding import Hider

LETTERS = string.ascii_letters + string.digits
BEGIN, END = "-----BEGIN PRIVATE KEY-----", "-----END PRIVATE KEY-----"


def pem(body: str) -> str:
    return f"{BEGIN}\n{body}\n{body[::-1]}\n{END}\n"


def test_of_a_key_that_was_exchanged_no_line_is_shown() -> None:
    before, after = f"port = 1\n{pem('MIIEvQold')}", f"port = 1\n{pem('MIIEvQnew')}"
    assert Hider().pair(before, after) == ("[secret]", "[secret]")


def test_beside_a_key_that_was_exchanged_the_other_lines_are_shown() -> None:
    before, after = f"port = 1\n{pem('MIIEvQold')}", f"port = 2\n{pem('MIIEvQnew')}"
    assert Hider().pair(before, after) == ("port = 1", "port = 2")


def test_a_key_that_came_is_masked_as_a_whole() -> None:
    assert Hider().pair("port = 1\n", f"port = 1\n{pem('MIIEvQnew')}") == ("", "[secret]")


def test_a_key_that_is_cut_off_is_masked_to_the_end() -> None:
    assert Hider().text(f"{BEGIN}\nMIIEvQ\nthe rest is lost") == "[secret]"


def test_a_known_secret_of_several_lines_is_masked_before_lines_are_compared(tmp_path: Path) -> None:
    (tmp_path / "known").write_text("first line\nsecond line\nthird line\n")
    hider = Hider.of(tmp_path)
    shown = hider.pair("a\nfirst line\nanother\nthird line\nz", "a\nfirst line\nsecond line\nthird line\nz")
    assert "second line" not in "".join(shown)
    assert shown[1].startswith("[secret]")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (json.dumps({"password": 'ab"cd, efgh'}), '{"password": [secret]}'),
        (json.dumps({"a": 1, "token": "x\\", "b": "c"}), '{"a": 1, "token": [secret], "b": "c"}'),
        ("password = 'it\\'s mine' and more", "password = [secret] and more"),
        ("redis://:hunter2@cache:6379/0", "redis://:[secret]@cache:6379/0"),
        ("a://b:c@d e://f:g@h", "a://b:[secret]@d e://f:[secret]@h"),
        ("PASSPHRASE=x;next=1", "PASSPHRASE=[secret];next=1"),
        ("access-key: abc, colour: red", "access-key: [secret], colour: red"),
        ("api_key=", "api_key="),
        ("password_file = /run/secrets/db", "password_file = /run/secrets/db"),
        ("private_key_path: /keys/a.p8", "private_key_path: /keys/a.p8"),
        ("https://host:8080/path", "https://host:8080/path"),
        ("the token is lost", "the token is lost"),
        ("secretary went home", "secretary went home"),
        ("password: [secret]", "password: [secret]"),
    ],
)
def test_what_is_masked_ends_where_the_secret_ends(text: str, shown: str) -> None:
    assert Hider().text(text) == shown


@pytest.mark.parametrize(
    ("property_", "hidden"),
    [
        ("tokens[0]", True),
        ("users[2].password", True),
        ("matrix.secret[1][2]", True),
        ("AWS_SECRET_ACCESS_KEY", True),
        ("env.db-password", True),
        ("spec.apiKey", True),
        ("secret_files.DATABASE", False),
        ("token_path", False),
        ("env.MODE", False),
        ("", False),
    ],
)
def test_the_name_of_a_property_decides_wherever_it_stands(property_: str, hidden: bool) -> None:
    assert Hider().pair("one", "two", property=property_) == (("[secret]",) * 2 if hidden else ("one", "two"))


@pytest.mark.parametrize(("value", "known"), [("1234567", False), ("12345678", True), ("é" * 8, True)])
def test_only_texts_of_eight_letters_and_more_are_known_as_secrets(tmp_path: Path, value: str, known: bool) -> None:
    (tmp_path / "one").write_text(value, encoding="utf-8")
    assert (value in Hider.of(tmp_path).text(f"a {value} b")) is not known


def test_a_secret_that_is_part_of_another_does_not_show_the_rest_of_it(tmp_path: Path) -> None:
    (tmp_path / "short").write_text("horse-battery")
    (tmp_path / "long").write_text("correct-horse-battery-staple")
    assert Hider.of(tmp_path).text("it is correct-horse-battery-staple!") == "it is [secret]!"


def test_secrets_are_found_in_folders_within_and_links_that_lead_nowhere_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / "deep" / "er").mkdir(parents=True)
    (tmp_path / "deep" / "er" / "one").write_text("a-deep-secret\n")
    (tmp_path / "lost").symlink_to(tmp_path / "nowhere")
    assert Hider.of(tmp_path).text("a-deep-secret") == "[secret]"


def test_a_secret_that_is_no_text_is_masked_in_base64(tmp_path: Path) -> None:
    raw = bytes(range(200, 232))
    (tmp_path / "key").write_bytes(raw)
    assert Hider.of(tmp_path).text(f"key={base64.b64encode(raw).decode()}") == "key=[secret]"


def test_without_a_folder_of_secrets_nothing_is_known(tmp_path: Path) -> None:
    assert Hider.of(tmp_path / "none") == Hider()
    (tmp_path / "file").write_text("no folder at all")
    assert Hider.of(tmp_path / "file") == Hider()


@given(secret=st.text(LETTERS + '"\\-_ ', min_size=8, max_size=40).map(str.strip).filter(lambda one: len(one) > 7))
@settings(deadline=None, max_examples=60)
def test_a_known_secret_is_shown_nowhere_however_it_is_held(secret: str) -> None:
    hider = Hider(secrets=tuple(sorted({secret, json.dumps(secret)[1:-1]}, key=lambda one: -len(one))))
    for held in (secret, {"a": secret}, [secret, {"b": [secret]}], f"x\n{secret}\ny", f"0{secret}9"):
        assert all(secret not in shown for shown in hider.pair(held, "other"))
        assert all(secret not in shown for shown in hider.pair("other", held, property="content"))


@given(text=st.text(LETTERS + " =:\"'{}[]/@\n", max_size=80))
@settings(deadline=None, max_examples=100)
def test_masking_twice_is_masking_once(text: str) -> None:
    hider = Hider(secrets=("abcdefgh",))
    once = hider.text(f"password={text} abcdefgh")
    assert hider.text(once) == once


@given(one=st.text(max_size=700), other=st.text(max_size=700))
@settings(deadline=None, max_examples=60)
def test_a_value_is_one_line_of_at_most_three_hundred_characters(one: str, other: str) -> None:
    for shown in Hider().pair(one, other):
        assert "\n" not in shown
        assert len(shown) <= 300 + len("...")
