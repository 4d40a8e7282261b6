"""Mail to a relay that asks who sends: nothing is said before the line is encrypted and the relay has proven itself."""

from __future__ import annotations

import base64
import contextlib
import datetime as dt
import ipaddress
import socket
import ssl
import threading
from collections.abc import Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from leandata.errors import MailError, SettingsError
from leandata.mail import Message, send
from leandata.settings import MailAddress

MESSAGE = Message(subject="Weekly sales", to=["management@x.example"], text="All is well.")
USER, PASSWORD = "us@team", "open sesame"


@dataclass
class Relay:
    """A relay on a port of this machine: what it heard in the clear, what under TLS, and the mails it took."""

    certificate: Path
    tls: bool = True
    clear: list[str] = field(default_factory=list)
    hidden: list[str] = field(default_factory=list)
    mails: list[str] = field(default_factory=list)
    listener: socket.socket = field(default_factory=lambda: socket.create_server(("127.0.0.1", 0)))

    @property
    def port(self) -> int:
        return int(self.listener.getsockname()[1])

    def serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                line, _ = self.listener.accept()
                with line, contextlib.suppress(OSError):
                    line.settimeout(10)
                    line.sendall(b"220 relay\r\n")
                    self.talk(line, self.clear)

    def talk(self, line: socket.socket, heard: list[str]) -> None:
        file = line.makefile("rb")
        while said := file.readline().decode().rstrip("\r\n"):
            heard.append(said)
            verb = said.split()[0].upper()
            if verb == "STARTTLS":
                line.sendall(b"220 go\r\n")
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                context.load_cert_chain(self.certificate)
                with context.wrap_socket(line, server_side=True) as safe:
                    self.talk(safe, self.hidden)
                return
            if verb == "DATA":
                line.sendall(b"354 go\r\n")
                self.mails.append("".join(iter(lambda: file.readline().decode(), ".\r\n")))
            line.sendall(self.answer(said).encode() + b"\r\n")
            if verb == "QUIT":
                return

    def answer(self, said: str) -> str:
        match said.split():
            case ["ehlo" | "EHLO", *_]:
                return "250-relay\r\n250-AUTH PLAIN\r\n250 STARTTLS" if self.tls else "250 relay"
            case ["AUTH", "PLAIN", text]:
                right = base64.b64decode(text).decode() == f"\0{USER}\0{PASSWORD}"
                return "235 welcome" if right else "535 who are you"
            case ["QUIT" | "quit"]:
                return "221 bye"
            case _:
                return "250 yes"


def certificate(folder: Path) -> Path:
    """A certificate of 127.0.0.1 with its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "relay")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    form = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    path = folder / "relay.pem"
    private = key.private_bytes(serialization.Encoding.PEM, *form)
    path.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return path


@pytest.fixture
def relay(tmp_path: Path) -> Generator[Relay]:
    made = Relay(certificate=certificate(tmp_path))
    thread = threading.Thread(target=made.serve, daemon=True)
    thread.start()
    yield made
    made.listener.shutdown(socket.SHUT_RDWR)
    made.listener.close()
    thread.join(timeout=10)


@pytest.fixture
def trusted(relay: Relay, monkeypatch: pytest.MonkeyPatch) -> None:
    """This process trusts the relay's certificate."""
    monkeypatch.setenv("SSL_CERT_FILE", str(relay.certificate))


def address_of(relay: Relay, folder: Path, *, password: str = PASSWORD) -> MailAddress:
    file = folder / "mail-relay"
    file.write_text(f"{password}\n")
    return MailAddress.parse(f"smtp://us%40team@127.0.0.1:{relay.port}?sender=p@x.example&password_file={file}")


@pytest.mark.usefixtures("trusted")
def test_a_mail_is_handed_over_under_tls_by_a_user_who_logged_in(relay: Relay, tmp_path: Path) -> None:
    send(address_of(relay, tmp_path), MESSAGE)
    [mail] = relay.mails
    assert "All is well." in mail
    assert all(said.split()[0].upper() in ("EHLO", "STARTTLS") for said in relay.clear)
    assert any(said.startswith("AUTH PLAIN") for said in relay.hidden)


def test_a_relay_that_nobody_vouches_for_hears_no_password(relay: Relay, tmp_path: Path) -> None:
    with pytest.raises(MailError, match=r"was not taken: .*certificate verify failed"):
        send(address_of(relay, tmp_path), MESSAGE)
    assert relay.mails == relay.hidden == []


@pytest.mark.usefixtures("trusted")
def test_a_relay_without_tls_hears_no_password(relay: Relay, tmp_path: Path) -> None:
    relay.tls = False
    with pytest.raises(MailError, match="was not taken: STARTTLS extension not supported"):
        send(address_of(relay, tmp_path), MESSAGE)
    assert not any("AUTH" in said for said in relay.clear)
    assert relay.mails == []


@pytest.mark.usefixtures("trusted")
def test_a_wrong_password_is_said_and_not_shown(relay: Relay, tmp_path: Path) -> None:
    with pytest.raises(MailError) as found:
        send(address_of(relay, tmp_path, password="wrong password"), MESSAGE)
    assert "535" in str(found.value)
    assert "wrong password" not in str(found.value)
    assert relay.mails == []


@pytest.mark.usefixtures("trusted")
def test_a_new_password_is_found_without_a_restart(relay: Relay, tmp_path: Path) -> None:
    address = address_of(relay, tmp_path, password="old")
    with pytest.raises(MailError):
        send(address, MESSAGE)
    (tmp_path / "mail-relay").write_text(PASSWORD)
    send(address, MESSAGE)
    assert len(relay.mails) == 1


@pytest.mark.parametrize(
    "text",
    ["smtp://us@relay.example:587?sender=p@x.example", "smtp://relay.example?sender=p@x.example&password_file=/p"],
)
def test_a_user_comes_with_a_password_file_and_the_other_way_round(text: str) -> None:
    with pytest.raises(SettingsError, match="a user and a password file, or neither"):
        MailAddress.parse(text)


def test_a_password_in_the_address_itself_is_refused_and_not_shown() -> None:
    with pytest.raises(SettingsError) as found:
        MailAddress.parse("smtp://us:hidden@relay.example:587?sender=p@x.example&password_file=/p")
    assert "hidden" not in str(found.value)


def test_an_address_without_a_user_has_no_password() -> None:
    found: Any = MailAddress.parse("smtp://127.0.0.1:25?sender=p@x.example")
    assert (found.user, found.password, found.password_file) == ("", "", None)
