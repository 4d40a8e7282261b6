"""Functions of the warehouse: what their files may hold, and what SQL is told of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra.components.functions import FOLDER, Argument, functions, read
from leandata.errors import SettingsError

PLAIN = '''"""A file."""

from __future__ import annotations

import datetime
from datetime import date


def _own(value: int) -> int:
    return value


def told(when: date, then: datetime.date, sure: bool, share: float, often: int, who: str) -> date | None:
    """What is told.

    And more of it.
    """
    return when if _own(often) else None
'''


def test_hints_become_the_types_of_sql_in_the_order_of_the_arguments() -> None:
    found = read(PLAIN, where="folder/told.py")
    assert found.name == "TOLD"
    assert found.full_name == "STAGING.SHOP.TOLD"
    assert found.arguments == (
        Argument(name="WHEN", type="DATE"),
        Argument(name="THEN", type="DATE"),
        Argument(name="SURE", type="BOOLEAN"),
        Argument(name="SHARE", type="FLOAT"),
        Argument(name="OFTEN", type="NUMBER(38, 0)"),
        Argument(name="WHO", type="VARCHAR"),
    )
    assert (found.returns, found.handler, found.comment) == ("DATE", "told", "What is told.")


def test_the_stand_in_is_told_the_text_that_snowflake_is_told() -> None:
    found = read(PLAIN, where="folder/told.py")
    said = found.plain()
    assert (said["name"], said["handler"], said["source"]) == ("STAGING.SHOP.TOLD", "told", PLAIN)
    assert said["arguments"] == [one.type for one in found.arguments]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("def other(x: int) -> int:\n    'Doc.'\n", "one public function, f"),
        ("def f(x: int) -> int:\n    'Doc.'\ndef g(x: int) -> int:\n    'Doc.'\n", "one public function, f"),
        ("def f(x: list[int]) -> int:\n    'Doc.'\n", r"the argument x is list\[int\], for which SQL has no type here"),
        ("def f(x) -> int:\n    'Doc.'\n", "the argument x is nothing"),
        ("def f(x: int | None) -> int:\n    'Doc.'\n", r"the argument x is int \| None"),
        ("def f(x: int):\n    'Doc.'\n", "what is returned is nothing"),
        ("def f(x: int) -> Decimal | None:\n    'Doc.'\n", "what is returned is Decimal"),
        ("def f(x: int) -> int:\n    return x\n", "f has no docstring"),
        ("def f(x: int = 1) -> int:\n    'Doc.'\n", "more than plain arguments"),
        ("def f(*x: int) -> int:\n    'Doc.'\n", "more than plain arguments"),
        ("import json, numpy.linalg\ndef f(x: int) -> int:\n    'Doc.'\n", "it imports numpy"),
        ("def f(x: int) -> int:\n    'Doc.'\n    from leandata import clock\n", "it imports leandata"),
        ("from . import other\ndef f(x: int) -> int:\n    'Doc.'\n", "it imports ."),
        ("def f(x: str) -> str:\n    'Doc.'\n    return '$$'\n", r"it holds \$\$"),
        ("def f(x: int) -> int\n", "it is no Python"),
    ],
)
def test_a_file_that_the_warehouse_could_not_run_is_refused_with_its_place(text: str, problem: str) -> None:
    with pytest.raises(SettingsError, match=problem) as raised:
        read(text, where="folder/f.py")
    assert raised.value.where == "folder/f.py"


def test_the_folder_is_read_by_name_and_a_file_taken_away_is_no_function(tmp_path: Path) -> None:
    folder = tmp_path / FOLDER
    folder.mkdir(parents=True)
    for name in ("b", "__init__", "a"):
        (folder / f"{name}.py").write_text(f"def {name}(x: int) -> int:\n    'Doc.'\n    return x\n")
    assert [one.name for one in functions(tmp_path)] == ["A", "B"]
    (folder / "a.py").unlink()
    assert [one.name for one in functions(tmp_path)] == ["B"]
