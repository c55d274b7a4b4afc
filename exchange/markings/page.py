"""Strict reading of one YAML file: every value with its place, every fault kept, nothing guessed.

Works on the composed nodes, so that `NO` stays text, a key written twice is seen, and each fault has its line.
"""

import unicodedata
from collections.abc import Sequence
from datetime import date

import yaml

from exchange.kernel import MalformedError, parse_day
from exchange.kernel.errors import Fault, pointer_token
from exchange.kernel.unseen import UNSEEN
from exchange.markings.quoting import quoted

# libyaml is not in every build of the library; with it the policies are read in a third of the time.
_FAST = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_OPENING = "[{-?"
_MOST_OPENED = 10_000
"""What is nested 50,000 deep ends the process in the fast reader, without a word; a policy opens some dozens."""

_MOST_DIGITS = 9
"""What has thousands is a ValueError to `int`, and no fault with its line; a rank has two."""


class Page:
    """A node of a YAML file: what it holds, where it stands, and the list its faults go to."""

    def __init__(self, node: yaml.Node, pointer: str, faults: list[Fault], *, line: int | None = None) -> None:
        self._node = node
        self._faults = faults
        self.pointer = pointer
        self.line = node.start_mark.line + 1 if line is None else line

    def fault(self, code: str, message: str) -> None:
        """Keep a fault at this place."""
        self._faults.append(Fault(self.pointer, code, message, self.line))

    def entries(self, required: Sequence[str], optional: Sequence[str] = ()) -> dict[str, "Page"] | None:
        """Return the values under the known keys; None where a required one is missing."""
        if not isinstance(self._node, yaml.MappingNode):
            self.fault("not-a-mapping", f"write the keys {_listed(required)} here")
            return None
        found: dict[str, Page] = {}
        for key, value in self._node.value:
            name = str(key.value) if isinstance(key, yaml.ScalarNode) else "?"
            child = Page(value, f"{self.pointer}/{pointer_token(name)}", self._faults, line=key.start_mark.line + 1)
            if name in found:
                child.fault("duplicate-key", f"{quoted(name)} is written twice: keep one")
            elif name not in required and name not in optional:
                child.fault("unknown-key", f"{quoted(name)} means nothing here: use {_listed((*required, *optional))}")
            else:
                found[name] = child
        missing = [name for name in required if name not in found]
        for name in missing:
            self.fault("missing-key", f"`{name}` is missing: write it")
        return None if missing else found

    def items(self) -> list["Page"]:
        """Return the values of a list that is not empty."""
        if not isinstance(self._node, yaml.SequenceNode) or not self._node.value:
            self.fault("not-a-list", "write a list with at least one entry")
            return []
        return [Page(node, f"{self.pointer}/{index}", self._faults) for index, node in enumerate(self._node.value)]

    def text(self) -> str:
        """Return a line of text in normal form C, without stray spaces or unprintable characters; "" for a fault."""
        text = self._scalar()
        if not is_plain_line(text):
            self.fault("bad-text", "write one line of printable text in normal form C, without stray spaces")
            return ""
        return text

    def day(self) -> date:
        """Return a day written YYYY-MM-DD; the first of all days for a fault."""
        text = self._scalar()
        try:
            return parse_day(text)
        except MalformedError:
            self.fault("bad-date", f"{quoted(text)} is not a day: write it like 2021-07-01")
            return date.min

    def number(self) -> int:
        """Return a number from 0 up, in few decimal digits; -1 for a fault."""
        text = self._scalar()
        if not (text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS):
            self.fault("bad-number", f"{quoted(text)} is not a number: write decimal digits, {_MOST_DIGITS} at most")
            return -1
        return int(text)

    def _scalar(self) -> str:
        return str(self._node.value) if isinstance(self._node, yaml.ScalarNode) else ""


def open_page(name: str, text: str, faults: list[Fault]) -> Page | None:
    """Return the root of the YAML file called `name`; None, and a fault, where it is no YAML."""
    pointer = f"/{pointer_token(name)}"
    try:
        node = _composed(text)
    except RecursionError:
        faults.append(Fault(pointer, "not-yaml", "cannot be read as YAML: it is nested too deep", 1))
        return None
    except yaml.YAMLError as exc:
        mark = getattr(exc, "problem_mark", None)
        line = mark.line + 1 if mark is not None else None
        problem = getattr(exc, "problem", None) or "a character that YAML does not allow"
        faults.append(Fault(pointer, "not-yaml", f"cannot be read as YAML: {problem}", line))
        return None
    if node is None:
        faults.append(Fault(pointer, "empty-file", "holds nothing: write a security policy", 1))
        return None
    return Page(node, pointer, faults)


def _composed(text: str) -> yaml.Node | None:
    if sum(map(text.count, _OPENING)) > _MOST_OPENED:
        return yaml.compose(text, Loader=yaml.SafeLoader)
    try:
        return yaml.compose(text, Loader=_FAST)
    except yaml.YAMLError:
        # The slow one's words and lines say more.
        return yaml.compose(text, Loader=yaml.SafeLoader)


def is_plain_line(text: str) -> bool:
    """Return whether `text` is a printable line in normal form C with single inner spaces only."""
    is_seen = text.isprintable() and UNSEEN.search(text) is None
    return text != "" and is_seen and " ".join(text.split()) == text and unicodedata.is_normalized("NFC", text)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)
