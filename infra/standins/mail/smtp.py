"""An SMTP server that accepts every mail and keeps it (RFC 5321, the part that senders need)."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path

LARGEST_MAIL = 25 * 2**20
_IDLE_SECONDS = 300


@dataclass(slots=True)
class _Envelope:
    sender: str = ""
    recipients: list[str] = field(default_factory=list[str])


def store(folder: Path, data: bytes) -> Path:
    """Keep a mail, whole or not at all; names sort by arrival."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{time.time_ns():020d}-{uuid.uuid4().hex[:8]}.eml"
    scratch = path.with_suffix(".new")
    with scratch.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    scratch.replace(path)
    return path


def unstuffed(lines: list[bytes]) -> bytes:
    """The mail without the dots that transport doubled."""
    return b"".join(line[1:] if line.startswith(b".") else line for line in lines)


class Session:
    """One client's conversation."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, folder: Path) -> None:
        self._reader = reader
        self._writer = writer
        self._folder = folder
        self._envelope = _Envelope()

    async def run(self) -> None:
        """Talk until the client leaves, is silent for too long, or breaks the line."""
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, TimeoutError, asyncio.LimitOverrunError):
            await self._say("220 leandata mail catcher")
            while await self._command(await self._line()):
                pass
        self._writer.close()

    async def _command(self, line: bytes) -> bool:
        verb, _, rest = line.strip().decode("utf-8", errors="replace").partition(" ")
        match verb.upper():
            case "EHLO":
                await self._say(f"250-leandata\r\n250-SIZE {LARGEST_MAIL}\r\n250-8BITMIME\r\n250 SMTPUTF8")
            case "HELO" | "NOOP" | "VRFY":
                await self._say("250 ok")
            case "RSET":
                self._envelope = _Envelope()
                await self._say("250 ok")
            case "MAIL":
                self._envelope = _Envelope(sender=rest)
                await self._say("250 ok")
            case "RCPT":
                self._envelope.recipients.append(rest)
                await self._say("250 ok" if self._envelope.sender else "503 MAIL first")
            case "DATA":
                await self._data()
            case "QUIT":
                await self._say("221 bye")
                return False
            case "":
                return bool(line)
            case _:
                await self._say("502 command not known")
        return True

    async def _data(self) -> None:
        if not self._envelope.sender or not self._envelope.recipients:
            await self._say("503 MAIL and RCPT first")
            return
        await self._say("354 end with a line that is a dot")
        lines: list[bytes] = []
        size = 0
        while (line := await self._line()) not in (b".\r\n", b".\n"):
            if not line:
                return
            size += len(line)
            if size <= LARGEST_MAIL:
                lines.append(line)
        if size > LARGEST_MAIL:
            await self._say("552 the mail is too large")
        else:
            try:
                await asyncio.to_thread(store, self._folder, unstuffed(lines))
                await self._say("250 kept")
            except OSError as error:
                await self._say(f"452 the mail cannot be kept: {error.strerror}")
        self._envelope = _Envelope()

    async def _line(self) -> bytes:
        return await asyncio.wait_for(self._reader.readline(), _IDLE_SECONDS)

    async def _say(self, text: str) -> None:
        self._writer.write(f"{text}\r\n".encode())
        await self._writer.drain()


async def serve(port: int, *, folder: Path, host: str = "127.0.0.1") -> asyncio.Server:
    """Listen on `host` at `port`; mails go to `folder`."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await Session(reader, writer, folder=folder).run()

    return await asyncio.start_server(talk, host, port, limit=2**20)
