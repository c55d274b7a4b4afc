"""What the service is made of: the packages of its lock, with what their installed metadata says of them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

LOCK = Path(__file__).resolve().parents[2] / "requirements.txt"
_PINNED = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==([^\s;\\]+)", re.MULTILINE)
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")
_LICENCE_CLASSIFIER = "License :: OSI Approved :: "
_LONGEST_LICENCE = 60
"""Some put the whole text of their licence where its name belongs."""


@dataclass(frozen=True, slots=True)
class Locked:
    """A package that the lock names. `licence` is what it says of itself, None where it is not installed here."""

    name: str
    version: str
    digests: tuple[str, ...]
    licence: str | None
    is_expression: bool
    """Whether the licence is an SPDX expression, as PEP 639 has it."""
    needs: tuple[str, ...]


def locked_packages() -> tuple[Locked, ...]:
    """Return every package of the lock, by name."""
    entries = re.split(r"^(?=\S)", LOCK.read_text("utf-8"), flags=re.MULTILINE)
    pinned = [(match, entry) for entry in entries if (match := _PINNED.match(entry))]
    names = {str(canonicalize_name(match[1])) for match, _ in pinned}
    return tuple(sorted((_read(match, entry, names) for match, entry in pinned), key=lambda found: found.name))


def _read(match: re.Match[str], entry: str, names: set[str]) -> Locked:
    name, digests = str(canonicalize_name(match[1])), tuple(_HASH.findall(entry))
    try:
        found = distribution(name)
    except PackageNotFoundError:
        # Of another platform: the lock is for all of them.
        return Locked(name, match[2], digests, None, is_expression=False, needs=())
    expression = _field(found, "License-Expression")
    licence = expression or _told(found)
    return Locked(name, match[2], digests, licence, expression is not None, tuple(sorted(set(_needs(found, names)))))


def _told(found: Distribution) -> str:
    classifiers = found.metadata.get_all("Classifier") or []
    named = [line.removeprefix(_LICENCE_CLASSIFIER) for line in classifiers if line.startswith(_LICENCE_CLASSIFIER)]
    short = (_field(found, "License") or "").strip()
    is_name = short and "\n" not in short and len(short) <= _LONGEST_LICENCE
    return short if is_name else " / ".join(named) or _of_its_file(found)


def _field(found: Distribution, name: str) -> str | None:
    return next(iter(found.metadata.get_all(name) or ()), None)


def _of_its_file(found: Distribution) -> str:
    texts = (found.read_text(f"licenses/{name}") or "" for name in found.metadata.get_all("License-File") or [])
    is_apache = any("Apache License" in text and "Version 2.0" in text for text in texts)
    return "Apache License 2.0" if is_apache else "not told"


def _needs(found: Distribution, names: set[str]) -> Iterator[str]:
    for line in found.requires or ():
        wish = Requirement(line)
        name = str(canonicalize_name(wish.name))
        if name in names and (wish.marker is None or wish.marker.evaluate({"extra": ""})):
            yield name
