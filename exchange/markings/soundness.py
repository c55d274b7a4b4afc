"""Soundness of a set of drafts: a total order per policy, one base, a strict map into it, no name with two meanings."""

import re
from collections.abc import Iterable, Sequence

from exchange.kernel.errors import Fault
from exchange.markings.draft import CategoryRow, Draft, EquivalentRow, LevelRow
from exchange.markings.page import Page

_POLICY_ID = re.compile(r"[A-Z][A-Z0-9-]{1,31}")
# One word or several, upper case: the marking text is split at `/`, and `REL TO` opens another control.
_CATEGORY_NAME = re.compile(r"[A-Z0-9]+(?:[ :+-][A-Z0-9]+)*")


def check_drafts(drafts: Sequence[Draft], faults: list[Fault]) -> Draft | None:
    """Put every fault of `drafts` into `faults`; return the base policy's draft where there is exactly one."""
    all_were_read = not faults
    for draft in drafts:
        _check_names(draft)
        _check_order(draft)
    _refuse_repeats([(draft.id, draft.place) for draft in drafts], "duplicate-policy", "security policy")
    bases = [draft for draft in drafts if draft.is_base]
    for draft in bases[1:]:
        draft.place.fault("second-base", f"`{bases[0].id}` is the base policy already: keep one `base: true`")
    if len(bases) != 1:
        if not bases and all_were_read:
            faults.append(Fault("", "no-base", "no security policy is the base: write `base: true` in one file"))
        return None
    _check_meanings(drafts, bases[0])
    for draft in drafts:
        _check_equivalence(draft, bases[0])
    return bases[0]


def _check_names(draft: Draft) -> None:
    if _POLICY_ID.fullmatch(draft.id) is None:
        draft.place.fault("bad-policy-id", f"`{draft.id}` is no policy id: write it like `NATO` or `GBR`")
    if draft.file.rpartition("/")[2] != f"{draft.id}.yaml":
        draft.place.fault("wrong-file", f"the policy `{draft.id}` stands in `{draft.file}`: call it `{draft.id}.yaml`")
    _refuse_repeats([(row.name, row.place) for row in draft.rows], "duplicate-level", "level")
    _refuse_repeats([(row.marking, row.place) for row in draft.rows], "duplicate-marking", "marking")
    categories = (*draft.compartments, *draft.caveats)
    _refuse_repeats([(row.name, row.place) for row in categories], "duplicate-category", "category")
    for row in draft.rows:
        # One that ends in `/` makes `///` of what ends it.
        if "//" in f"{row.marking}/":
            message = f"`{row.marking}` holds `//`, which ends a level in the marking text, or ends in `/`"
            row.place.fault("bad-marking", message)
    for category in categories:
        _check_category_name(category)


def _check_category_name(category: CategoryRow) -> None:
    if _CATEGORY_NAME.fullmatch(category.name) is None or f"{category.name} ".startswith("REL TO "):
        category.place.fault("bad-category", f"`{category.name}` is no category: use upper case, and not `REL TO`")


def _check_order(draft: Draft) -> None:
    # INVARIANT: ranks are a total order without gaps; an entry dropped, moved or doubled is seen.
    for expected, row in zip(range(len(draft.rows) - 1, -1, -1), draft.rows, strict=True):
        if row.rank != expected:
            row.place.fault("wrong-order", f"`{row.name}` must have rank {expected}: highest first, down to 0")


def _check_meanings(drafts: Sequence[Draft], base: Draft) -> None:
    """Refuse a name that is a compartment here and a caveat there, or unknown to the base: joins end in the base."""
    compartments = {row.name for row in base.compartments}
    caveats = {row.name for row in base.caveats}
    for draft in drafts:
        for row in draft.compartments:
            _require_in_base(row, compartments, "compartment", base)
        for row in draft.caveats:
            _require_in_base(row, caveats, "caveat", base)


def _require_in_base(row: CategoryRow, known: set[str], kind: str, base: Draft) -> None:
    if row.name not in known:
        row.place.fault("unmapped-category", f"`{base.id}` has no {kind} `{row.name}`: add it there first")


def _check_equivalence(draft: Draft, base: Draft) -> None:
    if draft is base:
        for row in draft.rows:
            if row.equivalent is not None:
                row.equivalent.place.fault("chained-map", "the base policy maps to nothing: remove `equivalent`")
        return
    if draft.rows[0].equivalent is None:
        message = f"`{draft.rows[0].name}` is the highest and needs an `equivalent`: nothing above could protect it"
        draft.rows[0].place.fault("missing-equivalent", message)
    base_ranks = {row.name: row.rank for row in base.rows}
    ceiling = len(base.rows)
    for row in draft.rows:
        if row.equivalent is not None and _names_base_level(row.equivalent, base, base_ranks):
            ceiling = _check_falls(row, base_ranks[row.equivalent.level], ceiling)


def _names_base_level(equivalent: EquivalentRow, base: Draft, base_ranks: dict[str, int]) -> bool:
    if equivalent.policy != base.id:
        message = f"maps to `{equivalent.policy}`: map to the base policy `{base.id}`, maps are never chained"
        equivalent.place.fault("chained-map", message)
        return False
    if equivalent.level not in base_ranks:
        equivalent.place.fault("unknown-level", f"`{base.id}` has no level `{equivalent.level}`: use its level names")
        return False
    return True


def _check_falls(row: LevelRow, rank: int, ceiling: int) -> int:
    # INVARIANT: strictly monotone. Two levels on one would make the lower as good as the higher.
    if rank >= ceiling:
        message = f"`{row.name}` maps as high as a level above it or higher: leave `equivalent` out, it is rounded"
        row.place.fault("not-monotone", message)
    return min(rank, ceiling)


def _refuse_repeats(names: Iterable[tuple[str, Page]], code: str, what: str) -> None:
    seen: set[str] = set()
    for name, place in names:
        if name in seen:
            place.fault(code, f"the {what} `{name}` is written twice: keep one")
        seen.add(name)
