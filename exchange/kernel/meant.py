"""Which word of a list somebody meant who wrote another one."""

from collections.abc import Collection
from difflib import get_close_matches

MOST_MEANT = 3
# Comparing costs the product of both lengths; a word of ours is shorter.
_LONGEST_WORD = 64


def meant(written: str, words: Collection[str]) -> str:
    """Return `is `a` or `b` meant? ` with the words nearest to `written`, empty where none is near.

    `words` may be known to whoever wrote it: they are told.
    """
    word = written[:_LONGEST_WORD]
    same = [each for each in sorted(words) if each.casefold() == word.casefold()]
    near = same or get_close_matches(word, sorted(words), n=MOST_MEANT)
    return f"is {' or '.join(f'`{each}`' for each in near)} meant? " if near else ""
