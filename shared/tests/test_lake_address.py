"""The addresses of the lake: a folder, S3, or what stands in for S3."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leandata.errors import LakeError, SettingsError
from leandata.lake import Lake
from leandata.settings import DatabaseAddress, LakeAddress

BUCKET = st.from_regex(r"[a-z0-9][a-z0-9.-]{1,60}[a-z0-9]", fullmatch=True)
PREFIX = st.lists(st.from_regex(r"[A-Za-z0-9_=.-]{1,20}", fullmatch=True), max_size=4).map("/".join)


def test_a_folder_is_an_address_without_options() -> None:
    address = LakeAddress.parse("file:///data/lake/raw")
    assert (address.place, address.options, address.plain_http) == ("file:///data/lake/raw", {}, False)


def test_a_folders_name_may_hold_what_an_address_gives_a_meaning(tmp_path: Path) -> None:
    place = f"file://{tmp_path}/odd ?#& name"
    assert LakeAddress.parse(place).place == place
    assert Lake(place).url == place


def test_a_bucket_of_aws_needs_no_option() -> None:
    address = LakeAddress.parse("s3://leandata-prod-lake-raw-111122223333/")
    assert (address.place, address.options) == ("s3://leandata-prod-lake-raw-111122223333", {})


def test_a_region_is_handed_on() -> None:
    address = LakeAddress.parse("s3://bucket/prefix?region=eu-central-1")
    assert (address.place, address.options) == ("s3://bucket/prefix", {"aws_region": "eu-central-1"})


def test_a_stand_in_is_asked_without_a_signature() -> None:
    address = LakeAddress.parse("s3://raw?endpoint=http://lake.leandata-standins.svc:16415")
    assert address.plain_http is True
    assert address.options == {
        "aws_endpoint": "http://lake.leandata-standins.svc:16415",
        "aws_region": "us-east-1",
        "aws_skip_signature": "true",
    }


def test_an_endpoint_behind_tls_is_asked_with_a_signature() -> None:
    address = LakeAddress.parse("s3://raw?endpoint=https://s3.example.com")
    assert address.plain_http is False
    assert address.options == {"aws_endpoint": "https://s3.example.com"}


@given(bucket=BUCKET, prefix=PREFIX)
def test_every_bucket_and_prefix_is_read_back(bucket: str, prefix: str) -> None:
    place = f"s3://{bucket}/{prefix}".rstrip("/")
    assert LakeAddress.parse(f"{place}?endpoint=http://h:1").place == place


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "starts with s3://"),
        ("raw", "starts with s3://"),
        ("file://raw", "starts with s3://"),
        ("gs://bucket", "starts with s3://"),
        ("http://bucket", "starts with s3://"),
        ("s3://", "names a bucket"),
        ("s3:///prefix", "names a bucket"),
        ("s3://bucket?signature=no", "unknown option 'signature'"),
        ("s3://key:secret@bucket", "a password stands in an address"),
        ("s3://[bucket", "this is no address"),
    ],
)
def test_what_is_no_address_is_refused_in_one_line(text: str, said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        LakeAddress.parse(text)
    with pytest.raises(LakeError, match="cannot be opened") as failed:
        Lake(text)
    assert "\n" not in str(failed.value)


def test_a_secret_that_stands_in_an_address_is_not_repeated() -> None:
    for read in (LakeAddress.parse, Lake):
        with pytest.raises((LakeError, SettingsError)) as failed:
            read("s3://key:very-secret@bucket")
        assert "very-secret" not in str(failed.value)


@pytest.mark.parametrize(
    ("host", "nearby"),
    [
        ("127.0.0.1", True),
        ("localhost", True),
        ("postgres.leandata-standins.svc", True),
        ("postgres.leandata-standins.svc.example.com", False),
        ("127.0.0.1.example.com", False),
        ("leandata.abc.eu-central-1.rds.amazonaws.com", False),
    ],
)
def test_a_server_is_nearby_on_this_machine_and_in_this_cluster_only(host: str, nearby: bool) -> None:
    assert DatabaseAddress.parse(f"postgresql://role@{host}:5432/serving").nearby is nearby
