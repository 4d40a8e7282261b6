"""dbt as a process that does one command after the other, and what is said when it cannot."""

from __future__ import annotations

import json
from collections.abc import Generator
from functools import partial
from pathlib import Path

import psutil
import pytest

from leandata.errors import ContractError
from leandata.settings import WarehouseAddress
from pipelines.running_dbt import Answer, RunningDbt
from pipelines.transform import PROJECT

NOWHERE = WarehouseAddress.parse("snowflake://nobody@nowhere?host=127.0.0.1&port=9&protocol=http")


@pytest.fixture(scope="module")
def dbt(tmp_path_factory: pytest.TempPathFactory) -> Generator[RunningDbt]:
    with RunningDbt(tmp_path_factory.mktemp("dbt")) as found:
        yield found


def processes() -> list[psutil.Process]:
    """Those that run dbt; others that this process started may have ended, and say nothing of themselves."""
    living = [one for one in psutil.Process().children() if one.status() != psutil.STATUS_ZOMBIE]
    return [one for one in living if "pipelines.running_dbt" in one.cmdline()]


@pytest.mark.integration
def test_one_process_does_one_command_after_the_other(dbt: RunningDbt) -> None:
    ask = partial(dbt.run, address=NOWHERE, until="2026-01-01", project=PROJECT)
    assert ask("parse").fine
    (process,) = processes()
    answer = ask("list", "--resource-type", "model", "--output", "name")
    assert answer.fine
    assert "weekly_sales" in answer.said
    assert processes() == [process]


@pytest.mark.integration
def test_what_dbt_does_not_know_is_told_and_the_next_command_is_done(dbt: RunningDbt, tmp_path: Path) -> None:
    ask = partial(dbt.run, address=NOWHERE, until="2026-01-01")
    unknown = ask("bild", project=PROJECT)
    assert not unknown.fine
    assert "No such command 'bild'" in unknown.end
    nothing = ask("parse", project=tmp_path)
    assert not nothing.fine
    assert "dbt_project.yml" in nothing.end
    assert ask("parse", project=PROJECT).fine


@pytest.mark.integration
def test_dbt_that_is_killed_is_told_and_the_next_command_starts_it_anew(dbt: RunningDbt) -> None:
    ask = partial(dbt.run, address=NOWHERE, until="2026-01-01", project=PROJECT)
    assert ask("parse").fine
    (before,) = processes()
    before.kill()
    before.wait()
    with pytest.raises(ContractError, match="dbt ended"):
        ask("parse")
    assert ask("parse").fine
    assert processes() != [before]


@pytest.mark.integration
def test_dbt_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    before = processes()
    with RunningDbt(tmp_path, timeout=0.2) as dbt, pytest.raises(ContractError, match=r"did not answer within 0\.2 s"):
        dbt.run("parse", address=NOWHERE, until="2026-01-01", project=PROJECT)
    assert processes() == before


@pytest.mark.integration
def test_dbt_that_cannot_begin_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "dbt").mkdir()
    (tmp_path / "dbt" / "__init__.py").write_text("raise ImportError('another dbt is in the way')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    before = processes()
    with RunningDbt(tmp_path / "run") as dbt, pytest.raises(ContractError, match="another dbt is in the way"):
        dbt.run("parse", address=NOWHERE, until="2026-01-01", project=PROJECT)
    assert processes() == before


def test_the_end_of_an_answer_is_its_last_three_lines_in_one() -> None:
    assert Answer(fine=False, said="one\n\n two\nthree \nfour\n").end == "two three four"
    assert Answer(fine=False, said=json.dumps("x" * 500)).end.startswith('"xxx')
    assert len(Answer(fine=False, said="x" * 500).end) == 400
    assert Answer(fine=True, said="\n").end == "dbt said nothing"
