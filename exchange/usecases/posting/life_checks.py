"""What the next version of a report must satisfy beyond itself: the law's words, its sources, and the version meant."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from exchange.kernel import Fault, InvalidError, PreconditionError
from exchange.markings import Label, render_marking
from exchange.reports import Downgrade, Header, version_digest
from exchange.store import PolicyState
from exchange.store.log.searching import Found
from exchange.usecases.posting.derived_marking import covering_consents, load_source
from exchange.usecases.steps.context import Call, Services
from exchange.usecases.steps.log_words import word_until_now
from exchange.usecases.steps.originating import OwnReport


@dataclass(frozen=True, slots=True)
class MadeVersion:
    """A version of a report as whoever made it is told of it: labels and digests, nothing of its content.

    `act` names the act that waits for a second person: then it is the version that stands, and `replaced` is None.
    """

    report: str
    version: int
    label: Label
    marking: str
    part_labels: tuple[Label, ...]
    digest: str
    replaced: str | None
    act: str | None = None

    @classmethod
    def of(cls, services: Services, before: Header, after: Header) -> "MadeVersion":
        """Return what is told of `after`, which replaced `before`."""
        return replace(cls.standing(services, after), replaced=version_digest(before))

    @classmethod
    def standing(cls, services: Services, header: Header, *, act: str | None = None) -> "MadeVersion":
        """Return what is told of a version that stands, while `act` waits for a second person."""
        marking = render_marking(header.label, services.law.catalogue, originator=header.originator)
        labels = tuple(part.label for part in header.parts)
        digest = version_digest(header)
        return cls(header.id, header.version, header.label, marking, labels, digest, replaced=None, act=act)


def require_version(own: OwnReport, wanted: int | None) -> None:
    """Raise PreconditionError where the report is not at the version that the caller means; None means any."""
    if wanted is not None and wanted != own.report.version:
        raise PreconditionError(f"the report is at version {own.report.version}: read it again")


async def require_known_labels(services: Services, state: PolicyState, wanted: Downgrade) -> None:
    """Raise InvalidError with every word of the labels that the law or the exchange does not know."""
    members = await services.knowledge.member_codes(services.store, state)
    faults = list(label_faults(services, "/label", wanted.label, members))
    for index, label in enumerate(wanted.part_labels or ()):
        if label is not None:
            faults += label_faults(services, f"/part_labels/{index}", label, members)
    if faults:
        raise InvalidError("the labels have faults", tuple(faults))


async def require_above_sources(
    services: Services, call: Call, header: Header, state: PolicyState, *, place: str | None = None
) -> tuple[str, ...]:
    """Return the consents under which `header`, or a part, is marked lower than reports that it builds on; else none.

    Raises InvalidError where such a report's originator has not consented (attack 17), with `place` as the pointer, or
    that of the reference. To what is gone nobody can consent: it is held against what the log says of it.
    """
    labels = (header.label, *(part.label for part in header.parts))
    faults: list[Fault] = []
    consents: list[str] = []
    for index, source_id in enumerate(header.references):
        source = await load_source(services, call, source_id)
        if source is not None:
            found = await covering_consents(services, call, state, source, labels=labels, member=header.originator)
        elif await _was_no_higher(services, source_id, header.originator, labels):
            continue
        else:
            found = None
        if found is None:
            message = "the label would be lower than this source's: its originator has to lower that first, or consent"
            faults.append(Fault(place or f"/references/{index}", "below-source", message))
        else:
            consents += found
    if faults:
        raise InvalidError("a report is never less classified than what it builds on", tuple(faults))
    return tuple(dict.fromkeys(consents))


async def _was_no_higher(services: Services, source_id: str, originator: str, labels: Sequence[Label]) -> bool:
    """Return whether `labels` all reach the one that a report had, whose row is gone: the log has to say it whole."""
    # INVARIANT: a row that somebody took out lets nothing be marked lower, nor does an older word of the log.
    lacks: list[Found] = []
    word = await word_until_now(services, source_id, lacks=lacks)
    was, catalogue = None if word is None else word.label, services.law.catalogue
    if lacks or was is None or any(catalogue.check(was)):
        return False
    return all(catalogue.dominates(each, was, originator=originator) for each in labels)


def label_faults(services: Services, place: str, label: Label, members: frozenset[str]) -> Iterator[Fault]:
    """Yield every word of `label`, which stands at `place`, that the law or the exchange does not know."""
    for fault in services.law.catalogue.check(label):
        yield replace(fault, pointer=f"{place}{fault.pointer}")
    for index, member in enumerate(label.releasable_to):
        if member not in members:
            yield Fault(f"{place}/releasable_to/{index}", "unknown-member", "is no member of the exchange")
