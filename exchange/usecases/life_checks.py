"""What the next version of a report must satisfy beyond itself: the law's words, its sources, and the version meant."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from exchange.kernel import Fault, InvalidError, PreconditionError
from exchange.markings import Label, render_marking
from exchange.reports import Downgrade, Header, version_digest
from exchange.store import PolicyState
from exchange.usecases.context import Services
from exchange.usecases.originating import OwnReport


@dataclass(frozen=True, slots=True)
class MadeVersion:
    """A version of a report as whoever made it is told of it: labels and digests, nothing of its content."""

    report: str
    version: int
    label: Label
    marking: str
    part_labels: tuple[Label, ...]
    digest: str
    replaced: str

    @classmethod
    def of(cls, services: Services, before: Header, after: Header) -> "MadeVersion":
        """Return what is told of `after`, which replaced `before`."""
        marking = render_marking(after.label, services.law.catalogue, originator=after.originator)
        labels = tuple(part.label for part in after.parts)
        digests = (version_digest(after), version_digest(before))
        return cls(after.id, after.version, after.label, marking, labels, *digests)


def require_version(own: OwnReport, wanted: int | None) -> None:
    """Raise PreconditionError where the report is not at the version that the caller means; None means any."""
    if wanted is not None and wanted != own.report.version:
        raise PreconditionError(f"the report is at version {own.report.version}: read it again")


async def require_known_labels(services: Services, state: PolicyState, wanted: Downgrade) -> None:
    """Raise InvalidError with every word of the labels that the law or the exchange does not know."""
    members = await services.knowledge.member_codes(services.store, state)
    faults = list(_label_faults(services, "/label", wanted.label, members))
    for index, label in enumerate(wanted.part_labels or ()):
        if label is not None:
            faults += _label_faults(services, f"/part_labels/{index}", label, members)
    if faults:
        raise InvalidError("the labels have faults", tuple(faults))


async def require_above_sources(services: Services, header: Header) -> None:
    """Raise InvalidError where a report that `header` builds on is marked higher than it (attack 17)."""
    faults = []
    for index, source_id in enumerate(header.references):
        source = await services.store.report_record(source_id)
        if source is None or not await _is_as_high(services, header, source.class_id):
            message = "the label would be lower than this source's: its originator has to lower that first"
            faults.append(Fault(f"/references/{index}", "below-source", message))
    if faults:
        raise InvalidError("a report is never less classified than what it builds on", tuple(faults))


async def _is_as_high(services: Services, header: Header, class_id: int) -> bool:
    source = (await services.knowledge.release_class(services.store, class_id)).facts.label
    return services.law.catalogue.dominates(header.label, source, originator=header.originator)


def _label_faults(services: Services, place: str, label: Label, members: frozenset[str]) -> Iterator[Fault]:
    for fault in services.law.catalogue.check(label):
        yield replace(fault, pointer=f"{place}{fault.pointer}")
    for index, member in enumerate(label.releasable_to):
        if member not in members:
            yield Fault(f"{place}/releasable_to/{index}", "unknown-member", "is no member of the exchange")
