"""One verification of one log, from the newest checkpoint down to the last byte of the last entry.

Steps: (1) the newest checkpoint is signed by every key of the log; (2) enough witnesses stand behind it; (3) the tree,
recomputed from the entries' own bytes, has that root, and every tile is part of it; (4) every older checkpoint, kept
by whomever, is a beginning of this tree; (5) every entry is in canonical form, (6) its columns say what its bytes say,
(7) its time fits when it was signed; (8) its node signed for it, and for none that is missing; (9) what is recorded
does not wait for its place in the tree; (10) personal data is gone only where two persons erased it; (11) the rows that
entries tell of stand where these say, where the source has them.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from itertools import chain

from exchange.audit.tile_paths import BundlePath
from exchange.audit.verify.checkpoints import (
    Mark,
    OpenedCheckpoint,
    check_times,
    compare_marks,
    mark_older,
    open_newest,
)
from exchange.audit.verify.entries import EntryChecks, entry_id_at
from exchange.audit.verify.erasures import ErasureChecks
from exchange.audit.verify.expectations import Expectations
from exchange.audit.verify.findings import Erasures, Finding, Findings, Step, Verification
from exchange.audit.verify.nodes import NodeChecks
from exchange.audit.verify.rows import RowChecks
from exchange.audit.verify.source import KeptCheckpoint, Source
from exchange.audit.verify.time_windows import TimeWindows
from exchange.audit.verify.tree import Recomputation
from exchange.audit.verify.witnesses import WitnessCheck
from exchange.kernel import MalformedError, counted

Progress = Callable[[int, int], None]
"""Is told how many entries are done, of how many."""

_MICROS = 1_000_000

# A host may be down for the night of a repair; a log that records for longer and signs nothing is no log.
_LONGEST_REST_MICROS = 3600 * _MICROS


def verify_log(source: Source, expected: Expectations, progress: Progress | None = None) -> Verification:
    """Return what is wrong with the log that `source` hands over; nothing is, where no finding is made.

    Trusts `expected` and nothing else. Raises whatever the source raises when it cannot be reached.
    """
    findings = Findings()
    # (1) who signed
    newest = open_newest(source.newest, expected.log_keys, findings, place="newest checkpoint")
    if newest is None:
        return Verification(findings.found(), findings.counts())
    # (2) who stands behind it; (4) the older ones are read first: their roots are recomputed on the way
    witnesses = WitnessCheck(expected, findings)
    marks = _older_marks(source, expected, findings, witnesses)
    witnesses.take(newest)
    names, remarks = witnesses.conclude(newest)
    # (3), (5) to (8), (10), (11) in one pass
    roots, entries, (notes, erasures) = _passed(source, expected, findings, (newest, marks), progress)
    # (4) none of them tells another history
    compare_marks(marks, newest.checkpoint.size, roots, findings)
    # (9) nothing waits
    waiting = _check_pending(source, expected, newest, findings)
    return Verification(
        origin=newest.checkpoint.origin,
        size=newest.checkpoint.size,
        root=roots.get(newest.checkpoint.size),
        checkpoint=newest.note.render(),
        entries=entries,
        older=len(marks),
        witnesses=names,
        findings=tuple(_named(source, finding, newest.checkpoint.size) for finding in findings.found()),
        counts=findings.counts(),
        notes=(*_notes(source, expected, newest), *notes, *waiting, *remarks),
        erasures=erasures,
    )


def _passed(
    source: Source,
    expected: Expectations,
    findings: Findings,
    signed: tuple[OpenedCheckpoint, list[Mark]],
    progress: Progress | None,
) -> tuple[Mapping[int, bytes], int, tuple[tuple[str, ...], Erasures]]:
    """Return the recomputed roots by size, how many entries were looked into, notes on them and what they erased."""
    newest, marks = signed
    in_order = sorted([*marks, _mark_of(newest)], key=lambda mark: mark.size)
    check_times(in_order, expected.limits.ahead_seconds, findings)
    _check_coming(newest, expected, findings)
    size, root = newest.checkpoint.size, newest.checkpoint.root
    tree = Recomputation(source, size, root, (mark.size for mark in marks))
    nodes, erasures = NodeChecks(expected.node_keys), ErasureChecks(source, expected.erasures)
    rows = RowChecks(source, findings, signed_at=newest.at_micros, now=expected.now_micros)
    observers = (nodes.observe, erasures.observe, rows.observe)
    checks = EntryChecks(source, TimeWindows(in_order, expected.limits), findings, observers=observers)
    for leaves in tree.leaves(findings):
        checks.take(leaves)
        if progress is not None:
            progress(leaves.path.start + leaves.path.width, size)
    rows.conclude()
    _compare_root(newest, tree.roots, findings)
    unsearchable = checks.unsearchable(newest.at_micros, behind_seconds=expected.limits.behind_seconds)
    notes = (*nodes.conclude(findings), *erasures.conclude(findings))
    has_columns = source.stored(BundlePath(0, 1)) is not None
    return tree.roots, checks.seen, ((*notes, *(unsearchable if has_columns else ())), erasures.told)


def _older_marks(source: Source, expected: Expectations, findings: Findings, witnesses: WitnessCheck) -> list[Mark]:
    kept = ((each, "the log itself") for each in _kept(source, findings))
    known = ((KeptCheckpoint(each.note), each.whence) for each in expected.known)
    return mark_older(chain(kept, known), expected.log_keys, findings, witnesses.take)


def _kept(source: Source, findings: Findings) -> Iterator[KeptCheckpoint]:
    """Yield the older checkpoints; where they cannot be read any further, that is a finding, and the rest goes on."""
    try:
        yield from source.older()
    except MalformedError as exc:
        findings.add(Finding(Step.HISTORY, "older checkpoints", exc.message))


def _compare_root(newest: OpenedCheckpoint, roots: Mapping[int, bytes], findings: Findings) -> None:
    size = newest.checkpoint.size
    if size not in roots:
        findings.add(Finding(Step.TREE, newest.place, "its root cannot be recomputed: leaves are missing"))
    elif roots[size] != newest.checkpoint.root:
        findings.add(
            Finding(Step.TREE, newest.place, "entries and tiles have another root than the one that was signed")
        )


def _check_coming(newest: OpenedCheckpoint, expected: Expectations, findings: Findings) -> None:
    """Report a newest checkpoint from the future: whatever time its entries bear would fit it."""
    if newest.at_micros is None or expected.now_micros is None:
        return
    ahead = newest.at_micros - expected.now_micros
    if ahead > expected.limits.coming_seconds * _MICROS:
        why = f"it says that it was signed {ahead // _MICROS} s from now: a clock was set forward, there or here"
        findings.add(Finding(Step.TIME, newest.place, why))


def _check_pending(
    source: Source, expected: Expectations, newest: OpenedCheckpoint, findings: Findings
) -> tuple[str, ...]:
    """Report what waits too long while others get their place, or longer than any sequencer rests; note the rest."""
    if expected.now_micros is None:
        return ()
    waited = 0
    for entry in source.pending():
        rest = expected.now_micros - entry.at_micros
        # What was signed with a time that has not come overtakes nothing of now.
        signed = -1 if newest.at_micros is None else min(newest.at_micros, expected.now_micros)
        # Nor does the first checkpoint of a log: a recovery signs its own entry alone, and no sequencer has run yet.
        signed = -1 if newest.checkpoint.size <= 1 else signed
        overtaken = signed - entry.at_micros
        if max(overtaken, rest - _LONGEST_REST_MICROS) > expected.limits.pending_seconds * _MICROS:
            why = f"it is recorded and has waited {rest // _MICROS} s for its place in the tree"
            findings.add(Finding(Step.PENDING, "entry without a place", why, entry=entry.id))
        elif rest > expected.limits.pending_seconds * _MICROS:
            waited += 1
    if not waited:
        return ()
    told = counted(waited, "entry waits for its place", "entries wait for their place")
    return (f"{told}: no sequencer has run since",)


def _named(source: Source, finding: Finding, size: int) -> Finding:
    """Return a finding with the id of the entry that it is about, where that is to be had."""
    if finding.entry is not None or finding.position is None or not finding.place.startswith("entry "):
        return finding
    return replace(finding, entry=entry_id_at(source, finding.position)) if finding.position < size else finding


def _mark_of(newest: OpenedCheckpoint) -> Mark:
    head = newest.checkpoint
    return Mark(head.size, head.root, newest.at_micros, "the log itself", newest.fault)


def _notes(source: Source, expected: Expectations, newest: OpenedCheckpoint) -> tuple[str, ...]:
    notes = []
    if not source.has_entries:
        notes.append("there are no entries here: their hashes were verified, not what they say")
    elif not expected.node_keys:
        notes.append("no key of a node was given: whether the nodes signed for their entries was not looked at")
    if newest.at_micros is None:
        notes.append("no signature states a time: entries were compared with each other only")
    return tuple(notes)
