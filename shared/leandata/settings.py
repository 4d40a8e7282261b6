"""Settings of a service: environment variables, parsed once into frozen types.

A variable that starts with LEANDATA_ and that nobody knows is an error, so that a misspelt name is not ignored.
"""

from __future__ import annotations

import re
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Self

from leandata.clock import moment
from leandata.errors import SettingsError
from leandata.proxies import Network, networks

PREFIX = "LEANDATA_"
_KNOWN = frozenset(
    {
        "AIRFLOW_URL", "API_KEY_FILE", "API_URL", "COMMIT", "DASH_EDITOR_PASSWORD_FILE",
        "DASH_PASSWORD_FILE", "DASH_SESSION_KEY_FILE", "DASH_URL",
        "DASK", "ENVIRONMENT", "EVENTS", "HEALTH_PAGES", "LAKE_CURATED", "LAKE_MODELS", "LAKE_RAW", "LOG",
        "MAIL", "MAIL_URL",
        "OWNER_MAIL", "REPORT_RECIPIENTS", "SERVICE", "SERVING", "SHOP", "SOURCES", "SOURCE_NOTE", "TODAY",
        "TRUSTED_PROXIES", "WAREHOUSE",
    }
)  # fmt: skip
_OF_THE_DEPLOYER = frozenset({"BACKUP_KEY", "CACHE", "ENV", "MARKER", "PG_BIN", "PORT_BASE", "STATE"})
_DURATION = re.compile(r"([0-9]+)(ms|s|m|h)")
_SCHEMA = re.compile(r"[A-Z][A-Z0-9_]*\.[A-Z][A-Z0-9_]*")
_THIS_MACHINE = frozenset({"127.0.0.1", "::1", "localhost"})
_MILLISECONDS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000}


@dataclass(frozen=True, kw_only=True, slots=True)
class DatabaseAddress:
    """postgresql://ROLE@HOST:PORT/DATABASE?password_file=PATH[&statement_timeout=30s]; the timeout in milliseconds."""

    host: str
    port: int
    user: str
    database: str
    password_file: Path | None = None
    statement_timeout: int = 0

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises SettingsError when the text is no such address."""
        parts, options = _split(text, scheme="postgresql", allowed={"password_file", "statement_timeout"})
        database = parts.path.removeprefix("/")
        if not parts.username or not database:
            raise SettingsError("a PostgreSQL address names a role and a database", where=_shown(text))
        return cls(
            host=parts.hostname or "127.0.0.1",
            port=_port(parts, text, default=5432),
            user=urllib.parse.unquote(parts.username),
            database=urllib.parse.unquote(database),
            password_file=Path(options["password_file"]) if "password_file" in options else None,
            statement_timeout=_milliseconds(options.get("statement_timeout", "0s")),
        )

    @property
    def password(self) -> str:
        """Read from its file whenever it is asked for, so that a new one is found. Raises SettingsError."""
        return read_secret(self.password_file) if self.password_file else ""

    @property
    def nearby(self) -> bool:
        """Whether the server is on this machine or in this cluster; the way to any other leads over TLS."""
        return self.host in _THIS_MACHINE or self.host.endswith(".svc")


@dataclass(frozen=True, kw_only=True, slots=True)
class WarehouseAddress:
    """snowflake://USER@ACCOUNT?host=...&port=...&protocol=http&role=...&warehouse=...&private_key_file=PATH.

    `reads` and `writes` are schemas, such as RAW.SHOP,MARTS.SALES: where either is there, the client itself keeps to
    them, for a warehouse that knows no roles (`leandata.rights`).
    """

    account: str
    user: str
    host: str = ""
    port: int = 443
    protocol: str = "https"
    role: str = ""
    warehouse: str = ""
    private_key_file: Path | None = None
    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises SettingsError when the text is no such address."""
        allowed = {"host", "port", "protocol", "role", "warehouse", "private_key_file", "reads", "writes"}
        parts, options = _split(text, scheme="snowflake", allowed=allowed)
        if not parts.username or not parts.hostname:
            raise SettingsError("a warehouse address names a user and an account", where=_shown(text))
        port = options.get("port", "443")
        if not port.isdecimal():
            raise SettingsError(f"port {port!r} is no number", where=_shown(text))
        return cls(
            account=parts.hostname,
            user=urllib.parse.unquote(parts.username),
            host=options.get("host", ""),
            port=int(port),
            protocol=options.get("protocol", "https"),
            role=options.get("role", ""),
            warehouse=options.get("warehouse", ""),
            private_key_file=Path(options["private_key_file"]) if "private_key_file" in options else None,
            reads=_schemas(options.get("reads", ""), text),
            writes=_schemas(options.get("writes", ""), text),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class MailAddress:
    """smtp://[USER@]HOST:PORT?sender=ADDRESS[&password_file=PATH]. A user logs in, and over TLS only."""

    host: str
    port: int
    sender: str
    user: str = ""
    password_file: Path | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises SettingsError when the text is no such address."""
        parts, options = _split(text, scheme="smtp", allowed={"sender", "password_file"})
        sender = options.get("sender", "")
        if "@" not in sender:
            raise SettingsError("a mail address names its sender", where=_shown(text))
        if bool(parts.username) != ("password_file" in options):
            raise SettingsError("a mail address names a user and a password file, or neither", where=_shown(text))
        return cls(
            host=parts.hostname or "127.0.0.1",
            port=_port(parts, text, default=25),
            sender=sender,
            user=urllib.parse.unquote(parts.username or ""),
            password_file=Path(options["password_file"]) if "password_file" in options else None,
        )

    @property
    def password(self) -> str:
        """Read from its file whenever it is asked for, so that a new one is found. Raises SettingsError."""
        return read_secret(self.password_file) if self.password_file else ""


@dataclass(frozen=True, kw_only=True, slots=True)
class LakeAddress:
    """file:///FOLDER or s3://BUCKET[/PREFIX][?region=REGION][&endpoint=http://HOST:PORT]: S3, or what stands in for it.

    `place` is the address without its options. An endpoint of plain http asks for no signature.
    """

    place: str
    region: str = ""
    endpoint: str = ""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises SettingsError when the text is no such address."""
        if text.startswith("file:///"):
            return cls(place=text.rstrip("/"))
        parts, options = _split(text, scheme="s3", allowed={"endpoint", "region"})
        if not parts.netloc:
            raise SettingsError("an address of the lake names a bucket", where=text)
        return cls(place=f"s3://{parts.netloc}{parts.path}".rstrip("/"), **options)

    @property
    def plain_http(self) -> bool:
        """Whether the lake is a stand-in that is reached without TLS and asks for no signature."""
        return self.endpoint.startswith("http://")

    @property
    def options(self) -> dict[str, str]:
        """What a client of S3 is told besides the address, by the names that obstore and Polars share."""
        found = {"aws_region": self.region, "aws_endpoint": self.endpoint}
        if self.plain_http:
            found |= {"aws_skip_signature": "true", "aws_region": self.region or "us-east-1"}
        return {name: value for name, value in sorted(found.items()) if value}


@dataclass(frozen=True, kw_only=True, slots=True)
class LakeUrls:
    """The address of each zone of the lake."""

    raw: str
    curated: str
    models: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Links:
    """Addresses for people, each "" where it is not known."""

    airflow: str
    api: str
    dash: str
    mail: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """All settings of a service; a part is parsed when it is asked for, and SettingsError names what is missing."""

    values: Mapping[str, str]

    @classmethod
    def load(cls, environ: Mapping[str, str]) -> Self:
        """The settings in `environ`. Raises SettingsError for a LEANDATA_ variable that nobody knows."""
        values = {name.removeprefix(PREFIX): value for name, value in environ.items() if name.startswith(PREFIX)}
        strange = sorted(set(values) - _KNOWN - _OF_THE_DEPLOYER)
        if strange:
            raise SettingsError(f"unknown setting {PREFIX}{strange[0]}", hint=f"Known: {', '.join(sorted(_KNOWN))}")
        return cls(values=values)

    def text(self, name: str) -> str:
        """The setting LEANDATA_`name`. Raises SettingsError when it is missing or empty."""
        if not self.values.get(name):
            raise SettingsError(f"{PREFIX}{name} is not set", hint="See shared/leandata/settings.py")
        return self.values[name]

    def secret(self, name: str) -> str:
        """The secret in the file that LEANDATA_`name` names. Raises SettingsError."""
        return read_secret(Path(self.text(name)))

    @property
    def environment(self) -> str:
        return self.text("ENVIRONMENT")

    @property
    def service(self) -> str:
        return self.values.get("SERVICE", "")

    @property
    def commit(self) -> str:
        return self.values.get("COMMIT", "")

    @property
    def log_format(self) -> str:
        return self.values.get("LOG", "text")

    @property
    def lake(self) -> LakeUrls:
        return LakeUrls(raw=self.text("LAKE_RAW"), curated=self.text("LAKE_CURATED"), models=self.text("LAKE_MODELS"))

    @property
    def warehouse(self) -> WarehouseAddress:
        return WarehouseAddress.parse(self.text("WAREHOUSE"))

    @property
    def serving(self) -> DatabaseAddress:
        return DatabaseAddress.parse(self.text("SERVING"))

    @property
    def events(self) -> DatabaseAddress:
        return DatabaseAddress.parse(self.text("EVENTS"))

    @property
    def shop(self) -> DatabaseAddress:
        return DatabaseAddress.parse(self.text("SHOP"))

    @property
    def dask(self) -> str:
        return self.text("DASK")

    @property
    def mail(self) -> MailAddress:
        return MailAddress.parse(self.text("MAIL"))

    @property
    def report_recipients(self) -> tuple[str, ...]:
        return tuple(part.strip() for part in self.text("REPORT_RECIPIENTS").split(",") if part.strip())

    @property
    def owner_mail(self) -> str:
        return self.text("OWNER_MAIL")

    @property
    def trusted_proxies(self) -> tuple[Network, ...]:
        return networks(self.values.get("TRUSTED_PROXIES", ""))

    @property
    def source_note(self) -> str:
        return self.values.get("SOURCE_NOTE", "")

    @property
    def links(self) -> Links:
        get = self.values.get
        return Links(
            airflow=get("AIRFLOW_URL", ""), api=get("API_URL", ""), dash=get("DASH_URL", ""), mail=get("MAIL_URL", "")
        )

    @property
    def health_pages(self) -> Mapping[str, str]:
        """Where each service that is called says how it is, by its name. Raises SettingsError for what names none."""
        parts = [part.partition("=") for part in self.values.get("HEALTH_PAGES", "").split(",") if part.strip()]
        for name, _, url in parts:
            if not name.strip() or not url.startswith(("http://", "https://")):
                hint = "It is services and their pages, such as api=http://127.0.0.1:8000/readyz"
                raise SettingsError(f"{PREFIX}HEALTH_PAGES names no page of {name.strip()!r}", hint=hint)
        return {name.strip(): url.strip() for name, _, url in parts}

    def today(self) -> date:
        """The day it is: LEANDATA_TODAY where it is set, else by the clock in UTC. Raises SettingsError."""
        text = self.values.get("TODAY")
        if not text:
            return datetime.now(UTC).date()
        try:
            return date.fromisoformat(text)
        except ValueError:
            raise SettingsError(f"{PREFIX}TODAY is {text!r}", hint="It is a day such as 2026-11-24") from None

    def moment(self, clock: datetime) -> datetime:
        """The moment that ages of data are counted to: the clock's, or noon of the day that LEANDATA_TODAY sets.

        Whatever judges freshness asks here, so that all say the same. Raises SettingsError.
        """
        return moment(self.today(), clock=clock) if self.values.get("TODAY") else clock


def foreign(environ: Mapping[str, str]) -> dict[str, str]:
    """The variables that are none of ours: what a process is given that must know nothing of this one's settings."""
    return {name: value for name, value in environ.items() if not name.startswith(PREFIX)}


def read_secret(path: Path) -> str:
    """The secret in the file at `path`, without the white space around it. Raises SettingsError, also for an empty one:
    it would let everybody in."""
    try:
        secret = path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise SettingsError(f"cannot read the secret {path.name}: {error.strerror}", where=str(path)) from error
    if not secret:
        raise SettingsError(f"the secret {path.name} is empty", where=str(path))
    return secret


def _split(text: str, *, scheme: str, allowed: set[str]) -> tuple[urllib.parse.SplitResult, dict[str, str]]:
    try:
        parts = urllib.parse.urlsplit(text)
    except ValueError as error:
        raise SettingsError(f"this is no address: {error}", where=_shown(text)) from None
    if parts.scheme != scheme:
        raise SettingsError(
            f"the address starts with {scheme}://, not {parts.scheme or 'nothing'!r}", where=_shown(text)
        )
    if parts.password:
        raise SettingsError("a password stands in an address", where=_shown(text), hint="Name its file instead")
    options = dict(urllib.parse.parse_qsl(parts.query))
    strange = sorted(set(options) - allowed)
    if strange:
        hint = f"Known: {', '.join(sorted(allowed))}"
        raise SettingsError(f"unknown option {strange[0]!r} in an address", where=_shown(text), hint=hint)
    return parts, options


def _schemas(names: str, text: str) -> tuple[str, ...]:
    found = tuple(sorted(names.split(","))) if names else ()
    for name in found:
        if not _SCHEMA.fullmatch(name):
            raise SettingsError(f"{name!r} is no schema", where=_shown(text), hint="Write it like RAW.SHOP")
    return found


def _port(parts: urllib.parse.SplitResult, text: str, *, default: int) -> int:
    try:
        return parts.port or default
    except ValueError:
        raise SettingsError("the port is no number between 0 and 65535", where=_shown(text)) from None


def _milliseconds(text: str) -> int:
    match = _DURATION.fullmatch(text)
    if match is None:
        raise SettingsError(f"{text!r} is no duration", hint="Write it like 30s, in ms, s, m or h")
    return int(match[1]) * _MILLISECONDS[match[2]]


def _shown(text: str) -> str:
    """The address without a password that somebody may have put into it."""
    return re.sub(r"(//[^:/@]*):[^@/]*@", r"\1:***@", text)
