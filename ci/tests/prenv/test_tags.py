"""Tags of pull requests' environments: written and read, ports that are nobody's, what has ended."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ci.prenv import tags
from ci.prenv.tags import Tag
from leandata.errors import LeandataError

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)


def tag(number: int = 7, *, base: int = 24_000, days: float = 1) -> Tag:
    return Tag(number=number, commit="abc", port_base=base, until=NOW + timedelta(days=days))


def test_a_tag_is_read_as_it_was_written() -> None:
    assert Tag.parse(tag().text(), place="") == tag()


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", '{"number": "x"}', '{"number": 7, "commit": "", "port_base": 1, "until": "soon"}']
)
def test_a_tag_that_cannot_be_read_is_named(text: str) -> None:
    with pytest.raises(LeandataError, match=r"the tag cannot be read \(pr-7\)"):
        Tag.parse(text, place="pr-7")


def test_a_time_without_a_zone_is_taken_for_utc() -> None:
    assert Tag.parse(tag().text().replace("+00:00", ""), place="") == tag()


@pytest.mark.parametrize("text", ["", "0", "-1", "7a", "../x", "1000000", "٧", "7 8"])
def test_what_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(LeandataError, match="is no pull request"):
        tags.number(text)


def test_a_number_is_one() -> None:
    assert tags.number("7") == 7


def test_only_what_has_lived_long_enough_has_ended() -> None:
    found = [tag(9, days=-1), tag(8, days=0), tag(7, days=0.001), tag(6, days=-30)]
    assert tags.expired(found, now=NOW) == [6, 8, 9]
    assert tags.expired([], now=NOW) == []


def test_ports_are_neither_those_of_another_nor_taken() -> None:
    assert tags.free_base([], taken=[]) == 24_000
    assert tags.free_base([tag(base=24_000)], taken=[]) == 24_020
    assert tags.free_base([tag(base=24_000)], taken=[24_031]) == 24_040
    assert tags.free_base([tag(base=24_010)], taken=[]) == 24_040, "a range that overlaps is closed as a whole"


def test_when_no_ports_are_left_it_is_said() -> None:
    with pytest.raises(LeandataError, match="no ports are left"):
        tags.free_base([], taken=range(24_000, 32_000))


def test_environments_lie_beside_the_one_they_are_copies_of(tmp_path: Path) -> None:
    for found in (tag(8), tag(7)):
        place = tags.folder(tmp_path / "local", found.number)
        place.mkdir()
        (place / tags.FILE).write_text(found.text())
    assert [one.number for one in tags.read_all(tmp_path / "local")] == [7, 8]
    assert tags.folder(tmp_path / "local", 7) == tmp_path / "pr-7"
