"""Keys of signatories: enrolled by the operator of their member, retired, listed.

A key is enrolled with the proof that its holder has the private half. It names one signatory for ever; what it signed
stands when it is retired.
"""

import base64
from dataclasses import dataclass
from functools import partial

from exchange.agreements import SignatoryKey
from exchange.audit import Detail, EventName, Outcome, Subject, in_pieces
from exchange.crypto import CryptoError, ObjectSignature, ObjectVerifyingKey
from exchange.kernel import ConflictError, Fault, InvalidError, NotFoundError
from exchange.members import Role
from exchange.store import Unread
from exchange.usecases.members.clients import visible_client
from exchange.usecases.steps.authenticate import admit_or_host
from exchange.usecases.steps.context import Call, Recorded, Services
from exchange.usecases.steps.recording import draft, named, on_record
from exchange.usecases.steps.taken_away_again import SaidByRowError, taken_away
from exchange.usecases.steps.told_entries import is_any_naming
from exchange.usecases.steps.unread import record_unread


@dataclass(frozen=True, slots=True)
class OfferedKey:
    """Public keys as they come in, and the proof that their holder has the private ones."""

    ed25519: bytes
    ml_dsa_65: bytes
    proof: ObjectSignature


async def enrol_signatory_key(
    services: Services, call: Call, client_id: str, offered: OfferedKey
) -> Recorded[SignatoryKey]:
    """Enrol a key for a signatory, as the operator of its member or of the exchange.

    Raises NotFoundError for a client that the caller does not see, InvalidError for keys that are none or unproven,
    ConflictError for a client that is no signatory and for a key that is or was anybody's.
    """
    event = EventName.SIGNATORY_KEY_ENROLLED
    operator = await admit_or_host(services, call, Role.OPERATOR, event=event)
    attempt = draft(call, operator, event, Outcome.REFUSED, subject=named("client", client_id))
    async with on_record(services, attempt), services.store.unit_of_work() as unit:
        client = await visible_client(unit, operator, client_id)
        key = _proven(offered)
        if not client.is_active or Role.SIGNATORY not in client.roles:
            raise ConflictError("this client is no active signatory: only signatories sign", code="no-signatory")
        detail: Detail = {
            "key": key.key_id,
            "ed25519": base64.b64encode(key.ed25519.raw).decode(),
            "ml_dsa_65": in_pieces(base64.b64encode(key.ml_dsa_65.raw).decode()),
        }
        subject = Subject("client", client.id, client.version)
        entry = draft(call, operator, event, Outcome.PERMITTED, subject=subject, owner=client.member, detail=detail)
        receipt = await unit.record(entry)
        enrolled = SignatoryKey(
            key=key,
            client=client.id,
            member=client.member,
            enrolled_at=call.now,
            enrolled_by=None if operator is None else operator.id,
            entry=receipt.entry,
        )
        await unit.signatory_keys().add(enrolled)
    return Recorded(enrolled, receipt)


async def retire_signatory_key(
    services: Services, call: Call, client_id: str, key_id: str
) -> Recorded[tuple[SignatoryKey, ...]]:
    """End the use of a signatory's key from the next signature on, and return the keys that it ever had."""
    event = EventName.SIGNATORY_KEY_RETIRED
    operator = await admit_or_host(services, call, Role.OPERATOR, event=event)
    attempt = draft(call, operator, event, Outcome.REFUSED, subject=named("client", client_id))

    async def retire(*, is_again: bool) -> Recorded[tuple[SignatoryKey, ...]]:
        async with services.store.unit_of_work() as unit:
            client = await visible_client(unit, operator, client_id)
            keys = unit.signatory_keys()
            found = await keys.find(key_id, for_update=True)
            refusal = NotFoundError("the client uses no such key")
            if found is None or found.client != client.id:
                raise refusal
            if found.retired_at is not None and not is_again:
                said = {"subject": client.id, "field": "key", "of": key_id}
                raise SaidByRowError(refusal, partial(is_any_naming, services, event, **said))
            await keys.retire(key_id)
            subject, detail = Subject("client", client.id, client.version), Detail(key=key_id)
            entry = draft(call, operator, event, Outcome.PERMITTED, subject=subject, owner=client.member, detail=detail)
            receipt = await unit.record(entry)
            left = tuple(await keys.of_client(client.id, Unread()))
        return Recorded(left, receipt)

    return await taken_away(services, attempt, retire)


async def list_signatory_keys(services: Services, call: Call, client_id: str) -> Recorded[tuple[SignatoryKey, ...]]:
    """Return the keys that a signatory ever had, to its own member and to operators who see it."""
    event = EventName.SIGNATORY_KEY_LISTED
    caller, unread = await admit_or_host(services, call, event=event), Unread()
    attempt = draft(call, caller, event, Outcome.REFUSED, subject=named("client", client_id))
    async with on_record(services, attempt), services.store.unit_of_work() as unit:
        client = await visible_client(unit, caller, client_id)
        keys = tuple(await unit.signatory_keys().of_client(client.id, unread))
        entry = draft(call, caller, event, Outcome.PERMITTED, subject=Subject("client", client.id), owner=client.member)
        receipt = await unit.record(entry)
    # They are the client's, and it is the caller's to see.
    unopened = await record_unread(services, unread, caller, is_own=True)
    return Recorded(keys, receipt, unopened)


def _proven(offered: OfferedKey) -> ObjectVerifyingKey:
    try:
        key = ObjectVerifyingKey.from_raw(offered.ed25519, offered.ml_dsa_65)
        key.verify_possession(offered.proof)
    except CryptoError as exc:
        raise InvalidError("the key cannot be enrolled so", (Fault("/proof", "bad-key", exc.message),)) from exc
    return key
