"""Whole environments under mocks: seconds and memory in one process, what a resource costs as programs grow.

Each figure is taken in a process of its own, so that none pays for what another has imported.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ci.programs import Program, declared, module_path
from infra.environment import ROOT, names
from leandata.errors import LeandataError

TARGETS = {
    "prod_seconds": "at most 12",
    "prod_memory_mb": "at most 400",
    "resource_ms_at_5000_to_at_1000": "at most 1.5",
    "policy_seconds": "at most 1",
    "access_seconds": "at most 1",
}
_SIZES = (100, 1_000, 2_500, 5_000)
_ENVIRONMENT = "prod"
# What judges a graph, where it is there: module and function, called with the programs of prod.
_JUDGES = {"policy": ("infra.policy", "judge"), "access": ("ci.access", "matrix")}


def measure(folder: Path) -> dict[str, float]:
    """Prod as a whole, generated programs of growing size, and what judges prod's graph."""
    del folder
    found = whole(_ENVIRONMENT)
    found |= growing(_SIZES)
    programs = declared(_ENVIRONMENT)
    for name, (module, function) in _JUDGES.items():
        judge = judge_of(module, function)
        if judge is not None:
            found[f"{name}_seconds"] = seconds_of(judge, programs)
    return found


def whole(environment: str) -> dict[str, float]:
    """All programs of the environment in one process: seconds from its start to its end, peak memory, resources."""
    if environment not in names(root=ROOT):
        raise LeandataError(f"unknown environment {environment!r}")
    found = _child("whole", environment)
    return {
        f"{environment}_seconds": found["seconds"],
        f"{environment}_memory_mb": found["memory_mb"],
        f"{environment}_resources": found["resources"],
    }


def growing(sizes: tuple[int, ...]) -> dict[str, float]:
    """Milliseconds a resource in generated programs of so many buckets, without imports; largest against 1,000."""
    found = {size: _child("buckets", str(size))["ms_a_resource"] for size in sizes}
    figures = {f"resource_ms_at_{size}": took for size, took in found.items()}
    if {1_000, 5_000} <= set(found):
        figures["resource_ms_at_5000_to_at_1000"] = found[5_000] / found[1_000]
    return figures


def judge_of(module: str, function: str) -> Callable[[Mapping[str, Program]], Any] | None:
    """The function, None while the module or the function is not there."""
    try:
        if importlib.util.find_spec(module) is None:
            return None
    except ModuleNotFoundError:
        return None
    return getattr(importlib.import_module(module), function, None)


def seconds_of(judge: Callable[[Mapping[str, Program]], Any], programs: Mapping[str, Program]) -> float:
    """Seconds of one judgement."""
    started = time.perf_counter()
    judge(programs)
    return time.perf_counter() - started


def _child(what: str, argument: str) -> dict[str, float]:
    own = {"PYTHONPATH": module_path(ROOT), "LEANDATA_ENV": argument if what == "whole" else "local"}
    started = time.perf_counter()
    result = subprocess.run(
        [sys.executable, "-m", "ci.bench.cloud", what, argument],
        cwd=ROOT,
        env={**os.environ, **own},
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    seconds = time.perf_counter() - started
    if result.returncode != 0:
        last = (result.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise LeandataError(f"the programs cannot be measured: {last[:300]}")
    return {"seconds": seconds, **json.loads(result.stdout.splitlines()[-1])}


def _whole(environment: str) -> dict[str, float]:
    from ci.graph import discover, order
    from ci.programs import run

    stacks = discover(ROOT, environment)
    found: dict[str, Program] = {}
    for name in order(stacks):
        found[name] = run(stacks[name], environment=environment, before=found)
    return {"resources": sum(len(program.resources) for program in found.values()), "memory_mb": peak_mb()}


def peak_mb() -> float:
    """The most memory that this process has had, in millions of bytes."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / 1e6 if sys.platform == "darwin" else most * 1024 / 1e6


def _buckets(count: int) -> dict[str, float]:
    """A generated program of buckets, run once small to warm up, then at its size."""
    generated(10)
    started = time.perf_counter()
    made = len(generated(count).resources)
    return {"ms_a_resource": (time.perf_counter() - started) * 1000 / made, "memory_mb": peak_mb()}


def generated(count: int) -> Program:
    """What a program of `count` buckets declares, ten under each component, with tags and a policy by reference."""
    import types

    import pulumi

    from ci.graph import StackInfo
    from ci.programs import run

    def program() -> None:
        parent: pulumi.ComponentResource | None = None
        for number in range(count):
            if number % 10 == 0:
                parent = pulumi.ComponentResource("leandata:index:Lake", f"lake-{number}")
            tags = {"environment": "bench", "number": str(number)}
            options = pulumi.ResourceOptions(parent=parent)
            pulumi.CustomResource(
                "aws:s3/bucket:Bucket", f"bucket-{number}", {"bucket": f"b-{number}", "tags": tags}, options
            )

    module = types.ModuleType("generated_program")
    module.__dict__["program"] = program
    sys.modules[module.__name__] = module
    info = StackInfo(name="generated", module=module.__name__, folder=ROOT, needs=())
    return run(info, environment="local", before={})


def main() -> None:
    """Print one figure as JSON: `whole ENVIRONMENT` or `buckets COUNT`."""
    what, argument = sys.argv[1:3]
    print(json.dumps(_whole(argument) if what == "whole" else _buckets(int(argument))))


if __name__ == "__main__":
    main()
