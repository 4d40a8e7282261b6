"""The scanners: which, in which versions, how each is started, and where it is installed."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ci.bootstrap import cache, go_environment
from ci.scanners import reading
from ci.scanners.reading import Found
from leandata.errors import LeandataError

PINS = Path(__file__).parent / "pins"
GO = Path(__file__).parent / "go"
"""A folder for each scanner that is built from Go modules, with its go.mod and go.sum."""
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

# Known to GitHub since May 2026, and not yet to actionlint.
_QUEUE = 'unexpected key "queue" for "concurrency" section'

TOOLS: tuple[Tool, ...] = (
    Tool(
        name="actionlint",
        looks_at="workflows",
        command=("actionlint", "-no-color", "-shellcheck=", "-pyflakes=", "-ignore", _QUEUE, "-format", "{{json .}}"),
        read=reading.actionlint,
    ),
    Tool(
        name="check-jsonschema",
        looks_at="workflows",
        command=("check-jsonschema", "--builtin-schema", "vendor.github-workflows", "--output-format", "json"),
        read=reading.check_jsonschema,
    ),
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
    return cache() / "tools" / f"{name}-{hashlib.sha256(_pins(name)).hexdigest()[:12]}"


def _pins(name: str) -> bytes:
    if (GO / name).is_dir():
        return (GO / name / "go.mod").read_bytes() + (GO / name / "go.sum").read_bytes()
    return (PINS / f"{name}.txt").read_bytes() + PYTHON.encode()


def install(name: str) -> Path:
    """The folder of the scanner's programs; it is installed when it is not there. Raises LeandataError."""
    target = place(name)
    if (target / "ready").exists():
        return target / "bin"
    shutil.rmtree(target, ignore_errors=True)
    if (GO / name).is_dir():
        _build(name, target)
        return target / "bin"
    uv = shutil.which("uv") or str(cache() / "uv" / "uv")
    _run([uv, "venv", "--quiet", "--python", PYTHON, str(target)], name)
    install = [uv, "pip", "install", "--quiet", "--no-deps", "--python", str(target / "bin" / "python")]
    _run([*install, "--requirement", str(PINS / f"{name}.txt")], name)
    (target / "ready").touch()
    return target / "bin"


def _build(name: str, target: Path) -> None:
    """Build the tool that its go.mod names; what Go keeps besides is removed again."""
    go = shutil.which("go")
    if go is None:
        raise LeandataError(f"{name} is built from Go modules, and Go is missing", hint="See https://go.dev/dl")
    (target / "bin").mkdir(parents=True)
    with tempfile.TemporaryDirectory(prefix="build-", dir=target) as folder:
        command = [go, "build", "-trimpath", "-o", str(target / "bin") + "/", "tool"]
        _run(command, name, cwd=GO / name, environ=go_environment(go, Path(folder)))
    (target / "ready").touch()


def _run(
    command: Sequence[str], name: str, *, cwd: Path | None = None, environ: Mapping[str, str] | None = None
) -> None:
    result = subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd, env=environ)
    if result.returncode != 0:
        lines = [line.strip() for line in result.stderr.splitlines() if line.strip()] or ["no reason given"]
        raise LeandataError(f"{name} cannot be installed: {' '.join(lines[-2:])[:300]}")
