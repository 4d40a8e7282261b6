"""`new-service`: the folder of a service that can be deployed and tested at once."""

from __future__ import annotations

import re
from pathlib import Path

from ci.cli import Options, emit
from infra.environment import ROOT
from leandata.errors import LeandataError

_NAME = re.compile(r"[a-z][a-z0-9]{1,19}")
_FILES = {
    "__init__.py": '"""The service {name}."""\n',
    "service.toml": """\
name = "{name}"
owner = "data-team"
description = "What {name} is for."
cost_centre = "data"

[[process]]
name = "{name}"
health = "/healthz"
ready = ""
start_timeout = "60s"
memory = "256MiB"
cpu = "250m"
drain = "30s"

[scaling]
minimum = 1
maximum = 2

[network]
calls = []
open_to = "programs"

[data.lake]
reads = []
writes = []

[data.warehouse]
reads = []
writes = []

[data.database]
roles = []

[level]
availability = "99%"
""",
    "outputs.py": '''\
"""What other stacks may know of {name}."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import pulumi

from infra.components.stack import StackOutputs


@dataclass(frozen=True, kw_only=True)
class {title}Outputs(StackOutputs):
    """`url` is where {name} answers."""

    STACK: ClassVar[str] = "{name}"

    url: pulumi.Input[str]
''',
    "deploy.py": '''\
"""The service {name}."""

from __future__ import annotations

from infra.components.manifest import ServiceManifest
from infra.components.service import Program, Service
from infra.components.settings import service_settings
from infra.components.stack import Stack
from services.{name}.outputs import {title}Outputs


def program() -> None:
    """Declare the process of {name}."""
    stack = Stack.begin("{name}")
    listen = stack.listen("{name}")
    command = [stack.python, "services/{name}/{name}_service/__main__.py", listen.bind, str(listen.port)]
    program = Program(
        manifest=ServiceManifest.load("{name}").one("{name}"),
        command=command,
        settings=service_settings(stack, "{name}", {{}}),
        triggers=stack.code("services/{name}/{name}_service", "shared/leandata"),
    )
    Service("{name}", stack=stack, programs=[program])
    {title}Outputs(url=listen.url).export()


if __name__ == "__main__":
    program()
''',
    "{name}_service/__init__.py": '"""The code of {name}."""\n',
    "{name}_service/__main__.py": '''\
"""Answer 200 at /healthz: replace this by what {name} is for."""

from __future__ import annotations

import sys
from http.server import BaseHTTPRequestHandler, HTTPServer


class Handler(BaseHTTPRequestHandler):
    """Answers."""

    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/healthz" else 404)
        self.end_headers()


if __name__ == "__main__":
    HTTPServer((sys.argv[1], int(sys.argv[2])), Handler).serve_forever()
''',
    "tests/test_{name}.py": '''\
"""What {name} promises."""

from __future__ import annotations

from infra.components.manifest import ServiceManifest


def test_the_manifest_is_well_formed() -> None:
    assert ServiceManifest.load("{name}").one("{name}").health == "/healthz"
''',
    "README.md": "# {name}\n\n`make deploy STACK={name}`, `make test SERVICE={name}`, `make logs SERVICE={name}`.\n",
}


def new_service(options: Options) -> int:
    """Make the folder, and a port for the service in the local environment."""
    made = scaffold(options.name, root=ROOT)
    if options.json:
        emit({"made": made})
    else:
        print("\n".join(made))
        print(f"Now: make deploy STACK={options.name}, make test SERVICE={options.name}")
    return 0


def scaffold(name: str, *, root: Path) -> list[str]:
    """Write the service's files below `root`; their paths. Raises LeandataError for a bad or taken name."""
    if not _NAME.fullmatch(name):
        raise LeandataError(f"{name!r} cannot name a service", hint="Use 2 to 20 lower-case letters and digits")
    folder = root / "services" / name
    if folder.exists():
        raise LeandataError(f"the service {name} exists", where=str(folder))
    made: list[str] = []
    for path, text in sorted(_FILES.items()):
        file = folder / path.format(name=name)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text.format(name=name, title=name.title()), encoding="utf-8")
        made.append(file.relative_to(root).as_posix())
    return [*made, _port(name, root / "infra" / "environments" / "local.toml", root=root)]


def _port(name: str, path: Path, *, root: Path) -> str:
    """Give the service the next free offset in the local environment."""
    text = path.read_text(encoding="utf-8")
    head, marker, tail = text.partition("[ports.offsets]\n")
    section = tail.split("\n\n", 1)[0]
    offset = max(int(line.split("=")[1]) for line in section.splitlines() if "=" in line) + 1
    path.write_text(f"{head}{marker}{name} = {offset}\n{tail}", encoding="utf-8")
    return path.relative_to(root).as_posix()
