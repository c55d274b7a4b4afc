"""What the log says a report is: the word that cannot be altered unseen, where its row or its header says nothing.

It says agreement, scope and originator, and the label: whole where the report was posted and where it ended, of the
versions between its policy and level.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from exchange.audit import Entry, EventName
from exchange.kernel import MalformedError, is_uuid7
from exchange.markings import Label
from exchange.release import ClassFacts
from exchange.store.log.searching import Found
from exchange.usecases.steps.context import Services
from exchange.usecases.steps.entry_labels import label_of
from exchange.usecases.steps.told_entries import told_of, waiting_of

_WHOLE: Final = (EventName.REPORT_POSTED, EventName.REPORT_RECALLED, EventName.REPORT_ENDED)
"""The entries about a report whose label is its own as it stands then."""

_TELLING: Final = (
    *(EventName.REPORT_POSTED, EventName.REPORT_AMENDED, EventName.REPORT_DOWNGRADED, EventName.REPORT_DECLASSIFIED),
    *(EventName.REPORT_RECALLED, EventName.REPORT_ENDED),
)
"""The entries that say what a report is: the newest version counts, and of one version what ended it."""

_REMEMBERED: Final = timedelta(minutes=1)
"""Whoever lists again and again meets the same reports."""


@dataclass(frozen=True, slots=True)
class LogWord:
    """What the log says a report is; `label` is None where it says no more of it than `level` and `policy`.

    `recorded` is the label that its entries are kept under.
    """

    agreement: str | None
    scope: str | None
    originator: str | None
    policy: object
    level: object
    label: Label | None
    recorded: dict[str, str | list[str]] | None

    def fits(self, facts: ClassFacts) -> bool:
        """Return whether a report of this class may be the one that the log speaks of."""
        if (self.agreement, self.scope, self.originator) != (facts.agreement, facts.scope, facts.originator):
            return False
        if self.label is not None:
            return self.label == facts.label
        return (self.policy, self.level) == (facts.label.policy, facts.label.classification)


async def word_of(services: Services, report_id: str) -> LogWord | None:
    """Return what the newest entry about a report says it is; None where no entry in its place speaks of it."""
    # What somebody wrote in its place is no id, and no entry is about it.
    now, kept = services.clock(), services.knowledge.words_of_log.get(report_id)
    if kept is not None and abs(now - kept[0]) < _REMEMBERED:
        return _word(kept[1])
    newest = await _newest(report_id, _placed(services, report_id))
    if newest is None:
        return None
    services.knowledge.hear(report_id, (now, newest))
    return _word(newest)


async def word_until_now(services: Services, report_id: str, *, lacks: list[Found] | None = None) -> LogWord | None:
    """Return what `word_of` does, with the entries that no search finds yet; for who asks about one report.

    Of one that has ended the word is the last: it is remembered for as long as the process hears of few others. Into
    `lacks` come the places of entries that are not whole: one of them may say otherwise of what goes on.
    """
    now, kept = services.clock(), services.knowledge.words_of_log.get(report_id)
    if kept is not None and _ends(kept[1]):
        return _word(kept[1])

    async def all_of_them() -> AsyncIterator[Sequence[Entry]]:
        yield await waiting_of(services, *_TELLING, subjects=(report_id,))
        async for entries in _placed(services, report_id, lacks):
            yield entries

    newest = await _newest(report_id, all_of_them())
    if newest is None:
        return None
    if _ends(newest):
        services.knowledge.hear(report_id, (now, newest))
    return _word(newest)


def word_of_class(facts: ClassFacts) -> LogWord:
    """Return what the log says of a report of this class where its row is right: for while nobody reads the log."""
    label = facts.label
    told = facts.agreement, facts.scope, facts.originator, label.policy, label.classification
    return LogWord(*told, label, label.as_json())


async def recorded_label(services: Services, report_id: str) -> Label | None:
    """Return the label that the newest entry about a report stands under; None where none has its place in the log."""
    word = await word_of(services, report_id)
    return None if word is None or word.recorded is None else _label(word.recorded)


async def _placed(
    services: Services, report_id: str, lacks: list[Found] | None = None
) -> AsyncIterator[Sequence[Entry]]:
    if is_uuid7(report_id):
        async for entries in told_of(services, *_TELLING, subject=report_id, lacks=lacks):
            yield entries


async def _newest(report_id: str, pages: AsyncIterator[Sequence[Entry]]) -> Entry | None:
    newest: Entry | None = None
    async for entries in pages:
        for entry in entries:
            held = entry.get("object", {})
            is_about_it = held.get("type") == "report" and held.get("id") == report_id
            if is_about_it and (newest is None or _order(newest) < _order(entry)):
                newest = entry
    return newest


def _ends(entry: Entry) -> bool:
    return entry["type"] in {each.value for each in _WHOLE[1:]}


def _order(entry: Entry) -> tuple[int, bool, bool]:
    # What ended a first version comes after its post, which has the label whole as well.
    return entry.get("object", {}).get("version", 0), entry["type"] in {each.value for each in _WHOLE}, _ends(entry)


def _word(entry: Entry) -> LogWord:
    label: Mapping[str, str | list[str]] = entry.get("label", {})
    detail = entry.get("detail", {})
    # Of a new version the entry says its level; the label beside it is the one before.
    is_whole = entry["type"] in {each.value for each in _WHOLE}
    return LogWord(
        entry.get("agreement"),
        entry.get("scope"),
        entry.get("owner"),
        detail.get("to_policy", label.get("policy")),
        detail.get("to_level", label.get("classification")),
        _label(label) if is_whole else None,
        dict(label) or None,
    )


def _label(fields: Mapping[str, str | list[str]]) -> Label | None:
    try:
        return label_of(fields)
    except MalformedError:
        return None
