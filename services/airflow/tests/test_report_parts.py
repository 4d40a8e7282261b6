"""What is unusual by the stated rule, and the file that says what the report shows."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leandata.errors import SettingsError
from pipelines.report.parts import FILE, Parts, parts
from pipelines.report.unusual import Series, score, sentence

USUAL = (10, 12, 11, 9, 10, 13, 8, 11)


def series(now: int, before: tuple[int, ...] = USUAL, label: str = "Orders", *, money: bool = False) -> Series:
    return Series(label=label, now=Decimal(now), before=tuple(map(Decimal, before)), money=money)


def test_the_score_is_that_of_iglewicz_and_hoaglin() -> None:
    # Median 10.5, deviations 0.5 1.5 0.5 1.5 0.5 2.5 2.5 0.5: MAD 1.
    assert score(series(21)) == Decimal("0.6745") * Decimal("10.5")


@pytest.mark.parametrize("before", [(), (5,) * 7, (5,) * 20, (5, 5, 5, 5, 5, 5, 9, 1)])
def test_with_too_few_weeks_or_weeks_that_do_not_differ_there_is_no_score(before: tuple[int, ...]) -> None:
    assert score(series(100, before)) is None
    assert sentence([series(100, before)]).startswith("Too little is known")


def test_a_usual_week_is_said_to_be_usual() -> None:
    assert (
        sentence([series(11)]) == "Nothing is unusual: every figure lies within what the 8 weeks before it were like."
    )


def test_the_figure_that_lies_furthest_off_is_told_with_what_is_usual() -> None:
    said = sentence([series(20), series(0, label="Revenue", money=True), series(30, label="Units")])
    assert said == (
        "Unusual: units of 30, far above the usual 10 (median of the 8 weeks before; modified z-score +13.2, limit 3.5)."
    )
    assert "revenue of $0.00, far below the usual $10.50" in sentence([series(0, label="Revenue", money=True)])


@given(st.lists(st.integers(0, 10**6), min_size=8, max_size=60), st.integers(0, 10**6), st.integers(2, 9))
def test_the_unit_of_a_figure_does_not_matter(before: list[int], now: int, times: int) -> None:
    one = score(series(now, tuple(before)))
    other = score(series(now * times, tuple(value * times for value in before)))
    assert (one is None) == (other is None)
    if one is not None and other is not None:
        assert abs(one - other) <= abs(one) * Decimal("1e-20")


VALUES: dict[str, Any] = {"parts": ["figures", "chart"], "weekday": "tuesday", "customers": 3, "usual_weeks": 10}


def test_the_file_that_is_checked_in_can_be_read() -> None:
    assert parts() == Parts.load(FILE)
    assert parts().parts[0] == "figures"


def test_parts_keep_their_order() -> None:
    assert Parts.parse({**VALUES, "parts": ["chart", "figures"]}).parts == ("chart", "figures")


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"parts": []}, "parts: each at most once"),
        ({"parts": ["figures", "figures"]}, "parts: each at most once"),
        ({"parts": ["weather"]}, "parts: each at most once"),
        ({"parts": "figures"}, "parts: each at most once"),
        ({"weekday": "someday"}, "weekday: one of monday"),
        ({"customers": 0}, "customers: a whole number from 1 to 50"),
        ({"customers": True}, "customers: a whole number"),
        ({"usual_weeks": 7}, "usual_weeks: a whole number from 8 to 104"),
        ({"usual_weeks": "10"}, "usual_weeks: a whole number"),
        ({"color": "red"}, "color: nobody knows this key"),
    ],
)
def test_a_wrong_value_is_named(changed: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        Parts.parse({**VALUES, **changed})


def test_a_missing_key_and_a_broken_file_are_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="weekday: missing"):
        Parts.parse({name: value for name, value in VALUES.items() if name != "weekday"})
    (tmp_path / "report.toml").write_text("parts = [")
    with pytest.raises(SettingsError, match=r"not TOML: .*report\.toml"):
        Parts.load(tmp_path / "report.toml")
