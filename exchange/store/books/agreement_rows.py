"""Between rows and agreements: read as their signatures prove them, with their crises, absences and earlier texts.

What is read back is checked as strictly as what comes in.
"""

from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import groupby
from operator import itemgetter
from typing import Any

import orjson
from sqlalchemy import ColumnElement, Select, and_, or_, select

from exchange.agreements import (
    Absence,
    Agreement,
    AgreementId,
    Departure,
    KeptText,
    Party,
    PartyState,
    TextSignature,
    proven,
    terms_as_json,
    terms_from_stored,
    text_of,
    with_proven_texts,
)
from exchange.crypto import ObjectSignature, ObjectVerifyingKey
from exchange.kernel import ExchangeError, MalformedError, from_micros, to_micros
from exchange.members import MemberCode
from exchange.store.books.crisis_book import with_crises
from exchange.store.database.dialect import Row
from exchange.store.rows.shapes import digest_in, member_in, none_or, number_in
from exchange.store.rows.unread import Unread, UnreadRow, read_each
from exchange.store.tables.main_tables import AgreementTable, PartyTable, table

_EARLIER_COLUMNS = ("id", "edition", "previous", "terms")
_AGREEMENT_COLUMNS = ("id", "version", "terms", "edition", "previous", "text")
_PARTY_COLUMNS = ("member", "state", "signed_at", "leaves_at")
_SIGNATURE_COLUMNS = ("signatory", "ed25519", "ml_dsa_65", "signed_at")
_KEY_COLUMNS = ("ed25519", "ml_dsa_65")


def agreement_columns(agreement: Any, party: Any, signature: Any, key: Any) -> list[ColumnElement[Any]]:
    """Return what `agreement_of` reads, in its order, from tables or aliases of the four names."""
    sources = (
        (agreement, _AGREEMENT_COLUMNS),
        (party, _PARTY_COLUMNS),
        (signature, _SIGNATURE_COLUMNS),
        (key, _KEY_COLUMNS),
    )
    return [source.c[name] for source, names in sources for name in names]


def with_signatures(agreement: Any, party: Any, signature: Any, key: Any) -> Any:
    """Return `agreement` joined with its parties and with what they signed its text with, where they did."""
    is_of = and_(party.c.agreement_id == agreement.c.id, party.c.version == agreement.c.version)
    is_under = and_(signature.c.text == agreement.c.text, signature.c.member == party.c.member)
    joined = agreement.join(party, is_of).outerjoin(signature, is_under)
    return joined.outerjoin(key, key.c.key_id == signature.c.key_id)


def agreement_versions() -> Select[Any]:
    """Return the statement for every version of every agreement, one row per party, parties in their order."""
    tables = [table(name) for name in ("agreement", "agreement_party", "agreement_signature", "signatory_key")]
    agreement, party, *_ = tables
    versions = select(*agreement_columns(*tables)).select_from(with_signatures(*tables))
    return versions.order_by(agreement.c.id, agreement.c.version, party.c.position)


def current_agreements() -> Select[Any]:
    """Return the statement for the current version of every agreement, by id; as `agreement_versions`."""
    return agreement_versions().where(table("agreement").c.superseded_at.is_(None))


def agreement_of(rows: Sequence[Row]) -> Agreement:
    """Return the agreement in its rows, one per party, as its signatures prove it; columns as `agreement_columns`."""
    agreement_id, version, terms, edition, previous, text = rows[0][:6]
    kept = Agreement(
        id=AgreementId(agreement_id),
        version=version,
        terms=terms_from_stored(orjson.loads(terms)),
        parties=tuple(_party_of(text, *row[6:]) for row in rows),
        edition=number_in(edition),
        previous=none_or(digest_in, previous),
    )
    # INVARIANT: a row makes nobody a party of what does not name it, and takes no party from what does.
    if {party.member for party in kept.parties} != set(kept.terms.parties):
        raise MalformedError("the parties are not those that the text names")
    return proven(kept)


def agreements_of(rows: Sequence[Row], unread: Unread | None = None) -> list[Agreement]:
    """Return the agreements in rows that come version by version; with `unread`, without those that cannot be read."""
    groups = [list(group) for _, group in groupby(rows, key=itemgetter(0, 1))]
    return read_each(
        groups,
        agreement_of,
        unread,
        lambda group: UnreadRow(f"agreement {group[0][0]}", frozenset(str(row[6]) for row in group)),
    )


def agreement_row(agreement: Agreement, proposed_by: str | None, now: datetime) -> AgreementTable:
    """Return the row of an agreement's new version."""
    return AgreementTable(
        id=agreement.id,
        version=agreement.version,
        terms=orjson.dumps(terms_as_json(agreement.terms)).decode(),
        edition=agreement.edition,
        previous=agreement.previous,
        text=text_of(agreement).digest,
        proposed_by=proposed_by,
        recorded_at=to_micros(now),
    )


def party_rows(agreement: Agreement) -> list[PartyTable]:
    """Return one row per party of an agreement's new version."""
    return [
        PartyTable(
            agreement_id=agreement.id,
            version=agreement.version,
            member=party.member,
            position=position,
            state=party.state.value,
            signed_at=None if party.signed_at is None else to_micros(party.signed_at),
            leaves_at=None if party.leaves_at is None else to_micros(party.leaves_at),
        )
        for position, party in enumerate(agreement.parties)
    ]


Rows = Callable[[], Awaitable[Sequence[Row]]]


@dataclass(frozen=True, slots=True)
class Besides:
    """Where the rows come from that an agreement may have besides its own and its parties', of all agreements.

    Those of `crisis_rows`, `absence_rows` and `earlier_texts`.
    """

    crises: Rows
    absences: Rows
    texts: Rows


async def whole(
    agreements: Sequence[Agreement], besides: Besides, unread: Unread | None, *, crises_unread: Unread | None = None
) -> list[Agreement]:
    """Return agreements with their crises, absences and earlier terms; asked for only where one may have any.

    With `unread`, without agreements that cannot be read. Crises that cannot be read open nothing, take nothing with
    them, and are noted in `unread`, or else in `crises_unread`.
    """
    found = await with_absences_and_crises(agreements, besides, unread, crises_unread=crises_unread)
    if all(agreement.edition == 1 for agreement in found):
        return found
    return _with_earlier(found, await besides.texts())


async def with_absences_and_crises(
    agreements: Sequence[Agreement], besides: Besides, unread: Unread | None, *, crises_unread: Unread | None = None
) -> list[Agreement]:
    """Return agreements as `whole` does, without their earlier terms."""
    found = list(agreements)
    if any(agreement.terms.crisis or agreement.edition > 1 for agreement in found):
        found = with_crises(found, await besides.crises(), unread or crises_unread or Unread())
    if all(agreement.edition == 1 for agreement in found):
        return found
    return _with_absences(found, await besides.absences(), unread)


def absence_rows() -> Select[Any]:
    """Return the statement for every text that came once somebody had left, by which it acceded anew or not.

    Read where a text was amended; the last column is None where it did not.
    """
    before, after = table("agreement").alias("before"), table("agreement").alias("after")
    left, back = table("agreement_party").alias("left"), table("agreement_party").alias("back")
    is_next = and_(before.c.id == after.c.id, before.c.version == after.c.version - 1)
    # A notice is not taken back: it is gone with the next text alone, from who comes back by that.
    had_left = and_(
        left.c.agreement_id == before.c.id, left.c.version == before.c.version, left.c.leaves_at.is_not(None)
    )
    is_back = and_(back.c.agreement_id == after.c.id, back.c.version == after.c.version, back.c.leaves_at.is_(None))
    joined = after.join(before, and_(is_next, before.c.edition < after.c.edition)).join(left, had_left)
    joined = joined.join(back, and_(is_back, back.c.member == left.c.member), isouter=True)
    # Who is leaving still goes on under the next text, or signs it to leave.
    is_gone = or_(back.c.member.is_not(None), left.c.leaves_at <= after.c.recorded_at)
    columns = (after.c.id, left.c.member, left.c.leaves_at, after.c.recorded_at, after.c.edition, back.c.member)
    return select(*columns).select_from(joined).where(is_gone).order_by(after.c.id, after.c.edition)


def earlier_texts() -> Select[Any]:
    """Return the statement for every text that an agreement had before, signed or not."""
    agreement = table("agreement")
    columns = (agreement.c[name] for name in _EARLIER_COLUMNS)
    return select(*columns).distinct().where(agreement.c.superseded_at.is_not(None))


def _with_absences(
    agreements: Sequence[Agreement], rows: Iterable[Row], unread: Unread | None = None
) -> list[Agreement]:
    """Return agreements with absences and departures up to each one's text; rows are of `absence_rows`.

    With `unread`, without agreements of which one cannot be read: who was away would read what it may not.
    """
    absences: dict[str, list[Absence]] = {}
    departures: dict[str, list[Departure]] = {}
    altered: set[object] = set()
    asked = {agreement.id for agreement in agreements}

    def take(row: Row) -> None:
        agreement_id, member, left_at, at, edition, back = row
        if back is None:
            departures.setdefault(agreement_id, []).append(Departure(member, edition))
        else:
            absence = Absence(member, from_micros(left_at), from_micros(at), edition)
            absences.setdefault(agreement_id, []).append(absence)

    def name(row: Row) -> UnreadRow:
        altered.add(row[0])
        return UnreadRow(f"agreement {row[0]}", frozenset({str(row[1])}))

    read_each([row for row in rows if row[0] in asked], take, unread, name)
    return [
        replace(
            each,
            absences=tuple(one for one in absences.get(each.id, ()) if one.edition <= each.edition),
            departures=tuple(one for one in departures.get(each.id, ()) if one.edition <= each.edition),
        )
        for each in agreements
        if each.id not in altered
    ]


def _with_earlier(agreements: Sequence[Agreement], rows: Iterable[Row]) -> list[Agreement]:
    """Return agreements with the terms of the editions before, as far as the signed digests prove them.

    Rows are of `earlier_texts`.
    """
    texts: dict[str, list[Row]] = {}
    for row in rows:
        texts.setdefault(row[0], []).append(row)
    return [
        agreement if agreement.edition == 1 else with_proven_texts(agreement, _kept_texts(texts.get(agreement.id, ())))
        for agreement in agreements
    ]


def _kept_texts(rows: Iterable[Row]) -> Iterator[KeptText]:
    for _, edition, previous, terms in rows:
        try:
            yield KeptText(edition, previous, terms_from_stored(orjson.loads(terms)))
        except (ExchangeError, ValueError):
            continue  # altered so that it cannot be read: it proves nothing


def _party_of(  # noqa: PLR0913, PLR0917  the columns of a party, in their order
    text: str | None,
    member: str,
    state: str,
    signed_at: int | None,
    leaves_at: int | None,
    signatory: str | None,
    ed25519: bytes | None,
    ml_dsa_65: bytes | None,
    at: int | None,
    public_ed25519: bytes | None,
    public_ml_dsa_65: bytes | None,
) -> Party:
    party = Party(
        MemberCode(member_in(member)),
        PartyState(state),
        None if signed_at is None else from_micros(signed_at),
        leaves_at=None if leaves_at is None else from_micros(leaves_at),
    )
    columns = (text, signatory, ed25519, ml_dsa_65, at, public_ed25519, public_ml_dsa_65)
    if any(column is None for column in columns):
        return party
    signature = TextSignature(
        text=str(text),
        member=member,
        signatory=str(signatory),
        key=ObjectVerifyingKey.from_raw(public_ed25519 or b"", public_ml_dsa_65 or b""),
        signature=ObjectSignature(ed25519 or b"", ml_dsa_65 or b""),
        signed_at=from_micros(at or 0),
    )
    return replace(party, signature=signature)
