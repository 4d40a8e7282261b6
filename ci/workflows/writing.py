"""A workflow as the text of its file: the same description gives the same bytes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ci.workflows.model import Job, Step, Workflow

HEADER = "# Made by `make workflows` from ci/workflows: edit that, not this."
# A dot may begin a number, such as .5 or .inf.
_PLAIN = re.compile(r"[A-Za-z$/][^\n]*")
_WORDS = frozenset({"true", "false", "yes", "no", "on", "off", "null", "y", "n"})


def text(workflow: Workflow) -> str:
    """The file of a workflow."""
    lines = [HEADER, f"# {workflow.why}", f"name: {workflow.name}", ""]
    lines += _accepted(_mapping({"on": workflow.on}, 0), workflow.accepted)
    lines += ["", "permissions: {}", "", "concurrency:", *_mapping(_group(workflow.group, cancels=workflow.cancels), 1)]
    lines += ["", "jobs:"]
    for number, (key, job) in enumerate(workflow.jobs.items()):
        lines += [*([""] if number else []), f"  {key}:", *(f"    {line}" for line in _job(job))]
    return "\n".join([*lines, ""])


def _group(name: str, *, cancels: bool) -> dict[str, Any]:
    # Without `queue: max` a newer run would take the place of the one that waits.
    return {"group": name, "cancel-in-progress": cancels, **({} if cancels else {"queue": "max"})}


def _accepted(lines: Sequence[str], rules: Sequence[str]) -> list[str]:
    first, *rest = lines
    return [f"{first}  # zizmor: ignore[{','.join(rules)}]" if rules else first, *rest]


def _job(job: Job) -> Iterator[str]:
    yield f"name: {_scalar(job.name)}"
    if job.needs:
        yield f"needs: [{', '.join(job.needs)}]"
    if job.only:
        yield f"if: {_scalar(job.only)}"
    yield f"runs-on: {job.runner}"
    yield f"timeout-minutes: {job.minutes}"
    if job.environment:
        yield from _mapping({"environment": {"name": job.environment}}, 0)
    if job.queue:
        yield from _mapping({"concurrency": _group(job.queue, cancels=False)}, 0)
    if not job.rights:
        yield "permissions: {}"
    else:
        yield "permissions:"
        yield from (f"  {one.scope}: {one.access}  # {one.why}" for one in job.rights)
    if job.matrix:
        yield from _mapping({"strategy": {"fail-fast": False, "matrix": {"include": list(job.matrix)}}}, 0)
    if job.env:
        yield from _mapping({"env": job.env}, 0)
    yield "steps:"
    for step in job.steps:
        first, *rest = _step(step)
        yield f"  - {first}"
        yield from (f"    {line}" for line in rest)


def _step(step: Step) -> Iterator[str]:
    yield f"name: {_scalar(step.name)}"
    if step.only:
        yield f"if: {_scalar(step.only)}"
    if step.uses is not None:
        yield f"uses: {step.uses.name}@{step.uses.commit}  # {step.uses.version}"
    if step.given:
        yield from _mapping({"with": step.given}, 0)
    if step.env:
        yield from _mapping({"env": step.env}, 0)
    if step.run:
        yield f"run: {_scalar(step.run)}"


def _mapping(found: Mapping[str, Any], depth: int) -> list[str]:
    lines: list[str] = []
    for key, value in found.items():
        indent = "  " * depth
        if isinstance(value, Mapping):
            lines += [f"{indent}{key}:", *_mapping(value, depth + 1)] if value else [f"{indent}{key}:"]
        elif isinstance(value, list | tuple) and value and isinstance(value[0], Mapping):
            lines.append(f"{indent}{key}:")
            for one in value:
                first, *rest = _mapping(one, 0)
                lines += [f"{indent}  - {first}", *(f"{indent}    {line}" for line in rest)]
        elif isinstance(value, list | tuple):
            lines.append(f"{indent}{key}: [{', '.join(_scalar(one, flow=True) for one in value)}]")
        else:
            lines.append(f"{indent}{key}: {_scalar(value)}")
    return lines


def _scalar(value: Any, *, flow: bool = False) -> str:
    """A plain scalar where YAML reads it back as the same text, else a quoted one; `flow` says: within brackets."""
    if not isinstance(value, str):
        return json.dumps(value)
    plain = _PLAIN.fullmatch(value) is not None and value.lower() not in _WORDS
    plain = plain and not any(mark in value for mark in (": ", " #")) and not value.endswith((":", " "))
    plain = plain and not (flow and any(mark in value for mark in ",[]{}"))
    return value if plain else json.dumps(value, ensure_ascii=False)
