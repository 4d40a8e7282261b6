"""Datasets: what there is, how fresh it is, and each as a file."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import asdict
from datetime import UTC, date, datetime
from typing import Annotated, Literal

import anyio
from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import Response, StreamingResponse
from pydantic import BaseModel, Field, TypeAdapter

from leandata.datasets import CATALOG
from leandata.serving import checks_sql, to_check
from leandata.settings import Settings
from serving.answers import UNCHANGED, Answers, Ask, Published, matches
from serving.exports import FORMATS, Exports, File
from serving.problems import Problem, ProblemError

freshness = APIRouter(prefix="/v1", tags=["datasets"], responses=UNCHANGED)
export = APIRouter(prefix="/v1", tags=["datasets"], responses=UNCHANGED)


class PublishedDataset(BaseModel):
    """What is published of a dataset."""

    dataset: str = Field(examples=["sales.weekly_sales"])
    version: str
    rows: int
    data_until: date
    published_at: datetime


class FreshnessAnswer(BaseModel):
    """Every published dataset."""

    datasets: list[PublishedDataset]


class DatasetColumn(BaseModel):
    """A column of a dataset's contract."""

    name: str
    type: str
    description: str
    classification: str


class DatasetCard(BaseModel):
    """A dataset's contract and what is published of it; `late` says that it is older than was promised."""

    dataset: str = Field(examples=["sales.weekly_sales"])
    owner: str
    description: str
    columns: list[DatasetColumn]
    key: list[str]
    fresh_within_hours: float
    late: bool | None = Field(description="null where nothing is published")
    published: PublishedDataset | None


class DatasetsAnswer(BaseModel):
    """Every dataset that is published for readers, or is to be."""

    datasets: list[DatasetCard]


class CheckResult(BaseModel):
    """One check of a dataset: what came of it, in a word and in a sentence, and when."""

    dataset: str = Field(examples=["sales.weekly_sales"])
    check: str = Field(examples=["freshness"])
    status: str = Field(examples=["ok"])
    detail: str
    checked_at: datetime


class ChecksAnswer(BaseModel):
    """The checks by dataset and name; none before they ran."""

    checks: list[CheckResult]


_CHECKS = TypeAdapter(ChecksAnswer)
_FRESHNESS = TypeAdapter(FreshnessAnswer)
_CARDS = TypeAdapter(DatasetsAnswer)


@freshness.get("/freshness", response_model=FreshnessAnswer)
async def get_freshness(request: Request) -> Response:
    """How fresh each published dataset is."""

    async def make(ask: Ask, published: Published) -> bytes:
        del ask
        return _FRESHNESS.dump_json(FreshnessAnswer(datasets=_published(published)))

    answers: Answers = request.app.state.answers
    return await answers.give(request, datasets=sorted(CATALOG), asked=(), make=make)


@freshness.get("/datasets", response_model=DatasetsAnswer)
async def get_datasets(request: Request) -> Response:
    """Every mart: owner, columns, what is published of it, and whether it is late."""
    answers: Answers = request.app.state.answers
    settings: Settings = request.app.state.settings
    published, now = await answers.published(), settings.moment(datetime.now(UTC))
    known = {one.dataset: one for one in _published(published)}
    cards = [_card(name, known.get(name), now) for name in _marts()]
    tag = published.tag(_marts(), tuple(one.late for one in cards))
    body = _CARDS.dump_json(DatasetsAnswer(datasets=cards))
    return answers.respond(request, body, tag=tag, checked=published.checked)


@freshness.get("/checks", response_model=ChecksAnswer)
async def get_checks(request: Request) -> Response:
    """What the nightly checks found of each dataset."""
    answers: Answers = request.app.state.answers
    published = await answers.published()
    found = [to_check(row) for row in await answers.ask(checks_sql(), {})]
    tag = published.tag([], ("checks", *found))
    body = _CHECKS.dump_json(ChecksAnswer.model_validate({"checks": [asdict(one) for one in found]}))
    return answers.respond(request, body, tag=tag, checked=published.checked)


@export.get(
    "/datasets/{dataset}/export",
    response_class=StreamingResponse,
    responses={
        200: {"content": {kind.media_type: {} for kind in FORMATS.values()}, "description": "The whole dataset"},
        404: {"model": Problem, "description": "No dataset of that name is published"},
    },
)
async def get_export(
    request: Request,
    dataset: Annotated[str, Path(max_length=100, examples=["sales.weekly_sales"])],
    file_format: Annotated[Literal["csv", "parquet", "arrow"], Query(alias="format")] = "parquet",
) -> Response:
    """A whole dataset as CSV, Parquet or an Arrow stream, as of one publication."""
    answers: Answers = request.app.state.answers
    exports: Exports = request.app.state.exports
    published = await answers.published()
    if dataset not in _marts() or dataset not in published.versions:
        there = ", ".join(sorted(set(published.versions) & set(_marts()))) or "none yet"
        raise ProblemError(404, f"No dataset {dataset!r} is published. There are: {there}.")
    served = published.versions[dataset]  # not until when it is right: that moves on while the rows stay
    tag = published.tag([], (dataset, served.version, served.published_at, file_format))
    kind = FORMATS[file_format]
    headers = {"ETag": tag, "Cache-Control": "private, no-cache"}
    if matches(request.headers.get("if-none-match", ""), tag):
        return Response(status_code=304, headers=headers)
    file = await exports.file(tag, CATALOG[dataset], kind, version=served.version)
    headers |= {
        "Content-Length": str(file.size),
        "Content-Disposition": f'attachment; filename="{dataset}.{kind.ending}"',
    }
    return StreamingResponse(_chunks(file), media_type=kind.media_type, headers=headers)


async def _chunks(file: File) -> AsyncIterator[bytes]:
    start = 0
    while chunk := await anyio.to_thread.run_sync(file.read, start):
        start += len(chunk)
        yield chunk


def _marts() -> list[str]:
    return sorted(name for name, dataset in CATALOG.items() if dataset.layer == "MARTS")


def _published(published: Published) -> list[PublishedDataset]:
    return [PublishedDataset.model_validate(asdict(one)) for _, one in sorted(published.versions.items())]


def _card(name: str, published: PublishedDataset | None, now: datetime) -> DatasetCard:
    contract = CATALOG[name]
    return DatasetCard(
        dataset=name,
        owner=contract.owner,
        description=contract.description,
        columns=[
            DatasetColumn(name=one.name, type=one.type, description=one.description, classification=one.classification)
            for one in contract.columns
        ],
        key=list(contract.key),
        fresh_within_hours=contract.freshness.total_seconds() / 3600,
        late=contract.late(published.data_until, now=now) if published else None,
        published=published,
    )
