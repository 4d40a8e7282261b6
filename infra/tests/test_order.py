"""The longest files of tests come first and stay together."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from infra.environment import ROOT
from infra.testing.order import rank

MODULES = {
    "test_a.py": "def test_1(): ...\ndef test_2(): ...\n",
    "test_b.py": "import pytest\ndef test_1(): ...\n@pytest.mark.integration\ndef test_2(): ...\n",
    "test_c.py": "import pytest\npytestmark = pytest.mark.e2e\ndef test_1(): ...\ndef test_2(): ...\n",
    "test_d.py": "import pytest\npytestmark = pytest.mark.integration\ndef test_1(): ...\n",
}


def test_platforms_come_before_real_parts_and_these_before_the_rest_and_a_file_stays_together(tmp_path: Path) -> None:
    for name, text in MODULES.items():
        (tmp_path / name).write_text(text)
    own = ["-c", str(ROOT / "pyproject.toml"), "--rootdir", str(tmp_path), "-p", "infra.testing.order"]
    result = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "-q", *own, str(tmp_path)],
        cwd=ROOT, capture_output=True, text=True, check=False, env={**os.environ, "PYTEST_ADDOPTS": ""},
    )  # fmt: skip
    assert result.returncode == 0, result.stdout + result.stderr
    assert re.findall(r"^test_(.)\.py::test_(.)$", result.stdout, re.MULTILINE) == [
        ("c", "1"), ("c", "2"), ("b", "1"), ("b", "2"), ("d", "1"), ("a", "1"), ("a", "2"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("marks", "place"),
    [([], 2), (["timeout"], 2), (["integration"], 1), (["timeout", "e2e"], 0), (["integration", "e2e"], 0)],
)
def test_a_test_is_as_long_as_its_longest_kind(marks: list[str], place: int) -> None:
    assert rank(marks) == place
