"""The logs that a witness knows: a file of `log <verifier key>` lines, as C2SP tlog-policy writes them.

A log has a line for each of its keys; which key is the log's is for the member to find out, never for the wire.
"""

from pathlib import Path
from typing import Final

from exchange.audit import VerifierKey, parse_verifier_key
from exchange.audit.witness import WitnessedLog
from exchange.client.witness.errors import WitnessError
from exchange.kernel import MalformedError

HEADING: Final = (
    "# The logs that this witness knows: `log <verifier key>`, a line for each key of a log.\n"
    "# Compare each key with what the log's operator publishes elsewhere before you trust it.\n"
)

_COMMENT = "#"
# The word, the key, and an address that tlog-policy allows and a witness does not need.
_MOST_WORDS = 3


def keys_in(given: tuple[str, ...]) -> tuple[str, ...]:
    """Return verifier keys as a command line names them: each itself, or as `@FILE`, with one on each line."""
    keys: list[str] = []
    for text in given:
        if not text.startswith("@"):
            keys.append(text)
            continue
        try:
            keys += Path(text[1:]).read_text(encoding="utf-8").split()
        except (OSError, UnicodeDecodeError) as exc:
            raise WitnessError(f"`{text[1:]}` cannot be read: {exc}") from exc
    return tuple(keys)


def logs_text(keys: tuple[str, ...]) -> bytes:
    """Return the contents of the file for these verifier keys. Raises MalformedError for what is none."""
    return (HEADING + "".join(f"log {parse_verifier_key(key)}\n" for key in keys)).encode()


def read_logs(path: Path) -> tuple[WitnessedLog, ...]:
    """Return the logs in a file; raises WitnessError, with the line, for what is wrong in it, and for none at all."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as exc:
        raise WitnessError(f"`{path}` cannot be read: {exc}") from exc
    keys: dict[str, list[VerifierKey]] = {}
    for number, line in enumerate(lines, start=1):
        words = line.split()
        if not words or words[0].startswith(_COMMENT):
            continue
        key = _key(path, number, words)
        keys.setdefault(key.name, []).append(key)
    if not keys:
        raise WitnessError(f"`{path}` names no log: write a line `log <verifier key>` for each key of the log")
    return tuple(WitnessedLog(origin, tuple(found)) for origin, found in keys.items())


def _key(path: Path, number: int, words: list[str]) -> VerifierKey:
    if words[0] != "log" or not 1 < len(words) <= _MOST_WORDS:
        raise WitnessError(f"`{path}`, line {number}: write `log <verifier key>`")
    try:
        return parse_verifier_key(words[1])
    except MalformedError as exc:
        raise WitnessError(f"`{path}`, line {number}: {exc.message}") from exc
