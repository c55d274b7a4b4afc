"""Consultations and disputes under an agreement: opened, answered, settled, each act by a signatory for its member.

A matter is between the members that it names, and to any other one it does not exist. What was said is kept; the log
has its digest, so that nobody can say later that other words were spoken, and it is shown as the log bears it out. It
is no report: nothing in it is protected by a label, and nothing classified belongs there.
"""

import hashlib
from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial

from exchange.agreements import Agreement, Matter, MatterKind, Said, Speech, is_party, require_speech
from exchange.audit import Detail, EntryDraft, EventName, Outcome, Subject
from exchange.kernel import ConflictError, Fault, InvalidError, NotFoundError, new_id
from exchange.members import Client, Role
from exchange.store import UnitOfWork, Unread
from exchange.usecases.agreements.agreements import last_text_of
from exchange.usecases.promises.list_breaches import may_know
from exchange.usecases.promises.told_breaches import is_borne_out
from exchange.usecases.promises.told_consultations import about, borne_out, require_borne_out, told_of_matters
from exchange.usecases.steps.authenticate import authenticate
from exchange.usecases.steps.context import Call, Recorded, Services
from exchange.usecases.steps.judging import sought_id
from exchange.usecases.steps.recording import draft, named, on_record
from exchange.usecases.steps.unread import record_unread

MOST_UNANSWERED = 20
"""Of one client, under one agreement: each stands in what all whom it names are shown."""


@dataclass(frozen=True, slots=True)
class NewMatter:
    """What to open: with which other parties, about which breach (None: none).

    With none named it is with all that have not left; to who has left itself, that had not when it did.
    """

    kind: MatterKind
    text: str
    members: tuple[str, ...] = ()
    breach: str | None = None


async def open_consultation(services: Services, call: Call, agreement_id: str, new: NewMatter) -> Recorded[Matter]:
    """Open a consultation or dispute for the calling signatory's member.

    Raises NotFoundError alike for an absent agreement and a foreign one, InvalidError for members that are no parties
    and for a breach that the caller knows nothing of, or that is not between those that are named, ConflictError where
    too much that the caller opened waits for an answer already.
    """
    event = EventName.CONSULTATION_OPENED
    client = await authenticate(services, call, Role.SIGNATORY, event=event)
    attempt = draft(call, client, event, Outcome.REFUSED, subject=named("agreement", agreement_id))
    async with on_record(services, attempt), services.store.unit_of_work() as unit:
        agreement = await last_text_of(unit, client, agreement_id)
        members = _members(call, client, agreement, new.members)
        await _require_breach(services, unit, call, client, agreement=agreement, new=replace(new, members=members))
        await _require_answers(unit, call, client, agreement.id)
        said = Said(client.member, client.id, Speech.OPEN, new.text, call.now)
        matter = Matter(new_id(call.now, services.randomness), agreement.id, new.kind, members, new.breach, (said,))
        receipt = await unit.record(_entry(call, client, event, matter, said))
        matter = replace(matter, said=(replace(said, entry=receipt.entry),))
        await unit.consultations().add(matter)
    return Recorded(matter, receipt)


async def list_consultations(services: Services, call: Call, agreement_id: str) -> Recorded[tuple[Matter, ...]]:
    """Return the consultations and disputes of an agreement that name the calling signatory's member, oldest first."""
    event = EventName.CONSULTATION_LISTED
    client = await authenticate(services, call, Role.SIGNATORY, event=event)
    attempt, unread = draft(call, client, event, Outcome.REFUSED, subject=named("agreement", agreement_id)), Unread()
    async with on_record(services, attempt):
        async with services.store.unit_of_work() as unit:
            agreement = await last_text_of(unit, client, agreement_id)
            kept = await unit.consultations().of_agreement(agreement.id, client.member, unread)
        # Between the units: however much the log and its archive have of it, whoever writes does not wait for them.
        told = await told_of_matters(services, agreement.id)
        async with services.store.unit_of_work() as unit:
            await last_text_of(unit, client, agreement_id)
            named_in = [each for each in kept if client.member in each.members]
            found = await borne_out(
                services, unit, client.member, agreement.id, kept=named_in, told=told, unread=unread
            )
            shown = tuple([await _shown_to(services, unit, call, client, each) for each in found])
            entry = draft(call, client, event, Outcome.PERMITTED, subject=named("agreement", agreement.id))
            receipt = await unit.record(entry)
    return Recorded(shown, receipt, await record_unread(services, unread, client))


async def answer_consultation(services: Services, call: Call, matter_id: str, text: str) -> Recorded[Matter]:
    """Answer for the calling signatory's member; NotFoundError alike for what is absent and what does not name it."""
    return await _speak(services, call, matter_id, (Speech.ANSWER, text), event=EventName.CONSULTATION_ANSWERED)


async def settle_consultation(services: Services, call: Call, matter_id: str, text: str) -> Recorded[Matter]:
    """Agree, for the calling signatory's member, to settle it with these words."""
    return await _speak(services, call, matter_id, (Speech.SETTLE, text), event=EventName.CONSULTATION_SETTLED)


async def _speak(
    services: Services, call: Call, matter_id: str, words: tuple[Speech, str], *, event: EventName
) -> Recorded[Matter]:
    client = await authenticate(services, call, Role.SIGNATORY, event=event)
    attempt = draft(call, client, event, Outcome.REFUSED, subject=named("consultation", matter_id))
    async with on_record(services, attempt), services.store.unit_of_work() as unit:
        # Held to the end: two who speak at once speak one after the other.
        matter = await _own_matter(unit, client, matter_id)
        await require_borne_out(services, matter)
        require_speech(matter, client.member, words[0])
        said = Said(client.member, client.id, words[0], words[1], call.now)
        receipt = await unit.record(_entry(call, client, event, matter, said))
        said = replace(said, entry=receipt.entry)
        await unit.consultations().say(matter, said)
        spoken = await _shown_to(services, unit, call, client, replace(matter, said=(*matter.said, said)))
    return Recorded(spoken, receipt)


async def _own_matter(unit: UnitOfWork, client: Client, matter_id: str) -> Matter:
    matter = await unit.consultations().one(sought_id(matter_id))
    if matter is None or client.member not in matter.members:
        raise NotFoundError("no such consultation, or none that names your member")
    return matter


async def _require_answers(unit: UnitOfWork, call: Call, client: Client, agreement_id: str) -> None:
    """Raise ConflictError where too much that the client opened waits for others already."""
    since = call.now - timedelta(days=1)
    message = f"{MOST_UNANSWERED} consultations and disputes that you opened here wait for another party's answer"
    full, book = ConflictError(message, code="too-many-waiting"), unit.consultations()
    unanswered = partial(book.unanswered, agreement_id, client, settled_since=since)
    await unit.require_room(client, unanswered, MOST_UNANSWERED, full)


def _members(call: Call, client: Client, agreement: Agreement, others: Collection[str]) -> tuple[str, ...]:
    # Whoever was bound by the same text, before one of the two left too.
    parties = tuple(dict.fromkeys(member for terms in agreement.texts for member in terms.parties))
    faults = [
        Fault(f"/members/{index}", "not-a-party", "name parties of the agreement")
        for index, member in enumerate(others)
        if member not in parties
    ]
    if faults:
        raise InvalidError("nothing can be opened so", tuple(faults))
    # Who has left is spoken with where it is named, and is told of nothing that was said to all.
    own = agreement.party(client.member)
    # INVARIANT: who has left itself is told by none of it who of the others left since.
    moment = call.now if own is None or own.leaves_at is None else min(own.leaves_at, call.now)
    present = [member for member in agreement.terms.parties if is_party(agreement, member, moment)]
    named_members = {client.member, *(others or present)}
    if len(named_members) == 1:
        fault = Fault("/members", "invalid-value", "name another party than your own")
        raise InvalidError("nothing can be opened so", (fault,))
    return tuple(member for member in parties if member in named_members)


async def _require_breach(  # noqa: PLR0913  who opens what, about what
    services: Services, unit: UnitOfWork, call: Call, client: Client, *, agreement: Agreement, new: NewMatter
) -> None:
    """Raise InvalidError alike for a breach that is absent, of others, or above the caller's clearance."""
    if new.breach is None:
        return
    row = await unit.breaches().one(new.breach)
    is_known = row is not None and row.agreement == agreement.id and await may_know(services, call, client, row)
    if row is None or not is_known or not await is_borne_out(services, row):
        fault = Fault("/breach", "unknown-breach", "no such breach, or none that you may know of")
        raise InvalidError("nothing can be opened so", (fault,))
    if not set(new.members) <= {row.party, row.owed_to}:
        fault = Fault("/members", "not-concerned", "a breach is between two members: name the other one alone")
        raise InvalidError("nothing can be opened so", (fault,))


async def _shown_to(services: Services, unit: UnitOfWork, call: Call, client: Client, matter: Matter) -> Matter:
    """Return a matter without the breach that it is about, where the caller is not cleared to know of that."""
    if matter.breach is None:
        return matter
    row = await unit.breaches().one(matter.breach)
    is_known = row is not None and await may_know(services, call, client, row)
    return matter if is_known else replace(matter, breach=None)


def _entry(call: Call, client: Client, event: EventName, matter: Matter, said: Said) -> EntryDraft:
    detail: Detail = {
        "consultation": matter.id,
        "kind": matter.kind.value,
        # Whose auditors see it: those of its members.
        "parties": list(matter.members),
        "text": hashlib.sha256(said.text.encode()).hexdigest(),
    }
    if said.speech is Speech.OPEN:
        detail["about"] = about(matter)
    subject = Subject("agreement", matter.agreement)
    return draft(call, client, event, Outcome.PERMITTED, subject=subject, agreement=matter.agreement, detail=detail)
