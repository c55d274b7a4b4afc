"""Reports whose contents come after them: what was declared of each part, what came of it, and the post it becomes.

Promises: a content is what was declared of it, in size, digest and type, or it has faults.
Does not: know whether all have come; who completes a report asks that.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import replace

from exchange.kernel.errors import Fault
from exchange.markings import Label
from exchange.members import MemberCode
from exchange.reports.contents import ContentCheck, Found, Reading, is_read_whole
from exchange.reports.model import Header, PartHeader
from exchange.reports.posting import Awaited, PostedPart, PostedReport, content_marking_faults


class ArrivingContent:
    """The content of one declared part while it arrives. Use `take` for each piece in order, then `faults` once.

    What is read whole to be checked is kept until then, and nothing else.
    """

    def __init__(self, part: PartHeader) -> None:
        self._part = part
        self._digest = hashlib.sha256()
        self._check = None if is_read_whole(part.media_type) else ContentCheck(part.media_type)
        self._kept = bytearray()
        self.size_bytes = 0

    @property
    def is_kept(self) -> bool:
        """Return whether the pieces stay in memory."""
        return self._check is None

    @property
    def is_too_long(self) -> bool:
        """Return whether more has come than was declared."""
        return self.size_bytes > self._part.size_bytes

    @property
    def sha256(self) -> str:
        """Return the digest of what has come, in lower-case hex."""
        return self._digest.hexdigest()

    def take(self, piece: bytes) -> None:
        """Look at the next bytes."""
        self.size_bytes += len(piece)
        self._digest.update(piece)
        if self._check is None:
            self._kept += piece
        else:
            self._check.take(piece)

    def faults(self) -> tuple[Fault, ...]:
        """Return what is wrong with the whole, in the order in which it is to be mended."""
        declared = self._part
        if self.size_bytes != declared.size_bytes:
            told = f"{self.size_bytes} bytes came of {declared.size_bytes} declared: send the whole part again"
            return (Fault("", "wrong-size", told),)
        if declared.sha256 and declared.sha256 != self.sha256:
            told = "has another SHA-256 than was declared: send the part again as it was declared"
            return (Fault("", "wrong-digest", told),)
        found = self._found()
        if found.fault is not None:
            return (Fault("", "wrong-content", f"the content {found.fault}"),)
        return tuple(content_marking_faults(found, "", declared.label))

    def _found(self) -> Found:
        if self._check is None:
            return Reading().look(self._part.media_type, bytes(self._kept))
        return Found(self._check.fault())


def as_posted(declared: Header, received: Mapping[int, Awaited], *, poster: MemberCode) -> PostedReport:
    """Return what was declared as the post that it is once `received`, by number, is there for each part."""
    return PostedReport(
        agreement=declared.agreement,
        scope=declared.scope,
        kind=declared.kind,
        topic=declared.topic,
        regions=declared.regions,
        precedence=declared.precedence,
        subject=declared.subject,
        label=declared.label,
        valid_until=declared.valid_until,
        declassify_on=declared.declassify_on,
        supersedes=declared.supersedes,
        references=declared.references,
        parts=tuple(_part(part, declared.label, received[part.number]) for part in declared.parts),
        conditions=declared.conditions,
        on_behalf_of=None if declared.originator == poster else declared.originator,
    )


def with_received(declared: Header, received: Mapping[int, Awaited]) -> Header:
    """Return `declared` with the digests of what has come."""
    known = {number: content.sha256 or "" for number, content in received.items()}
    return replace(
        declared,
        parts=tuple(replace(part, sha256=known.get(part.number, part.sha256)) for part in declared.parts),
    )


def _part(part: PartHeader, report_label: Label, content: Awaited) -> PostedPart:
    return PostedPart(None if part.label == report_label else part.label, part.media_type, part.name, content)
