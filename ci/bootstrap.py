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
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
import zipfile
from collections.abc import Callable, Generator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PULUMI = "3.255.0"
_STANDIN = Path("infra", "standins", "snowflake")
_LOCKED = ("pyproject.toml", "uv.lock", ".python-version", "infra/standins/snowflake/uv.lock")
_OLDEST = (3, 11)
_LEAN_VERBS = frozenset(
    {
        *("backup", "deploy", "destroy", "doctor", "drill", "logs", "new-service", "new-source", "notebook"),
        *("releases", "report", "restart", "restore", "rollback", "run", "setup", "status", "where"),
    }
)
_WITHOUT_ENGINE = frozenset({"affected", "comment", "cost", "owners", "preview", "signoff", "workflows"})


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


def needs_cloud(arguments: Sequence[str]) -> bool:
    """Whether a command line needs the cloud's libraries (300 MB more): one machine is run without them."""
    named = [arguments[at + 1] for at, word in enumerate(arguments[:-1]) if word == "--env"]
    named += [word.removeprefix("--env=") for word in arguments if word.startswith("--env=")]
    environment = named[-1] if named else os.environ.get("ENV") or "local"
    return environment != "local" or not set(arguments[:1]) <= _LEAN_VERBS


def needs_engine(arguments: Sequence[str]) -> bool:
    """Whether a command line needs the Pulumi CLI: what only looks at programs does without."""
    return not set(arguments[:1]) <= _WITHOUT_ENGINE or "yes" in (
        after for word, after in pairwise(arguments) if word == "--live"
    )


def ready(root: Path = ROOT, *, cloud: bool = False, engine: bool = True) -> bool:
    """Whether everything is set up for the lock files as they are now; `engine` is whether the Pulumi CLI is needed."""
    stamp = root / ".venv" / "leandata.stamp"
    needed = [interpreter(root), root / _STANDIN / ".venv" / "bin" / "python"]
    try:
        pulumi = json.loads(stamp.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    if cloud and not pulumi.get("cloud"):
        return False
    found = bool(pulumi["pulumi"]) and Path(pulumi["pulumi"]).exists()
    return pulumi["locks"] == _digest(root) and all(path.exists() for path in needed) and (found or not engine)


def pulumi_path(root: Path = ROOT) -> Path:
    """The Pulumi CLI that set-up found. Raises SetupError when set-up was not run."""
    try:
        found = str(json.loads((root / ".venv" / "leandata.stamp").read_text(encoding="utf-8"))["pulumi"])
    except (OSError, ValueError, KeyError):
        found = ""
    if not found:
        raise SetupError("the Pulumi CLI was not set up. Run `make setup`")
    return Path(found)


def setup(root: Path = ROOT, *, cloud: bool = False, engine: bool = True) -> None:
    """Make everything that is missing; nothing when all is there. Raises SetupError.

    Without `engine` the Pulumi CLI is not looked for: it may need a download or a compiler.
    """
    if ready(root, cloud=cloud, engine=engine):
        return
    if sys.version_info < _OLDEST:
        raise SetupError(f"Python {platform.python_version()} is too old. Install Python 3.11 or newer")
    with _only_one():
        if ready(root, cloud=cloud, engine=engine):
            return
        uv = _step("uv", _find_uv)
        _step("environment", lambda: _sync(uv, root, group="cloud" if cloud else ""))
        _step("stand-in for Snowflake", lambda: _sync(uv, root / _STANDIN))
        pulumi = _step(f"Pulumi {PULUMI}", lambda: _find_pulumi(root)) if engine else _known_pulumi(root)
        stamp = {"cloud": cloud, "locks": _digest(root), "pulumi": pulumi}
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
        _download_uv(own)
    except (OSError, ValueError, KeyError, StopIteration) as error:
        raise SetupError(f"uv is missing and cannot be downloaded ({error}). Install it: pip install uv") from error
    return str(own)


def _download_uv(target: Path) -> None:
    """The newest uv for this machine from PyPI (or from PIP_INDEX_URL), by the index's JSON form (PEP 691)."""
    index = os.environ.get("PIP_INDEX_URL", "https://pypi.org/simple").rstrip("/") + "/uv/"
    request = urllib.request.Request(index, headers={"Accept": "application/vnd.pypi.simple.v1+json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        files = json.load(answer)["files"]
    wheel = newest_wheel(files, system=sys.platform, machine=platform.machine())
    with urllib.request.urlopen(urllib.parse.urljoin(index, wheel["url"]), timeout=300) as answer:
        data = answer.read()
    if hashlib.sha256(data).hexdigest() != wheel["hashes"]["sha256"]:
        raise SetupError("the download of uv is damaged. Try again")
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        name = next(name for name in archive.namelist() if name.endswith("/scripts/uv"))
        target.parent.mkdir(parents=True, exist_ok=True)
        scratch = target.with_name(f"uv.{os.getpid()}.new")
        scratch.write_bytes(archive.read(name))
    scratch.chmod(0o755)
    scratch.replace(target)


def newest_wheel(files: Sequence[Mapping[str, Any]], *, system: str, machine: str) -> Mapping[str, Any]:
    """The newest wheel among an index's files that runs on this machine. Raises StopIteration when there is none."""
    wanted = "manylinux" if system == "linux" else "macosx"
    if system == "linux":
        machine = machine.replace("arm64", "aarch64")

    def version(file: Mapping[str, Any]) -> tuple[int, ...]:
        return tuple(int(part) for part in str(file["filename"]).split("-")[1].split("."))

    fitting = [
        file
        for file in files
        if re.fullmatch(rf"uv-[\d.]+-py3-none-.*{wanted}\w*{machine}.*\.whl", file["filename"])
        and not file.get("yanked")
    ]
    return next(iter(sorted(fitting, key=version, reverse=True)))


def add_group(group: str, root: Path = ROOT) -> None:
    """Install a group of dependencies besides what set-up installs; quick where it is there. Raises SetupError."""
    with _only_one():
        uv = _find_uv()
        _step(f"group {group}", lambda: _sync(uv, root, group=group))


def _sync(uv: str, project: Path, *, group: str = "") -> str:
    """The project's environment as its lock file says, with bytecode, so that first starts are quick.

    What is installed of another group stays.
    """
    command = [uv, "sync", "--frozen", "--inexact", "--compile-bytecode", "--quiet", "--project", str(project)]
    command += ["--group", group] if group else []
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


def _known_pulumi(root: Path) -> str:
    """The CLI that an earlier set-up found; "" when there was none."""
    try:
        return str(pulumi_path(root))
    except SetupError:
        return ""


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
    version = f"github.com/pulumi/pulumi/sdk/v3/go/common/version.Version=v{PULUMI}"
    with tempfile.TemporaryDirectory(prefix="build-", dir=cache()) as folder:
        made = Path(folder, "pulumi")
        package = "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"
        command = [go, "build", "-trimpath", "-ldflags", f"-s -w -X {version}", "-o", str(made), package]
        engine = root / "infra" / "engine"
        result = subprocess.run(
            command, cwd=engine, env=go_environment(go, Path(folder)), capture_output=True, text=True, check=False
        )
        if result.returncode != 0:
            last = (result.stderr.strip().splitlines() or ["no reason given"])[-1]
            raise SetupError(f"Pulumi {PULUMI} cannot be built: {last[:300]}. Install it by hand, then try again")
        made.replace(target)
    return str(target)


def go_environment(go: str, folder: Path) -> dict[str, str]:
    """Go that writes to `folder` only; modules that the user has already are read from their own cache."""
    asked = subprocess.run([go, "env", "GOMODCACHE", "GOPROXY"], capture_output=True, text=True, check=False)
    modules, proxy = [*asked.stdout.splitlines(), "", ""][:2]
    places = [f"file://{modules}/cache/download"] if modules and Path(modules, "cache", "download").is_dir() else []
    own = {
        "CGO_ENABLED": "0",
        "GOCACHE": str(folder / "cache"),
        "GOFLAGS": "-modcacherw",
        "GOPATH": str(folder / "go"),
        "GOMODCACHE": str(folder / "modules"),
        "GOPROXY": ",".join([*places, proxy or "https://proxy.golang.org,direct"]),
        "XDG_CONFIG_HOME": str(folder / "config"),
    }
    return {**os.environ, **own}
