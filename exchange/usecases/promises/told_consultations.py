"""Consultations as the log bears them out: a row alone puts words into nobody's mouth, and lets nobody listen.

The entry of each act names who spoke for which member, in which matter, between whom, and has the digest of the words;
that of its opening has one of the breach that it is about. A matter that says anything else, or of which words are
missing, was altered, and is told of as what cannot be read.
"""

import hashlib
from collections.abc import Iterable, Sequence
from typing import Final

from exchange.agreements import Matter, Said, Speech
from exchange.audit import Entry, EventName
from exchange.kernel import is_uuid7, rfc3339
from exchange.store import UnitOfWork, Unread, UnreadRow
from exchange.store.rows.unread import UnreadRowError
from exchange.usecases.steps.context import Services
from exchange.usecases.steps.told_entries import require_readable, told_until_now

_EVENTS: Final = {
    Speech.OPEN: EventName.CONSULTATION_OPENED,
    Speech.ANSWER: EventName.CONSULTATION_ANSWERED,
    Speech.SETTLE: EventName.CONSULTATION_SETTLED,
}

Told = dict[str, list[Entry]]
"""What the log tells of each matter."""


def about(matter: Matter) -> str:
    """Return by what the entry that opens a matter names its breach, or that there is none.

    Not by its id: not every auditor of the members is cleared to know of the breach.
    """
    return hashlib.sha256(f"{matter.id} {matter.breach or ''}".encode()).hexdigest()


async def require_borne_out(services: Services, matter: Matter) -> None:
    """Raise UnreadRowError where a matter, which is held, is not what the log says of it.

    Raises UnavailableError as `require_readable`.
    """
    if not _is_borne_out(matter, await told_of_matters(services, matter.agreement)):
        raise UnreadRowError(_place(matter.id))


async def borne_out(  # noqa: PLR0913  what was read, within what, for whom
    services: Services,
    unit: UnitOfWork,
    member: str,
    agreement: str,
    *,
    kept: Sequence[Matter],
    told: Told,
    unread: Unread,
) -> list[Matter]:
    """Return those of `kept`, the matters of an agreement that name `member`, that the log bears out, oldest first.

    `told` is what `told_of_matters` gave of the agreement. All that the log has of such matters besides is noted in
    `unread`. Raises UnavailableError as `require_readable`.
    """
    sure = [each for each in kept if _is_borne_out(each, told)]
    doubted = {each.id for each in kept} | {each for each in told if is_uuid7(each) and member in _parties(told[each])}
    doubted -= {each.id for each in sure}
    # What was said meanwhile was in one of the two and not in the other: held, nobody says more.
    held = {matter_id: await _held(unit, matter_id) for matter_id in sorted(doubted)}
    told = await told_of_matters(services, agreement) if held else told
    known = {row.place for row in unread.rows}
    for matter_id, matter in held.items():
        if matter is not None and member in matter.members and _is_borne_out(matter, told):
            sure.append(matter)
        elif _place(matter_id) not in known:
            unread.rows.append(UnreadRow(_place(matter_id), _parties(told.get(matter_id, ()))))
    return sorted(sure, key=lambda each: each.id)


async def told_of_matters(services: Services, agreement: str) -> Told:
    """Return what the log tells of the matters of an agreement; raises UnavailableError as `require_readable`."""
    await require_readable(services, "what was said")
    told: Told = {}
    async for entry in told_until_now(services, *_EVENTS.values(), subject=agreement):
        told.setdefault(str(entry.get("detail", {}).get("consultation")), []).append(entry)
    return told


async def _held(unit: UnitOfWork, matter_id: str) -> Matter | None:
    try:
        return await unit.consultations().one(matter_id)
    except UnreadRowError:
        return None


def _is_borne_out(matter: Matter, told: Told) -> bool:
    # An entry that moved while it was looked for is found twice.
    entries = {entry["id"]: entry for entry in told.get(matter.id, ())}
    said = {each.entry: each for each in matter.said}
    is_all = len(said) == len(matter.said) and said.keys() == entries.keys()
    is_opened = [each.speech is Speech.OPEN for each in matter.said] == [True] + [False] * (len(matter.said) - 1)
    return is_all and is_opened and all(_says(entry, matter, said[each]) for each, entry in entries.items())


def _says(entry: Entry, matter: Matter, said: Said) -> bool:
    detail, words = entry.get("detail", {}), hashlib.sha256(said.text.encode()).hexdigest()
    who = (entry["actor"].get("id"), entry.get("member"))
    # What came after its opening has nothing about it.
    meant = about(matter) if said.speech is Speech.OPEN else None
    return (
        (entry["type"], entry["ts"], who) == (_EVENTS[said.speech].value, rfc3339(said.at), (said.client, said.member))
        and (detail.get("kind"), detail.get("text")) == (matter.kind.value, words)
        and (entry.get("agreement"), detail.get("parties")) == (matter.agreement, list(matter.members))
        and detail.get("about") == meant
    )


def _parties(entries: Iterable[Entry]) -> frozenset[str]:
    named = [entry.get("detail", {}).get("parties") for entry in entries]
    return frozenset(str(member) for each in named if isinstance(each, list) for member in each)


def _place(matter_id: str) -> str:
    return f"consultation {matter_id}"
