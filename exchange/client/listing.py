"""Lists, page by page: what of one of reports the exchange could not open, and no more of the log than is wanted."""

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, TypeVar

from exchange.wire import HeaderBody, ReportListBody, RequestListBody, UnopenedBody

PAGE = 100
"""So many a page where nobody says, as the exchange answers too."""

Item = TypeVar("Item")
Shown_co = TypeVar("Shown_co", covariant=True)
PageT = TypeVar("PageT", ReportListBody, RequestListBody)


class Page(Protocol[Shown_co]):
    """A page, and the cursor behind it; None where nothing follows."""

    @property
    def items(self) -> Sequence[Shown_co]:
        """Return what it shows."""

    @property
    def next(self) -> str | None:
        """Return the cursor."""


def walked(page: Callable[[str | None, int], Page[Item]], most: int | None) -> Iterator[Item]:
    """Yield what the pages hold, `most` at most; `page` is given a cursor and how many to ask for.

    No page is asked for more than is still wanted: what it answers is on the record as shown.
    """
    after: str | None = None
    wanted = most
    while wanted is None or wanted > 0:
        found = page(after, PAGE if wanted is None else min(wanted, PAGE))
        yield from found.items
        after = found.next
        if after is None or not found.items:
            return
        wanted = None if wanted is None else wanted - len(found.items)


def while_full(page: Callable[[str | None], PageT], page_size: int, after: str | None = None) -> Iterator[PageT]:
    """Yield the pages of a list that can always be gone on with, behind `after`, up to the first that is not full.

    What the exchange could not open has its place on a page.
    """
    is_full = True
    while is_full:
        found = page(after)
        yield found
        after, is_full = found.next, len(found.items) + len(found.unopened) >= page_size


class ListedReports:
    """The headers of a list, oldest first, to be gone through once; `unopened` is complete at the end.

    What is not among them must not be missed: whoever does not look at `unopened` is warned by the program's log, as
    with every list.
    """

    def __init__(self, page: Callable[[str | None], ReportListBody], page_size: int, after: str | None = None) -> None:
        self.unopened: list[UnopenedBody] = []
        """Reports that one may read and that the exchange cannot open: they are not among the headers."""
        self.next = after
        """The cursor behind the last page that was gone through whole: what comes from then on is behind it."""
        self._headers = self._all(page, page_size)

    def __iter__(self) -> Iterator[HeaderBody]:
        """Return itself."""
        return self

    def __next__(self) -> HeaderBody:
        """Return the next header."""
        return next(self._headers)

    def _all(self, page: Callable[[str | None], ReportListBody], page_size: int) -> Iterator[HeaderBody]:
        for found in while_full(page, page_size, self.next):
            yield from found.items
            self.unopened += found.unopened
            self.next = found.next
