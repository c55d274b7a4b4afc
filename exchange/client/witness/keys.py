"""A witness's own keys: one name, an Ed25519 and an ML-DSA-44 cosignature key (C2SP tlog-cosignature)."""

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from exchange.audit import NoteSignature, NoteSigner, SignatureType, VerifierKey
from exchange.audit.note import check_key_name
from exchange.client.witness.errors import WitnessError
from exchange.client.witness.folder import read_guarded
from exchange.crypto import SEED_BYTES, CryptoError, SigningKey
from exchange.kernel import MalformedError

_FORMAT: Final = 1

# Verifiers that cannot do post-quantum signatures take the first line, the others either.
_TYPES: Final = (SignatureType.ED25519_COSIGNATURE, SignatureType.ML_DSA_44_COSIGNATURE)


@dataclass(frozen=True, slots=True)
class WitnessKeys:
    """The signers of one witness, under its one name."""

    name: str
    signers: tuple[NoteSigner, ...]

    @property
    def verifiers(self) -> tuple[VerifierKey, ...]:
        """Return the public keys, as a log and an auditor know this witness."""
        return tuple(signer.verifier for signer in self.signers)

    def cosign(self, text: str, at_seconds: int) -> tuple[NoteSignature, ...]:
        """Return a cosignature of each key on a checkpoint's text, as of a POSIX time."""
        return tuple(signer.sign(text, at_seconds) for signer in self.signers)


def new_key_file(name: str, randomness: Callable[[int], bytes]) -> bytes:
    """Return the contents of a new key file for the witness `name`; MalformedError where it cannot name a key."""
    check_key_name(name)
    seeds = {kind.scheme.value: base64.b64encode(randomness(SEED_BYTES)).decode() for kind in _TYPES}
    return json.dumps({"format": _FORMAT, "name": name, "seeds": seeds}, indent=1).encode() + b"\n"


def read_keys(path: Path) -> WitnessKeys:
    """Return the keys in a file that only its owner can read; raises WitnessError, which never quotes a key."""
    content = read_guarded(path)
    try:
        return _parsed(json.loads(content))
    except (ValueError, CryptoError, MalformedError, RecursionError) as exc:
        raise WitnessError(f"key file `{path}` is damaged: restore it from the backup") from exc


def _parsed(value: object) -> WitnessKeys:
    match value:
        case {"format": int(number), "name": str(name), "seeds": dict(seeds), **rest} if number == _FORMAT and not rest:
            check_key_name(name)
            return WitnessKeys(name, tuple(_signer(name, kind, seeds) for kind in _TYPES))
        case _:
            raise MalformedError("not a witness's keys")


def _signer(name: str, kind: SignatureType, seeds: dict[object, object]) -> NoteSigner:
    encoded = seeds.get(kind.scheme.value)
    if not isinstance(encoded, str):
        raise MalformedError("a seed is missing")
    return NoteSigner(name, kind, SigningKey.from_seed(kind.scheme, base64.b64decode(encoded, validate=True)))
