"""Planted secrets: in config, nested outputs, connection strings, documents and base64, marked or not: in no output."""

from __future__ import annotations

import base64
import itertools
import json
import re
import urllib.parse
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ci.preview.document import text
from ci.preview.making import failed
from ci.preview.markdown import markdown
from ci.preview.model import Change, PropertyChange
from ci.preview.page import page
from ci.preview.redacting import Redactor, forms
from ci.preview.report import Preview
from ci.preview.summary import summary
from ci.tests.preview.previews import COMMITS, change, preview, risk, stack

_NUMBERS = itertools.count(1)


def secret() -> str:
    """A value like no other, as a generator of passwords makes them."""
    return f"Zq{next(_NUMBERS):03}xW9vKt4sPl"


def coded(said: str) -> str:
    return base64.b64encode(said.encode()).decode()


def planted() -> dict[str, tuple[str, Any]]:
    """By what it is: the secret, and the properties of a resource in which it is planted."""
    found: dict[str, tuple[str, Any]] = {}

    def plant(what: str, make: Any) -> None:
        value = secret()
        found[what] = (value, make(value))

    for name in ("password", "masterPassword", "db_password", "clientSecret", "apiKey", "api_key", "accessKey", "secretAccessKey", "authToken", "privateKey", "passphrase", "connectionString", "SNOWFLAKE_TOKEN", "fernetKeySecret", "webhookSecret", "credentials", "PGPASSWORD", "signing_key"):  # fmt: skip
        plant(f"config {name}", lambda value, name=name: {name: value})
    for name in ("password", "token", "secret", "apiKey"):
        plant(f"nested {name}", lambda value, name=name: {"outputs": {"a": [{"b": {name: value}}]}})
        plant(f"list of {name}s", lambda value, name=name: {f"{name}s": [value, value]})
        plant(f"document with {name}", lambda value, name=name: {"policy": json.dumps({"x": [{name: value}]})})
    for scheme in ("postgres", "postgresql+psycopg", "mysql", "redis", "amqp", "https", "smtp", "mongodb+srv"):
        plant(f"address {scheme}", lambda value, scheme=scheme: {"address": f"{scheme}://user:{value}@host:1/db?x=1"})
    plant("words", lambda value: {"options": f"host=db user=a password={value} sslmode=require"})
    plant("pairs", lambda value: {"settings": f"Server=db;Uid=a;Pwd={value};"})
    plant("account key", lambda value: {"settings": f"AccountName=a;AccountKey={value};Suffix=x"})
    plant("yaml", lambda value: {"file": f"user: a\npassword: {value}\nport: 1"})
    plant("environment file", lambda value: {"file": f"A=1\nAPI_TOKEN={value}\nB=2"})
    plant("flag", lambda value: {"command": ["run", f"--password={value}"]})
    plant("flag in words", lambda value: {"command": f"run --token {value} --fast"})
    plant("bearer", lambda value: {"headers": {"x": f"Bearer {value}"}})
    plant("header", lambda value: {"headers": f"Authorization: Basic {value}"})
    plant("env entry", lambda value: {"env": [{"name": "DB_PASSWORD", "value": value}]})
    plant("env entry by key", lambda value: {"tags": [{"key": "apiToken", "value": value}]})
    plant(
        "private key",
        lambda value: {"file": f"-----BEGIN RSA PRIVATE KEY-----\n{value}\n-----END RSA PRIVATE KEY-----"},
    )
    plant("base64 of an address", lambda value: {"data": coded(f"postgres://user:{value}@host/db")})
    plant("base64 of words", lambda value: {"userData": coded(f"export DB_PASSWORD={value}")})
    plant("base64 of a document", lambda value: {"blob": coded(json.dumps({"password": value}))})
    plant("base64 within text", lambda value: {"script": f"echo {coded(f'token={value}')} | base64 -d"})
    for what, form in {
        "plain": str,
        "base64": coded,
        "hex": lambda v: v.encode().hex(),
        "url": urllib.parse.quote,
    }.items():
        plant(
            f"elsewhere {what}", lambda value, form=form: {"password": value, "args": ["x", f"pre-{form(value)}-post"]}
        )
    plant("elsewhere base64 within more", lambda value: {"password": value, "auth": coded(f"user:{value}:more")})
    return found


PLANTED = planted()


def shown(found: Preview) -> str:
    """Every form of the preview, as bytes would leave this process, without the entities of Markdown and HTML."""
    whole = "\n".join([markdown(found), text(found), page(found, counts={}), summary(found)])
    return re.sub(r"&#(\d+);\u200b?", lambda match: chr(int(match[1])), whole)


def changes(properties: Any) -> list[Change]:
    """The secret in a resource that is created, deleted and updated."""
    paths = [PropertyChange(path=key, before="x", after=value) for key, value in properties.items()]
    back = [PropertyChange(path=key, before=value, after="x") for key, value in properties.items()]
    return [
        change("new", "create", after=properties),
        change("gone", "delete", before=properties),
        change("other", "update", *paths, before={}, after=properties),
        change("back", "update", *back, before=properties, after={}),
    ]


def redacted(properties: Any, why: str = "") -> Preview:
    raw = stack(*changes(properties))
    redactor = Redactor.learned([raw])
    return preview(redactor.stack(raw), risks=(redactor.risk(risk("new", why=why)),))


@pytest.mark.parametrize("what", PLANTED)
def test_a_planted_secret_is_in_no_output(what: str) -> None:
    value, properties = PLANTED[what]
    assert value not in shown(preview(stack())), "the secret is not there by itself"
    assert any(form in shown(preview(stack(*changes(properties)))) for form in forms(value)), "it would be shown"
    whole = shown(redacted(properties, why=f"connects with {json.dumps(properties)}"))
    for form in sorted(forms(value)):
        assert form not in whole, form
    assert "[secret]" in whole


def test_at_least_50_secrets_are_planted() -> None:
    values = [value for value, _ in PLANTED.values()]
    assert len(set(values)) == len(values) >= 50
    print(f"{len(values)} planted secrets")


def test_all_of_them_at_once_are_in_no_output() -> None:
    raw = stack(*[one for _, properties in PLANTED.values() for one in changes(properties)])
    redactor = Redactor.learned([raw])
    whole = shown(preview(redactor.stack(raw)))
    assert [value for value, _ in PLANTED.values() for form in forms(value) if form in whole] == []


def test_a_secret_in_a_reason_to_fail_is_not_shown() -> None:
    made = failed("prod", COMMITS, "cannot connect to postgres://user:Zq000xW9vKt4@host/db")
    assert "Zq000xW9vKt4" not in shown(made.preview)


def test_a_kubernetes_secret_shows_its_keys_only() -> None:
    value = coded("just a word")
    raw = stack(change("s", "create", type_="kubernetes:core/v1:Secret", after={"data": {"a": value}, "stringData": {"b": "plain word"}, "type": "Opaque"}))  # fmt: skip
    whole = shown(preview(Redactor.learned([raw]).stack(raw)))
    assert value not in whole
    assert "plain word" not in whole
    assert "Opaque" in whole


@pytest.mark.parametrize(
    "properties",
    [
        {"secretArn": "arn:aws:secretsmanager:eu-central-1:1:secret:db"},
        {"passwordFile": "/leandata-state/secrets/api"},
        {"secretName": "database-airflow", "tokenTtl": 3600, "manageMasterUserPassword": True},
        {"secret": "arn:aws:secretsmanager:eu-central-1:1:secret:db"},
        {"url": "https://api.example/v1", "host": "db.example:5432"},
        {"image": "111122223333.dkr.ecr.eu-central-1.amazonaws.com/api@sha256:" + "ab" * 32},
        {"policy": json.dumps({"Statement": [{"Action": "secretsmanager:GetSecretValue", "Resource": "*"}]})},
        {"publicKey": "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA", "keyId": "alias/lake"},
        {"volumes": [{"name": "secrets", "secret": {"secretName": "api"}}]},
        {"code": "0123456789abcdef", "password": "${password}"},
    ],
)
def test_what_only_leads_to_a_secret_is_shown(properties: Any) -> None:
    raw = stack(change("new", "create", after=properties))
    assert Redactor.learned([raw]).stack(raw) == raw


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20))  # fmt: skip
def test_whatever_is_declared_is_redacted_without_an_error_and_keeps_its_shape(found: Any) -> None:
    raw = stack(change("new", "create", after={"x": found}))
    shaped = Redactor.learned([raw]).stack(raw).changes[0].after
    assert isinstance(shaped, dict)
    assert isinstance(shaped["x"], type(found))


@given(st.text(alphabet="abcXYZ0189-_/+!", min_size=8, max_size=40), st.text(max_size=9), st.text(max_size=9))
def test_a_known_secret_is_found_in_base64_at_any_place(value: str, before: str, after: str) -> None:
    whole = base64.b64encode((before + value + after).encode()).decode()
    assert any(form in whole for form in forms(value))
