"""The keys that sign the log's checkpoints: Ed25519, and ML-DSA-44 beside it, in one file of the instance.

Every node that may sequence one log holds the same file. Its public half is for everybody: the verifier keys.
"""

import base64
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from exchange.audit.checkpoint import Checkpoint, parse_checkpoint
from exchange.audit.merkle import TreeHead
from exchange.audit.note import SignedNote, parse_note
from exchange.audit.note_keys import NoteError, NoteSigner, SignatureType, parse_verifier_key, verify_note
from exchange.crypto import CryptoError, SignatureScheme, SigningKey
from exchange.custody.guarded import read_guarded, replacement_of
from exchange.kernel import MalformedError, UnsafeSettingError
from exchange.kernel.files import may_lie_there

LOG_KEY_MEND: Final = (
    "`exchange migrate` makes it for a new log, else copy it from the node that has it, or out of the escrow; where "
    "nobody has it any more, `exchange audit recover --new-keys WHY` begins the next log"
)

_FORMAT: Final = 1
_KIND: Final = "log"
_SEED_BYTES: Final = 32
_TYPES: Final = {
    "ed25519": (SignatureType.ED25519, SignatureScheme.ED25519),
    "ml-dsa-44": (SignatureType.ML_DSA_44_COSIGNATURE, SignatureScheme.ML_DSA_44),
}


@dataclass(frozen=True, slots=True)
class LogKey:
    """The signers of one log, under its origin as their name."""

    origin: str
    signers: tuple[NoteSigner, ...]

    @property
    def verifier_keys(self) -> str:
        """The public keys, one verifier key per line."""
        return "".join(f"{signer.verifier}\n" for signer in self.signers)

    def sign(self, head: TreeHead, at_seconds: int) -> bytes:
        """Return the signed checkpoint of `head`; the ML-DSA-44 signature states the POSIX time `at_seconds`."""
        text = Checkpoint(self.origin, head).text
        return SignedNote(text, tuple(signer.sign(text, at_seconds) for signer in self.signers)).render()


def create_log_key(path: Path, origin: str, randomness: Callable[[int], bytes]) -> LogKey:
    """Make the keys of a new log in a new file: mode 0600, durable, never over another one.

    Raises ConflictError where the file exists, CustodyUnavailableError where it cannot be written, MalformedError for
    an origin that cannot name a key.
    """
    seeds = {name: randomness(_SEED_BYTES) for name in _TYPES}
    key = _log_key(origin, seeds)
    with replacement_of(path) as replacement:
        replacement.add(_rendered(origin, seeds))
    return key


def replace_log_key(path: Path, origin: str, randomness: Callable[[int], bytes]) -> LogKey:
    """Put the keys of the next log in the place of those before it, which sign nothing any more.

    Raises what `create_log_key` raises but for the file that exists.
    """
    seeds = {name: randomness(_SEED_BYTES) for name in _TYPES}
    key = _log_key(origin, seeds)
    with replacement_of(path) as replacement:
        replacement.exchange(_rendered(origin, seeds))
    return key


def load_log_key(path: Path) -> LogKey:
    """Return the keys in the file; UnsafeSettingError where others can read it, it is missing, or damaged."""
    if not may_lie_there(path):
        raise UnsafeSettingError(f"key file `{path}` is missing: {LOG_KEY_MEND}")
    try:
        return parse_log_key(read_guarded(path))
    except MalformedError as exc:
        raise UnsafeSettingError(f"key file `{path}` is damaged: put it back from the escrow") from exc


def parse_log_key(octets: bytes) -> LogKey:
    """Return the keys that a key file holds; MalformedError for what holds none."""
    try:
        return _parsed(json.loads(octets))
    except (ValueError, RecursionError, MalformedError, CryptoError) as exc:
        # The parser's words are left out: they could quote a key.
        raise MalformedError("these are not the keys of a log") from exc


def checkpoint_signed_by(verifier_keys: str, note: bytes) -> Checkpoint:
    """Return the checkpoint in a note that each of these keys signed.

    Raises NoteError where a signature is wrong or missing and where there is no key to ask for one, MalformedError for
    what is no checkpoint.
    """
    keys = [parse_verifier_key(line) for line in verifier_keys.splitlines()]
    if not keys:
        raise NoteError("there is no key that could have signed the note")
    parsed = parse_note(note)
    for key in keys:
        verify_note(parsed, [key])
    return parse_checkpoint(parsed.text)


def stated_seconds(verifier_keys: str, note: bytes) -> int:
    """Return the POSIX time that the signatures of a note state, 0 where they state none; raises as the above."""
    keys = [parse_verifier_key(line) for line in verifier_keys.splitlines()]
    return max((each.at_seconds or 0 for each in verify_note(parse_note(note), keys)), default=0)


def _log_key(origin: str, seeds: dict[str, bytes]) -> LogKey:
    signers = []
    for name, seed in seeds.items():
        signature, scheme = _TYPES[name]
        signers.append(NoteSigner(origin, signature, SigningKey.from_seed(scheme, seed)))
    key = LogKey(origin, tuple(signers))
    key.verifier_keys  # noqa: B018  refuses an origin that cannot name a key
    return key


def _rendered(origin: str, seeds: dict[str, bytes]) -> bytes:
    keys = [{"type": name, "seed": base64.b64encode(seed).decode()} for name, seed in seeds.items()]
    content = {"format": _FORMAT, "kind": _KIND, "origin": origin, "keys": keys}
    return json.dumps(content, indent=1).encode() + b"\n"


def _parsed(content: object) -> LogKey:
    match content:
        case {"format": 1, "kind": "log", "origin": str(origin), "keys": list(rows), **rest} if not rest:
            seeds = dict(_seed(row) for row in rows)
        case _:
            raise MalformedError("not a log key file")
    if sorted(seeds) != sorted(_TYPES) or len(rows) != len(_TYPES):
        raise MalformedError("not the keys of a log")
    _refuse_weak(list(seeds.values()))
    return _log_key(origin, {name: seeds[name] for name in _TYPES})


def _seed(row: object) -> tuple[str, bytes]:
    match row:
        case {"type": str(name), "seed": str(seed), **rest} if not rest:
            return name, base64.b64decode(seed, validate=True)
        case _:
            raise MalformedError("not a key")


def _refuse_weak(seeds: Sequence[bytes]) -> None:
    # Zeros and placeholders: 32 random octets have fewer than 16 distinct ones once in 10**15 seeds.
    if len(set(seeds)) != len(seeds) or any(len(set(seed)) < _SEED_BYTES // 2 for seed in seeds):
        raise MalformedError("a key is not random")
