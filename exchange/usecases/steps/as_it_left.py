"""An agreement as a member knows it that has left: as it stood then, whatever the others did since.

To who is no party of it, and was not left behind either, there is none.
"""

from dataclasses import replace
from datetime import datetime

from exchange.agreements import Agreement, as_it_was, is_known_to, is_party
from exchange.kernel import NotFoundError
from exchange.usecases.steps.context import Call, Services
from exchange.usecases.steps.judging import Judged
from exchange.usecases.steps.knowledge import scope_facts


def agreement_not_found() -> NotFoundError:
    """Return the one answer for absent and invisible agreements."""
    return NotFoundError("no such agreement, or none that you may see")


async def as_it_left(services: Services, call: Call, member: str, agreement: Agreement) -> Agreement:
    """Return `agreement` as it stood when `member` left it, by its notice or with a text; as it is where it has not."""
    if is_party(agreement, member, call.now):
        return agreement
    versions = await services.store.history.agreement(agreement.id)
    own = [(span, party) for span in versions if (party := span.value.party(member)) is not None]
    if own and not is_known_to(agreement, member):
        # The text that names it no more it has signed too; it agreed to be told of nothing behind that.
        later = (span for span in versions if span.value.version > own[-1][0].value.version)
        return next((_known_at(span.value, span.since) for span in later), agreement)
    leaves_at = own[-1][1].leaves_at if own else None
    if leaves_at is None:
        return agreement
    return next((_known_at(span.value, leaves_at) for span, _ in reversed(own) if span.since <= leaves_at), agreement)


def _known_at(agreement: Agreement, left_at: datetime) -> Agreement:
    # INVARIANT: nor does it know of a crisis that the others opened since, under the very text that names it still.
    known = as_it_was(agreement, left_at)
    return replace(known, crises=tuple(each for each in known.crises if each.opened_at < left_at))


async def as_originator_knows(services: Services, call: Call, judged: Judged) -> Judged:
    """Return what was judged with the scope as the report's originator knows it, for it to be explained to its people.

    INVARIANT: where the others stand since the originator has left, and what they agreed upon, explains nothing to it.
    """
    facts = judged.facts
    agreement = services.knowledge.agreement(facts.agreement)
    if agreement is None or is_party(agreement, facts.originator, call.now):
        return judged
    known = await as_it_left(services, call, facts.originator, agreement)
    return replace(judged, scope=scope_facts(known, facts.scope, call.now, facts.edition))
