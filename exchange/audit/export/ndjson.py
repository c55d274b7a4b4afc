"""NDJSON: a JSON object a line, with the entry's canonical bytes in it unchanged, so that every leaf can be checked.

`entry` is the last member of its line: its bytes run from behind `"entry":` to the brace that closes the line. Before
it stand `log`, `position`, `leaf` (base64), and where there are any `proof` (base64 each) and `personal`; where the
entry is not shown whole, `extent` says how much of it is.
The last line is `{"complete": {...}}`.
"""

import base64
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NoReturn

import orjson

from exchange.audit.entry import parse_entry
from exchange.audit.export.exported import NO_PERSONAL, WHOLE, ExportedEntry, Place, Statement
from exchange.audit.merkle import HASH_BYTES, hash_leaf
from exchange.audit.shape import Entry, checked_view
from exchange.audit.strict_text import base64_text
from exchange.kernel import MalformedError

# No string holds this: a quotation mark inside one is escaped.
_ENTRY_MARK = b',"entry":'
_COMPLETE_MARK = b'{"complete":'

_HEAD_NAMES = frozenset({"log", "position", "leaf", "proof", "personal", "extent"})

_INCOMPLETE = "the last line of the export says not that it is complete"


def entry_line(exported: ExportedEntry) -> bytes:
    """Return the line of one entry."""
    log, position = exported.place
    fields: dict[str, object] = {"log": log, "position": position, "leaf": base64_text(exported.leaf)}
    if exported.proof:
        fields["proof"] = [base64_text(node) for node in exported.proof]
    if exported.personal:
        fields["personal"] = dict(exported.personal)
    if exported.content is None:
        fields["extent"] = exported.extent
    content = orjson.dumps(exported.entry) if exported.content is None else exported.content
    return b"%b%b%b}\n" % (orjson.dumps(fields)[:-1], _ENTRY_MARK, content)


def whole_line(log: int, position: int, leaf: bytes, content: bytes) -> bytes:
    """Return the line of one entry whose bytes nobody needs to look into."""
    return b'{"log":%d,"position":%d,"leaf":"%b","entry":%b}\n' % (log, position, base64.b64encode(leaf), content)


def statement_line(statement: Statement) -> bytes:
    """Return the last line."""
    return orjson.dumps({"complete": statement.as_json()}) + b"\n"


def place_in(line: bytes) -> Place | None:
    """Return the place in a whole line of an export, None for its last."""
    read = read_line(line)
    return read.place if isinstance(read, ExportedEntry) else None


def read_line(line: bytes) -> ExportedEntry | Statement:
    """Return what a line says. Raises MalformedError for what no export of ours has written."""
    return read_statement(line) if line.startswith(_COMPLETE_MARK) else read_entry(line)


def read_entry(line: bytes) -> ExportedEntry:
    """Return the entry in a line, whose leaf hash was compared with its bytes where they are all there.

    Raises MalformedError where it is not canonical, not the bytes of its leaf hash, or no line of an export.
    """
    fields, rest = _parted(line)
    place, leaf = _placed(fields)
    try:
        proof = tuple(map(_unbase64, fields.get("proof", ())))
        extent, personal = fields.get("extent", WHOLE), fields.get("personal", NO_PERSONAL)
    except (TypeError, ValueError) as exc:
        raise MalformedError(f"a line of the export cannot be read: {exc}") from exc
    if not (isinstance(extent, str) and _are_texts(personal)):
        _refuse("its extent or its personal data is none")
    content = rest if extent == WHOLE else None
    entry = _shown(rest) if content is None else _checked(content, leaf)
    return ExportedEntry(place, leaf, entry, content, extent, proof, personal)


def read_head(line: bytes) -> tuple[Place, bytes, bytes | None]:
    """Return place, leaf hash and bytes in a line, none of it compared; no bytes where they are not all there.

    Raises MalformedError for what is no line of an export.
    """
    fields, rest = _parted(line)
    return (*_placed(fields), rest if fields.get("extent", WHOLE) == WHOLE else None)


def has_personal(line: bytes) -> bool:
    """Return whether personal data stands in the clear beside the entry in a line, which no hash covers."""
    return b',"personal":{' in line.partition(_ENTRY_MARK)[0]


def read_statement(line: bytes) -> Statement:
    """Return what the last line of an export says; raises MalformedError for any other."""
    try:
        statement = Statement(**orjson.loads(line)["complete"])
    except (orjson.JSONDecodeError, KeyError, TypeError) as exc:
        raise MalformedError(_INCOMPLETE) from exc
    texts = (statement.after, statement.first, statement.last, statement.checkpoint)
    is_told = isinstance(statement.at, str) and isinstance(statement.end, str) and type(statement.count) is int
    is_listed = isinstance(statement.earlier, list | tuple) and all(isinstance(each, str) for each in statement.earlier)
    if not (is_told and is_listed) or not all(isinstance(each, str | None) for each in texts):
        raise MalformedError(_INCOMPLETE)
    return replace(statement, earlier=tuple(statement.earlier))


def check_spelling(line: bytes) -> None:
    """Raise MalformedError where `line` says more than an export writes, or is not how one spells it.

    Two readers of a name that stands twice find two values, and a field that nobody knows is covered by no hash: a file
    that somebody brings shows nothing but what is verified in it.
    """
    line = line.rstrip(b"\n")
    if line.startswith(_COMPLETE_MARK):
        is_spelt = statement_line(read_statement(line)) == line + b"\n"
    else:
        fields, rest = _parted(line)
        is_spelt = (
            line == orjson.dumps(fields)[:-1] + _ENTRY_MARK + rest + b"}"
            and fields.keys() <= _HEAD_NAMES
            and _are_canonical(fields)
            and (fields.get("extent", WHOLE) == WHOLE or rest == orjson.dumps(_shown(rest)))
        )
    if not is_spelt:
        _refuse("it says more than an export writes, or in another way")


def _are_canonical(fields: Mapping[str, Any]) -> bool:
    try:
        return all(base64_text(_unbase64(each)) == each for each in (fields["leaf"], *fields.get("proof", ())))
    except (KeyError, TypeError, ValueError):
        return False


def _parted(line: bytes) -> tuple[dict[str, Any], bytes]:
    head, _, rest = line.rstrip(b"\n").partition(_ENTRY_MARK)
    if not rest.endswith(b"}"):
        _refuse("it holds no entry")
    try:
        fields = orjson.loads(head + b"}")
    except orjson.JSONDecodeError as exc:
        raise MalformedError(f"a line of the export cannot be read: {exc}") from exc
    return fields, rest[:-1]


def _placed(fields: dict[str, Any]) -> tuple[Place, bytes]:
    try:
        place, leaf = Place(fields["log"], fields["position"]), _unbase64(fields["leaf"])
    except (KeyError, TypeError, ValueError) as exc:
        raise MalformedError(f"a line of the export cannot be read: {exc}") from exc
    if not all(type(number) is int and number >= 0 for number in place):
        _refuse("its place is none")
    return place, leaf


def _checked(content: bytes, leaf: bytes) -> Entry:
    if hash_leaf(content) != leaf:
        _refuse("its bytes are not those of its leaf hash")
    return parse_entry(content)


def _shown(content: bytes) -> Entry:
    try:
        return checked_view(orjson.loads(content))
    except orjson.JSONDecodeError as exc:
        raise MalformedError(f"a line of the export cannot be read: {exc}") from exc


def _are_texts(personal: object) -> bool:
    return isinstance(personal, Mapping) and all(isinstance(value, str) for value in personal.values())


def _unbase64(text: str) -> bytes:
    content = base64.b64decode(text, validate=True)
    if len(content) != HASH_BYTES:
        _refuse("a hash in it has not 32 bytes")
    return content


def _refuse(why: str) -> NoReturn:
    raise MalformedError(f"a line of the export is damaged: {why}")
