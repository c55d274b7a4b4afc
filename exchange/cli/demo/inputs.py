"""What the demo exchanges: any files, each posted as what it is, whatever its name says.

A file that is not what its name promises goes as bytes; a caveat that a bundle bears goes into the report's marking,
since the exchange takes it no other way; files that are large together are sent part by part.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from exchange.cli.posting import (
    BYTES,
    LARGEST_LOOKED_INTO,
    LARGEST_WHOLE_BYTES,
    checked_body,
    declared_parts_of,
    guess_media_type,
    label_of,
    law_catalogue,
    part_of,
)
from exchange.cli.pulling import safe_name
from exchange.client import ExchangeClient
from exchange.kernel import InvalidError
from exchange.kernel.files import fault_in_words
from exchange.markings.families import strictest
from exchange.reports import Reading, content_fault, is_read_whole, name_fault
from exchange.wire import HeaderBody, PartBody

_RELEASABLE = "//REL TO "


@dataclass(frozen=True, slots=True)
class Input:
    """A file as it was when the demo began."""

    path: Path
    content: bytes

    @property
    def media_type(self) -> str:
        """Return what the content is: what its name says where that is so, else bytes."""
        guessed = guess_media_type(self.path.name, self.content)
        is_beyond = is_read_whole(guessed) and len(self.content) > LARGEST_LOOKED_INTO
        return BYTES if is_beyond or content_fault(guessed, self.content) is not None else guessed


def read_inputs(paths: Sequence[Path]) -> dict[str, Input]:
    """Return the files by the names of their parts; InvalidError for one that cannot be read, or is empty."""
    inputs: dict[str, Input] = {}
    for path in paths:
        try:
            content = path.read_bytes()
        except OSError as exc:
            raise InvalidError(f"input `{path}` cannot be read: {fault_in_words(exc)}") from exc
        if not content:
            raise InvalidError(f"input `{path}` is empty: there would be nothing to exchange")
        inputs[_part_name(path, inputs)] = Input(path, content)
    return inputs


def post_inputs(
    client: ExchangeClient, inputs: Mapping[str, Input], marking: str, fields: Mapping[str, object]
) -> HeaderBody:
    """Post the inputs as the parts of one report under `marking`, and return its header."""
    size = sum(len(each.content) for each in inputs.values())
    body = {**fields, "label": label_of(marking, law_catalogue())}
    if size <= LARGEST_WHOLE_BYTES:
        parts = [part_of(name, each.content, media_type=each.media_type) for name, each in inputs.items()]
        return client.post_report(checked_body({**body, "parts": parts}))
    declared = [_declared(name, each) for name, each in inputs.items()]
    files = [each.path for each in inputs.values()]
    return client.uploads.post_files(checked_body({**body, "complete": False, "parts": declared}), files)


def marked(marking: str, inputs: Mapping[str, Input]) -> str:
    """Return `marking` with the strictest TLP caveat that a bundle among the inputs bears."""
    looked = (Reading().look(each.media_type, each.content).borne for each in inputs.values())
    borne = strictest((found,) for found in looked if found is not None)
    return marking.replace(_RELEASABLE, f"//{borne[0]}/{_RELEASABLE.removeprefix('//')}") if borne else marking


def _part_name(path: Path, taken: Mapping[str, Input]) -> str:
    name = safe_name(path.name)
    if name in taken or name_fault(name) is not None:
        name = f"{len(taken) + 1}_{name}"
    return name


def _declared(name: str, each: Input) -> PartBody:
    (part,) = declared_parts_of([each.path], law_catalogue(), part_markings=(), media_types=())
    return part.model_copy(update={"name": name, "media_type": each.media_type})
