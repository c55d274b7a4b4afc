"""The keys of signatories and their signatures, within a unit of work."""

from typing import Any

from sqlalchemy import select, update
from sqlmodel import col

from exchange.agreements import SignatoryKey, TextSignature
from exchange.crypto import ObjectVerifyingKey
from exchange.kernel import ConflictError, MalformedError, from_micros, to_micros
from exchange.store.books.book import Book
from exchange.store.rows.shapes import id_in, member_in
from exchange.store.rows.unread import Unread, UnreadRow, read_alone
from exchange.store.tables.treaty_tables import AgreementSignatureTable, SignatoryKeyTable


class SignatoryKeys(Book):
    """Loads and writes within one unit of work, which it tells of every write."""

    async def find(self, key_id: str, *, for_update: bool = False) -> SignatoryKey | None:
        """Return the keys of that name, in use or retired; `for_update` holds them to the end of the unit."""
        row = await self._session.get(SignatoryKeyTable, key_id, with_for_update=for_update)
        return None if row is None else read_alone(row, _key_of, f"key {key_id}")

    async def of_client(self, client_id: str, unread: Unread) -> list[SignatoryKey]:
        """Return every key that a client ever had, the oldest first, without those that cannot be read."""
        found = select(SignatoryKeyTable).where(col(SignatoryKeyTable.client_id) == client_id)
        order = (col(SignatoryKeyTable.enrolled_at), col(SignatoryKeyTable.key_id))
        return unread.each(await self._session.scalars(found.order_by(*order)), _key_of, _unread_key)

    async def add(self, key: SignatoryKey) -> None:
        """Add a key; ConflictError for one that is or was anybody's."""
        if await self._session.get(SignatoryKeyTable, key.key.key_id) is not None:
            # INVARIANT: a key names one signatory for ever, or old signatures would name another one.
            raise ConflictError("this key is enrolled, or was: make a new one")
        self._note_law()
        self._session.add(
            SignatoryKeyTable(
                key_id=key.key.key_id,
                client_id=key.client,
                member=key.member,
                ed25519=key.key.ed25519.raw,
                ml_dsa_65=key.key.ml_dsa_65.raw,
                enrolled_at=to_micros(key.enrolled_at),
                enrolled_by=key.enrolled_by,
                entry=key.entry,
            )
        )
        await self._session.flush()

    async def retire(self, key_id: str) -> None:
        """End the use of a key: what it signed stands."""
        self._note_law()
        which = (col(SignatoryKeyTable.key_id) == key_id, col(SignatoryKeyTable.retired_at).is_(None))
        await self._session.execute(update(SignatoryKeyTable).where(*which).values(retired_at=to_micros(self._now)))

    async def add_signature(self, agreement_id: str, signature: TextSignature) -> None:
        """Keep a signature that was checked, with the text that it is under."""
        self._note_law()
        self._session.add(
            AgreementSignatureTable(
                **signature_columns(agreement_id, signature), signed_at=to_micros(signature.signed_at)
            )
        )
        await self._session.flush()

    async def signature_keys(self, texts: list[str], unread: Unread) -> list[SignatoryKey]:
        """Return the keys that texts were signed with; those that cannot be read, or are gone, are noted."""
        signature, key = AgreementSignatureTable, SignatoryKeyTable
        is_of = col(key.key_id) == col(signature.key_id)
        asked = select(col(signature.key_id), key).join(key, is_of, isouter=True)
        rows = await self._session.execute(asked.where(col(signature.text).in_(texts)).order_by(col(signature.key_id)))
        used: dict[str, SignatoryKeyTable | None] = {row[0]: row[1] for row in rows}
        return unread.each(used.items(), lambda each: _used_key(each[1]), lambda each: UnreadRow(f"key {each[0]}"))


def _used_key(row: SignatoryKeyTable | None) -> SignatoryKey:
    if row is None:
        raise MalformedError("a signature's key is gone")
    return _key_of(row)


def _unread_key(row: SignatoryKeyTable) -> UnreadRow:
    return UnreadRow(f"key {row.key_id}", frozenset({row.member}))


def _key_of(row: SignatoryKeyTable) -> SignatoryKey:
    key = ObjectVerifyingKey.from_raw(row.ed25519, row.ml_dsa_65)
    if key.key_id != row.key_id:
        # INVARIANT: a name and the key that it is of stand or fall together.
        raise MalformedError("a signatory's key has another key's name")
    return SignatoryKey(
        key=key,
        client=id_in(row.client_id),
        member=member_in(row.member),
        enrolled_at=from_micros(row.enrolled_at),
        enrolled_by=None if row.enrolled_by is None else id_in(row.enrolled_by),
        entry=id_in(row.entry),
        retired_at=None if row.retired_at is None else from_micros(row.retired_at),
    )


def signature_columns(agreement_id: str, signature: TextSignature) -> dict[str, Any]:
    """Return what a signature, or the statement that one holds no more, has in its row beside its moment."""
    return {
        "text": signature.text,
        "member": signature.member,
        "agreement_id": agreement_id,
        "signatory": signature.signatory,
        "key_id": signature.key.key_id,
        "ed25519": signature.signature.ed25519,
        "ml_dsa_65": signature.signature.ml_dsa_65,
    }
