"""Between table rows and the values of the core rooms. What is read back is checked as strictly as what comes in."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import groupby
from operator import itemgetter
from typing import Any, Protocol

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
from exchange.kernel import ExchangeError, from_micros, to_micros
from exchange.members import Clearance, Client, ClientId, Member, MemberCode, Role, Standing
from exchange.release import class_from_json
from exchange.store.dialect import Row
from exchange.store.rows import ClassRow
from exchange.store.tables import AgreementTable, ClientTable, MemberTable, PartyTable, table
from exchange.store.unread import Unread, UnreadRow, read_each


class MemberColumns(Protocol):
    """A member's columns under their names."""

    code: str
    version: int
    name: str
    standing: str


def member_of(row: MemberColumns) -> Member:
    """Return the member in a row."""
    return Member(MemberCode(row.code), row.version, row.name, Standing(row.standing))


def member_row(member: Member, now: datetime) -> MemberTable:
    """Return the row of a member's new version."""
    return MemberTable(
        code=member.code,
        version=member.version,
        name=member.name,
        standing=member.standing.value,
        recorded_at=to_micros(now),
    )


class ClientColumns(Protocol):
    """A client's columns under their names: a row of the table, or of a hot statement."""

    id: str
    version: int
    name: str
    member: str
    agency: str
    roles: str
    level: str
    compartments: str
    cleared_since: int
    cleared_until: int | None
    nationality: str
    purposes: str
    standing: str


def client_of(row: ClientColumns, member_standing: str) -> Client:
    """Return the client in a row."""
    until = row.cleared_until
    return Client(
        id=ClientId(row.id),
        version=row.version,
        name=row.name,
        member=MemberCode(row.member),
        agency=row.agency,
        roles=frozenset(Role(name) for name in orjson.loads(row.roles)),
        clearance=Clearance(
            level=row.level,
            compartments=tuple(orjson.loads(row.compartments)),
            since=from_micros(row.cleared_since),
            until=None if until is None else from_micros(until),
        ),
        nationality=row.nationality,
        purposes=tuple(orjson.loads(row.purposes)),
        standing=Standing(row.standing),
        member_standing=Standing(member_standing),
    )


def client_row(client: Client, now: datetime) -> ClientTable:
    """Return the row of a client's new version."""
    clearance = client.clearance
    return ClientTable(
        id=client.id,
        version=client.version,
        name=client.name,
        member=client.member,
        agency=client.agency,
        roles=_json_list(sorted(role.value for role in client.roles)),
        level=clearance.level,
        compartments=_json_list(clearance.compartments),
        cleared_since=to_micros(clearance.since),
        cleared_until=None if clearance.until is None else to_micros(clearance.until),
        nationality=client.nationality,
        purposes=_json_list(client.purposes),
        standing=client.standing.value,
        recorded_at=to_micros(now),
    )


EARLIER_COLUMNS = ("id", "edition", "previous", "terms")
AGREEMENT_COLUMNS = ("id", "version", "terms", "edition", "previous", "text")
PARTY_COLUMNS = ("member", "state", "signed_at", "leaves_at")
SIGNATURE_COLUMNS = ("signatory", "ed25519", "ml_dsa_65", "signed_at")
KEY_COLUMNS = ("ed25519", "ml_dsa_65")


def agreement_columns(agreement: Any, party: Any, signature: Any, key: Any) -> list[ColumnElement[Any]]:
    """Return what `agreement_of` reads, in its order, from tables or aliases of the four names."""
    sources = (
        (agreement, AGREEMENT_COLUMNS),
        (party, PARTY_COLUMNS),
        (signature, SIGNATURE_COLUMNS),
        (key, KEY_COLUMNS),
    )
    return [source.c[name] for source, names in sources for name in names]


def with_signatures(agreement: Any, party: Any, signature: Any, key: Any) -> Any:
    """Return `agreement` joined with its parties and with what they signed its text with, where they did."""
    is_of = and_(party.c.agreement_id == agreement.c.id, party.c.version == agreement.c.version)
    is_under = and_(signature.c.text == agreement.c.text, signature.c.member == party.c.member)
    joined = agreement.join(party, is_of).outerjoin(signature, is_under)
    return joined.outerjoin(key, key.c.key_id == signature.c.key_id)


def agreement_of(rows: Sequence[Row]) -> Agreement:
    """Return the agreement in its rows, one per party, as its signatures prove it; columns as `agreement_columns`."""
    agreement_id, version, terms, edition, previous, text = rows[0][:6]
    kept = Agreement(
        id=AgreementId(agreement_id),
        version=version,
        terms=terms_from_stored(orjson.loads(terms)),
        parties=tuple(_party_of(text, *row[6:]) for row in rows),
        edition=edition,
        previous=previous,
    )
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


def with_earlier(agreements: Sequence[Agreement], rows: Iterable[Row]) -> list[Agreement]:
    """Return agreements with the terms of the editions before, as far as the signed digests prove them.

    Rows are of `earlier_texts`: columns as `EARLIER_COLUMNS`.
    """
    texts: dict[str, list[Row]] = {}
    for row in rows:
        texts.setdefault(row[0], []).append(row)
    return [
        agreement if agreement.edition == 1 else with_proven_texts(agreement, _kept_texts(texts.get(agreement.id, ())))
        for agreement in agreements
    ]


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


def with_absences(
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


def _kept_texts(rows: Iterable[Row]) -> Iterator[KeptText]:
    for _, edition, previous, terms in rows:
        try:
            yield KeptText(edition, previous, terms_from_stored(orjson.loads(terms)))
        except (ExchangeError, ValueError):
            continue  # altered so that it cannot be read: it proves nothing


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


def class_row(row: Row) -> ClassRow:
    """Return the release class in a row (id, digest, facts)."""
    class_id, digest, facts = row
    return ClassRow(id=class_id, version=class_id, digest=digest, facts=class_from_json(orjson.loads(facts)))


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
        MemberCode(member),
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


def _json_list(values: Iterable[str]) -> str:
    return orjson.dumps(list(values)).decode()
