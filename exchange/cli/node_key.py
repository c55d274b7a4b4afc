"""The key with which this node signs for its entries: made, shown and put on the record by the command line."""

import os
import re
from pathlib import Path

from exchange.audit import Detail, EventName, SignatureType, Subject, VerifierKey
from exchange.cli.instance import Host, unwritable, write_new
from exchange.crypto import SEED_BYTES, SignatureScheme, SigningKey
from exchange.kernel.files import held_alone, keep_file, sync_folder
from exchange.settings import Settings

_SECRET = 0o600
_BEING_WRITTEN = b"the key beside this is being written: nothing was signed with it\n"
_NOT_RECORDED = b"the key beside this was made, and is not on the record yet\n"


def write_node_key(path: Path) -> None:
    """Write a new key into a new file."""
    key = SigningKey.from_seed(SignatureScheme.ED25519, os.urandom(SEED_BYTES))
    write_new(path, key.to_pem(), mode=_SECRET)


def make_missing_node_key(path: Path) -> bool:
    """Make the key where there is none; return whether it is still to be put on the record.

    It is, too, where the process that made it was killed before it had done so: `key_is_recorded` ends that.
    """
    try:
        with held_alone(path.parent):
            mark = _mark(path)
            told = mark.read_bytes() if mark.exists() else None
            # A mark that was put back without its key says nothing about the next one.
            if not os.path.lexists(path) or told == _BEING_WRITTEN:
                # INVARIANT: what is removed here is half a key at most, with which nothing was signed.
                keep_file(mark, _BEING_WRITTEN)
                path.unlink(missing_ok=True)
                write_node_key(path)
                keep_file(mark, _NOT_RECORDED)
            return mark.exists()
    except OSError as exc:
        raise unwritable(path, exc) from exc


def key_is_recorded(path: Path) -> None:
    """Note that the key's making is on the record."""
    try:
        _mark(path).unlink(missing_ok=True)
        sync_folder(path.parent)
    except OSError as exc:
        raise unwritable(_mark(path), exc) from exc


def node_key_text(settings: Settings) -> str:
    """Return the node's public key as a verifier key: what an auditor's tool checks heartbeats with."""
    return str(_verifier(settings))


async def record_node_key(host: Host) -> None:
    """Record that the node's key was made, with its public half."""
    verifier = _verifier(host.settings)
    subject = Subject("key", verifier.key_id.hex())
    detail: Detail = {"kind": "node", "key": str(verifier)}
    await host.record(EventName.KEY_CREATED, subject=subject, detail=detail)


def _verifier(settings: Settings) -> VerifierKey:
    # No space or plus has a place in the name of a key.
    name = re.sub(r"[\s+]", "_", settings.node)
    return VerifierKey(name, SignatureType.ED25519, settings.node_key().verifying_key)


def _mark(path: Path) -> Path:
    """Return the file that stands while a key is being made, and after it where that was killed."""
    return path.with_name(f".{path.name}.unfinished")
