"""Personal data in the log: what keeps it, how an auditor finds it by address, and who may read it again.

Entries hold it encrypted (see `audit.personal`). The exchange's auditors may read all of it, a member's auditor that of
its own member's clients; everybody else sees the entry without it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import assert_never

from exchange.audit import Entry, PersonalData, Unrevealed, open_personal
from exchange.crypto import CryptoError, OpeningError, PersonalKey, SearchTokens, derive_key, personal_context
from exchange.custody import Custodian, KeyMissingError
from exchange.members import EXCHANGE_MEMBER, Client, Role
from exchange.store import PersonalCustody, PersonalKeyRow, Sealed
from exchange.usecases.steps.context import Services
from exchange.usecases.steps.sealing import as_stored, as_wrapped

Revealed = PersonalData | Unrevealed | None
"""Personal data; why it is not shown; None where the entry holds none, or none that the reader may see."""

_KEY_NAME = "personal-data"
_SEARCH_LABEL = "exchange audit search tokens"


def personal_custody(custodian: Custodian, cursor_key: bytes, *, period_months: int = 1) -> PersonalCustody:
    """Return what keeps personal data in the store: keys wrapped by `custodian` under a key of their own purpose."""

    async def wrap(data_key: bytes, context: bytes) -> Sealed:
        return as_stored(await custodian.wrap(_KEY_NAME, data_key, context))

    return PersonalCustody(wrap, _search_key(cursor_key), period_months)


def search_tokens(services: Services) -> SearchTokens:
    """Return the tokens by which entries are searched for an address or a thumbprint."""
    return SearchTokens(_search_key(services.cursor_key))


def may_reveal(auditor: Client, entry: Entry) -> bool:
    """Return whether `auditor` may read the personal data in `entry`."""
    if not auditor.is_active or Role.AUDITOR not in auditor.roles:
        return False
    is_own = entry["actor"]["kind"] == "client" and entry.get("member") == auditor.member
    return auditor.member == EXCHANGE_MEMBER or is_own


async def reveal_personal(services: Services, entries: Sequence[Entry], auditor: Client) -> list[Revealed]:
    """Return the personal data of each of `entries`, in order, as far as `auditor` may read it.

    Reading it is the caller's to record. Raises UnavailableError where store or custody cannot answer.
    """
    kids = {entry["pii"]["kid"] for entry in entries if "pii" in entry and may_reveal(auditor, entry)}
    if not kids:
        return [None] * len(entries)
    rows = await services.store.personal_keys(sorted(kids))
    keys = {kid: await _unwrapped(services, rows.get(kid)) for kid in kids}
    return [_revealed(entry, keys) for entry in entries]


def personal_as_json(revealed: Revealed) -> dict[str, str] | str | None:
    """Return personal data as JSON shows it: its fields, `erased` or `damaged`, or None."""
    match revealed:
        case None:
            return None
        case Unrevealed():
            return revealed.value
        case PersonalData():
            return {field: value for field, value in asdict(revealed).items() if value is not None}
        case other:
            assert_never(other)


async def _unwrapped(services: Services, row: PersonalKeyRow | None) -> PersonalKey | Unrevealed:
    if row is None:
        return Unrevealed.DAMAGED
    if row.key is None:
        return Unrevealed.ERASED
    try:
        context = personal_context(row.kid, row.subject, row.period, row.boot)
        return PersonalKey(row.kid, await services.custodian.unwrap(as_wrapped(row.key), context))
    except (CryptoError, KeyMissingError):
        return Unrevealed.DAMAGED


def _revealed(entry: Entry, keys: Mapping[str, PersonalKey | Unrevealed]) -> Revealed:
    # Whose it may not be, its key was not asked for.
    key = keys.get(entry["pii"]["kid"]) if "pii" in entry else None
    if key is None or isinstance(key, Unrevealed):
        return key
    try:
        return open_personal(entry, key)
    except OpeningError:
        return Unrevealed.DAMAGED


def _search_key(cursor_key: bytes) -> bytes:
    return derive_key(cursor_key, _SEARCH_LABEL)
