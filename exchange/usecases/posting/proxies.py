"""Posting on behalf: two releasers of an originator consent that another member posts for it, and one takes it back.

A consent is narrow: one member, one scope of one agreement, a time. What is posted under it is the originator's like
any other of its reports: only the originator amends, lowers or recalls it. Who posted stands in the log.

Steps of a consent: (1) the originator's releaser, its member a contributor of that scope; (2) another releaser of the
same member confirms; (3) consent and entry become durable together, and what was decided before is decided again.
"""

import hmac
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache, partial

from exchange.agreements import Agreement, is_party
from exchange.audit import Actor, Detail, EntryDraft, EventName, Outcome, Receipt, fit_text
from exchange.crypto import OpeningError, derive_key
from exchange.kernel import (
    ConflictError,
    Fault,
    InvalidError,
    NotFoundError,
    canonical_bytes,
    from_micros,
    micros_in,
    new_id,
    parse_rfc3339,
    rfc3339,
)
from exchange.members import PROXY_POSTING, Client, PendingAct, Role
from exchange.store import PolicyState, ProxyRow, ProxyState, ProxyWish, UnitOfWork, Unread, UnreadRow
from exchange.usecases.posting.post_checks import require_in_force
from exchange.usecases.steps.authenticate import authenticate
from exchange.usecases.steps.context import Call, Recorded, Services
from exchange.usecases.steps.judging import sought_id
from exchange.usecases.steps.recording import draft, named, on_record, record_tampering
from exchange.usecases.steps.requested_consents import Asking, as_asked
from exchange.usecases.steps.second_person import ask, end_waiting, hold_waiting, require_as_asked, waiting_about
from exchange.usecases.steps.taken_away_again import SaidByRowError, taken_away
from exchange.usecases.steps.told_entries import all_told_until_now, is_any_naming, require_readable
from exchange.usecases.steps.unread import record_unread

PROXY_ROLES = (Role.RELEASER, Role.CONTRIBUTOR)

_TAKEN_BACK = "the consent was taken back before it was given"
_ENDED = frozenset({ProxyState.REFUSED, ProxyState.REVOKED})
_ENDS = (EventName.PROXY_REVOKED, EventName.PROXY_REFUSED)


@dataclass(frozen=True, slots=True)
class ProxyView:
    """A consent; `act` names the act that waits for a second person, where it was asked for just now.

    `is_own`: the caller's member gave it, and knows who decided what.
    """

    row: ProxyRow
    act: str | None = None
    is_own: bool = True


async def ask_proxy(services: Services, call: Call, wish: ProxyWish) -> Recorded[ProxyView]:
    """Ask a second releaser of the caller's member to consent that another member posts on its behalf.

    Raises NotFoundError for an agreement that the caller does not see, InvalidError with every fault of the wish.
    """
    event = EventName.PROXY_ASKED
    client = await authenticate(services, call, Role.RELEASER, event=event)
    attempt = draft(call, client, event, Outcome.REFUSED, subject=named("agreement", wish.agreement))
    async with on_record(services, attempt), services.store.unit_of_work() as unit:
        sought = sought_id(wish.agreement)
        found = await unit.agreements().one(sought, of=client.member, for_update=True)
        agreement = require_in_force(found, client, call)
        if faults := _faults(agreement, client, wish, call):
            raise InvalidError("nobody can post on your behalf so", tuple(faults))
        row_id = new_id(call.now, services.randomness)
        wish = replace(wish, reason=fit_text(wish.reason))
        told = _told(row_id, wish)
        # The second releaser is shown why; the entry names what is consented to alone.
        asked = told | {"reason": wish.reason}
        act = await ask(services, unit, call, client, PROXY_POSTING, asked=asked, members=[client.member])
        receipt = await unit.record(_entry(call, client, event, wish, told | {"act": act.id, "digest": act.digest}))
        row = ProxyRow(
            id=row_id,
            originator=client.member,
            wish=wish,
            state=ProxyState.AWAITING,
            asked_at=call.now,
            asked_by=client.id,
            entry=receipt.entry,
        )
        await unit.proxies().add(row)
    return Recorded(ProxyView(row, act.id), receipt)


async def carry_out_proxy(services: Services, unit: UnitOfWork, call: Call, client: Client, act: PendingAct) -> Receipt:
    """Do what a second releaser has confirmed: from the next post on the proxy may."""
    # Held, before the consent: whoever ends it with an amended text holds them in that order.
    found = await unit.agreements().one(act.asked["agreement"], for_update=True)
    row = await unit.proxies().one(act.asked["consent"])
    if row is None or row.state is not ProxyState.AWAITING:
        raise ConflictError("the consent is not waiting any more: look at it again", code="request-ended")
    require_as_asked(act, _told(row.id, row.wish) | {"reason": row.wish.reason})
    # As when it was asked for: what its time, an amended text or a party that left has ended meanwhile is given to
    # nobody.
    agreement = require_in_force(found, client, call)
    if _faults(agreement, client, row.wish, call):
        raise ConflictError("what was asked for has ended meanwhile: ask again", code="request-ended")
    given = replace(row, state=ProxyState.GIVEN, decided_at=call.now, decided_by=client.id, seal=_seal(services, row))
    await unit.proxies().put(given)
    people = [row.asked_by, str(client.id)]
    detail: Detail = {"consent": row.id, "proxy": row.wish.proxy, "by": people}
    return await unit.record(_entry(call, client, EventName.PROXY_GIVEN, row.wish, detail))


async def end_proxy(_: Services, unit: UnitOfWork, call: Call, client: Client, act: PendingAct) -> None:
    """End the consent that a second releaser refused, or that who asked for it took back: it is given to nobody."""
    consent_id = act.said("consent")
    row = await unit.proxies().one(sought_id(consent_id))
    if row is None or row.state is not ProxyState.AWAITING:
        return
    is_own = act.refuser == act.requester
    state, event = (
        (ProxyState.REVOKED, EventName.PROXY_REVOKED) if is_own else (ProxyState.REFUSED, EventName.PROXY_REFUSED)
    )
    ended = replace(row, state=state, decided_at=call.now, decided_by=client.id, refusal=act.refusal)
    await unit.proxies().put(ended)
    await unit.record(_entry(call, client, event, row.wish, {"consent": row.id, "proxy": row.wish.proxy}))


async def list_proxies(services: Services, call: Call) -> Recorded[tuple[ProxyView, ...]]:
    """Return the consents that concern the caller: to a releaser its member's, to a contributor those given to it."""
    event = EventName.PROXY_LISTED
    client = await authenticate(services, call, *PROXY_ROLES, event=event)
    unread = Unread()
    async with services.store.unit_of_work() as unit:
        waiting = await waiting_about(unit, PROXY_POSTING, "consent")
        known = [_as_it_stands(row, waiting) for row in await unit.proxies().of_member(client.member, unread)]
    visible = [row for row in known if _is_visible(row, client)]
    rows = await as_asked(services, visible, unread, _asking)
    ids = tuple(row.id for row in rows)
    receipt = await services.store.append(draft(call, client, event, Outcome.PERMITTED, result_ids=ids))
    unopened = await record_unread(services, unread, client)
    return Recorded(tuple(ProxyView(row, is_own=row.originator == client.member) for row in rows), receipt, unopened)


def _asking(row: ProxyRow) -> Asking:
    unread = UnreadRow(f"proxy {row.id}", frozenset({row.originator, row.wish.proxy}))
    return Asking(EventName.PROXY_ASKED, "consent", row.id, row.wish.agreement, row.asked_by, unread)


async def revoke_proxy(services: Services, call: Call, consent_id: str) -> Recorded[ProxyView]:
    """Take a consent back (originator's releaser): from the next post on it lets nobody, on any node."""
    event = EventName.PROXY_REVOKED
    client = await authenticate(services, call, Role.RELEASER, event=event)
    attempt = draft(call, client, event, Outcome.REFUSED, subject=named("proxy", consent_id))
    async with on_record(services, attempt), services.store.unit_of_work() as unit:
        # INVARIANT: what may not be seen costs what an absent one costs: of that no act is looked for.
        await _own_consent(unit, client, consent_id)

    async def revoke(*, is_again: bool) -> Recorded[ProxyView]:
        async with services.store.unit_of_work() as unit:
            await hold_waiting(unit, PROXY_POSTING, consent=consent_id)
            row = await _own_consent(unit, client, consent_id)
            if row.state in _ENDED and not is_again:
                refusal = ConflictError("it was taken back, or refused, before", code="revoked-already")
                said = {"subject": row.wish.agreement, "field": "consent", "of": row.id}
                raise SaidByRowError(refusal, partial(is_any_naming, services, *_ENDS, **said))
            revoked = replace(row, state=ProxyState.REVOKED, decided_at=call.now, decided_by=client.id)
            await unit.proxies().put(revoked)
            # Nobody is asked any more to confirm what is taken back.
            acts = await end_waiting(unit, client, PROXY_POSTING, _TAKEN_BACK, consent=row.id)
            detail: Detail = {"consent": row.id, "proxy": row.wish.proxy}
            detail |= {"acts": acts} if acts else {}
            receipt = await unit.record(_entry(call, client, event, row.wish, detail))
        return Recorded(ProxyView(revoked), receipt)

    return await taken_away(services, attempt, revoke)


async def _own_consent(unit: UnitOfWork, client: Client, consent_id: str) -> ProxyRow:
    row = await unit.proxies().one(sought_id(consent_id))
    if row is None or row.originator != client.member:
        raise NotFoundError("no such consent, or none of your member")
    return row


async def end_consents(unit: UnitOfWork, call: Call, agreement_id: str, member: str) -> None:
    """End what `member`, which comes back to an agreement that it had left, gave or was given under it before."""
    # INVARIANT: no consent outlives the promise that it was given under; who accedes anew consents anew.
    # Those alone: what cannot be read under another agreement keeps nobody from acceding to this one.
    for row in await unit.proxies().under(agreement_id, member):
        if row.state in _ENDED:
            continue
        await unit.proxies().put(replace(row, state=ProxyState.REVOKED, decided_at=call.now))
        detail = {"consent": row.id, "proxy": row.wish.proxy}
        entry = _entry(call, None, EventName.PROXY_REVOKED, row.wish, detail)
        await unit.record(replace(entry, actor=Actor("service"), owner=row.originator))


async def standing_consent(  # noqa: PLR0913  who posts for whom under what, as of which state
    services: Services,
    call: Call,
    client: Client,
    state: PolicyState,
    *,
    originator: str,
    agreement: str,
    scope: str,
) -> ProxyRow | None:
    """Return the consent under which `client` may post on behalf of `originator` now; None where there is none.

    `state` was read before: what is taken back since moves its policy version. Raises UnavailableError as
    `require_readable`, LogDamagedError where the log lacks an entry that may say that it has ended.
    """

    async def given() -> list[ProxyRow]:
        async with services.store.unit_of_work() as unit:
            rows = await unit.proxies().given(originator, client.member, agreement, scope)
        return [row for row in rows if row.holds(call.now) and row.seal is not None]

    standing = await given()
    for row in standing:
        # INVARIANT: a row gives nobody what two persons did not give, or one of them took back, nor takes from anybody
        # what they gave.
        is_sealed = hmac.compare_digest(row.seal or b"", _seal(services, row))
        if is_sealed and not await _has_ended(services, call, state, row):
            return row
    # What was taken back while the log was asked is nobody's tampering.
    if standing and await given() == standing:
        altered = OpeningError("a consent is not what was given")
        await record_tampering(services, call, client, f"proxy {standing[0].id}", altered)
    return None


async def _has_ended(services: Services, call: Call, state: PolicyState, row: ProxyRow) -> bool:
    """Return whether the log says that a consent has ended; asked of it once under each policy version."""
    kept = services.knowledge.proxies_untaken
    if kept.get(row.id) == state.policy_version:
        return False
    await require_readable(services, "who may post for whom")
    said = {"subject": row.wish.agreement, "field": "consent", "of": row.id}
    has_ended = await is_any_naming(services, EventName.PROXY_REVOKED, **said) or await _was_left(services, call, row)
    if not has_ended:
        kept[row.id] = state.policy_version
    return has_ended


async def _was_left(services: Services, call: Call, row: ProxyRow) -> bool:
    """Return whether one of the two was no party at some time since a consent was asked for, as the log tells."""
    # INVARIANT: whoever had a consent's row away while its member came back finds it ended all the same.
    both, asked_at = {row.originator, row.wish.proxy}, from_micros(micros_in(row.id) or 0)
    about = {"subject": row.wish.agreement, "of": row.id}
    async for entry in all_told_until_now(
        services, EventName.AGREEMENT_WITHDRAWN, EventName.AGREEMENT_AMENDED, **about
    ):
        detail = entry.get("detail", {})
        parties, leaves_at = detail.get("parties"), detail.get("leaves_at")
        if entry["type"] == EventName.AGREEMENT_WITHDRAWN.value:
            is_of = detail.get("on_behalf_of", entry.get("member")) in both
            was_left = is_of and leaves_at is not None and asked_at <= parse_rfc3339(str(leaves_at)) <= call.now
        else:
            # The exchange's own is about those whom the text names no more.
            is_since = parse_rfc3339(entry["ts"]) > asked_at and entry["actor"]["kind"] != "service"
            was_left = is_since and isinstance(parties, list) and not both <= set(parties)
        if was_left:
            return True
    return False


def _seal(services: Services, row: ProxyRow) -> bytes:
    """Return what only this exchange's nodes can make, over who lets whom post what until when."""
    said = {"originator": row.originator, **_told(row.id, row.wish)}
    return hmac.digest(_seal_key(services.cursor_key), canonical_bytes(said), "sha256")


@lru_cache(maxsize=1)
def _seal_key(cursor_key: bytes) -> bytes:
    return derive_key(cursor_key, "exchange consents to posting")


def _faults(agreement: Agreement, client: Client, wish: ProxyWish, call: Call) -> list[Fault]:
    faults = []
    scope = agreement.terms.scope(wish.scope)
    if scope is None or client.member not in scope.contributors:
        faults.append(Fault("/scope", "unknown-scope", "no scope of the agreement in which your member contributes"))
    if not is_party(agreement, wish.proxy, call.now) or wish.proxy == client.member:
        faults.append(Fault("/proxy", "not-a-party", "name another party of the agreement"))
    if wish.until is not None and wish.until <= call.now:
        faults.append(Fault("/until", "past", "this time is over: name one to come"))
    return faults


def _told(consent: str, wish: ProxyWish) -> dict[str, str]:
    """Return what is consented to, as its second person is shown and confirms it; why stands beside it there."""
    until = "taken back" if wish.until is None else rfc3339(wish.until)
    return {
        "consent": consent,
        "proxy": wish.proxy,
        "agreement": wish.agreement,
        "scope": wish.scope,
        "until": until,
    }


def _as_it_stands(row: ProxyRow, waiting: Collection[str]) -> ProxyRow:
    has_lapsed = row.state is ProxyState.AWAITING and row.id not in waiting
    return replace(row, state=ProxyState.LAPSED) if has_lapsed else row


def _is_visible(row: ProxyRow, client: Client) -> bool:
    if row.originator == client.member:
        return Role.RELEASER in client.roles
    return row.state is ProxyState.GIVEN and Role.CONTRIBUTOR in client.roles


def _entry(
    call: Call, client: Client | None, event: EventName, wish: ProxyWish, detail: Mapping[str, str | int | list[str]]
) -> EntryDraft:
    return draft(
        call,
        client,
        event,
        Outcome.PERMITTED,
        subject=named("agreement", wish.agreement),
        agreement=wish.agreement,
        scope=wish.scope,
        detail=dict(detail),
    )
