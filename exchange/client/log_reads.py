"""What the exchange shows of its log: checkpoints, tiles, bundles, proofs; bytes as they came, not believed here."""

from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus

from pydantic import ValidationError

from exchange.audit import BundlePath, TilePath, checkpoint_in, parse_bundle
from exchange.audit.verify import KeptCheckpoint
from exchange.client.answers import Asking
from exchange.client.bare_source import BareSource
from exchange.client.errors import AnswerError, ProblemError
from exchange.kernel import InvalidError, MalformedError, is_uuid7
from exchange.members import EXCHANGE_MEMBER
from exchange.wire import ConsistencyBody, WhoamiBody

# A bundle is bytes, a checkpoint is text: whatever comes is taken as it is, and a problem where it is one.
_ANYTHING = {"Accept": "*/*"}

_LOST = "log-damaged"
"""The code with which an exchange says that it no longer has a part of its log."""


class LogReads(Asking):
    """The log of one exchange, read over its connection.

    `origin` names a log that a recovery ended; None is the one in use. An exchange of a version that shows none by its
    name answers with a ProblemError: see `is_unnamed`.
    """

    def checkpoint(self, origin: str | None = None) -> bytes:
        """Return the newest checkpoint (auditor)."""
        return self._bytes("/v1/audit/checkpoint", _of(origin))

    def kept_checkpoint(self) -> bytes:
        """Return the newest checkpoint that is kept for ever (auditor)."""
        return self._bytes("/v1/audit/checkpoint", {"kept": "true"})

    def witnessed_checkpoint(self, origin: str | None = None) -> bytes | None:
        """Return the newest checkpoint that enough witnesses stand behind (auditor), None without one."""
        return self._unless_absent("/v1/audit/checkpoint", {"witnessed": "true", **_of(origin)})

    def tile(self, path: TilePath, origin: str | None = None) -> bytes | None:
        """Return a tile (auditor), None where there is none; MalformedError for one that the log has lost."""
        return self._unless_lost(f"/v1/audit/{path}", origin)

    def bundle(self, path: BundlePath, origin: str | None = None) -> bytes | None:
        """Return an entry bundle (the exchange's auditors), None where there is none; MalformedError as `tile`."""
        return self._unless_lost(f"/v1/audit/{path}", origin)

    def is_shown_entries(self) -> bool:
        """Return whether the exchange takes this client for one of its own, as its auditors are."""
        return self._get(WhoamiBody, "/v1/whoami").member == EXCHANGE_MEMBER

    def proof(self, entry_id: str, size: int | None = None) -> bytes:
        """Return the `.tlog-proof` of an entry: in the tree of `size`, or in the newest one.

        Raises ProblemError: `not-found` where the log has no such entry for this client, `conflict` where the entry
        waits for its place.
        """
        if not is_uuid7(entry_id):
            raise AnswerError(f"`{entry_id[:60]}` is no id of an entry", code="invalid")
        return self._bytes(f"/v1/audit/entries/{entry_id}/proof", {} if size is None else {"size": size})

    def consistency(self, old_size: int, new_size: int, origin: str | None = None) -> tuple[bytes, ...]:
        """Return the proof that the tree of `new_size` begins with that of `old_size`."""
        answer = self._bytes("/v1/audit/consistency", {"from": old_size, "to": new_size, **_of(origin)})
        try:
            body = ConsistencyBody.model_validate_json(answer, extra="ignore")
        except ValidationError as exc:
            raise AnswerError("the answer is no consistency proof") from exc
        return body.hashes()

    def _unless_lost(self, path: str, origin: str | None) -> bytes | None:
        try:
            return self._unless_absent(path, _of(origin))
        except ProblemError as exc:
            if exc.code != _LOST:
                raise
            raise MalformedError(f"the log does not show it: {exc.detail}") from exc

    def _unless_absent(self, path: str, params: Mapping[str, str | int]) -> bytes | None:
        try:
            return self._bytes(path, params)
        except ProblemError as exc:
            if exc.status == HTTPStatus.NOT_FOUND:
                return None
            raise

    def _bytes(self, path: str, params: Mapping[str, str | int]) -> bytes:
        return self._transport.request("GET", path, may_repeat=True, params=params, headers=_ANYTHING).content


def is_unnamed(problem: ProblemError) -> bool:
    """Return whether an exchange says that it shows no log by its name: it is of a version before that."""
    return any(fault.pointer == "/origin" and fault.code == "unknown-field" for fault in problem.faults)


def _of(origin: str | None) -> dict[str, str]:
    return {} if origin is None else {"origin": origin}


class LogAddress(BareSource):
    """A log at an address, as a source for the verifier. A member's auditor gets no entries, their hashes only.

    `origin` names one that a recovery ended; None is the one in use.
    """

    def __init__(self, reads: LogReads, origin: str | None = None) -> None:
        self._reads = reads
        self._origin = origin
        self._has_entries: bool | None = None
        self._size = 0

    @property
    def has_entries(self) -> bool:
        """Return whether this client is shown entry bundles: asked for once.

        By whom it is taken for, not by a try: a refusal stands in the log, and each verification would leave one.
        """
        if self._has_entries is None:
            self._has_entries = self._reads.is_shown_entries()
        return self._has_entries

    def newest(self) -> KeptCheckpoint:
        """Return the newest checkpoint. InvalidError where there is none yet, MalformedError where it was ended."""
        try:
            note = self._reads.checkpoint(self._origin)
        except ProblemError as exc:
            if exc.status != HTTPStatus.NOT_FOUND:
                raise
            if self._origin is not None:
                raise MalformedError("the exchange shows no log of this name, whose keys were given") from exc
            raise InvalidError("there is no log there yet: nothing was ever signed; try again in a moment") from exc
        self._size = size_of(note)
        return KeptCheckpoint(note)

    def older(self) -> Iterator[KeptCheckpoint]:
        """Return the newest one that witnesses stand behind: the newest of all may be too young. Others one keeps."""
        witnessed = self._reads.witnessed_checkpoint(self._origin)
        # What was signed after the newest one came here is none of this look at the log.
        if witnessed is not None and size_of(witnessed) <= self._size:
            yield KeptCheckpoint(witnessed)

    def tile(self, path: TilePath) -> bytes | None:
        """Return the hashes of a tile."""
        return self._reads.tile(path, self._origin)

    def entries(self, path: BundlePath) -> Sequence[bytes | None] | None:
        """Return the entries of a bundle."""
        content = self._reads.bundle(path, self._origin)
        return None if content is None else parse_bundle(content, path.width)


def size_of(note: bytes) -> int:
    """Return how large a checkpoint says the log is; 0 for what is none: the verifier says so."""
    try:
        return checkpoint_in(note).size
    except MalformedError:
        return 0
