"""Reports whose parts are sent by themselves: from files, in pieces, and none of it in memory whole."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from exchange.client.answers import Asking, parsed, path_of, stating
from exchange.client.errors import ProblemError
from exchange.kernel import InvalidError
from exchange.wire import BareAct, GivenUpBody, HeaderBody, OpenUploadBody, OpenUploadListBody, ReportBody, UploadBody

PIECE_BYTES: Final = 256 * 1024

Progress = Callable[[int, int], None]
"""Is told how many bytes have been sent, and of how many."""


class Uploads(Asking):
    """Posts reports whose parts are sent by themselves (contributor). Nobody sees one before it is complete."""

    def begin(
        self, report: ReportBody, *, idempotency_key: str | None = None, purpose: str | None = None
    ) -> UploadBody:
        """Begin a report with `complete` false; with the key of an earlier one, return where that stands."""
        return self._post_report(UploadBody, report, idempotency_key, purpose)

    def send_part(self, upload_id: str, number: int, file: Path, *, progress: Progress | None = None) -> UploadBody:
        """Send the content of one part, again where the connection broke; what has come by now is the answer."""
        path = path_of("/v1/reports", upload_id, "parts", str(number))
        answer = self._transport.send(path, lambda: _pieces(file, progress), file.stat().st_size)
        return parsed(UploadBody, answer.content)

    def complete(self, upload_id: str, *, purpose: str | None = None) -> HeaderBody:
        """Complete a report of which every part was sent, and return its header; its sources are looked at again."""
        path = path_of("/v1/reports", upload_id, "completion")
        return self._post(HeaderBody, path, BareAct(), stating(purpose))

    def open(self) -> list[OpenUploadBody]:
        """Return what this client began and has not completed, the oldest first."""
        return self._get(OpenUploadListBody, "/v1/uploads").items

    def give_up(self, upload_id: str) -> str:
        """Give up a report that this client began, before its time; what has come of it is destroyed."""
        return self._delete(GivenUpBody, path_of("/v1/uploads", upload_id)).id

    def post_files(
        self,
        report: ReportBody,
        files: Sequence[Path],
        *,
        idempotency_key: str | None = None,
        progress: Progress | None = None,
        purpose: str | None = None,
    ) -> HeaderBody:
        """Begin a report, send each part's file, complete it, and return its header.

        `files` are the contents of the parts of `report`, in order. With the key of an earlier try what has come
        already is not sent again. Raises InvalidError, before one is sent, where they are not as many as the parts.
        """
        begun = self.begin(report, idempotency_key=idempotency_key, purpose=purpose)
        return self.send_files(begun, files, progress=progress, purpose=purpose)

    def send_files(
        self,
        upload: UploadBody,
        files: Sequence[Path],
        *,
        progress: Progress | None = None,
        purpose: str | None = None,
    ) -> HeaderBody:
        """Send the file of each part that has not come, complete the report, and return its header; as `post_files`."""
        if len(upload.parts) != len(files):
            raise InvalidError(f"the exchange waits for {len(upload.parts)} parts, and {len(files)} files are given")
        total = sum(part.size_bytes for part in upload.parts)
        before = 0
        for part, file in zip(upload.parts, files, strict=True):
            if not part.received:
                try:
                    self.send_part(upload.id, part.number, file, progress=_behind(progress, before, total))
                except ProblemError as exc:
                    exc.message = exc.detail = f"`{file.name}` was not taken: {exc.detail}"
                    raise
            before += part.size_bytes
        return self.complete(upload.id, purpose=purpose)


def _pieces(file: Path, progress: Progress | None) -> Iterator[bytes]:
    done, size = 0, file.stat().st_size
    with file.open("rb") as opened:
        while piece := opened.read(PIECE_BYTES):
            yield piece
            done += len(piece)
            if progress is not None:
                progress(done, size)


def _behind(progress: Progress | None, before: int, total: int) -> Progress | None:
    if progress is None:
        return None
    return lambda done, _: progress(before + done, total)
