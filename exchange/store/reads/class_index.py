"""Which reports each release class holds, by sequence number, in this process's memory: where a page looks first.

Promises: what it names for a class is complete up to `known_to`, and beyond it says nothing. It decides nothing and
hides nothing: the rows are read, and judged by their own columns, in the statement that also gives the standing.
Does not: grow without end (see _MOST_NUMBERS), or learn that a report moved to another class: whoever moves one must
make every process forget (`forget`).

Sequence numbers are given in the order of commits and reports keep their class, so what was once read stays true.
"""

from array import array
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Sequence
from itertools import chain
from typing import NamedTuple, Protocol

from exchange.store.database.dialect import Parameters, Row, Statement

_MOST_NUMBERS = 8_000_000
"""At four bytes each 32 MB; classes not asked for are forgotten first."""

_LARGEST_CLASS = 1_000_000
"""A larger class is left to the database: reading it would hold everybody up."""

_LARGEST_NUMBER = 2**32 - 1
"""What four bytes hold: once more reports than that have come, every class is left to the database."""

_AT_ONCE = 20_000
"""Rows of one read: about ten milliseconds."""

_MOST_MERGED = 4_000_000
"""Numbers in merged lists, at four bytes each 16 MB; those not asked for are forgotten first."""

_LARGEST_MERGED = 60_000
"""A longer list is not kept: making it would hold everybody up for more than twenty milliseconds."""

_MOST_LISTS = 512
"""Sets of classes that are remembered as asked for, most of them with a list; one not asked for longest goes first."""

_LONGEST_TAIL = 20_000
"""Where more reports came than this, the classes asked for are read anew: cheaper than reading all that came."""


class Reads(Protocol):
    """What gives the rows of one read: the database."""

    async def fetch(self, statement: Statement, parameters: Parameters) -> Sequence[Row]: ...


class Candidates(NamedTuple):
    """Sequence numbers in order; all there are of the classes up to `complete_to`."""

    numbers: list[int]
    complete_to: int


class _Merged(NamedTuple):
    """The numbers of several classes in one order, complete up to `known_to`."""

    numbers: "array[int]"
    known_to: int


class ClassIndex:
    """The sequence numbers of the classes that were asked for, true for one database."""

    def __init__(self, database: Reads, of_class: Statement, tail: Statement) -> None:
        self._database = database
        self._of_class = of_class
        self._tail = tail
        self._numbers: OrderedDict[int, array[int]] = OrderedDict()
        self._count = 0
        self._too_large: set[int] = set()
        self._merged: OrderedDict[tuple[int, ...], _Merged] = OrderedDict()
        self._merged_count = 0
        self._generation = 0
        self.known_to = 0

    def forget(self) -> None:
        """Forget every class: the next page reads them anew."""
        self._numbers.clear()
        self._too_large.clear()
        self._merged.clear()
        self._count = self._merged_count = 0
        self._generation += 1

    async def holds(self, class_ids: Sequence[int], last_seq: int) -> bool:
        """Learn these classes up to `last_seq`; return False where they are too large to keep in memory."""
        await self._extend(last_seq)
        known = self._numbers
        for class_id in class_ids:
            if class_id in known:
                known.move_to_end(class_id)
            elif class_id in self._too_large or not await self._learn(class_id):
                return False
        # What was learnt last may have driven out what was asked for first.
        return all(class_id in known for class_id in class_ids)

    def candidates(self, class_ids: Sequence[int], *, after: int, limit: int, per_class: int) -> Candidates:
        """Return at most `limit` numbers behind `after` of classes that `holds` said True to.

        Where they are in no list of their own, it looks at the next `per_class` of each class.
        """
        merged = self._merged_numbers(tuple(class_ids))
        if merged is not None:
            begin = bisect_right(merged, after)
            next_ones = merged[begin : begin + limit].tolist()
            return Candidates(next_ones, next_ones[-1] if len(next_ones) == limit else self.known_to)
        found: list[int] = []
        complete_to = self.known_to
        for class_id in class_ids:
            numbers = self._numbers[class_id]
            begin = bisect_right(numbers, after)
            taken = numbers[begin : begin + per_class]
            if len(taken) == per_class:
                # More may lie behind the last one taken: what is behind it of other classes has to wait.
                complete_to = min(complete_to, taken[-1])
            found.extend(taken)
        found.sort()
        del found[bisect_right(found, complete_to) :]
        if len(found) > limit:
            del found[limit:]
            complete_to = found[-1]
        return Candidates(found, complete_to)

    def _merged_numbers(self, class_ids: tuple[int, ...]) -> "array[int] | None":
        """Return the numbers of these classes in one order, up to `known_to`.

        None where they are too many, and where they are asked for the first time: mostly it is the only one.
        """
        kept = self._merged.pop(class_ids, None)
        if kept is None:
            self._keep(class_ids, _Merged(array("I"), 0))
            return None
        self._merged_count -= len(kept.numbers)
        if kept.known_to < self.known_to:
            if sum(len(self._numbers[class_id]) for class_id in class_ids) > _LARGEST_MERGED:
                return None
            fresh = (self._numbers_behind(class_id, kept.known_to) for class_id in class_ids)
            kept.numbers.extend(sorted(chain.from_iterable(fresh)))
        self._keep(class_ids, _Merged(kept.numbers, self.known_to))
        return kept.numbers

    def _keep(self, class_ids: tuple[int, ...], merged: _Merged) -> None:
        self._merged[class_ids] = merged
        self._merged_count += len(merged.numbers)
        while len(self._merged) > _MOST_LISTS or (self._merged_count > _MOST_MERGED and len(self._merged) > 1):
            _, dropped = self._merged.popitem(last=False)
            self._merged_count -= len(dropped.numbers)

    def _numbers_behind(self, class_id: int, after: int) -> "array[int]":
        numbers = self._numbers[class_id]
        return numbers[bisect_right(numbers, after) :]

    async def _extend(self, last_seq: int) -> None:
        """Add what came since `known_to` to the classes that are known."""
        if last_seq > _LARGEST_NUMBER or last_seq - self.known_to > _LONGEST_TAIL:
            self.forget()
            self.known_to = max(self.known_to, last_seq)
            return
        while self.known_to < last_seq:
            asked = {"after": self.known_to, "to": last_seq}
            generation = self._generation
            rows = await self._database.fetch(self._tail, asked)
            if generation != self._generation:
                continue
            # Somebody else may have been here meanwhile: what is known already is passed over.
            for seq, class_id in rows:
                if seq > self.known_to and class_id in self._numbers:
                    self._numbers[class_id].append(seq)
                    self._count += 1
            self.known_to = max(self.known_to, last_seq)

    async def _learn(self, class_id: int) -> bool:
        generation, numbers = self._generation, array("I")
        read_to = 0
        # INVARIANT: it counts as known only once it is complete up to what all others are complete to.
        while read_to < self.known_to:
            to = self.known_to
            asked = {"class_id": class_id, "after": read_to, "to": to, "limit": _AT_ONCE}
            rows = [] if to > _LARGEST_NUMBER else await self._database.fetch(self._of_class, asked)
            numbers.extend(row[0] for row in rows)
            read_to = rows[-1][0] if len(rows) == _AT_ONCE else to
            if len(numbers) > _LARGEST_CLASS or to > _LARGEST_NUMBER:
                self._too_large.add(class_id)
                return False
        if generation == self._generation and class_id not in self._numbers:
            self._numbers[class_id] = numbers
            self._count += len(numbers)
            self._make_room(class_id)
        return True

    def _make_room(self, newest: int) -> None:
        while self._count > _MOST_NUMBERS:
            class_id, numbers = self._numbers.popitem(last=False)
            self._count -= len(numbers)
            if class_id == newest:
                return
