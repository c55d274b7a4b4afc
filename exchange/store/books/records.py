"""Between rows and members, clients and release classes. What is read back is checked as strictly as what comes in."""

from collections.abc import Iterable
from datetime import datetime
from typing import Protocol

import orjson

from exchange.kernel import from_micros, to_micros
from exchange.members import Clearance, Client, ClientId, Member, MemberCode, Role, Standing
from exchange.release import class_from_json
from exchange.store.database.dialect import Row
from exchange.store.rows.main_rows import ClassRow
from exchange.store.rows.shapes import each_in, id_in, member_in, number_in, text_in
from exchange.store.rows.unread import UnreadRow
from exchange.store.tables.main_tables import ClientTable, MemberTable


class MemberColumns(Protocol):
    """A member's columns under their names."""

    code: str
    version: int
    name: str
    standing: str


def member_of(row: MemberColumns) -> Member:
    """Return the member in a row."""
    return Member(MemberCode(member_in(row.code)), number_in(row.version), text_in(row.name), Standing(row.standing))


def unread_member(row: MemberColumns) -> UnreadRow:
    """Return which member a row is of that cannot be read."""
    return UnreadRow(f"member {row.code}", frozenset({row.code}))


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
        id=ClientId(id_in(row.id)),
        version=number_in(row.version),
        name=text_in(row.name),
        member=MemberCode(member_in(row.member)),
        agency=text_in(row.agency),
        roles=frozenset(map(Role, each_in(text_in, orjson.loads(row.roles)))),
        clearance=Clearance(
            level=text_in(row.level),
            compartments=each_in(text_in, orjson.loads(row.compartments)),
            since=from_micros(row.cleared_since),
            until=None if until is None else from_micros(until),
        ),
        nationality=text_in(row.nationality),
        purposes=each_in(text_in, orjson.loads(row.purposes)),
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


def class_row(row: Row) -> ClassRow:
    """Return the release class in a row (id, digest, facts)."""
    class_id, digest, facts = row
    return ClassRow(id=class_id, version=class_id, digest=digest, facts=class_from_json(orjson.loads(facts)))


def _json_list(values: Iterable[str]) -> str:
    return orjson.dumps(list(values)).decode()
