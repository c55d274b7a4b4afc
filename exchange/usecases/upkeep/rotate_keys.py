"""Rotation: everything that custody sealed directly is put under the newest version of its keys, and nothing is lost.

Only wrapped data keys and sealed headers change; the ciphertext of parts is not touched. Steps: (1) the newest version
is taken up, and no row is under one that is not here; (2) rows under older versions are read, some at a time; (3) each
is opened as whoever reads it opens it, and sealed anew for the same place; (4) what was read is replaced where it
still stands, together with an entry; (5) again, until a round finds nothing to do; (6) what came of it is recorded.

Each transaction stands for itself: ended at any moment, another run goes on with what is left. What does not open is
recorded, counted and left as it is; so is what is under a version that nobody ever added.

INVARIANT: nothing is put under a version whose key is not the one that the log tells of: two nodes may each have added
a key of one number.
"""

from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace

from exchange.audit import Detail, EntryDraft, EventName, Outcome
from exchange.custody import CustodyStatus
from exchange.kernel import ConflictError
from exchange.store import KeptKind, KeptRow, Sealed
from exchange.store.books.kept_keys import Place
from exchange.usecases.steps.context import Call, Services
from exchange.usecases.steps.recorded_keys import recorded_version, version_subject
from exchange.usecases.steps.recording import draft
from exchange.usecases.upkeep.kept_keys import UNRENEWED, renewed_seals
from exchange.usecases.upkeep.own_keys import require_own_keys

Progress = Callable[[int, int], None]

_MOST_NAMED = 20
"""Rows that are named before any is put anew."""

_AT_ONCE = 100
"""Rows of one transaction: SQLite's writers wait for it, some 30 ms."""

_MOST_ROUNDS = 5
"""A process that has not taken up the newest version adds rows under the one before: its operator's to restart."""


@dataclass(frozen=True, slots=True)
class KeyStatus:
    """The versions of the root, and how much of each kind is under which of them."""

    custody: CustodyStatus
    kept: Mapping[KeptKind, Mapping[int, int]]
    strange: tuple[str, ...] = ()
    """Rows under a version that nobody ever added, as far as they are named: somebody wrote that there."""
    unknown: tuple[int, ...] = ()
    """Those versions."""

    def under(self, version: int) -> int:
        """Return how much is under one version: while there is any, that version cannot be done without."""
        return sum(counts.get(version, 0) for counts in self.kept.values())

    @property
    def older(self) -> int:
        """Return how much is under a version before the current one."""
        current = self.custody.current
        known = [(version, count) for counts in self.kept.values() for version, count in counts.items()]
        return sum(count for version, count in known if version < current and version not in self.unknown)

    @property
    def missing(self) -> tuple[int, ...]:
        """Return the versions that something is under, and that are somewhere, and not here."""
        return tuple(version for version in self.elsewhere if version not in self.unknown)

    @property
    def elsewhere(self) -> tuple[int, ...]:
        """Return the versions that something is under and that are not here, whether they ever were or not."""
        held = {each.version for each in self.custody.versions}
        return tuple(sorted({version for counts in self.kept.values() for version in counts} - held))


@dataclass(frozen=True, slots=True)
class Rotated:
    """What a run did: rows put under `version`, places that did not open, and how much is under older versions yet."""

    version: int
    renewed: Mapping[KeptKind, int]
    unopened: tuple[str, ...]
    left: int

    @property
    def renewed_in_all(self) -> int:
        """Return how many rows were put under the version."""
        return sum(self.renewed.values())


async def key_status(services: Services) -> KeyStatus:
    """Return which versions of the root there are, and what is under each."""
    kept = {}
    for kind in KeptKind:
        async with services.store.unit_of_work() as unit:
            kept[kind] = await unit.kept_keys().counts(kind)
    status = KeyStatus(await services.custodian.status(), kept)
    unknown = tuple([each for each in status.elsewhere if not await _was_added(services, status.custody, each)])
    if not unknown:
        return status
    known = {each.version for each in status.custody.versions} | (set(status.elsewhere) - set(unknown))
    return replace(status, unknown=unknown, strange=await _strange(services, known))


async def added_elsewhere(services: Services, custody: CustodyStatus) -> int | None:
    """Return the version behind the newest one here where the log tells of it: another node has it; None without."""
    behind = custody.current + 1
    return None if await recorded_version(services, custody, behind) is None else behind


async def _was_added(services: Services, custody: CustodyStatus, version: int) -> bool:
    """Return whether there may be such a version: the first is as old as the instance, of others the log tells.

    Another node may have added the next one, and died before that was on the record.
    """
    return version in {1, custody.current + 1} or await recorded_version(services, custody, version) is not None


async def _strange(services: Services, known: Collection[int]) -> tuple[str, ...]:
    named: list[str] = []
    for kind in KeptKind:
        async with services.store.unit_of_work() as unit:
            places = await unit.kept_keys().places_outside(kind, known, _MOST_NAMED)
        named += [_named(kind, place) for place in places]
    return tuple(named[:_MOST_NAMED])


async def begin_rotation(services: Services, call: Call, add: Callable[[], int]) -> int | None:
    """Add a version of the root by `add`, and return it; None where the newest one waits for everything to be under it.

    Nothing is under the new version yet. Raises ConflictError where another node has one that is not here.
    """
    status = await _complete_status(services)
    custody = status.custody
    await _require_recorded(services, call, custody)
    if status.older or not status.under(custody.current):
        return None
    # One node at a time, until it is on the record.
    async with services.store.unit_of_work() as unit:
        await unit.reports().hold_order()
        # Two keys of one number: each node would take what the other one wrote for tampering.
        await _require_newest(services, custody)
        added = add()
        await services.custodian.renew()
        # Nothing was wrapped under it yet: nothing is lost where it never gets on the record.
        await unit.record(_added_draft(call, await services.custodian.status(), added))
    return added


async def rewrap(services: Services, call: Call, progress: Progress = lambda _done, _total: None) -> Rotated:
    """Put everything that is under an older version under the newest one; may be run again at any time.

    Raises ConflictError where something is under a version that is not here, or nothing is to be done but by a version
    that is not here; UnavailableError where store or custody is away: what was done until then stands.
    """
    # (1) whole
    status = await _complete_status(services)
    await _require_recorded(services, call, status.custody)
    run = _Run(services, call, status.custody, status.older, progress)
    for place in status.strange:
        # What is under no version opens for nobody: named, and the rest goes on.
        await _note_unopened(run, place)
    if not run.total:
        # All is under the newest one here: where there is a newer one, that is no end of its rotation.
        await _require_newest(services, status.custody)
        return run.ended(left=len(status.strange))
    await services.store.append(run.entry(EventName.KEY_ROTATION_BEGUN, {"left": run.total}))
    for _ in range(_MOST_ROUNDS):
        if not sum([await _round(run, kind) for kind in KeptKind]):
            break
    # (6) what came of it
    after = await key_status(services)
    ended = run.ended(left=after.older + sum(map(after.under, after.unknown)))
    told: dict[str, str | int] = {"renewed": run.done, "left": ended.left, "unopened": len(ended.unopened)}
    await services.store.append(run.entry(EventName.KEY_ROTATED, {"state": "finished", **told}))
    return ended


@dataclass(slots=True)
class _Run:
    """One run, and what it did so far."""

    services: Services
    call: Call
    custody: CustodyStatus
    total: int
    progress: Progress
    renewed: Counter[KeptKind] = field(default_factory=Counter)
    unopened: dict[str, None] = field(default_factory=dict)

    @property
    def done(self) -> int:
        return self.renewed.total()

    def entry(self, event: EventName, told: Mapping[str, str | int]) -> EntryDraft:
        current = self.custody.current
        call = replace(self.call, now=self.services.clock())
        subject = version_subject(self.custody, current)
        return draft(call, None, event, Outcome.PERMITTED, subject=subject, detail={"version": current, **told})

    def ended(self, *, left: int) -> Rotated:
        return Rotated(self.custody.current, dict(self.renewed), tuple(self.unopened), left)


async def _round(run: _Run, kind: KeptKind) -> int:
    """Renew the rows of one kind once; return how many were, or may be in another round."""
    count, after = 0, None
    while True:
        # (2) read
        async with run.services.store.unit_of_work() as unit:
            rows = await unit.kept_keys().older(kind, run.custody.current, after=after, limit=_AT_ONCE)
        if not rows:
            return count
        after = rows[-1].place
        # (3) sealed anew
        renewed = [(row, seals) for row in rows if (seals := await _renewed(run, row)) is not None]
        # (4) where it still stands
        run.renewed[kind] += await _put(run, kind, renewed)
        count += len(renewed)
        run.progress(run.done, max(run.total, run.done))


async def _put(run: _Run, kind: KeptKind, renewed: list[tuple[KeptRow, tuple[Sealed, ...]]]) -> int:
    async with run.services.store.unit_of_work() as unit:
        count = await unit.kept_keys().put(kind, renewed) if renewed else 0
        if count:
            await unit.record(run.entry(EventName.KEY_ROTATED, {"kind": kind.value, "renewed": count}))
    return count


async def _renewed(run: _Run, row: KeptRow) -> tuple[Sealed, ...] | None:
    """Return the seals of a row under the newest version; None where they do not open, which is recorded once a run."""
    try:
        return await renewed_seals(run.services.custodian, row)
    except UNRENEWED:
        await _note_unopened(run, _named(row.kind, row.place))
        return None


async def _note_unopened(run: _Run, place: str) -> None:
    if place in run.unopened:
        return
    run.unopened[place] = None
    call = replace(run.call, now=run.services.clock())
    failed = draft(call, None, EventName.KEY_OPENED, Outcome.FAILED, detail={"place": place})
    await run.services.store.append(failed)


def _named(kind: KeptKind, place: Place) -> str:
    return " ".join(map(str, (kind.value, *place)))


async def _require_recorded(services: Services, call: Call, custody: CustodyStatus) -> None:
    """See to it that the newest version is on the record; ConflictError where that is another key of its number."""
    version = custody.current
    if version == 1:
        return  # as old as the instance
    # Before posts are kept waiting: it may lie in an archive. Where there is none, the search alone is asked again.
    recorded = await recorded_version(services, custody, version)
    if recorded is None:
        async with services.store.unit_of_work() as unit:
            await unit.reports().hold_order()
            recorded = await recorded_version(services, custody, version)
            if recorded is None:
                # Whoever added it died before it was on the record.
                await unit.record(_added_draft(call, custody, version))
                return
    if recorded != custody.fingerprint(version):
        raise ConflictError(
            f"another key of version {version} was added on another node, and that one counts: bring the key file "
            "from there, and keep the one that is here beside it"
        )


async def _require_newest(services: Services, custody: CustodyStatus) -> None:
    """Raise ConflictError where the log tells of a version behind the newest one here."""
    added = await added_elsewhere(services, custody)
    if added is not None:
        raise ConflictError(f"version {added} was added on another node: bring the key file from there")


def _added_draft(call: Call, custody: CustodyStatus, version: int) -> EntryDraft:
    detail: Detail = {
        "kind": "root",
        "version": version,
        "fingerprint": custody.fingerprint(version),
    }
    subject = version_subject(custody, version)
    return draft(call, None, EventName.KEY_CREATED, Outcome.PERMITTED, subject=subject, detail=detail)


async def _complete_status(services: Services) -> KeyStatus:
    await services.custodian.renew()
    status = await key_status(services)
    if status.missing:
        versions = ", ".join(str(version) for version in status.missing)
        held = {each.version for each in status.custody.versions} | set(status.unknown)
        first = (await _strange(services, held))[0]
        raise ConflictError(
            f"something is under version {versions}, which is not in the key file here: bring the file that has it; "
            f"the first row is {first}"
        )
    await require_own_keys(services)
    return status
