"""What a node signs of its own entries, so that nobody can add, drop or renumber one behind it.

Evidence states up to which number all entries of a boot are durable, and the running hash over their leaf hashes. It
is signed with the boot's key, which is made at the start and never leaves memory. The first evidence of a boot carries
the public key, certified by the node's own key; the last one says that the boot is closed. It is the `detail` of
`service.started`, `node.heartbeat` and `service.stopped`; the signature is over the whole entry without it.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, cast

from exchange.audit.draft import Detail
from exchange.audit.entry import SealedEntry, parse_entry
from exchange.audit.events import EventName
from exchange.audit.merkle import hash_leaf
from exchange.audit.shape import Entry
from exchange.audit.strict_text import base64_text, parse_base64, parse_hash
from exchange.crypto import CryptoError, SignatureError, SignatureScheme, SigningKey, VerifyingKey
from exchange.kernel import Canonical, MalformedError, canonical_bytes

EVIDENCE_EVENTS: Final = frozenset(
    event.value for event in (EventName.SERVICE_STARTED, EventName.NODE_HEARTBEAT, EventName.SERVICE_STOPPED)
)

_BOOT_KEY: Final = b"exchange boot key v1\n"
_EVIDENCE: Final = b"exchange node evidence v1\n"
_SIGNATURE: Final = "signature"
_STATES: Final = {"running": False, "closed": True}


@dataclass(frozen=True, slots=True)
class BootOpening:
    """The public key of a boot, and the node's signature that it is this boot's."""

    key: VerifyingKey
    certificate: bytes


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a node states: entries 1 to `upto` of the boot are durable and hash to `running_hash` (32 bytes)."""

    upto: int
    running_hash: bytes
    is_closing: bool
    opening: BootOpening | None

    def as_detail(self) -> Detail:
        """Return the `detail` of the entry, its signature not yet in it."""
        state = next(name for name, closes in _STATES.items() if closes is self.is_closing)
        detail: Detail = {"upto": self.upto, "hash": base64_text(self.running_hash), "state": state}
        if self.opening is not None:
            detail["boot_key"] = base64_text(self.opening.key.raw)
            detail["certificate"] = base64_text(self.opening.certificate)
        return detail


def open_boot(identity: SigningKey, seed: bytes, *, node: str, boot: str) -> tuple[SigningKey, BootOpening]:
    """Return the key of a new boot, grown from 32 random bytes, and what opens the boot's evidence."""
    key = SigningKey.from_seed(SignatureScheme.ED25519, seed)
    statement = _boot_statement(node, boot, key.verifying_key)
    return key, BootOpening(key.verifying_key, identity.sign(statement))


def sign_evidence(sealed: SealedEntry, sign: Callable[[bytes], bytes]) -> SealedEntry:
    """Return the entry, sealed without a signature, with the boot's signature in its `detail`."""
    entry = parse_entry(sealed.content)
    entry.setdefault("detail", {})[_SIGNATURE] = base64_text(sign(_EVIDENCE + sealed.content))
    content = _bytes_of(entry)
    return SealedEntry(sealed.id, content, leaf_hash=hash_leaf(content), node_seq=sealed.node_seq)


def bears_signature(entry: Entry) -> bool:
    """Return whether `entry` is evidence with a signature, right or wrong; without one it states nothing."""
    return entry["type"] in EVIDENCE_EVENTS and _SIGNATURE in entry.get("detail", {})


def evidence_in(entry: Entry) -> Evidence | None:
    """Return what `entry` states of its boot, None where it is no evidence. Nothing is believed yet.

    Raises MalformedError for evidence in a form that no node writes.
    """
    if not bears_signature(entry):
        return None
    detail = entry["detail"]
    state, upto = detail.get("state"), detail.get("upto")
    if type(upto) is not int or not 0 <= upto < entry["node_seq"]:
        raise MalformedError("`upto` is no number before the entry's own")
    if not isinstance(state, str) or state not in _STATES:
        raise MalformedError("`state` is neither `running` nor `closed`")
    return Evidence(upto, parse_hash(_text(detail, "hash"), "`hash`"), _STATES[state], _opening_in(detail))


def verify_opening(entry: Entry, opening: BootOpening, identities: Iterable[VerifyingKey]) -> None:
    """Return where a node with one of these keys certified the boot's key. Raises SignatureError otherwise."""
    statement = _boot_statement(entry["node"], entry["boot"], opening.key)
    for identity in identities:
        try:
            identity.verify(opening.certificate, statement)
        except SignatureError:
            continue
        return
    raise SignatureError("no known node has certified the boot's key")


def verify_evidence(entry: Entry, key: VerifyingKey) -> None:
    """Return where `key` signed the evidence in `entry`. Raises SignatureError otherwise."""
    detail = dict(entry.get("detail", {}))
    try:
        signature = parse_base64(str(detail.pop(_SIGNATURE)), "`signature`")
    except MalformedError as exc:
        raise SignatureError(exc.message) from exc
    key.verify(signature, _EVIDENCE + _bytes_of({**entry, "detail": detail}))


def _opening_in(detail: Detail) -> BootOpening | None:
    if "boot_key" not in detail:
        return None
    raw = parse_base64(_text(detail, "boot_key"), "`boot_key`")
    certificate = parse_base64(_text(detail, "certificate"), "`certificate`")
    try:
        return BootOpening(VerifyingKey(SignatureScheme.ED25519, raw), certificate)
    except CryptoError as exc:
        raise MalformedError(f"`boot_key`: {exc}") from exc


def _text(detail: Detail, name: str) -> str:
    value = detail.get(name)
    if not isinstance(value, str):
        raise MalformedError(f"`{name}` is missing or no text")
    return value


def _boot_statement(node: str, boot: str, key: VerifyingKey) -> bytes:
    return _BOOT_KEY + canonical_bytes({"boot": boot, "key": base64_text(key.raw), "node": node})


def _bytes_of(entry: Entry) -> bytes:
    # The same bytes as those the entry is stored as: one canonical form for both.
    return canonical_bytes(cast("Mapping[str, Canonical]", entry))
