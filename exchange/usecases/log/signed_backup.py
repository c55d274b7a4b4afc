"""The signature of a backup: its last line, by the log's keys, over all lines before it.

Sealing says who can open a backup, and nothing about who made it: the recipient is public. Whoever restores holds the
log's public keys from before: beside the service's secrets, in their escrow, or as each auditor was given them.

Does not: say that a backup is the newest one, or what was ended since; the kept log does.
"""

import hashlib
import json
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from exchange.audit import VerifierKey
from exchange.audit.note import NoteSignature, parse_signature_line
from exchange.crypto import SignatureError
from exchange.custody import LogKey
from exchange.kernel import InvalidError, MalformedError

# No checkpoint has a second line such as this one's, no deed has this kind, and no cosignature begins like it: what
# the log's keys sign here is never taken for anything else that they sign.
_STATEMENT: Final = "exchange.backup/v1\n{digest}\n"
_FIELD: Final = "signed_by"
_BEGINNING: Final = b'{"' + _FIELD.encode() + b'":'
_TAKE_ANOTHER: Final = "take another copy of it, or an older backup"
_KNOW_IT: Final = (
    "restore one that is signed; where this is all that is left, and you know whose it is because it never left your "
    "hands, `--unverified` restores it and has a person confirm that"
)


@dataclass(slots=True)
class Signed:
    """What the end of a backup said, once its lines were read to the end."""

    digest: str = ""
    signatures: tuple[NoteSignature, ...] = ()


async def signed_lines(lines: AsyncIterator[bytes], key: LogKey) -> AsyncIterator[bytes]:
    """Yield the lines of a backup, and as the last one the signature of `key` over them."""
    digest = hashlib.sha256()
    async for line in lines:
        digest.update(line)
        yield line
    statement = _STATEMENT.format(digest=digest.hexdigest()).encode()
    made = [NoteSignature(each.name, each.verifier.key_id, each.key.sign(statement)) for each in key.signers]
    yield json.dumps({_FIELD: [each.line.strip() for each in made]}, ensure_ascii=False).encode() + b"\n"


def read_signed(lines: Iterable[bytes], into: Signed) -> Iterator[bytes]:
    """Yield the lines of a backup but for its signature, which `into` holds afterwards; MalformedError for a bad end.

    INVARIANT: nothing of what is yielded is believed before `require_signed` has seen `into`.
    """
    digest = hashlib.sha256()
    for line in lines:
        if into.signatures:
            raise MalformedError(f"the backup goes on behind its signature: {_TAKE_ANOTHER}")
        if line.startswith(_BEGINNING):
            into.signatures = _signatures_in(line)
            continue
        digest.update(line.rstrip(b"\n") + b"\n")
        yield line
    into.digest = digest.hexdigest()


def same_lines(lines: Iterable[bytes], was: Signed) -> Iterator[bytes]:
    """Yield the lines of a backup that was verified before, once more; InvalidError at the end where they differ."""
    now = Signed()
    yield from read_signed(lines, now)
    if now.digest != was.digest:
        raise InvalidError("the backup was changed while it was restored: keep it where nobody else can write")


def require_signed(signed: Signed, known: Sequence[VerifierKey]) -> str:
    """Return the name of the log whose `known` keys signed; raises InvalidError with what is wrong and its mend.

    INVARIANT: of one log every known key must have signed, so that the backup is believed while either scheme stands.
    """
    # (1) signed at all
    if not signed.signatures:
        raise InvalidError(f"the backup is not signed, and whoever has the recipient can have made it: {_KNOW_IT}")
    # (2) by keys that are held from before
    signers = {each.name for each in signed.signatures}
    keys = [key for key in known if key.name in signers]
    if not keys:
        held = ", ".join(f"`{name}`" for name in sorted({key.name for key in known})) or "none"
        raise InvalidError(
            f"the backup is signed by `{', '.join(sorted(signers))[:200]}`, whose keys are not known here (known: "
            f"{held}): put its own keys back first with `exchange keys restore`, or name the log's public keys, "
            "as an auditor or a witness was given them, with `--key`"
        )
    # (3) over these lines
    statement = _STATEMENT.format(digest=signed.digest).encode()
    for key in keys:
        _require(signed, key, statement)
    return keys[0].name


def is_unverifiable(signed: Signed, known: Sequence[VerifierKey]) -> bool:
    """Return whether no known key could say anything about it: none signed it. A wrong signature is another thing."""
    names = {key.name for key in known}
    return not any(each.name in names for each in signed.signatures)


def _require(signed: Signed, key: VerifierKey, statement: bytes) -> None:
    made = [each.signature for each in signed.signatures if (each.name, each.key_id) == (key.name, key.key_id)]
    told = f"of `{key.name}` (key id {key.key_id.hex()}): it was changed, or somebody else made it; {_TAKE_ANOTHER}"
    if not made:
        raise InvalidError(f"the backup lacks the signature {told}")
    try:
        for signature in made:
            key.key.verify(signature, statement)
    except SignatureError as exc:
        raise InvalidError(f"the backup has a wrong signature {told}") from exc


def _signatures_in(line: bytes) -> tuple[NoteSignature, ...]:
    try:
        found = tuple(parse_signature_line(each) for each in json.loads(line)[_FIELD])
    except (ValueError, TypeError, AttributeError, MalformedError) as exc:
        raise MalformedError(f"the signature of the backup cannot be read: {_TAKE_ANOTHER}") from exc
    if not found:
        raise MalformedError(f"the signature of the backup cannot be read: {_TAKE_ANOTHER}")
    return found
