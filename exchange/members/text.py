"""Text that names something: one spelling only, nothing invisible, nothing that reorders the line.

Attack 26 is why: two strings that look alike must not become two identities.
"""

import re
import unicodedata

from exchange.kernel.unseen import UNSEEN

# Control, format (bidirectional overrides, zero-width), surrogate, private use, unassigned, separators of lines.
HIDDEN_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
# What one keyboard writes for another one's hyphen and apostrophe: dashes of every length, quotes of every form.
_HYPHENS = re.compile("[\u058a\u05be\u1400\u1806\u2010-\u2015\u2212\u2e17\u2e3a\u2e3b\u2e40\u30a0]")
_APOSTROPHES = re.compile("[`\u02b9\u02bb-\u02bd\u02c8\u02ca\u02cb\u05f3\u2018\u2019\u201b\u2032\u2035\ua78c]")
# A Bengali four shows as an eight.
_FOREIGN_DIGIT = re.compile(r"(?![0-9])\d")


def text_problem(text: str, *, longest: int) -> str | None:
    """Return what is wrong with `text` as a title or a subject, or None.

    `longest` counts characters. Wanted: Unicode normal form C, no blanks around, no other blank
    than the space, no control, format, private-use or unassigned characters.
    """
    if not text:
        return "is empty"
    if len(text) > longest:
        return f"has {len(text)} characters: at most {longest}"
    # What is printable in ASCII has neither; most texts are.
    for position, character in enumerate("" if text.isascii() and text.isprintable() else text):
        category = unicodedata.category(character)
        if category in HIDDEN_CATEGORIES or (category == "Zs" and character != " "):
            return f"has the character U+{ord(character):04X} at position {position + 1}: leave it out"
    if text != text.strip(" "):
        return "has blanks around it: leave them out"
    if not unicodedata.is_normalized("NFC", text):
        return "is not in Unicode normal form C: normalise it"
    return None


def name_problem(text: str, *, longest: int) -> str | None:
    """Return what is wrong with `text` as the name of someone, or None.

    Beyond `text_problem`: nothing that shows as nothing, no compatibility forms (full-width letters, ligatures), no
    doubled space, no digit but 0 to 9, and letters of one script only, so that no Cyrillic letter can stand for a Latin
    one.
    """
    if (problem := text_problem(text, longest=longest)) is not None:
        return problem
    if (unseen := UNSEEN.search(text)) is not None:
        return f"has the character U+{ord(unseen[0]):04X} at position {unseen.start() + 1}: leave it out"
    if not unicodedata.is_normalized("NFKC", text):
        return "has compatibility characters: write the plain ones"
    if (digit := _FOREIGN_DIGIT.search(text)) is not None:
        return f"has the digit U+{ord(digit[0]):04X} at position {digit.start() + 1}: write 0 to 9"
    if "  " in text:
        return "has two spaces in a row: write one"
    scripts = sorted({unicodedata.name(letter, "UNNAMED").split()[0] for letter in text if letter.isalpha()})
    if len(scripts) > 1:
        return f"mixes letters of {' and '.join(scripts)}: use one script"
    return None


def identity_key(text: str) -> str:
    """Return the form under which two names count as one (case folded, compatibility-normalised, all of it seen).

    So do a hyphen and a dash, an apostrophe and a quote, and the Turkish letters that are an I where all are capitals.
    """
    folded = UNSEEN.sub("", unicodedata.normalize("NFKC", text).casefold())
    plain = unicodedata.normalize("NFKC", folded.replace("i\u0307", "i").replace("\u0131", "i"))
    return " ".join(_APOSTROPHES.sub("'", _HYPHENS.sub("-", plain)).split())
