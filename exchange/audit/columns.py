"""The columns of an entry: what one searches by, computed from the bytes and from nothing else."""

from collections.abc import Mapping
from dataclasses import dataclass

from exchange.audit.personal import LOCAL_SOURCES, WITHHELD
from exchange.audit.shape import Entry

_NO_TOKENS = LOCAL_SOURCES | {WITHHELD}
"""Nobody is found by these: they are no addresses."""


@dataclass(frozen=True, slots=True)
class EntryColumns:
    """A projection of an entry's bytes; what the entry leaves out is None.

    `at_micros` is microseconds since 1970, `reasons` the reason codes joined by commas,
    `label_policy` and `level` the label's security policy and classification; `thumbprint` and `source` are
    search tokens where they are personal data. `facet` and `owner_facet` are what slices are walked by (see
    `facet_of`): under the actor's member (the empty one where it has none), and under the owner. The others
    are pairs, the member whose slice they are walked for first: `owner_member` and `owner_client` tell who
    did something to another member's own, `member_subject` what one's clients did to what is not one's own,
    `owner_reasons` and `member_reasons` why something was refused, the latter before anything was judged.
    `source_member` and `thumbprint_member` begin with the token: one member's stand together, and all members'.
    INVARIANT: equal bytes have equal columns; a verifier recomputes them, so a column changed in the
    database is noticed.
    """

    id: str
    at_micros: int
    node: str
    boot: str
    node_seq: int
    event: str
    outcome: str
    actor_kind: str
    actor_id: str | None
    thumbprint: str | None
    member: str | None
    agency: str | None
    subject_kind: str | None
    subject_id: str | None
    subject_version: int | None
    owner: str | None
    agreement: str | None
    scope: str | None
    label_policy: str | None
    level: str | None
    reasons: str | None
    purpose: str | None
    request_id: str
    source: str
    size_bytes: int | None
    result_count: int | None
    facet: str
    owner_facet: str | None
    owner_member: str | None
    owner_client: str | None
    member_subject: str | None
    owner_reasons: str | None
    member_reasons: str | None
    source_member: str | None
    thumbprint_member: str | None


def project(entry: Entry, *, at_micros: int) -> EntryColumns:
    """Return the columns of a well-formed entry; `at_micros` is its `ts`, which the caller has at hand."""
    actor = entry["actor"]
    subject = entry.get("object")
    label = entry.get("label", {})
    level = _text_in(label, "classification")
    reasons = ",".join(entry["reasons"]) if "reasons" in entry else None
    owner, member = entry.get("owner"), entry.get("member")
    is_own = owner == member
    return EntryColumns(
        id=entry["id"],
        at_micros=at_micros,
        node=entry["node"],
        boot=entry["boot"],
        node_seq=entry["node_seq"],
        event=entry["type"],
        outcome=entry["decision"],
        actor_kind=actor["kind"],
        actor_id=actor.get("id"),
        thumbprint=actor.get("thumbprint"),
        member=member,
        agency=entry.get("agency"),
        subject_kind=None if subject is None else subject["type"],
        subject_id=None if subject is None else subject["id"],
        subject_version=None if subject is None else subject.get("version"),
        owner=owner,
        agreement=entry.get("agreement"),
        scope=entry.get("scope"),
        label_policy=_text_in(label, "policy"),
        level=level,
        reasons=reasons,
        purpose=entry.get("purpose"),
        request_id=entry["request_id"],
        source=entry["source"],
        size_bytes=entry.get("bytes"),
        result_count=entry.get("result_count"),
        facet=facet_of(member, entry["type"], entry["decision"], level),
        owner_facet=None if owner is None else facet_of(owner, entry["type"], entry["decision"], level),
        owner_member=None if is_own else pair_of(owner, member),
        owner_client=None if is_own else pair_of(owner, actor.get("id")),
        member_subject=None if is_own or subject is None else pair_of(member, subject["id"]),
        owner_reasons=pair_of(owner, reasons),
        member_reasons=None if label else pair_of(member, reasons),
        source_member=None if entry["source"] in _NO_TOKENS else pair_of(entry["source"], member or ""),
        thumbprint_member=pair_of(actor.get("thumbprint") or None, member or ""),
    )


def facet_of(member: str | None, event: str, outcome: str, level: str | None) -> str:
    """Return the four words in one, so that entries which differ in none of them lie together in time's order.

    The level comes last: it alone may hold a bar itself.
    """
    return "|".join((member or "", event, outcome, level or ""))


def pair_of(member: str | None, other: str | None) -> str | None:
    """Return a member and an id in one, None where either is not given."""
    return None if member is None or other is None else f"{member}|{other}"


def _text_in(label: Mapping[str, str | list[str]], name: str) -> str | None:
    value = label.get(name)
    return value if isinstance(value, str) else None
