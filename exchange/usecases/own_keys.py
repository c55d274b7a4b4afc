"""Whether the keys here are those that this database was sealed under, asked before anything more is sealed.

A key file of another instance wraps and unwraps as well as the right one. What is sealed under it opens nowhere else,
and is lost once the right file is back.
"""

from typing import Final

from exchange.crypto import OpeningError, header_context, personal_context
from exchange.custody import Custodian, KeyMissingError, Wrapped
from exchange.kernel import UnavailableError
from exchange.store import KeptKind, KeptRow, SealedDeclaration
from exchange.usecases.context import Services

_LOOKED_AT: Final = 5
"""Rows of each kind: a damaged one among them must not keep everything from being served."""

_ANY_VERSION: Final = 2**31 - 1

_NOT_ITS_KEYS: Final = (
    "the key file here is of another instance: nothing that was looked at in the database opens with it; "
    "put its own back, from the escrow or from another node"
)


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
        wrapped = Wrapped(sealed.key_id, sealed.key_version, sealed.suite, sealed.blob)
        await custodian.unwrap(wrapped, personal_context(place, *row.bound))
    else:
        header = SealedDeclaration("", sealed.key_id, sealed.key_version, sealed.suite, sealed.blob)
        await custodian.open_headers([(header, header_context(place, *row.bound))])
