"""What an export says: entries at their places in the log, and at its end how far it is complete."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import NamedTuple

from exchange.audit.shape import Entry
from exchange.kernel import MalformedError

WHOLE = "whole"

NO_PERSONAL: Mapping[str, str] = {}

# Eighteen digits fit what a database counts to.
_PLACE = re.compile(r"([1-9][0-9]{0,17})\.(0|[1-9][0-9]{0,17})")


class Place(NamedTuple):
    """Where an entry is: the number of its log and its position there. In this order an export goes on."""

    log: int
    position: int

    def __str__(self) -> str:
        return f"{self.log}.{self.position}"


def parse_place(text: str) -> Place:
    """Return the place written as `LOG.POSITION`; raises MalformedError for any other text."""
    found = _PLACE.fullmatch(text)
    if found is None:
        raise MalformedError("this is no place in the log: write `LOG.POSITION`, such as `1.4711`")
    return Place(int(found[1]), int(found[2]))


def place_of(log: str, position: str) -> Place | None:
    """Return the place that two fields of a line name; None where they are no numbers, as in the last line."""
    return parse_place(f"{log}.{position}") if log.isdecimal() and position.isdecimal() else None


@dataclass(frozen=True, slots=True)
class ExportedEntry:
    """One entry at its place, as its reader may see it.

    `content` are its canonical bytes, None where its reader may not have all of it: then `extent` says how much that
    is, and `entry` lacks fields that every whole entry has (see `checked_view`). Which ones are withheld is not said:
    that they exist may be what is hidden. `leaf` is the RFC 6962 leaf hash, `proof` the inclusion proof where the
    export carries one. `personal` holds what the entry keeps encrypted, as it was revealed for this reader, or
    `erased`.
    """

    place: Place
    leaf: bytes
    entry: Entry
    content: bytes | None
    extent: str = WHOLE
    proof: tuple[bytes, ...] = ()
    personal: Mapping[str, str] = field(default_factory=lambda: NO_PERSONAL)

    @property
    def name(self) -> str | None:
        """Return the client's name where it was revealed, or what stands for it."""
        return self.personal.get("name")

    @property
    def source(self) -> str:
        """Return the address the request came from, or what stands for it; the empty text where it is not shown."""
        return self.personal.get("source") or self.entry.get("source", "")

    @property
    def thumbprint(self) -> str | None:
        """Return the certificate's thumbprint, or what stands for it."""
        return self.personal.get("thumbprint") or self.entry["actor"].get("thumbprint")


@dataclass(frozen=True, slots=True)
class Statement:
    """The last record of an export: without it the export is not complete.

    Every entry of the reader's slice behind `after` (None: from the beginning) and before `end` is in it: `count` of
    them, from `first` to `last`. `end` is the place behind the last leaf of the signed `checkpoint`; `at` (RFC 3339) is
    when the export was asked for. The places are written `LOG.POSITION`. `earlier` are the newest checkpoints of the
    logs before this one, in their order from the first (empty for one that was never signed), where the export is made
    to be verified: a recovery ended them, and what is of them leads to these.
    """

    at: str
    after: str | None
    first: str | None
    last: str | None
    count: int
    end: str
    checkpoint: str | None = None
    earlier: tuple[str, ...] = ()

    def as_json(self) -> dict[str, int | str | list[str] | None]:
        """Return the fields by name; without `earlier` where there is none."""
        earlier: dict[str, int | str | list[str] | None] = {"earlier": list(self.earlier)} if self.earlier else {}
        return {
            "at": self.at,
            "after": self.after,
            "first": self.first,
            "last": self.last,
            "count": self.count,
            "end": self.end,
            "checkpoint": self.checkpoint,
            **earlier,
        }


def address_in(source: str) -> str | None:
    """Return `source` in its one text form where it is an IP address, else None."""
    try:
        return str(ip_address(source.partition("%")[0]))
    except ValueError:
        return None
