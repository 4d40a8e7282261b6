"""`affected`: which stacks, services and images a change touches, and why; nothing is run to find out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ci.affected.built import images, services
from ci.affected.changes import changes
from ci.affected.stacks import Question
from ci.cli import Options, emit
from infra.environment import ROOT

_SHOWN = 2


def affected(options: Options) -> int:
    """Print it, for every environment or for the one of `--only-env`; 0 whatever is touched."""
    question = Question(changes(ROOT, options.base))
    environments = [options.only_env] if options.only_env else question.environments
    stacks = {name: question.stacks(name) for name in environments}
    built = images(question)
    run = services(question, built)
    if options.json:
        answer: dict[str, Any] = {
            "base": question.found.commit,
            "changed": sorted(question.found.changed),
            "stacks": stacks,
            "all_stacks": {name: question.all_stacks(name) for name in environments},
            "services": run,
            "images": built,
        }
        emit(answer)
        return 0
    print(f"{len(question.found.changed)} files differ from {question.found.commit[:12]}.")
    for name, found in stacks.items():
        print(f"\n{name}: {len(found)} of {len(question.all_stacks(name))} stacks")
        print("\n".join(lines(found)) or "  none")
    print("\nservices")
    print("\n".join(lines(run)) or "  none")
    print("\nimages")
    print("\n".join(lines(built)) or "  none")
    return 0


def lines(found: Mapping[str, tuple[str, ...]]) -> list[str]:
    """A line for each name with its first reasons; how many more there are is said."""
    width = max(map(len, found), default=0)
    return [
        f"  {name:<{width}}  {'; '.join(reasons[:_SHOWN])}"
        + (f"; and {len(reasons) - _SHOWN} more" if len(reasons) > _SHOWN else "")
        for name, reasons in found.items()
    ]
