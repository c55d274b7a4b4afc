"""The files a new client gets: written beside their place first, so that a refused enrolment leaves none behind.

Its key is nowhere else. So where a run ends between the enrolment and the last file, the next one in that folder puts
there what is left.
"""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from exchange.audit import EventName, Outcome
from exchange.cli.instance import Host, unreadable, write_new
from exchange.crypto import CertificateFacts, KeyAndCertificate, issue_client, read_certificate, sign_request
from exchange.kernel import (
    ConflictError,
    ExchangeError,
    InvalidError,
    MalformedError,
    UnavailableError,
    UnsafeSettingError,
    system_clock,
)
from exchange.kernel.files import fault_in_words, held_alone, sync_folder
from exchange.members import Standing
from exchange.settings import InstanceLayout, read_secret
from exchange.usecases import ClientView, Enrolment, enrol_client, list_clients
from exchange.usecases.steps.context import DEFAULT_PURPOSE
from exchange.usecases.steps.recording import draft, on_record

NAMES = ("client.pem", "client.key", "ca.pem")
NAMES_WITHOUT_KEY = ("client.pem", "ca.pem")
"""What a signed request gives: its key stays where the agency made it, which may be the same folder."""
_LAST = "client.pem"
"""Says whose the files are, for as long as not all of them are in their place."""
_PRIVATE = ".enrol-"
_PAGE = 500
# A request or a certificate has a few KiB; a named pipe or a disk image is a slip of the hand.
_LARGEST_PEM_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class Newcomer:
    """A client to enrol, before it has a certificate. `nationality` None means the member's."""

    name: str
    member: str
    agency: str
    roles: tuple[str, ...]
    level: str
    compartments: tuple[str, ...] = ()
    nationality: str | None = None
    until: datetime | None = None
    purposes: tuple[str, ...] = (DEFAULT_PURPOSE,)


async def enrol_with_files(host: Host, newcomer: Newcomer, out: Path, *, request: Path | None = None) -> ClientView:
    """Enrol a client and write its files into `out`; nothing is written where the enrolment is refused."""
    names = NAMES if request is None else NAMES_WITHOUT_KEY
    with release_folder(out, names, known=await enrolled_before(host, out)) as folder:
        organisation = f"{newcomer.member}/{newcomer.agency}"
        async with refusal_recorded(host, EventName.CLIENT_ENROLLED):
            certificate = issue_into(folder, host.layout, newcomer.name, organisation=organisation, request=request)
        enrolment = Enrolment(certificate=certificate, **asdict(newcomer))
        return (await enrol_client(host.services, host.call(), enrolment)).value


def refusal_recorded(host: Host, event: EventName) -> AbstractAsyncContextManager[None]:
    """Record as a refused `event` what is wrong with a file that was given: no use case comes to see that one."""
    return on_record(host.services, draft(host.call(), None, event, Outcome.REFUSED))


async def enrolled_before(host: Host, out: Path) -> dict[str, ClientView]:
    """Return the clients by the thumbprints of their certificates; none where no run left files in `out`."""
    if not _is_any_at_work(out):
        return {}
    views, _ = await all_clients(host)
    in_use = [view for view in views if view.client.standing is not Standing.REVOKED]
    return {thumbprint: view for view in in_use for thumbprint in view.thumbprints}


async def all_clients(host: Host) -> tuple[list[ClientView], int]:
    """Return every client, page by page, and how many cannot be read."""
    call = host.call()
    listed = await list_clients(host.services, call, limit=_PAGE)
    views, unread = [*listed.value.views], listed.unopened
    while listed.value.next is not None:
        listed = await list_clients(host.services, call, after=listed.value.next, limit=_PAGE)
        views += listed.value.views
        unread += listed.unopened
    return views, unread


@contextmanager
def release_folder(
    out: Path, names: Sequence[str] = NAMES, *, known: Mapping[str, ClientView] | None = None
) -> Iterator[Path]:
    """Yield a private folder; move its files, `names`, into `out` once the block succeeded, and none otherwise.

    One that was killed left its own behind, with a key in it: it is removed. Where `known` has a client of that
    certificate, its files are put into `out` instead, and ConflictError says whose they are. While another one is at
    work there, none begins: of two the second would put its key in the place of the first one's.
    """
    made_out = not out.exists()
    try:
        out.mkdir(mode=0o700, parents=True, exist_ok=True)
        with held_alone(out):
            _clear_killed(out, known or {})
            if _is_any_at_work(out):
                told = f"another client's files are being written to `{out}`"
                raise UnsafeSettingError(f"{told}: wait for that, or name another `--out`")
            _refuse_taken(out, names)
            private = Path(tempfile.mkdtemp(prefix=_PRIVATE, dir=out))
            held = _opened(private)
            fcntl.flock(held, fcntl.LOCK_EX)
        # A client is enrolled with this key: from then on it must be found, after a power cut too.
        for folder in (out, *([out.parent] if made_out else [])):
            sync_folder(folder)
    except OSError as exc:
        raise UnsafeSettingError(f"`{out}` cannot be made: {fault_in_words(exc)}") from exc
    try:
        with _removed_where_refused(private):
            yield private
        _put(private, out)
    finally:
        os.close(held)
        if made_out and not any(out.iterdir()):
            out.rmdir()


@contextmanager
def _removed_where_refused(private: Path) -> Iterator[None]:
    try:
        yield
    except UnavailableError:
        raise  # the client may be enrolled all the same: the next run there finds out
    except ExchangeError:
        shutil.rmtree(private, ignore_errors=True)
        raise


def _put(private: Path, out: Path) -> None:
    for file in sorted(private.iterdir(), key=lambda file: file.name == _LAST):
        file.rename(out / file.name)
    sync_folder(out)
    private.rmdir()


def _refuse_taken(out: Path, names: Sequence[str]) -> None:
    for name in names:
        if os.path.lexists(out / name):
            raise UnsafeSettingError(f"`{out / name}` exists already: nothing is overwritten, name another `--out`")


def _is_any_at_work(out: Path) -> bool:
    """Return whether some run has a folder of its own there, or had one when it was killed."""
    return any(out.glob(f"{_PRIVATE}*"))


def _clear_killed(out: Path, known: Mapping[str, ClientView]) -> None:
    for private in out.glob(f"{_PRIVATE}*"):
        with suppress(OSError):
            handle = _opened(private, os.O_NOFOLLOW)
            try:
                # Whoever is at work holds it, for as long as that process is there.
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if (view := known.get(_thumbprint_in(private))) is not None:
                    _refuse_taken(out, [file.name for file in private.iterdir()])
                    _put(private, out)
                    raise _enrolled_already(view, out)
                shutil.rmtree(private, ignore_errors=True)
            finally:
                os.close(handle)


def _thumbprint_in(private: Path) -> str:
    """Return of which certificate these files are; empty where there is none yet."""
    try:
        return read_certificate(read_pem(private / _LAST)).thumbprint
    except (InvalidError, MalformedError):
        return ""


def _enrolled_already(view: ClientView, out: Path) -> ConflictError:
    client = f"`{view.client.name}` of {view.client.member} ({view.client.id})"
    told = f"a run that broke off had given its certificate to {client} already: its files are in `{out}` now"
    return ConflictError(f"{told}, and nothing else was done: see `exchange client show`")


def _opened(folder: Path, flags: int = 0) -> int:
    return os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | flags)


def issue_into(
    folder: Path, layout: InstanceLayout, name: str, *, organisation: str, request: Path | None
) -> CertificateFacts:
    """Write a client's certificate, its key (unless it signs `request`) and the authority's certificate."""
    authority = demo_authority(layout)
    now = system_clock()
    if request is None:
        pair = issue_client(authority, name, organisation=organisation, now=now)
        write_new(folder / "client.key", pair.key_pem, mode=0o600)
        certificate = pair.certificate_pem
    else:
        certificate = sign_request(authority, read_pem(request), organisation=organisation, now=now)
    write_new(folder / "client.pem", certificate, mode=0o644)
    write_new(folder / "ca.pem", authority.certificate_pem, mode=0o644)
    return read_certificate(certificate)


def read_pem(path: Path) -> bytes:
    """Return the bytes of a small file that the operator named; raises InvalidError with the cause."""
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST_PEM_BYTES + 1)
    except OSError as exc:
        raise unreadable(path, exc) from exc
    if len(content) > _LARGEST_PEM_BYTES:
        raise InvalidError(f"`{path}` is larger than any certificate: is it the right file?")
    return content


def demo_authority(layout: InstanceLayout) -> KeyAndCertificate:
    """Return the authority that `init` made, to issue with."""
    key = read_secret(layout.authority_key_file)
    return KeyAndCertificate(key, own_authority_pem(layout))


def own_authority_pem(layout: InstanceLayout) -> bytes:
    """Return the certificate of the authority that `init` made; InvalidError with the mend where it is gone."""
    path = layout.authority_certificate_file
    try:
        return read_pem(path)
    except InvalidError as exc:
        if os.path.lexists(path):
            raise
        raise InvalidError(f"`{path}` is missing: it is the `ca.pem` that each client was given, put one back") from exc
