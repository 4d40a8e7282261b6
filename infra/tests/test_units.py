"""Sizes and durations carry their unit."""

from __future__ import annotations

import pytest

from infra.units import format_size, parse_duration, parse_size


@pytest.mark.parametrize(("text", "size"), [("512MiB", 2**29), ("1GiB", 2**30), ("10B", 10), ("1.5KiB", 1536)])
def test_a_size_is_read_in_bytes(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize(("text", "seconds"), [("60s", 60.0), ("250ms", 0.25), ("2h", 7200.0), ("1.5m", 90.0)])
def test_a_duration_is_read_in_seconds(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("wrong", ["512", "512MB", "MiB", "-1GiB", "", 512, None, "1 GiB", "١GiB"])
def test_a_size_without_a_known_unit_is_refused_with_the_units_that_are_known(wrong: object) -> None:
    with pytest.raises(ValueError, match="write it like '512MiB', in one of B, KiB, MiB, GiB, TiB"):
        parse_size(wrong)


@pytest.mark.parametrize("wrong", ["60", "60sec", "s", 60, True])
def test_a_duration_without_a_known_unit_is_refused_with_the_units_that_are_known(wrong: object) -> None:
    with pytest.raises(ValueError, match="write it like '60s', in one of ms, s, m, h, d"):
        parse_duration(wrong)


@pytest.mark.parametrize(("size", "text"), [(0, "0B"), (1023, "1023B"), (2**29, "512.0MiB"), (2**41, "2.0TiB")])
def test_a_size_is_shown_in_the_largest_unit_that_keeps_it_readable(size: int, text: str) -> None:
    assert format_size(size) == text
