"""Amend an agreement: propose another text, see in words what it changes and for how many reports, sign it.

Several amendments may lie before the parties; the first one that everybody has signed is the text, and those that
amended the text before are overtaken: they stay to be read, and to be proposed anew. What one changes is told in words,
and counted by `amendment_impact`. Who is no party yet, or has left, is told of nothing but the text that it would sign.
"""

from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from time import monotonic
from typing import Final

from exchange.agreements import (
    TAKING_BACK_PURPOSE,
    Agreement,
    AgreementState,
    Amendment,
    AmendmentState,
    Party,
    PartyState,
    Terms,
    TextSignature,
    TreatyText,
    amended,
    amendment_faults,
    amendment_state,
    conclude,
    differences,
    gone_on_without,
    is_party,
    is_signed,
    require_amendable,
    signatories_of,
    standing_signatures,
    state_of,
    terms_as_json,
    text_of,
)
from exchange.audit import Detail, EventName, Outcome
from exchange.kernel import EPOCH, ConflictError, InvalidError, MalformedError
from exchange.members import Client, Role
from exchange.store import PolicyState, UnitOfWork, Unread, unread_amendment, unread_signature
from exchange.usecases.agreements.agreements import (
    AgreementView,
    logged_text,
    read_terms,
    record_agreement,
    record_look,
    saw_all_of,
    sees_all_of,
)
from exchange.usecases.agreements.amendment_impact import impact_of
from exchange.usecases.agreements.signing import GivenSignature, checked_signature, sign_own_text, told_of
from exchange.usecases.agreements.texts_told import TextsTold
from exchange.usecases.posting.proxies import end_consents
from exchange.usecases.steps.as_it_left import agreement_not_found
from exchange.usecases.steps.authenticate import authenticate, authenticated_row
from exchange.usecases.steps.context import Call, Recorded, Services
from exchange.usecases.steps.recording import draft, named, on_record
from exchange.usecases.steps.slices import MOST_SECONDS, NotCountedYetError
from exchange.usecases.steps.unread import record_unread

MOST_PROPOSED = 20
"""Of one signatory, to one text: whoever looks at what is proposed waits while the reports are counted for each."""
MOST_PROPOSED_OF_MEMBER = 40
"""Of all signatories of one member, to one text: it may enrol as many as it likes."""

_NOTHING_TO_SIGN: Final = "your member has nothing to sign here"


@dataclass(frozen=True, slots=True)
class AmendmentView:
    """An amendment as one party sees it; `signed` are the members that have, of those that have to."""

    agreement: Agreement
    amendment: Amendment
    signatories: tuple[str, ...]
    signed: frozenset[str]
    state: str
    changes: tuple[str, ...]
    edition: int


async def propose_amendment(
    services: Services, call: Call, agreement_id: str, document: object
) -> Recorded[AmendmentView]:
    """Lay another text of an agreement before those who have to sign it.

    Raises NotFoundError for an agreement that the caller does not see, ConflictError for one that cannot be amended
    now, InvalidError with every fault of the text.
    """
    event = EventName.AMENDMENT_PROPOSED
    client, row = await authenticated_row(services, call, Role.SIGNATORY, event=event)
    async with _held(services, call, client, agreement_id, event) as (unit, agreement, log):
        if not is_party(agreement, client.member, call.now):
            raise ConflictError("only a party proposes amendments", code="not-a-party")
        require_amendable(agreement, call.now)
        terms = await read_terms(services, unit, document)
        faults = amendment_faults(agreement, terms)
        if faults:
            raise InvalidError("the agreement cannot be amended so", tuple(faults))
        new = amended(agreement, terms, call.now)
        told = logged_text(new)
        known = await unit.amendments().of(agreement.id, Unread())
        before = [each for each in known if each.previous == new.previous]
        if text_of(new).digest in {each.text for each in before}:
            raise ConflictError("this very text lies before the parties already", code="proposed-already")
        await _require_few(unit, client, before, new)
        amendment = await unit.amendments().add(
            agreement.id, terms, previous=new.previous or "", text=text_of(new).digest, proposed_by=client.id
        )
        told |= _number_told(call, agreement, amendment.number)
        receipt = await record_agreement(unit, call, client, event, agreement, told=told)
        told_of = await _own(unit, call, client, agreement, [*known, amendment])
        view = await _view(log, unit, call, client, agreement, told_of[-1], taken_back=(), unread=Unread())
    return Recorded(await _counted(services, call, client, view, row.state), receipt)


async def _require_few(unit: UnitOfWork, client: Client, before: Sequence[Amendment], new: Agreement) -> None:
    """Raise ConflictError where too many texts of the client lie `before` the parties, or of its member's clients."""
    own = sum(each.proposed_by == client.id for each in before)
    of_member = await unit.amendments().count_by(client.member, new.id, new.previous or "")
    for count, most, whose in (
        (own, MOST_PROPOSED, "yours"),
        (of_member, MOST_PROPOSED_OF_MEMBER, "your member's"),
    ):
        if count >= most:
            message = f"{most} texts of {whose} lie before the parties: have one of them signed first"
            raise ConflictError(message, code="too-many-waiting")


async def list_amendments(services: Services, call: Call, agreement_id: str) -> Recorded[tuple[AmendmentView, ...]]:
    """Return every amendment of an agreement, to signatories of those whom they concern, with what each changes.

    Whom one concerns that cannot be read, nothing says: of it who was a party all the time is told.
    """
    event, unread = EventName.AMENDMENT_LISTED, Unread()
    client, row = await authenticated_row(services, call, Role.SIGNATORY, event=event)
    async with _held(services, call, client, agreement_id, event) as (unit, agreement, log):
        shown = await _own(unit, call, client, agreement, await _as_proposed(log, unit, agreement, unread))
        taken_back = await log.taken_back(unit, shown)
        views = [
            await _view(log, unit, call, client, agreement, each, taken_back=taken_back[each.text], unread=unread)
            for each in shown
        ]
        told = _parties_told(call, client, agreement, [each.terms for each in shown])
        receipt = await record_look(unit, call, client, event, agreement, told=told)
    until = monotonic() + MOST_SECONDS
    views = [await _counted(services, call, client, view, row.state, until=until) for view in views]
    unopened = await record_unread(services, unread, client, is_own=True)
    return Recorded(tuple(views), receipt, unopened if sees_all_of(client, agreement, call.now) else 0)


async def sign_agreement(
    services: Services, call: Call, agreement_id: str, given: GivenSignature
) -> Recorded[AgreementView]:
    """Take the signature of the caller's member under the agreement's text, or under an amendment of it.

    After the last one the agreement is in force on its first day; an amended text binds at once. Raises NotFoundError
    for an agreement that the caller does not see, ConflictError for a text that does not lie before the parties (any
    more) and for a party that cannot sign now, InvalidError for a signature that does not verify.
    """
    event = EventName.AGREEMENT_SIGNED
    client = await authenticate(services, call, Role.SIGNATORY, event=event)
    # Held to the end, so that two parties may sign at once.
    async with _held(services, call, client, agreement_id, event) as (unit, agreement, log):
        known = {each.text: each for each in await _as_proposed(log, unit, agreement, Unread())}
        amendment = known.get(given.text)
        # INVARIANT: nobody finds out by its signature what the others lay before each other without its member.
        if amendment is not None and not await _is_of_its_time(unit, call, client, agreement, amendment):
            amendment = None
        if amendment is None and not is_party(agreement, client.member, call.now):
            raise ConflictError(_NOTHING_TO_SIGN, code="not-a-party")
        if amendment is None or given.text == text_of(agreement).digest:
            return await sign_own_text(unit, call, client, await _as_told(log, call, agreement), given)
        taken_back = (await log.taken_back(unit, [amendment]))[amendment.text]
        unread = Unread()
        kept = await _kept_signatures(log, unit, call, agreement, amendment, unread, must_be_read=True)
        made = await _sign_amendment(
            unit, call, client, agreement, amendment=amendment, kept=kept, taken_back=taken_back, given=given
        )
    await record_unread(services, unread, client)
    return made


async def take_back_signature(
    services: Services, call: Call, agreement_id: str, given: GivenSignature
) -> Recorded[AmendmentView]:
    """Take back the signature of the caller's member under an amendment that lies before the parties still.

    `given` is the signed statement that it holds no more; that text the member does not sign again. Raises
    NotFoundError for an agreement that the caller does not see, ConflictError for a text that is not proposed (any
    more), or that its member has not signed, InvalidError for a statement that does not verify.
    """
    event = EventName.AGREEMENT_SIGNATURE_WITHDRAWN
    client, row = await authenticated_row(services, call, Role.SIGNATORY, event=event)
    # Held to the end: either the last one signs first, and it binds, or this is taken back.
    async with _held(services, call, client, agreement_id, event, must_be_read=False) as (unit, agreement, log):
        known = await _as_proposed(log, unit, agreement, Unread(), must_be_read=False)
        shown = {each.text: each for each in await _own(unit, call, client, agreement, known)}
        amendment = shown.get(given.text)
        if amendment is None or amendment_state(agreement, amendment) is not AmendmentState.PROPOSED:
            message = "no such text lies before the parties: what binds is left by suspending, withdrawing or amending"
            raise ConflictError(message, code="conflict")
        taken_back = await log.taken_back(unit, [amendment], must_be_read=False)
        # INVARIANT: who put its signature away in its row, and can put it back, keeps nobody from taking it back.
        told = await log.signings(amendment.text) or {}
        has_signed = await _has_signed(unit, client, amendment) or client.member in {member for member, _ in told}
        if not has_signed or client.member in taken_back[amendment.text]:
            raise ConflictError("no signature of your member's stands under this text", code="conflict")
        draft_text = amended(agreement, amendment.terms, call.now)
        statement = await checked_signature(unit, call, client, draft_text, given, purpose=TAKING_BACK_PURPOSE)
        await unit.amendments().take_back(agreement.id, statement)
        noted = told_of(statement) | _parties_told(call, client, agreement, [amendment.terms])
        receipt = await record_look(unit, call, client, event, agreement, told=noted)
        ended = {*taken_back[amendment.text], client.member}
        view = await _view(log, unit, call, client, agreement, amendment, taken_back=ended, unread=Unread())
    return Recorded(await _counted(services, call, client, view, row.state), receipt)


async def _sign_amendment(  # noqa: PLR0913  who signs what of which agreement
    unit: UnitOfWork,
    call: Call,
    client: Client,
    agreement: Agreement,
    *,
    amendment: Amendment,
    kept: Mapping[str, TextSignature],
    taken_back: Collection[str],
    given: GivenSignature,
) -> Recorded[AgreementView]:
    if amendment_state(agreement, amendment) is not AmendmentState.PROPOSED:
        raise ConflictError("another amendment came first: propose this one anew", code="amendment-overtaken")
    require_amendable(agreement, call.now)
    if client.member not in signatories_of(agreement, amendment.terms, call.now):
        raise ConflictError(_NOTHING_TO_SIGN, code="not-a-party")
    signatures = _standing(call, client, agreement, kept, taken_back)
    if client.member not in signatures and await _has_signed(unit, client, amendment):
        told = "what is kept of your member's signature is not what it signed: lay another text before the parties"
        raise ConflictError(told, code="conflict")
    signature = await checked_signature(unit, call, client, amended(agreement, amendment.terms, call.now), given)
    if client.member not in signatures:
        await unit.signatory_keys().add_signature(agreement.id, signature)
    elif conclude(agreement, amendment.terms, signatures, call.now) is None:
        # Where it waits for nobody any more, since who had not signed has left, the next word of any signatory binds.
        raise ConflictError("your member has signed this text", code="conflict")
    noted = told_of(signature) | _parties_told(call, client, agreement, [amendment.terms])
    receipt = await record_look(unit, call, client, EventName.AGREEMENT_SIGNED, agreement, told=noted)
    signatures = {client.member: signature, **signatures}
    concluded = conclude(agreement, amendment.terms, signatures, call.now)
    if concluded is not None:
        await unit.put_agreement(concluded)
        await _record_amended(unit, call, client, (agreement, concluded), amendment.number)
        for member in concluded.terms.parties:
            if not is_party(agreement, member, call.now):
                await end_consents(unit, call, agreement.id, member)
    now = concluded or agreement
    if not is_party(now, client.member, call.now):
        now = _as_signed_so_far(agreement, amendment.terms, signatures, call)
    return Recorded(AgreementView(now, state_of(now, call.now)), receipt)


async def _kept_signatures(  # noqa: PLR0913, PLR0917  under which text of which agreement, and as of when
    log: TextsTold,
    unit: UnitOfWork,
    call: Call,
    agreement: Agreement,
    amendment: Amendment,
    unread: Unread,
    *,
    must_be_read: bool = False,
) -> dict[str, TextSignature]:
    """Return the signatures under a proposed text by member; what is none, or cannot be read, is noted.

    Those that no entry tells of are none. Where that cannot be asked they are shown; with `must_be_read` it raises.
    Those of who has left are of when the log says that they were made.
    """
    text = await _proposed_text(unit, agreement, amendment)
    kept = await unit.amendments().signatures(amendment.text, unread)
    told = await log.signings(amendment.text, must_be_read=must_be_read) if kept else {}

    def verified(signature: TextSignature) -> tuple[str, TextSignature]:
        # INVARIANT: no text is concluded by a row that says that somebody has signed it, nor by a key that one says to
        # be its member's: whoever signs leaves an entry.
        is_told = told is None or _made_with(signature) in told
        if not is_told or not is_signed(text, amendment.text, signature):
            raise MalformedError("a signature is not what was signed")
        return signature.member, signature

    given = dict(unread.each(kept, verified, lambda each: unread_signature(amendment.text, each.member)))
    for member in given.keys() & {each.member for each in agreement.parties}:
        if not is_party(agreement, member, call.now):
            # INVARIANT: nor is anybody brought back by a row that says that it signed since it left.
            at = (told or {}).get(_made_with(given[member]), EPOCH)
            given[member] = replace(given[member], signed_at=at)
    return given


def _made_with(signature: TextSignature) -> tuple[str, str]:
    return str(signature.member), signature.key.key_id


async def _as_told(log: TextsTold, call: Call, agreement: Agreement) -> Agreement:
    """Return a draft without the signatures that no entry tells of; UnavailableError where that cannot be asked."""
    signed = [party for party in agreement.parties if party.signature is not None]
    if not signed or state_of(agreement, call.now) is not AgreementState.DRAFT:
        return agreement
    # INVARIANT: nobody is bound by rows that say that it has signed, and with which key.
    told = await log.signings(text_of(agreement).digest, must_be_read=True) or {}
    untold = [each for each in signed if each.signature is not None and _made_with(each.signature) not in told]
    parties = (Party(each.member, PartyState.PENDING) if each in untold else each for each in agreement.parties)
    return replace(agreement, parties=tuple(parties))


async def _has_signed(unit: UnitOfWork, client: Client, amendment: Amendment) -> bool:
    """Return whether a signature of the caller's member is kept, whatever became of it since."""
    signers = await unit.amendments().signers([amendment.text])
    return client.member in signers.get(amendment.text, ())


def _standing(
    call: Call, client: Client, agreement: Agreement, kept: Mapping[str, TextSignature], taken_back: Collection[str]
) -> dict[str, TextSignature]:
    """Return the signatures that bind; ConflictError where that of the caller's member did and does no more."""
    given = {member: signature for member, signature in kept.items() if member not in taken_back}
    standing = standing_signatures(agreement, given, call.now)
    # A signature is kept as it was made, once for each text.
    if client.member in given.keys() - standing.keys():
        told = "your member signed this text before it left: lay another one before the parties to accede anew"
        raise ConflictError(told, code="conflict")
    if client.member in taken_back:
        told = "your member has taken back its signature under this text: lay another one before the parties"
        raise ConflictError(told, code="conflict")
    return standing


async def _record_amended(
    unit: UnitOfWork, call: Call, client: Client, texts: tuple[Agreement, Agreement], number: int
) -> None:
    """Record that a text binds, for those whom it binds, and apart from that for parties that it names no more."""
    before, after = texts
    event = EventName.AGREEMENT_AMENDED
    has_acceded = not all(is_party(before, member, call.now) for member in after.terms.parties)
    told = {} if has_acceded else _number_told(call, before, number)
    await record_agreement(unit, call, client, event, after, told=told)
    remaining = [str(party.member) for party in before.parties if is_party(before, party.member, call.now)]
    left = [member for member in remaining if not is_party(after, member, call.now)]
    if left:
        # INVARIANT: an entry of its own, and nobody's act: who signed last may accede, and learns of no party before.
        told = {**_number_told(call, before, number), "parties": left}
        await record_agreement(unit, call, None, event, after, told=told)


def _number_told(call: Call, agreement: Agreement, number: int) -> Detail:
    """Return what an entry says of an amendment's number: nothing where it tells an auditor of what was before."""
    parties = [each.member for each in agreement.parties if is_party(agreement, each.member, call.now)]
    return {"number": number} if all(saw_all_of(each, agreement, call.now) for each in parties) else {}


def _as_signed_so_far(
    agreement: Agreement, terms: Terms, signatures: Mapping[str, TextSignature], call: Call
) -> Agreement:
    """Return the text that lies before who would accede, as a draft of its own: all that it is told."""
    parties = tuple(
        Party(member, PartyState.SIGNED, signatures[member].signed_at, signatures[member])
        if member in signatures
        else Party(member, PartyState.PENDING)
        for member in terms.parties
    )
    # INVARIANT: nor how often the others moved: it counts as any draft, from its proposal on.
    version = 1 + sum(party.state is PartyState.SIGNED for party in parties)
    return replace(amended(agreement, terms, call.now), version=version, parties=parties)


async def _own(
    unit: UnitOfWork, call: Call, client: Client, agreement: Agreement, known: Sequence[Amendment]
) -> list[Amendment]:
    """Return those of these amendments that concern the caller's member, by the numbers that it knows them by."""
    own = [each for each in known if await _is_of_its_time(unit, call, client, agreement, each)]
    if saw_all_of(client.member, agreement, call.now):
        return own
    # INVARIANT: no number counts to a member what was laid before the others without it.
    return [replace(each, number=number) for number, each in enumerate(own, start=1)]


async def _is_of_its_time(
    unit: UnitOfWork, call: Call, client: Client, agreement: Agreement, amendment: Amendment
) -> bool:
    """Return whether an amendment names the caller's member, or would amend a text that names it, a party still."""
    if client.member in amendment.terms.parties:
        return True
    amends = await unit.agreements().edition_after(agreement.id, amendment.previous) - 1
    was_there = amends in agreement.editions_of(client.member)
    was_there &= not agreement.was_away(client.member, amendment.proposed_at)
    return is_party(agreement, client.member, call.now) and was_there


def _parties_told(call: Call, client: Client, agreement: Agreement, texts: Iterable[Terms]) -> Detail:
    # INVARIANT: nor does the auditor of who is no party learn from the log whose text the one before is.
    if is_party(agreement, client.member, call.now):
        return {}
    return {"parties": sorted({str(member) for terms in texts for member in terms.parties})}


async def _as_proposed(
    log: TextsTold, unit: UnitOfWork, agreement: Agreement, unread: Unread, *, must_be_read: bool = True
) -> list[Amendment]:
    """Return the amendments of an agreement that somebody proposed, in these terms; the others are noted."""
    found, known = [], await unit.amendments().of(agreement.id, unread)
    told = await log.proposed(known, must_be_read=must_be_read)
    for each in known:
        # INVARIANT: nobody is shown other words than those that lie before the parties to be signed.
        if each in told and (await _proposed_text(unit, agreement, each)).digest == each.text:
            found.append(each)
        else:
            unread.rows.append(unread_amendment(agreement.id, each.number))
    return found


async def _proposed_text(unit: UnitOfWork, agreement: Agreement, amendment: Amendment) -> TreatyText:
    edition = await unit.agreements().edition_after(agreement.id, amendment.previous)
    return TreatyText(agreement.id, edition, amendment.previous, terms_as_json(amendment.terms))


@asynccontextmanager
async def _held(  # noqa: PLR0913  who does what to which agreement
    services: Services, call: Call, client: Client, agreement_id: str, event: EventName, *, must_be_read: bool = True
) -> AsyncIterator[tuple[UnitOfWork, Agreement, TextsTold]]:
    """Hold an agreement within a unit, with what the log tells of its texts; what is refused meanwhile is recorded.

    It is shown to a party, and to a member that an amendment before the parties would make one.
    """
    log = TextsTold(services, agreement_id)
    attempt = draft(call, client, event, Outcome.REFUSED, subject=named("agreement", agreement_id))
    async with on_record(services, attempt):
        await log.ask(client)
        async with services.store.unit_of_work() as unit:
            # INVARIANT: what may not be seen costs what an absent one costs: where none names its member, as a party or
            # as one that would be, neither the text is read nor what was laid before the others.
            named_in = await unit.amendments().of(log.agreement_id, Unread(), naming=client.member)
            agreement = await unit.agreements().one(
                log.agreement_id, of=None if named_in else client.member, for_update=True
            )
            await log.hold(unit)
            if named_in and not await _concerns(log, client, agreement, named_in, must_be_read=must_be_read):
                agreement = await unit.agreements().one(log.agreement_id, of=client.member)
                # What lay before it is shown as what it is: a text that nobody signs any more.
                agreement = None if agreement is None else gone_on_without(agreement, client.member)
            if agreement is None:
                raise agreement_not_found()
            yield unit, agreement, log


async def _concerns(
    log: TextsTold, client: Client, agreement: Agreement | None, named_in: Sequence[Amendment], *, must_be_read: bool
) -> bool:
    if agreement is None or agreement.party(client.member) is not None:
        return agreement is not None
    digest = text_of(agreement).digest
    proposed = await log.proposed(named_in, must_be_read=must_be_read)
    return any(client.member in each.terms.parties for each in proposed if each.previous == digest)


async def _counted(  # noqa: PLR0913  what is counted, for whom, and until when
    services: Services,
    call: Call,
    client: Client,
    view: AmendmentView,
    state: PolicyState,
    *,
    until: float | None = None,
) -> AmendmentView:
    """Return a view with what it would do to reports, behind the unit: nobody waits to write while they are judged.

    Where that is not counted yet, a sentence says so: what was done is done, and the text is there to be read.
    """
    agreement = view.agreement
    if view.state != AmendmentState.PROPOSED.value or not is_party(agreement, client.member, call.now):
        return view
    until, terms = monotonic() + MOST_SECONDS if until is None else until, view.amendment.terms
    counts: tuple[str, ...]
    try:
        counts = await impact_of(services, call, client, agreement, terms=terms, state=state, until=until)
    except NotCountedYetError as exc:
        counts = (exc.message,)
    return replace(view, changes=(*view.changes, *counts))


async def _view(  # noqa: PLR0913, PLR0917  what is shown to whom, and which signatures count for it
    log: TextsTold,
    unit: UnitOfWork,
    call: Call,
    client: Client,
    agreement: Agreement,
    amendment: Amendment,
    *,
    taken_back: Collection[str],
    unread: Unread,
) -> AmendmentView:
    """Return one amendment, as one caller may know it, without what it would do to reports."""
    standing = amendment_state(agreement, amendment)
    changes: tuple[str, ...] = ()
    signatories = tuple(map(str, signatories_of(agreement, amendment.terms, call.now)))
    if not is_party(agreement, client.member, call.now):
        # INVARIANT: who is no party yet learns the text that it would sign, and nothing of the one before.
        changes = (f"{client.member} accedes",) if standing is AmendmentState.PROPOSED else ()
        signatories = tuple(each for each in signatories if each in amendment.terms.parties)
    elif standing is AmendmentState.PROPOSED:
        gone = {each.member for each in agreement.parties if not is_party(agreement, each.member, call.now)}
        changes = differences(agreement.terms, amendment.terms, gone=gone)
    kept = await _kept_signatures(log, unit, call, agreement, amendment, unread)
    given = standing_signatures(agreement, kept, call.now)
    signed = frozenset(given).difference(taken_back).intersection(signatories)
    edition = await unit.agreements().edition_after(agreement.id, amendment.previous)
    return AmendmentView(agreement, amendment, signatories, signed, standing.value, changes, edition)
