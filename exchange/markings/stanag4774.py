"""STANAG 4774 XML: a label as `originatorConfidentialityLabel`, and back.

Compartments and handling caveats are RESTRICTIVE categories: a guard elsewhere that does not know one must refuse,
which INFORMATIVE would not make it do. Releasability is PERMISSIVE. Our empty `releasable_to` means the originator
alone; there, a missing permissive category means anybody, so it is written with the originator in it. Read the other
way, a missing category becomes the empty `releasable_to`: narrower than it was meant, never wider. So does the one
member that stands beside NOFORN: it is the originator, which is what NOFORN means here.
Reads what it writes and no more: other elements, attributes, comments and sections are refused, since what is not
understood may restrict.
"""

import re
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from html import escape
from typing import TYPE_CHECKING

from defusedxml.ElementTree import ParseError, fromstring

from exchange.kernel.clock import parse_rfc3339, rfc3339
from exchange.kernel.errors import MalformedError
from exchange.markings.catalogue import Catalogue
from exchange.markings.families import NO_FOREIGNERS
from exchange.markings.label import Label
from exchange.markings.policy import UnknownMarkingError, is_member_code
from exchange.markings.quoting import quoted
from exchange.markings.text import MarkingFormatError

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

NAMESPACE = "urn:nato:stanag:4774:confidentialitymetadatalabel:1:0"

_COMPARTMENTS = ("Special Category Designators", "RESTRICTIVE")
_RELEASABLE = ("Releasable To", "PERMISSIVE")
_HANDLING = ("Handling", "RESTRICTIVE")
_CATEGORIES = (_COMPARTMENTS, _RELEASABLE, _HANDLING)
# XML 1.0 §2.8: XMLDecl, with the one encoding that is read here (§4.3.3: in any case of letters).
_DECLARATION = re.compile(
    r"""<\?xml\s+version=(["'])1\.0\1(?:\s+encoding=(["'])[Uu][Tt][Ff]-8\2)?(?:\s+standalone=(["'])(?:yes|no)\3)?\s*\?>""",
    re.ASCII,
)
# XML 1.0 §2.3: what else is blank to Python is text.
_SPACE = " \t\r\n"
# A label with every member and category there is takes a tenth of it.
_LARGEST_BYTES = 65_536


def to_stanag4774(label: Label, catalogue: Catalogue, *, created_at: datetime, originator: str | None = None) -> bytes:
    """Return `label` as UTF-8 XML. `originator` is needed where `releasable_to` is empty, and used only there.

    Raises UnknownMarkingError for a label that is not known, MarkingFormatError where the originator is wanting.
    """
    audience = label.releasable_to
    if not audience:
        if originator is None:
            raise MarkingFormatError("an empty `releasable_to` means the originator alone: say who the originator is")
        audience = (originator,)
    # The audience by itself: what is written of the originator contradicts no caveat.
    if faults := (*catalogue.check(label), *catalogue.check(replace(label, releasable_to=audience, handling=()))):
        raise UnknownMarkingError(tuple(dict.fromkeys(faults)))
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        f'<slab:originatorConfidentialityLabel xmlns:slab="{NAMESPACE}">',
        "  <slab:ConfidentialityInformation>",
        f"    <slab:PolicyIdentifier>{escape(label.policy)}</slab:PolicyIdentifier>",
        f"    <slab:Classification>{escape(label.classification)}</slab:Classification>",
        *_category_lines(_COMPARTMENTS, label.compartments),
        *_category_lines(_RELEASABLE, audience),
        *_category_lines(_HANDLING, label.handling),
        "  </slab:ConfidentialityInformation>",
        f"  <slab:CreationDateTime>{rfc3339(created_at)}</slab:CreationDateTime>",
        "</slab:originatorConfidentialityLabel>",
    ]
    return "\n".join([*lines, ""]).encode()


def from_stanag4774(xml: bytes, catalogue: Catalogue) -> Label:
    """Return the label in `xml`.

    Raises MarkingFormatError where it is not written as `to_stanag4774` writes (space between elements aside),
    UnknownMarkingError where the catalogue does not know it whole.
    """
    root = _read_root(xml)
    information, *created = _children(root, ("ConfidentialityInformation",), ("CreationDateTime",))
    _read_moments(created)
    policy, classification, *categories = _children(information, ("PolicyIdentifier", "Classification"), ("Category",))
    values = _read_categories(categories)
    audience, handling = values.get(_RELEASABLE, ()), values.get(_HANDLING, ())
    if NO_FOREIGNERS in handling and len(audience) == 1 and is_member_code(audience[0]):
        audience = ()
    label = Label(
        policy=_leaf(policy),
        classification=_leaf(classification),
        compartments=values.get(_COMPARTMENTS, ()),
        releasable_to=audience,
        handling=handling,
    )
    if faults := catalogue.check(label):
        raise UnknownMarkingError(faults)
    return label


def _category_lines(category: tuple[str, str], values: Iterable[str]) -> list[str]:
    tag_name, kind = category
    # Categories and member codes have no character that XML escapes; soundness and the catalogue saw to it.
    entries = [f"      <slab:GenericValue>{value}</slab:GenericValue>" for value in values]
    opening = f'    <slab:Category TagName="{tag_name}" Type="{kind}">'
    return [opening, *entries, "    </slab:Category>"] if entries else []


def _read_root(xml: bytes) -> "Element":
    if len(xml) > _LARGEST_BYTES:
        raise MarkingFormatError(f"a label of {len(xml)} bytes: send at most {_LARGEST_BYTES}")
    try:
        text = xml.decode()
    except UnicodeDecodeError as exc:
        raise MarkingFormatError(f"the label is not UTF-8: {exc.reason}") from exc
    declaration, content = _parted(text)
    # Comments, sections and instructions can split a value in two that another reader sees as one.
    if "<!" in text or "<?" in content:
        raise MarkingFormatError("the label holds a comment, a section or an instruction: send elements only")
    # A reader that goes by another encoding sees other elements in the same bytes.
    if declaration is not None and _DECLARATION.fullmatch(declaration) is None:
        raise MarkingFormatError('the declaration is not understood: write `<?xml version="1.0" encoding="UTF-8"?>`')
    try:
        root: Element = fromstring(text, forbid_dtd=True)
    except ParseError as exc:
        raise MarkingFormatError(f"the label is not XML: {exc}") from exc
    if root.tag != _tag("originatorConfidentialityLabel"):
        message = f"{_name(root)} is no label: send an `originatorConfidentialityLabel` of `{NAMESPACE}`"
        raise MarkingFormatError(message)
    return root


def _parted(text: str) -> tuple[str | None, str]:
    """Return the XML declaration, None where there is none, and what stands behind it."""
    if not text.startswith("<?xml "):
        return None, text
    declaration, end, content = text.partition("?>")
    return declaration + end, content


def _children(parent: "Element", required: tuple[str, ...], more: tuple[str, ...]) -> list["Element"]:
    """Return the children of `parent`: the required ones in order, then any of `more`; nothing else in it."""
    if parent.attrib:
        raise MarkingFormatError(f"{_name(parent)} has an attribute: none is understood there")
    children = list(parent)
    tags = [child.tag for child in children]
    head = [_tag(name) for name in required]
    allowed = {_tag(name) for name in more}
    if tags[: len(head)] != head or not set(tags[len(head) :]) <= allowed:
        order = ", ".join(f"`{name}`" for name in (*required, *more))
        raise MarkingFormatError(f"{_name(parent)} has the wrong elements: write {order}, in this order")
    _refuse_stray_text(parent)
    return children


def _refuse_stray_text(parent: "Element") -> None:
    if any(text is not None and text.strip(_SPACE) for text in (parent.text, *(child.tail for child in parent))):
        raise MarkingFormatError(f"{_name(parent)} has text between its elements: remove it")


def _leaf(element: "Element") -> str:
    if element.attrib or len(element) > 0 or not element.text:
        raise MarkingFormatError(f"{_name(element)} must hold text and nothing else")
    return element.text


def _read_moments(created: list["Element"]) -> None:
    if len(created) > 1:
        raise MarkingFormatError("`CreationDateTime` is written twice: keep one")
    for element in created:
        try:
            parse_rfc3339(_leaf(element))
        except MalformedError as exc:
            raise MarkingFormatError(f"{_name(element)}: {exc}") from exc


def _read_categories(elements: list["Element"]) -> dict[tuple[str, str], tuple[str, ...]]:
    found: dict[tuple[str, str], tuple[str, ...]] = {}
    for element in elements:
        category = (element.attrib.get("TagName", ""), element.attrib.get("Type", ""))
        if len(element.attrib) != len(category) or category not in _CATEGORIES:
            choice = ", ".join(f"`{name}` ({kind})" for name, kind in _CATEGORIES)
            raise MarkingFormatError(f"the category {quoted(' '.join(category))} is not known: use {choice}")
        if category in found:
            raise MarkingFormatError(f"the category `{category[0]}` is written twice: keep one")
        found[category] = _read_values(element)
    return found


def _read_values(category: "Element") -> tuple[str, ...]:
    entries = list(category)
    if not entries or any(entry.tag != _tag("GenericValue") for entry in entries):
        raise MarkingFormatError("a category holds `GenericValue` elements, at least one, and nothing else")
    _refuse_stray_text(category)
    values = [_leaf(entry) for entry in entries]
    if len(set(values)) != len(values):
        raise MarkingFormatError("a category names a value twice: keep one")
    return tuple(sorted(values))


def _tag(name: str) -> str:
    return f"{{{NAMESPACE}}}{name}"


def _name(element: "Element") -> str:
    return quoted(element.tag.rpartition("}")[2])
