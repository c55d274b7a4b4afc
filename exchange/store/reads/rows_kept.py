"""What the rows say now of what the log tells of: read for who holds the two against each other, beside the hot paths.

Nothing here believes a row: on SQLite, what stands where a number belongs may be anything.
"""

import base64
import json
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Integer,
    LargeBinary,
    Select,
    and_,
    exists,
    func,
    literal_column,
    or_,
    select,
)

from exchange.agreements import PartyState
from exchange.audit.certificates_told import CertificateKept
from exchange.audit.deeds import DeedKind, deed_digest, says_as
from exchange.audit.rows_told import (
    ALERT_SAYS,
    ALTERED_CLASS,
    BREACH_SAYS,
    CLIENT_SAYS,
    CRISIS_SAYS,
    RowKept,
    RowKind,
    RowName,
    TextTold,
)
from exchange.audit.rows_untold import PartyKept, RowCurrent
from exchange.kernel import from_micros, rfc3339
from exchange.members import Standing
from exchange.release import NationalText, class_digest, class_from_json
from exchange.reports import ReportStatus
from exchange.store.books.breach_book import BreachKind, subject_of
from exchange.store.books.consent_book import ENDED_VALUES, ConsentState
from exchange.store.books.proxy_book import ProxyState
from exchange.store.database.dialect import Fetch, NoText, Row, Sql, Statement, as_text
from exchange.store.rows.unread import UNREADABLE
from exchange.store.tables.alert_tables import AlertTable
from exchange.store.tables.caveat_tables import CaveatSetTable
from exchange.store.tables.consent_tables import DerivationTable, OnwardTable
from exchange.store.tables.crisis_tables import CrisisTable
from exchange.store.tables.duty_tables import BreachTable
from exchange.store.tables.main_tables import table
from exchange.store.tables.personal_tables import PersonalKeyTable
from exchange.store.tables.proxy_tables import ProxyTable
from exchange.store.tables.request_tables import RequestTable
from exchange.store.tables.subscription_tables import SubscriptionTable
from exchange.store.tables.treaty_tables import SignatoryKeyTable

_AT_ONCE: Final = 500
"""Ids in one statement."""

_NO_VERSION: Final = -1

_NO_JSON: Final = (ValueError, TypeError, RecursionError)
"""What a text of a row raises that is none, or one list in another a thousand times."""

_REPORT, _PART, _CLASS = table("report"), table("report_part"), table("release_class")
_CLIENT, _MEMBER, _CERTIFICATE = table("client"), table("member"), table("client_certificate")
_AGREEMENT, _PARTY = table("agreement"), table("agreement_party")
_ONWARD, _DERIVATION = table(OnwardTable), table(DerivationTable)
_PROXY, _KEY = table(ProxyTable), table(SignatoryKeyTable)
_CRISIS, _REQUEST = table(CrisisTable), table(RequestTable)
_PERSONAL = table(PersonalKeyTable)
_SUBSCRIPTION = table(SubscriptionTable)
_CAVEATS = table(CaveatSetTable)
_ALERT, _BREACH = table(AlertTable), table(BreachTable)

_BOUND: Final = (PartyState.SIGNED.value, PartyState.SUSPENDED.value)

_DESTROYED: Final = (ReportStatus.RECALLED.value, ReportStatus.EXPIRED.value)


def _is_one_of(column: ColumnElement[str], values: Iterable[str]) -> ColumnElement[bool]:
    return or_(*(column == value for value in values))


_IS_OVER: Final[Mapping[RowKind, tuple[ColumnElement[str], ColumnElement[bool]]]] = {
    RowKind.PROXY: (_PROXY.c.id, _is_one_of(_PROXY.c.state, [ProxyState.REFUSED.value, ProxyState.REVOKED.value])),
    RowKind.ONWARD: (_ONWARD.c.id, _is_one_of(_ONWARD.c.state, ENDED_VALUES)),
    RowKind.DERIVATION: (_DERIVATION.c.id, _is_one_of(_DERIVATION.c.state, ENDED_VALUES)),
    RowKind.CRISIS: (_CRISIS.c.id, _CRISIS.c.ended_at.is_not(None)),
    RowKind.REQUEST: (_REQUEST.c.id, _REQUEST.c.ended.is_not(None)),
    RowKind.SUBSCRIPTION: (_SUBSCRIPTION.c.id, _SUBSCRIPTION.c.ended_at.is_not(None)),
}
"""What has one row for good, and ends once: its id, and whether it has."""


_SAYS: Final[Mapping[RowKind, Mapping[str, Column[Any]]]] = {
    # How a request ended says whether whoever is asked still reads it.
    RowKind.REQUEST: {"ended": _REQUEST.c.ended},
    RowKind.SUBSCRIPTION: {"client": _SUBSCRIPTION.c.client_id},
    RowKind.CRISIS: dict(
        zip(
            CRISIS_SAYS,
            (_CRISIS.c[name] for name in ("agreement_id", "opened_at", "edition", "clause", "until_at")),
            strict=True,
        )
    ),
}
"""What is held against entries besides, of what ends once."""


_CONSENTS: Final = {
    RowKind.ONWARD: (_ONWARD, DeedKind.ONWARD_GRANT),
    RowKind.DERIVATION: (_DERIVATION, DeedKind.DERIVATION_GRANT),
}
"""Where the signed grant stands on its row, and as what kind of deed."""


def _said_of_alert(_: str, row: Sequence[object]) -> dict[str, object]:
    return dict(zip(ALERT_SAYS, row, strict=True))


def _said_of_breach(breach: str, row: Sequence[object]) -> dict[str, object]:
    *same, label, due_at, subject = row
    said = dict(zip(BREACH_SAYS, same, strict=False))
    # Of a silence there is no report: when it was due stands in the place of one.
    report = subject_of(str(subject), breach) if said["kind"] == BreachKind.ACKNOWLEDGEMENT.value else None
    return {**said, "label": _json(label), "due": _moment(due_at), "report": report}


_ADDED_ONCE: Final[
    Mapping[RowKind, tuple[Column[Any], Sequence[Column[Any]], Callable[[str, Sequence[object]], dict[str, object]]]]
] = {
    RowKind.ALERT: (
        _ALERT.c.id,
        [_ALERT.c[name] for name in ("rule", "kind", "severity", "member", "owner", "entry_id")],
        _said_of_alert,
    ),
    RowKind.BREACH: (
        _BREACH.c.id,
        [
            _BREACH.c[name]
            for name in ("agreement_id", "scope", "kind", "party", "owed_to", "label", "due_at", "subject")
        ],
        _said_of_breach,
    ),
}
"""What is added and never changed: its id, the columns that its entry speaks of, and what they say."""

_Kinds = Sequence[tuple[str, type | None]]
"""The columns of a statement, and of which kind what stands in each has to be; None where the database computes it."""


class RowsKept:
    """Reads the rows of one database."""

    def __init__(self, fetch: Fetch, sql: Sql) -> None:
        self._fetch = fetch
        self._sql = sql
        self._made: dict[str, tuple[Statement, _Kinds]] = {}

    async def of(self, names: Collection[RowName]) -> dict[RowName, RowKept]:
        """Return what is kept under each of these names; what has no row is left out."""
        found: dict[RowName, RowKept] = {}
        for kind in RowKind:
            ids = sorted({name.id for name in names if name.kind is kind})
            for start in range(0, len(ids), _AT_ONCE):
                some = await self._of(kind, ids[start : start + _AT_ONCE])
                found |= {RowName(kind, row_id): kept for row_id, kept in some.items()}
        return found

    async def current(self) -> list[RowCurrent]:
        """Return what is in force of all that has versions, keys and crises, each with when it was recorded.

        So is each request for information that has ended, with when.
        """
        key, crisis, caveats, request = _KEY.c, _CRISIS.c, _CAVEATS.c, _REQUEST.c
        none: ColumnElement[int] = literal_column("0")
        in_force = (caveats.in_force_at.is_not(None), caveats.ended_at.is_(None))
        asked = [
            *(
                (kind, select(row_id, rows.c.version, rows.c.recorded_at).where(rows.c.superseded_at.is_(None)))
                for kind, rows, row_id in (
                    (RowKind.CLIENT, _CLIENT, _CLIENT.c.id),
                    (RowKind.MEMBER, _MEMBER, _MEMBER.c.code),
                    (RowKind.AGREEMENT, _AGREEMENT, _AGREEMENT.c.id),
                )
            ),
            (RowKind.CAVEATS, select(caveats.member, caveats.number, caveats.in_force_at).where(*in_force)),
            (RowKind.SIGNATORY_KEY, select(key.key_id, none, key.enrolled_at)),
            (RowKind.CRISIS, select(crisis.id, none, crisis.opened_at).where(crisis.ended_at.is_(None))),
            (RowKind.REQUEST, select(request.id, request.ended, request.ended_at).where(request.ended.is_not(None))),
        ]
        return [
            RowCurrent(RowName(kind, as_text(row_id)), version, at)
            for kind, of_kind in asked
            for row_id, version, at in await self._fetch(self._sql.compile(of_kind), {})
        ]

    async def signed_parties(self) -> list[PartyKept]:
        """Return the parties that have signed the current version of an agreement and not left, as its rows say."""
        row, party, signature = _AGREEMENT.c, _PARTY.c, table("agreement_signature")
        is_of = and_(party.agreement_id == row.id, party.version == row.version)
        is_under = and_(signature.c.text == row.text, signature.c.member == party.member)
        joined = _AGREEMENT.join(_PARTY, is_of).join(signature, is_under)
        of_version = (row.id, row.version, row.edition, row.text)
        asked = select(*of_version, party.member, row.recorded_at, signature.c.signed_at).select_from(joined)
        # Who has suspended its part too: with its signature the text binds the others.
        bound = (row.superseded_at.is_(None), _is_one_of(party.state, _BOUND), party.signed_at.is_not(None))
        rows = await self._fetch(self._sql.compile(asked.where(*bound)), {})
        return [
            PartyKept(as_text(agreement), version, edition, text, as_text(member), recorded_at, signed_at)
            for agreement, version, edition, text, member, recorded_at, signed_at in rows
        ]

    async def certificates(self) -> list[CertificateKept]:
        """Return the certificates in use, of whichever client."""
        row = _CERTIFICATE.c
        asked = select(row.client_id, row.thumbprint, row.public_key, row.blind, row.added_at)
        rows = await self._fetch(self._sql.compile(asked.where(row.removed_at.is_(None))), {})
        return [CertificateKept(as_text(row[0]), *row[1:]) for row in rows]

    async def _of(self, kind: RowKind, ids: list[str]) -> dict[str, RowKept]:
        match kind:
            case RowKind.REPORT:
                return await self._reports(ids)
            case RowKind.CLIENT:
                names = (*CLIENT_SAYS[:-1], "cleared_until", "name", "cleared_since")
                rows = await self._rows("client", _versions_of(_CLIENT, _CLIENT.c.id, names), ids)
                return _versions(((*row[:-4], _moment(row[-4]), row[-1]) for row in rows), CLIENT_SAYS)
            case RowKind.MEMBER:
                member = _versions_of(_MEMBER, _MEMBER.c.code, ("standing", "name"))
                rows = await self._rows("member", member, ids)
                return _versions(((*row[:-2], row[-1]) for row in rows), ("standing",))
            case RowKind.AGREEMENT:
                return _parties(await self._rows("agreement", _agreements(), ids))
            case RowKind.SIGNATORY_KEY:
                return await self._keys(ids)
            case RowKind.ERASED:
                return await self._erased(ids)
            case RowKind.CAVEATS:
                return await self._caveats(ids)
            case RowKind.ALERT | RowKind.BREACH:
                return await self._never_changed(kind, ids)
            case RowKind.ONWARD | RowKind.DERIVATION:
                return await self._consents(kind, ids)
            case _:
                return await self._ending_once(kind, ids)

    async def _ending_once(self, kind: RowKind, ids: list[str]) -> dict[str, RowKept]:
        column, is_over = _IS_OVER[kind]
        said = _SAYS.get(kind, {})
        asked: Any = select(column, is_over, *said.values())
        rows = await self._rows(kind.value, (asked, column), ids)
        return {
            row[0]: RowKept(0, bool(row[1]), {0: dict(zip(said, map(_as_said, said.values(), row[2:-1]), strict=True))})
            for row in rows
        }

    async def _consents(self, kind: RowKind, ids: list[str]) -> dict[str, RowKept]:
        column, is_over = _IS_OVER[kind]
        rows, deed = _CONSENTS[kind]
        asked = (select(column, is_over, rows.c.note, rows.c.report_id, rows.c.conditions), column)
        return {
            row_id: RowKept(0, bool(has_ended), {0: {"deed": _deed(deed, note, report, conditions)}})
            for row_id, has_ended, note, report, conditions, _ in await self._rows(kind.value, asked, ids)
        }

    async def _reports(self, ids: list[str]) -> dict[str, RowKept]:
        rows = await self._rows("report", _reports(), ids)
        released = [row[0] for row in rows if '"consents"' in str(row[3])]
        granted: dict[str, set[object]] = {}
        if released:
            for report, asked, _ in await self._rows("granted", _granted(), released):
                granted.setdefault(report, set()).add(str(_json(asked).get("recipient")))
        altered = {each for each in {row[3:5] for row in rows} if _is_altered(*each)}
        found: dict[str, RowKept] = {}
        for report, version, is_over, facts, digest, is_of_one, _ in rows:
            # A class that was there once is gone by itself; a row that names one that never was says nothing true.
            is_class_gone = facts is None and bool(is_of_one)
            of_class = ALTERED_CLASS if is_class_gone or (facts, digest) in altered else None
            found[report] = RowKept(
                _NO_VERSION if facts is None and not is_class_gone else _number(version),
                bool(is_over),
                {_number(version): _said_of(facts)},
                # What was destroyed goes to nobody, and its consents ended with it.
                frozenset() if of_class or is_over else _recipients(facts) - granted.get(report, set()),
                {} if of_class is None else {_number(version): of_class},
            )
        return found

    async def _keys(self, ids: list[str]) -> dict[str, RowKept]:
        row = _KEY.c
        asked = select(row.key_id, row.retired_at, row.client_id, row.member, row.ed25519, row.ml_dsa_65)
        names = ("client", "member", "ed25519", "ml_dsa_65")
        return {
            key: RowKept(
                0,
                retired_at is not None,
                {0: dict(zip(names, map(_in_base64, says), strict=True))},
                unread={} if unread is None else {0: unread},
            )
            for key, retired_at, *says, unread in await self._rows("signatory-key", (asked, row.key_id), ids)
        }

    async def _erased(self, ids: list[str]) -> dict[str, RowKept]:
        asked = select(_PERSONAL.c.subject, _PERSONAL.c.period).where(
            _PERSONAL.c.destroyed_at.is_not(None), func.length(_PERSONAL.c.wrapped_key) == 0
        )
        subjects = sorted({each.partition(" ")[0] for each in ids})
        rows = await self._rows("erased", (asked, _PERSONAL.c.subject), subjects)
        counts = Counter(f"{subject} {period}" for subject, period, _ in rows)
        return {each: RowKept(counts[each]) for each in ids}

    async def _never_changed(self, kind: RowKind, ids: list[str]) -> dict[str, RowKept]:
        column, columns, said = _ADDED_ONCE[kind]
        return {
            row_id: RowKept(0, says={0: said(row_id, says)}, unread={} if unread is None else {0: unread})
            for row_id, *says, unread in await self._rows(kind.value, (select(column, *columns), column), ids)
        }

    async def _caveats(self, members: list[str]) -> dict[str, RowKept]:
        row = _CAVEATS.c
        columns = (row.member, row.number, row.in_force_at, row.ended_at, row.id, row.guards, row.examples)
        found: dict[str, RowKept] = {}
        for member in members:
            # One after the other: a set is 128 KiB at most, and all that there ever were are kept.
            rows = await self._rows("caveats", (select(*columns), row.member), [member])
            if rows:
                found[member] = _sets(rows)
        return found

    async def _rows(self, name: str, asked: tuple[Select[Any], ColumnElement[Any]], ids: list[str]) -> list[Row]:
        """Return the rows asked for; behind the columns of each, the first one in which something cannot be read."""
        if name not in self._made:
            statement, column = asked
            compiled = self._sql.compile(statement.where(self._sql.is_one_of(column, "ids")))
            self._made[name] = compiled, [_kind_of(each) for each in statement.selected_columns]
        statement_made, kinds = self._made[name]
        return [(*row, _first_unread(row, kinds)) for row in await self._fetch(statement_made, {"ids": ids})]


def _kind_of(column: object) -> tuple[str, type | None]:
    if not isinstance(column, Column):
        return "", None
    kind = int if isinstance(column.type, Integer) else bytes if isinstance(column.type, LargeBinary) else str
    return column.name, kind


def _first_unread(row: Row, kinds: _Kinds) -> str | None:
    """Return the first column that holds nothing of its kind: on SQLite one takes anything, and PostgreSQL sees to it.

    By the very type: a text that is no UTF-8 is bytes to the driver's eye, also where bytes belong.
    """
    return next(
        (
            name
            for (name, kind), value in zip(kinds, row, strict=True)
            if value is not None and kind is not None and type(value) is not kind
        ),
        None,
    )


def _deed(kind: DeedKind, note: object, report: object, conditions: object) -> str | None:
    """Return by what an entry names what was signed; None where nothing was, or of another report than the row's.

    So where its conditions are other ones.
    """
    if not isinstance(note, bytes) or not isinstance(report, str) or not isinstance(conditions, str | None):
        return None
    return deed_digest(note) if says_as(note, kind, {"report": report, "conditions": conditions}) else None


def _reports() -> tuple[Select[Any], ColumnElement[Any]]:
    row = _REPORT.c
    # What was destroyed has no key: a status alone destroys nothing.
    has_key = or_(
        func.length(row.sealed_header) > 0,
        exists().where(_PART.c.report_id == row.id, func.length(_PART.c.wrapped_key) > 0),
    )
    is_over = and_(_is_one_of(row.status, _DESTROYED), ~has_key)
    joined = _REPORT.outerjoin(_CLASS, _CLASS.c.id == row.class_id)
    # Classes are numbered without a gap, and none is ever taken away.
    last = select(func.max(table("policy_state").c.class_version)).scalar_subquery()
    is_of_one = and_(row.class_id > 0, row.class_id <= last)
    columns = (row.id, row.version, is_over, _CLASS.c.facts, _CLASS.c.digest, is_of_one)
    return select(*columns).select_from(joined), row.id


def _granted() -> tuple[Select[Any], ColumnElement[Any]]:
    row = _ONWARD.c
    return select(row.report_id, row.asked).where(row.state == ConsentState.GRANTED.value), row.report_id


def _versions_of(rows: Any, key: ColumnElement[Any], says: Iterable[str]) -> tuple[Select[Any], ColumnElement[Any]]:
    return select(key, rows.c.version, rows.c.superseded_at, *(rows.c[name] for name in says)), key


def _agreements() -> tuple[Select[Any], ColumnElement[Any]]:
    row, party = _AGREEMENT.c, _PARTY.c
    joined = _AGREEMENT.outerjoin(_PARTY, and_(party.agreement_id == row.id, party.version == row.version))
    columns = (
        row.id,
        row.version,
        row.superseded_at,
        row.edition,
        row.text,
        party.member,
        party.state,
        party.leaves_at,
    )
    return select(*columns).select_from(joined), row.id


def _versions(rows: Iterable[Row], names: tuple[str, ...]) -> dict[str, RowKept]:
    current: dict[str, int] = {}
    says: dict[str, dict[int, dict[str, object]]] = {}
    standing: dict[str, object] = {}
    cannot: dict[str, dict[int, str]] = {}
    for row_id, version, superseded_at, *values, unread in rows:
        if unread is not None:
            cannot.setdefault(row_id, {})[_number(version)] = unread
        told = {name: _listed(value) for name, value in zip(names, values, strict=True)}
        says.setdefault(row_id, {})[_number(version)] = told
        current.setdefault(row_id, _NO_VERSION)
        if superseded_at is None:
            current[row_id], standing[row_id] = _number(version), told.get("standing")
    revoked = Standing.REVOKED.value
    return {
        row_id: RowKept(version, standing.get(row_id) == revoked, says[row_id], unread=cannot.get(row_id, {}))
        for row_id, version in current.items()
    }


def _sets(rows: Iterable[Row]) -> RowKept:
    """Return a member's sets: what is in force beside the newest and is older, nothing says to be so."""
    says: dict[int, dict[str, object]] = {}
    in_force: list[int] = []
    for member, number, in_force_at, ended_at, set_id, guards, examples, _ in rows:
        is_text = isinstance(guards, str) and isinstance(examples, str)
        digest = NationalText(guards, examples).digest(member) if is_text else None
        says[_number(number)] = {"set": set_id, "digest": digest, "in_force_beside": ()}
        if in_force_at is not None and ended_at is None:
            in_force.append(_number(number))
    version = max(in_force, default=_NO_VERSION)
    if len(in_force) > 1:
        in_force.remove(version)
        says[version]["in_force_beside"] = tuple(sorted(in_force))
    return RowKept(version, says=says)


def _parties(rows: Iterable[Row]) -> dict[str, RowKept]:
    current: dict[str, int] = {}
    says: dict[str, dict[int, dict[str, object]]] = {}
    cannot: dict[str, dict[int, str]] = {}
    for row_id, version, superseded_at, edition, text, member, state, leaves_at, unread in rows:
        if unread is not None:
            cannot.setdefault(row_id, {})[_number(version)] = unread
        of_version = says.setdefault(row_id, {}).setdefault(
            _number(version), {"text": TextTold(_number(edition), text)}
        )
        if member is not None:
            of_version[f"party {as_text(member)}"] = state
            of_version[f"leaving {as_text(member)}"] = _moment(leaves_at)
        current.setdefault(row_id, _NO_VERSION)
        if superseded_at is None:
            current[row_id] = _number(version)
    return {
        row_id: RowKept(version, says=says[row_id], unread=cannot.get(row_id, {}))
        for row_id, version in current.items()
    }


def _is_altered(facts: object, digest: object) -> bool:
    """Return whether the facts of a class are not those that its digest names; a class that is gone has none."""
    if facts is None:
        return False
    try:
        return class_digest(class_from_json(json.loads(str(facts)))) != digest
    except (*UNREADABLE, *_NO_JSON):
        return True


def _said_of(facts: object) -> dict[str, object]:
    """Return what a release class says that entries about its reports say too."""
    read = _json(facts)
    label = read.get("label")
    named = label if isinstance(label, dict) else {}
    said = {name: read.get(name) for name in ("agreement", "scope", "originator")}
    return {**said, "level": named.get("classification"), "policy": named.get("policy")}


def _recipients(facts: object) -> frozenset[str]:
    consents = _json(facts).get("consents", [])
    listed = consents if isinstance(consents, list) else []
    return frozenset(str(each.get("member")) for each in listed if isinstance(each, dict))


def _listed(value: object) -> object:
    """Return a JSON list as the set that it is, and anything else as it stands."""
    if not isinstance(value, str) or not value.startswith("["):
        return value
    try:
        return tuple(sorted(json.loads(value)))
    except _NO_JSON:
        return value


def _json(value: object) -> dict[str, Any]:
    try:
        read = json.loads(str(value))
    except _NO_JSON:
        return {}
    return read if isinstance(read, dict) else {}


def _as_said(column: Column[Any], value: object) -> object:
    return _moment(value) if isinstance(column.type, BigInteger) else value


def _moment(value: object) -> object:
    if value is None:
        return ""
    try:
        return rfc3339(from_micros(value)) if isinstance(value, int) else value
    except OverflowError:
        return value


def _in_base64(value: object) -> object:
    # A text of the same bytes verifies nothing.
    return base64.b64encode(value).decode() if isinstance(value, bytes) and not isinstance(value, NoText) else value


def _number(value: object) -> int:
    return value if isinstance(value, int) else _NO_VERSION
