"""Whether the keys here are those that this database was sealed under, asked before anything more is sealed.

A key file of another instance wraps and unwraps as well as the right one. What is sealed under it opens nowhere else,
and is lost once the right file is back.

Nodes hold one cursor key. One with another refuses the places that the others gave, posts again what they have posted,
and takes consents for forged; so the first that starts keeps a fingerprint of it, which the others look at.
"""

from typing import Final

from exchange.audit import Detail, EventName, Outcome
from exchange.crypto import OpeningError, derive_key, header_context, personal_context
from exchange.custody import Custodian, KeyMissingError
from exchange.kernel import ConflictError, InvalidError, UnavailableError
from exchange.store import KeptKind, KeptRow
from exchange.usecases.steps.context import Call, Recorded, Services
from exchange.usecases.steps.recording import draft
from exchange.usecases.steps.sealing import as_wrapped
from exchange.usecases.upkeep.kept_keys import opened_header

_LOOKED_AT: Final = 5
"""Rows of each kind: a damaged one among them must not keep everything from being served."""

_ANY_VERSION: Final = 2**31 - 1

_NOT_ITS_KEYS: Final = (
    "the key file here is of another instance: nothing that was looked at in the database opens with it: "
    "put its own back, from the escrow or from another node"
)

_FINGERPRINT_BYTES: Final = 8
"""Enough to tell keys apart that nobody chose; too little to know by it alone that a guess was right."""


async def hold_shared_key(services: Services) -> None:
    """Keep the fingerprint of the cursor key for the nodes to come, where none is kept: the first start's counts."""
    if await services.store.shared_keys.fingerprint() is not None:
        return
    try:
        async with services.store.unit_of_work() as unit:
            await unit.shared_keys().begin(_fingerprint(services))
    except ConflictError:
        return  # another node was first, and its key is compared with


async def require_shared_key(services: Services) -> None:
    """Raise UnavailableError where the nodes of this database hold another cursor key than the one here."""
    held, own = await services.store.shared_keys.fingerprint(), _fingerprint(services)
    if held not in (None, own):
        raise UnavailableError(
            f"the cursor key here (fingerprint {own}) is not the one that nodes of this database hold ({held}): put "
            "theirs in its place, from one of them or from the escrow; where nobody has it any more, "
            "`exchange keys accept --reason WHY`, then this one to every node"
        )


async def accept_shared_key(services: Services, call: Call, reason: str) -> Recorded[str]:
    """Take the cursor key here for the one that nodes hold from now on; return its fingerprint.

    Raises InvalidError where it is that already.
    """
    held, own = await services.store.shared_keys.fingerprint(), _fingerprint(services)
    if held in (None, own):
        raise InvalidError(
            "the cursor key here is the one that nodes of this database hold: there is nothing to accept"
        )
    async with services.store.unit_of_work() as unit:
        await unit.shared_keys().replace(own)
        detail: Detail = {"key": "cursor", "reason": reason}
        receipt = await unit.record(draft(call, None, EventName.KEY_ACCEPTED, Outcome.PERMITTED, detail=detail))
    return Recorded(own, receipt)


def _fingerprint(services: Services) -> str:
    # INVARIANT: one way, from 32 random bytes: who reads the database comes no nearer to the key.
    return derive_key(services.cursor_key, "exchange cursor key fingerprint")[:_FINGERPRINT_BYTES].hex()


async def require_own_keys(services: Services) -> None:
    """Raise UnavailableError where nothing of what was sealed first opens, and it is not for lack of a version.

    What stands longest is looked at: what a wrong key sealed came later. An empty database is anybody's.
    """
    unopened = 0
    for row in await _first_sealed(services):
        try:
            await _open(services.custodian, row)
        except KeyMissingError:
            continue  # a version that another node has: its rows are answered with 503 until it comes
        except OpeningError:
            unopened += 1
        else:
            return
    if unopened:
        raise UnavailableError(_NOT_ITS_KEYS)


async def _first_sealed(services: Services) -> list[KeptRow]:
    rows: list[KeptRow] = []
    for kind in (KeptKind.PERSONAL_KEY, KeptKind.REPORT_HEADER):
        async with services.store.unit_of_work() as unit:
            rows += await unit.kept_keys().older(kind, _ANY_VERSION, after=None, limit=_LOOKED_AT)
    return rows


async def _open(custodian: Custodian, row: KeptRow) -> None:
    place, (sealed,) = str(row.place[0]), row.seals
    if row.kind is KeptKind.PERSONAL_KEY:
        await custodian.unwrap(as_wrapped(sealed), personal_context(place, *row.bound))
    else:
        await opened_header(custodian, sealed, header_context(place, *row.bound))
