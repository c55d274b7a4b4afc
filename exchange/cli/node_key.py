"""The key with which this node signs for its entries: made, shown and put on the record by the command line."""

import os
import re
from pathlib import Path

from exchange.audit import EventName, Outcome, SignatureType, Subject, VerifierKey
from exchange.cli.instance import Host, write_new
from exchange.crypto import SEED_BYTES, SignatureScheme, SigningKey
from exchange.settings import Settings
from exchange.usecases.recording import draft

_SECRET = 0o600


def write_node_key(path: Path) -> None:
    """Write a new key into a new file."""
    key = SigningKey.from_seed(SignatureScheme.ED25519, os.urandom(SEED_BYTES))
    write_new(path, key.to_pem(), mode=_SECRET)


def node_key_text(settings: Settings) -> str:
    """Return the node's public key as a verifier key: what an auditor's tool checks heartbeats with."""
    return str(_verifier(settings))


async def record_node_key(host: Host) -> None:
    """Record that the node's key was made, with its public half."""
    verifier = _verifier(host.settings)
    subject = Subject("key", verifier.key_id.hex())
    detail: dict[str, str | int | list[str]] = {"kind": "node", "key": str(verifier)}
    made = draft(host.call(), None, EventName.KEY_CREATED, Outcome.PERMITTED, subject=subject, detail=detail)
    await host.services.store.append(made)


def _verifier(settings: Settings) -> VerifierKey:
    # No space or plus has a place in the name of a key.
    name = re.sub(r"[\s+]", "_", settings.node)
    return VerifierKey(name, SignatureType.ED25519, settings.node_key().verifying_key)
