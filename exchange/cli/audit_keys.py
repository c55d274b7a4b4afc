"""What an auditor names on the command line: public keys, checkpoints, the file of what was verified before."""

import json
from collections.abc import Sequence
from pathlib import Path

from exchange.audit import LogPolicy, VerifierKey, checkpoint_in, parse_log_policy, parse_verifier_key
from exchange.audit.verify import KnownCheckpoint, Verification
from exchange.cli.instance import read_bytes
from exchange.cli.usage import UsageError
from exchange.kernel import InvalidError, MalformedError
from exchange.kernel.files import fault_in_words, keep_file

_PEM = "-----BEGIN"

_SHARED = 0o666
"""What was verified is no secret: others may read it as far as the caller's mask lets them."""


def log_keys_of(given: list[str]) -> tuple[VerifierKey, ...]:
    """Return the keys that are named: each `<name>+<id>+<base64>` itself, or a file with one such key a line.

    Raises InvalidError for anything else; lines that begin with `#` are passed over.
    """
    keys: list[VerifierKey] = []
    for one in given:
        keys += [_key(line, one) for line in _lines(one)]
    return tuple(dict.fromkeys(keys))


def keys_in_use(keys: Sequence[VerifierKey]) -> tuple[VerifierKey, ...]:
    """Return the keys of one log: where a recovered one has keys of its own, those of the log that is named last.

    Not those of whichever log is shown: who keeps the keys of both would be shown the one that ended.
    """
    return tuple(key for key in keys if key.name == keys[-1].name)


def ended_origins(keys: Sequence[VerifierKey]) -> tuple[str, ...]:
    """Return the names of the logs that a recovery ended, the first one first, as far as their keys are here."""
    return tuple(dict.fromkeys(key.name for key in keys if key.name != keys[-1].name))


def origin_of(note: bytes) -> str:
    """Return whose checkpoint this is; the empty text for what is none."""
    try:
        return checkpoint_in(note).origin
    except MalformedError:
        return ""


def apart(given: list[str] | None) -> tuple[list[str], Path | None]:
    """Return public keys and the private key among what `--key` named: a PEM file is the caller's own key for TLS."""
    private = [one for one in given or [] if _is_pem(one)]
    if len(private) > 1:
        raise UsageError("`--key` names two private keys: one goes with your certificate")
    return [one for one in given or [] if one not in private], Path(private[0]) if private else None


def known_checkpoints(files: list[Path]) -> tuple[KnownCheckpoint, ...]:
    """Return the checkpoints in files: what witnesses and other members hold."""
    return tuple(KnownCheckpoint(read_bytes(path), f"`{path}`") for path in files)


def read_policy(path: Path | None) -> LogPolicy | None:
    """Return the trust policy in a file, None where none is named. Raises InvalidError for what is none."""
    try:
        return None if path is None else parse_log_policy(read_bytes(path))
    except MalformedError as exc:
        raise InvalidError(f"`{path}`: {exc.message}") from exc


def read_state(path: Path | None) -> tuple[KnownCheckpoint, ...]:
    """Return what was verified last time; nothing where there is no file yet. Raises InvalidError for another file."""
    if path is None or not path.exists():
        return ()
    try:
        state = json.loads(read_bytes(path))
        notes = [state["checkpoint"].encode(), *(each.encode() for each in state.get("ended", []))]
        return tuple(KnownCheckpoint(note, f"the last verification, in `{path}`") for note in notes)
    except (ValueError, KeyError, TypeError, AttributeError) as exc:
        raise InvalidError(f"`{path}` is no state of an earlier verification: name another file") from exc


def write_state(path: Path, verified: Sequence[Verification], verified_at: str) -> None:
    """Keep what was verified for the next time, the log in use last; called only where nothing was found.

    Of logs that a recovery ended what was kept before stays, where they were not looked at this time.
    """
    verification = verified[-1]
    if verification.checkpoint is None or verification.root is None:
        return
    looked_at = [each.checkpoint for each in verified[:-1] if each.checkpoint is not None]
    names = {each.origin for each in verified}
    kept = [each.note for each in read_state(path) if origin_of(each.note) not in names]
    state: dict[str, object] = {
        "origin": verification.origin,
        "size": verification.size,
        "root": verification.root.hex(),
        "verified_at": verified_at,
        "checkpoint": verification.checkpoint.decode(),
    }
    if ended := [note.decode() for note in (*kept, *looked_at)]:
        state["ended"] = ended
    try:
        keep_file(path, json.dumps(state, indent=1).encode() + b"\n", mode=_SHARED)
    except OSError as exc:
        raise InvalidError(f"`{path}` cannot be written: {fault_in_words(exc)}") from exc


def _lines(named: str) -> list[str]:
    if "+" in named and not Path(named).is_file():
        return [named]
    text = read_bytes(Path(named)).decode(errors="replace")
    lines = [line.strip() for line in text.splitlines()]
    found = [line for line in lines if line and not line.startswith("#")]
    if not found:
        raise InvalidError(f"`{named}` holds no key: write one `<name>+<id>+<base64>` a line")
    return found


def _key(line: str, named: str) -> VerifierKey:
    try:
        return parse_verifier_key(line)
    except MalformedError as exc:
        raise InvalidError(f"`{named[:80]}`: {exc.message}") from exc


def _is_pem(named: str) -> bool:
    path = Path(named)
    return "+" not in named and path.is_file() and read_bytes(path).lstrip().startswith(_PEM.encode())
