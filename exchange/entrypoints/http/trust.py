"""Whom this process lets in, and as what it shows itself: taken up from files, again and again while it runs.

Steps of a look, which is taken every `LOOK_SECONDS` in a thread: (1) which kinds have changed, and rest; (2) of each,
what may take the place of what is in use; (3) a context made of it; (4) in the loop: the context is for whoever comes
next, and open connections of whom it would refuse are ended.

Promises: what is in use goes on until something better lies there. A kind of file that is broken keeps no other from
being taken up. A list gives way to a newer one alone. What is refused is told, once, and shown for as long as it is;
what was taken up of whom to let in, and what was refused, is news for the record.
Does not: read settings, or decide about clients (their rows do).
"""

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Final, Protocol

from exchange.crypto import Authority, issuer_and_serial, read_authorities, read_certificates, readable_authorities
from exchange.entrypoints.http.contexts import (
    Pair,
    context_of,
    pem_files,
    read_authority_files,
    read_lists,
    read_pair,
    read_plain,
    require_pair,
)
from exchange.entrypoints.http.edge import Edges, read_edges
from exchange.entrypoints.http.lain import Lain
from exchange.entrypoints.http.listed import Lists, first_lists, next_lists, told_of_list, without_list
from exchange.entrypoints.http.trust_news import TrustNews
from exchange.kernel import Clock, ExchangeError, MalformedError, UnsafeSettingError, rfc3339, system_clock

LOOK_SECONDS: Final = 2.0
"""What was exchanged is in use after three looks: one may see it while it is written, the next one that it rests."""
_AT_ONCE: Final = 100
"""Open connections that are looked at in one turn of the loop."""

_log = logging.getLogger("exchange.trust")


class Kind(StrEnum):
    """What is taken up together, or refused."""

    SERVER = "server"
    AUTHORITIES = "authorities"
    LISTS = "revocation-lists"
    EDGES = "edges"


_DECIDING: Final = frozenset({Kind.AUTHORITIES, Kind.LISTS, Kind.EDGES})
"""What decides who gets in; what this process shows itself as decides that for nobody."""


@dataclass(frozen=True, slots=True)
class TrustFiles:
    """Where it lies. `edges` is None where no edge is believed, and then none is until the next start."""

    certificate: Path
    key: Path
    authorities: Path
    revocations: Path | None = None
    edges: Path | None = None

    def of(self, kind: Kind) -> list[Path]:
        """Return the files of a kind, and the folders that they may come into."""
        match kind:
            case Kind.SERVER:
                return [self.certificate, self.key]
            case Kind.AUTHORITIES:
                return [self.authorities, *pem_files(self.authorities)]
            case Kind.LISTS:
                return [] if self.revocations is None else [self.revocations, *pem_files(self.revocations)]
            case Kind.EDGES:
                return [] if self.edges is None else [self.edges]


class Opened(Protocol):
    """An open connection."""

    def reconsider(self, *, has_shrunk: bool) -> None:
        """End it where whoever is at its other end is let in no longer."""
        ...


@dataclass(frozen=True, slots=True)
class _Held:
    """What is in use."""

    pair: Pair
    authorities: Mapping[Path, bytes]
    lists: Lists
    checks_lists: bool
    edges: frozenset[str]

    @property
    def roots(self) -> tuple[Authority, ...]:
        return tuple(root for content in self.authorities.values() for root in readable_authorities(content))

    def context(self) -> ssl.SSLContext:
        lists = {Path(f"{each.issuer} {number}"): each.pem for number, each in enumerate(self.lists.values())}
        return context_of(self.pair, self.authorities, lists, checks_lists=self.checks_lists)


@dataclass(slots=True)
class _Round:
    """One kind: what would be in use, what of that is new, what is refused, and when time alone may change that."""

    held: _Held
    taken: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    again_at: datetime | None = None


class Trust:
    """What one process goes by in TLS, and its open connections."""

    def __init__(
        self,
        files: TrustFiles,
        edges: Edges,
        *,
        read_secret: Callable[[Path], bytes],
        clock: Clock = system_clock,
        news: TrustNews | None = None,
    ) -> None:
        """Take up what lies there; UnsafeSettingError where that is not what it should be, as at any start."""
        self._files, self._read_secret, self._clock, self._news = files, read_secret, clock, news
        # Before they are read: what changes meanwhile is read once too often, never too seldom.
        self._lain = {kind: Lain(partial(files.of, kind)) for kind in Kind}
        self._again_at: dict[Kind, datetime] = {}
        self.edges = edges
        self.opened: set[Opened] = set()
        self.refused: dict[Kind, list[str]] = {kind: [] for kind in Kind}
        """What lies there and is not in use, and why, for as long as it is so."""
        self._held = self._first(edges)
        self.context = self._held.context()
        self._roots, self._revoked = self._held.roots, _on_lists(self._held.lists)
        self._over: frozenset[Authority] = frozenset()
        self._told_over: Pair | None = None
        edges.believe(self._held.edges, refused=self.is_revoked)

    @property
    def server_ends(self) -> list[datetime]:
        """Return when the certificates end that clients are shown."""
        try:
            return [facts.not_after for facts in read_certificates(self._held.pair.certificate)]
        except MalformedError:
            return []  # OpenSSL reads it; `exchange doctor` says what is wrong with it

    @property
    def lists_end(self) -> list[datetime]:
        """Return when the lists end that are in use."""
        return [each.ends_at for each in self._held.lists.values()]

    @property
    def in_use(self) -> dict[str, list[str]]:
        """Return what says by now whom this process lets in, by kind; nothing where no list and no edge does."""
        lists, edges = sorted(map(told_of_list, self._held.lists.values())), sorted(self._held.edges)
        if not lists and not edges:
            return {}  # the log has the authorities, from where they were enrolled
        told = {Kind.AUTHORITIES: sorted(root.name for root in self._roots), Kind.LISTS: lists, Kind.EDGES: edges}
        return {kind.value: each for kind, each in told.items() if each}

    def admits(self, der: bytes, context: ssl.SSLContext | None) -> bool:
        """Return whether whoever showed this certificate in a handshake by `context` is let in still."""
        # What was begun by a former context asked former lists, and knew authorities that are none any more.
        return not self.is_revoked(der) and (context is self.context or self.is_issued(der))

    def is_revoked(self, der: bytes) -> bool:
        """Return whether a certificate is on a list of its issuer."""
        found = issuer_and_serial(der) if self._revoked else None
        return found is not None and any(found[1] in listed for listed in self._revoked.get(found[0], ()))

    def is_issued(self, der: bytes) -> bool:
        """Return whether one of the authorities, and not one that is over, issued a certificate itself."""
        now = self._clock()
        return any(now < root.not_after and root.has_issued(der) for root in self._roots)

    @asynccontextmanager
    async def kept_up(self, seconds: float = LOOK_SECONDS) -> AsyncIterator[None]:
        """Look for as long as the context lasts."""
        looking = asyncio.create_task(self._keep_looking(seconds), name="looking at files of TLS")
        try:
            yield
        finally:
            looking.cancel()
            with suppress(asyncio.CancelledError):
                await looking

    async def look(self) -> None:
        """Take one look."""
        rounds, context = await asyncio.to_thread(self._rounds)
        for kind, each in rounds.items():
            self._tell(kind, each)
        has_shrunk = context is not None and self._adopt(list(rounds.values())[-1].held, context)
        self._tell_of_own_end()
        # INVARIANT: a connection does not outlive the authority it was opened by.
        has_ended = self._has_ended()
        if context is not None or has_ended:
            await self._end_refused(has_shrunk=has_shrunk or has_ended)

    async def _keep_looking(self, seconds: float) -> None:
        has_failed = False
        while True:
            await asyncio.sleep(seconds)
            try:
                await self.look()
                has_failed = False
            except Exception:  # noqa: BLE001  told, and looked again
                # A fault of ours in one file must not end the looking: what is revoked next would stay let in, unseen.
                if not has_failed:
                    _log.exception("the files of TLS cannot be looked at")
                has_failed = True

    def _rounds(self) -> tuple[dict[Kind, _Round], ssl.SSLContext | None]:
        now, held, context, rounds = self._clock(), self._held, None, dict[Kind, _Round]()
        for kind in Kind:
            # (1) also what was refused for its date, and lists where an authority is new
            is_due = self._lain[kind].has_changed() or (kind in self._again_at and self._again_at[kind] <= now)
            is_due |= kind is Kind.LISTS and held.authorities is not self._held.authorities
            if not is_due:
                continue
            # (2) what may take its place, (3) a context of that
            each, made = self._round(kind, held, now)
            if self._lain[kind].take():
                rounds[kind], held, context = each, each.held, made or context
        return rounds, context

    def _round(self, kind: Kind, held: _Held, now: datetime) -> tuple[_Round, ssl.SSLContext | None]:
        rounds = {
            Kind.SERVER: self._server,
            Kind.AUTHORITIES: self._authorities,
            Kind.LISTS: self._lists,
            Kind.EDGES: self._believed,
        }
        try:
            each = rounds[kind](held, now)
            return each, each.held.context() if each.held is not held else None
        except (OSError, ExchangeError) as exc:
            return _Round(held, refused=[str(exc)]), None
        except Exception as exc:  # noqa: BLE001  told
            # A fault of ours in one kind must keep no other from being taken up.
            _log.exception("the files of one kind cannot be looked at: %s", kind.value)
            return _Round(held, refused=[f"a fault: {type(exc).__name__}"]), None

    def _server(self, held: _Held, now: datetime) -> _Round:
        pair = Pair(self._files.certificate, read_plain(self._files.certificate), self._read_secret(self._files.key))
        if pair == held.pair:
            return _Round(held)
        require_pair(pair)
        facts = read_certificates(pair.certificate)[0]
        told = f"`{pair.path}`, from {rfc3339(facts.not_before)} until {rfc3339(facts.not_after)}"
        if not facts.not_before <= now < facts.not_after:
            later = facts.not_before if now < facts.not_before else None
            return _Round(held, refused=[f"{told}, is not valid now"], again_at=later)
        return _Round(replace(held, pair=pair), taken=[told])

    def _authorities(self, held: _Held, _now: datetime) -> _Round:
        kept, refused = dict[Path, bytes](), list[str]()
        for path in pem_files(self._files.authorities):
            try:
                content = read_plain(path)
                read_authorities(content)
            except (OSError, ExchangeError) as exc:
                refused.append(f"`{path}`: {exc}")
                content = held.authorities.get(path, b"")
            if content:
                kept[path] = content
        if not kept:
            raise UnsafeSettingError(f"`{self._files.authorities}` holds no authority")
        if kept == held.authorities:
            return _Round(held, refused=refused)
        after = replace(held, authorities=kept)
        names, before = {root.name for root in after.roots}, {root.name for root in held.roots}
        # Who is enrolled no longer has no list either; others are of authorities that nobody enrolled, and stay.
        lists = {key: each for key, each in held.lists.items() if each.issuer in names or each.issuer not in before}
        taken = [f"added: {root.name}" for root in after.roots if root not in held.roots]
        taken += [f"taken away: {root.name}" for root in held.roots if root not in after.roots]
        return _Round(replace(after, lists=lists), taken=taken, refused=refused)

    def _lists(self, held: _Held, now: datetime) -> _Round:
        listed = next_lists(self._files.revocations, held.lists, held.roots, now)
        lacking = without_list(listed.lists, held.roots, now)
        checks = held.checks_lists or (bool(listed.lists) and not lacking)
        if listed.lists and not checks:
            # Where TLS asks for lists, an authority without one admits nobody: the first one must not shut out all.
            told = "no list is asked for in handshakes until each authority has one, what is on those there are refused"
            listed.refused.append(f"{told} all the same; without one: {', '.join(lacking)}")
        if listed.lists == held.lists and checks == held.checks_lists:
            return _Round(held, refused=listed.refused, again_at=listed.again_at)
        after = replace(held, lists=listed.lists, checks_lists=checks)
        return _Round(after, listed.taken, listed.refused, listed.again_at)

    def _believed(self, held: _Held, _now: datetime) -> _Round:
        path = self._files.edges
        if path is None:
            return _Round(held)
        thumbprints = read_edges(path)
        if thumbprints == held.edges:
            return _Round(held)
        taken = [f"added: {each}" for each in sorted(thumbprints - held.edges)]
        taken += [f"taken away: {each}" for each in sorted(held.edges - thumbprints)]
        return _Round(replace(held, edges=thumbprints), taken=[f"`{path}`, with {len(thumbprints)}", *taken])

    def _first(self, edges: Edges) -> _Held:
        files, lists = self._files, read_lists(self._files.revocations)
        # First: of a key that is gone it says what makes another.
        pair, authorities = read_pair(files.certificate, files.key), read_authority_files(files.authorities)
        self._read_secret(files.key)  # refuses a key that others can read
        roots = [root for content in authorities.values() for root in readable_authorities(content)]
        return _Held(
            pair=pair,
            authorities=authorities,
            lists=first_lists(lists, roots, self._clock()),
            checks_lists=bool(lists),
            edges=edges.thumbprints,
        )

    def _adopt(self, held: _Held, context: ssl.SSLContext) -> bool:
        """Go by `held` from now on; return whether an authority is one no longer."""
        before, self._roots = self._roots, held.roots
        self._held, self.context = held, context
        self._revoked = _on_lists(held.lists)
        self.edges.believe(held.edges, refused=self.is_revoked)
        return any(root not in self._roots for root in before)

    def _has_ended(self) -> bool:
        """Return whether an authority is over that was not when it was looked last, and tell each once."""
        before, now = self._over, self._clock()
        self._over = frozenset(root for root in self._roots if root.not_after <= now)
        for root in self._over - before:
            _log.warning("the authority `%s` is over: what it alone issued is let in no longer", root.name)
        return not self._over <= before

    def _tell_of_own_end(self) -> None:
        """Tell once of a certificate of the server's that is over: who turns away from it tells only its own user."""
        pair, end = self._held.pair, min(self.server_ends, default=None)
        if end is not None and end <= self._clock() and pair is not self._told_over:
            self._told_over = pair
            told = f"`{pair.path}` ended on {rfc3339(end)}: no client connects until there is another"
            _log.error("%s, which `exchange ca server` makes unless another authority issued it", told)

    async def _end_refused(self, *, has_shrunk: bool) -> None:
        for number, each in enumerate(list(self.opened), 1):
            try:
                each.reconsider(has_shrunk=has_shrunk)
            except Exception:  # noqa: BLE001  told
                # Nor one connection another from being ended.
                _log.exception("a connection cannot be looked at again")
            if number % _AT_ONCE == 0:
                await asyncio.sleep(0)

    def _tell(self, kind: Kind, found: _Round) -> None:
        for told in found.taken:
            _log.info("taken up of %s: %s", kind.value, told)
        refused = [told for told in found.refused if told not in self.refused[kind]]
        for told in refused:
            _log.error("not taken up of %s, and what was in use before goes on: %s", kind.value, told)
        if self._news is not None and kind in _DECIDING:
            self._news.note(kind.value, found.taken, is_taken=True)
            self._news.note(kind.value, refused, is_taken=False)
        if self.refused[kind] and not found.refused:
            _log.info("nothing of %s is refused any more", kind.value)
        self.refused[kind] = found.refused
        self._again_at.pop(kind, None)
        if found.again_at is not None:
            self._again_at[kind] = found.again_at


def _on_lists(lists: Lists) -> dict[str, list[frozenset[int]]]:
    found: dict[str, list[frozenset[int]]] = {}
    for each in lists.values():
        if each.is_whole:
            found.setdefault(each.issuer, []).append(each.revoked)
    return found
