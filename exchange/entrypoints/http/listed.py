"""Revocation lists: which of those that lie there may take the place of which in use.

Promises: a list is followed by a newer one of the same authority alone, which bears its signature and is valid now; an
older one, a cut or forged one, one that is over, and none at all leave the former in use.
Does not: ask about a certificate; who is enrolled as an authority comes in.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from exchange.crypto import Authority, RevocationList, read_revocation_lists
from exchange.entrypoints.http.contexts import pem_files, read_plain, require_lists_alone
from exchange.kernel import ExchangeError, MalformedError, UnsafeSettingError, rfc3339
from exchange.kernel.files import fault_in_words

ListKey = tuple[str, str, str]
"""Whose it is, by name and key, and what tells several of one authority apart: one follows another of the same."""

Lists = Mapping[ListKey, RevocationList]


@dataclass(slots=True)
class Listed:
    """The lists from now on, what is new, what was refused, and when one that is refused may be taken by time alone."""

    lists: dict[ListKey, RevocationList]
    taken: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    again_at: datetime | None = None


def first_lists(files: Mapping[Path, bytes], roots: Sequence[Authority], now: datetime) -> Lists:
    """Return what a process begins with: of each list the newest that is valid, and where none is, the newest.

    One that is over is taken then too: it admits nobody, and a start must not admit more. Raises UnsafeSettingError.
    """
    found: dict[ListKey, RevocationList] = {}
    for path, content in files.items():
        try:
            lists = read_revocation_lists(content)
        except MalformedError as exc:
            raise UnsafeSettingError(f"`{path}` is no PEM revocation list: {exc.message}") from exc
        for each in lists:
            key = list_key(each, roots)
            before = found.get(key)
            if before is None or (_is_valid(each, now), each.is_newer_than(before)) > (_is_valid(before, now), False):
                found[key] = each
    return found


def next_lists(folder: Path | None, held: Lists, roots: Sequence[Authority], now: datetime) -> Listed:
    """Return what is in use from now on, where `held` is and `folder` holds what it holds now."""
    # Whose a list is depends on who is enrolled now.
    listed, lying = Listed(by_key(held.values(), roots)), dict[ListKey, list[tuple[Path, RevocationList]]]()
    for path in pem_files(folder):
        try:
            content = read_plain(path)
            require_lists_alone(path, content)
            for each in read_revocation_lists(content):
                lying.setdefault(list_key(each, roots), []).append((path, each))
        except OSError as exc:
            listed.refused.append(f"`{path}` cannot be read: {fault_in_words(exc)}")
        except ExchangeError as exc:
            listed.refused.append(exc.message if str(path) in exc.message else f"`{path}`: {exc.message}")
        except Exception as exc:  # noqa: BLE001  told
            # What one authority sends must keep no other's list from being taken up, whatever is wrong with it.
            listed.refused.append(f"`{path}`: it cannot be read here: {type(exc).__name__}")
    # What lies there first: it may say why one in use does not.
    for key in [*lying, *(set(listed.lists) - set(lying))]:
        _follow(key, lying.get(key, []), listed, roots, now)
    listed.refused.sort()
    return listed


def by_key(lists: Iterable[RevocationList], roots: Sequence[Authority]) -> dict[ListKey, RevocationList]:
    """Return lists by whose they are."""
    return {list_key(each, roots): each for each in lists}


def list_key(listing: RevocationList, roots: Sequence[Authority]) -> ListKey:
    """Return whose a list is: by the key that signed it, where an enrolled authority has that, else by what it says."""
    signers = [root for root in roots if root.name == listing.issuer and root.has_signed(listing)]
    return listing.issuer, signers[0].public_key if signers else listing.key_id, listing.scope


def without_list(lists: Lists, roots: Sequence[Authority], now: datetime) -> list[str]:
    """Return the names of the authorities that have no list by which TLS could ask about what they issued."""
    have = {key[:2] for key, each in lists.items() if each.is_whole}
    return sorted({root.name for root in roots if root.not_after > now and (root.name, root.public_key) not in have})


def fault_of(listing: RevocationList, roots: Sequence[Authority], now: datetime) -> str | None:
    """Return why a list cannot be used, None where it can."""
    namesakes = [root for root in roots if root.name == listing.issuer]
    # One of an authority that clients bring the certificate of themselves cannot be tried here: TLS does.
    if namesakes and not any(root.has_signed(listing) for root in namesakes):
        return "it does not bear the signature of the authority that it names, or that may sign none"
    if len({root.public_key for root in namesakes}) > 1 and not listing.key_id:
        return "several keys are enrolled under the name of its authority, and it does not say by which it is signed"
    if not listing.is_understood:
        return "it, or an entry of it, has a critical extension that is not known here"
    if listing.issued_at > now:
        return f"it is not valid before {rfc3339(listing.issued_at)}: see the clocks"
    if listing.ends_at <= now:
        return f"it ran out on {rfc3339(listing.ends_at)}"
    return None


def _follow(
    key: ListKey,
    lying: Sequence[tuple[Path, RevocationList]],
    listed: Listed,
    roots: Sequence[Authority],
    now: datetime,
) -> None:
    held, taken, refused = listed.lists.get(key), "", list[str]()
    for path, each in lying:
        in_use = listed.lists.get(key)
        if in_use is not None and not each.is_newer_than(in_use):
            continue
        if (fault := fault_of(each, roots, now)) is not None:
            refused.append(f"`{path}`: {fault}")
            if each.issued_at > now:
                listed.again_at = min(each.issued_at, listed.again_at or each.issued_at)
            continue
        listed.lists[key] = each
        taken = f"`{path}`, {told_of_list(each)}, with {len(each.revoked)} on it, until {rfc3339(each.ends_at)}"
    if taken:
        listed.taken.append(taken)
    elif held is not None and not refused and all(each != held for _, each in lying):
        # Where a file cannot be read, that is what there is to tell: it may be this one. And one of no enrolled
        # authority may go: it stays in use, as the others do, and nobody misses it.
        is_missed = bool(lying) or (not listed.refused and held.issuer in {root.name for root in roots})
        refused += [_missed(held, lying)] if is_missed else []
    listed.refused += refused


def _missed(held: RevocationList, lying: Sequence[tuple[Path, RevocationList]]) -> str:
    if not lying:
        return f"{told_of_list(held)} lies there no longer, and stays in use"
    path, found = lying[0]
    return f"`{path}`: {told_of_list(found)}, is not newer than what is in use, {told_of_list(held)}"


def told_of_list(listing: RevocationList) -> str:
    """Return in words which list of whom it is."""
    number = "" if listing.number is None else f"number {listing.number} "
    return f"list {number}of `{listing.issuer}` from {rfc3339(listing.issued_at)}"


def _is_valid(listing: RevocationList, now: datetime) -> bool:
    return listing.issued_at <= now < listing.ends_at
