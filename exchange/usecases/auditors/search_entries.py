"""Search the log, and show one entry: in the auditor's own slice, each look an entry itself.

Steps: (1) the caller is an auditor; (2) what it asks for can be asked; (3) what it may see of what is found;
(4) the entry about the search, with its filters and every id shown, is durable; (5) answer.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, fields
from datetime import timedelta

from exchange.audit import Criteria, EventName, Outcome, fit_text
from exchange.crypto import OpeningError, open_token, seal_token
from exchange.kernel import NOT_AN_ID, Fault, InvalidError, MalformedError, NotFoundError, is_uuid7, meant
from exchange.members import Client, check_member_code
from exchange.release import Reason
from exchange.store import Hit, Place
from exchange.usecases.auditors.auditing import (
    FoundEntry,
    admit_auditor,
    found_entries,
    shown_as,
    views_of,
    with_personal,
    within_slice,
)
from exchange.usecases.steps.context import Call, Recorded, Services
from exchange.usecases.steps.judging import sought_id
from exchange.usecases.steps.recording import draft, named, on_record, refuse
from exchange.usecases.steps.whole_entries import placed_content, whole_entry

_NONCE_BYTES = 12
_NUMBER_BYTES = 8
_LONGEST_FILTER = 128
"""As long as the words of the vocabulary may be; nothing that an entry is found by is longer."""

_AHEAD = timedelta(days=1)
"""A program that asks for what is new may have a clock that is ahead; a year that was misspelt is further on."""

BEGINNING = Place(0, -1)
"""Before every entry."""


@dataclass(frozen=True, slots=True)
class EntryQuery:
    """What an auditor asks for. `limit` is 1..500; `cursor` is `next` of an earlier page."""

    criteria: Criteria = field(default_factory=Criteria)
    cursor: str | None = None
    limit: int = 100
    newest_first: bool = True


@dataclass(frozen=True, slots=True)
class FoundEntries:
    """A page of entries and the cursor behind it.

    Newest first, `next` is None where nothing follows; oldest first it always stands: more will follow.
    """

    items: tuple[FoundEntry, ...]
    next: str | None


async def search_entries(services: Services, call: Call, query: EntryQuery) -> Recorded[FoundEntries]:
    """Return a page of the entries in the caller's slice that meet the filters.

    Raises ForbiddenError without the auditor's role, MalformedError for a foreign or forged cursor, InvalidError for
    filters that name nothing there is.
    """
    event = EventName.AUDIT_SEARCHED
    # (1) who
    gaze = await admit_auditor(services, call, event=event)
    asked = {**query.criteria.as_detail(), "limit": query.limit, "order": "newest" if query.newest_first else "oldest"}
    # (2) can it be asked
    async with on_record(services, draft(call, gaze.client, event, Outcome.REFUSED)):
        check_criteria(services, query.criteria)
        _check_has_come(query, call)
        place = None if query.cursor is None else open_place(services, gaze.client, query.cursor)
    # (3) one more than asked for: whether anything follows is known, not guessed
    sought = await within_slice(services, gaze, query.criteria, place=place, newest_first=query.newest_first)
    found = await found_entries(services, gaze, sought, most=query.limit + 1)
    shown = await with_personal(services, gaze, [(hit.content, entry) for hit, entry in found[: query.limit]])
    # (4) INVARIANT: nothing of the log leaves before the entry about it is durable.
    ids = tuple(entry.receipt.entry for entry in shown)
    receipt = await services.store.append(
        draft(call, gaze.client, event, Outcome.PERMITTED, detail=asked, result_ids=ids)
    )
    # (5) the answer
    following = _following(found, query, place)
    cursor = None if following is None else seal_place(services, gaze.client, following)
    return Recorded(FoundEntries(shown, cursor), receipt)


async def show_entry(services: Services, call: Call, entry_id: str) -> Recorded[FoundEntry]:
    """Return one entry of the caller's slice; absent, foreign and too high are one answer."""
    event, subject = EventName.AUDIT_READ, named("entry", entry_id)
    gaze = await admit_auditor(services, call, event=event, subject=subject)
    content = await placed_content(services.store, sought_id(entry_id), gaze.may_see)
    # Of one that is damaged nobody can say any more whose it is.
    entry = None if content is None else whole_entry(content)
    (view,) = (None,) if entry is None else await views_of(services, gaze, [entry])
    if content is None or view is None:
        absent = NotFoundError("no such entry, or none that you may see")
        return await refuse(services, draft(call, gaze.client, event, Outcome.REFUSED, subject=subject), absent)
    (shown,) = await with_personal(services, gaze, [(content, shown_as(view, entry_id, content))])
    receipt = await services.store.append(draft(call, gaze.client, event, Outcome.PERMITTED, subject=subject))
    return Recorded(shown, receipt)


def check_criteria(services: Services, criteria: Criteria) -> None:
    """Raise InvalidError for filters that no entry could meet: a misspelt one must not look like silence."""
    faults = [*_unfit(criteria), *_unknown(services, criteria)] or [*_misspelt(criteria), *_reversed(criteria)]
    if faults:
        raise InvalidError("the log cannot be searched so", tuple(faults))


def _check_has_come(query: EntryQuery, call: Call) -> None:
    # Oldest first it may be waited for: `next` goes on behind whatever comes.
    since = query.criteria.since
    if query.newest_first and since is not None and since > call.now + _AHEAD:
        fault = Fault("/since", "invalid-value", "that time has not come: nothing is recorded from it on")
        raise InvalidError("the log cannot be searched so", (fault,))


def seal_place(services: Services, client: Client, place: Place) -> str:
    """Return the cursor for `place`, which only the exchange can read and only `client` can use."""
    payload = b"".join(number.to_bytes(_NUMBER_BYTES, signed=True) for number in place)
    return seal_token(services.cursor_key, _cursor_purpose(client), payload, services.randomness(_NONCE_BYTES))


def open_place(services: Services, client: Client, cursor: str) -> Place:
    """Return the place in `cursor`; raises MalformedError for one that was not given to `client`."""
    try:
        payload = open_token(services.cursor_key, _cursor_purpose(client), cursor)
    except OpeningError as exc:
        raise MalformedError(
            "the cursor in `after` was not given to this client: use `next` of your last page"
        ) from exc
    return Place(*(int.from_bytes(payload[start : start + _NUMBER_BYTES], signed=True) for start in (0, _NUMBER_BYTES)))


def _following(found: Sequence[tuple[Hit, FoundEntry]], query: EntryQuery, start: Place | None) -> Place | None:
    if query.newest_first and len(found) <= query.limit:
        return None
    shown = found[: query.limit]
    return shown[-1][0].place if shown else start or BEGINNING


def _cursor_purpose(client: Client) -> str:
    return f"log cursor of {client.id}"


def _unfit(criteria: Criteria) -> list[Fault]:
    given = {each.name: getattr(criteria, each.name) for each in fields(criteria)}
    return [
        Fault(f"/{name}", "invalid-value", f"use 1 to {_LONGEST_FILTER} characters of text")
        for name, value in given.items()
        if isinstance(value, str) and not (0 < len(value) <= _LONGEST_FILTER and fit_text(value) == value)
    ]


def _unknown(services: Services, criteria: Criteria) -> list[Fault]:
    levels = {level for _, level in services.law.catalogue.protection}
    known = (
        ("event", criteria.event, {event.value for event in EventName}),
        ("outcome", criteria.outcome, {outcome.value for outcome in Outcome}),
        ("level", criteria.level, levels),
        ("reason", criteria.reason, {reason.value for reason in Reason}),
    )
    return [
        Fault(f"/{name}", f"unknown-{name}", f"{meant(given, words)}{_usable(given, words)}")
        for name, given, words in known
        if given is not None and given not in words
    ]


def _usable(given: str, words: Collection[str]) -> str:
    # More than a hundred events stand on no screen: those of the thing that was named, or the things that there are.
    things = {thing for thing, dot, _ in (word.partition(".") for word in words) if dot}
    named = given.partition(".")[0]
    if named in things:
        return f"use one of {', '.join(sorted(word for word in words if word.startswith(f'{named}.')))}"
    if things:
        return f"begin with one of {', '.join(sorted(things))}: `{min(things)}` alone lists those of it"
    return f"use one of {', '.join(sorted(words))}"


def _misspelt(criteria: Criteria) -> Iterator[Fault]:
    for name in ("client", "agreement", "crisis"):
        given = getattr(criteria, name)
        if given is not None and not is_uuid7(given):
            yield Fault(f"/{name}", "not-an-id", NOT_AN_ID)
    for name in ("member", "owner"):
        given = getattr(criteria, name)
        try:
            if given is not None:
                check_member_code(given, pointer=f"/{name}")
        except InvalidError as exc:
            yield from exc.faults


def _reversed(criteria: Criteria) -> Iterator[Fault]:
    if criteria.since is not None and criteria.until is not None and criteria.until <= criteria.since:
        yield Fault("/until", "invalid-value", "is not later than `since`: nothing lies between them")
