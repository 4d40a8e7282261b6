"""The event that started the poster, as GitHub wrote it: whose run, of which commit of which branch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from leandata.errors import LeandataError

Commit = Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+$", max_length=200)]
_AT_MOST = 5_000_000


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)


class Owner(_Part):
    """Who owns a repository."""

    login: str = Field(pattern=r"^[A-Za-z0-9_\[\].-]+$", max_length=100)


class Head(_Part):
    """The repository that the commit comes from: ours, or a fork."""

    id: int
    owner: Owner


class Repository(_Part):
    """Our repository."""

    id: int
    full_name: Name


class WorkflowRun(_Part):
    """The run that began or ended: `event` is what started it, `path` the file of its workflow."""

    id: int
    head_sha: Commit
    head_branch: str | None = Field(max_length=300)
    head_repository: Head | None
    event: str
    path: str
    conclusion: str | None


class Event(_Part):
    """The whole: `action` says whether the run was asked for, goes on, or has ended."""

    action: Literal["requested", "in_progress", "completed"]
    repository: Repository
    workflow_run: WorkflowRun


def read(path: Path) -> Event:
    """The event in the file that GitHub names. Raises LeandataError when it is none of a workflow's run."""
    if not path.is_file():
        raise LeandataError(
            "there is no event", where=str(path), hint="EVENT names a file with the event `workflow_run`"
        )
    if path.stat().st_size > _AT_MOST:
        raise LeandataError("the event is too large to be one", where=str(path))
    try:
        return Event.model_validate_json(json.dumps(json.loads(path.read_bytes())))
    except (ValidationError, ValueError, RecursionError) as error:
        first = error.errors()[0] if isinstance(error, ValidationError) else None
        said = f"{'.'.join(map(str, first['loc'])) or 'the whole'}: {first['msg']}" if first else "no JSON"
        raise LeandataError(f"not the event of a workflow's run: {said}", where=str(path)) from None
