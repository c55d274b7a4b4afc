"""What becomes of reports with time alone: declassified on their day, ended by retention, recalls followed up.

Acts of the exchange itself: the originator gave the day, the parties the retention, the releaser the recall. Each
report is a step of its own, so that one that cannot be moved holds nobody up.

Late, it does what it would have done in time: what was to be destroyed before its day is not declassified on it, though
a legal hold keeps it or nothing swept meanwhile. What has merely expired is: what derives from it waits for that.

Steps of a round: (1) reports whose day of declassification has come; (2) reports kept for as long as their scope says;
(3) reports that an agreement's own terms recall, now that it has ended or that their originator has left it; (4)
recalls of the last day: whoever was given the report while it was being recalled is asked as well; (5) new versions of
the last minutes: whoever was given the one before while it was being replaced is told as well; (6) so is whoever was
given a report while another one took its place.
"""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from exchange.agreements import Agreement, AgreementId, Scope, is_recalled_by_text, is_recalled_since, moved_by
from exchange.audit import Entry, EventName, Outcome
from exchange.kernel import ExchangeError, first_moment, new_id, parse_rfc3339
from exchange.release import ClassFacts
from exchange.reports import Header, ReportAct, declassified, require_act
from exchange.store import ClassRow, EndCause, NoticeKind, Parts, PolicyState
from exchange.store.rows.unread import UNREADABLE
from exchange.usecases.life.destructions import ask_destruction
from exchange.usecases.life.late_readers import tell_late
from exchange.usecases.life.report_moves import Move, contents_of, moved
from exchange.usecases.life.told_leavings import with_told_leavings
from exchange.usecases.life.tombstones import end_report
from exchange.usecases.posting.life_checks import require_above_sources
from exchange.usecases.posting.superseding import tell_late_of_superseding
from exchange.usecases.steps.altered_classes import whole_classes
from exchange.usecases.steps.context import Call, Services
from exchange.usecases.steps.judging import own_state, require_same_law
from exchange.usecases.steps.opening import open_sealed_header
from exchange.usecases.steps.originating import OwnReport, opened_header
from exchange.usecases.steps.sealed_headers import UNOPENED, known_class
from exchange.usecases.steps.told_entries import told_since, told_until_now
from exchange.usecases.steps.unread import known_agreements

AT_ONCE: Final = 200
"""Reports of one kind in a round: a backlog is worked off in many rounds, and posts come between."""

FOLLOWED_UP: Final = timedelta(days=1)
"""For so long after a recall the log is asked again: what was under way then is recorded long before."""

LATE: Final = timedelta(minutes=15)
"""For so long after a new version the log is asked again: there are many more of them than recalls."""

STOOD_STILL: Final = timedelta(days=7)
"""So far back a process looks when it begins to sweep: longer than the jobs of an exchange stand still."""


_BY_TEXT: Final = "shared reports are recalled: the agreement has ended, or its originator has left it"
"""Stands on the tombstone and in the log."""

_log = logging.getLogger("exchange.reports")


@dataclass(frozen=True, slots=True)
class Swept:
    """How many reports a round declassified, ended, followed up, left as they are, and recalled.

    `unasked` are those that were recalled and could not be followed up.
    """

    declassified: int
    ended: int
    followed_up: int
    left: int
    recalled: int = 0
    unasked: tuple[str, ...] = ()

    @property
    def has_more(self) -> bool:
        """Return whether another round would find as much again."""
        return max(self.declassified, self.ended, self.recalled) >= AT_ONCE


async def sweep_reports(  # noqa: PLR0913  what a round does, and does not
    services: Services,
    now: datetime,
    *,
    is_held: bool = False,
    is_doubted: bool = False,
    followed_up: timedelta = FOLLOWED_UP,
    unasked: Collection[str] = (),
) -> Swept:
    """Do one round; raises UnavailableError where nothing works.

    With `is_held`, a legal hold, nothing is destroyed; with `is_doubted`, a clock that leapt, nothing is declassified
    either, and recalls are followed up: those of the last `followed_up`, and those that a round before left `unasked`.
    """
    await own_state(services)
    sweeps = services.store.sweeps
    # (1) the day has come
    due = _pages(lambda after: sweeps.to_declassify(now, after=after, limit=AT_ONCE))
    lowered = _Some(0, 0) if is_doubted else await _some(due, lambda report: _declassify(services, now, report))
    # (2) kept long enough: what was lowered just now is of another class, and must not stand so for a round
    state = await own_state(services)
    classes = await whole_classes(services, state)
    destroyable = {} if is_held or is_doubted else classes
    old = _kept_long_enough(services, now, state, destroyable)
    ended = await _some(old, lambda report: _end(services, now, report))
    # (3) by the agreement's own terms
    over = await _recalled_by_text(services, now, state, destroyable)
    withdrawn = await _some(_pages(_before(services, over, now)), lambda report: _recall(services, now, report))
    # (4) recalled lately
    # INVARIANT: nobody is asked to destroy what no entry recalled, and of what one did everybody is, whatever rows say.
    since = now - followed_up
    told = told_since(services, EventName.REPORT_RECALLED, since)
    recalled = sorted({*unasked, *[entry["object"]["id"] async for entry in told]})
    asked = await _each(recalled, lambda report: _follow_up(services, now, report))
    # (5) replaced lately
    lately = now - (LATE if followed_up <= FOLLOWED_UP else followed_up)
    replaced = await sweeps.replaced_since(lately)
    await _each(replaced, lambda report: _tell_late(services, now, report))
    # (6) superseded lately
    told = told_since(services, EventName.REPORT_SUPERSEDED, lately)
    superseded = {entry["object"]["id"]: entry async for entry in told}
    await _each(superseded, lambda report: _tell_of_superseding(services, now, superseded[report]))
    lacking = tuple(report for report in recalled if report not in asked)
    left = lowered.left + ended.left + withdrawn.left + len(lacking)
    return Swept(lowered.done, ended.done, len(asked), left, withdrawn.done, lacking)


@dataclass(frozen=True, slots=True)
class _Some:
    """How many reports of one kind a round moved, and how many it left as they are."""

    done: int
    left: int


async def _pages(find: Callable[[int], Awaitable[Sequence[tuple[str, int]]]]) -> AsyncIterator[list[str]]:
    # Page by page to the end: those that may not be moved must not stand in the way of the others.
    after = 0
    while some := await find(after):
        after = some[-1][1]
        yield [report for report, _ in some]


async def _some(pages: AsyncIterator[list[str]], step: Callable[[str], Awaitable[bool]]) -> _Some:
    """Take the step with the reports of these pages until it was done so often in this round."""
    done, seen = 0, 0
    async for page in pages:
        done += len(await _each(page, step))
        seen += len(page)
        if done >= AT_ONCE:
            break
    return _Some(done, seen - done)


async def _each(reports: Iterable[str], step: Callable[[str], Awaitable[bool]]) -> frozenset[str]:
    """Take the step with each of these reports, and return with which it was done."""
    done = set()
    for report in reports:
        try:
            done |= {report} if await step(report) else set()
        except ExchangeError as exc:
            _log.info("a report is left as it is", extra={"report": report, "cause": exc.message})
        except UNREADABLE as exc:
            # Somebody wrote it there: what is due of all others is done.
            _log.critical("report %s cannot be read, and is left as it is: %s", report, type(exc).__name__)
    return frozenset(done)


async def _declassify(services: Services, now: datetime, report_id: str) -> bool:
    call, own = await _own(services, now, report_id)
    require_act(own.report.status, ReportAct.DOWNGRADE)
    before = await opened_header(services, call, own)
    if before.declassify_on is None or before.declassify_on > now.date():
        # The day on the row is not the sealed one: the row alone declassifies nothing.
        return False
    agreement = (await known_agreements(services, own.state)).get(own.facts.agreement)
    if agreement is None or not agreement.is_proven:
        # INVARIANT: whether it was to be destroyed before, no text says that not all its parties have signed.
        return False
    if _is_over(agreement, own.facts, before, first_moment(before.declassify_on)):
        return False
    after = declassified(before, services.law.catalogue.declassified)
    consents = await require_above_sources(services, call, after, own.state)
    move = Move(ReportAct.DOWNGRADE, EventName.REPORT_DECLASSIFIED, NoticeKind.DECLASSIFIED, before, after, consents)
    await moved(services, call, own, move, await contents_of(services, call, own))
    return True


def _is_over(agreement: Agreement, facts: ClassFacts, header: Header, moment: datetime) -> bool:
    """Return whether a report was to be destroyed by `moment`, for its retention or by the agreement's own terms."""
    scope = _posted_under(agreement, facts.scope, facts.edition)
    is_kept = scope is None or header.posted_at >= moved_by(moment, scope.retention, back=True)
    return not is_kept or _is_recalled(agreement, facts, moment)


async def _kept_long_enough(
    services: Services, now: datetime, state: PolicyState, classes: Mapping[int, ClassRow]
) -> AsyncIterator[list[str]]:
    agreements = await known_agreements(services, state)
    # By what was signed when it was posted: a later text keeps nothing longer that is there already.
    by_scope: dict[tuple[str, str, int], list[int]] = {}
    for kept in classes.values():
        place = (kept.facts.agreement, kept.facts.scope, kept.facts.edition)
        by_scope.setdefault(place, []).append(kept.id)
    for (agreement_id, scope_name, edition), class_ids in by_scope.items():
        agreement = agreements.get(agreement_id)
        if agreement is None or not agreement.is_proven:
            # INVARIANT: a text that not all its parties have signed destroys nothing, whoever wrote it there.
            continue
        if (scope := _posted_under(agreement, scope_name, edition)) is not None:
            async for page in _pages(_before(services, class_ids, moved_by(now, scope.retention, back=True))):
                yield page


def _posted_under(agreement: Agreement, scope: str, edition: int) -> Scope | None:
    texts = agreement.texts
    return texts[edition - 1].scope(scope) if 1 <= edition <= len(texts) else None


def _before(
    services: Services, class_ids: Collection[int], moment: datetime
) -> Callable[[int], Awaitable[list[tuple[str, int]]]]:
    return lambda after: services.store.sweeps.posted_before(class_ids, moment, after=after, limit=AT_ONCE)


async def _recalled_by_text(
    services: Services, now: datetime, state: PolicyState, classes: Mapping[int, ClassRow]
) -> list[int]:
    """Return the classes whose reports an agreement's own terms recall, by leavings that the log tells of too."""
    agreements = await known_agreements(services, state)
    found = [
        kept
        for kept in classes.values()
        if (agreement := agreements.get(kept.facts.agreement)) is not None and _is_recalled(agreement, kept.facts, now)
    ]
    told = {
        each: await with_told_leavings(services, agreements[AgreementId(each)])
        for each in sorted({kept.facts.agreement for kept in found})
    }
    return [kept.id for kept in found if _is_recalled(told[kept.facts.agreement], kept.facts, now)]


def _is_recalled(agreement: Agreement, facts: ClassFacts, now: datetime) -> bool:
    # Left, and back before the sweep came to it: a hold, or a clock in doubt, may have kept that for days.
    is_away = is_recalled_since(agreement, facts.originator, facts.edition)
    return is_away or is_recalled_by_text(agreement, facts.originator, now)


async def _recall(services: Services, now: datetime, report_id: str) -> bool:
    call, own = await _own(services, now, report_id)
    await end_report(services, call, own, EndCause.RECALLED, _BY_TEXT)
    # In a transaction of its own: what it finds must not be able to keep a report from being recalled.
    await ask_destruction(services, own.entry(call, EventName.REPORT_RECALLED, Outcome.PERMITTED), report_id)
    return True


async def _end(services: Services, now: datetime, report_id: str) -> bool:
    call, own = await _own(services, now, report_id)
    agreement = (await known_agreements(services, own.state)).get(own.facts.agreement)
    scope = None if agreement is None else _posted_under(agreement, own.facts.scope, own.facts.edition)
    posted_at = await _posted_at(services, own)
    if scope is None or posted_at is None or posted_at >= moved_by(now, scope.retention, back=True):
        # INVARIANT: the moment on the row destroys nothing: it is not the one that was sealed, or that the log has.
        raise _not_as_its_row(report_id)
    await end_report(services, call, own, EndCause.RETENTION)
    return True


async def _posted_at(services: Services, own: OwnReport) -> datetime | None:
    """Return when a report was posted, as it is sealed; where that does not open, as the log has it; else None."""
    try:
        return (await open_sealed_header(services, own.report, own.kept)).posted_at
    except UNOPENED:
        told = told_until_now(services, EventName.REPORT_POSTED, subject=own.report.id)
        return max([parse_rfc3339(entry["ts"]) async for entry in told], default=None)


async def _follow_up(services: Services, now: datetime, report_id: str) -> bool:
    call, own = await _own(services, now, report_id)
    await ask_destruction(services, own.entry(call, EventName.DESTRUCTION_ASKED, Outcome.PERMITTED), report_id)
    return True


async def _tell_late(services: Services, now: datetime, report_id: str) -> bool:
    _, own = await _own(services, now, report_id)
    return await tell_late(services, own)


async def _tell_of_superseding(services: Services, now: datetime, entry: Entry) -> bool:
    _, own = await _own(services, now, str(entry["object"]["id"]))
    return await tell_late_of_superseding(services, own, entry)


async def _own(services: Services, now: datetime, report_id: str) -> tuple[Call, OwnReport]:
    """Return a report as the exchange's own to move: nobody calls, so nobody's right is asked."""
    call = Call(new_id(now, services.randomness), "local", None, now, is_service=True)
    row = await services.store.report_for("", report_id, parts=Parts.NONE)
    if row.report is None:
        raise ExchangeError(f"the report {report_id} is gone")
    # As of now: what was done to one of the round before may have moved the policy.
    require_same_law(services, row.state)
    try:
        kept = await known_class(services, row.report)
    except UNOPENED as exc:
        raise _not_as_its_row(report_id) from exc
    if kept.id != row.report.class_id:
        # INVARIANT: it was looked for by its row: of another class another term holds, and another text.
        raise _not_as_its_row(report_id)
    return call, OwnReport(None, row.state, row.report, kept)


def _not_as_its_row(report_id: str) -> ExchangeError:
    # Its originator and its readers have it recorded when they look; each round would.
    _log.critical("report %s is not what its row says: it is left as it is", report_id)
    return ExchangeError("the report is not what its row says")
