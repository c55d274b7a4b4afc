"""Signed notes (C2SP signed-note): a text, a blank line, and one line per signature.

Does not: verify; the text means nothing until `verify_note` has found it signed by a known key.
"""

import re
from dataclasses import dataclass
from typing import Final

from exchange.audit.strict_text import base64_text, parse_base64
from exchange.kernel import MalformedError

# C2SP signed-note wants a limit, of 16 signatures or more. Many members may cosign; each signature of a
# known key costs a verification.
MOST_SIGNATURES: Final = 100

# All of these signatures at 3.5 KB (ML-DSA-44 in base64, with a name), and a text.
LARGEST_NOTE_BYTES: Final = 512 * 1024

KEY_ID_BYTES: Final = 4

# Spaces of any alphabet, the plus that parts a verifier key, control characters, and what UTF-8 cannot hold.
_UNNAMEABLE = re.compile("[\\s+\0-\x1f\ud800-\udfff]")

_DASH = "\u2014 "


@dataclass(frozen=True, slots=True)
class NoteSignature:
    """One signature line: whose it says it is, the 4 bytes of the key's id, and the signature as made."""

    name: str
    key_id: bytes
    signature: bytes

    @property
    def line(self) -> str:
        """The line as it stands in a note, with its newline."""
        return f"{_DASH}{self.name} {base64_text(self.key_id + self.signature)}\n"


@dataclass(frozen=True, slots=True)
class SignedNote:
    """A note as it was read. `text` ends in a newline. INVARIANT: not believed until verified."""

    text: str
    signatures: tuple[NoteSignature, ...]

    def render(self) -> bytes:
        """Return the note's bytes. Raises MalformedError for what no reader would take."""
        content = "".join([self.text, "\n", *(each.line for each in self.signatures)]).encode(errors="surrogatepass")
        if parse_note(content) != self:
            raise MalformedError("the note would be read as another one: its text or a name holds what it must not")
        return content

    def with_signatures(self, *more: NoteSignature) -> "SignedNote":
        """Return the same note with more signatures at its end."""
        return SignedNote(self.text, self.signatures + more)


def parse_note(content: bytes) -> SignedNote:
    """Return the note that `content` spells.

    Raises MalformedError for control characters (CR included), what is not UTF-8, no blank line before the
    signatures, no signature, a signature line in another form, and more than the limits allow.
    """
    # (1) It is text of a bearable size: UTF-8, no control character below U+0020 but the newline.
    if len(content) > LARGEST_NOTE_BYTES:
        raise MalformedError(f"note has {len(content)} bytes: at most {LARGEST_NOTE_BYTES} are read")
    try:
        note = content.decode()
    except UnicodeDecodeError as exc:
        raise MalformedError(f"note is not UTF-8: {exc.reason} at byte {exc.start}") from exc
    if any(letter < " " and letter != "\n" for letter in note):
        raise MalformedError("note holds a control character other than the newline")
    # (2) The last blank line parts text and signatures; (3) each ends in a newline.
    text, blank, lines = note.rpartition("\n\n")
    if not blank or not lines.endswith("\n"):
        raise MalformedError("note has no blank line followed by signature lines")
    # (4) Every line after it is a signature.
    each_line = lines[:-1].split("\n")
    if len(each_line) > MOST_SIGNATURES:
        raise MalformedError(f"note has {len(each_line)} signatures: at most {MOST_SIGNATURES} are read")
    return SignedNote(f"{text}\n", tuple(parse_signature_line(line) for line in each_line))


def parse_signature_line(line: str) -> NoteSignature:
    """Return the signature that a line (without its newline) spells. Raises MalformedError for another form."""
    name, space, encoded = line.removeprefix(_DASH).partition(" ")
    if not line.startswith(_DASH) or not space:
        raise MalformedError(f"`{line[:80]}` is no signature line: write `— <name> <base64>`")
    check_key_name(name)
    content = parse_base64(encoded, f"signature of `{name[:80]}`")
    if len(content) <= KEY_ID_BYTES:
        raise MalformedError(f"signature of `{name[:80]}` has {len(content)} bytes: nothing after the key id")
    return NoteSignature(name, content[:KEY_ID_BYTES], content[KEY_ID_BYTES:])


def check_key_name(name: str) -> None:
    """Check that `name` may name a key: not empty, no space of any kind, no plus, UTF-8. Raises MalformedError."""
    if not name or _UNNAMEABLE.search(name) is not None:
        raise MalformedError(f"{name[:80]!r} cannot name a key: it is empty, or has a space, a plus or worse")
