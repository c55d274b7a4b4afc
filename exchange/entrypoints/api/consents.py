"""What an answer says of any request for the originator's consent, and what became of it."""

from datetime import datetime
from typing import TypedDict

from exchange.audit.strict_text import base64_text
from exchange.store import ConsentState
from exchange.usecases import DerivationView, OnwardView
from exchange.wire import ConsentStateName


class ConsentFields(TypedDict):
    """The fields that the answers about both kinds have."""

    id: str
    report: str
    originator: str
    reason: str
    state: ConsentStateName
    requester: str
    requested_at: datetime
    decided_at: datetime | None
    conditions: str | None
    grant: str | None
    act: str | None
    decided_by: str | None
    withdrawn_at: datetime | None


def consent_fields(view: OnwardView | DerivationView) -> ConsentFields:
    """Return what is told of a request, whatever it asks for."""
    row = view.row
    is_withdrawn = row.state is ConsentState.WITHDRAWN
    return ConsentFields(
        id=row.id,
        report=row.report,
        originator=row.originator,
        reason=row.wish.reason,
        state=_state(row.state),
        requester=row.requester,
        requested_at=row.asked_at,
        decided_at=None if is_withdrawn else row.decided_at,
        conditions=row.conditions,
        grant=None if row.note is None else base64_text(row.note),
        act=view.act,
        decided_by=None if is_withdrawn or view.is_requesters else row.decided_by,
        withdrawn_at=row.decided_at if is_withdrawn else None,
    )


def _state(state: ConsentState) -> ConsentStateName:
    # INVARIANT: no word that clients from before do not know: they could not read the list any more.
    return "lapsed" if state is ConsentState.WITHDRAWN else state.value
