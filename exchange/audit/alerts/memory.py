"""What a rule remembers of one subject, as text that the store keeps and this room alone reads."""

import hashlib
from base64 import b64decode, b64encode
from dataclasses import dataclass, field
from typing import Final, NamedTuple, Self

import orjson

MOST_SEEN: Final = 65_536
"""Different reports of one client that are told apart in a day; 512 KiB of text. Who reads more is alarmed at it."""

_TOKEN_BYTES: Final = 6
# 48 bits: of 65,536 reports two are taken for one once in 130,000 days.


class Key(NamedTuple):
    """Of which subject a rule remembers."""

    rule: str
    subject: str


class Mark(NamedTuple):
    """Something that was seen: by what it is told apart, when (microseconds since 1970), in which entry."""

    word: str
    at: int
    entry: str


@dataclass(slots=True)
class Memory:
    """`told` is when the rule last spoke; `marks` what it saw lately.

    `day` counts from 1970, `seen` are the reports of that day, `counts` how many there were on the days before, and
    `first` is the first day of all.
    """

    told: int | None = None
    marks: list[Mark] = field(default_factory=list)
    day: int = 0
    first: int = 0
    seen: set[bytes] = field(default_factory=set)
    counts: dict[int, int] = field(default_factory=dict)

    @classmethod
    def of(cls, text: str | None) -> Self:
        """Return what `text` says; what nobody wrote is nothing remembered."""
        try:
            return cls() if text is None else cls._parsed(text)
        except (ValueError, KeyError, TypeError):
            return cls()

    def text(self) -> str:
        """Return it as text: the same memory is the same text."""
        told = {
            "told": self.told,
            "marks": [tuple(mark) for mark in self.marks],
            "day": self.day,
            "first": self.first,
            "seen": b64encode(b"".join(sorted(self.seen))).decode(),
            "counts": sorted(self.counts.items()),
        }
        return orjson.dumps(told).decode()

    def turn_to(self, day: int, *, baseline_days: int) -> None:
        """Go on to `day`: the day that ends is counted. A day that has ended is not gone back to."""
        if not self.first:
            self.first = self.day = day
        if day > self.day:
            self.counts[self.day] = len(self.seen)
            self.seen.clear()
            self.day = day
        self.counts = {each: count for each, count in self.counts.items() if each >= self.day - baseline_days}

    def see(self, name: str) -> bool:
        """Return whether `name` is new today."""
        token = hashlib.sha256(name.encode()).digest()[:_TOKEN_BYTES]
        if token in self.seen or len(self.seen) >= MOST_SEEN:
            return False
        self.seen.add(token)
        return True

    def mark(self, mark: Mark, *, most: int) -> None:
        """Add a mark; the oldest go where there are more than `most`."""
        self.marks = [*self.marks, mark][-most:]

    @classmethod
    def _parsed(cls, text: str) -> Self:
        fields = orjson.loads(text)
        seen = b64decode(fields["seen"], validate=True)
        told = None if fields["told"] is None else _whole(fields["told"])
        day, first = _whole(fields["day"]), _whole(fields["first"])
        counts = {_whole(each): _whole(count) for each, count in fields["counts"]}
        # What the rules count with: else a mean of no days, or a root of less than nothing.
        if not 0 <= first <= day or any(count < 0 for count in counts.values()):
            raise ValueError("it counts what nobody counted")
        return cls(
            told=told,
            marks=[Mark(str(word), _whole(at), str(entry)) for word, at, entry in fields["marks"]],
            day=day,
            first=first,
            seen={seen[start : start + _TOKEN_BYTES] for start in range(0, len(seen), _TOKEN_BYTES)},
            counts=counts,
        )


def _whole(value: object) -> int:
    """Return a number that can be written again; ValueError for what is none."""
    if type(value) is not int:
        raise ValueError(f"{value!r} is no whole number")
    return value
