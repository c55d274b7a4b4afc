"""A list of reports, page by page, and what of it the exchange could not open."""

from collections.abc import Callable, Iterator

from exchange.wire import HeaderBody, ReportListBody, UnopenedBody


class ListedReports:
    """The headers of a list, oldest first, to be gone through once; `unopened` is complete at the end.

    What is not among them must not be missed: whoever does not look at `unopened` is warned by the program's log, as
    with every list.
    """

    def __init__(self, page: Callable[[str | None], ReportListBody], page_size: int) -> None:
        self.unopened: list[UnopenedBody] = []
        """Reports that one may read and that the exchange cannot open: they are not among the headers."""
        self._page_size = page_size
        self._headers = self._all(page)

    def __iter__(self) -> Iterator[HeaderBody]:
        """Return itself."""
        return self

    def __next__(self) -> HeaderBody:
        """Return the next header."""
        return next(self._headers)

    def _all(self, page: Callable[[str | None], ReportListBody]) -> Iterator[HeaderBody]:
        after: str | None = None
        is_full = True
        while is_full:
            found = page(after)
            yield from found.items
            self.unopened += found.unopened
            after, is_full = found.next, len(found.items) + len(found.unopened) >= self._page_size
