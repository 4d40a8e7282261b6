"""Files in a folder or bucket: which are new and whole, and what is in them."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from fnmatch import fnmatchcase
from pathlib import PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq
from obstore.exceptions import BaseError

from leandata.errors import LakeError
from leandata.lake import store
from leandata.settings import LakeAddress
from pipelines.sources.arriving import table_of
from pipelines.sources.declaration import Files

_UNFINISHED = (".tmp", ".part", ".partial", ".crdownload", ".filepart", ".swp")


class UnreadableError(Exception):
    """A file that is none of its kind; the message says why."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Dropped:
    """A file that lies there; `mark` tells it from every other state of itself."""

    path: str
    size: int
    changed: datetime

    @property
    def mark(self) -> str:
        return f"{self.path}|{self.size}|{self.changed.isoformat()}"


class Folder:
    """A folder (`file:///path`) or a part of a bucket (`s3://bucket/prefix`) where files are dropped."""

    def __init__(self, address: str) -> None:
        parsed = LakeAddress.parse(address)
        self.place = parsed.place
        self._store: Any = store(parsed)

    def list(self, pattern: str) -> list[Dropped]:
        """The files whose path matches, sorted by path. Raises LakeError."""
        try:
            found = [entry for batch in self._store.list() for entry in batch]
        except BaseError as error:
            raise LakeError(f"the folder cannot be listed: {error}", where=self.place) from error
        files = [Dropped(path=one["path"], size=one["size"], changed=one["last_modified"]) for one in found]
        return sorted((one for one in files if fnmatchcase(one.path, pattern)), key=lambda one: one.path)

    def get(self, file: Dropped) -> bytes:
        """What is in a file. Raises LakeError when it is gone."""
        try:
            return bytes(self._store.get(file.path).bytes())
        except (BaseError, FileNotFoundError) as error:
            raise LakeError(f"a file is gone: {file.path}", where=self.place) from error


def whole(files: Collection[Dropped], *, now: datetime, settle_seconds: float) -> list[Dropped]:
    """Those that nobody seems to be writing any more: named as finished, and not changed for that long."""
    return [
        one
        for one in files
        if not one.path.endswith(_UNFINISHED)
        and not PurePosixPath(one.path).name.startswith((".", "_", "~"))
        and now - one.changed >= timedelta(seconds=settle_seconds)
    ]


def digest(data: bytes) -> str:
    """What tells a file's content from every other content."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def parse(data: bytes, part: Files) -> pa.Table:
    """The rows of a file. Raises UnreadableError for one that is cut off, in another encoding or of another kind."""
    if not data:
        raise UnreadableError("it is empty")
    try:
        return _PARSERS[part.format](data, part)
    except (pa.ArrowException, UnicodeError, LookupError, ValueError, OSError) as error:
        why = " ".join(str(error).split())[:200]
        raise UnreadableError(f"it is no {part.format} in {part.encoding}: {why}") from error


def _csv(data: bytes, part: Files) -> pa.Table:
    """Everything as text: the contract types it, and nothing is guessed. An empty field is a missing value."""
    text = data.decode(part.encoding, errors="strict").removeprefix("\ufeff").encode()
    names = _header(text.splitlines()[0].decode(), part.delimiter)
    return pc.read_csv(
        io.BytesIO(text),
        parse_options=pc.ParseOptions(delimiter=part.delimiter, newlines_in_values=True),
        convert_options=pc.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=True, null_values=[""],
            quoted_strings_can_be_null=True,
        ),
    )  # fmt: skip


def _header(line: str, delimiter: str) -> list[str]:
    names = next(csv.reader([line], delimiter=delimiter))
    if len(set(names)) != len(names) or not all(names):
        raise ValueError("its first line does not name each column once")
    return names


def _jsonl(data: bytes, part: Files) -> pa.Table:
    lines = data.decode(part.encoding, errors="strict").removeprefix("\ufeff").splitlines()
    rows = [json.loads(line, parse_float=Decimal) for line in lines if line.strip()]
    if not rows or not all(isinstance(row, dict) for row in rows):
        raise ValueError("a line is no object")
    return table_of(rows)


def _parquet(data: bytes, part: Files) -> pa.Table:
    del part
    return pq.read_table(io.BytesIO(data))


_PARSERS: Mapping[str, Any] = {"csv": _csv, "jsonl": _jsonl, "parquet": _parquet}
