"""A member's own authority at the edge: what it issued is let in, and what it has on its revocation list is not."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from exchange.crypto import KeyAndCertificate, issue_client, new_authority
from tests.compose.asking import asked, context_of
from tests.compose.project import ComposeError, Project, wait_until

_KEEP = "import os, sys; os.makedirs('/data/tls/crl', exist_ok=True); open(sys.argv[1], 'wb').write(sys.stdin.buffer.read())"
_OWN_LIST = """
from pathlib import Path
from exchange.crypto import KeyAndCertificate, empty_crl
from exchange.kernel import system_clock
tls = Path("/data/tls")
authority = KeyAndCertificate((tls / "ca.key").read_bytes(), (tls / "ca.pem").read_bytes())
(tls / "crl").mkdir(exist_ok=True)
(tls / "crl" / "demonstration.pem").write_bytes(empty_crl(authority, system_clock()))
"""


def revoke_at_the_edge(project: Project, folder: Path, door: Mapping[str, Path], client: str) -> None:
    """Give `client` of NOR a certificate of NOR's own authority, and let that authority revoke it."""
    now = datetime.now(UTC)
    authority = new_authority("NOR authority", now)
    # The one is enrolled, so that nothing but the list refuses it; the other is told 401 by a node, behind the edge.
    revoked, other = (_issued(project, folder, authority, client, name) for name in ("revoked", "other"))
    project.exchange("ca", "add", "NOR", "/dev/stdin", given=authority.certificate_pem)
    _edge_anew(project)
    wait_until(
        lambda: _is_let_in(door, other) and b'"NOR"' in asked(context_of(door, revoked), {}),
        "NOR's own authority to be believed",
    )
    project.compose("exec", "-T", "jobs", "python", "-c", _OWN_LIST)
    listed = revocation_list(authority, revoked["client"].read_bytes(), now)
    project.compose("exec", "-T", "jobs", "python", "-c", _KEEP, "/data/tls/crl/NOR.pem", given=listed)
    _edge_anew(project)
    wait_until(lambda: not _is_let_in(door, revoked), "what NOR revoked to be refused")
    if not (_is_let_in(door, other) and _is_let_in(door, door)):
        raise ComposeError("with what NOR revoked, others are refused too")
    project.exchange("client", "certificate", "remove", client, "/dev/stdin", given=revoked["client"].read_bytes())


def revocation_list(authority: KeyAndCertificate, certificate_pem: bytes, now: datetime) -> bytes:
    """Return the list (PEM) on which the authority has that one certificate."""
    issuer = x509.load_pem_x509_certificate(authority.certificate_pem)
    key = serialization.load_pem_private_key(authority.key_pem, None)
    serial = x509.load_pem_x509_certificate(certificate_pem).serial_number
    entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(now).build()
    listing = x509.CertificateRevocationListBuilder().issuer_name(issuer.subject).add_revoked_certificate(entry)
    dated = listing.last_update(now - timedelta(minutes=5)).next_update(now + timedelta(days=1))
    return dated.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def _issued(project: Project, folder: Path, authority: KeyAndCertificate, client: str, name: str) -> Mapping[str, Path]:
    issued = issue_client(authority, f"NOR-{name}", organisation="NOR", now=datetime.now(UTC))
    own = {"client": folder / f"{name}.pem", "key": folder / f"{name}.key"}
    own["client"].write_bytes(issued.certificate_pem)
    own["key"].write_bytes(issued.key_pem)
    if name == "revoked":
        project.exchange("client", "certificate", "add", client, "/dev/stdin", given=issued.certificate_pem)
    return own


def _is_let_in(door: Mapping[str, Path], own: Mapping[str, Path]) -> bool:
    return asked(context_of(door, own), {}) != b""


def _edge_anew(project: Project) -> None:
    """`make edge`."""
    project.compose("run", "--rm", "-T", "--no-deps", "certificates")
    project.compose("kill", "--signal", "HUP", "edge")
