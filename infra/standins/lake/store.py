"""Objects as files: bucket/key is a path, written whole or not at all."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import threading
import uuid
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

_SCRATCH = ".scratch"
_LONGEST_KEY, _LONGEST_NAME = 1024, 255  # bytes: S3's limit, and that of file systems for each part
_MOST_PARTS = 10_000


class RefusedError(Exception):
    """A request that S3 would refuse, with its status and its code for the reason."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """One object: its key, its bytes, when it was written, and a tag that changes with it."""

    key: str
    size: int
    written: datetime
    tag: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Page:
    """A part of a listing, in order; `after` is where the next part goes on, "" at the end."""

    objects: Sequence[Found]
    prefixes: Sequence[str]
    after: str


class Store:
    """The buckets `buckets` under the folder `root`. Whatever a broken-off request left behind is removed."""

    def __init__(self, root: Path, *, buckets: Sequence[str]) -> None:
        self._root = root
        self._buckets = frozenset(buckets)
        self._scratch = root / _SCRATCH
        self._exchanges = threading.Lock()
        shutil.rmtree(self._scratch, ignore_errors=True)
        for folder in (*sorted(buckets), _SCRATCH):
            (root / folder).mkdir(parents=True, exist_ok=True)

    def open(self, bucket: str, key: str) -> tuple[BinaryIO, Found]:
        """The object's bytes and what is known of it; they belong together, whatever is written meanwhile."""
        try:
            file = self._path(bucket, key).open("rb")
        except OSError:
            raise RefusedError(404, "NoSuchKey", "there is no object of this key") from None
        return file, _found(key, os.fstat(file.fileno()))

    async def put(self, bucket: str, key: str, data: AsyncIterator[bytes], *, create: bool, match: str = "") -> Found:
        """Write an object; with `create` only where there is none, with `match` only over the one of that tag."""
        target = self._path(bucket, key)
        scratch = self._scratch / uuid.uuid4().hex
        try:
            await _write(scratch, data)
            if match:
                return self._exchange(scratch, target, key, match=match)
            return self._place(scratch, target, key, create=create)
        finally:
            scratch.unlink(missing_ok=True)

    def copy(self, source: tuple[str, str], bucket: str, key: str, *, create: bool) -> Found:
        """Write an object that is like another."""
        target = self._path(bucket, key)
        scratch = self._scratch / uuid.uuid4().hex
        try:
            with self.open(*source)[0] as original, scratch.open("wb") as file:
                shutil.copyfileobj(original, file)
                _settle(file)
            return self._place(scratch, target, key, create=create)
        finally:
            scratch.unlink(missing_ok=True)

    def delete(self, bucket: str, key: str) -> None:
        """Remove an object; none of that key is no error."""
        with contextlib.suppress(FileNotFoundError, NotADirectoryError, IsADirectoryError):
            self._path(bucket, key).unlink()

    def list(self, bucket: str, *, prefix: str, folders: bool, after: str, most: int) -> Page:
        """Up to `most` objects whose key starts with `prefix` and comes behind `after`, in order of their bytes.

        With `folders`, keys that go on behind a slash after the prefix are summed up as that folder.
        """
        base = self._bucket(bucket)
        start = prefix.rpartition("/")[0]
        if start:
            base = self._path(bucket, start)
        objects: list[Found] = []
        prefixes: list[str] = []
        last = position = ""
        for key in sorted(_keys(base, f"{start}/" if start else ""), key=str.encode):
            if not key.startswith(prefix) or key.encode() <= after.encode() or (last and key.startswith(last)):
                continue
            inside = key[len(prefix) :].partition("/")
            folder = f"{prefix}{inside[0]}/" if folders and inside[1] else ""
            if folder and after.startswith(folder):
                continue
            if len(objects) + len(prefixes) == most:
                return Page(objects=objects, prefixes=prefixes, after=position)
            last, position = folder, folder or key
            if folder:
                prefixes.append(folder)
            else:
                with contextlib.suppress(FileNotFoundError):
                    objects.append(_found(key, self._path(bucket, key).stat()))
        return Page(objects=objects, prefixes=prefixes, after="")

    def begin(self, bucket: str, key: str) -> str:
        """Begin an object of several parts; the upload's name."""
        self._path(bucket, key)
        upload = uuid.uuid4().hex
        (self._scratch / upload).mkdir()
        return upload

    async def part(self, upload: str, number: int, data: AsyncIterator[bytes]) -> Found:
        """Keep one part; the same number again replaces it."""
        folder = self._upload(upload)
        if not 1 <= number <= _MOST_PARTS:
            raise RefusedError(400, "InvalidArgument", f"parts have numbers from 1 to {_MOST_PARTS}")
        scratch = folder / f"{uuid.uuid4().hex}.new"
        await _write(scratch, data)
        scratch.replace(folder / str(number))
        return _found(str(number), (folder / str(number)).stat())

    def complete(self, upload: str, numbers: Sequence[int], bucket: str, key: str, *, create: bool) -> Found:
        """Make the object of its parts, in this order."""
        folder, target = self._upload(upload), self._path(bucket, key)
        missing = [number for number in numbers if not (folder / str(number)).is_file()]
        if missing or not numbers:
            raise RefusedError(400, "InvalidPart", "a part that is named was not uploaded")
        whole = folder / "whole"
        with whole.open("wb") as file:
            for number in numbers:
                with (folder / str(number)).open("rb") as part:
                    shutil.copyfileobj(part, file)
            _settle(file)
        found = self._place(whole, target, key, create=create)
        self.abort(upload)
        return found

    def abort(self, upload: str) -> None:
        """Forget an upload and its parts."""
        shutil.rmtree(self._upload(upload))

    def _upload(self, upload: str) -> Path:
        folder = self._scratch / upload
        if not upload.isalnum() or not folder.is_dir():
            raise RefusedError(404, "NoSuchUpload", "there is no such upload")
        return folder

    def _bucket(self, bucket: str) -> Path:
        if bucket not in self._buckets:
            raise RefusedError(404, "NoSuchBucket", "there is no such bucket")
        return self._root / bucket

    def _path(self, bucket: str, key: str) -> Path:
        """The file of an object. Keys that would lead elsewhere, or that no file can have, are refused."""
        parts = key.split("/")
        bad = any(part in ("", ".", "..") or len(part.encode()) > _LONGEST_NAME for part in parts)
        if bad or len(key.encode()) > _LONGEST_KEY or not key.isprintable():
            raise RefusedError(400, "InvalidURI", "an object cannot have this key")
        return self._bucket(bucket).joinpath(*parts)

    def _place(self, scratch: Path, target: Path, key: str, *, create: bool) -> Found:
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            _clear(target)
            if create:
                os.link(scratch, target)
            else:
                scratch.replace(target)
            return _found(key, target.stat())
        except FileExistsError:
            if target.is_file():
                raise RefusedError(412, "PreconditionFailed", "there is an object of this key") from None
            raise RefusedError(409, "Conflict", "an object lies where a folder is needed, or the reverse") from None
        except (IsADirectoryError, NotADirectoryError):
            raise RefusedError(409, "Conflict", "an object lies where a folder is needed, or the reverse") from None

    def _exchange(self, scratch: Path, target: Path, key: str, *, match: str) -> Found:
        with self._exchanges:
            try:
                found = _found(key, target.stat())
            except OSError:
                raise RefusedError(404, "NoSuchKey", "there is no object of this key") from None
            if found.tag != match:
                raise RefusedError(412, "PreconditionFailed", "the object has another tag")
            return self._place(scratch, target, key, create=False)


def _clear(path: Path) -> None:
    """Remove folders that no object lies in: in S3 there are none, so an object may take their name."""
    for folder, _, names in os.walk(path, topdown=False):
        if names:
            return
        with contextlib.suppress(OSError):
            Path(folder).rmdir()


def _found(key: str, stat: os.stat_result) -> Found:
    written = datetime.fromtimestamp(stat.st_mtime, UTC)
    return Found(key=key, size=stat.st_size, written=written, tag=f"{stat.st_ino:x}-{stat.st_mtime_ns:x}")


def _keys(base: Path, start: str) -> Iterator[str]:
    for folder, _, names in os.walk(base):
        inner = Path(folder).relative_to(base).as_posix()
        place = start if inner == "." else f"{start}{inner}/"
        yield from (f"{place}{name}" for name in names)


async def _write(path: Path, data: AsyncIterator[bytes]) -> None:
    with path.open("wb") as file:
        async for chunk in data:
            file.write(chunk)
        await asyncio.to_thread(_settle, file)  # others are answered while the disk is slow


def _settle(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())
