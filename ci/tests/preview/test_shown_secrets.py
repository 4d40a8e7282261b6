"""What is hidden and what is left: the shape of a change stays readable, notes and short secrets are hidden as well."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ci.preview.making import Given, make
from ci.preview.model import ABSENT, LATER, Change, PropertyChange
from ci.preview.redacting import Redactor, forms, secrets_of
from ci.prices import Prices
from ci.programs import HIDDEN
from ci.tests.preview.previews import change, risk, stack
from ci.tests.preview.test_base_and_head import Small

SECRET = "Zq77xW9vKt4sPl"


def shown(*found: Change) -> list[Change]:
    raw = stack(*found)
    return list(Redactor.learned([raw]).stack(raw).changes)


def property_(path: str, before: Any, after: Any, *, type_: str = "aws:s3/bucket:Bucket") -> tuple[Any, Any]:
    """Both values of one property as they are shown, of a change that carries no more than this."""
    one = shown(change("x", "update", PropertyChange(path=path, before=before, after=after), type_=type_))[0]
    return one.properties[0].before, one.properties[0].after


# -- properties --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (ABSENT, SECRET, (ABSENT, HIDDEN)),
        (SECRET, ABSENT, (HIDDEN, ABSENT)),
        (SECRET, LATER, (HIDDEN, LATER)),
        (SECRET, SECRET + "x", (HIDDEN, HIDDEN)),
        (HIDDEN, SECRET, (HIDDEN, HIDDEN)),
        ("abc", "def", (HIDDEN, HIDDEN)),
    ],
    ids=["comes", "goes", "is not known yet", "changes", "was marked before", "is short"],
)
def test_a_secret_that_comes_or_goes_is_seen_to_and_its_value_is_not(before: Any, after: Any, said: Any) -> None:
    assert property_("masterPassword", before, after) == said


@pytest.mark.parametrize(
    "path",
    ["password", "db.password", "env[DB_PASSWORD].value", "env[api_key].value", "settings[0].clientSecret", "a[b].token"],
)  # fmt: skip
def test_a_property_is_hidden_by_any_name_on_its_way(path: str) -> None:
    assert property_(path, "one-value", "two-value") == (HIDDEN, HIDDEN)


@pytest.mark.parametrize(
    "path",
    ["bucket", "env[LOG_LEVEL].value", "secretArn", "tokenTtlDays", "passwordLength", "keyName", "secrets[a].path"],
)
def test_a_property_that_is_no_secret_is_left_as_it_is(path: str) -> None:
    assert property_(path, "one-value", "two-value") == ("one-value", "two-value")


@pytest.mark.parametrize("path", ["data.pin", "stringData.pin", "data[a.b]", "stringData"])
def test_a_kubernetes_secret_shows_no_value_however_short(path: str) -> None:
    values = ({"pin": "123"}, {"pin": "456"}) if path == "stringData" else ("123", "456")
    before, after = property_(path, *values, type_="kubernetes:core/v1:Secret")
    assert "123" not in json.dumps(before)
    assert "456" not in json.dumps(after)


def test_a_kubernetes_secret_says_which_keys_come_and_what_else_changes() -> None:
    assert property_("data.new", ABSENT, "MTIz", type_="kubernetes:core/v1:Secret") == (ABSENT, HIDDEN)
    assert property_("metadata.name", "old", "new", type_="kubernetes:core/v1:Secret") == ("old", "new")


def test_data_of_what_is_no_secret_is_shown() -> None:
    assert property_("data.level", "info", "debug", type_="kubernetes:core/v1:ConfigMap") == ("info", "debug")


@pytest.mark.parametrize("kept", [None, 5, 1.5, True, [], {}, [1, [2]], {"a": {"b": None}}])
def test_what_is_no_text_keeps_its_value(kept: Any) -> None:
    assert property_("size", kept, kept) == (kept, kept)


# -- whole resources ---------------------------------------------------------------------------------------------------


def test_a_secret_of_one_resource_is_hidden_in_all_others_of_all_stacks() -> None:
    first = stack(change("db", "create", after={"password": SECRET}))
    second = stack(change("app", "create", after={"args": [f"run {SECRET} now"]}, stack="api"), name="api")
    redactor = Redactor.learned([first, second])
    assert redactor.stack(second).changes[0].after == {"args": [f"run {HIDDEN} now"]}


def test_the_secret_that_was_there_before_is_hidden_as_well() -> None:
    gone = shown(change("db", "delete", before={"password": SECRET, "url": f"x?{SECRET}"}))[0]
    assert gone.before == {"password": HIDDEN, "url": f"x?{HIDDEN}"}
    assert gone.after is None


def test_the_longer_of_two_secrets_is_hidden_whole() -> None:
    found = shown(change("a", "create", after={"password": "abcd", "token": "abcdefgh", "text": "abcdefgh"}))[0]
    assert found.after == {"password": HIDDEN, "token": HIDDEN, "text": HIDDEN}


def test_a_secret_too_short_to_be_told_from_a_word_is_hidden_only_where_it_stands() -> None:
    found = shown(change("a", "create", after={"password": "abc", "text": "abc is fine"}))[0]
    assert found.after == {"password": HIDDEN, "text": "abc is fine"}


def test_what_is_hidden_once_is_not_learned_as_a_secret() -> None:
    whole = {"password": HIDDEN, "text": f"shows {HIDDEN}"}
    raw = stack(change("a", "create", after=whole))
    assert Redactor.learned([raw]).known == ()
    assert Redactor.learned([raw]).stack(raw) == raw


def test_nothing_but_the_values_changes() -> None:
    one = change("db", "replace", PropertyChange(path="password", before="aaaa", after="bbbb", replaces=True), before={"password": "aaaa"}, after={"password": "bbbb"}, may_replace=True, deletes_first=True)  # fmt: skip
    found = shown(one)[0]
    assert (found.urn, found.type, found.name, found.op, found.may_replace, found.deletes_first) == (one.urn, one.type, one.name, "replace", True, True)  # fmt: skip
    assert (found.properties[0].path, found.properties[0].replaces) == ("password", True)


def test_a_risk_says_why_without_the_secret_and_keeps_who_signs() -> None:
    redactor = Redactor.learned([stack(change("a", "create", after={"password": SECRET}))])
    found = redactor.risk(risk("a", why=f"opens with {SECRET}", teams=("x",), confirm=True))
    assert (found.why, found.teams, found.confirm) == (f"opens with {HIDDEN}", ("x",), True)


# -- texts -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "left"),
    [
        (f"postgres://user:{SECRET}@db:5432/x", f"postgres://user:{HIDDEN}@db:5432/x"),
        (f"postgres://user:p@{SECRET}@db/x", f"postgres://user:{HIDDEN}@db/x"),
        (f"password={SECRET} host=db", f"password={HIDDEN} host=db"),
        (f"--token {SECRET} --fast", f"--token {HIDDEN} --fast"),
        (f"Authorization: Bearer {SECRET}", f"Authorization: Bearer {HIDDEN}"),
        ("key AKIAABCDEFGHIJKLMNOP here", f"key {HIDDEN} here"),
        ("use ghp_abcdefghijklmnopqrst1", f"use {HIDDEN}"),
        ("a eyJhbGciOiJI.eyJzdWIiOiIx.c2lnbmF0dXJl b", f"a {HIDDEN} b"),
        ("-----BEGIN PRIVATE KEY-----\nabc", HIDDEN),
    ],
)
def test_only_the_secret_within_a_text_is_hidden(said: str, left: str) -> None:
    assert Redactor().text(said) == left
    assert Redactor().text(left) == left, "twice is the same as once"


@pytest.mark.parametrize(
    "said",
    ["", "a plain sentence", "https://api.example/v1", "user@example.com", "password is rotated", "arn:aws:iam::1:role/x",
     "sha256:" + "ab" * 32, "s3://bucket/key", "{not json", "[1, 2", "token=ab"],
)  # fmt: skip
def test_a_text_without_a_secret_is_left_to_the_byte(said: str) -> None:
    assert Redactor().text(said) == said
    assert list(secrets_of(said)) == []


def test_a_document_is_written_anew_only_where_something_is_hidden() -> None:
    spaced = '{ "a" :  1 }'
    assert Redactor().text(spaced) == spaced
    hidden = Redactor().text(json.dumps({"password": SECRET, "a": 1}))
    assert json.loads(hidden) == {"password": HIDDEN, "a": 1}


def test_base64_of_a_secret_is_hidden_and_other_base64_is_not() -> None:
    secret = base64.b64encode(f"password={SECRET}".encode()).decode()
    plain = base64.b64encode(b"nothing to see here at all").decode()
    assert Redactor().text(f"x {secret} y") == f"x {HIDDEN} y"
    assert Redactor().text(f"x {plain} y") == f"x {plain} y"


@given(st.text(alphabet=st.characters(min_codepoint=33, max_codepoint=0x2FF), min_size=4, max_size=30))
def test_the_secret_itself_is_among_its_forms_and_each_form_is_hidden(secret: str) -> None:
    found = forms(secret)
    assert secret in found
    redactor = Redactor(known=tuple(sorted(found, key=lambda one: (-len(one), one))))
    for form in found - {part for part in found if part in HIDDEN}:
        assert form not in redactor.text(f"\n{form}\n")


# -- notes -------------------------------------------------------------------------------------------------------------


class Signers:
    def signers(self, kind: str, stack: str) -> tuple[str, ...]:
        return ()


def test_a_base_that_fails_with_a_secret_in_its_reason_says_the_reason_without_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "temporary").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.setenv("SEEN", str(tmp_path / "seen"))
    small = Small(tmp_path)
    small.write({"a": "1"})
    declaring = small.root / "ci" / "preview" / "declaring.py"
    declaring.write_text(f"raise SystemExit('no answer from postgres://user:{SECRET}@db/x')\n")
    small.git("add", "-A")
    small.git("commit", "-q", "-m", "x")
    small.commit({"a": "1"})
    known = Given(teams=Signers(), prices=Prices.load(), manifests={})  # type: ignore[arg-type]
    made = make(small.repository, ["one"], given=known, store=small.store, say=small.said.append)["one"]
    reason = f"the programs cannot be run: no answer from postgres://user:{HIDDEN}@db/x"
    assert made.preview.notes == (f"the base cannot be run, so everything counts as created: {reason}",)
