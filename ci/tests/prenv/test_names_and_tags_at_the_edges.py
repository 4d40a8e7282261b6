"""Names, tags, ports and lists of pull requests' environments at their edges: what is broken is one line, never more."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ci.prenv import sweeping, tags
from ci.prenv.slice import Slice, sliced
from ci.prenv.sweeping import Tagged
from ci.prenv.tags import Tag
from ci.programs import Program, Resource
from leandata.errors import LeandataError

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
MOMENTS = st.integers(1_600_000_000, 3_600_000_000).map(lambda second: datetime.fromtimestamp(second, UTC))
NUMBERS = st.integers(1, 999_999)


def tag(number: int = 7, **changed: Any) -> Tag:
    return Tag(**{"number": number, "commit": "abc", "port_base": 24_000, "until": NOW, **changed})


def resource(type_: str, stack: str = "api", **properties: Any) -> Resource:
    urn = f"urn:pulumi:dev::{stack}::{type_}::one"
    return Resource(
        urn=urn, type=type_, name="one", parent="", custom=True, properties=properties, needs=(), protect=True,
        retain=True, ignore=(),
    )  # fmt: skip


def renamed(*resources: Resource, stack: str = "api", number: int = 7) -> list[Resource]:
    program = Program(resources={f"{place}": one for place, one in enumerate(resources)})
    made = sliced({stack: program}, Slice(number=number, until=NOW))
    return [one for program in made.values() for one in program.resources.values()]


@given(number=NUMBERS, base=st.integers(1024, 65_000), until=MOMENTS, commit=st.text(max_size=40))
@settings(deadline=None, max_examples=50)
def test_every_tag_is_read_as_it_was_written(number: int, base: int, until: datetime, commit: str) -> None:
    written = tag(number, port_base=base, until=until, commit=commit)
    assert Tag.parse(written.text(), place="x") == written


@pytest.mark.parametrize(
    "changed",
    [
        {"number": 1e999}, {"number": None}, {"number": [7]}, {"number": "seven"}, {"port_base": 1e999},
        {"port_base": {}}, {"until": None}, {"until": 7}, {"until": "2026-13-01"}, {"until": ""},
    ],
    ids=str,
)  # fmt: skip
def test_one_wrong_value_in_a_tag_is_told_in_one_line(changed: dict[str, Any]) -> None:
    text = json.dumps({**json.loads(tag().text()), **changed})
    with pytest.raises(LeandataError) as raised:
        Tag.parse(text, place="/state/pr-7/pr.json")
    said = "the tag cannot be read (/state/pr-7/pr.json). Write it again, or remove its folder"
    assert str(raised.value) == said


@pytest.mark.parametrize("missing", ["number", "commit", "port_base", "until"])
def test_a_tag_that_lacks_something_is_told_by_its_place(missing: str) -> None:
    read = json.loads(tag().text())
    del read[missing]
    with pytest.raises(LeandataError, match=r"the tag cannot be read \(here\)"):
        Tag.parse(json.dumps(read), place="here")


def test_one_tag_that_is_no_text_is_told_by_its_file_and_not_passed_over(tmp_path: Path) -> None:
    for name, held in (("pr-7", tag().text().encode()), ("pr-8", b"\xff\xfe\x00")):
        (tmp_path / name).mkdir()
        (tmp_path / name / tags.FILE).write_bytes(held)
    with pytest.raises(LeandataError, match=r"the tag cannot be read \(.*/pr-8/pr\.json\)"):
        tags.read_all(tmp_path / "local")


def test_folders_without_a_tag_are_not_environments(tmp_path: Path) -> None:
    (tmp_path / "pr-9").mkdir()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / tags.FILE).write_text(tag().text())
    assert tags.read_all(tmp_path / "local") == []


@given(number=NUMBERS)
@settings(deadline=None, max_examples=30)
def test_every_number_of_a_pull_request_is_one(number: int) -> None:
    assert tags.number(str(number)) == number
    assert tags.number(f"00{number}") == number


@pytest.mark.parametrize("text", ["000", "1" * 7, "9" * 5000, "+7", "7.0", "1_0", " 7", "7\n", "²", "0x7"], ids=repr)
def test_what_only_looks_like_a_number_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(LeandataError) as raised:
        tags.number(text)
    assert str(raised.value) == f"{text!r} is no pull request. N is its number, such as N=7"


@given(
    bases=st.lists(st.integers(23_900, 32_100), max_size=30), taken=st.sets(st.integers(23_900, 32_100), max_size=50)
)
@settings(deadline=None, max_examples=60)
def test_ports_that_are_given_out_are_nobodys(bases: list[int], taken: set[int]) -> None:
    base = tags.free_base([tag(port_base=one) for one in bases], taken=taken)
    mine = set(range(base, base + tags.PORTS))
    assert not mine & taken
    assert all(base + tags.PORTS <= other or other + tags.PORTS <= base for other in bases)
    assert 24_000 <= min(mine) <= max(mine) < 32_000


@given(ends=st.lists(MOMENTS, max_size=20), now=MOMENTS)
@settings(deadline=None, max_examples=60)
def test_an_environment_has_ended_exactly_when_its_time_has_come(ends: list[datetime], now: datetime) -> None:
    known = [tag(number, until=until) for number, until in enumerate(ends, 1)]
    gone = tags.expired(known, now=now)
    assert gone == sorted(gone)
    assert all((one.number in gone) == (one.until <= now) for one in known)


@given(number=NUMBERS, until=MOMENTS)
@settings(deadline=None, max_examples=60)
def test_the_sweeper_reads_the_tags_that_a_slice_writes(number: int, until: datetime) -> None:
    one = Tagged(kind="role", name="x", tags=Slice(number=number, until=until).tags)
    assert one.number == number
    assert sweeping.unreadable([one]) == []
    assert sweeping.ended([one], now=until) == [one], "seconds are cut off"
    assert sweeping.ended([one], now=until - timedelta(minutes=1)) == []


def test_the_end_is_told_in_utc_wherever_it_was_reckoned() -> None:
    berlin = NOW.astimezone(timezone(timedelta(hours=2)))
    assert Slice(number=7, until=berlin).tags == Slice(number=7, until=NOW).tags
    assert Slice(number=7, until=berlin).tags["leandata.io/until"] == "2026-11-25T1200Z"


@pytest.mark.parametrize(
    "text",
    [
        "null", "3", '"list"', "[3]", "[null]", '["a"]', '[{"kind": "a", "name": "b"}]', "[", "\udcff",
        '[{"name": "b", "tags": {}}]', '[{"kind": "a", "name": "b", "tags": ["x"]}]',
        '[{"kind": "a", "name": "b", "tags": null}]',
    ],
    ids=ascii,
)  # fmt: skip
def test_a_list_of_what_is_tagged_that_is_none_is_one_line(tmp_path: Path, text: str) -> None:
    file = tmp_path / "tagged.json"
    file.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(LeandataError) as raised:
        sweeping.load(file)
    assert str(raised.value) == f"what is tagged cannot be read ({file})"


def test_a_tag_that_a_cloud_gives_as_a_number_is_the_same_as_its_text(tmp_path: Path) -> None:
    file = tmp_path / "tagged.json"
    listed = [{"kind": "role", "name": "x", "tags": {sweeping.PR: 7, sweeping.UNTIL: "2026-11-25T1200Z"}}]
    file.write_text(json.dumps(listed))
    assert sweeping.of(sweeping.load(file), 7) == sweeping.ended(sweeping.load(file), now=NOW) != []


def test_kinds_that_nobody_knows_are_removed_last() -> None:
    listed = [Tagged(kind=kind, name="x", tags={sweeping.PR: "7"}) for kind in ("zebra", "objects", "namespace", "ant")]
    assert [one.kind for one in sweeping.of(listed, 7)] == ["namespace", "objects", "ant", "zebra"]


def test_only_this_pull_request_is_listed() -> None:
    listed = [Tagged(kind="role", name=number, tags={sweeping.PR: number}) for number in ("7", "70", "17", "77")]
    assert [one.name for one in sweeping.of(listed, 7)] == ["7"]
    assert sweeping.of([Tagged(kind="role", name="x", tags={})], 0) != [], "0 is nobody's, and N=0 is refused before"


@pytest.mark.parametrize(
    ("name", "made"),
    [
        ("leandata-dev-api", "pr-7-api"),
        ("leandata-staging/api/key", "pr-7/api/key"),
        ("leandata/api/key", "pr-7/api/key"),
        ("leandatabase-api", "pr-7-leandatabase-api"),
        ("leandata", "pr-7-leandata"),
        ("other-api", "pr-7-other-api"),
        ("dev-leandata-api", "pr-7-dev-leandata-api"),
    ],
)
def test_a_role_of_the_slice_never_has_the_name_of_the_original(name: str, made: str) -> None:
    (one,) = renamed(resource("aws:iam/role:Role", name=name))
    assert one.properties["name"] == made


@given(name=st.from_regex(r"(leandata)?[a-z/-]{1,20}", fullmatch=True), number=NUMBERS)
@settings(deadline=None, max_examples=80)
def test_every_name_carries_the_number_of_the_pull_request(name: str, number: int) -> None:
    (one,) = renamed(resource("aws:secretsmanager/secret:Secret", name=name), number=number)
    assert re.match(rf"pr-{number}(?![0-9])", one.properties["name"])


def test_a_name_is_changed_wherever_it_stands_and_longer_names_are_others() -> None:
    text = "leandata-dev-api, leandata-dev-api-extra, x-leandata-dev-api and arn:role/leandata-dev-api/x"
    role = resource("aws:iam/role:Role", name="leandata-dev-api", description=text)
    (one,) = renamed(role)
    said = "pr-7-api, leandata-dev-api-extra, x-leandata-dev-api and arn:role/pr-7-api/x"
    assert one.properties["description"] == said


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ("s3://lake-dev/raw", "s3://lake-dev/pr-7/raw"),
        ("s3://lake-dev", "s3://lake-dev/pr-7"),
        ("arn:aws:s3:::lake-dev/*", "arn:aws:s3:::lake-dev/pr-7/*"),
        ("arn:aws:s3:::lake-dev", "arn:aws:s3:::lake-dev"),
        ("https://lake-dev/raw", "https://lake-dev/raw"),
    ],
)
def test_the_slice_writes_below_its_own_prefix(text: str, made: str) -> None:
    (one,) = renamed(resource("kubernetes:core/v1:ConfigMap", data={"a": text}))
    assert one.properties["data"] == {"a": made}


def test_nothing_of_a_slice_is_protected_or_kept_and_it_lies_in_its_own_stack() -> None:
    (one,) = renamed(resource("aws:iam/role:Role", name="x", tags={"team": "a"}))
    assert (one.protect, one.retain) == (False, False)
    assert one.urn == "urn:pulumi:dev::pr-7-api::aws:iam/role:Role::one"
    assert one.properties["tags"] == {"team": "a", "leandata.io/pr": "7", "leandata.io/until": "2026-11-25T1200Z"}


@pytest.mark.parametrize(
    ("type_", "stack"),
    [
        ("aws:s3/bucket:Bucket", "api"),
        ("aws:eks/cluster:Cluster", "cluster"),
        ("aws:iam/role:Role", "network"),
        ("kubernetes:core/v1:Namespace", "network"),
        ("snowflake:index/networkPolicy:NetworkPolicy", "warehouse"),
    ],
)
def test_what_is_shared_is_no_part_of_a_slice(type_: str, stack: str) -> None:
    assert renamed(resource(type_, stack, name="x", metadata={"name": "x-api"}), stack=stack) == []


@pytest.mark.parametrize(("asked", "given_"), [(None, 5), (0, 5), (3, 3), (5, 5), (400, 5)])
def test_a_resource_monitor_never_allows_more_than_five_credits(asked: int | None, given_: int) -> None:
    (one,) = renamed(resource("snowflake:index/resourceMonitor:ResourceMonitor", name="M", creditQuota=asked))
    assert (one.properties["creditQuota"], one.properties["name"]) == (given_, "PR_7_M")


def test_a_warehouse_of_a_slice_is_the_smallest_and_sleeps_soon() -> None:
    (one,) = renamed(
        resource("snowflake:index/warehouse:Warehouse", name="W", warehouseSize="XLARGE", autoSuspend=3600)
    )
    assert one.properties == {
        "name": "PR_7_W", "warehouseSize": "XSMALL", "autoSuspend": 60, "initiallySuspended": True,
        "comment": '{"leandata.io/pr": "7", "leandata.io/until": "2026-11-25T1200Z"}',
    }  # fmt: skip
