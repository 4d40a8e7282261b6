"""What the programs of an environment declare, found by running them against a monitor that makes nothing.

No engine, no credentials, no network: each stack's program runs with the outputs that the stacks before it exported.
It has a process of its own, because the SDK keeps global state and the programs may be those of another checkout.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import importlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import pulumi
from pulumi.runtime import mocks, rpc, settings
from pulumi.runtime.stack import run_in_stack

from ci import mocked
from ci.graph import StackInfo, everything, order
from infra.components.observed import watching
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


_FIELDS = frozenset(one.name for one in fields(Resource))
_LISTS = frozenset(one.name for one in fields(Resource) if str(one.type).startswith("tuple"))


@dataclass(slots=True)
class Program:
    """What one stack's program declares: its resources by URN, and its outputs.

    `read` are the keys of the services' manifests that it looked at, None where nobody watched it.
    """

    resources: dict[str, Resource] = field(default_factory=dict[str, Resource])
    outputs: dict[str, Any] = field(default_factory=dict[str, Any])
    read: frozenset[str] | None = None

    def of(self, type_: str) -> dict[str, Resource]:
        """The resources of this type, such as `machine:index:File`, by name, sorted."""
        return {found.name: found for _, found in sorted(self.resources.items()) if found.type == type_}


def declared(environment: str, *, root: Path = ROOT, environ: Mapping[str, str] | None = None) -> dict[str, Program]:
    """What every stack of `environment` declares, by stack in their order, in the checkout at `root`.

    Raises LeandataError with the program's own reason when one fails.
    """
    own = {"LEANDATA_ENV": environment, "PYTHONPATH": module_path(root)}
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
        said: dict[str, Any] = json.loads(result.stdout)
    except ValueError:
        lines = result.stderr.strip().splitlines() or ["no reason given"]
        said = {"error": lines[-1]}
    if "error" in said:
        raise LeandataError(f"the programs of {environment} fail: {said['error']}")
    return {name: program_of(found) for name, found in said["stacks"].items()}


def module_path(root: Path) -> str:
    """PYTHONPATH for code that runs in the checkout at `root`: its own modules come before installed ones."""
    return os.pathsep.join(map(str, [root, root / "shared", *sorted((root / "services").glob("*"))]))


def program_of(found: Mapping[str, Any]) -> Program:
    """A stack's program in an answer. Of another checkout's, what it does not say has its default, more is left out."""

    def resource(raw: Mapping[str, Any]) -> Resource:
        known: dict[str, Any] = {name: value for name, value in raw.items() if name in _FIELDS}
        known.update({name: tuple(known[name]) for name in _LISTS & known.keys()})
        return Resource(**known)

    resources = [resource(raw) for raw in found["resources"]]
    read = frozenset(found["read"]) if "read" in found else None
    return Program(resources={one.urn: one for one in resources}, outputs=dict(found["outputs"]), read=read)


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
        return args.name, mocked.answer(args.typ, args.name, args.inputs)

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
    with watching() as read, asyncio.Runner() as runner:
        runner.run(run_in_stack(program or importlib.import_module(stack.module).program))
    recorded.read = frozenset(read)
    return recorded


def main() -> None:
    """Print what every stack declares, as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("environment", help="an environment that has a file in infra/environments")
    environment = parser.parse_args().environment
    os.environ["LEANDATA_ENV"] = environment
    gc.disable()  # the process is short, and a third of its time would go into collecting what it keeps
    try:
        print(json.dumps({"version": VERSION, "environment": environment, "stacks": answer(environment)}))
    except Exception as error:  # noqa: BLE001 - whatever is wrong with a program, its caller is told in one line
        print(json.dumps({"version": VERSION, "error": reason(error)}))


def reason(error: Exception) -> str:
    """Why a program cannot be run, as one line of at most 500 characters."""
    said = str(error) if isinstance(error, LeandataError) else f"{type(error).__name__}: {error}"
    return " ".join(said.split())[:500]


@dataclass(frozen=True, kw_only=True, slots=True)
class Some:
    """Which stacks are run: `surely` these, and of the others those for which one that they need puts out what differs.

    `before` is what is known of each stack that may not be run; `form` brings outputs into the form of those in it.
    """

    surely: frozenset[str]
    before: Mapping[str, Program]
    form: Callable[[Any], Any] = lambda outputs: outputs

    def wanted(self, stack: StackInfo, done: Mapping[str, Program]) -> bool:
        """Whether the stack has to be run after those that are `done`."""
        known = self.before
        return stack.name in self.surely or any(
            name in done and (name not in known or self.form(done[name].outputs) != known[name].outputs)
            for name in stack.needs
        )


def answer(environment: str, *, root: Path | None = None, some: Some | None = None) -> dict[str, Any]:
    """What the stacks declare that are run, all without `some`, for machines. Errors of programs are raised.

    They are run in this process, which belongs to the checkout at `root` (the working directory).
    """
    known = everything(root or Path.cwd(), environment)
    done: dict[str, Program] = {}
    before = some.before if some else {}
    with contextlib.redirect_stdout(sys.stderr):  # what a program prints is not our answer
        for name in order(known):
            if some is None or some.wanted(known[name], done):
                done[name] = run(known[name], environment=environment, before={**before, **done})
    return {
        name: {
            "needs": list(known[name].needs),
            "outputs": found.outputs,
            "read": sorted(found.read or ()),
            "resources": [asdict(resource) for _, resource in sorted(found.resources.items())],
        }
        for name, found in done.items()
    }


if __name__ == "__main__":
    main()
