"""The instance on this host: opened for one verb, acted on as its operator, closed again."""

import os
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Unpack

import exchange
from exchange.cli.usage import UsageError
from exchange.kernel import InvalidError, UnsafeSettingError, new_id
from exchange.kernel.files import fault_in_words, keep_file, sync_folder

if TYPE_CHECKING:
    # Imported late below: they bring the database along, which a member's verbs do without.
    from exchange.audit import EventName
    from exchange.settings import InstanceLayout, Settings
    from exchange.usecases import Call, Services
    from exchange.usecases.steps.recording import DraftFields

NOTHING_YET = b"nothing is under these keys yet\n"
"""What `InstanceLayout.unfinished_file` holds where whoever finds it may remove the keys beside it."""


@dataclass(frozen=True, slots=True)
class Host:
    """An opened instance. Whoever can read its secrets acts as its operator; every act is on the record as `host`."""

    settings: "Settings"
    services: "Services"

    @property
    def layout(self) -> "InstanceLayout":
        from exchange.settings import InstanceLayout

        return InstanceLayout(self.settings.instance_folder)

    def call(self) -> "Call":
        """Return one act of the operator at this command line, now."""
        from exchange.usecases import Call

        now = self.services.clock()
        request_id = new_id(now, self.services.randomness)
        return Call(request_id=request_id, source="host", thumbprint=None, now=now)

    async def record(self, event: "EventName", call: "Call | None" = None, **fields: Unpack["DraftFields"]) -> None:
        """Record what the operator did, durably: about this instance, unless `fields` name another subject."""
        from exchange.audit import Outcome, Subject
        from exchange.usecases.steps.recording import draft

        about: DraftFields = {"subject": Subject("instance", self.settings.node), **fields}
        await self.services.store.append(draft(call or self.call(), None, event, Outcome.PERMITTED, **about))


def folder_of(given: Path | None) -> Path:
    """Return the instance's folder: the option, or EXCHANGE_DIR."""
    if given is not None:
        return given
    from_environment = os.environ.get("EXCHANGE_DIR")
    if not from_environment:
        raise UsageError("which instance? give `--dir DIR` or set EXCHANGE_DIR")
    return Path(from_environment)


@asynccontextmanager
async def open_host(folder: Path, *, is_lasting: bool = False) -> AsyncIterator[Host]:
    """Open the instance in `folder`; raises UnsafeSettingError and UnavailableError with the mend.

    What a verb records is signed for at its end, and every second until then: one that is killed leaves little behind
    that nobody can tell from forged entries, and nothing where it `is_lasting`, for then it begins with a signature.
    """
    # Imported late: they bring the database along, which a member's verbs do without.
    from exchange.services import open_services
    from exchange.settings import load_settings
    from exchange.usecases import heartbeats

    settings = load_settings(folder)
    async with open_services(settings) as services, heartbeats(services, is_opening=is_lasting):
        yield Host(settings, services)


def may_be_in_use(layout: "InstanceLayout") -> bool:
    """Say whether something may be under the keys of what was not finished."""
    # The mark comes before any key: without one it was made itself and no more, be it whole or empty.
    return layout.roots_file.exists() and layout.unfinished_file.read_bytes() != NOTHING_YET


def policies_folder() -> Path:
    """Return the law without an instance: EXCHANGE_POLICIES_DIR, else what came with the program."""
    given = os.environ.get("EXCHANGE_POLICIES_DIR")
    return Path(given) if given else Path(exchange.__file__).resolve().parents[1] / "policies"


def unreadable(path: Path, exc: OSError) -> InvalidError:
    """Return what is said of a file that the operator named, with the cause."""
    return InvalidError(f"`{path}` cannot be read: {fault_in_words(exc)}")


def unwritable(path: Path, exc: OSError) -> UnsafeSettingError:
    """Return what is said of a file that cannot be written, with the cause."""
    return UnsafeSettingError(f"`{path}` cannot be written: {fault_in_words(exc)}")


def read_bytes(path: Path) -> bytes:
    """Return the bytes of a file that the operator named; raises InvalidError with the cause."""
    try:
        return path.read_bytes()
    except OSError as exc:
        raise unreadable(path, exc) from exc


def read_text(path: Path) -> str:
    """Return the text of a file that the operator named; raises InvalidError with the cause."""
    try:
        return path.read_text(encoding="utf-8")
    except OSError as exc:
        raise unreadable(path, exc) from exc
    except UnicodeDecodeError as exc:
        raise InvalidError(f"`{path}` is not UTF-8 text: byte {exc.start} is wrong") from exc


def refuse_strange_places(names: Iterable[str], known: Sequence[str], folders: Sequence[str]) -> None:
    """Raise InvalidError where a file that is put back is none of `known` and lies in none of `folders` of an instance.

    INVARIANT: one place has one spelling. By another one, `tls/./authorities` for one, a file would pass by what is
    asked about files there.
    """
    for name in names:
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts:
            raise InvalidError(f"it names a file outside the instance: `{name[:80]}`")
        is_inside = any(PurePosixPath(folder) in path.parents for folder in folders)
        if str(path) != name or not (name in known or is_inside):
            raise InvalidError(f"it names a file that none of an exchange does: `{name[:80]}`")


def put_file(path: Path, content: bytes, *, mode: int) -> None:
    """Put a file in its place whole or not at all, whatever the power does."""
    try:
        keep_file(path, content, mode=mode)
    except OSError as exc:
        raise unwritable(path, exc) from exc


def write_all_new(files: Mapping[Path, bytes], *, mode: int) -> None:
    """Write several files as `write_new` does, with their folders, or none: some would be in the next try's way."""
    made: list[Path] = []
    try:
        for path, content in files.items():
            for folder in reversed([each for each in path.parents if not each.exists()]):
                folder.mkdir(mode=0o700)
                made.append(folder)
            write_new(path, content, mode=mode)
            made.append(path)
    except BaseException as exc:
        for each in reversed(made):
            with suppress(OSError):
                (each.rmdir if each.is_dir() else each.unlink)()
        if isinstance(exc, OSError):
            raise unwritable(Path(exc.filename), exc) from exc
        raise


def write_new(path: Path, content: bytes, *, mode: int) -> None:
    """Write a file that must not exist yet, with its mode from the first byte on."""
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    except FileExistsError as exc:
        raise UnsafeSettingError(f"`{path}` exists already: nothing is overwritten") from exc
    except OSError as exc:
        raise unwritable(path, exc) from exc
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        sync_folder(path.parent)
    except BaseException as exc:
        # A disk that is full, or an interruption: half a key would stand in the next try's way.
        path.unlink(missing_ok=True)
        if isinstance(exc, OSError):
            raise unwritable(path, exc) from exc
        raise
