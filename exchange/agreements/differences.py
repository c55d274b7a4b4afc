"""What an amended text changes, in words, one sentence for each thing: from two texts and who has left the first."""

from collections.abc import Collection, Iterator
from dataclasses import replace

from exchange.agreements.model import CrisisClause, Obligation, OlderReports, Scope, SharedReports, Terms
from exchange.agreements.terms_reader import EVERY_PARTY
from exchange.members import MemberCode

_WORDS = ("topics", "regions", "kinds", "purposes", "compartments")
_LISTS = (*_WORDS, "contributors")


def differences(before: Terms, after: Terms, *, gone: Collection[str] = ()) -> tuple[str, ...]:
    """Return every difference, in the order of the text; empty where the texts are the same.

    `gone` have left `before` by their notice: named again they accede, and what becomes of their reports is settled.
    """
    # INVARIANT: no text differs in silence: who signs is told that it does, though it may mean the same.
    unsaid = () if before == after else ("nothing changes but the order of what is written",)
    left = [f"{each}, which has left, is named no more" for each in _named_no_more(before, after) if each in gone]
    return (*left, *_sentences(_without(before, gone), after)) or unsaid


def _without(terms: Terms, gone: Collection[str]) -> Terms:
    if not gone:
        return terms

    def staying(members: tuple[MemberCode, ...]) -> tuple[MemberCode, ...]:
        return tuple(member for member in members if member not in gone)

    scopes = tuple(
        replace(scope, contributors=staying(scope.contributors), readers=staying(scope.readers))
        for scope in terms.scopes
    )
    return replace(terms, parties=staying(terms.parties), scopes=scopes)


def _named_no_more(before: Terms, after: Terms) -> tuple[MemberCode, ...]:
    return tuple(member for member in before.parties if member not in after.parties)


def _sentences(before: Terms, after: Terms) -> Iterator[str]:
    yield from (f"{member} accedes" for member in after.parties if member not in before.parties)
    yield from (_left(member, after) for member in _named_no_more(before, after))
    for scope in after.scopes:
        earlier = before.scope(scope.name)
        yield from _new_scope(scope) if earlier is None else _changed_scope(earlier, scope)
    yield from (f"the scope {scope.name} ends" for scope in before.scopes if after.scope(scope.name) is None)
    for name, old, new in (
        ("title", before.title, after.title),
        ("last day", before.validity.last_day, after.validity.last_day),
        ("review", before.validity.review_every, after.validity.review_every),
        ("notice of withdrawal", before.termination.notice, after.termination.notice),
        ("fate of shared reports", before.termination.shared_reports.value, after.termination.shared_reports.value),
    ):
        if old != new:
            yield f"{name}: {old} becomes {new}"
    yield from (f"ends: {_owed(each)}" for each in before.obligations if each not in after.obligations)
    yield from (f"from now on {_owed(each)}" for each in after.obligations if each not in before.obligations)
    yield from _changed_crises(before, after)
    if after.older_reports is OlderReports.INCLUDED:
        yield "what is widened reaches reports that are older than this text"
    elif before.older_reports is OlderReports.INCLUDED:
        yield "what is widened reaches no reports that are older than this text"


def _left(member: MemberCode, after: Terms) -> str:
    is_recalled = after.termination.shared_reports is SharedReports.RECALLED
    return f"{member} is no party any more" + (": what it shared is recalled" if is_recalled else "")


def _owed(obligation: Obligation) -> str:
    who = "each party" if obligation.party == EVERY_PARTY else obligation.party
    owed = [] if obligation.report_every is None else [f"a report every {obligation.report_every}"]
    times = ", ".join(f"{precedence} within {within}" for precedence, within in obligation.acknowledge)
    owed += [f"acknowledgements: {times}"] if times else []
    return f"{who} owes in {obligation.scope} {' and '.join(owed)}"


def _changed_crises(before: Terms, after: Terms) -> Iterator[str]:
    for clause in before.crisis:
        if clause not in after.crisis:
            yield f"the crisis clause {clause.name} ends as it was"
    yield from (_crisis(clause) for clause in after.crisis if clause not in before.crisis)


def _crisis(clause: CrisisClause) -> str:
    opened = [f"lets {', '.join(clause.readers)} read"] if clause.readers else []
    opened += [] if clause.ceiling is None else [f"lifts the ceiling to {clause.ceiling}"]
    older = ", of older reports too" if clause.older_reports is OlderReports.INCLUDED else ""
    people = ", ".join(f"{each.name} ({each.member})" for each in clause.signatories)
    told = f"in {clause.scope} for at most {clause.at_most}{older}, by two of {people}"
    return f"the crisis clause {clause.name} {' and '.join(opened)} {told}"


def _new_scope(scope: Scope) -> Iterator[str]:
    yield f"the scope {scope.name} is new: from {', '.join(scope.contributors)}"
    yield from (f"{member} may now read {scope.name} up to {scope.ceiling}" for member in scope.readers)
    for name in _WORDS:
        if words := getattr(scope, name):
            yield f"{scope.name}: {name} are {', '.join(words)}"
    yield f"{scope.name}: onward release is {scope.onward_release.value}"
    yield f"{scope.name}: retention is {scope.retention}"
    yield f"{scope.name}: answers to requests go to the {scope.answers.value}"


def _changed_scope(earlier: Scope, scope: Scope) -> Iterator[str]:
    if earlier.ceiling != scope.ceiling:
        yield f"{scope.name}: ceiling: {earlier.ceiling} becomes {scope.ceiling}"
    for member in scope.readers:
        if member not in earlier.readers:
            yield f"{member} may now read {scope.name} up to {scope.ceiling}"
    yield from (
        f"{member} may no longer read {scope.name}" for member in earlier.readers if member not in scope.readers
    )
    for name in _LISTS:
        old, new = getattr(earlier, name), getattr(scope, name)
        yield from (f"{scope.name}: {name} gain {each}" for each in new if each not in old)
        yield from (f"{scope.name}: {name} lose {each}" for each in old if each not in new)
    if earlier.onward_release is not scope.onward_release:
        yield f"{scope.name}: onward release becomes {scope.onward_release.value}"
    if earlier.retention != scope.retention:
        yield f"{scope.name}: retention becomes {scope.retention} for what is posted from then on"
    if earlier.answers is not scope.answers:
        yield f"{scope.name}: answers to requests go to the {scope.answers.value}"
