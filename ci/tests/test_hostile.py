"""`make hostile`: what it says of an attack, and when it fails."""

from __future__ import annotations

from typing import Any

import pytest

from ci.cli import Options, run
from ci.verbs.hostile import figures, hostile, is_well, told
from infra.testing.hostile.attack import Outcome
from leandata.errors import LeandataError


def outcome(**changed: Any) -> Outcome:
    found: dict[str, Any] = {
        "answers": {422: 9_000, 200: 1_500}, "accepted": frozenset({"a"}), "kept": frozenset({"a"}), "failures": "",
        "seconds": 61.4,
    }  # fmt: skip
    return Outcome(**found | changed)


def test_figures_are_told_to_people() -> None:
    assert told(outcome()) == (
        "10,500 requests in 61 s: 1,500 of 200, 9,000 of 422.\n"
        "1 events were accepted, 0 of them lost.\n"
        "0 events were kept that were refused.\n"
        "Every answer is as described.\n"
    )


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"failures": "GET /v1/x: 500"}, "GET /v1/x: 500\n"),
        ({"kept": frozenset()}, "lost: a\n"),
        ({"kept": frozenset({"a", "b"})}, "kept though it was refused: b\n"),
    ],
)
def test_whatever_is_wrong_is_said_first_and_fails_it(changed: dict[str, Any], said: str) -> None:
    found = outcome(**changed)
    assert not is_well(found)
    assert told(found).startswith(said)
    assert figures(found)["ok"] is False


def test_a_program_reads_the_same_figures() -> None:
    assert figures(outcome()) == {
        "ok": True, "requests": 10_500, "answers": {"200": 1_500, "422": 9_000}, "accepted": 1, "lost": [],
        "slipped_in": [], "seconds": 61.4, "failures": "",
    }  # fmt: skip


@pytest.mark.parametrize("wrong", [{"examples": "many"}, {"seed": "-1"}, {"examples": ""}])
def test_what_is_no_number_is_refused_before_anything_starts(wrong: dict[str, str]) -> None:
    with pytest.raises(LeandataError, match="is no number"):
        hostile(Options(**{"examples": "1", "seed": "1", "json": False} | wrong))


def test_the_command_line_says_it_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["hostile", "--examples", "x"]) == 1
    assert capsys.readouterr().err == "error: 'x' is no number. EXAMPLES=450\n"
