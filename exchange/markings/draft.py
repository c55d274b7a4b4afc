"""Drafts: security policies as read from their files, each value with its place, before any is believed."""

from dataclasses import dataclass
from datetime import date

from exchange.kernel.errors import Fault
from exchange.markings.page import Page, open_page
from exchange.markings.policy import Source
from exchange.markings.quoting import quoted

_REQUIRED = ("policy", "title", "authority", "source", "levels", "categories")
_KINDS = ("real", "exercise")


@dataclass(frozen=True, slots=True)
class EquivalentRow:
    """`equivalent:` of one level, as written."""

    policy: str
    level: str
    source: str
    valid_from: date
    place: Page


@dataclass(frozen=True, slots=True)
class LevelRow:
    """One entry of `levels:`, as written."""

    name: str
    marking: str
    rank: int
    equivalent: EquivalentRow | None
    place: Page


@dataclass(frozen=True, slots=True)
class CategoryRow:
    """One compartment or caveat, as written."""

    name: str
    place: Page


@dataclass(frozen=True, slots=True)
class Draft:
    """One file, as written: levels highest first."""

    file: str
    id: str
    title: str
    authority: str
    is_base: bool
    source: Source
    rows: tuple[LevelRow, ...]
    compartments: tuple[CategoryRow, ...]
    caveats: tuple[CategoryRow, ...]
    place: Page


def read_draft(file: str, text: str, faults: list[Fault]) -> Draft | None:
    """Return the policy written in `text`; None, and what is wrong with it in `faults`, where it cannot be read."""
    known = len(faults)
    page = open_page(file, text, faults)
    fields = None if page is None else page.entries(_REQUIRED, ("base", "note"))
    if page is None or fields is None:
        return None
    compartments, caveats = _read_categories(fields["categories"])
    draft = Draft(
        file=file,
        id=fields["policy"].text(),
        title=fields["title"].text(),
        authority=fields["authority"].text(),
        is_base="base" in fields and _read_choice(fields["base"], ("true", "false")) == "true",
        source=_read_source(fields["source"]),
        rows=tuple(row for place in fields["levels"].items() if (row := _read_level(place)) is not None),
        compartments=compartments,
        caveats=caveats,
        place=page,
    )
    if "note" in fields:
        fields["note"].text()
    return draft if len(faults) == known else None


def _read_source(page: Page) -> Source:
    fields = page.entries(("citation", "in_force"))
    if fields is None:
        return Source("", date.min)
    return Source(fields["citation"].text(), fields["in_force"].day())


def _read_level(page: Page) -> LevelRow | None:
    fields = page.entries(("name", "marking", "rank"), ("equivalent",))
    if fields is None:
        return None
    return LevelRow(
        name=fields["name"].text(),
        marking=fields["marking"].text(),
        rank=fields["rank"].number(),
        equivalent=_read_equivalent(fields["equivalent"]) if "equivalent" in fields else None,
        place=page,
    )


def _read_equivalent(page: Page) -> EquivalentRow | None:
    fields = page.entries(("policy", "level", "source", "valid_from"))
    if fields is None:
        return None
    return EquivalentRow(
        policy=fields["policy"].text(),
        level=fields["level"].text(),
        source=fields["source"].text(),
        valid_from=fields["valid_from"].day(),
        place=page,
    )


def _read_categories(page: Page) -> tuple[tuple[CategoryRow, ...], tuple[CategoryRow, ...]]:
    fields = page.entries((), ("compartments", "caveats")) or {}
    compartments, caveats = (
        tuple(row for place in fields[key].items() if (row := _read_category(place)) is not None)
        if key in fields
        else ()
        for key in ("compartments", "caveats")
    )
    return compartments, caveats


def _read_category(page: Page) -> CategoryRow | None:
    fields = page.entries(("name", "kind", "meaning"))
    if fields is None:
        return None
    _read_choice(fields["kind"], _KINDS)
    fields["meaning"].text()
    return CategoryRow(fields["name"].text(), page)


def _read_choice(page: Page, choices: tuple[str, ...]) -> str:
    text = page.text()
    if text not in choices:
        page.fault("bad-choice", f"{quoted(text)} is none of " + ", ".join(f"`{choice}`" for choice in choices))
    return text
