"""What every hot answer begins with: the policy state, and whose certificate this is."""

from typing import Any

from sqlalchemy import ColumnElement, and_, bindparam, true
from sqlalchemy.sql.selectable import FromClause

from exchange.store.tables import table

STATE = table("policy_state")
MEMBER = table("member")
CLIENT = table("client")
CERTIFICATE = table("client_certificate")
REPORT = table("report")

STANDING_WIDTH = 7
"""How many columns `standing` has."""

_REPORT_COLUMNS = (
    "seq",
    "id",
    "class_id",
    "version",
    "valid_until",
    "status",
    "key_id",
    "key_version",
    "header_suite",
    "sealed_header",
)

REPORT_WIDTH = len(_REPORT_COLUMNS)


def standing() -> list[ColumnElement[Any]]:
    """Return policy version, class version, policy digest, last sequence number, and the client's id and versions."""
    state = STATE.c
    known = [state.policy_version, state.class_version, state.policy_digest, state.report_seq]
    return [
        *known,
        CLIENT.c.id.label("client_id"),
        CLIENT.c.version.label("client_version"),
        MEMBER.c.version.label("member_version"),
    ]


def whose(askers: FromClause | None = None) -> FromClause:
    """Return the policy state joined with the client of the parameter `thumbprint`; nobody where it is unknown.

    With `askers` it is that for each of them, by the `thumbprint` of its row.
    """
    thumbprint: ColumnElement[Any] = bindparam("thumbprint") if askers is None else askers.c.thumbprint
    used = and_(CERTIFICATE.c.thumbprint == thumbprint, CERTIFICATE.c.removed_at.is_(None))
    client = and_(CLIENT.c.id == CERTIFICATE.c.client_id, CLIENT.c.superseded_at.is_(None))
    member = and_(MEMBER.c.code == CLIENT.c.member, MEMBER.c.superseded_at.is_(None))
    state = STATE if askers is None else askers.join(STATE, true())
    return state.outerjoin(CERTIFICATE, used).outerjoin(CLIENT, client).outerjoin(MEMBER, member)


def report_columns() -> list[ColumnElement[Any]]:
    """Return the columns of `ReportRow`, in its order."""
    return [REPORT.c[name] for name in _REPORT_COLUMNS]
