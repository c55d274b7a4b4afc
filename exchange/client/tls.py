"""The member's side of mutual TLS: which key and certificate are used, and which exchange is believed."""

import ssl
from pathlib import Path

from exchange.client.errors import UnsafeKeyError
from exchange.kernel.files import fault_in_words

# Everybody but the owner and its group: a group may be how a service account gets at its key.
_OTHERS = 0o007


def client_context(cert: Path, key: Path, ca: Path) -> ssl.SSLContext:
    """Return a TLS 1.3 context that shows `cert` and believes only servers of the authority in `ca`.

    Raises UnsafeKeyError, with the mend, for a file that is missing, unreadable, not what it should be, or a
    key that every user of this machine can read.
    """
    for role, path in (("certificate", cert), ("key", key), ("authority", ca)):
        if not path.is_file():
            raise UnsafeKeyError(f"there is no {role} file `{path}`: check the option `--{_OPTIONS[role]}`")
    if key.stat().st_mode & _OTHERS:
        raise UnsafeKeyError(f"every user of this machine can read the key `{key}`: run `chmod 600 {key}`")
    # The system's authorities are left out: an exchange is known by its own.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    _load(context, cert, key, ca)
    return context


_OPTIONS = {"certificate": "cert", "key": "key", "authority": "ca"}


def _load(context: ssl.SSLContext, cert: Path, key: Path, ca: Path) -> None:
    try:
        context.load_verify_locations(cafile=ca)
    except (ssl.SSLError, OSError) as exc:
        raise UnsafeKeyError(f"`{ca}` holds no certificate of an authority: {fault_in_words(exc)}") from exc
    try:
        context.load_cert_chain(cert, key, password=no_password)
    except (ssl.SSLError, OSError, ValueError) as exc:
        raise UnsafeKeyError(
            f"`{cert}` and `{key}` are not a certificate and its key in PEM: {fault_in_words(exc)}"
        ) from exc


def no_password() -> str:
    """Refuse where a key asks for a password: a prompt would hang a program. ValueError says what to do."""
    message = "the key is encrypted: decrypt it into a file that only you can read"
    raise ValueError(message)
