"""Files composed of secrets where a process starts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from leandata.errors import SettingsError
from leandata.rendering import VARIABLE, render


@pytest.fixture
def password(tmp_path: Path) -> Path:
    path = tmp_path / "password"
    path.write_text("s3cret\n")
    return path


def run(text: str | None) -> subprocess.CompletedProcess[str]:
    environ = {name: value for name, value in os.environ.items() if name != VARIABLE}
    return subprocess.run(
        [sys.executable, "-m", "leandata.rendering"],
        env=environ if text is None else {**environ, VARIABLE: text},
        capture_output=True,
        text=True,
        check=False,
    )


def wanted(tmp_path: Path, password: Path, template: str = "pg://airflow:{p}@db") -> dict[str, object]:
    return {str(tmp_path / "out" / "url"): {"template": template, "secrets": {"p": str(password)}}}


def test_the_secrets_stand_in_the_template_s_places(tmp_path: Path, password: Path) -> None:
    (path,) = render(wanted(tmp_path, password))
    assert path.read_text() == "pg://airflow:s3cret@db"


def test_only_its_owner_may_read_it(tmp_path: Path, password: Path) -> None:
    (path,) = render(wanted(tmp_path, password))
    assert path.stat().st_mode & 0o777 == 0o600


def test_doubled_braces_stay_braces(tmp_path: Path, password: Path) -> None:
    (path,) = render(wanted(tmp_path, password, '{{"admin": "{p}"}}'))
    assert json.loads(path.read_text()) == {"admin": "s3cret"}


def test_a_template_that_names_an_unknown_secret_is_refused(tmp_path: Path, password: Path) -> None:
    with pytest.raises(SettingsError, match="there are: p"):
        render(wanted(tmp_path, password, "{q}"))


def test_a_missing_or_empty_secret_is_refused(tmp_path: Path, password: Path) -> None:
    with pytest.raises(SettingsError, match="cannot read the secret nothing"):
        render(wanted(tmp_path, tmp_path / "nothing"))
    password.write_text("\n")
    with pytest.raises(SettingsError, match="is empty"):
        render(wanted(tmp_path, password))


def test_the_command_says_what_it_rendered_and_never_a_value(tmp_path: Path, password: Path) -> None:
    result = run(json.dumps(wanted(tmp_path, password)))
    assert (result.returncode, result.stdout) == (0, "rendered url\n")
    assert "s3cret" not in result.stdout + result.stderr


@pytest.mark.parametrize("text", [None, "", "{", "[]", '{"/x": 1}', '{"/x": {}}', '{"/x": {"template": "a"}}'])
def test_a_variable_that_is_not_well_formed_is_one_line(text: str | None) -> None:
    result = run(text)
    assert result.returncode == 2
    assert result.stderr == f"error: {VARIABLE} is not well formed\n"


def test_a_secret_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    result = run(json.dumps(wanted(tmp_path, tmp_path / "nothing")))
    assert result.returncode == 2
    assert result.stderr.startswith("error: cannot read the secret nothing")
    assert result.stderr.count("\n") == 1
