"""Set-up from nothing but git, make and Python: uv, the two environments, the Pulumi CLI.

Only the standard library is used here: this runs before anything is installed.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import io
import json
import os
import platform
import shutil
import subprocess
import sys
import time
import urllib.request
import zipfile
from collections.abc import Callable, Generator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PULUMI = "3.255.0"
_STANDIN = Path("infra", "standins", "snowflake")
_LOCKED = ("pyproject.toml", "uv.lock", ".python-version", "infra/standins/snowflake/uv.lock")
_OLDEST = (3, 11)


class SetupError(Exception):
    """Set-up cannot go on: one line, with what to do."""


def cache() -> Path:
    """The machine's cache of what is expensive to make: LEANDATA_CACHE, else XDG's, else ~/.cache/leandata."""
    asked = os.environ.get("LEANDATA_CACHE")
    if asked:
        return Path(asked).absolute()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "leandata"


def interpreter(root: Path = ROOT) -> Path:
    """The Python of the workspace's environment."""
    return root / ".venv" / "bin" / "python"


def ready(root: Path = ROOT) -> bool:
    """Whether everything is set up for the lock files as they are now."""
    stamp = root / ".venv" / "leandata.stamp"
    needed = [interpreter(root), root / _STANDIN / ".venv" / "bin" / "python"]
    try:
        pulumi = json.loads(stamp.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return pulumi["locks"] == _digest(root) and all(path.exists() for path in [*needed, Path(pulumi["pulumi"])])


def pulumi_path(root: Path = ROOT) -> Path:
    """The Pulumi CLI that set-up found. Raises SetupError when set-up was not run."""
    try:
        return Path(json.loads((root / ".venv" / "leandata.stamp").read_text(encoding="utf-8"))["pulumi"])
    except (OSError, ValueError, KeyError):
        raise SetupError("the Pulumi CLI was not set up. Run `make setup`") from None


def setup(root: Path = ROOT) -> None:
    """Make everything that is missing; nothing when all is there. Raises SetupError."""
    if ready(root):
        return
    if sys.version_info < _OLDEST:
        raise SetupError(f"Python {platform.python_version()} is too old. Install Python 3.11 or newer")
    with _only_one():
        if ready(root):
            return
        uv = _step("uv", _find_uv)
        _step("environment", lambda: _sync(uv, root))
        _step("stand-in for Snowflake", lambda: _sync(uv, root / _STANDIN))
        pulumi = _step(f"Pulumi {PULUMI}", lambda: _find_pulumi(root))
        stamp = {"locks": _digest(root), "pulumi": pulumi}
        (root / ".venv" / "leandata.stamp").write_text(json.dumps(stamp), encoding="utf-8")


def _digest(root: Path) -> str:
    digest = hashlib.sha256(PULUMI.encode())
    for name in _LOCKED:
        digest.update((root / name).read_bytes())
    return digest.hexdigest()


def _step(name: str, act: Callable[[], str]) -> str:
    started = time.monotonic()
    print(f"setup: {name} ...", file=sys.stderr, flush=True)
    found = act()
    print(f"setup: {name}: {found} ({time.monotonic() - started:.1f}s)", file=sys.stderr, flush=True)
    return found


@contextlib.contextmanager
def _only_one() -> Generator[None]:
    folder = cache()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / "setup.lock").open("w")
    except OSError as error:
        raise SetupError(f"the cache {folder} cannot be written: {error.strerror}. Set LEANDATA_CACHE") from error
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _find_uv() -> str:
    own = cache() / "uv" / "uv"
    found = shutil.which("uv") or (str(own) if own.exists() else None)
    if found and subprocess.run([found, "--version"], capture_output=True, check=False).returncode == 0:
        return found
    try:
        with urllib.request.urlopen("https://pypi.org/pypi/uv/json", timeout=60) as answer:
            files = json.load(answer)["urls"]
        machine = platform.machine().replace("arm64", "aarch64" if sys.platform == "linux" else "arm64")
        system = "manylinux" if sys.platform == "linux" else "macosx"
        wheel = next(file for file in files if system in file["filename"] and machine in file["filename"])
        with urllib.request.urlopen(wheel["url"], timeout=300) as answer:
            data = answer.read()
        if hashlib.sha256(data).hexdigest() != wheel["digests"]["sha256"]:
            raise SetupError("the download of uv is damaged. Try again")
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            name = next(name for name in archive.namelist() if name.endswith("/scripts/uv"))
            own.parent.mkdir(parents=True, exist_ok=True)
            own.write_bytes(archive.read(name))
        own.chmod(0o755)
    except (OSError, StopIteration, ValueError, KeyError) as error:
        raise SetupError(f"uv is missing and cannot be downloaded ({error}). Install it: pip install uv") from error
    return str(own)


def _sync(uv: str, project: Path) -> str:
    """The project's environment as its lock file says, with bytecode, so that first starts are quick."""
    command = [uv, "sync", "--frozen", "--compile-bytecode", "--quiet", "--project", str(project)]
    environ = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
    result = subprocess.run(command, cwd=project, env=environ, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        lines = [line.strip() for line in result.stderr.splitlines() if line.strip()] or ["no reason given"]
        raise SetupError(f"uv cannot install {project.name}: {' '.join(lines[-3:])[:400]}")
    return "installed"


def _find_pulumi(root: Path) -> str:
    """The CLI: on PATH, in the cache, by Pulumi's installer, or built from Go modules."""
    cached = cache() / f"pulumi-{PULUMI}"
    for place in (shutil.which("pulumi"), str(cached / "bin" / "pulumi")):
        if place and _pulumi_version(place) == PULUMI:
            return place
    if _install_pulumi(root, cached) and _pulumi_version(str(cached / "bin" / "pulumi")) == PULUMI:
        return str(cached / "bin" / "pulumi")
    go = shutil.which("go")
    if go is None:
        raise SetupError(
            f"Pulumi {PULUMI} is missing, its installer needs the internet, and Go is missing to build it."
            f" Install Go 1.26 or newer (https://go.dev/dl), or Pulumi {PULUMI} (https://www.pulumi.com/docs/install/versions)"
        )
    return _build_pulumi(go, root, cached / "bin" / "pulumi")


def _pulumi_version(path: str) -> str:
    if not Path(path).exists():
        return ""
    environ = {**os.environ, "PULUMI_HOME": str(cache() / "pulumi-home"), "PULUMI_SKIP_UPDATE_CHECK": "true"}
    result = subprocess.run([path, "version"], capture_output=True, text=True, env=environ, check=False)
    return result.stdout.strip().removeprefix("v")


def _install_pulumi(root: Path, place: Path) -> bool:
    code = (
        "import sys, semver, pulumi.automation as a;"
        "a.PulumiCommand.install(root=sys.argv[1], version=semver.VersionInfo.parse(sys.argv[2]))"
    )
    command = [str(interpreter(root)), "-c", code, str(place), PULUMI]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def _build_pulumi(go: str, root: Path, target: Path) -> str:
    print(
        "setup: building Pulumi from Go modules, once for this machine (about 4 minutes)", file=sys.stderr, flush=True
    )
    target.parent.mkdir(parents=True, exist_ok=True)
    flags = f"-s -w -X github.com/pulumi/pulumi/sdk/v3/go/common/version.Version=v{PULUMI}"
    scratch = target.with_name(f"pulumi.{os.getpid()}.new")
    command = [
        go,
        "build",
        "-trimpath",
        "-ldflags",
        flags,
        "-o",
        str(scratch),
        "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi",
    ]
    environ = {**os.environ, "CGO_ENABLED": "0"}
    result = subprocess.run(
        command, cwd=root / "infra" / "engine", env=environ, capture_output=True, text=True, check=False
    )
    if result.returncode != 0:
        last = (result.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise SetupError(f"Pulumi {PULUMI} cannot be built: {last[:300]}. Install it by hand, then try again")
    scratch.replace(target)
    return str(target)
