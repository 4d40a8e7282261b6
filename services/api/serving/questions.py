"""What a question may say: parameters that its route has, each as often as the route takes it; days as days.

A name that is not known is refused instead of ignored: a mistyped `form=` for `from=` would be answered with all of it.
"""

from __future__ import annotations

import re
from collections import Counter
from difflib import get_close_matches
from typing import Any, get_args, get_origin
from urllib.parse import parse_qsl

from fastapi import Request
from fastapi.routing import APIRoute

from serving.problems import ProblemError, sentence

_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_LONGEST_NAME = 40


def demand_known(request: Request) -> None:
    """Raise ProblemError (422) for a parameter that the route has not, or that is given more often than it takes."""
    route = request.scope.get("route")
    asked = request.scope["query_string"]
    if not asked or not isinstance(route, APIRoute):
        return
    several = {one.alias: _takes_several(one.field_info.annotation) for one in route.dependant.query_params}
    given = Counter(name for name, _ in parse_qsl(asked.decode("latin-1"), keep_blank_values=True))
    wrong = [
        {"where": f"query.{name[:_LONGEST_NAME]}", "why": why}
        for name, times in sorted(given.items())
        if (why := _wrong(name, times, several))
    ]
    if wrong:
        raise ProblemError(422, sentence(wrong), errors=wrong[:20])


def day(value: Any) -> Any:
    """The text as it is where it can be a day such as 2026-11-24: a number is none, nor is a moment. For validators."""
    if isinstance(value, str) and not _DAY.fullmatch(value):
        raise ValueError("a day is written like 2026-11-24")
    return value


def _wrong(name: str, times: int, several: dict[str, bool]) -> str:
    """What is wrong with a parameter that is given so often; "" for nothing."""
    if name not in several:
        near = get_close_matches(name[:_LONGEST_NAME], several, n=1)
        return f"There is no such parameter{f'; perhaps {near[0]}' if near else ''}. {_known(several)}"
    return "" if times == 1 or several[name] else f"Given {times} times, and taken once"


def _known(several: dict[str, bool]) -> str:
    return f"Known: {', '.join(sorted(several))}" if several else "This route has none"


def _takes_several(annotation: Any) -> bool:
    return list in {get_origin(one) for one in (annotation, *get_args(annotation))}
