"""`make key`: what is asked of the service's own command line, and what is shown of keys."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ci import cli
from ci.verbs.key import arguments, do
from infra.testing import parts
from leandata.errors import LeandataError
from serving import keys


def asked(*words: str) -> list[str]:
    return arguments(cli.parser().parse_args(["key", *words]))


def test_each_way_of_asking_becomes_one_command() -> None:
    assert asked("--list") == ["list"]
    assert asked("--create", "shop", "--scopes", "events:write") == [
        "create", "--scopes", "events:write", "--", "shop",
    ]  # fmt: skip
    assert asked("--create", "shop", "--rate", "7", "--dry")[:1] == ["--dry"]
    assert asked("--rotate", "abc") == ["rotate", "--", "abc"]
    assert asked("--revoke", "abc", "--dry") == ["--dry", "revoke", "--", "abc"]


@pytest.mark.parametrize("words", [[], ["--list", "--revoke", "a"], ["--create", "a", "--rotate", "b"]])
def test_nothing_or_two_things_are_refused(words: list[str]) -> None:
    with pytest.raises(LeandataError, match="one thing"):
        asked(*words)


def test_a_name_that_looks_like_an_option_stays_a_name() -> None:
    parsed = keys.parser().parse_args(asked("--create=--dry", "--scopes", "events:write"))
    assert (parsed.name, parsed.dry) == ("--dry", False)


@pytest.mark.integration
def test_a_key_is_shown_once_and_never_listed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tmp_path.chmod(0o755)
    (tmp_path / "postgres").mkdir()
    with parts.postgres(tmp_path / "postgres") as server:
        events = server.database("events", owner="events_writer")
        made = keys.parser().parse_args(asked("--create", "shop", "--scopes", "events:write"))
        assert do(made, events, as_json=False) == 0
        text = capsys.readouterr().out.splitlines()[1].split()[0]
        assert do(keys.parser().parse_args(asked("--list")), events, as_json=True) == 0
        listed = capsys.readouterr().out
    assert text.startswith("ldk_")
    assert text not in listed
    (one,) = json.loads(listed)["keys"]
    assert one["id"] == keys.id_of(text)
    assert (one["name"], one["scopes"], one["state"], one["rate"]) == ("shop", ["events:write"], "valid", 50)
