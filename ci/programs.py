"""What the programs of an environment declare, found by running them against a monitor that makes nothing.

No engine, no credentials, no network: each stack's program runs with the outputs that the stacks before it exported.
It has a process of its own, because the SDK keeps global state and the programs may be those of another checkout.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import importlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pulumi
from pulumi.runtime import mocks, rpc, settings
from pulumi.runtime.stack import run_in_stack

from ci.graph import StackInfo, discover, order
from ci.mocked import answer
from infra.environment import ROOT
from leandata.errors import LeandataError

VERSION = 1
HIDDEN = "[secret]"


@dataclass(frozen=True, kw_only=True, slots=True)
class Resource:
    """One resource as its program registered it; secrets in `properties` are replaced by `[secret]`.

    `needs` are the URNs that it waits for, `protect`, `retain` and `ignore` its options; a component is not `custom`.
    `aliases` are the URNs that it had before, `deletes_first` says that a replacement of it deletes the old one first.
    """

    urn: str
    type: str
    name: str
    parent: str
    custom: bool
    properties: dict[str, Any]
    needs: tuple[str, ...]
    protect: bool
    retain: bool
    ignore: tuple[str, ...]
    aliases: tuple[str, ...] = ()
    deletes_first: bool = False


@dataclass(slots=True)
class Program:
    """What one stack's program declares: its resources by URN, and its outputs."""

    resources: dict[str, Resource] = field(default_factory=dict[str, Resource])
    outputs: dict[str, Any] = field(default_factory=dict[str, Any])

    def of(self, type_: str) -> dict[str, Resource]:
        """The resources of this type, such as `machine:index:File`, by name, sorted."""
        return {found.name: found for _, found in sorted(self.resources.items()) if found.type == type_}


def declared(environment: str, *, root: Path = ROOT, environ: Mapping[str, str] | None = None) -> dict[str, Program]:
    """What every stack of `environment` declares, by stack in their order, in the checkout at `root`.

    Raises LeandataError with the program's own reason when one fails.
    """
    places = [root, root / "shared", *sorted((root / "services").glob("*"))]
    own = {"LEANDATA_ENV": environment, "PYTHONPATH": os.pathsep.join(str(place) for place in places)}
    result = subprocess.run(
        [sys.executable, "-m", "ci.programs", environment],
        cwd=root,
        env={**(os.environ if environ is None else environ), **own},
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    try:
        answer: dict[str, Any] = json.loads(result.stdout)
    except ValueError:
        lines = result.stderr.strip().splitlines() or ["no reason given"]
        answer = {"error": lines[-1]}
    if "error" in answer:
        raise LeandataError(f"the programs of {environment} fail: {answer['error']}")
    return {name: _program(found) for name, found in answer["stacks"].items()}


def _program(found: Mapping[str, Any]) -> Program:
    def resource(raw: dict[str, Any]) -> Resource:
        # Another checkout may be one whose programs do not say everything.
        aliases, ignore, needs = (tuple(raw.pop(name, ())) for name in ("aliases", "ignore", "needs"))
        return Resource(**raw, aliases=aliases, ignore=ignore, needs=needs)

    resources = [resource(raw) for raw in found["resources"]]
    return Program(resources={one.urn: one for one in resources}, outputs=found["outputs"])


@contextlib.contextmanager
def _loop() -> Generator[None]:
    """An event loop of this thread's own, closed in the end: the mocks would make one a thread and leave it open."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        yield
    finally:
        asyncio.set_event_loop(None)
        loop.close()


class _Monitor(mocks.MockMonitor):
    def __init__(self, inner: mocks.Mocks, recorded: Program, *, stack: str, project: str) -> None:
        super().__init__(inner)
        self._recorded, self._stack, self._project = recorded, stack, project

    def make_urn(self, parent: str, type_: str, name: str) -> str:
        """As the engine makes it: with the types of all parents but the stack."""
        chain = parent.split("::")[2] if parent else ""
        whole = type_ if chain in ("", "pulumi:pulumi:Stack") else f"{chain}${type_}"
        return "urn:pulumi:" + "::".join([self._stack, self._project, whole, name])

    def RegisterResource(self, request: Any) -> Any:
        urn = self.make_urn(request.parent, request.type, request.name)
        if urn in self._recorded.resources:
            raise LeandataError(f"two resources have the URN {urn}")
        with _loop():
            response = super().RegisterResource(request)
        self._recorded.resources[urn] = Resource(
            urn=urn,
            type=request.type,
            name=request.name,
            parent=request.parent,
            custom=request.custom,
            properties=plain(rpc.deserialize_properties(request.object, keep_unknowns=True)),
            needs=tuple(sorted(request.dependencies)),
            protect=request.protect,
            retain=request.retainOnDelete,
            ignore=tuple(request.ignoreChanges),
            aliases=tuple(sorted(self._aliases(request))),
            deletes_first=request.deleteBeforeReplace,
        )
        return response

    def _aliases(self, request: Any) -> Iterator[str]:
        """The URNs that the resource had before: whole ones, and those made of what differs from now."""
        yield from request.aliasURNs
        for alias in request.aliases:
            spec = alias.spec
            parent = "" if spec.noParent else (spec.parentUrn or request.parent)
            yield alias.urn or self.make_urn(parent, spec.type or request.type, spec.name or request.name)

    def ReadResource(self, request: Any) -> Any:
        with _loop():
            return super().ReadResource(request)

    def RegisterResourceOutputs(self, request: Any) -> Any:
        if request.urn.split("::")[2] == "pulumi:pulumi:Stack":
            self._recorded.outputs.update(plain(rpc.deserialize_properties(request.outputs, keep_unknowns=True)))
        return super().RegisterResourceOutputs(request)


class _Mocks(mocks.Mocks):
    """Resources come out as they went in; another stack's outputs are those that it declared before."""

    def __init__(self, before: Mapping[str, Program]) -> None:
        self._before = before

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str, dict[str, Any]]:
        if args.typ == "pulumi:pulumi:StackReference":
            name = args.inputs["name"]
            outputs = self._before[name.split("/")[1]].outputs
            return name, {"name": name, "outputs": outputs, "secretOutputNames": []}
        return args.name, answer(args.typ, args.name, args.inputs)

    def call(self, args: mocks.MockCallArgs) -> Any:
        raise LeandataError(f"a program calls {args.token}: it cannot be shown without credentials")


def plain(value: Any) -> Any:
    """The value for JSON: secrets and unknowns named instead of shown, mappings sorted."""
    if rpc.is_rpc_secret(value):
        return HIDDEN
    if isinstance(value, Mapping):
        return {str(key): plain(found) for key, found in sorted(value.items()) if not str(key).startswith("__")}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [plain(found) for found in value]
    if value is None or isinstance(value, str | int | float | bool):
        return int(value) if isinstance(value, float) and value.is_integer() else value
    return "[unknown]"


def run(
    stack: StackInfo,
    *,
    environment: str,
    before: Mapping[str, Program],
    program: Callable[[], None] | None = None,
) -> Program:
    """Run the stack's program, or `program` in its place, in this process; what it declares. Errors are raised."""
    recorded = Program()
    monitor = _Monitor(_Mocks(before), recorded, stack=environment, project=stack.name)
    settings.ROOT.set(None)
    settings.configure(
        mocks.MockSettings(
            monitor=monitor, engine=mocks.MockEngine(None), project=stack.name, stack=environment, dry_run=False,
            organization="organization",
        )
    )  # fmt: skip
    pulumi.runtime.set_all_config({}, [])
    with asyncio.Runner() as runner:
        runner.run(run_in_stack(program or importlib.import_module(stack.module).program))
    return recorded


def main() -> None:
    """Print what every stack declares, as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("environment", help="an environment that has a file in infra/environments")
    environment = parser.parse_args().environment
    try:
        print(json.dumps({"version": VERSION, "environment": environment, "stacks": _all(environment)}))
    except Exception as error:  # noqa: BLE001 - whatever is wrong with a program, its caller is told in one line
        reason = str(error) if isinstance(error, LeandataError) else f"{type(error).__name__}: {error}"
        print(json.dumps({"version": VERSION, "error": " ".join(reason.split())[:500]}))


def _all(environment: str) -> dict[str, Any]:
    stacks = discover(Path.cwd(), environment) | discover(Path.cwd(), environment, by_hand=True)
    found: dict[str, Program] = {}
    with contextlib.redirect_stdout(sys.stderr):  # what a program prints is not our answer
        for name in order(stacks):
            found[name] = run(stacks[name], environment=environment, before=found)
    return {
        name: {
            "needs": list(stacks[name].needs),
            "outputs": program.outputs,
            "resources": [asdict(resource) for _, resource in sorted(program.resources.items())],
        }
        for name, program in found.items()
    }


if __name__ == "__main__":
    main()
