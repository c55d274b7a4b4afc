"""What a report builds on stays with it: with its next version, and with whatever takes its place.

Whoever writes anew may leave a source out, by design or by oversight; the marking would then follow no source any more.
"""

from collections.abc import Sequence
from dataclasses import replace

from exchange.kernel import Fault, InvalidError
from exchange.reports import Header, ReportId
from exchange.store import PolicyState
from exchange.usecases.posting.derived_marking import Source, header_of
from exchange.usecases.posting.life_checks import require_above_sources
from exchange.usecases.posting.post_checks import MOST_REFERENCES
from exchange.usecases.steps.context import Call, Services


async def sources_of_superseded(services: Services, call: Call, superseded: Source | None) -> tuple[ReportId, ...]:
    """Return what a report builds on that is to be superseded; nothing where it has ended, for its place is not taken.

    Raises TamperedError, recorded, where its row says that it goes on, and nothing is sealed in it.
    """
    if superseded is None or superseded.has_ended:
        return ()
    return (await header_of(services, call, superseded)).references


async def with_kept_sources(  # noqa: PLR0913  what is marked how, and what it goes on building on
    services: Services, call: Call, header: Header, kept: Sequence[ReportId], state: PolicyState, *, place: str
) -> tuple[Header, tuple[str, ...]]:
    """Return `header` as building on `kept` too, and the consents under which it is marked lower than any of those.

    They need not be readable any more, nor be there. InvalidError at `place` where a consent is missing, and where it
    would build on too many.
    """
    joined = tuple(dict.fromkeys((*kept, *header.references)))
    if len(joined) > MOST_REFERENCES:
        told = f"at most {MOST_REFERENCES} references, with those of the report in whose place it comes"
        raise InvalidError("the report builds on too many others", (Fault("/references", "too-many", told),))
    if not kept:
        return header, ()
    consents = await require_above_sources(services, call, replace(header, references=tuple(kept)), state, place=place)
    return replace(header, references=joined), consents
