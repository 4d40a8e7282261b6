"""The scanners: which, in which versions, how each is started, and where it is installed."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ci.bootstrap import cache
from ci.scanners import reading
from ci.scanners.reading import Found
from leandata.errors import LeandataError

PINS = Path(__file__).parent / "pins"
KUBERNETES = ("1.33", "1.34", "1.35")
"""The versions of Kubernetes that manifests have to fit: the one that we run and the two before it."""
PYTHON = "3.11"

Looks = Literal["dockerfiles", "manifests", "policies", "shell", "workflows", "yaml"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Tool:
    """A scanner: what it looks at, its command before the names of files, and how its output is read.

    `of_folder` says that it is given the folder that the files lie in, instead of the files.
    """

    name: str
    looks_at: Looks
    command: tuple[str, ...]
    read: Callable[[str], list[Found]]
    of_folder: bool = False


_YAML = "{extends: default, rules: {document-start: disable, line-length: {max: 120}, truthy: {check-keys: false}}}"

TOOLS: tuple[Tool, ...] = (
    Tool(
        name="checkov",
        looks_at="manifests",
        command=("checkov", "--framework", "kubernetes", "--skip-download", "--output", "json", "--compact", "-d"),
        read=reading.checkov,
        of_folder=True,
    ),
    Tool(
        name="hadolint",
        looks_at="dockerfiles",
        command=("hadolint", "--format", "json"),
        read=reading.hadolint,
    ),
    *(
        Tool(
            name="kubernetes-validate",
            looks_at="manifests",
            command=("kubernetes-validate", "--strict", "--quiet", "--no-warn", "-k", version),
            read=reading.kubernetes_validate,
        )
        for version in KUBERNETES
    ),
    Tool(
        name="parliament",
        looks_at="policies",
        command=("parliament", "--json", "--minimum_severity", "LOW", "--directory"),
        read=reading.parliament,
        of_folder=True,
    ),
    Tool(
        name="shellcheck",
        looks_at="shell",
        command=("shellcheck", "--format", "json", "--enable", "all"),
        read=reading.shellcheck,
    ),
    Tool(
        name="yamllint",
        looks_at="yaml",
        command=("yamllint", "--strict", "--format", "parsable", "-d", _YAML),
        read=reading.yamllint,
    ),
    Tool(
        name="zizmor",
        looks_at="workflows",
        command=("zizmor", "--offline", "--persona", "pedantic", "--format", "json", "--no-progress"),
        read=reading.zizmor,
    ),
)
NAMES = tuple(sorted({tool.name for tool in TOOLS}))


def pinned(name: str) -> dict[str, str]:
    """The packages of a scanner and their exact versions. Raises LeandataError for a line that pins nothing."""
    found: dict[str, str] = {}
    for line in (PINS / f"{name}.txt").read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            package, _, version = line.partition("==")
            if not version:
                raise LeandataError(f"{line!r} names no version", where=f"ci/scanners/pins/{name}.txt")
            found[package] = version
    return found


def place(name: str) -> Path:
    """Where a scanner with just these pins is installed."""
    digest = hashlib.sha256((PINS / f"{name}.txt").read_bytes() + PYTHON.encode()).hexdigest()
    return cache() / "tools" / f"{name}-{digest[:12]}"


def install(name: str) -> Path:
    """The folder of the scanner's programs; it is installed when it is not there. Raises LeandataError."""
    target = place(name)
    if (target / "ready").exists():
        return target / "bin"
    shutil.rmtree(target, ignore_errors=True)
    uv = shutil.which("uv") or str(cache() / "uv" / "uv")
    _run([uv, "venv", "--quiet", "--python", PYTHON, str(target)], name)
    install = [uv, "pip", "install", "--quiet", "--no-deps", "--python", str(target / "bin" / "python")]
    _run([*install, "--requirement", str(PINS / f"{name}.txt")], name)
    (target / "ready").touch()
    return target / "bin"


def _run(command: Sequence[str], name: str) -> None:
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        lines = [line.strip() for line in result.stderr.splitlines() if line.strip()] or ["no reason given"]
        raise LeandataError(f"{name} cannot be installed: {' '.join(lines[-2:])[:300]}")
