"""Pulled parts into files: their bytes exactly, under names that cannot leave the folder."""

import fcntl
import os
import re
import tempfile
from contextlib import suppress
from pathlib import Path

from exchange.client import AnswerError, ExchangeClient
from exchange.kernel import InvalidError
from exchange.kernel.files import fault_in_words
from exchange.wire import PulledPartBody, PulledReportBody

# What every file system and shell takes without a second thought.
_UNSAFE = re.compile(r"[^A-Za-z0-9._ -]")
_LONGEST_NAME = 120
_LARGEST_NUMBER = 99_999
"""No report has so many parts, and with one before its name it is still one that every file system takes."""
_UNFINISHED = ".pulled-"


def save_parts(
    client: ExchangeClient, report: PulledReportBody, out: Path, *, force: bool, purpose: str | None
) -> dict[int, str]:
    """Write each part's bytes into `out` and return the file of each part's number.

    Raises InvalidError where a file exists (unless `force`) or `out` is one, and AnswerError where the parts are not
    numbered as parts are, before anything is written; AnswerError where bytes are not what the header's SHA-256 names:
    the file is removed again.
    """
    _require_numbers([part.number for part in report.parts])
    if out.exists() and not out.is_dir():
        raise InvalidError(f"`{out}` is a file: `--out` names a folder")
    targets = {part.number: out / name for part, name in zip(report.parts, file_names(report.parts), strict=True)}
    there = [str(path) for path in targets.values() if os.path.lexists(path)]
    if there and not force:
        raise InvalidError(f"`{there[0]}` exists already: name another `--out`, or give `--force`")
    try:
        out.mkdir(parents=True, exist_ok=True)
        _clear_killed(out)
        for part in report.parts:
            _save(client, report.id, part, targets[part.number], purpose)
    except OSError as exc:
        raise InvalidError(f"`{exc.filename or out}` cannot be written: {fault_in_words(exc)}") from exc
    return {number: str(path) for number, path in targets.items()}


def _require_numbers(numbers: list[int]) -> None:
    # Of two parts with one number the second would take the first one's file.
    if len(set(numbers)) != len(numbers) or not all(1 <= number <= _LARGEST_NUMBER for number in numbers):
        raise AnswerError(f"the answer numbers its parts as no report does: {', '.join(map(str, numbers))[:200]}")


def file_names(parts: list[PulledPartBody]) -> list[str]:
    """Return a file name for each part: its own where that is safe and free, else with its number before."""
    names: list[str] = []
    for part in parts:
        name = safe_name(part.name)
        # Some file systems tell no upper case from lower.
        taken = {one.casefold() for one in names}
        while name.casefold() in taken:
            name = f"{part.number}-{name}"
        names.append(name)
    return names


def safe_name(name: str) -> str:
    """Return `name` as one that names a file in the folder it is put into and nothing else."""
    last = name.replace("\\", "/").rpartition("/")[2]
    cleaned = _UNSAFE.sub("_", last).strip(" .")[-_LONGEST_NAME:]
    # One with `-` before it, cut off so or sent so, is an option to whatever command is given all files of the folder.
    return cleaned.lstrip(". -") or "part"


def _save(client: ExchangeClient, report_id: str, part: PulledPartBody, target: Path, purpose: str | None) -> None:
    # Written beside its place and renamed: whoever finds the file finds all of it, checked. Under a name of its own:
    # another one may pull the same. What was classified on the way is nobody else's on this machine.
    handle, name = tempfile.mkstemp(prefix=_UNFINISHED, dir=target.parent)
    unfinished = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            fcntl.flock(handle, fcntl.LOCK_EX)
            file.writelines(client.content(report_id, part, purpose=purpose))
            file.flush()
            unfinished.replace(target)
    finally:
        unfinished.unlink(missing_ok=True)


def _clear_killed(out: Path) -> None:
    """Remove what one that was killed left of a part: whoever still writes one holds it."""
    for unfinished in out.glob(f"{_UNFINISHED}*"):
        with suppress(OSError):
            handle = os.open(unfinished, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
            try:
                # One that is empty was made just now, and will be held.
                if os.fstat(handle).st_size:
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    unfinished.unlink()
            finally:
                os.close(handle)
