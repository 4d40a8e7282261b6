"""Ten thousand bad environment files: each is refused in one line that names file and key, and none gives a traceback."""

from __future__ import annotations

import random
import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from infra.environment import ROOT, Environment, EnvironmentFile, names, parse_toml
from leandata.errors import LeandataError, SettingsError

TEXTS = {name: (ROOT / "infra" / "environments" / f"{name}.toml").read_text() for name in names()}
FILES_AN_EXAMPLE, EXAMPLES = 25, 400

WRONG: tuple[str, ...] = (
    "true", "-1", "0", "1e400", "nan", "-inf", "9" * 400, '""', '" "', '"\\u0000"', '"\\u202e\\u0627"', '"../../etc/passwd"',
    '"/dev/null"', '"$(id)"', '"a\\nb"', "[]", "[[]]", "{}", "{ a = { b = { c = 1 } } }", "1979-05-27", "07:32:00",
    '"' + "x" * 20_000 + '"', '["é", "日本"]', "[1, 'two', 3.0]", "0x7fffffffffffffffffff", '"16400"', '"512mib"', '"1h1m"',
)  # fmt: skip
KEYS = ("unknown", '"ключ"', '""', '"a.b"', '"../x"', "__class__", "model_config", "self", "x" * 2_000)


def _lines(text: str) -> list[str]:
    return text.splitlines()


def _values(lines: list[str]) -> list[int]:
    return [place for place, line in enumerate(lines) if re.match(r"[\w\"-]+ = ", line)]


def wrong_value(text: str, chance: random.Random) -> str:
    lines = _lines(text)
    place = chance.choice(_values(lines) or [0])
    lines[place] = f"{lines[place].partition(' = ')[0]} = {chance.choice(WRONG)}"
    return "\n".join(lines)


def unknown_key(text: str, chance: random.Random) -> str:
    lines = _lines(text)
    lines.insert(chance.randrange(len(lines) + 1), f"{chance.choice(KEYS)} = {chance.choice(WRONG)}")
    return "\n".join(lines)


def missing_line(text: str, chance: random.Random) -> str:
    lines = _lines(text)
    del lines[chance.choice([place for place, line in enumerate(lines) if line and not line.startswith("#")] or [0])]
    return "\n".join(lines)


def doubled_line(text: str, chance: random.Random) -> str:
    lines = _lines(text)
    place = chance.randrange(len(lines))
    return "\n".join([*lines[:place], lines[place], *lines[place:]])


def cut_short(text: str, chance: random.Random) -> str:
    return text[: chance.randrange(len(text))]


def one_letter_off(text: str, chance: random.Random) -> str:
    place = chance.randrange(len(text))
    return (
        text[:place] + chance.choice("\x00\x7f\u200b\ufeff\"'[]{}=.#\\\té日0Z-") + text[place + chance.randrange(2) :]
    )


def swapped_tables(text: str, chance: random.Random) -> str:
    tables = re.findall(r"^\[.*\]$", text, flags=re.MULTILINE)
    one, other = (
        chance.choice(tables or ["#"]),
        chance.choice([*tables, "[elsewhere]", "[substrates.lake]", "[[mail]]"]),
    )
    return text.replace(one, other, 1)


def huge(text: str, chance: random.Random) -> str:
    return text + "\n".join(f"key{number} = {number}" for number in range(chance.randrange(2_000)))


def nested(text: str, chance: random.Random) -> str:
    depth = chance.choice((1, 50, 400, 3_000))
    return f"{text}\ndeep = {'[' * depth}{']' * depth}\n"


MUTATIONS: tuple[Callable[[str, random.Random], str], ...] = (
    wrong_value, unknown_key, missing_line, doubled_line, cut_short, one_letter_off, swapped_tables, huge, nested,
)  # fmt: skip
SEEN = {"refused": 0, "accepted": 0}


def load(root: Path, name: str, content: bytes) -> str:
    """What is said of the file; "" where it happens to be good."""
    folder = root / "infra" / "environments"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.toml").write_bytes(content)
    try:
        Environment.load(name, environ={"LEANDATA_STATE": str(root / "state")}, root=root)
    except LeandataError as error:
        return str(error)
    return ""


@settings(
    max_examples=EXAMPLES, deadline=None, database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip
@given(seed=st.integers(0, 2**64), name=st.sampled_from(sorted(TEXTS)))
def test_ten_thousand_bad_files_give_one_line_each(tmp_path: Path, seed: int, name: str) -> None:
    chance = random.Random(seed)
    for _ in range(FILES_AN_EXAMPLE):
        text = TEXTS[name]
        for _ in range(chance.choice((1, 1, 1, 2, 5))):
            text = chance.choice(MUTATIONS)(text, chance).strip() or "# nothing is left"
        said = load(tmp_path, name, text.encode("utf-8", "surrogatepass"))
        SEEN["refused" if said else "accepted"] += 1
        if said:
            assert f"{name}.toml" in said
            assert "\n" not in said, said[:300]
            assert "Traceback" not in said
            assert len(said) < 1_000, "a long value is not repeated"


def test_as_many_were_tried_as_are_promised_and_most_were_bad() -> None:
    assert EXAMPLES * FILES_AN_EXAMPLE >= 10_000
    assert not SEEN["refused"] or SEEN["refused"] > SEEN["accepted"], SEEN


@settings(max_examples=300, deadline=None, database=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=300))
def test_no_bytes_at_all_give_a_traceback(tmp_path: Path, content: bytes) -> None:
    assert "local.toml" in load(tmp_path, "local", content)


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "../local",
        "/etc/passwd",
        "local.toml",
        "LOCAL",
        "lo\ncal",
        "loc\x00al",
        "лок",
        "x" * 5_000,
        "prod ",
        "*",
    ],
)
def test_a_name_that_is_no_environment_is_refused_with_those_that_are(name: str) -> None:
    with pytest.raises(SettingsError, match="ENV is one of: cluster, dev, local, prod, staging"):
        Environment.load(name, environ={})


@pytest.mark.parametrize("name", sorted(TEXTS))
def test_a_wrong_value_is_told_with_its_key(tmp_path: Path, name: str) -> None:
    for path in leaves(tomllib.loads(TEXTS[name])):
        for wrong in ("{ a = 1 }", "[[1]]"):
            text = replaced(TEXTS[name], path, wrong)
            said = load(tmp_path, name, text.encode())
            assert said.startswith(".".join(path)), said
            assert said.endswith(f"{name}.toml)")


def leaves(table: dict[str, Any], path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Every key whose value is written in one line of the file."""
    found: list[tuple[str, ...]] = []
    for key, value in table.items():
        found += leaves(value, (*path, key)) if isinstance(value, dict) else [(*path, key)]
    return found


def replaced(text: str, path: tuple[str, ...], value: str) -> str:
    """The file with another value at `path`; as it was where that is not written in one line."""
    lines, table = _lines(text), ""
    for place, line in enumerate(lines):
        if line.startswith("["):
            table = line.strip("[]")
        elif line.partition(" = ")[0].strip('"') == path[-1] and table == ".".join(path[:-1]):
            lines[place] = f"{line.partition(' = ')[0]} = {value}"
            return "\n".join(lines)
    raise AssertionError(f"{path} is not in one line")


@pytest.mark.parametrize("name", sorted(TEXTS))
def test_the_files_as_they_are_are_good(name: str) -> None:
    path = ROOT / "infra" / "environments" / f"{name}.toml"
    assert parse_toml(path, EnvironmentFile).owner
