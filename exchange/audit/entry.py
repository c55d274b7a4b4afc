"""Bytes first: an entry is its canonical bytes, and everything else about it is computed from them."""

import hashlib
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

import orjson

from exchange.audit.columns import EntryColumns, project
from exchange.audit.draft import Actor, EntryDraft
from exchange.audit.merkle import hash_leaf
from exchange.audit.personal import Guard, guarded_source, guarded_thumbprint, seal_personal
from exchange.audit.receipt import Receipt
from exchange.audit.shape import ENTRY_VERSION, LARGEST_ENTRY_BYTES, ActorFields, Entry, checked_entry
from exchange.audit.text import fit_text
from exchange.kernel import LARGEST_INTEGER, CanonicalError, MalformedError, parse_micros, rfc3339

# Half of an entry; the other half is for everything else.
LARGEST_RESULT_IDS_BYTES = 32 * 1024

# RFC 8785 §3.2.3 sorts keys by UTF-16 code unit, orjson by UTF-8 byte: one order, because keys are ASCII here.
# Integers beyond 2**53 - 1 are refused, as canonical_bytes refuses them.
_CANONICAL = orjson.OPT_SORT_KEYS | orjson.OPT_STRICT_INTEGER


@dataclass(frozen=True, slots=True)
class SealedEntry:
    """An entry with its place: `content` are the bytes that are stored, hashed and never changed.

    `leaf_hash` is the RFC 9162 §2.1.1 hash of `content`: 32 bytes.
    """

    id: str
    content: bytes
    leaf_hash: bytes
    node_seq: int

    @property
    def receipt(self) -> Receipt:
        """Return what who acted is given."""
        return Receipt.of(self.id, self.leaf_hash)


def seal_entry(  # noqa: PLR0913  what an entry says, its place, and what keeps its personal data
    draft: EntryDraft, *, entry_id: str, node: str, boot: str, node_seq: int, guard: Guard | None = None
) -> SealedEntry:
    """Return the canonical bytes of what `draft` says.

    Personal data is kept as `guard` says; without one it is left out. Text is made fit (see `fit_text`), so no input
    can keep an entry off the record. Result ids over 32 KiB, or over what an entry holds, are replaced by their
    SHA-256. Raises CanonicalError where `label` and `detail` alone make the entry larger than 65,535 bytes, or hold
    what has no canonical form.
    """
    entry: Entry = {
        "v": ENTRY_VERSION,
        "id": entry_id,
        "ts": rfc3339(draft.at),
        "node": fit_text(node),
        "boot": boot,
        "node_seq": node_seq,
        "type": draft.event.value,
        "decision": draft.outcome.value,
        "actor": _actor_fields(draft.actor, guard),
        "request_id": fit_text(draft.request_id),
        "source": guarded_source(draft.source, guard),
    }
    if guard is not None and guard.key is not None:
        entry["pii"] = seal_personal(draft, guard.key, entry_id=entry_id, boot=boot, node_seq=node_seq)
    _add_standing(entry, draft.actor)
    _add_subject(entry, draft)
    _add_grounds(entry, draft)
    _add_results(entry, draft)
    content = _fitting_bytes(entry)
    return SealedEntry(entry_id, content, leaf_hash=hash_leaf(content), node_seq=node_seq)


def parse_entry(content: bytes) -> Entry:
    """Return what `content` says.

    Raises MalformedError for what is not JSON, has a missing, unknown or wrong field, a repeated key, is
    not in canonical form, or is longer than 65,535 bytes: no such bytes were ever sealed.
    """
    if len(content) > LARGEST_ENTRY_BYTES:
        raise MalformedError(f"entry has {len(content)} bytes: at most {LARGEST_ENTRY_BYTES} fit")
    try:
        entry = checked_entry(orjson.loads(content))
        again = orjson.dumps(entry, option=_CANONICAL)
    except (orjson.JSONDecodeError, orjson.JSONEncodeError) as exc:
        raise MalformedError(f"entry is not canonical JSON: {exc}") from exc
    # A repeated key, another order, a space, an escape too many: the bytes come back different.
    # Normal form C of the whole is that of every string in it: nothing composes with a quotation mark, nor in ASCII.
    if again != content or not (content.isascii() or unicodedata.is_normalized("NFC", content.decode())):
        raise MalformedError("entry is not in canonical form")
    return entry


def columns_of(content: bytes) -> EntryColumns:
    """Return the columns that belong to `content`. Raises MalformedError as `parse_entry` does."""
    entry = parse_entry(content)
    return project(entry, at_micros=parse_micros(entry["ts"]))


def _actor_fields(actor: Actor, guard: Guard | None) -> ActorFields:
    fields: ActorFields = {"kind": fit_text(actor.kind)}
    if actor.id is not None:
        fields["id"] = fit_text(actor.id)
    thumbprint = guarded_thumbprint(actor.thumbprint, guard)
    if thumbprint is not None:
        fields["thumbprint"] = thumbprint
    return fields


def _add_standing(entry: Entry, actor: Actor) -> None:
    if actor.member is not None:
        entry["member"] = fit_text(actor.member)
    if actor.agency is not None:
        entry["agency"] = fit_text(actor.agency)
    if actor.level is not None:
        entry["clearance"] = {
            "level": fit_text(actor.level),
            "compartments": _fit_texts(actor.compartments),
            "as_of": entry["ts"],
        }


def _add_subject(entry: Entry, draft: EntryDraft) -> None:
    subject = draft.subject
    if subject is not None:
        entry["object"] = {"type": fit_text(subject.kind), "id": fit_text(subject.id)}
        if subject.version is not None:
            entry["object"]["version"] = subject.version
    if draft.owner is not None:
        entry["owner"] = fit_text(draft.owner)
    if draft.label is not None:
        entry["label"] = {_key(name): _fit_label_value(value) for name, value in draft.label.items()}
    if draft.detail:
        entry["detail"] = {_key(name): _fit_value(value) for name, value in draft.detail.items()}


def _add_grounds(entry: Entry, draft: EntryDraft) -> None:
    if draft.agreement is not None:
        entry["agreement"] = fit_text(draft.agreement)
    if draft.scope is not None:
        entry["scope"] = fit_text(draft.scope)
    if draft.purpose is not None:
        entry["purpose"] = fit_text(draft.purpose)
    if draft.policies:
        entry["policies"] = _fit_texts(draft.policies)
    if draft.reasons:
        entry["reasons"] = _fit_texts(draft.reasons)


def _add_results(entry: Entry, draft: EntryDraft) -> None:
    if draft.size_bytes is not None:
        entry["bytes"] = draft.size_bytes
    if draft.result_ids is None:
        return
    entry["result_count"] = len(draft.result_ids)
    ids = _fit_texts(draft.result_ids)
    # Two brackets, and per id two quotation marks and a comma; an escape can only make it longer.
    if sum(map(len, ids)) + 3 * len(ids) + 1 > LARGEST_RESULT_IDS_BYTES:
        entry["result_ids_sha256"] = _digest_hex(ids)
    else:
        entry["result_ids"] = ids


def _fitting_bytes(entry: Entry) -> bytes:
    content = orjson.dumps(entry, option=_CANONICAL)
    if len(content) > LARGEST_ENTRY_BYTES and "result_ids" in entry:
        entry["result_ids_sha256"] = _digest_hex(entry.pop("result_ids"))
        content = orjson.dumps(entry, option=_CANONICAL)
    if len(content) > LARGEST_ENTRY_BYTES:
        raise CanonicalError(f"the entry has {len(content)} bytes: at most {LARGEST_ENTRY_BYTES} fit, shorten `detail`")
    return content


def _digest_hex(ids: Sequence[str]) -> str:
    return hashlib.sha256(orjson.dumps(ids)).hexdigest()


def _fit_texts(texts: Sequence[str]) -> list[str]:
    return [fit_text(text) for text in texts]


def _key(name: str) -> str:
    # Keys are words of ours; ASCII keeps the two sort orders one (see _CANONICAL).
    if not name.isascii():
        raise CanonicalError(f"`{fit_text(name)}` is no field of an entry: name it in ASCII")
    return name


def _fit_label_value(value: str | list[str]) -> str | list[str]:
    return fit_text(value) if isinstance(value, str) else _fit_texts(value)


def _fit_value(value: str | int | list[str]) -> str | int | list[str]:
    if isinstance(value, str):
        return fit_text(value)
    if isinstance(value, int):
        # A number too large for canonical JSON is kept as its digits: it may be what a caller sent.
        return value if abs(value) <= LARGEST_INTEGER else fit_text(str(value))
    return _fit_texts(value)
