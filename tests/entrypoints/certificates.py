"""Authorities and certificates on disk, as a server and its clients use them."""

import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from exchange.crypto import KeyAndCertificate, issue_client, issue_server, new_authority, read_certificate

NOW = datetime.now(UTC)
YESTERDAY = NOW - timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Identity:
    """A client's key and certificate on disk."""

    key_file: Path
    certificate_file: Path
    certificate_pem: bytes

    @property
    def thumbprint(self) -> str:
        return read_certificate(self.certificate_pem).thumbprint

    @property
    def subject(self) -> str:
        return f"CN={self.certificate_file.stem},O=GBR/NCSC"


@dataclass(frozen=True, slots=True)
class Trust:
    """An authority with a server's certificate, in the layout of an instance's `tls` folder."""

    folder: Path
    authority: KeyAndCertificate

    def client(self, name: str, *, days: int = 30, now: datetime = YESTERDAY) -> Identity:
        return write_identity(
            self.folder, name, issue_client(self.authority, name, organisation="GBR/NCSC", now=now, days=days)
        )

    def context(self, identity: Identity | None) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=str(self.folder / "ca.pem"))
        if identity is not None:
            context.load_cert_chain(identity.certificate_file, identity.key_file)
        return context


def make_trust(folder: Path, *, now: datetime = YESTERDAY) -> Trust:
    folder.mkdir(parents=True, exist_ok=True)
    authority = new_authority("Test authority", now)
    (folder / "authorities").mkdir()
    (folder / "authorities" / "ca.pem").write_bytes(authority.certificate_pem)
    (folder / "ca.pem").write_bytes(authority.certificate_pem)
    server = issue_server(authority, ["localhost", "127.0.0.1"], now=now)
    (folder / "server.pem").write_bytes(server.certificate_pem)
    (folder / "server.key").write_bytes(server.key_pem)
    (folder / "server.key").chmod(0o600)
    return Trust(folder, authority)


def write_identity(folder: Path, name: str, issued: KeyAndCertificate) -> Identity:
    key_file, certificate_file = folder / f"{name}.key", folder / f"{name}.pem"
    key_file.write_bytes(issued.key_pem)
    certificate_file.write_bytes(issued.certificate_pem)
    return Identity(key_file, certificate_file, issued.certificate_pem)
