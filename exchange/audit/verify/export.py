"""An export tried without the exchange: every entry against its leaf hash, every leaf against the signed checkpoint.

Steps: (1) the export ends in a statement that it is complete, whose checkpoint every key of the log has signed;
(2) every line is an entry of its leaf hash, in the order of the log, spelt as an export writes it; (3) every leaf is in
the tree: by its proof or, where the export holds all entries of the log, because together they have the signed root;
(4) there are as many lines as the statement says, and it reaches as far as what was signed. Nobody signs that
statement: what was left out of a slice, a slice cannot show.

After a recovery there are several logs: the statement holds a checkpoint of each, and an entry is tried in its own.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from exchange.audit.checkpoint import checkpoint_in
from exchange.audit.export import ExportedEntry, Place, Statement, check_spelling, parse_place, read_line
from exchange.audit.merkle import CompactRange, TreeHead
from exchange.audit.note_keys import VerifierKey
from exchange.audit.proofs import ProofError, verify_inclusion
from exchange.audit.verify.checkpoints import OpenedCheckpoint, open_checkpoint, open_newest
from exchange.audit.verify.expectations import Expectations
from exchange.audit.verify.findings import Finding, Findings, Step, Verification
from exchange.audit.verify.source import KeptCheckpoint
from exchange.kernel import MalformedError, counted


def verify_export(
    lines: Iterable[bytes], last_line: bytes, expected: Expectations, *, earlier_keys: Sequence[VerifierKey] = ()
) -> Verification:
    """Return what is wrong with an export in NDJSON; `last_line` is read first, `lines` are all of them, it included.

    `earlier_keys` are those of logs that a recovery ended, each under the name of its log. Checkpoints that others kept
    are not looked at: an export holds no tree to compare them with.
    """
    findings = Findings()
    # (1) what it says of itself, and who signed that
    statement = _statement(last_line, findings)
    newest = None if statement is None else _newest(statement, expected, findings)
    if statement is None or newest is None:
        return Verification(findings.found(), findings.counts())
    # (2), (3) line by line
    heads = _earlier(statement, newest.checkpoint.origin, earlier_keys, findings)
    check = _Lines(parse_place(statement.end).log, newest.checkpoint.head, heads, findings)
    for number, line in enumerate(lines, 1):
        check.take(number, line)
    # (4) and all of them
    check.conclude(statement)
    return Verification(
        findings.found(),
        findings.counts(),
        origin=newest.checkpoint.origin,
        size=newest.checkpoint.size,
        root=check.root,
        checkpoint=newest.note.render(),
        entries=check.count,
        notes=check.notes(),
    )


def personal_note(count: int) -> str:
    """Return the note on `count` entries beside which personal data stands in the clear."""
    return (
        f"{counted(count, 'entry comes', 'entries come')} with names, addresses or certificates in the clear: the log "
        "holds these encrypted, and they were not verified: ask for the entry with `exchange audit show`"
    )


@dataclass(slots=True)
class _Part:
    """What the export holds of one log, whose signed tree is `head`.

    `bare` is the first entry that came without a proof, with the number of its line, and `bare_count` how many did.
    """

    head: TreeHead
    tree: CompactRange = field(default_factory=CompactRange)
    count: int = 0
    bare: tuple[int, ExportedEntry] | None = None
    bare_count: int = 0

    @property
    def root(self) -> bytes | None:
        """The root over all entries, None where the export does not hold all of them."""
        return self.tree.root() if self.tree.size == self.head.size else None


class _Lines:
    def __init__(self, newest: int, head: TreeHead, earlier: Mapping[int, TreeHead], findings: Findings) -> None:
        # The one in use counts under its own number, whatever else is said to have it.
        self._parts = {log: _Part(each) for log, each in earlier.items()} | {newest: _Part(head)}
        self._newest = self._parts[newest]
        self._findings = findings
        self._last: Place | None = None
        self._narrowed = 0
        self._personal = 0
        self._is_over = False
        self.first: Place | None = None
        self.count = 0

    @property
    def root(self) -> bytes | None:
        """The root over all entries of the log in use, None where the export lacks some of any log that it shows."""
        shown = [part for part in self._parts.values() if part.count]
        return self._newest.root if all(part.root is not None for part in shown) else None

    def take(self, number: int, line: bytes) -> None:
        try:
            item = read_line(line)
            check_spelling(line)
        except MalformedError as exc:
            self._find(Step.FORM, number, exc.message)
            return
        if self._is_over:
            self._find(Step.TREE, number, "it stands behind the end of the export")
        elif isinstance(item, Statement):
            self._is_over = True
        else:
            self._take_entry(number, item)

    def conclude(self, statement: Statement) -> None:
        told = (statement.count, statement.first, statement.last)
        seen = (self.count, _text(self.first), _text(self._last))
        if told != seen:
            why = f"it says {told[0]} entries, {told[1]} to {told[2]}: there are {seen[0]}, {seen[1]} to {seen[2]}"
            self._findings.add(Finding(Step.TREE, "end of the export", why))
        if (end := parse_place(statement.end)).position != (size := self._newest.head.size):
            why = f"it says that it is complete up to {end}, and its checkpoint was signed over {size}"
            self._findings.add(Finding(Step.TREE, "end of the export", why))
        for part in self._parts.values():
            self._conclude(part)

    def notes(self) -> tuple[str, ...]:
        told = []
        if self._narrowed:
            told.append(
                counted(
                    self._narrowed,
                    "entry is not shown whole: that it exists was verified, not what is shown",
                    "entries are not shown whole: that they exist was verified, not what is shown",
                )
            )
        if self._personal:
            told.append(personal_note(self._personal))
        return tuple(told)

    def _conclude(self, part: _Part) -> None:
        root = part.root
        # Without a proof only the root over all of them says that they are in the tree.
        if part.bare is not None and root is None:
            why = (
                f"it came without a proof ({part.bare_count} did), and position {part.tree.size} is missing: "
                "nothing joins them to what was signed (a choice of entries is taken out with `--proofs`)"
            )
            self._find(Step.TREE, part.bare[0], why, part.bare[1])
        if root is not None and root != part.head.root:
            why = "all entries together have another root than the one that was signed"
            self._findings.add(Finding(Step.TREE, f"checkpoint of {part.head.size} entries", why))

    def _take_entry(self, number: int, item: ExportedEntry) -> None:
        if self._last is not None and item.place <= self._last:
            self._find(Step.TREE, number, f"place {item.place} comes behind {self._last}", item)
        self.first, self._last = self.first or item.place, item.place
        self.count += 1
        self._narrowed += item.content is None
        self._personal += bool(item.personal)
        part = self._parts.get(item.place.log)
        if part is None:
            why = f"it is of log {item.place.log}, of which no checkpoint here is signed by a key that was given"
            self._find(Step.TREE, number, why, item)
            return
        part.count += 1
        # What stands behind the signed tree is never joined to it: no proof is waited for, and none is found.
        is_within = item.place.position < part.head.size
        if is_within and item.place.position == part.tree.size:
            part.tree.append(item.leaf)
        if is_within and not item.proof and part.head.size > 1:
            part.bare = part.bare or (number, item)
            part.bare_count += 1
            return
        try:
            verify_inclusion(item.proof, item.leaf, index=item.place.position, head=part.head)
        except ProofError as exc:
            self._find(Step.TREE, number, exc.message, item)

    def _find(self, step: Step, number: int, why: str, item: ExportedEntry | None = None) -> None:
        position = None if item is None else item.place.position
        entry = None if item is None else item.entry.get("id")
        self._findings.add(Finding(step, f"line {number}", why, position, entry))


def _statement(line: bytes, findings: Findings) -> Statement | None:
    try:
        item = read_line(line)
        if isinstance(item, Statement):
            parse_place(item.end)
            return item
    except MalformedError:
        pass
    findings.add(
        Finding(Step.TREE, "end of the export", "it ends before it is complete: ask again for what is missing")
    )
    return None


def _newest(statement: Statement, expected: Expectations, findings: Findings) -> OpenedCheckpoint | None:
    kept = KeptCheckpoint((statement.checkpoint or "").encode())
    return open_newest(lambda: kept, expected.log_keys, findings, place="checkpoint of the export")


def _earlier(statement: Statement, newest: str, keys: Sequence[VerifierKey], findings: Findings) -> dict[int, TreeHead]:
    """Return the signed trees of the logs before the one of origin `newest`, by number, of those whose keys there are.

    INVARIANT: a log has one tree here. What another line shows as of the log in use is not tried in an older one of it.
    """
    heads, seen = dict[int, TreeHead](), {newest}
    for number, note in enumerate(statement.earlier, 1):
        try:
            origin = checkpoint_in(note.encode()).origin
        except MalformedError:
            continue  # never signed, or spoilt: what is of it is joined to nothing
        of_it = tuple(key for key in keys if key.name == origin)
        if not of_it or origin in seen:
            continue
        seen.add(origin)
        opened = open_checkpoint(KeptCheckpoint(note.encode()), of_it)
        if opened.fault is not None:
            place = f"{opened.place} of log {number}"
            findings.add(Finding(Step.SIGNATURE, place, opened.fault))
        heads[number] = opened.checkpoint.head
    return heads


def _text(place: Place | None) -> str | None:
    return None if place is None else str(place)
