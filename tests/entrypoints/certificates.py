"""Authorities and certificates on disk, as a server and its clients use them."""

import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

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


def listed(
    authority: KeyAndCertificate,
    *revoked: Identity,
    number: int | None = 1,
    issued_at: datetime = YESTERDAY,
    ends_at: datetime = NOW + timedelta(days=7),
    extensions: tuple[tuple[x509.ExtensionType, bool], ...] = (),
) -> bytes:
    """Return a revocation list (PEM) of the authority with these certificates on it."""
    issuer = x509.load_pem_x509_certificate(authority.certificate_pem)
    listing = x509.CertificateRevocationListBuilder().issuer_name(issuer.subject)
    listing = listing.last_update(issued_at).next_update(ends_at)
    for each in revoked:
        serial = x509.load_pem_x509_certificate(each.certificate_pem).serial_number
        listing = listing.add_revoked_certificate(
            x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(issued_at).build()
        )
    if number is not None:
        listing = listing.add_extension(x509.CRLNumber(number), critical=False)
    for extension, is_critical in extensions:
        listing = listing.add_extension(extension, critical=is_critical)
    key = serialization.load_pem_private_key(authority.key_pem, None)
    return listing.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def is_let_in(server: ssl.SSLContext, client: ssl.SSLContext) -> bool:
    """Return whether a handshake between the two comes to its end."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ours = server.wrap_bio(to_server, to_client, server_side=True)
    theirs = client.wrap_bio(to_client, to_server, server_hostname="localhost")
    for _ in range(4):
        for side in (theirs, ours):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
            except ssl.SSLError:
                return False
            if side is ours:
                return True
    return False
