"""What is set and cannot hold: what is named and not there, what contradicts another setting.

Promises: each fault says what is wrong and, apart from that, what mends it.
Does not: open anything for use; whether keys and databases open, those who open them say.
"""

import errno
import os
import ssl
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from exchange.kernel import UnsafeSettingError
from exchange.kernel.files import fault_in_words
from exchange.settings import InstanceLayout, Settings
from exchange.store.database.engine import checked_url

_AS_LISTS = frozenset({".crl", ".der", ".pem", ".cer", ".crt"})
"""How files of revocation lists are named; `.pem` in other letters too."""


@dataclass(frozen=True, slots=True)
class SettingFault:
    """What is wrong with what is set, and what mends it."""

    told: str
    mend: str

    def __str__(self) -> str:
        """Return both as one sentence."""
        return f"{self.told}: {self.mend}"


def faults_of(settings: Settings) -> tuple[SettingFault, ...]:
    """Return what is set and cannot hold, each with its mend.

    INVARIANT: nothing that somebody asked for is left out in silence because it is not where they said.
    """
    return (
        *_faults_of_places(settings),
        *_faults_of_writers(settings),
        *_faults_of_authorities(settings),
        *_faults_of_sequencer(settings),
    )


def _faults_of_places(settings: Settings) -> Iterator[SettingFault]:
    default = InstanceLayout(settings.instance_folder).crl_folder
    crl = settings.crl_folder
    if (crl != default or os.path.lexists(crl)) and not _is_folder(crl):
        told = f"`crl_folder`: `{crl}` is no folder, and no list would be asked of any certificate"
        yield SettingFault(told, "make it, or unset it")
    yield from _faults_of_lists(crl)
    if crl != default and not _has_lists(crl) and _has_lists(default):
        told = f"`crl_folder`: `{crl}` holds no list, so none is asked of any certificate, and `{default}` holds some"
        yield SettingFault(told, "move them there, or unset it; delete them where none is to be asked")
    for name in ("last_signed_file", "witnessed_file", "witness_policy_file"):
        path = getattr(settings, name)
        if not path.name or _is_folder(path):
            yield SettingFault(f"`{name}`: `{path}` is a folder", "name a file, or unset it")
    if settings.witness_quorum_seconds is not None and not settings.witness_policy_file.is_file():
        told = f"`witness_quorum_seconds` is set, and `{settings.witness_policy_file}` names no witnesses"
        yield SettingFault(told, "`exchange audit witness add` names them; or unset it")


def _faults_of_writers(settings: Settings) -> Iterator[SettingFault]:
    """Yield what anybody on the host may write and the service believes: an edge named there acts as any client.

    Not asked of authorities, whose certificates are enrolled besides, nor of the law, which is held to its digest.
    """
    named = (InstanceLayout(settings.instance_folder).settings_file, settings.edge_certificates_file)
    # One that is missing or shut is told of by who reads it.
    paths = [path for path in named if path is not None and os.access(path, os.R_OK)]
    for path in paths:
        if path.stat().st_mode & stat.S_IWOTH:
            told = f"`{path}` can be written by others on this host, and says whom the service believes"
            yield SettingFault(told, f"look at what stands in it, and run `chmod o-w {path}`")
    for folder in dict.fromkeys(folder for path in paths for folder in _open_folders(path)):
        told = f"others on this host may put another file or folder in the place of one in `{folder}`"
        lies = next(path for path in paths if folder in _open_folders(path))
        yield SettingFault(
            told, f"`{lies}` says whom the service believes: look at what lies there, run `chmod o-w {folder}`"
        )


def _open_folders(path: Path) -> list[Path]:
    """Return the folders on the way to a file in which anybody may exchange what is another's.

    Not those with the sticky bit, as `/tmp` has it: there only who owns a thing, or the folder, moves it. Nor those of
    a place that is only read here, as where a cluster lays a container's settings.
    """
    ways = dict.fromkeys((*path.absolute().parents, *path.resolve().parents))
    modes = {folder: folder.stat().st_mode for folder in ways}
    is_open = [folder for folder, mode in modes.items() if mode & stat.S_IWOTH and not mode & stat.S_ISVTX]
    return [folder for folder in is_open if not os.statvfs(folder).f_flag & os.ST_RDONLY]


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except PermissionError:
        return False  # who reads what is there says why it cannot


def _has_lists(folder: Path) -> bool:
    return next(folder.glob("*.pem"), None) is not None


def _faults_of_lists(folder: Path) -> Iterator[SettingFault]:
    """Yield what lies among the lists and is not read: its authority would have none, and nobody be told."""
    try:
        paths = sorted(folder.iterdir()) if folder.is_dir() else []
    except OSError as exc:
        told = f"`crl_folder`: `{folder}` cannot be read, {(exc.strerror or '').lower()}"
        yield SettingFault(told, "let the service's user read it")
        return
    for path in paths:
        # What a list was made of may lie beside it.
        if path.suffix.lower() in _AS_LISTS and path.suffix != ".pem" and not path.with_suffix(".pem").exists():
            yield SettingFault(f"`{path}` is not read, only `*.pem` is", "put the list there in PEM, under such a name")


def _faults_of_authorities(settings: Settings) -> Iterator[SettingFault]:
    named = [
        (name, getattr(settings, name))
        for name in ("witness_authority_file", "webhook_authority_file", "traces_authority_file")
    ]
    named += [(f"authority_file of webhook {hook.name}", hook.authority_file) for hook in settings.alert_webhooks]
    for name, path in named:
        if path is None:
            continue
        place = settings.instance_folder / path
        try:
            if place.exists() and not place.is_file():
                raise OSError(errno.EINVAL, "it is no plain file")  # a pipe would be waited for
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(place)
        except (OSError, ssl.SSLError) as exc:
            told = f"`{name}`: `{path}` holds no authorities in PEM: {fault_in_words(exc)}"
            yield SettingFault(told, "put them there, or unset it")


def _faults_of_sequencer(settings: Settings) -> Iterator[SettingFault]:
    own, shared = settings.sequencer_database_url, settings.database_url
    if own is None:
        if settings.sequencer_database_password_file is not None:
            told = (
                "`sequencer_database_password_file` is set and `sequencer_database_url` is not: "
                "the sequencer would log in as the service does"
            )
            yield SettingFault(told, "set both, or neither")
        return
    try:
        ours, theirs = checked_url(own), checked_url(shared)
    except UnsafeSettingError as exc:
        told, _, mend = exc.message.partition(": ")
        yield SettingFault(f"`database_url` and `sequencer_database_url`: {told}", mend)
        return
    if (ours.drivername, ours.database) != (theirs.drivername, theirs.database):
        told = "`sequencer_database_url` names another database than `database_url`"
        yield SettingFault(told, "only the login may differ")
