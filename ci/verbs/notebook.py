"""`notebook`: JupyterLab on this machine, connected to lake, warehouse, serving and Dask."""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from ci import notebooks
from ci.cli import Options, emit
from infra.components.connections import team_address
from infra.environment import ROOT, Environment
from infra.provider import health
from leandata.errors import LeandataError
from leandata.settings import PREFIX, Settings

_EXAMPLE = "weekly_sales.ipynb"
_NEEDED = {
    "LAKE_CURATED": ("lake", "curated"),
    "LAKE_MODELS": ("lake", "models"),
    "LAKE_RAW": ("lake", "raw"),
    "SERVING": ("database", "serving_reader"),
    "WAREHOUSE": ("warehouse", "address"),
    "DASK": ("dask", "scheduler"),
}
_OPTIONS = (
    "--no-browser", "-y", "--ServerApp.ip=127.0.0.1", "--ServerApp.port_retries=0",
    "--FileContentsManager.pre_save_hook=ci.notebooks.before_saving",
    # It asks nobody outside for news, updates or extensions.
    "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate", "--LabApp.news_url=None",
    "--LabApp.extension_manager=readonly", "--log-level=WARN",
)  # fmt: skip
Outputs = Mapping[str, Mapping[str, Any]]


def notebook(options: Options) -> int:
    """Start JupyterLab and stay with it until ^C; with --check only look at the stored notebooks."""
    if options.check:
        return checked(ROOT, as_json=options.json)
    from ci.bootstrap import add_group, pulumi_path
    from ci.engine import Engine

    environment = Environment.current()
    engine = Engine(environment=environment, pulumi=pulumi_path())
    outputs = {stack: engine.outputs(stack) for stack, _ in _NEEDED.values()}
    told = settings(environment, outputs, team=options.team or environment.file.owner)
    port = environment.port("notebook")
    if not health.free(port):
        hint = "Is a notebook open already? End it, or give this platform other ports: PORT_BASE=17400"
        raise LeandataError(f"port {port} is taken by {health.holder(port) or 'another process'}", hint=hint)
    add_group("notebook")
    token = secrets.token_urlsafe(24)
    url = f"http://127.0.0.1:{port}/lab/tree/{_EXAMPLE}?token={token}"
    if options.json:
        emit({"url": url})
    else:
        print(f"JupyterLab starts at {url}\nNotebooks are stored without their outputs. ^C ends it.", flush=True)
    return _become(command(port), variables(os.environ, told, token=token, state=environment.state))


def checked(root: Path, *, as_json: bool) -> int:
    """Say which stored notebooks hold outputs; 1 where one does."""
    found = notebooks.filled(root)
    if as_json:
        emit({"ok": not found, "filled": found})
    elif found:
        print("\n".join(found), "Open them with `make notebook` and save them: outputs are left out.", sep="\n")
    else:
        print(f"{len(notebooks.stored(root))} stored notebook without outputs.")
    return 1 if found else 0


def settings(environment: Environment, outputs: Outputs, *, team: str) -> dict[str, str]:
    """What a notebook is told, as environment variables; `outputs` are those of the deployed stacks, by stack.

    In the warehouse it reads what the team's people read, in serving as the reader; the lake of one machine is a
    folder, where nobody is held back. Raises LeandataError for a part that is not deployed, and for an unknown team.
    """
    found = {name: outputs.get(stack, {}).get(key) for name, (stack, key) in _NEEDED.items()}
    missing = sorted({_NEEDED[name][0] for name, value in found.items() if not value})
    if missing:
        hint = f"Run `make deploy`, or `make deploy STACK={','.join(missing)}`"
        raise LeandataError(f"{', '.join(missing)} is not deployed", where=environment.name, hint=hint)
    found["WAREHOUSE"] = team_address(environment, team, str(found["WAREHOUSE"]))
    found |= {"ENVIRONMENT": environment.name, "SERVICE": "notebook"}
    found |= {"TODAY": environment.today} if environment.today else {}
    told = {f"{PREFIX}{name}": str(value) for name, value in sorted(found.items())}
    Settings.load(told)
    return told


def variables(environ: Mapping[str, str], told: Mapping[str, str], *, token: str, state: Path) -> dict[str, str]:
    """The environment of JupyterLab: nothing of what the deployer is told; its own files lie in the state folder."""
    kept = {name: value for name, value in environ.items() if not name.startswith((PREFIX, "JUPYTER_"))}
    place = state / "notebook"
    own = {
        "IPYTHONDIR": place / "ipython",
        "JUPYTER_CONFIG_DIR": place / "config",
        "JUPYTER_DATA_DIR": place / "data",
        "JUPYTER_RUNTIME_DIR": place / "runtime",
    }
    return {**kept, **told, **{name: str(path) for name, path in own.items()}, "JUPYTER_TOKEN": token}


def command(port: int) -> Sequence[str]:
    """How JupyterLab is started: on loopback, in the folder of notebooks. The token is no argument, which all read."""
    place = [f"--ServerApp.port={port}", f"--ServerApp.root_dir={ROOT / notebooks.FOLDER}"]
    as_root = ["--allow-root"] if os.geteuid() == 0 else []
    return [sys.executable, "-m", "jupyterlab", *_OPTIONS, *place, *as_root]


def _become(arguments: Sequence[str], environ: Mapping[str, str]) -> NoReturn:
    """Go on as that command: what the terminal sends, ^C too, reaches it itself."""
    sys.stdout.flush()
    os.execve(arguments[0], [*arguments], environ)  # noqa: S606
