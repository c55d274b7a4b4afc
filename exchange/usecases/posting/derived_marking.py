"""Whether the originators of sources have consented that what derives from them is marked lower.

Asked whenever a report would be marked lower than one that it builds on, or go on to others than that names. Steps: (1)
the source stands, so that there is something to consent to; (2) a grant of its originator to the deriving member holds
now, for this version of it; (3) the grant covers the label, and the agreement what it lets go; (4) the log has it so,
and not that it was taken back; (5) so do the grants about what the source itself builds on: nobody consents to less
than its own sources allow. Default is none.

What derives from another member's report is held to it with every part, for a part goes to whom its own label names;
its own intelligence a member may take apart as it likes, but for what that was derived from.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from exchange.audit import EventName
from exchange.kernel import rfc3339
from exchange.markings import Label, render_marking
from exchange.release import ClassFacts, covers_derived
from exchange.reports import Header, ReportAct, may_be_done, status_of
from exchange.store import ClassRow, DerivationRow, DerivationWish, Parts, PolicyState, ReportRow
from exchange.store.log.archived import LogDamagedError
from exchange.usecases.steps.context import Call, Services
from exchange.usecases.steps.opening import open_sealed_header
from exchange.usecases.steps.recording import record_tampering
from exchange.usecases.steps.sealed_headers import UNOPENED, sealed_class
from exchange.usecases.steps.told_entries import all_told_until_now, is_any_naming, require_readable
from exchange.usecases.steps.unread import known_agreements


@dataclass(frozen=True, slots=True)
class Source:
    """A report that another one builds on, as it is loaded."""

    report: ReportRow
    kept: ClassRow

    @property
    def facts(self) -> ClassFacts:
        """Return its class facts."""
        return self.kept.facts

    @property
    def has_ended(self) -> bool:
        """Return whether its keys are destroyed, as its row says: nothing of it is sealed any more."""
        return not self.report.sealed_header and not may_be_done(ReportAct.RELEASE, self.report.status)

    def stands(self, now: datetime) -> bool:
        """Return whether anything can be consented to about it at `now`: not once it is recalled or has expired."""
        return may_be_done(ReportAct.RELEASE, status_of(self.report.status, self.report.valid_until, now))


@dataclass(frozen=True, slots=True)
class _Asked:
    """A source, for whose report it is asked about, and the label of that."""

    source: Source
    member: str
    label: Label

    @property
    def key(self) -> tuple[str, str]:
        """Return what a consent is about: the report, and for whose."""
        return self.source.report.id, self.member


async def load_source(services: Services, call: Call, report_id: str) -> Source | None:
    """Return a report that another one builds on, whoever may read it; None where there is none.

    Raises TamperedError, recorded, where it is not what its row says: nothing is marked by that.
    """
    row = await services.store.report_for("", report_id, parts=Parts.NONE)
    if row.report is None:
        return None
    try:
        return Source(row.report, await sealed_class(services, row.report))
    except UNOPENED as exc:
        return await record_tampering(services, call, None, f"report {report_id}", exc)


async def header_of(services: Services, call: Call, source: Source) -> Header:
    """Return the whole header of a source, whoever may read it; UnavailableError where it does not open."""
    try:
        return await open_sealed_header(services, source.report, source.kept)
    except UNOPENED as exc:
        await record_tampering(services, call, None, f"report {source.report.id}", exc)


async def covering_consents(  # noqa: PLR0913  who marks what how, from which source
    services: Services, call: Call, state: PolicyState, source: Source, *, labels: Sequence[Label], member: str
) -> tuple[str, ...] | None:
    """Return the ids of the consents under which a report of `member` that builds on `source` has `labels`.

    The first is the report's own, the others are its parts'; the law knows them all. None where a consent is missing.
    """
    consents = list[str]()
    for label in dict.fromkeys(labels):
        asked, is_taken_apart = _Asked(source, member, label), label != labels[0]
        found = await _consents_to(services, call, state, asked, is_taken_apart=is_taken_apart)
        if found is None:
            return None
        consents += found
    return tuple(dict.fromkeys(consents))


async def consents_to_pass_on(  # noqa: PLR0913  what goes on to whom
    services: Services,
    call: Call,
    state: PolicyState,
    header: Header,
    *,
    labels: Sequence[Label],
    recipient: str,
) -> tuple[str, ...] | None:
    """Return the ids of the consents under which what stands under `labels` in a report goes on to `recipient`.

    As for marking it so: whoever derives from a report passes it on no further than its originator lets it. What a
    member made of its own intelligence it passes on as it likes. None where a consent is missing.
    """
    consents = list[str]()
    for report_id in header.references:
        source = await load_source(services, call, report_id)
        if source is None:
            return None
        if source.facts.originator == recipient:
            continue
        for label in labels:
            wider = replace(label, releasable_to=tuple(sorted({*label.releasable_to, recipient})))
            asked = _Asked(source, header.originator, wider)
            found = await _consents_to(services, call, state, asked, is_taken_apart=True)
            if found is None:
                return None
            consents += found
    return tuple(dict.fromkeys(consents))


async def do_sources_allow(  # noqa: PLR0913  as `covering_consents`
    services: Services,
    call: Call,
    state: PolicyState,
    *,
    source: Source,
    label: Label,
    member: str,
) -> bool:
    """Return whether what `source` itself builds on allows that `member` marks `label` what derives from it."""
    beneath = await _beneath(services, call, _Asked(source, member, label))
    return beneath is not None and await _all_consents(services, call, state, beneath) is not None


async def _consents_to(
    services: Services, call: Call, state: PolicyState, asked: _Asked, *, is_taken_apart: bool
) -> tuple[str, ...] | None:
    """Return the consents to one label, none where it is no lower than the source's; None where one is missing."""
    source = asked.source
    if services.law.catalogue.dominates(asked.label, source.facts.label, originator=asked.member):
        return ()
    is_own = source.facts.originator == asked.member
    pending = await _taken_apart(services, call, asked) if is_own and is_taken_apart else [asked]
    return None if pending is None else await _all_consents(services, call, state, pending)


async def _taken_apart(services: Services, call: Call, asked: _Asked) -> list[_Asked] | None:
    """Return what a member's own report builds on, by whatever steps of its own, that is others' and stands above.

    None where a step is destroyed: what that was made of nobody can say.
    """
    others: list[_Asked] = []
    steps, seen = [asked], {asked.source.report.id}
    while steps:
        step = steps.pop()
        beneath = await _beneath(services, call, step) if step.source.report.sealed_header else None
        if beneath is None:
            return None
        new = [each for each in beneath if each.source.report.id not in seen]
        seen |= {each.source.report.id for each in new}
        steps += [each for each in new if each.source.facts.originator == asked.member]
        others += [each for each in new if each.source.facts.originator != asked.member]
    return others


async def _all_consents(
    services: Services, call: Call, state: PolicyState, pending: list[_Asked]
) -> tuple[str, ...] | None:
    await known_agreements(services, state)
    consents: dict[tuple[str, str], str] = {}
    reached: dict[tuple[str, str], frozenset[str]] = {}
    while pending:
        asked = pending.pop()
        consent = await _consent(services, call, asked)
        # (5) only behind a consent: what is refused anyway is not walked through
        beneath = None if consent is None else await _beneath(services, call, asked)
        if consent is None or beneath is None:
            return None
        consents[asked.key] = consent
        for each in beneath:
            # INVARIANT: another way to a source that was asked about adds whom it passed, and is asked about with
            # them; one that adds nobody ends here, so that each source is asked about as often as there are members.
            recipients = reached.get(each.key, frozenset()) | frozenset(each.label.releasable_to)
            if recipients != reached.get(each.key):
                reached[each.key] = recipients
                pending.append(replace(each, label=replace(each.label, releasable_to=tuple(sorted(recipients)))))
    return tuple(consents.values())


def consent_detail(services: Services, wish: DerivationWish, member: str) -> dict[str, str]:
    """Return what a consent to the reports of `member` says, as its entry has it."""
    lowest = render_marking(wish.lowest, services.law.catalogue, originator=member)
    return {"for": member, "lowest": lowest, "until": rfc3339(wish.until)}


async def _beneath(services: Services, call: Call, asked: _Asked) -> list[_Asked] | None:
    """Return what the source itself builds on and would stand above the label; None where any of it is gone."""
    # For the originators further down its author is one more recipient.
    label = replace(asked.label, releasable_to=tuple(sorted({*asked.label.releasable_to, asked.member})))
    by = asked.source.facts.originator
    found = []
    for report_id in (await header_of(services, call, asked.source)).references:
        source = await load_source(services, call, report_id)
        if source is None:
            return None
        if not services.law.catalogue.dominates(label, source.facts.label, originator=by):
            found.append(_Asked(source, by, label))
    return found


async def _consent(services: Services, call: Call, asked: _Asked) -> str | None:
    source, facts = asked.source, asked.source.facts
    # (1) what was recalled or has expired is given to nobody
    if not source.stands(call.now):
        return None
    # (2) read behind the policy version that it is decided under: taken back since, it is decided again
    rows = await _granted(services, asked)
    # (3) of several any one
    scope = services.knowledge.scope(facts.agreement, facts.scope, call.now, facts.edition)
    lacking: LogDamagedError | None = None
    for row in rows:
        is_theirs = row.originator == facts.originator and row.holds(source.report.version, call.now)
        is_covered = is_theirs and covers_derived(
            row.wish.lowest,
            asked.label,
            source=facts,
            scope=scope,
            member=asked.member,
            catalogue=services.law.catalogue,
        )
        # (4) as the log has it
        try:
            if is_covered and await is_on_record(services, row):
                return row.id
        except LogDamagedError as exc:
            lacking = exc
    if lacking is not None:
        raise lacking
    return None


async def is_on_record(services: Services, row: DerivationRow) -> bool:
    """Return whether the log says that this was granted, and nobody took it back: a row alone consents to nothing.

    Raises UnavailableError as `require_readable`, LogDamagedError where it lacks an entry that may say so.
    """
    await require_readable(services, "what was consented to")
    revoked = EventName.DERIVATION_REVOKED
    return await _is_granted(services, row) and not await is_any_naming(
        services, revoked, subject=row.report, field="request", of=row.id
    )


async def _is_granted(services: Services, row: DerivationRow) -> bool:
    said = {"request": row.id, **consent_detail(services, row.wish, row.requester_member)}
    # Who finds it misses none of those about other requests.
    async for entry in all_told_until_now(services, EventName.DERIVATION_GRANTED, subject=row.report, of=row.id):
        detail, is_of_this = entry.get("detail", {}), entry.get("object", {}).get("version") == row.version
        if is_of_this and all(detail.get(name) == value for name, value in said.items()):
            return True
    return False


async def _granted(services: Services, asked: _Asked) -> list[DerivationRow]:
    # No unit is held while a header is opened, or the log is asked: others wait for that.
    async with services.store.unit_of_work() as unit:
        return await unit.derivations().granted(asked.source.report.id, asked.member)
