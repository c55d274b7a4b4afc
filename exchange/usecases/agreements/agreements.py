"""Agreements: propose, show, list; signing is in `signing`, what parties do with their own part in `own_part`.

Who is no party sees no agreement: absent and foreign are one answer. An agreement comes into force by itself; nothing
is run for it.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

from exchange.agreements import (
    Agreement,
    AgreementId,
    AgreementState,
    Surroundings,
    Terms,
    is_known_to,
    is_party,
    parse_agreement,
    propose,
    state_of,
    terms_from_json,
    text_of,
)
from exchange.agreements.strict_yaml import Document
from exchange.audit import Actor, Detail, EventName, Outcome, Receipt, Subject, in_pieces
from exchange.kernel import ConflictError, Fault, InvalidError, new_id
from exchange.members import Client, Role
from exchange.store import UnitOfWork, Unread, UnreadRow
from exchange.store.rows.unread import UnreadRowError
from exchange.usecases.steps.as_it_left import agreement_not_found, as_it_left
from exchange.usecases.steps.authenticate import admit_or_host, kept_to
from exchange.usecases.steps.context import Call, Recorded, Services
from exchange.usecases.steps.judging import sought_id
from exchange.usecases.steps.knowledge import codes_of
from exchange.usecases.steps.recording import draft, named, on_record
from exchange.usecases.steps.unread import record_unread

LONGEST_TEXT_BYTES = 40_000
"""An entry of the log takes 65,535 bytes, and what else it says."""

MOST_UNANSWERED = 20
"""Of one client: each stands in what all its parties are shown, and is gone through whenever they look for gaps."""
MOST_UNANSWERED_OF_MEMBER = 60
"""Of all clients of one member: it may enrol as many as it likes, and with each change of the policy every node reads
every agreement: the longest takes it 6 ms, in which it answers nobody."""

PROPOSING_ROLES = (Role.SIGNATORY, Role.OPERATOR)


@dataclass(frozen=True, slots=True)
class AgreementView:
    """An agreement and where it stands at the time of the call."""

    agreement: Agreement
    state: AgreementState


async def propose_agreement(services: Services, call: Call, document: object) -> Recorded[AgreementView]:
    """Lay an agreement before its parties: a YAML text, or the same as a JSON value.

    Raises InvalidError with every fault (with lines, for YAML); a client may propose only what its own member
    is a party of, operators of the exchange and the host anything.
    """
    event = EventName.AGREEMENT_PROPOSED
    client = await admit_or_host(services, call, *PROPOSING_ROLES, event=event)
    attempt = draft(call, client, event, Outcome.REFUSED)
    async with on_record(services, attempt), services.store.unit_of_work() as unit:
        terms = await read_terms(services, unit, document)
        require_own_agreement(client, terms)
        await _require_answers(unit, call, client)
        agreement = propose(AgreementId(new_id(call.now, services.randomness)), terms)
        text = logged_text(agreement)
        await unit.add_agreement(agreement, proposed_by=None if client is None else client.id)
        receipt = await record_agreement(unit, call, client, event, agreement, told=text)
    return Recorded(AgreementView(agreement, state_of(agreement, call.now)), receipt)


async def _require_answers(unit: UnitOfWork, call: Call, client: Client | None) -> None:
    """Raise ConflictError where too much that the client proposed waits for others already."""
    if client is None or kept_to(client) is None:
        return
    since = call.now - timedelta(days=1)
    message = f"{MOST_UNANSWERED} agreements that you proposed lie before their parties, unsigned by any other"
    unanswered = partial(unit.agreements().unanswered, client, withdrawn_since=since)
    await unit.require_room(client, unanswered, MOST_UNANSWERED, ConflictError(message, code="too-many-waiting"))
    # Not held: of those that come at one moment a few may pass it, which costs nobody anything.
    if await unanswered(of_member=True) >= MOST_UNANSWERED_OF_MEMBER:
        told = (
            f"{MOST_UNANSWERED_OF_MEMBER} agreements that clients of your member proposed lie there unsigned by others"
        )
        raise ConflictError(told, code="too-many-waiting")


async def list_agreements(services: Services, call: Call) -> Recorded[tuple[AgreementView, ...]]:
    """Return the agreements the caller's member is a party of; all to the host and the exchange's operators."""
    event = EventName.AGREEMENT_LISTED
    client, unread = await admit_or_host(services, call, event=event), Unread()
    of = kept_to(client)
    async with services.store.unit_of_work() as unit:
        known = await unit.agreements().all(unread)
        visible = []
        for each in known:
            agreement = await _one_of_all(unit, of, each)
            if agreement is None:
                continue
            try:
                visible.append(await _as_known_to(services, client, agreement, call))
            except UnreadRowError as exc:
                # What it was when the caller's member left cannot be told: of all others it can.
                unread.rows.append(UnreadRow(exc.place, frozenset(agreement.terms.parties)))
        receipt = await unit.record(draft(call, client, event, Outcome.PERMITTED))
    unopened = await record_unread(services, unread, client)
    return Recorded(tuple(AgreementView(each, state_of(each, call.now)) for each in visible), receipt, unopened)


async def show_agreement(services: Services, call: Call, agreement_id: str) -> Recorded[AgreementView]:
    """Return one agreement to a party, the host or an operator of the exchange; to others there is none."""
    event = EventName.AGREEMENT_READ
    client = await admit_or_host(services, call, event=event)
    attempt = draft(call, client, event, Outcome.REFUSED, subject=named("agreement", agreement_id))
    async with on_record(services, attempt), services.store.unit_of_work() as unit:
        agreement = await visible_agreement(unit, client, agreement_id)
        receipt = await record_look(unit, call, client, event, agreement)
        agreement = await _as_known_to(services, client, agreement, call)
    return Recorded(AgreementView(agreement, state_of(agreement, call.now)), receipt)


async def read_terms(services: Services, unit: UnitOfWork, document: object) -> Terms:
    """Return the terms in a YAML text, as it is or as it was read, or in a JSON value.

    Raises InvalidError with every fault, with lines for YAML.
    """
    policies, unread = services.law.catalogue.policies, Unread()
    members = codes_of(await unit.members(unread), unread)

    def levels(policy_id: str) -> tuple[str, ...] | None:
        policy = policies.get(policy_id)
        return None if policy is None else tuple(level.name for level in policy.levels)

    def compartments(policy_id: str) -> frozenset[str]:
        return policies[policy_id].compartments

    around = Surroundings(services.law.vocabulary, levels, compartments, members.__contains__)
    if isinstance(document, str | Document):
        return parse_agreement(document, around)
    return terms_from_json(document, around)


def require_own_agreement(client: Client | None, terms: Terms) -> None:
    """Raise InvalidError where a member's client would propose what its member is no party of."""
    own = kept_to(client)
    if own is not None and own not in terms.parties:
        told = f"your member `{own}` is no party: propose only your own agreements"
        raise InvalidError("the agreement cannot be proposed so", (Fault("/parties", "not-a-party", told),))


async def _one_of_all(unit: UnitOfWork, of: str | None, agreement: Agreement) -> Agreement | None:
    """Return an agreement where `of` may see it: to a member that was left behind, as it was by that."""
    if of is None or agreement.party(of) is not None:
        return agreement
    return await unit.agreements().one(agreement.id, of=of) if is_known_to(agreement, of) else None


async def visible_agreement(
    unit: UnitOfWork,
    client: Client | None,
    agreement_id: str,
    *,
    for_update: bool = False,
    crises_unread: Unread | None = None,
) -> Agreement:
    """Return an agreement that the caller may see; NotFoundError for any other one, as for an absent one.

    Crises of it that cannot be read open nothing, and are noted in `crises_unread`.
    """
    of, sought = kept_to(client), sought_id(agreement_id)
    agreement = await unit.agreements().one(sought, of=of, for_update=for_update, crises_unread=crises_unread)
    if agreement is None:
        raise agreement_not_found()
    return agreement


def sees_all_of(client: Client | None, agreement: Agreement, now: datetime) -> bool:
    """Return whether a caller sees whatever ever was of an agreement: its member is a party, and never was not."""
    of = kept_to(client)
    return of is None or saw_all_of(of, agreement, now)


def saw_all_of(member: str, agreement: Agreement, now: datetime) -> bool:
    """Return whether a member is a party of an agreement, and never was not."""
    gone = [*(each.member for each in agreement.absences), *(each.member for each in agreement.departures)]
    is_in_all = len(agreement.editions_of(member)) == agreement.edition
    return is_party(agreement, member, now) and is_in_all and member not in gone


async def last_text_of(unit: UnitOfWork, client: Client, agreement_id: str) -> Agreement:
    """Return an agreement with the last text that names the caller's member, and those before that name it too.

    So it is known to a member that has left; NotFoundError where no text ever named it.
    """
    editions = await unit.agreements().editions(sought_id(agreement_id), of=client.member)
    own = [each for each in editions if each.party(client.member) is not None]
    if not own:
        raise agreement_not_found()
    return replace(own[-1], earlier=tuple(each.terms for each in own[:-1]))


async def _as_known_to(services: Services, client: Client | None, agreement: Agreement, call: Call) -> Agreement:
    """Return `agreement` as the caller may know it: to a member that has left, as it stood when it left."""
    of = kept_to(client)
    return agreement if of is None else await as_it_left(services, call, of, agreement)


def logged_text(agreement: Agreement) -> Detail:
    """Return the text of `agreement` as the log keeps it, whole; InvalidError where it is longer than an entry takes.

    The log holds what was signed, so that whoever holds the log needs nobody's word for it.
    """
    text = text_of(agreement)
    canonical = text.canonical
    if len(canonical) > LONGEST_TEXT_BYTES:
        message = f"the text has {len(canonical)} bytes: at most {LONGEST_TEXT_BYTES}, so that the log can hold it"
        raise InvalidError("the agreement cannot be proposed so", (Fault("", "too-long", message),))
    return {"text": text.digest, "canonical": in_pieces(canonical.decode())}


async def record_look(  # noqa: PLR0913  who was shown what of which agreement
    unit: UnitOfWork,
    call: Call,
    client: Client | None,
    event: EventName,
    agreement: Agreement,
    *,
    told: Detail | None = None,
) -> Receipt:
    """Record that somebody was shown something of an agreement, or signs it, as `record_agreement` does for a party.

    Of who is none any more, or not yet, the entry tells its own auditor no more than it was shown, and others nothing
    but what `told` says.
    """
    of = kept_to(client)
    if of is None or is_party(agreement, of, call.now):
        return await record_agreement(unit, call, client, event, agreement, told=told or {})
    # INVARIANT: where the others stand since, nothing tells: no state, not who is left, nor how often it moved.
    parties, text = [str(of)], text_of(agreement).digest
    detail: Detail = {"parties": parties, "edition": agreement.edition, "text": text, **(told or {})}
    subject = Subject("agreement", agreement.id)
    entry = draft(call, client, event, Outcome.PERMITTED, subject=subject, agreement=agreement.id, detail=detail)
    return await unit.record(entry)


async def record_agreement(  # noqa: PLR0913  who did what to which agreement
    unit: UnitOfWork,
    call: Call,
    client: Client | None,
    event: EventName,
    agreement: Agreement,
    *,
    told: Detail,
) -> Receipt:
    """Record an act on an agreement, with the digest of the text it stands on.

    The auditors of its parties see it; those of a party that has left see nothing of what was done afterwards.
    With neither client nor host it is what the service itself did.
    """
    detail: Detail = {
        "state": state_of(agreement, call.now).value,
        "parties": [each for each in agreement.terms.parties if is_party(agreement, each, call.now)],
        "edition": agreement.edition,
        "text": text_of(agreement).digest,
        **told,
    }
    entry = draft(
        call,
        client,
        event,
        Outcome.PERMITTED,
        subject=Subject("agreement", agreement.id, agreement.version),
        agreement=agreement.id,
        detail=detail,
    )
    if client is None and not call.is_host:
        entry = replace(entry, actor=Actor(kind="service"))
    return await unit.record(entry)
