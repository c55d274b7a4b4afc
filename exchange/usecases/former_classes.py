"""Classes that reports had before, held against the log: what was owed, and who could read, is counted by them.

The row alone says in which class a report was posted once it is in another one. The class stands in no entry; what an
entry of a post says of it is its label, its clause and its originator. The rest it shares with the class of today,
which is sealed: the text and the crises that it was posted under for good, and all but the consents while its first
version stands.
"""

from dataclasses import replace

from exchange.audit import Entry
from exchange.release import ClassFacts
from exchange.store.walk_book import ReportSeen
from exchange.usecases.altered_classes import whole_classes
from exchange.usecases.context import Services

_FIRST_VERSION = 1


async def other_than_posted(services: Services, posted: Entry, seen: ReportSeen) -> str | None:
    """Return why a report was not `posted` in the class that its row says; None where it may have been.

    Nothing is said of one whose row names no class: it is in that one still, or was moved before the former was kept.
    """
    if seen.posted_class is None:
        return None
    # Behind the row: each class that it can name is among them.
    known = await whole_classes(services, (await services.store.caller("")).state)
    was = known.get(seen.posted_class) if isinstance(seen.posted_class, int) else None
    if was is None:
        return "the class that it was posted in is none that is known"
    now = known.get(seen.row.class_id)
    is_same = _is_posted(was.facts, posted) and (now is None or _may_precede(was.facts, now.facts, seen.row.version))
    return None if is_same else "`posted_class` is not the one that it was posted in"


def _is_posted(facts: ClassFacts, posted: Entry) -> bool:
    told = (posted.get("agreement"), posted.get("scope"), posted.get("owner"), posted.get("label"))
    # Nothing is consented to before it is posted.
    return told == (facts.agreement, facts.scope, facts.originator, facts.label.as_json()) and not facts.consents


def _may_precede(was: ClassFacts, now: ClassFacts, version: int) -> bool:
    if version == _FIRST_VERSION:
        return was == replace(now, consents=())
    return was.under == now.under
