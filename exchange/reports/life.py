"""How a report lives: what may be done to it, what its next version is, and by what its versions are told apart.

Promises: a report only becomes lower by a downgrade, never by an amendment; a part never becomes lower unseen; the
digest of a version is the same for everybody who was given that version whole.
Does not: say who may act, look up sources, or destroy anything.
"""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import date
from enum import Enum
from typing import Final

from exchange.kernel import Canonical, ConflictError, Fault, InvalidError, canonical_bytes, rfc3339
from exchange.markings import Label
from exchange.reports.model import Header, PartHeader, Precedence, ReportStatus

Dominates = Callable[[Label, Label], bool]
"""Whether the first label is at least as high as the second."""


class ReportAct(Enum):
    """What can be done to a report that was posted."""

    AMEND = "amend"
    SUPERSEDE = "supersede"
    DOWNGRADE = "downgrade"
    RELEASE = "release"
    RECALL = "recall"


# What has expired cannot be read; recalling it destroys its keys before its retention ends, and its place can be taken.
# A superseded one is superseded again only where its place is free: `require_place` says so.
MAY: Final = {
    ReportStatus.CURRENT: frozenset(ReportAct),
    ReportStatus.SUPERSEDED: frozenset({ReportAct.SUPERSEDE, ReportAct.DOWNGRADE, ReportAct.RELEASE, ReportAct.RECALL}),
    ReportStatus.EXPIRED: frozenset({ReportAct.SUPERSEDE, ReportAct.RECALL}),
    ReportStatus.RECALLED: frozenset[ReportAct](),
}


class PlaceTakenError(ConflictError):
    """Another report, `by`, has taken a report's place; the message names it to nobody."""

    code = "superseded"

    def __init__(self, by: str) -> None:
        super().__init__("the report is superseded: supersede the one that took its place")
        self.by = by


@dataclass(frozen=True, slots=True)
class Downgrade:
    """Lower labels for a report and its parts.

    `part_labels` None: a part keeps its label where that is no higher than the report's new one, else takes that. A
    part's None means the report's new label.
    """

    label: Label
    part_labels: tuple[Label | None, ...] | None = None


def may_be_done(act: ReportAct, status: ReportStatus) -> bool:
    """Return whether `act` is done to a report that stands so."""
    return act in MAY[status]


def require_act(status: ReportStatus, act: ReportAct) -> None:
    """Raise ConflictError, with the status as its code, where `act` is not done to a report that stands so."""
    if not may_be_done(act, status):
        raise ConflictError(f"the report is {status.value}: it cannot be {_DONE[act]}", code=status.value)


def require_place(stored: ReportStatus, taken_by: str | None) -> None:
    """Raise ConflictError where no report can take the place of one that is stored so (ADR 0051).

    `taken_by` is a report that has taken it and was not destroyed since: a place is taken once at a time.
    """
    require_act(stored, ReportAct.SUPERSEDE)
    if stored is ReportStatus.EXPIRED:
        # Time alone changes nothing that is stored: this one has ended, and nothing of it can be compared or kept.
        raise ConflictError("the report has ended: its keys are destroyed already", code=stored.value)
    if taken_by is not None:
        raise PlaceTakenError(taken_by)


_DONE: Final = {
    ReportAct.AMEND: "amended",
    ReportAct.SUPERSEDE: "superseded",
    ReportAct.DOWNGRADE: "downgraded",
    ReportAct.RELEASE: "released onward",
    ReportAct.RECALL: "recalled",
}


_RELEASERS: Final = "only the originator's releaser lowers it, by a downgrade"


def version_digest(header: Header) -> str:
    """Return the SHA-256 in hex that names this version of a report in the log.

    Over what whoever was given the version whole can compute again. Subject and names of parts are left out: they are
    short enough to be guessed from a digest.
    """
    content: Canonical = {
        "id": header.id,
        "version": header.version,
        "originator": header.originator,
        "label": header.label.as_json(),
        "posted_at": rfc3339(header.posted_at),
        "valid_until": None if header.valid_until is None else rfc3339(header.valid_until),
        "parts": [{"sha256": part.sha256, "label": part.label.as_json()} for part in header.parts],
    }
    return hashlib.sha256(canonical_bytes(content)).hexdigest()


def amended(before: Header, after: Header, *, dominates: Dominates) -> Header:
    """Return `after` as the next version of `before`.

    InvalidError where the report, or a part that stays as it is, would become lower, now or on an earlier day than the
    one that was set: that is a downgrade. So where it would become more urgent.
    """
    faults, urgent = list(_lowered(before, after, dominates)), list(_more_urgent(before, after))
    if faults or urgent:
        message = "an amendment cannot lower a marking" if faults else "an amendment cannot make a report more urgent"
        raise InvalidError(message, (*faults, *urgent))
    return replace(
        after, id=before.id, version=before.version + 1, posted_at=before.posted_at, supersedes=before.supersedes
    )


def downgraded(header: Header, wanted: Downgrade, *, dominates: Dominates) -> Header:
    """Return the next version of `header` under lower labels; InvalidError where any of them is not lower or equal."""
    if not dominates(header.label, wanted.label):
        fault = Fault("/label", "not-lower", "is not lower than the report's label: raise it by an amendment")
        raise InvalidError("the report cannot be downgraded so", (fault,))
    faults: list[Fault] = []
    parts = tuple(_lower_parts(header, wanted, dominates, faults))
    if (wanted.label, parts) == (header.label, header.parts):
        faults.append(Fault("/label", "unchanged", "is what the report is marked with already"))
    if faults:
        raise InvalidError("the report cannot be downgraded so", tuple(faults))
    return replace(header, label=wanted.label, parts=parts, version=header.version + 1)


def declassified(header: Header, lowest: Callable[[Label], Label]) -> Header:
    """Return the next version of `header` on its day of declassification: each label at its lowest, no day left."""
    return replace(
        header,
        label=lowest(header.label),
        parts=tuple(replace(part, label=lowest(part.label)) for part in header.parts),
        declassify_on=None,
        version=header.version + 1,
    )


def _lowered(before: Header, after: Header, dominates: Dominates) -> Iterator[Fault]:
    message = f"is lower than it was: {_RELEASERS}"
    if not dominates(after.label, before.label):
        yield Fault("/label", "below-current", message)
    if after.declassify_on is not None and (before.declassify_on or date.max) > after.declassify_on:
        yield Fault("/declassify_on", "below-current", f"would become lower on an earlier day: {_RELEASERS}")
    for index, part in enumerate(after.parts):
        held = _held_so_far(before, part)
        if held and not any(dominates(part.label, label) for label in held):
            yield Fault(f"/parts/{index}/label", "below-current", message)


def _more_urgent(before: Header, after: Header) -> Iterator[Fault]:
    # INVARIANT: how soon it is to be acknowledged counts from its post: nobody has missed a time that it never had.
    order = list(Precedence)
    if order.index(after.precedence) > order.index(before.precedence):
        message = f"is more urgent than it was, `{before.precedence.value}`: supersede it by a report of its own"
        yield Fault("/precedence", "above-current", message)


def _held_so_far(before: Header, part: PartHeader) -> list[Label]:
    """Return the labels under which a content was, one of which it has to keep; its own where it keeps its name."""
    same = [each for each in before.parts if each.sha256 == part.sha256]
    own = [each.label for each in same if each.name == part.name]
    return own or [each.label for each in same]


def _lower_parts(header: Header, wanted: Downgrade, dominates: Dominates, faults: list[Fault]) -> Iterator[PartHeader]:
    labels = wanted.part_labels
    if labels is None:
        labels = tuple(part.label if dominates(wanted.label, part.label) else None for part in header.parts)
    if len(labels) != len(header.parts):
        message = f"the report has {len(header.parts)} parts: give a label, or null, for each"
        faults.append(Fault("/part_labels", "wrong-count", message))
        return
    for index, (part, given) in enumerate(zip(header.parts, labels, strict=True)):
        label = wanted.label if given is None else given
        place = f"/part_labels/{index}"
        if not dominates(part.label, label):
            faults.append(Fault(place, "not-lower", f"part {part.number} would not become lower: name its label"))
        elif not dominates(wanted.label, label):
            faults.append(Fault(place, "above-report", f"part {part.number} would exceed the report's new label"))
        yield replace(part, label=label)
