"""The requests of S3 that our programs make (obstore and Polars), path style, for whoever the network lets in."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterator
from datetime import datetime
from email.utils import format_datetime
from typing import BinaryIO
from urllib.parse import unquote
from xml.sax.saxutils import escape

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from infra.standins.lake.store import Found, Page, RefusedError, Store

_CHUNK = 256 * 1024
_MOST_LISTED = 1000
_LARGEST_TEXT = 4 * 2**20  # bytes of a request that names parts or keys
_RANGE = re.compile(r"bytes=([0-9]*)-([0-9]*)")
_KEY = re.compile(r"<Key>(.*?)</Key>", re.DOTALL)
_PART = re.compile(r"<PartNumber>\s*([0-9]+)\s*</PartNumber>")


def application(store: Store) -> Starlette:
    """S3 over `store`; /healthz says that it answers."""
    routes = [
        Route("/healthz", lambda _: PlainTextResponse("ok")),
        Route("/{bucket}", _guarded(store, _bucket), methods=["GET", "HEAD", "POST"]),
        Route("/{bucket}/", _guarded(store, _bucket), methods=["GET", "HEAD", "POST"]),
        Route("/{bucket}/{key:path}", _guarded(store, _object), methods=["DELETE", "GET", "HEAD", "POST", "PUT"]),
    ]
    return Starlette(routes=routes)


def _guarded(store: Store, answer: Callable[..., object]) -> Callable[[Request], object]:
    """The answer, or the XML by which S3 refuses."""

    async def endpoint(request: Request) -> Response:
        try:
            if request.headers.get("x-amz-content-sha256", "").startswith("STREAMING"):
                raise RefusedError(501, "NotImplemented", "bodies in signed chunks are not understood")
            response: Response = await answer(store, request)  # pyright: ignore[reportGeneralTypeIssues]
        except RefusedError as refused:
            text = _xml("Error", f"<Code>{refused.code}</Code><Message>{escape(refused.message)}</Message>")
            return Response(text, status_code=refused.status, media_type="application/xml")
        return response

    return endpoint


async def _bucket(store: Store, request: Request) -> Response:
    query, bucket = request.query_params, request.path_params["bucket"]
    if request.method == "POST":
        if "delete" not in query:
            raise RefusedError(501, "NotImplemented", "this is not understood")
        keys = [html.unescape(key) for key in _KEY.findall(await _text(request))]
        for key in keys:
            await run_in_threadpool(store.delete, bucket, key)
        gone = "".join(f"<Deleted><Key>{escape(key)}</Key></Deleted>" for key in keys)
        return Response(_xml("DeleteResult", gone), media_type="application/xml")
    if query.get("delimiter", "/") != "/":
        raise RefusedError(501, "NotImplemented", "the only delimiter is /")
    most = query.get("max-keys", str(_MOST_LISTED))
    if not most.isdecimal():
        raise RefusedError(400, "InvalidArgument", "max-keys is a number")
    page = await run_in_threadpool(
        store.list,
        bucket,
        prefix=query.get("prefix", ""),
        folders="delimiter" in query,
        after=query.get("continuation-token") or query.get("start-after", ""),
        most=max(1, min(int(most), _MOST_LISTED)),
    )
    return Response(_listing(bucket, page), media_type="application/xml")


async def _object(store: Store, request: Request) -> Response:
    bucket, key = request.path_params["bucket"], request.path_params["key"]
    match request.method:
        case "PUT":
            return await _put(store, request, bucket, key)
        case "POST":
            return await _post(store, request, bucket, key)
        case "DELETE":
            if "uploadId" in request.query_params:
                await run_in_threadpool(store.abort, request.query_params["uploadId"])
            else:
                await run_in_threadpool(store.delete, bucket, key)
            return Response(status_code=204)
        case _:
            file, found = await run_in_threadpool(store.open, bucket, key)
            return _bytes(file, found, request)


async def _put(store: Store, request: Request, bucket: str, key: str) -> Response:
    query = request.query_params
    whole = "uploadId" not in query and "x-amz-copy-source" not in request.headers
    create = _create(request, match=whole)
    if "uploadId" in query:
        number = query.get("partNumber", "")
        found = await store.part(query["uploadId"], int(number) if number.isdecimal() else 0, request.stream())
        return Response(headers={"ETag": _tag(found)})
    source = request.headers.get("x-amz-copy-source")
    if source is None:
        match = request.headers.get("if-match", "").strip().strip('"')
        found = await store.put(bucket, key, request.stream(), create=create, match=match)
        return Response(headers={"ETag": _tag(found)})
    other, _, name = unquote(source).removeprefix("/").partition("/")
    found = await run_in_threadpool(store.copy, (other, name), bucket, key, create=create)
    inner = f"<ETag>{escape(_tag(found))}</ETag><LastModified>{_time(found.written)}</LastModified>"
    return Response(_xml("CopyObjectResult", inner), media_type="application/xml")


async def _post(store: Store, request: Request, bucket: str, key: str) -> Response:
    query, place = request.query_params, f"<Bucket>{escape(bucket)}</Bucket><Key>{escape(key)}</Key>"
    if "uploads" in query:
        upload = await run_in_threadpool(store.begin, bucket, key)
        inner = f"{place}<UploadId>{upload}</UploadId>"
        return Response(_xml("InitiateMultipartUploadResult", inner), media_type="application/xml")
    if "uploadId" not in query:
        raise RefusedError(501, "NotImplemented", "this is not understood")
    numbers = [int(number) for number in _PART.findall(await _text(request))]
    found = await run_in_threadpool(store.complete, query["uploadId"], numbers, bucket, key, create=_create(request))
    inner = f"{place}<ETag>{escape(_tag(found))}</ETag>"
    return Response(_xml("CompleteMultipartUploadResult", inner), media_type="application/xml")


def _bytes(file: BinaryIO, found: Found, request: Request) -> Response:
    """The object or the part of it that `Range` asks for; without its bytes for HEAD."""
    headers = {
        "Accept-Ranges": "bytes",
        "Content-Type": "application/octet-stream",
        "ETag": _tag(found),
        "Last-Modified": format_datetime(found.written, usegmt=True),
    }
    try:
        span = asked(request.headers.get("range", ""), size=found.size)
    except RefusedError:
        file.close()
        raise
    first, last = span or (0, found.size - 1)
    headers["Content-Length"] = str(last - first + 1)
    if span:
        headers["Content-Range"] = f"bytes {first}-{last}/{found.size}"
    status = 206 if span else 200
    if request.method == "HEAD":
        file.close()
        return Response(status_code=status, headers=headers)
    return StreamingResponse(_read(file, first, last - first + 1), status_code=status, headers=headers)


def asked(text: str, *, size: int) -> tuple[int, int] | None:
    """The first and the last byte that a Range header asks for of `size` bytes; None for all of them.

    A header that cannot be understood is ignored (RFC 9110, 14.2). Raises RefusedError for one beyond the end.
    """
    match = _RANGE.fullmatch(text)
    if match is None or not any(match.groups()):
        return None
    first, last = match.groups()
    start = int(first) if first else max(0, size - int(last))
    end = min(int(last), size - 1) if first and last else size - 1
    if start > end:
        raise RefusedError(416, "InvalidRange", "the object has no such bytes")
    return start, end


def _read(file: BinaryIO, first: int, count: int) -> Iterator[bytes]:
    with file:
        file.seek(first)
        while count and (chunk := file.read(min(_CHUNK, count))):
            count -= len(chunk)
            yield chunk


async def _text(request: Request) -> str:
    data = bytearray()
    async for chunk in request.stream():
        data += chunk
        if len(data) > _LARGEST_TEXT:
            raise RefusedError(400, "MalformedXML", "the request is too large")
    return data.decode("utf-8", errors="replace")


def _create(request: Request, *, match: bool = False) -> bool:
    """Whether only a new object is wanted; `match` is whether the request may ask for that of a tag instead."""
    if "if-match" in request.headers and not match:
        raise RefusedError(501, "NotImplemented", "such objects are not changed on a condition")
    return request.headers.get("if-none-match", "").strip() == "*"


def _listing(bucket: str, page: Page) -> str:
    objects = "".join(
        f"<Contents><Key>{escape(found.key)}</Key><LastModified>{_time(found.written)}</LastModified>"
        f"<ETag>{escape(_tag(found))}</ETag><Size>{found.size}</Size></Contents>"
        for found in page.objects
    )
    folders = "".join(f"<CommonPrefixes><Prefix>{escape(name)}</Prefix></CommonPrefixes>" for name in page.prefixes)
    more = f"<NextContinuationToken>{escape(page.after)}</NextContinuationToken>" if page.after else ""
    count = len(page.objects) + len(page.prefixes)
    head = f"<Name>{escape(bucket)}</Name><KeyCount>{count}</KeyCount><IsTruncated>{str(bool(more)).lower()}"
    return _xml("ListBucketResult", f"{head}</IsTruncated>{more}{objects}{folders}")


def _xml(name: str, inner: str) -> str:
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<{name}>{inner}</{name}>'


def _tag(found: Found) -> str:
    return f'"{found.tag}"'


def _time(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"
